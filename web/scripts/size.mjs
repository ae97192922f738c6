/** All the JavaScript and CSS of dist/, packed as it goes over the wire. Exits 1 over the limit. */
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const JS_KIB_MAX = 250;

const dir = new URL("../dist/assets/", import.meta.url);
let files;
try {
  files = readdirSync(dir);
} catch {
  console.error("dist/ is not there: run `npm run build` first");
  process.exit(2);
}
const packed = (end) => files.filter((name) => name.endsWith(end)).map((name) => [name, gzipSync(readFileSync(new URL(name, dir)), { level: 9 }).length]);
const sum = (rows) => rows.reduce((total, [, bytes]) => total + bytes, 0) / 1024;
const js = packed(".js");
const largest = [...js].sort((a, b) => b[1] - a[1]).slice(0, 3);
console.log(`JavaScript ${sum(js).toFixed(1)} KiB gzip in ${js.length} files (limit ${JS_KIB_MAX}), CSS ${sum(packed(".css")).toFixed(1)} KiB`);
for (const [name, bytes] of largest) console.log(`  ${name} ${(bytes / 1024).toFixed(1)} KiB`);
if (sum(js) > JS_KIB_MAX) {
  console.error(`the pages are ${(sum(js) - JS_KIB_MAX).toFixed(1)} KiB over the limit`);
  process.exit(1);
}
