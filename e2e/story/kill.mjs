// 7. The server is killed with -9 in the middle of a deploy, of an escalation and of a ramp, and started again.
import assert from 'node:assert/strict';

import { figure } from '../lib/figures.mjs';
import { mails } from '../lib/mail.mjs';
import { until } from '../lib/wait.mjs';
import { ended } from './deploy.mjs';
import { addresses, ESCALATE_AFTER_S } from './fleet.mjs';
import { whoIsIn } from './flag.mjs';

const FLAG = 'new_uploader';

/** The newest event before the kill is still there, the same, and the chain of hashes holds. */
async function killAndCompare({ demo, ana }, what) {
  const [before] = await ana.items('/api/events?limit=1&order=desc');
  figure(`kill -9 in the middle of ${what} to serving again`, await demo.killServer());
  const [after] = await ana.items(`/api/events?before=${before.seq + 1}&limit=1&order=desc`);
  assert.deepEqual(after, before, 'what was acknowledged is there');
  const verdict = await ana.get('/api/events/verify');
  assert.ok(verdict.ok, `the chain holds: ${JSON.stringify(verdict)}`);
}

export async function inADeploy(scene) {
  const { ana, mei, photos, demo } = scene;
  photos.commitNext();
  const deploy = await mei.post('/api/deploys', { service: 'photos', environment: 'production' });
  await until('the deploy is half way', async () => ['canary', 'promoting'].includes((await ana.get(`/api/deploys/${deploy.number}`)).state));
  const inPids = Object.fromEntries(demo.about.hosts.map((host) => [host, demo.pid(host)]));
  await killAndCompare(scene, 'a deploy');
  const after = await ended(ana, deploy.number, 120_000);
  assert.ok(['succeeded', 'interrupted', 'rolled_back', 'failed'].includes(after.state), after.state);
  console.log(`  the deploy ${after.state}`);
  for (const [host, pid] of Object.entries(inPids)) assert.equal(demo.pid(host), pid, `the agent of ${host} lived on`);

  // What the page says of each host is what the host runs.
  await until('every agent is back', async () => (await ana.items('/api/hosts')).every(({ state }) => state === 'connected'));
  const hosts = await ana.items('/api/hosts');
  for (const host of hosts) {
    const release = host.releases.find(({ state }) => state === 'running');
    const truth = await (await fetch(`http://${release.address}/healthz`)).json();
    assert.equal(release.sha, truth.version, `${host.name} runs what the page says`);
  }
  if (after.state === 'succeeded') {
    const versions = new Set(hosts.map((host) => host.releases.find(({ state }) => state === 'running').sha));
    assert.deepEqual([...versions], [photos.head()]);
  }
  const twice = await ana.items(`/api/events?kind=deploy.succeeded&correlation=deploy:${deploy.number}`);
  assert.ok(twice.length <= 1, 'it ended once');
}

const TITLE = 'A drill of the story';

export async function inAnEscalation(scene) {
  const { ana, demo } = scene;
  const count = () => Object.fromEntries(['ana', 'raj'].map((login) => [login, mails(demo.about.mail.mailboxes, login).length]));
  const before = count();
  const incident = await ana.post('/api/incidents', { title: TITLE, service: 'photos', severity: 'critical' });
  await until('the first page is delivered', async () => {
    const pages = await ana.items(`/api/pages?incident=${incident.number}`);
    return pages.length > 0 && pages.every(({ state }) => state === 'delivered');
  });
  await until('its mail is in a mailbox', () => Object.entries(count()).some(([login, n]) => n > before[login]));
  await killAndCompare(scene, 'an escalation');
  await until('the next step is paged', async () => {
    const pages = await ana.items(`/api/pages?incident=${incident.number}`);
    return pages.some(({ step, state }) => step === Math.max(...pages.map((page) => page.step)) && step > pages[0].step && state === 'delivered') || new Set(pages.map(({ step }) => step)).size > 1;
  }, { within_ms: (ESCALATE_AFTER_S + 30) * 1000 });
  await ana.post(`/api/incidents/${incident.number}/acknowledge`);
  let pages = await ana.items(`/api/pages?incident=${incident.number}`);
  const keys = pages.map(({ step, round, person }) => `${step}/${round}/${person}`);
  assert.equal(new Set(keys).size, keys.length, 'a step pages a person once');
  // A mail is in the mailbox a moment before the server has written that it is.
  for (const login of ['ana', 'raj']) {
    await until(`${login} has one mail for each page, not two`, async () => {
      pages = await ana.items(`/api/pages?incident=${incident.number}`);
      const mailed = pages.filter((page) => page.person === login && page.attempts.some(({ channel, state }) => channel === 'mail' && ['delivered', 'sent', 'ok', 'accepted'].includes(state))).length;
      const fresh = mails(demo.about.mail.mailboxes, login).slice(before[login]).filter(({ subject }) => subject.includes(TITLE) && !/^Re: /.test(subject));
      assert.equal(fresh.length, mailed, `mails: ${fresh.map(({ subject }) => subject).join('; ')}`);
      return true;
    }, { within_ms: 10_000 });
  }
  await ana.post(`/api/incidents/${incident.number}/resolve`);
}

export async function inARamp(scene) {
  const { ana, flags } = scene;
  await ana.post(`/api/flags/${FLAG}/switch`, { environment: 'production', enabled: true });
  await ana.post(`/api/flags/${FLAG}/ramp`, {
    environment: 'production',
    steps: [{ percent: 10, hold_ms: 6_000 }, { percent: 20, hold_ms: 6_000 }, { percent: 30, hold_ms: 1_000 }],
  });
  const atTen = await whoIsIn(flags);
  assert.ok(atTen.size > 0 && atTen.size < 100, `${atTen.size} of 500 at 10 %`);
  const [address] = Object.values(await addresses(ana));
  const someone = [...atTen][0];

  // A visitor who is in keeps asking, through the kill.
  const seen = [];
  let asking = true;
  const visitor = (async () => {
    while (asking) {
      const response = await fetch(`http://${address}/upload?user=${someone}`, { method: 'POST', body: 'photo' });
      const answer = await response.json();
      seen.push(response.ok ? answer.uploader : 'busy');
    }
  })();
  await until('the visitor was served once', () => seen.includes('new'));
  await killAndCompare(scene, 'a ramp');
  const atRestart = await whoIsIn(flags);
  for (const user of atTen) assert.ok(atRestart.has(user), `${user} was in before the kill and is in after it`);
  await until('the ramp goes on to its end', async () => {
    const { environments } = await ana.get(`/api/flags/${FLAG}`);
    return environments.production.rollout_percent === 30;
  }, { within_ms: 40_000 });
  asking = false;
  await visitor;
  assert.ok(!seen.includes('old'), 'the visitor saw the same code all along');
  const atThirty = await whoIsIn(flags);
  for (const user of atTen) assert.ok(atThirty.has(user));
  await ana.post(`/api/flags/${FLAG}/switch`, { environment: 'production', enabled: false });
}
