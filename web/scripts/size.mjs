/** What each page of dist/ makes a browser load before it shows, packed as it goes over the wire. Exits 1 over a limit. */
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const PAGE_KIB_MAX = 250;
/** What comes after a page is shown: the editor of PromQL. */
const LATER_KIB_MAX = 150;

const dir = new URL("../dist/assets/", import.meta.url);
let files;
try {
  files = readdirSync(dir);
} catch {
  console.error("dist/ is not there: run `npm run build` first");
  process.exit(2);
}
const packed = (name) => gzipSync(readFileSync(new URL(name, dir)), { level: 9 }).length / 1024;
const scripts = new Map(
  files.filter((name) => name.endsWith(".js")).map((name) => {
    const text = readFileSync(new URL(name, dir), "utf8");
    const found = (pattern) => [...text.matchAll(pattern)].map(([, file]) => file).filter((file) => files.includes(file));
    return [name, { kib: packed(name), needs: found(/(?:from|import)\s*["`]\.\/([^"`]+\.js)["`]/g), later: found(/import\(\s*["`]\.\/([^"`]+\.js)["`]/g) }];
  }),
);
function whole(name, seen = new Set()) {
  if (seen.has(name)) return seen;
  seen.add(name);
  for (const needed of scripts.get(name)?.needs ?? []) whole(needed, seen);
  return seen;
}
const kib = (names) => [...names].reduce((sum, name) => sum + scripts.get(name).kib, 0);

const entry = [...scripts.keys()].find((name) => name.startsWith("index-"));
const shared = whole(entry);
const pages = scripts.get(entry).later.map((name) => [name, kib(new Set([...shared, ...whole(name)]))]).sort((a, b) => b[1] - a[1]);
const later = [...new Set(scripts.get(entry).later.flatMap((page) => [...whole(page)].flatMap((name) => scripts.get(name).later)))]
  .filter((name) => !shared.has(name) && !scripts.get(entry).later.includes(name))
  .map((name) => [name, scripts.get(name).kib])
  .sort((a, b) => b[1] - a[1]);
const css = files.filter((name) => name.endsWith(".css")).reduce((sum, name) => sum + packed(name), 0);

const [largest] = pages;
console.log(`JavaScript of a page at most ${largest[1].toFixed(1)} KiB gzip (${largest[0]}; limit ${PAGE_KIB_MAX}), of ${pages.length} pages together ${kib(scripts.keys()).toFixed(1)} KiB, CSS ${css.toFixed(1)} KiB`);
for (const [name, size] of later.slice(0, 3)) console.log(`  after it is shown: ${name} ${size.toFixed(1)} KiB (limit ${LATER_KIB_MAX})`);
const over = [...pages.filter(([, size]) => size > PAGE_KIB_MAX), ...later.filter(([, size]) => size > LATER_KIB_MAX)];
for (const [name, size] of over) console.error(`${name}: ${size.toFixed(1)} KiB is over the limit`);
if (over.length > 0) process.exit(1);
