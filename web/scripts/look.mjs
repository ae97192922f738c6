/**
 * Looks at every page in a real browser: pictures, axe, and whatever the console complains of.
 *
 *   node scripts/look.mjs                      every mode, theme and width, no pictures
 *   node scripts/look.mjs --out DIR [--url URL] [--mode full|empty] [--theme dark|light] [--width 1280] [--only now,deploys] [--state FILE]
 *
 * --state is a signed-in browser's storage, as Playwright saves it. Without --url it serves dist/ with the small server of mock/. Exits 1 when axe finds something or a page logs an error.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { createRequire } from "node:module";

const PAGES = {
  now: "/", timeline: "/timeline", deploys: "/deploys", deploy: "/deploys/41", "deploy-done": "/deploys/39", "deploy-held": "/deploys/43", "deploy-fleet": "/deploys/42", "deploy-hosts": "/deploys/42?host_state=failed", service: "/deploys/photos", "service-web": "/deploys/web", "deploys-filtered": "/deploys?state=succeeded&range=between&q=cache", graphs: "/graphs", dashboard: "/graphs/edge", "dashboard-edit": "/graphs/edge?edit=1",
  explore: "/graphs/explore?expr=requests&unit=ops", flags: "/flags", flag: "/flags/new_uploader", segments: "/flags/-/segments", "flag-tripped": "/flags/no_thumbnails", changes: "/flags/-/changes", permits: "/flags/-/permits", alerts: "/alerts", rules: "/alerts/rules",
  checks: "/alerts/checks", check: "/alerts/checks/db1-disk", sources: "/alerts/sources", noise: "/alerts/noise", simulate: "/alerts/simulate", mutes: "/alerts/mutes", alert: "/alerts/a1b2c3d4e5f60718", "on-call": "/on-call", incidents: "/incidents", incident: "/incidents/3",
  console: "/console", me: "/settings/me", people: "/settings/people", teams: "/settings/teams", tokens: "/settings/tokens",
  services: "/settings/services", targets: "/settings/targets", "targets-found": "/settings/targets?state=down&job=photos&q=9050", metrics: "/settings/metrics", chat: "/settings/chat", about: "/settings/about", "not-found": "/nowhere",
};

const { values } = parseArgs({
  options: { out: { type: "string" }, url: { type: "string" }, mode: { type: "string", default: "full" }, theme: { type: "string" }, width: { type: "string" }, only: { type: "string" }, fold: { type: "boolean", default: false }, state: { type: "string" } },
});

if (!values.theme && !values.width && !values.only && !values.out) {
  let failed = 0;
  for (const [mode, theme, width] of [["full", "dark", "1280"], ["full", "light", "1280"], ["full", "light", "390"], ["empty", "light", "1280"], ["empty", "dark", "390"]]) {
    console.log(`${mode}, ${theme}, ${width} px wide`);
    failed += spawnSync(process.execPath, [process.argv[1], "--mode", mode, "--theme", theme, "--width", width], { stdio: "inherit" }).status === 0 ? 0 : 1;
  }
  process.exit(failed === 0 ? 0 : 1);
}

let url = values.url;
let server;
if (!url) {
  process.env.VITE_MOCK = values.mode;
  const { preview } = await import("vite");
  server = await preview({ preview: { port: 0, host: "127.0.0.1" }, logLevel: "error" });
  url = server.resolvedUrls.local[0].replace(/\/$/, "");
}

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const theme = values.theme ?? "dark";
const width = Number(values.width ?? 1280);
const context = await browser.newContext({ colorScheme: theme, viewport: { width, height: width < 600 ? 844 : 800 }, deviceScaleFactor: 1, ...(values.state ? { storageState: values.state } : {}) });
const only = values.only?.split(",");
let bad = 0;
const say = (text) => {
  bad += 1;
  console.error(text);
};

for (const [name, path] of Object.entries(PAGES)) {
  if (only && !only.includes(name)) continue;
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && !message.text().includes("404") && say(`${name}: console: ${message.text()}`));
  page.on("pageerror", (error) => say(`${name}: ${error.stack}`));
  await page.goto(url + path, { waitUntil: "load" });
  await page.getByRole("heading", { level: 1 }).first().waitFor({ timeout: 10_000 }).catch(() => say(`${name}: no heading`));
  await page.waitForTimeout(700);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) say(`${name}: ${wide} px wider than the window`);
  if (values.out) {
    mkdirSync(values.out, { recursive: true });
    await page.screenshot({ path: join(values.out, `${name}-${values.mode}-${theme}-${width}.png`), fullPage: !values.fold });
  }
  // The browser's own door past the page's CSP: evaluate runs the text in the page without a script element.
  await page.evaluate(readFileSync(axe, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  for (const { id, impact, nodes } of violations) say(`${name}: axe ${id} (${impact}): ${nodes.slice(0, 3).map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join(" | ")}`);
  await page.close();
}
await browser.close();
await server?.close();
console.log(bad === 0 ? "every page is clean" : `${bad} complaints`);
process.exit(bad === 0 ? 0 : 1);
