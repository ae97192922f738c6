// "Your own service in ten minutes": the README's lines, as they stand, in an empty directory. Only the port is another.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Api } from '../lib/api.mjs';
import { ROOT, TENFOLD } from '../lib/binary.mjs';
import { outside } from '../lib/demo.mjs';
import { figure } from '../lib/figures.mjs';
import { until } from '../lib/wait.mjs';

const PASSWORD = 'a password of my choice';

function block() {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const [, section] = readme.split('## Your own service in ten minutes');
  const found = /```sh\n([\s\S]*?)```/.exec(section);
  assert.ok(found, 'the README has a block of shell for it');
  return found[1];
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Processes that were started in the folder, by their working directory or their command line. */
function processesIn(folder) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return pid !== process.pid && (readlinkSync(`/proc/${pid}/cwd`).startsWith(folder) || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder));
    } catch {
      return false;
    }
  });
}

test('what the README says about a service of your own is so', { timeout: 180_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-own-'));
  const [work, bin, home] = ['work', 'bin', 'home'].map((name) => join(folder, name));
  const port = await freePort();
  const script = [
    'set -euo pipefail',
    `mkdir ${work} ${bin} ${home}`,
    `ln -s ${TENFOLD} ${bin}/tenfold`,
    `cd ${work}`,
    block().replaceAll('tenfold serve ', `tenfold serve --listen 127.0.0.1:${port} `).replaceAll('127.0.0.1:7070', `127.0.0.1:${port}`),
  ].join('\n');
  const started = performance.now();
  const { XDG_CONFIG_HOME: _, TENFOLD_TOKEN: __, ...env } = outside();
  const shell = spawn('bash', ['-c', script], { env: { ...env, HOME: home, PATH: `${bin}:${env.PATH}` } });
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) stream.on('data', (text) => (output += text));
  shell.stdin.end(`${PASSWORD}\n`);
  try {
    const code = await new Promise((resolve) => shell.once('exit', resolve));
    assert.equal(code, 0, output);
    figure('an empty directory to a service of your own that answers', performance.now() - started);
    assert.match(output, /Hello from a service of my own/);

    // And what it promises on the page.
    const me = await new Api(`http://127.0.0.1:${port}`).signIn('me', PASSWORD);
    const [deploy] = await me.items('/api/deploys');
    assert.equal(deploy.state, 'succeeded');
    assert.equal(deploy.commits[0].message.trim(), 'Say hello');
    assert.ok((await me.items(`/api/deploys/${deploy.number}/log`)).length > 0);
    await until('its metrics are scraped', async () => {
      const { data } = await me.get('/api/v1/query?query=hello_requests_total');
      return data.result.length === 1 && data.result[0].metric.service === 'hello';
    }, { within_ms: 40_000 });
  } finally {
    for (const signal of ['SIGTERM', 'SIGKILL']) {
      for (const pid of processesIn(folder)) {
        try {
          process.kill(pid, signal);
        } catch {
          // It ended by itself.
        }
      }
      await until('everything has ended', () => processesIn(folder).length === 0, { within_ms: 5_000 }).catch(() => {});
    }
    rmSync(folder, { recursive: true, force: true });
  }
});
