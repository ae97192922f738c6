/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { defineConfig, type ProxyOptions } from "vite";

/** Where `npm run dev` finds the API; `VITE_MOCK=full` or `empty` uses the small server in mock/ instead. */
const server = process.env.TENFOLD_URL ?? "http://127.0.0.1:7070";
const mocked = process.env.VITE_MOCK;
const proxied: Record<string, ProxyOptions> = Object.fromEntries(["/api", "/ofrep", "/metrics"].map((path) => [path, { target: server }]));

export default defineConfig(async () => ({
  plugins: [react(), ...(mocked ? [(await import("./mock/plugin.ts")).mock(mocked)] : [])],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 400,
  },
  server: { proxy: mocked ? {} : proxied },
  test: { environment: "happy-dom", include: ["tests/**/*.test.{ts,tsx}"] },
}));
