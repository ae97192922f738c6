// What people do to deploys in a browser: read, approve, promote, abort, cancel, retry, lock, ride the train.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.mjs';
import { button, card, live, lockDialog, numberOf, status } from '../lib/deploy-page.mjs';
import { looking, openAsAna } from '../lib/look.mjs';
import { PASSWORD, Server } from '../lib/server.mjs';
import { HOSTS, Shop } from '../lib/shop.mjs';
import { until } from '../lib/wait.mjs';

const WIDTHS = { wide: { width: 1280, height: 900 }, narrow: { width: 390, height: 844 } };
const EXPECTS = { metrics: [{ query: 'sum(rate(shop_requests_total[1m]))', should: 'stay', by: 0.5 }], risks: ['the cache is cold at first'], signs: ['the queue grows'], contingency: 'roll back', after_s: 3600 };
const APPROVE = { approve: { count: 1 } };
const CANARY = { canary: { hosts: 1, hold_s: 600 } };
const HELD = { canary: { hosts: 1, hold_s: 1, check: { query: 'nothing_is_called_so', max: 1 } } };

let server;
let browser;
let shop;
let raj;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  shop = await Shop.open(server);
  raj = await server.person('raj', 'deployer');
  await shop.ship('Sell apples');
});
after(async () => {
  await browser?.close();
  await shop?.close();
  await server?.stop();
});

const open = (options) => openAsAna(browser, server, options);
const openAsRaj = () => open({ as: { login: 'raj', password: PASSWORD }, colorScheme: 'dark' });
const look = looking('deploys-');
const said = async (number) => (await server.ana.items(`/api/events?deploy=${number}&limit=100`)).map(({ text }) => text);

async function openDeploy(number, options) {
  const page = await open(options);
  await page.goto(`/deploys/${number}`);
  return page;
}

test('the page of a service says what would ship, how, and to whom it is known; approved by another, it ships', async () => {
  const sha = shop.commit('Sell pears', { author: 'mei', target: APPROVE, expects: EXPECTS });
  const page = await open();
  await page.goto('/deploys');
  await page.getByRole('link', { name: 'shop', exact: true }).first().click();
  await page.getByRole('heading', { level: 1, name: 'shop' }).waitFor();
  assert.equal(new URL(page.url()).pathname, '/deploys/shop');
  await card(page).getByText('Sell pears').waitFor();
  await card(page).getByText(/^mei/).waitFor();
  await card(page).getByText(sha.slice(0, 7)).first().waitFor();
  await card(page).getByRole('list', { name: 'What runs of shop in production' }).getByText('6 hosts on').waitFor();
  const plan = card(page).getByRole('list', { name: 'Plan' }).getByRole('listitem');
  assert.deepEqual((await plan.allInnerTexts()).map((text) => text.split('\n')[0]), ['Build', 'Stage', 'Approval', 'Promote']);
  const checklist = card(page).getByRole('list', { name: 'Before the click' });
  await checklist.getByLabel('the cache is cold at first').check();
  assert.equal(await checklist.getByRole('checkbox').count(), 4);
  await page.getByRole('region', { name: 'Last deploys' }).getByRole('row').nth(1).waitFor();
  await look(page, 'service');

  await button(page, 'Deploy shop to production').click();
  await page.waitForURL(/\/deploys\/\d+$/);
  const number = numberOf(page);
  await status(page, 'Awaits approval');
  assert.equal(await button(page, 'Approve').getAttribute('aria-disabled'), 'true');
  await page.getByText('You started it; somebody else approves.').waitFor();
  const now = page.getByRole('list', { name: 'Steps' }).locator('[aria-current="step"]');
  assert.match(await now.innerText(), /^Approval/);
  await page.getByRole('list', { name: 'Steps' }).getByText(/6 hosts/).first().waitFor();
  await look(page, 'approval');

  const other = await openAsRaj();
  await other.goto(`/deploys/${number}`);
  await button(other, 'Approve').click();
  await status(other, 'Succeeded');
  await page.getByText('1 of 1 approval').waitFor();
  await page.getByRole('region', { name: 'Expected' }).getByText('Not scored yet').waitFor();
  const tiles = page.getByRole('list', { name: 'Hosts of this deploy' }).getByRole('listitem');
  await until('every host is healthy on the page', async () => (await tiles.filter({ hasText: 'Healthy' }).count()) === HOSTS.length);
  await look(other, 'succeeded-dark');
  for (const one of [page, other]) await one.context().close();
});

