// The pages of alerts and of on-call, as somebody works with them: look why, mute, plan a maintenance, say whom a page asks, swap a shift,
// say what a page was for. Both themes, both widths, axe on each page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.mjs';
import { looking, openAsAna } from '../lib/look.mjs';
import { PASSWORD, Server } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const NARROW = { width: 390, height: 844 };
const HOUR_MS = 3_600_000;
const RULES = `groups:
- name: photos
  interval: 1s
  rules:
  - alert: UploadErrors
    expr: vector(9) > 5
    labels: {severity: critical, service: photos, team: web}
    annotations: {summary: Uploads fail, runbook_url: 'https://runbooks.example.org/uploads'}
  - alert: SlowUploads
    expr: vector(3) > 2
    labels: {severity: warning, service: photos, team: web}
    annotations: {summary: Uploads are slow, runbook_url: 'https://runbooks.example.org/uploads'}
`;

let server;
let browser;

before(async () => {
  server = await Server.start();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const open = (options) => openAsAna(browser, server, options);
const look = looking('alerts-');
const everyMute = () => server.ana.items('/api/mutes?all=true');
const told = (page, words) => page.getByRole('status').getByText(words).first().waitFor();

/** What is configured, and an incident of it. */
async function fill() {
  await server.person('raj', 'responder');
  await server.ana.put('/api/schedules/photos-primary', {
    timezone: 'UTC', layers: [{ name: 'days', rotation: { people: ['ana', 'raj'], start: '2026-01-05T09:00:00', shift_length: '1d' } }],
  });
  await server.ana.put('/api/policies/photos', { steps: [{ delay_ms: 300_000, targets: [{ kind: 'schedule', name: 'photos-primary' }] }], repeat: 0 });
  await server.ana.put('/api/rules/photos', { yaml: RULES });
  await until('an incident is open', async () => (await server.ana.items('/api/incidents?state=open')).length > 0);
  // The check joins it, so that the page counts for the rule.
  await server.ana.put('/api/checks/backup', { host: 'db1', service: 'photos', run: { passive: {} }, attempts: 1 });
  await server.ana.post('/api/checks/backup/result', { status: 'critical', output: 'the disk is full | used=98%' });
  await server.ana.put('/api/alert-sources/nightly', {
    kind: 'webhook', service: 'photos', map: { key: ['/host'], title: '/message', resolved: { path: '/state', values: ['ok'] } },
  });
}

test('empty pages teach the one next command', async () => {
  const page = await open();
  for (const [address, words] of [
    ['/alerts/mutes', 'Nothing is muted.'], ['/alerts/checks', 'There are no checks yet.'], ['/alerts/sources', 'Nobody else sends alerts here yet.'],
    ['/alerts/simulate', 'Who would be told, when, how and why.'],
    ['/alerts/noise', 'No rule paged anybody in this time.'], ['/on-call', 'There is no schedule yet.'],
  ]) {
    await page.goto(address);
    await page.getByText(words).waitFor();
    await look(page, `empty${address.replaceAll('/', '-')}`);
  }
  await page.context().close();
  await fill();
});

test('an alert says why people were told, and is muted by its own labels', async () => {
  const page = await open();
  // Whoever is woken sees who else was asked.
  await page.goto('/alerts');
  await page.getByRole('region', { name: 'photos' }).getByRole('link', { name: 'Uploads fail' }).first().click();
  await page.getByRole('region', { name: 'Pages' }).getByRole('listitem').first().waitFor();
  await page.goto('/alerts');
  await page.getByRole('link', { name: 'Uploads are slow' }).click();
  const why = page.getByRole('region', { name: 'Why' });
  await why.getByText('Route: Goes on').first().waitFor();
  await page.getByRole('region', { name: 'Facts' }).getByText('https://runbooks.example.org/uploads').waitFor();
  await look(page, 'alert');
  await page.getByRole('link', { name: 'What if…' }).click();
  await page.getByRole('region', { name: 'Who is told within a day' }).waitFor();
  await page.getByRole('region', { name: 'What is decided' }).getByText('Route: Goes on').first().waitFor();
  await look(page, 'alert-what-if');
  await page.goBack();
  await page.getByRole('button', { name: 'Mute…' }).click();
  const dialog = page.getByRole('dialog', { name: 'New mute' });
  assert.match(await dialog.getByLabel('Matchers').inputValue(), /alertname="SlowUploads".*service="photos"/);
  await dialog.getByText('firing').waitFor();
  assert.equal(await dialog.getByRole('link').count(), 1, 'it covers this one alert');
  await dialog.getByLabel('Reason').fill('racks are moved');
  await look(page, 'mute-one');
  await dialog.getByRole('button', { name: 'Mute', exact: true }).click();
  await told(page, 'Muted.');
  await page.getByRole('region', { name: 'Facts' }).getByRole('link', { name: /^mute \d+$/ }).waitFor();
  const [mute] = await everyMute();
  assert.deepEqual([mute.kind, mute.reason, mute.state], ['silence', 'racks are moved', 'active']);
  await page.context().close();
});

test('a maintenance is planned by days and hours, seen before and after, changed and ended', async () => {
  const page = await open();
  await page.goto('/alerts/mutes');
  await page.getByRole('row', { name: /Active.*silence.*SlowUploads/ }).waitFor();
  await page.getByRole('button', { name: 'New mute' }).click();
  const dialog = page.getByRole('dialog', { name: 'New mute' });
  await dialog.getByLabel('Kind').selectOption('maintenance');
  await dialog.getByLabel('Matchers').fill('service="db"');
  await dialog.getByLabel('Reason').fill('vacuum');
  await dialog.getByLabel('sat').check();
  await dialog.getByLabel('From').fill('22:00');
  await dialog.getByLabel('To', { exact: true }).fill('04:00');
  assert.match(await dialog.getByLabel('As text').inputValue(), /^sat sun 22:00-04:00 \S+$/);
  await dialog.getByText(/^and \d+ more$/).waitFor();
  await dialog.getByText('no alert that is active').waitFor();
  await dialog.getByLabel('As text').fill('now and then');
  await dialog.getByRole('alert').getByText('`now` says no time').waitFor();
  await dialog.getByLabel('As text').fill('00:00-24:00');
  await dialog.getByRole('alert').waitFor({ state: 'detached' });
  // The browser tells of each answer that is a refusal; these were asked for.
  for (const line of page.problems.splice(0)) assert.match(line, /status of 4\d\d.*mutes\/preview/);
  await look(page, 'maintenance');
  await dialog.getByRole('button', { name: 'Mute', exact: true }).click();
  await told(page, 'Muted.');
  const calendar = page.getByRole('list', { name: /^Mutes from/ });
  assert.equal(await calendar.getByRole('listitem').count(), 28);
  await calendar.getByRole('button', { name: /service="db"/ }).nth(1).waitFor();

  await page.getByRole('button', { name: 'Edit the mute of service="db"' }).click();
  const edit = page.getByRole('dialog', { name: /^Edit mute/ });
  await edit.getByLabel('Kind').selectOption('downtime');
  await edit.getByLabel('Ends').selectOption({ label: 'after 4 h' });
  await edit.getByText(/–/).first().waitFor();
  await edit.getByRole('button', { name: 'Save' }).click();
  await told(page, /stands for mute/);
  const [db] = (await everyMute()).filter(({ kind }) => kind === 'downtime');
  assert.ok(Math.abs(Date.parse(db.expires_at) - Date.now() - 4 * HOUR_MS) < 60_000, db.expires_at);

  await page.getByRole('row', { name: /Active.*downtime/ }).waitFor();
  await page.getByRole('button', { name: 'End now: the mute of service="db"' }).click();
  await told(page, 'The mute is over.');
  await page.getByRole('row', { name: /downtime/ }).waitFor({ state: 'detached' });
  await page.getByLabel('with those that are over').check();
  await page.getByRole('row', { name: /Over.*downtime/ }).waitFor();
  await page.waitForURL(/over=1/);
  await page.reload();
  await page.getByRole('row', { name: /Over.*downtime/ }).waitFor();
  await page.getByRole('button', { name: 'Later' }).click();
  await page.waitForURL(/from=\d{4}-\d\d-\d\d/);
  await page.context().close();

  for (const colorScheme of ['light', 'dark']) {
    for (const [width, viewport] of [['wide', undefined], ['narrow', NARROW]]) {
      const other = await open({ colorScheme, ...(viewport ? { viewport } : {}) });
      await other.goto('/alerts/mutes?over=1');
      await other.getByRole('list', { name: /^Mutes from/ }).waitFor();
      await look(other, `mutes-${colorScheme}-${width}`);
      await other.context().close();
    }
  }
});

test('a policy is made by form, and says whom it would page now', async () => {
  const page = await open();
  await page.goto('/on-call');
  await page.getByRole('button', { name: 'New policy' }).click();
  const dialog = page.getByRole('dialog', { name: 'New escalation policy' });
  await dialog.getByLabel('Name').fill('web');
  await dialog.getByRole('button', { name: 'Add a target' }).click();
  await dialog.getByLabel('Target 2 of step 1, who').selectOption('person:raj');
  await dialog.getByLabel('one of them, in turn').check();
  await dialog.getByRole('button', { name: 'Add a step' }).click();
  await dialog.getByLabel('Target 1 of step 2, place').selectOption('1');
  await dialog.getByLabel('whoever just deployed the service comes first').check();
  const save = dialog.getByRole('button', { name: 'Save' });
  assert.equal(await save.isDisabled(), true, 'it is looked at first');
  await dialog.getByRole('button', { name: 'Preview' }).click();
  await dialog.getByText('the deployer, for 5 min').waitFor();
  await dialog.getByText('after 5 min').first().waitFor();
  await look(page, 'policy');
  await save.click();
  await told(page, 'web is saved.');
  const made = (await server.ana.items('/api/policies')).find(({ name }) => name === 'web');
  assert.deepEqual(made, {
    name: 'web', repeat: 1, deployer_first: { within_ms: 1_800_000, delay_ms: 300_000 },
    steps: [
      { delay_ms: 300_000, targets: [{ kind: 'schedule', name: 'photos-primary' }, { kind: 'person', name: 'raj' }], round_robin: true },
      { delay_ms: 300_000, targets: [{ kind: 'schedule', name: 'photos-primary', offset: 1 }] },
    ],
  });
  await page.getByRole('button', { name: 'Edit the policy web' }).click();
  const edit = page.getByRole('dialog', { name: 'Edit web' });
  await edit.getByRole('button', { name: 'Remove step 2' }).click();
  await edit.getByRole('button', { name: 'Preview' }).click();
  await edit.getByText('nobody else is asked').waitFor();
  await edit.getByRole('button', { name: 'Save' }).click();
  // The notice of the first time may still be there.
  const steps = async () => (await server.ana.items('/api/policies')).find(({ name }) => name === 'web').steps.length;
  await until('it has one step', async () => (await steps()) === 1);
  await page.context().close();
});

test('a schedule is made by form, with somebody who learns', async () => {
  const page = await open({ colorScheme: 'dark' });
  await page.goto('/on-call');
  await page.getByRole('button', { name: 'New schedule' }).click();
  const dialog = page.getByRole('dialog', { name: 'New schedule' });
  await dialog.getByLabel('Name', { exact: true }).first().fill('web-primary');
  await dialog.getByLabel('People, in their order').fill('ana');
  await dialog.getByRole('button', { name: 'Add a shadow' }).click();
  await dialog.getByRole('group', { name: /^Shadow 1/ }).getByLabel('Who').fill('raj');
  await dialog.getByRole('button', { name: 'Preview 90 days' }).click();
  const save = dialog.getByRole('button', { name: 'Save' });
  await until('it may be saved', () => save.isEnabled());
  await look(page, 'schedule');
  await save.click();
  await told(page, 'web-primary is made.');
  const made = (await server.ana.items('/api/schedules')).find(({ name }) => name === 'web-primary');
  assert.deepEqual(made.plan.shadows, [{ person: 'raj' }]);
  await page.context().close();
});

test('overrides: who is free is suggested, one stands in for another, other people have all of it', async () => {
  const page = await open();
  await page.goto('/on-call');
  const section = page.getByRole('region', { name: 'photos-primary', exact: true });
  await section.getByRole('button', { name: 'Add an override' }).click();
  const dialog = page.getByRole('dialog', { name: 'Override for photos-primary' });
  await dialog.getByRole('button', { name: 'Suggest somebody' }).click();
  await dialog.getByText('free then, rested').waitFor({ state: 'detached' });
  await dialog.getByLabel('Who', { exact: true }).selectOption('raj');
  await dialog.getByLabel('Instead of').selectOption('ana');
  await look(page, 'override');
  await dialog.getByRole('button', { name: 'Add the override' }).click();
  await told(page, 'raj stands in.');
  await section.getByRole('cell', { name: 'raj for ana', exact: true }).waitFor();
  await section.getByRole('button', { name: 'Remove the override: raj for ana' }).click();
  await told(page, 'The override is removed.');

  await section.getByRole('button', { name: 'Add an override' }).click();
  await dialog.getByLabel('What').selectOption('temporary');
  await dialog.getByRole('button', { name: 'Add a shift' }).click();
  const end = await dialog.getByRole('group', { name: 'Shift 2' }).getByLabel('Until').inputValue();
  await dialog.getByLabel(/^Until \(/).fill(end);
  await dialog.getByRole('group', { name: 'Shift 2' }).getByLabel('Who').selectOption('raj');
  await dialog.getByRole('button', { name: 'Add the override' }).click();
  await told(page, 'The temporary schedule holds.');
  await section.getByRole('cell', { name: 'a temporary schedule', exact: true }).waitFor();
  await section.getByRole('button', { name: 'Remove the override: a temporary schedule' }).click();
  await section.getByRole('cell', { name: 'a temporary schedule', exact: true }).waitFor({ state: 'detached' });
  await page.context().close();
});

test('a swap is asked for by one and accepted by the other', async () => {
  const ana = await open();
  await ana.goto('/on-call');
  const section = ana.getByRole('region', { name: 'photos-primary', exact: true });
  await section.getByRole('button', { name: 'Swap a shift' }).click();
  const dialog = ana.getByRole('dialog', { name: /^Swap a shift/ });
  await dialog.getByLabel('For').waitFor();
  await look(ana, 'swap');
  await dialog.getByRole('button', { name: 'Ask' }).click();
  await told(ana, 'raj is asked.');
  const raj = await open({ as: { login: 'raj', password: PASSWORD }, viewport: NARROW });
  await raj.goto('/on-call');
  await raj.getByRole('button', { name: /^Accept swap/ }).click();
  await told(raj, 'The shifts have changed hands.');
  await look(raj, 'on-call-narrow');
  await ana.getByRole('region', { name: 'Swaps that wait' }).waitFor({ state: 'detached' });
  const [schedule] = (await server.ana.items('/api/schedules')).filter(({ name }) => name === 'photos-primary');
  assert.ok(schedule.overrides.length >= 1, 'what was swapped stands in the schedule');
  await look(ana, 'on-call');
  for (const page of [ana, raj]) await page.context().close();
});

test('what a page was for is said by one key, counts for the rule, and a quieter draft is tried on the past', async () => {
  const page = await open();
  await page.goto('/incidents/1');
  await page.getByRole('region', { name: 'What were the pages for?' }).waitFor();
  await page.keyboard.press('7');
  await told(page, 'no action: threshold');
  await page.getByRole('button', { name: /no action: threshold/, pressed: true }).waitFor();
  await look(page, 'incident');
  await page.goto('/alerts/noise');
  await page.getByRole('region', { name: 'web' }).getByRole('row', { name: /UploadErrors/ }).waitFor();
  await look(page, 'noise');
  await page.getByRole('button', { name: 'Draft a quieter UploadErrors' }).click();
  const drafts = page.getByRole('dialog', { name: 'Quieter drafts of UploadErrors' });
  await drafts.getByRole('cell', { name: 'as it is' }).waitFor();
  assert.ok((await drafts.getByRole('row').count()) >= 3, 'the head, the rule and at least one draft');
  await look(page, 'drafts');
  await page.context().close();
});

test('checks, one of them, sources and rules', async () => {
  const page = await open({ colorScheme: 'dark', viewport: NARROW });
  await page.goto('/alerts/checks?state=problem');
  await page.getByText('the disk is full').waitFor();
  await look(page, 'checks-narrow');
  await page.getByRole('link', { name: 'backup' }).click();
  await page.getByRole('region', { name: 'Said' }).getByText('the disk is full').waitFor();
  await page.getByText('its results are sent from outside').waitFor();
  await look(page, 'check-narrow');
  await server.ana.put('/api/rules/bare', { yaml: 'groups: [{name: bare, rules: [{alert: Bare, expr: "vector(1) > 2"}]}]' });
  for (const [address, words] of [['/alerts/sources', 'nightly'], ['/alerts/rules', 'has no runbook'], ['/alerts', 'Uploads fail']]) {
    await page.goto(address);
    await page.getByText(words).first().waitFor();
    await look(page, `${address.slice(1).replaceAll('/', '-')}-narrow`);
  }
  await page.context().close();
});
