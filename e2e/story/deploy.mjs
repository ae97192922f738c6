// 2. A person presses Deploy, and everybody sees it: output in two browsers, hosts one by one, IRC, the room, every graph.
import assert from 'node:assert/strict';

import { figure } from '../lib/figures.mjs';
import { until } from '../lib/wait.mjs';
import { addresses } from './fleet.mjs';

const ANNOUNCED_WITHIN_MS = 2_000;

export const deployCard = (page) => page.getByRole('article', { name: 'photos in production' });
export const deployButton = (page) => page.getByRole('button', { name: 'Deploy photos to production' });

export function ended(api, number, within_ms = 90_000) {
  return until(`deploy ${number} ends`, async () => {
    const deploy = await api.get(`/api/deploys/${number}`);
    return deploy.finished_at && deploy;
  }, { within_ms });
}

/** Ana presses the button; returns the number of the deploy. */
export async function press(page) {
  await page.goto('/deploys');
  await deployButton(page).and(page.locator(':not([aria-disabled])')).click();
  await page.waitForURL(/\/deploys\/\d+$/);
  return Number(page.url().split('/').pop());
}

export async function ship(scene) {
  const { ana, anaPage, rajPage, irc, photos } = scene;
  const before = (await ana.get('/api/services/photos')).current.production.sha;
  const subjects = [photos.commitNext(), photos.commitNext()];

  // What will ship is on the page before anybody presses.
  await anaPage.goto('/deploys');
  const card = deployCard(anaPage);
  for (const subject of subjects) await card.getByText(subject).waitFor();
  await card.getByText(before.slice(0, 7)).first().waitFor();
  await card.getByText(photos.head().slice(0, 7)).first().waitFor();

  const since = irc.lines.length;
  const clicked = Date.now();
  await deployButton(anaPage).click();
  await anaPage.waitForURL(/\/deploys\/\d+$/);
  const number = Number(anaPage.url().split('/').pop());
  scene.goodDeploy = number;
  await rajPage.goto(`/deploys/${number}`);

  // The same lines in both browsers while the build still runs.
  for (const page of [anaPage, rajPage]) {
    const log = page.getByRole('log', { name: `Log of deploy ${number}` });
    await log.getByText('building photos at').waitFor();
    await log.getByText('tests passed').waitFor();
    await log.getByText(/dist\/ holds \d+ bytes/).waitFor();
  }

  // The canary first, the rest after it.
  const hosts = rajPage.getByRole('list', { name: 'Hosts of this deploy' }).getByRole('listitem');
  const canary = hosts.filter({ hasText: 'canary' });
  await canary.getByText('Healthy').waitFor({ timeout: 60_000 });
  figure('click to canary live, as seen on the page', Date.now() - clicked);
  const deploy = await ended(ana, number);
  figure('click to all six hosts live', Date.now() - clicked);
  assert.equal(deploy.state, 'succeeded', deploy.error);
  assert.equal(deploy.hosts.filter((host) => host.canary).length, 1);
  assert.deepEqual(new Set(deploy.hosts.map(({ state }) => state)), new Set(['healthy']));
  for (const page of [anaPage, rajPage]) {
    await page.getByRole('heading', { level: 1, name: `Deploy ${number} of photos to production` }).waitFor();
    const live = page.getByRole('list', { name: 'Hosts of this deploy' }).getByRole('listitem').filter({ hasText: 'Healthy' });
    await until('every host is healthy on the page', async () => (await live.count()) === 6);
  }

  // Who, what, when; and the hosts really run it.
  assert.equal(deploy.actor.id, 'ana');
  assert.equal(deploy.from_sha, before);
  assert.equal(deploy.to_sha, photos.head());
  assert.deepEqual(deploy.commits.map(({ message }) => message.split('\n')[0]).sort(), [...subjects].sort());
  for (const address of Object.values(await addresses(ana))) {
    assert.equal((await (await fetch(`http://${address}/healthz`)).json()).version, photos.head());
  }

  await announced(scene, number, since);
  await marked(scene, number);
}

/** One line in IRC within two seconds of the event, and the same in the room. */
async function announced({ ana, irc, rajPage }, number, since) {
  const [done] = await ana.items(`/api/events?kind=deploy.succeeded&correlation=deploy:${number}`);
  const said = await irc.sees(new RegExp(`PRIVMSG #ops :.*${number}.*`), { since });
  assert.match(said.line, /photos/);
  const end = await irc.sees(new RegExp(`PRIVMSG #ops :.*(?:${escaped(done.text)})`), { since });
  const late = end.at - Date.parse(done.recorded_at);
  figure('deploy.succeeded to its line in IRC', late);
  assert.ok(late < ANNOUNCED_WITHIN_MS, `the line came after ${late} ms`);
  const lines = irc.lines.slice(since).filter(({ line }) => line.includes(done.text));
  assert.equal(lines.length, 1, 'said once');
  await rajPage.goto('/console');
  await rajPage.getByRole('log', { name: 'The room' }).getByText(done.text).first().waitFor();
}

/** Nobody configured a marker, and every graph has it. */
async function marked({ ana, anaPage }, number) {
  const markers = await ana.items(`/api/markers?service=photos&from=${new Date(Date.now() - 600_000).toISOString()}&to=${new Date().toISOString()}`);
  assert.ok(markers.some(({ kind, subject }) => kind === 'deploy' && JSON.stringify(subject).includes(String(number))));
  await anaPage.goto('/graphs/photos');
  const graphs = anaPage.getByRole('figure');
  await until('every graph of the service says that a deploy is marked', async () => {
    const all = await graphs.count();
    return all >= 4 && (await graphs.filter({ hasText: /Marked: .*deploy/ }).count()) === all;
  });
}

export const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