test('a deploy that waits is cancelled with a reason, and tried again', async () => {
  shop.commit('Sell plums', { target: APPROVE });
  const number = await shop.deploy();
  const page = await openDeploy(number);
  await status(page, 'Awaits approval');
  await page.getByLabel('Reason', { exact: true }).fill('plums are not ripe');
  await button(page, 'Cancel').click();
  await status(page, 'Cancelled');
  assert.ok((await said(number)).some((text) => /Ana \(plums are not ripe\) cancelled/.test(text)), 'the reason is in the record');
  await button(page, 'Retry').click();
  await page.waitForURL((url) => !url.pathname.endsWith(`/${number}`));
  await status(page, 'Awaits approval');
  await raj.post(`/api/deploys/${numberOf(page)}/approve`);
  await status(page, 'Succeeded');
  await page.context().close();
});

test('a held deploy is sent back with a reason, another is let go on', async () => {
  shop.commit('Sell figs', { target: HELD });
  const first = await shop.deploy();
  const page = await openDeploy(first, { viewport: WIDTHS.narrow });
  await status(page, 'Held');
  await look(page, 'held-narrow');
  await page.getByLabel('Reason', { exact: true }).fill('nobody asked for figs');
  await button(page, 'Abort and roll back').click();
  await status(page, 'Rolled back');
  await page.getByRole('alert').getByText('nobody asked for figs').waitFor();
  await page.context().close();

  const second = await shop.deploy();
  const again = await openDeploy(second);
  await status(again, 'Held');
  await again.getByLabel('Reason', { exact: true }).fill('the graphs are fine');
  await again.keyboard.press('Tab');
  await again.keyboard.press('Enter');
  await status(again, 'Succeeded');
  assert.ok((await said(second)).some((text) => /Ana \(the graphs are fine\) let shop/.test(text)), 'the reason is in the record');

  await again.getByLabel('Reason', { exact: true }).fill('they were not ripe');
  await button(again, 'Roll back').click();
  await again.waitForURL((url) => !url.pathname.endsWith(`/${second}`));
  await again.getByRole('heading', { level: 1, name: `Rollback ${numberOf(again)} of shop to production` }).waitFor();
  await status(again, 'Succeeded');
  await again.getByRole('region', { name: 'Facts' }).getByText('they were not ripe').waitFor();
  await again.goto(`/deploys/${second}`);
  await status(again, 'Taken back');
  await again.context().close();
});

test('a canary is aborted before its time is over, and nothing is locked', async () => {
  shop.commit('Sell medlars', { target: CANARY });
  const number = await shop.deploy();
  const page = await openDeploy(number);
  await shop.reaches(number, 'canary');
  await page.getByLabel('Reason', { exact: true }).fill('medlars rot first');
  await button(page, 'Abort and roll back').click();
  await status(page, 'Rolled back');
  await page.getByRole('alert').getByText('medlars rot first').waitFor();
  assert.deepEqual(await server.ana.items('/api/locks'), [], 'a person sent it back and knows why');
  await page.context().close();
});

test('a lock stops the others, a freeze everybody, a pin every other commit', async () => {
  shop.commit('Sell dates');
  const [page, other] = [await open(), await openAsRaj()];
  for (const one of [page, other]) await one.goto('/deploys/shop');
  const locks = page.getByRole('list', { name: 'Locks of shop in production' }).getByRole('listitem');
  const end = async (name) => {
    await locks.getByRole('button', { name }).first().click();
    await until('it is over', async () => (await locks.count()) === 0);
  };

  await (await lockDialog(other, 'lock', 'counting the till')).getByRole('button', { name: 'Lock shop' }).click();
  await page.getByText('Locked by raj: counting the till').waitFor();
  await live(other, 'Deploy shop to production').waitFor();
  await end('Unlock');

  const dialog = await lockDialog(page, 'freeze', 'stocktaking');
  await dialog.getByLabel(/All services in production/).check();
  await dialog.getByLabel('Begins').fill('2099-12-20T00:00');
  await dialog.getByRole('button', { name: 'Freeze everything' }).click();
  await dialog.getByText('A freeze ends within 366 days.').waitFor();
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 16);
  await dialog.getByLabel('Begins').fill(tomorrow);
  await look(page, 'lock-dialog');
  await dialog.getByRole('button', { name: 'Freeze everything' }).click();
  await locks.getByText('Freeze to come').waitFor();
  await locks.getByText('all services').waitFor();
  await live(page, 'Deploy shop to production').waitFor();
  await end('End');

  const pinned = await lockDialog(page, 'pin', 'the next one drops a column');
  assert.match(await pinned.getByLabel('Commit, tag or branch').inputValue(), /^[0-9a-f]{12}$/, 'what runs is offered');
  await pinned.getByRole('button', { name: 'Pin shop' }).click();
  await page.getByText(/^Pinned to [0-9a-f]{7} by Ana: the next one/).waitFor();
  await look(page, 'locked');
  await end('End');
  await live(page, 'Deploy shop to production').waitFor();
  for (const one of [page, other]) await one.context().close();
});

