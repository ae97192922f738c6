// The pages of graphs, as somebody works with them: ask, look closer, keep what was found, share it, take in what another product drew.
// Both themes, both widths, axe on each page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.mjs';
import { looking, openAsAna } from '../lib/look.mjs';
import { exponential, gauge, histogram, instants, send } from '../lib/otlp.mjs';
import { Server } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const NARROW = { width: 390, height: 844 };

/** Three graphs and a heatmap of each kind under one choice of several queues. */
const EDGE = {
  name: 'edge', title: 'Edge',
  variables: [{ name: 'queue', label: 'queue', of: 'queue_length', all: true, multi: true }, { name: 'window', values: ['1m', '5m'] }],
  panels: [
    { title: 'Length', queries: [{ expr: 'queue_length{queue="$queue"}', legend: '{{queue}}' }] },
    { title: 'Longest', queries: [{ expr: 'max_over_time(queue_length{queue=~"$queue"}[$window])', legend: '{{queue}} in $window' }] },
    { title: 'Slow', unit: 'seconds', exemplars: true, queries: [{ expr: 'histogram_quantile(0.9, sum by (le) (rate(answer_seconds_bucket[1m])))', legend: 'p90' }] },
    { title: 'Answers', unit: 'seconds', kind: 'heatmap', exemplars: true, queries: [{ expr: 'sum by (le) (rate(answer_seconds_bucket[1m]))' }] },
    { title: 'Waits', unit: 'seconds', kind: 'heatmap', queries: [{ expr: 'sum(rate(wait_seconds[1m]))' }] },
    { title: 'Numbers', kind: 'table', queries: [{ expr: 'queue_length{queue="$queue"}', legend: '{{queue}}' }] },
    { title: 'Sum', kind: 'stat', queries: [{ expr: 'sum(queue_length{queue="$queue"})', legend: 'all of them' }] },
  ],
};

let server;
let browser;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
  const token = (await server.ana.post('/api/tokens', { name: 'series', kind: 'metrics' })).secret;
  const times = instants(12);
  await send(server.ana.bearer(token), 'edge', [
    // The dot is a dot: a choice of `resize.x` is not one of `resizeyx`.
    gauge('queue_length', times, [[{ queue: 'mail' }, () => 5], [{ queue: 'resize.x' }, (at) => 10 + (at % 3)], [{ queue: 'resizeyx' }, () => 40]]),
    histogram('answer', times, [0.1, 0.5, 1], () => [3, 5, 2, 0], 0.7),
    exponential('wait', times, -4, 6, () => [0, 1, 4, 2, 0, 1], 0.6),
  ]);
  await server.ana.put('/api/dashboards/edge', EDGE);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const open = (options) => openAsAna(browser, server, options);
const look = looking('graphs-');

