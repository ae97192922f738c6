// 4. A feature behind a flag goes 1 -> 10 -> 50 %, the same people staying in. It hurts. One line in IRC takes it away.
import assert from 'node:assert/strict';

import { figure } from '../lib/figures.mjs';
import { until } from '../lib/wait.mjs';
import { addresses, query } from './fleet.mjs';

const FLAG = 'new_uploader';
const USERS = Array.from({ length: 500 }, (_, index) => `u-${index + 1}`);
const AT_ONCE = 20;
/** How long counters are watched after the switch, to be sure that nothing follows. */
const WATCH_MS = 4_000;
const PROBE_MS = 50;

async function flagClient({ ana }) {
  const { secret } = await ana.post('/api/tokens', { name: 'story', kind: 'client', environment: 'production' });
  return ana.bearer(secret);
}

/** Who is in, asked over OFREP for each of the users, some at a time. */
export async function whoIsIn(client) {
  const inside = new Set();
  const ask = async (user) => {
    const answer = await client.post(`/ofrep/v1/evaluate/flags/${FLAG}`, { context: { targetingKey: user } });
    if (answer.value) inside.add(user);
  };
  for (let from = 0; from < USERS.length; from += AT_ONCE) {
    await Promise.all(USERS.slice(from, from + AT_ONCE).map(ask));
  }
  return inside;
}

export async function ramp(scene) {
  const { anaPage } = scene;
  scene.flags = await flagClient(scene);
  await anaPage.goto(`/flags/${FLAG}`);
  let before = new Set();
  for (const percent of [1, 10, 50]) {
    await anaPage.getByRole('region', { name: 'production', exact: true }).getByRole('group', { name: 'Rollout stages' }).getByRole('button', { name: `${percent} %`, exact: true }).click();
    await anaPage.getByRole('region', { name: 'production', exact: true }).getByRole('group', { name: 'Rollout stages' }).getByRole('button', { name: `${percent} %`, exact: true, pressed: true }).waitFor();
    const inside = await whoIsIn(scene.flags);
    for (const user of before) assert.ok(inside.has(user), `${user} was in and stays in at ${percent} %`);
    const share = (inside.size / USERS.length) * 100;
    assert.ok(Math.abs(share - percent) < 6, `${share} % of the users at ${percent} %`);
    before = inside;
  }
  scene.inside = before;
}

export async function hurts({ ana }) {
  const slow = 'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{service="photos", handler="/upload"}[20s])))';
  await until('uploads are slow', async () => (await query(ana, slow))[0]?.[1] > 1, { within_ms: 60_000 });
}

export async function off(scene) {
  const { ana, irc, inside } = scene;
  const targets = await addresses(ana);
  const users = [...inside];
  const last = new Map();
  const counts = new Map();
  let asking = true;

  // Every process is asked often for people who are in, and its own counter says which code took the upload.
  const watch = Object.entries(targets).map(async ([host, address]) => {
    for (let turn = 0; asking; turn += 1) {
      const user = users[turn % users.length];
      fetch(`http://${address}/upload?user=${user}`, { method: 'POST', body: 'photo', signal: AbortSignal.timeout(3_000) }).then((response) => response.arrayBuffer(), () => {});
      const text = await (await fetch(`http://${address}/metrics`)).text();
      const count = Number(/photos_uploader_total\{path="new"\} (\d+)/.exec(text)[1]);
      if (counts.has(host) && count > counts.get(host)) last.set(host, Date.now());
      counts.set(host, count);
      await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
    }
  });
  await until('every process uses the new code', () => last.size === 6);
  const since = irc.lines.length;
  const said = Date.now();
  irc.say(`!flag off ${FLAG}`);
  await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  asking = false;
  await Promise.all(watch);

  const took = Math.max(...last.values()) - said;
  figure(`!flag off to the last upload by the new code in any of the ${last.size} processes`, took);
  // The promise is one second; the figure above is held against it, a busy machine is not.
  assert.ok(took < WATCH_MS / 2, `it took ${took} ms`);
  assert.equal((await whoIsIn(scene.flags)).size, 0);

  await irc.sees(new RegExp(`PRIVMSG #ops :.*${FLAG}.*off`), { since });
  const [event] = await ana.items('/api/events?kind=flag.switched&limit=1');
  assert.equal(event.actor.id, 'raj');
  const markers = await ana.items(`/api/markers?service=photos&from=${new Date(said - 5_000).toISOString()}&to=${new Date().toISOString()}`);
  assert.ok(markers.some(({ kind, text }) => kind === 'flip' && text.includes(FLAG)), 'the flip is a marker');
}
