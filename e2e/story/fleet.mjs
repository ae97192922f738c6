// 1. A real git repository, six hosts that run it as real processes, visitors, metrics, StatsD, a flag read over OFREP.
import assert from 'node:assert/strict';

import { openBrowser, openPage } from '../lib/browser.mjs';
import { Demo } from '../lib/demo.mjs';
import { figure } from '../lib/figures.mjs';
import { Irc } from '../lib/irc.mjs';
import { Photos } from '../lib/photos.mjs';
import { until } from '../lib/wait.mjs';

export const ESCALATE_AFTER_S = 15;

export async function start(scene) {
  const started = performance.now();
  scene.demo = await Demo.start({ args: ['--no-script', '--escalate-after-s', String(ESCALATE_AFTER_S)] });
  figure('empty folder to six hosts serving the first deploy', performance.now() - started);
  const { demo } = scene;
  scene.ana = demo.ana;
  scene.raj = await demo.visitor.signIn('raj', demo.about.password);
  scene.mei = await demo.visitor.signIn('mei', demo.about.password);
  scene.photos = new Photos(demo.about.repository);
  scene.browser = await openBrowser();
  scene.anaPage = await openPage(scene.browser, demo.url);
  scene.rajPage = await openPage(scene.browser, demo.url, { colorScheme: 'dark', as: { login: 'raj', password: demo.about.password } });
  assert.ok(demo.about.irc, 'ngircd runs');
  assert.ok(demo.about.mail, 'the mail server runs');
  scene.irc = await Irc.join(demo.about.irc.port, 'raj', demo.about.irc.channel);
}

/** The query's samples, as `[labels, number]`. */
export async function query(api, expression) {
  const { data } = await api.get(`/api/v1/query?query=${encodeURIComponent(expression)}`);
  return data.result.map(({ metric, value }) => [metric, Number(value[1])]);
}

export async function addresses(api) {
  const hosts = await api.items('/api/hosts');
  return Object.fromEntries(
    hosts.map((host) => [host.name, host.releases.find(({ state }) => state === 'running')?.address]),
  );
}

export async function lives({ ana }) {
  const at = await addresses(ana);
  assert.equal(Object.keys(at).length, 6);
  assert.equal(new Set(Object.values(at)).size, 6, 'each host has a port of its own');
  const healthy = await Promise.all(Object.values(at).map(async (address) => (await fetch(`http://${address}/healthz`)).json()));
  assert.ok(healthy.every(({ ok }) => ok));

  const up = await until('every process is scraped', async () => {
    const samples = await query(ana, 'up{service="photos"} == 1');
    return samples.length === 6 && samples;
  });
  assert.deepEqual(new Set(up.map(([labels]) => labels.host)), new Set(Object.keys(at)));
  await until('visitors come to every host', async () => {
    const rates = await query(ana, 'sum by (host) (rate(http_requests_total{service="photos"}[20s]))');
    return rates.length === 6 && rates.every(([, rate]) => rate > 1);
  });
  await until('uploads are counted over StatsD', async () => (await query(ana, 'photos_uploads > 0 or photos_uploads_total > 0')).length > 0);
}