test('two people ride the train: one holds it, both look and say good, and it is done', async () => {
  shop.commit('Sell grapes', { expects: EXPECTS });
  const [page, other] = [await open(), await openAsRaj()];
  for (const one of [page, other]) {
    await one.goto('/deploys/shop');
    await button(one, 'Join the train').click();
    await button(one, 'Leave').waitFor();
  }
  const train = (one) => one.getByRole('region', { name: 'Train of shop' });
  await train(page).getByText('Ana, raj').waitFor();
  await button(other, 'Hold').click();
  const dialog = other.getByRole('dialog', { name: 'Hold the train' });
  await dialog.getByLabel('Why').fill('lunch');
  await dialog.getByRole('button', { name: 'Hold' }).click();
  await train(page).getByText('raj holds it: lunch').waitFor();
  await look(page, 'train-held');
  await button(other, 'Let it go on').click();
  await train(page).getByText('raj holds it: lunch').waitFor({ state: 'detached' });

  await shop.reaches(await shop.deploy(), 'succeeded');
  for (const one of [page, other]) {
    await button(one, 'Graphs').click();
    await one.getByRole('list', { name: 'What to look at' }).getByText('shop_requests_total').waitFor();
    await train(one).getByText('the graphs are being drawn').waitFor({ state: 'detached' });
    await train(one).locator('canvas').first().waitFor();
    assert.equal(await train(one).locator('canvas').count(), EXPECTS.metrics.length, 'a graph for each of what is declared');
    await button(one, 'Good').click();
  }
  await train(page).getByText('Ana (good), raj (good)').waitFor();
  await button(page, 'Done').click();
  await button(page, 'Join the train').waitFor();
  for (const one of [page, other]) await one.context().close();
});

test('two wait in the queue, in order; a freeze holds it, one is taken out, and the other begins by itself', async () => {
  shop.commit('Sell quinces', { target: APPROVE });
  const first = await shop.deploy();
  await shop.reaches(first, 'awaiting_approval');
  const [page, other] = [await open(), await openAsRaj()];
  for (const one of [page, other]) await one.goto('/deploys/shop');
  const queue = (one) => one.getByRole('region', { name: 'Queue of shop to production' });
  const waiting = (one) => queue(one).getByRole('listitem');
  const shows = (what, one, wanted) => until(what, async () => {
    const texts = await waiting(one).allInnerTexts();
    return texts.length === wanted.length && wanted.every(([sha, name], at) => texts[at].includes(sha.slice(0, 7)) && texts[at].includes(name));
  });

  const anas = shop.commit('Sell sloes', { target: APPROVE });
  await live(page, 'Queue mine: shop for production').click();
  await shows('Ana waits', page, [[anas, 'Ana']]);
  const rajs = shop.commit('Sell hips', { target: APPROVE });
  await live(other, 'Queue mine: shop for production').click();
  for (const one of [page, other]) await shows('raj waits behind her', one, [[anas, 'Ana'], [rajs, 'raj']]);
  await queue(page).getByText(`waits for deploy ${first}, which is awaiting approval`).waitFor();
  await button(page, 'Queue mine: shop for production').waitFor({ state: 'detached' });
  await look(page, 'queue');

  await (await lockDialog(page, 'freeze', 'stocktaking')).getByRole('button', { name: 'Freeze shop' }).click();
  await page.getByRole('list', { name: 'Locks of shop in production' }).getByText('stocktaking').waitFor();
  await server.ana.post(`/api/deploys/${first}/cancel`);
  await queue(page).getByText(/waits for .*stocktaking/).waitFor();
  await queue(page).getByRole('button', { name: 'Take out raj' }).click();
  await shows('only Ana waits', other, [[anas, 'Ana']]);
  await live(other, 'Queue mine: shop for production').waitFor();
  const [{ number: newest }] = await server.ana.items('/api/deploys?limit=1');
  assert.equal(newest, first, 'nothing begins while it is frozen');

  await page.getByRole('list', { name: 'Locks of shop in production' }).getByRole('button', { name: 'End' }).click();
  const next = await until('the next begins', async () => {
    const [deploy] = await server.ana.items('/api/deploys?limit=1');
    return deploy.number > first && deploy;
  });
  assert.deepEqual([next.to_sha, next.actor_name], [anas, 'Ana']);
  await queue(page).waitFor({ state: 'detached' });
  await page.getByRole('link', { name: `Deploy ${next.number} by Ana` }).click();
  await status(page, 'Awaits approval');
  await raj.post(`/api/deploys/${next.number}/approve`);
  await status(page, 'Succeeded');
  for (const one of [page, other]) await one.context().close();
});