/** What is saved when somebody presses the button of this name. */
async function saved(page, name) {
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

const figureOf = (page, title) => page.getByRole('figure').filter({ has: page.getByRole('heading', { name: title, exact: true }) });
/** The graph has drawn what it asked for. */
const drawn = (page, title, words) => figureOf(page, title).getByText(words).first().waitFor({ state: 'attached' });
const param = (page, name) => new URL(page.url()).searchParams.getAll(name);

/** Into the editor as somebody types: it closes brackets and offers names by itself. */
async function type(page, label, text) {
  await page.getByRole('textbox', { name: label, exact: true }).click();
  await page.keyboard.type(text);
}

/** The names that the editor offers. */
const offered = (page) => page.locator('.cm-tooltip-autocomplete');

test('the explorer completes what is typed, runs it, and says what is wrong', async () => {
  const page = await open();
  await page.goto('/graphs/explore');
  await page.getByText('Nothing asked yet.').waitFor();
  await type(page, 'PromQL', 'queue_le');
  await offered(page).getByText('queue_length').waitFor();
  // For a moment after it opens the list takes no key, lest somebody who types accepts what they did not see.
  await until('the name is completed', async () => {
    if (await offered(page).isVisible()) await page.keyboard.press('Enter');
    return (await page.getByRole('textbox', { name: 'PromQL' }).textContent()) === 'queue_length';
  });
  await page.getByRole('button', { name: 'Run' }).click();
  await page.waitForURL(/expr=queue_length/);
  await drawn(page, 'queue_length', /queue=mail.*: now 5/);
  await page.getByRole('region', { name: 'Now' }).getByRole('cell', { name: '40' }).waitFor();
  await look(page, 'explore');

  // Enter runs it as well; what does not parse is pointed at.
  await page.getByRole('textbox', { name: 'PromQL' }).click();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.type('max(queue_length');
  await page.keyboard.press('End');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await drawn(page, 'max(queue_length)', /: now 40/);
  await page.goto('/graphs/explore?expr=max(');
  await figureOf(page, 'max(').locator('.chart-note').getByText(/unexpected/).waitFor();
  // The editor marks the place.
  await page.locator('.cm-lintRange-error, .cm-lintPoint-error').first().waitFor({ state: 'attached' });
  // That it was refused stands in the browser's console, as it should.
  for (const line of page.problems.splice(0)) assert.match(line, /status of 400.*max%28/);

  // A number alone is no series, and stands beside others all the same.
  await page.goto('/graphs/explore?expr=1%20%2B%201&expr=queue_length');
  await page.getByRole('region', { name: 'Now: 1 + 1' }).getByRole('cell', { name: '2', exact: true }).waitFor();
  await page.getByRole('textbox', { name: 'PromQL 2', exact: true }).waitFor();
  await page.getByRole('region', { name: 'Lines of 1 + 1, queue_length' }).getByRole('button', { name: /queue=mail/ }).click();
  await page.getByRole('button', { name: /queue=mail/, pressed: true }).waitFor();
  await look(page, 'several');
  await page.context().close();
});

test('any range is chosen by its ends, and a link opens the same one elsewhere', async () => {
  const page = await open();
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto('/graphs/explore?expr=queue_length');
  await drawn(page, 'queue_length', /now 5/);
  await page.getByRole('button', { name: 'From … to' }).click();
  const dialog = page.getByRole('dialog', { name: 'Range of time' });
  const zone = await page.evaluate(() => Intl.DateTimeFormat().resolvedOptions().timeZone);
  await dialog.getByText(`in ${zone}`).first().waitFor();
  await dialog.getByRole('textbox', { name: 'From' }).fill('noon');
  await dialog.getByRole('alert').getByText('“noon” is no instant').waitFor();
  await look(page, 'range');
  assert.equal(await dialog.getByRole('button', { name: 'Show' }).getAttribute('aria-disabled'), 'true');
  const to = Math.floor(Date.now() / 1000) - 60;
  await dialog.getByRole('textbox', { name: 'From' }).fill(String(to - 300));
  await dialog.getByRole('textbox', { name: 'To' }).fill(new Date(to * 1000).toISOString());
  await dialog.getByRole('button', { name: 'Show' }).click();
  await page.waitForURL(/from=/);
  assert.deepEqual([param(page, 'from'), param(page, 'to')], [[`${(to - 300) * 1000}`], [`${to * 1000}`]]);

  // Of a range that moves, the link keeps what is seen now.
  await page.getByRole('button', { name: '15 min' }).click();
  await page.getByRole('button', { name: 'Copy link to this moment' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  const link = new URL(await page.evaluate(() => navigator.clipboard.readText()));
  const ends = ['from', 'to'].map((name) => Number(link.searchParams.get(name)));
  assert.equal(ends[1] - ends[0], 15 * 60_000);
  assert.equal(link.searchParams.get('expr'), 'queue_length');
  const other = await open({ colorScheme: 'dark', viewport: NARROW });
  const asked = other.waitForRequest((request) => request.url().includes('/api/v1/query_range'));
  await other.goto(link.href);
  const query = new URL((await asked).url()).searchParams;
  for (const [name, end] of [['start', ends[0]], ['end', ends[1]]]) {
    const off = end / 1000 - Number(query.get(name));
    assert.ok(off >= 0 && off < Number(query.get('step')), `${name} is ${off} s before the link's`);
  }
  await drawn(other, 'queue_length', /now 5/);
  await look(other, 'link');
  for (const one of [page, other]) await one.context().close();
});

test('a dashboard is made, saved, changed and still there after a reload', async () => {
  const page = await open();
  await page.goto('/graphs');
  await page.getByRole('button', { name: 'New dashboard' }).click();
  await page.getByLabel('Name', { exact: true }).first().fill('queues');
  await page.getByLabel('Title', { exact: true }).fill('Queues');
  await page.getByRole('button', { name: 'Add a panel' }).click();
  const form = page.getByRole('dialog', { name: 'A new panel' });
  await form.getByLabel('Title', { exact: true }).fill('Waiting');
  await type(page, 'Query 1', 'queue_length');
  await offered(page).getByText('queue_length').waitFor();
  // Escape closes the offered names, not the form.
  await page.keyboard.press('Escape');
  await offered(page).waitFor({ state: 'detached' });
  await form.getByLabel('Legend').fill('{{queue}}');
  await form.getByLabel('Width').selectOption('2');
  await form.getByLabel('Exemplars').check();
  await form.getByRole('button', { name: 'Preview' }).click();
  await form.getByRole('figure').getByText(/mail: now 5/).waitFor({ state: 'attached' });
  await look(page, 'panel');
  await form.getByRole('button', { name: 'Keep' }).click();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.waitForURL(/\/graphs\/queues/);
  await drawn(page, 'Waiting', /mail: now 5/);
  const { panels: [panel] } = (await server.ana.items('/api/dashboards')).find(({ name }) => name === 'queues');
  assert.deepEqual([panel.width, panel.exemplars, panel.queries], [2, true, [{ expr: 'queue_length', legend: '{{queue}}' }]]);

  await page.getByRole('button', { name: 'Edit', exact: true }).click();
  await page.getByRole('button', { name: 'Change Waiting' }).click();
  const change = page.getByRole('dialog', { name: 'Panel: Waiting' });
  await change.getByLabel('Title', { exact: true }).fill('Waiting now');
  await change.getByLabel('Shown as').selectOption('top');
  await change.getByRole('button', { name: 'Keep' }).click();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('region', { name: 'Waiting now' }).getByText('resizeyx').waitFor();
  await page.reload();
  await page.getByRole('region', { name: 'Waiting now' }).getByText('resizeyx').waitFor();
  await look(page, 'dashboard');
  await page.context().close();
});

test('several values of a variable are ticked, and only their series are drawn', async () => {
  const page = await open();
  await page.goto('/graphs/edge');
  await drawn(page, 'Length', /mail: now 5.*resize\.x: now.*resizeyx: now 40/);
  await page.getByRole('button', { name: 'queue: all' }).click();
  await page.getByRole('menuitemcheckbox', { name: 'mail' }).click();
  await page.getByRole('menuitemcheckbox', { name: 'resize.x' }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'queue: mail, resize.x' }).waitFor();
  assert.deepEqual(param(page, 'var-queue'), ['mail', 'resize.x']);
  await drawn(page, 'Length', /mail: now 5, lowest 5, highest 5\. resize\.x: now [^.]*\.( Marked|$)/);
  await page.getByRole('region', { name: 'Numbers', exact: true }).getByRole('row', { name: /resize\.x/ }).waitFor();
  assert.equal(await page.getByRole('region', { name: 'Numbers', exact: true }).getByText('resizeyx').count(), 0);
  await page.getByLabel('window').selectOption('5m');
  await drawn(page, 'Longest', /resize\.x in 5m: now 12/);
  await page.reload();
  await page.getByRole('button', { name: 'queue: mail, resize.x' }).waitFor();
  assert.deepEqual(param(page, 'var-window'), ['5m']);
  await drawn(page, 'Length', /mail: now 5/);
  await look(page, 'variables');
  await page.context().close();
});

test('a dashboard has words, rows that fold, marks by a query, links and tables that sort', async () => {
  await server.ana.put('/api/dashboards/laid', {
    name: 'laid', title: 'Laid out', range: '1h', folded: ['Sums'],
    links: [{ title: 'The edge', to: '/graphs/edge', keeps_range: true }],
    marks: [{ name: 'Long queues', expr: 'queue_length > 20', title: '{{queue}} is long' }],
    panels: [
      { title: 'Read me', kind: 'text', text: '# Queues\nAsk **ana**.' },
      { title: 'Most', kind: 'stat', reduce: 'max', sparkline: true, words: [{ value: 40, text: 'full', level: 'critical' }], queries: [{ expr: 'max(queue_length)' }] },
      { title: 'Each', kind: 'table', columns: [{ name: 'queue', title: 'Queue' }, { name: 'value', title: 'Waiting' }], sort: { by: 'value', descending: true }, queries: [{ expr: 'queue_length' }] },
      { title: 'Lines', nulls: 'zero', queries: [{ expr: 'queue_length', legend: '{{queue}}' }] },
      { title: 'All', row: 'Sums', kind: 'stat', queries: [{ expr: 'sum(queue_length)' }] },
    ],
  });
  const page = await open();
  await page.goto('/graphs/laid');
  await page.getByRole('button', { name: '1 h', exact: true, pressed: true }).waitFor();
  await page.getByRole('region', { name: 'Read me', exact: true }).getByRole('heading', { name: 'Queues' }).waitFor();
  const most = page.getByRole('region', { name: 'Most', exact: true });
  await most.getByText('full').waitFor();
  await most.getByRole('img', { name: /highest 40/ }).waitFor();
  await drawn(page, 'Lines', /Marked: .*mark(s)? by/);

  const table = page.getByRole('region', { name: 'Each as a table' });
  const first = async () => (await table.getByRole('row').nth(1).getByRole('cell').first().textContent()) ?? '';
  await until('the longest comes first', async () => (await first()) === 'resizeyx');
  await table.getByRole('button', { name: 'Waiting' }).click();
  await until('the shortest comes first', async () => (await first()) === 'mail');
  assert.match((await saved(page, 'Save Each as csv')).bytes.toString(), /^Queue,Waiting/);

  await page.getByLabel('Long queues').uncheck();
  assert.deepEqual(param(page, 'mark'), ['-']);
  assert.equal(await page.getByRole('region', { name: 'All', exact: true }).count(), 0, 'what is folded is not there');
  await page.getByRole('button', { name: 'Sums', expanded: false }).click();
  await page.getByRole('region', { name: 'All', exact: true }).getByText(/^5[5-7]/).waitFor();
  await page.getByRole('button', { name: '15 min', exact: true }).click();
  assert.equal(await page.getByRole('link', { name: 'The edge' }).getAttribute('href'), '/graphs/edge?range=15m');
  await look(page, 'laid');
  await page.context().close();
});

test('a cursor over one graph stands in all, heatmaps among them', async () => {
  const page = await open();
  // A range that stands still: the clocks are read one after the other.
  const to = Date.now();
  await page.goto(`/graphs/edge?from=${to - 600_000}&to=${to}`);
  await drawn(page, 'Answers', /A histogram of 4 rows from 0 s to ∞/);
  await drawn(page, 'Waits', /A histogram of \d+ rows/);
  const clock = async (title) => /^\d\d:\d\d:\d\d/.exec(await figureOf(page, title).locator('.now').textContent())?.[0];
  for (const from of ['Slow', 'Answers']) {
    const over = figureOf(page, from).locator('.u-over');
    await over.hover({ position: { x: Math.round((await over.boundingBox()).width * 0.6), y: 40 } });
    const here = await until(`the pointer's instant stands over ${from}`, () => clock(from));
    for (const title of ['Length', 'Longest', 'Slow', 'Answers', 'Waits']) assert.equal(await clock(title), here, `${title}, from ${from}`);
  }
  // Of the heatmap the pointer is on, the row is told: the second of four from the top, with two observations each ten seconds.
  const answers = figureOf(page, 'Answers').locator('.u-over');
  const { width, height } = await answers.boundingBox();
  await answers.hover({ position: { x: width * 0.5, y: height * 0.375 } });
  await until('the row under the pointer is told', async () => /500 ms to 1 s: 0\.2/.test(await figureOf(page, 'Answers').locator('.now').textContent()));
  await page.context().close();
});

test('every panel is saved as what it is: pictures, numbers, or both', async () => {
  const page = await open({ colorScheme: 'dark' });
  await page.goto('/graphs/edge');
  await drawn(page, 'Length', /mail: now 5/);
  await drawn(page, 'Answers', /A histogram/);
  for (const [title, file] of [['Length', 'Length.png'], ['Answers', 'Answers.png'], ['Sum', 'Sum.png']]) {
    const { name, bytes } = await saved(page, `Save ${title} as png`);
    assert.equal(name, file);
    assert.deepEqual([...bytes.subarray(0, 8)], PNG, title);
    assert.ok(bytes.length > 1_000, `${title} is ${bytes.length} bytes`);
  }
  const numbers = await saved(page, 'Save Numbers as csv');
  assert.match(numbers.bytes.toString(), /^series,value\r\n[\s\S]*mail,5\r\n/);
  assert.equal(await page.getByRole('button', { name: 'Save Numbers as png' }).count(), 0, 'a table is numbers');

  await page.getByRole('button', { name: 'Show Length as a table' }).click();
  const table = page.getByRole('region', { name: 'Length as a table' });
  await table.getByRole('columnheader', { name: 'resize.x' }).waitFor();
  assert.ok((await table.getByRole('row').count()) > 20, 'a row for each instant');
  const csv = (await saved(page, 'Save Length as csv')).bytes.toString();
  assert.match(csv, /^time,mail,resize\.x,resizeyx\r\n\d{4}-\d\d-\d\dT[\d:.]+Z,/);
  await page.getByRole('button', { name: 'Show Answers as a table' }).click();
  await page.getByRole('region', { name: 'Answers as a table' }).getByRole('row', { name: /500 ms to 1 s/ }).waitFor();
  await look(page, 'tables');
  await page.getByRole('button', { name: 'Show Length as a graph' }).click();
  await page.getByRole('button', { name: 'Show Length as a table' }).waitFor();
  await page.context().close();
});

test('exemplars are drawn, open under the pointer, and stand in the table', async () => {
  const page = await open({ viewport: NARROW });
  await page.goto('/graphs/edge');
  await drawn(page, 'Slow', /p90: now/);
  const slow = figureOf(page, 'Slow');
  const over = slow.locator('.u-over');
  await over.scrollIntoViewIfNeeded();
  await until('a diamond is under the pointer', async () => {
    const { width, height } = await over.boundingBox();
    for (let x = width * 0.5; x < width; x += 4) {
      for (let y = 4; y < height; y += 6) {
        await over.hover({ position: { x, y }, force: true });
        if (await slow.locator('.u-over.on-point').count()) return true;
      }
    }
    return false;
  });
  await slow.locator('.chart-tip').getByText('700 ms').waitFor();
  await page.mouse.down();
  await page.mouse.up();
  const detail = slow.getByRole('group', { name: 'Exemplar', exact: true });
  await detail.getByText('trace_id').waitFor();
  assert.match(await detail.getByRole('link').getAttribute('href'), /^https:\/\/traces\.example\.org\/\d+$/);
  assert.deepEqual(param(page, 'from'), [], 'a press is no drag');
  await detail.getByRole('button', { name: 'Close the exemplar' }).click();
  await page.getByRole('button', { name: 'Show Slow as a table' }).click();
  await page.getByRole('region', { name: 'Exemplars of Slow' }).getByRole('link').first().waitFor();
  await look(page, 'exemplars');
  await page.goto('/graphs/explore?expr=rate(answer_seconds_count[1m])');
  const asked = page.waitForRequest((request) => request.url().includes('/api/v1/query_exemplars'));
  await page.getByRole('button', { name: 'Exemplars' }).click();
  await asked;
  await page.context().close();
});

test('a dashboard of Grafana is looked at with its report before it is taken', async () => {
  const page = await open();
  await page.goto('/graphs');
  await page.getByRole('button', { name: 'Import' }).click();
  const dialog = page.getByRole('dialog', { name: 'Import from Grafana' });
  const file = (text) => ({ name: 'board.json', mimeType: 'application/json', buffer: Buffer.from(text) });
  const field = dialog.getByLabel('Exported dashboard (JSON)');
  await field.setInputFiles(file('not JSON'));
  await dialog.getByText('The file is not JSON').waitFor();
  await field.setInputFiles(file(JSON.stringify({
    title: 'Mail / queue',
    templating: { list: [{ name: 'queue', type: 'query', query: 'label_values(queue_length, queue)', multi: true, includeAll: true }] },
    panels: [
      { type: 'timeseries', title: 'Length', gridPos: { y: 1 }, targets: [{ expr: 'queue_length{queue=~"$queue"}', legendFormat: '{{queue}}', exemplar: true }] },
      { type: 'text', title: 'Read me', gridPos: { y: 2 }, options: { mode: 'markdown', content: '' } },
      { type: 'stat', title: 'Odd', gridPos: { y: 3 }, targets: [{ expr: 'sum(' }] },
    ],
  })));
  await dialog.getByText('becomes').waitFor();
  const report = await dialog.getByRole('listitem').allTextContents();
  assert.equal(report.length, 2, report.join('\n'));
  assert.match(report[0], /`Read me` is left out: it has no words/);
  assert.match(report[1], /`Odd`: `sum\(` is left out/);
  assert.ok(!(await server.ana.items('/api/dashboards')).some(({ name }) => name === 'mail-queue'), 'looking makes nothing');
  await look(page, 'import');
  await dialog.getByRole('button', { name: 'Import' }).click();
  await page.waitForURL(/\/graphs\/mail-queue/);
  await drawn(page, 'Length', /mail: now 5/);
  await page.getByRole('button', { name: 'queue: all' }).waitFor();
  const made = (await server.ana.items('/api/dashboards')).find(({ name }) => name === 'mail-queue');
  assert.deepEqual([made.variables[0].multi, made.panels[0].exemplars, made.panels.length], [true, true, 1]);
  await page.context().close();
});
