// What is read of deploys in a browser: the judge's evidence, hosts by the hundred, the log of a run, the log of all deploys.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.mjs';
import { looking, openAsAna } from '../lib/look.mjs';
import { Server } from '../lib/server.mjs';
import { HOSTS, Shop } from '../lib/shop.mjs';
import { until } from '../lib/wait.mjs';

const WIDTHS = { wide: { width: 1280, height: 900 }, narrow: { width: 390, height: 844 } };
const FLEET = 300;
const JUDGED = {
  canary: {
    hosts: 2, hold_s: 3,
    judge: { errors: { bad: 'shop_requests_total{service="$service",code="500"}', total: 'shop_requests_total{service="$service"}' }, negligible: 0.4, every_s: 1, max_s: 60 },
  },
};

let server;
let browser;
let shop;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  shop = await Shop.open(server);
  await shop.ship('Sell apples');
});
after(async () => {
  await browser?.close();
  await shop?.close();
  await server?.stop();
});

const open = (options) => openAsAna(browser, server, options);
const look = looking('deploy-pages-');
const hosts = (page) => page.getByRole('list', { name: 'Hosts of this deploy' }).getByRole('listitem');
const counts = (what, locator, wanted) => until(what, async () => (await locator.count()) === wanted);

test('a canary is judged on the page, with the evidence over time', async () => {
  const sha = shop.commit('Sell pears', { author: 'mei', target: JUDGED });
  const number = await shop.deploy();
  const page = await open();
  await page.goto(`/deploys/${number}`);
  const judge = page.getByRole('region', { name: 'The canary beside the others' });
  await judge.waitFor();
  await page.getByRole('list', { name: 'Steps' }).getByText(/judged by errors/).waitFor();
  await shop.reaches(number, 'succeeded', 90_000);
  await judge.getByText('Not worse', { exact: true }).waitFor();
  await judge.getByText(/0 of [\d,]+ failed \(0 %\)/).first().waitFor();
  await judge.getByRole('figure', { name: /Evidence/ }).waitFor();
  await judge.getByRole('button', { name: /table/ }).first().click();
  assert.ok((await judge.getByRole('row').count()) > 2, 'the evidence stands in the table too');
  await page.getByRole('link', { name: 'shop', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'shop' }).waitFor();
  await page.getByText(sha.slice(0, 7)).first().waitFor();
  await page.goBack();
  await judge.waitFor();
  await look(page, 'judged');
  await page.context().close();
});

test('hosts are narrowed by state and name, and the address says so', async () => {
  const [{ number }] = await server.ana.items('/api/deploys?limit=1');
  const page = await open();
  await page.goto(`/deploys/${number}`);
  await counts('all hosts are there', hosts(page), HOSTS.length);
  await page.getByRole('button', { name: 'Canary: 2 hosts' }).click();
  await counts('the canaries are there', hosts(page), 2);
  await page.getByRole('button', { name: `Healthy: ${HOSTS.length} hosts` }).click();
  await page.getByLabel('Name of a host').fill('host-3');
  await counts('one host is there', hosts(page), 1);
  await page.waitForURL((url) => url.searchParams.get('host_state') === 'healthy' && url.searchParams.get('host') === 'host-3');
  await page.reload();
  await page.getByText('1 of 6 hosts').waitFor();
  await page.getByLabel('Name of a host').fill('nowhere');
  await page.getByText('No host matches.').waitFor();
  await page.getByRole('button', { name: 'Show all' }).click();
  await counts('all hosts are there again', hosts(page), HOSTS.length);
  await page.context().close();
});

test('three hundred hosts stand on one page in both themes and widths', async () => {
  const [{ number }] = await server.ana.items('/api/deploys?limit=1');
  const deploy = await server.ana.get(`/api/deploys/${number}`);
  const [one] = deploy.hosts;
  const fleet = Array.from({ length: FLEET }, (_, at) => ({ ...one, host: `web-${at + 1}`, canary: at < 6, ...(at % 100 === 50 ? { state: 'failed', message: 'no room: 412 MB are needed, 80 MB are free' } : {}) }));
  for (const [colorScheme, width] of [['dark', 'wide'], ['light', 'narrow']]) {
    const page = await open({ colorScheme, viewport: WIDTHS[width] });
    // Only the hosts are others; all else is the server's answer.
    await page.route(`**/api/deploys/${number}`, (route) => route.fulfill({ json: { ...deploy, hosts: fleet } }));
    // The stream would tell of the server's own hosts.
    await page.route(`**/api/deploys/${number}/log?*`, (route) => route.fulfill({ contentType: 'text/event-stream', body: ': nothing\n\n' }));
    await page.goto(`/deploys/${number}`);
    await counts('every host is there', hosts(page), FLEET);
    await page.getByRole('list', { name: 'What hosts say' }).getByText('web-51, web-151, web-251').waitFor();
    await look(page, `fleet-${colorScheme}-${width}`);
    await page.getByRole('button', { name: 'Failed: 3 hosts' }).press('Enter');
    await counts('those that failed are there', hosts(page), 3);
    await hosts(page).first().getByText('no room').waitFor();
    await page.context().close();
  }
});

