/**
 * The types of the API. `--write` makes src/api/schema.d.ts from openapi.json; without it, says whether they have drifted apart.
 * With TENFOLD_URL set, openapi.json itself is compared with (or, with --write, taken from) that server first.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [snapshot, schema, client] = [here("../openapi.json"), here("../src/api/schema.d.ts"), here("../api-client")];
const write = process.argv.includes("--write");

function fail(text) {
  console.error(text);
  process.exit(1);
}

if (process.env.TENFOLD_URL) {
  const answer = await fetch(new URL("/api/openapi.json", process.env.TENFOLD_URL));
  if (!answer.ok) fail(`${process.env.TENFOLD_URL} answered ${answer.status}`);
  const live = `${JSON.stringify(await answer.json(), null, 2)}\n`;
  if (write) writeFileSync(snapshot, live);
  else if (JSON.stringify(JSON.parse(readFileSync(snapshot, "utf8"))) !== JSON.stringify(JSON.parse(live))) fail("openapi.json is not what the server says: run `TENFOLD_URL=… npm run generate:api`");
}

if (!existsSync(`${client}/node_modules`)) execFileSync("npm", ["ci", "--silent"], { cwd: client, stdio: "inherit" });

/**
 * Operation ids are the names of functions and repeat: the types go by path and method, so they are left out. A name in the
 * path's braces is a path parameter and any other is not, whatever the description forgot.
 */
function normalised(text) {
  const described = JSON.parse(text);
  for (const [path, operations] of Object.entries(described.paths)) {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map((found) => found[1]);
    for (const operation of Object.values(operations)) {
      delete operation.operationId;
      const parameters = operation.parameters ?? [];
      for (const parameter of parameters) if (parameter.in === "path" && !names.includes(parameter.name)) Object.assign(parameter, { in: "query", required: false });
      const missing = names.filter((name) => !parameters.some((parameter) => parameter.in === "path" && parameter.name === name));
      operation.parameters = [...parameters, ...missing.map((name) => ({ name, in: "path", required: true, schema: { type: ["string", "integer"] } }))];
    }
  }
  return JSON.stringify(described);
}

const made = execFileSync(`${client}/node_modules/.bin/openapi-typescript`, ["--empty-objects-unknown", "--default-non-nullable=false"], {
  cwd: client, encoding: "utf8", input: normalised(readFileSync(snapshot, "utf8")), stdio: ["pipe", "pipe", "inherit"], maxBuffer: 1 << 26,
});
if (write) {
  writeFileSync(schema, made);
  console.log("src/api/schema.d.ts is written");
} else if (!existsSync(schema) || readFileSync(schema, "utf8") !== made) {
  fail("src/api/schema.d.ts is not what openapi.json says: run `npm run generate:api`");
} else {
  console.log("the types and openapi.json agree");
}
