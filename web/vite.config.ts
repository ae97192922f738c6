/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin, type ProxyOptions } from "vite";

/** Where `npm run dev` finds the API; `VITE_MOCK=full` or `empty` uses the small server in mock/ instead. */
const server = process.env.TENFOLD_URL ?? "http://127.0.0.1:7070";
const mocked = process.env.VITE_MOCK;
/** The server looks at Origin: it has to be the server's own, as it is without a proxy between. */
const toServer: ProxyOptions = {
  target: server,
  changeOrigin: true,
  configure: (proxy) => void proxy.on("proxyReq", (request) => request.getHeader("origin") && request.setHeader("origin", server)),
};
const proxied: Record<string, ProxyOptions> = Object.fromEntries(["/api", "/ofrep", "/metrics"].map((path) => [path, toServer]));

/** Packs every file once, at the build, so that the server never has to. */
function packed(): Plugin {
  return {
    name: "tenfold-packed",
    apply: "build",
    writeBundle({ dir }) {
      if (!dir) return;
      for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
        if (!/\.(?:js|css|svg|html)$/.test(name)) continue;
        writeFileSync(join(dir, `${name}.gz`), gzipSync(readFileSync(join(dir, name)), { level: 9 }));
      }
    },
  };
}

export default defineConfig(async () => ({
  plugins: [react(), packed(), ...(mocked ? [(await import("./mock/plugin.ts")).mock(mocked)] : [])],
  build: {
    outDir: process.env.WEB_OUT ?? "dist",
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 500,
  },
  server: { proxy: mocked ? {} : proxied },
  test: { environment: "happy-dom", include: ["tests/**/*.test.{ts,tsx}"] },
}));
