// The snippets of docs/guide/flag-clients.md, as they stand, against a real server.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { hasPython } from './kinds.mjs';
import { Server } from './server.mjs';

const GUIDE = readFileSync(join(import.meta.dirname, '../../docs/guide/flag-clients.md'), 'utf8');
// What a browser has and Node lacks; and a page's timers end with the page.
const BROWSER = "globalThis.EventSource = (await import('eventsource')).EventSource;\n";
const CLOSED = '\nprocess.exit(0);\n';

let server;
let env;

before(async () => {
  server = await Server.start();
  await server.api.put('/api/flags/new_uploader', { environments: { production: { enabled: true } } });
  env = {
    ...process.env,
    FLAGS_URL: server.url,
    FLAGS_TOKEN: await server.token('photos', 'client'),
    FLAGS_FRONTEND_TOKEN: await server.token('photos-page', 'frontend'),
    FLAGS_FOLDER: join(server.folder, 'python'),
  };
});

after(() => server?.stop());

const snippets = [...GUIDE.matchAll(/^## (.*?)$|```(js|python)\n(.*?)```/gms)];
let heading;
let count = 0;
for (const [, title, language, code] of snippets) {
  if (title) {
    heading = title;
    continue;
  }
  count += 1;
  test(`${heading} (${language})`, async (t) => {
    if (language === 'python' && !hasPython()) return t.skip('the Python clients of requirements.txt are not installed');
    const python = join(import.meta.dirname, '.python/bin/python');
    const [command, args] =
      language === 'python' ? [python, ['-c', code]] : [process.execPath, ['--input-type=module', '--eval', BROWSER + code + CLOSED]];
    const { stdout } = await promisify(execFile)(command, args, { env, cwd: import.meta.dirname, timeout: 60_000 });
    return assert.match(stdout, /new_uploader true/i);
  });
}

test('every snippet was found', () => assert.equal(count, 6));