test('the log of a run is narrowed by host, stream and text, and a line has an address', async () => {
  const [{ number }] = await server.ana.items('/api/deploys?limit=1');
  const page = await open({ viewport: { width: 1280, height: 500 } });
  await page.goto(`/deploys/${number}`);
  const log = page.getByRole('log', { name: `Log of deploy ${number}` });
  await log.getByText('one line of output', { exact: true }).waitFor();
  await page.getByLabel('Stream of the log').selectOption('err');
  await log.getByText('one of errors', { exact: true }).waitFor();
  await counts('errors only', log.locator('.log-line'), 1);
  await page.getByLabel('Stream of the log').selectOption('');
  await page.getByLabel('Host of the log').selectOption('host-2');
  await log.getByText('one of errors', { exact: true }).waitFor({ state: 'detached' });
  assert.deepEqual(new Set(await log.locator('.host-name').allInnerTexts()), new Set(['host-2']));
  await page.getByLabel('Text in the log').fill('no such words');
  await log.getByText('No line matches.').waitFor();
  await page.goto(`/deploys/${number}?log_stream=tenfold&log=built`);
  await log.getByText(/^Built shop/).waitFor();
  await look(page, 'run-log');

  const line = log.locator('.log-line').filter({ hasText: 'Built shop' });
  await line.getByRole('link').click();
  await page.waitForURL((url) => url.searchParams.has('line'));
  const seq = new URL(page.url()).searchParams.get('line');
  await page.goto(`/deploys/${number}?line=${seq}`);
  const marked = log.locator('.log-line.marked');
  await marked.getByText(/^Built shop/).waitFor();
  const inside = () => marked.evaluate((element) => {
    const [own, box] = [element.getBoundingClientRect(), element.parentElement.getBoundingClientRect()];
    return own.top >= box.top && own.bottom <= box.bottom;
  });
  await until('the marked line is in sight', inside);
  await page.context().close();
});

test('the log of deploys is found by who, what, when and how it went, and the address keeps it', async () => {
  const sha = shop.commit('Sell plums', { author: 'zoe', target: { approve: { count: 1 } } });
  const waits = await shop.deploy();
  await shop.reaches(waits, 'awaiting_approval');
  const page = await open();
  await page.goto('/deploys');
  const section = page.getByRole('region', { name: 'Deploy log' });
  const numbers = async () => (await section.locator('tbody td:first-child').allInnerTexts()).map(Number);
  const shows = (what, wanted) => until(what, async () => JSON.stringify(await numbers()) === JSON.stringify(wanted));
  await shows('all deploys', [waits, 2, 1]);
  await section.getByLabel('State').selectOption('running');
  await shows('the one that waits', [waits]);
  await server.ana.post(`/api/deploys/${waits}/cancel`);
  await section.getByText('No deploy matches these filters.').waitFor();
  await section.getByLabel('State').selectOption('cancelled');
  await shows('the one that was cancelled', [waits]);
  await section.getByRole('button', { name: 'Clear' }).click();

  const back = await server.ana.post('/api/deploys/2/rollback', { reason: 'pears are out' });
  await shop.reaches(back.number, 'succeeded');
  await section.getByLabel('Kind').selectOption('rollback');
  await shows('the rollback', [back.number]);
  await section.getByText('Rollback of 2: pears are out').waitFor();
  await section.getByRole('button', { name: 'Clear' }).click();

  const type = async (label, text) => {
    await section.getByLabel(label).fill(text);
    await section.getByLabel(label).press('Enter');
  };
  await type('Commit', sha.slice(0, 8));
  await shows('the deploys of a commit', [waits]);
  await type('Commit', '');
  await type('Text', 'PEARS mei');
  await shows('the deploys with an author and a word', [2]);
  await type('Text', '');
  await type('Who', 'nobody');
  await section.getByText('No deploy matches these filters.').waitFor();
  await type('Who', 'ana');
  await section.getByLabel('Time').selectOption('24h');
  await shows('those of ana within a day', [back.number, waits, 2, 1]);
  assert.deepEqual([...new URL(page.url()).searchParams].sort(), [['actor', 'ana'], ['range', '24h']]);
  await section.getByLabel('Time').selectOption('between');
  await section.getByRole('search').getByLabel('To', { exact: true }).fill('2020-01-01T00:00');
  await section.getByText('No deploy matches these filters.').waitFor();
  await page.reload();
  await section.getByText('No deploy matches these filters.').waitFor();
  await look(page, 'filtered');
  await page.context().close();
});
