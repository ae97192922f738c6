// The pages of flags, as somebody works with them: make one, say who gets it, try it out, switch it on, kill it, look back.
// Both themes, both widths, axe on each page; then five thousand flags, which must not be slower to work with than five.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser } from '../lib/browser.mjs';
import { figure } from '../lib/figures.mjs';
import { looking, openAsAna } from '../lib/look.mjs';
import { Server } from '../lib/server.mjs';
import { until } from '../lib/wait.mjs';

const WIDTHS = { wide: { width: 1280, height: 900 }, narrow: { width: 390, height: 844 } };
const MANY = 5_000;

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
const look = looking('');

const flagOf = (key) => server.ana.get(`/api/flags/${key}`);
const saved = (page) => page.getByRole('region', { name: 'Unsaved changes' }).waitFor({ state: 'detached' });

test('an empty page teaches the first command, and the dialog explains the kinds', async () => {
  const page = await open();
  await page.goto('/flags');
  await page.getByText('tenfold flag create new_checkout').waitFor();
  await look(page, 'empty');
  await page.getByRole('button', { name: 'New flag' }).click();
  const dialog = page.getByRole('dialog', { name: 'New flag' });
  await dialog.getByLabel('Key').fill('new checkout');
  await dialog.getByText('cannot stand in a key').waitFor();
  await dialog.getByText('Turns a part off at once when it hurts').waitFor();
  await look(page, 'create');
  await dialog.getByLabel('Key').fill('new_checkout');
  await dialog.getByLabel('Description').fill('The checkout in one page');
  await dialog.getByRole('button', { name: 'Make the flag' }).click();
  await page.getByRole('heading', { level: 1, name: 'new_checkout' }).waitFor();
  const flag = await flagOf('new_checkout');
  assert.deepEqual([flag.kind, flag.owner, flag.description], ['release', 'ana', 'The checkout in one page']);
  assert.ok(Object.values(flag.environments).every(({ enabled }) => !enabled), 'off everywhere');
  await page.context().close();
});

test('strategies are edited by form, previewed before they are saved, and refused in the server\'s words at the field', async () => {
  await server.ana.put('/api/segments/1', { name: 'beta testers', constraints: [{ contextName: 'plan', operator: 'IN', values: ['beta'] }] });
  const page = await open();
  await page.goto('/flags/new_checkout');
  await page.getByRole('button', { name: 'Add a strategy' }).click();
  const first = page.getByRole('region', { name: 'Strategy 1' });
  await first.getByLabel('Per cent').fill('100');
  await first.getByRole('button', { name: 'Add a constraint' }).click();
  const constraint = first.getByRole('group', { name: 'Constraint 1' });
  await constraint.getByLabel('Field').fill('version');
  await constraint.getByLabel('Operator').selectOption('SEMVER_GTE');
  await constraint.getByLabel('Version').fill('2.0');
  await constraint.getByText('is not a version like 1.2.3').waitFor();
  const save = page.getByRole('region', { name: 'Unsaved changes' }).getByRole('button', { name: 'Save', exact: true });
  assert.equal(await save.getAttribute('aria-disabled'), 'true', 'what would be refused is not sent');
  await constraint.getByLabel('Version').fill('2.0.0');
  await first.getByLabel('Add a segment to strategy 1').selectOption({ label: 'beta testers' });

  // Who gets it: the saved definition is for everybody once on, the edited one asks for a version and a plan.
  await page.getByLabel('Context').fill('userId=42 version=1.9.0 plan=beta');
  const edited = page.getByRole('region', { name: 'As edited' });
  await edited.getByRole('listitem').getByText('version is at least version 2.0.0').waitFor();
  await page.getByRole('region', { name: 'As saved' }).getByText('the flag is off in this environment').waitFor();
  await look(page, 'edit');

  // A reload loses nothing.
  await page.reload();
  await page.getByRole('heading', { name: 'Your unsaved edit is back' }).waitFor();
  await page.getByRole('list', { name: 'What will change' }).getByText('strategy 1, only if version is at least version 2.0.0').waitFor();
  await save.click();
  await saved(page);
  const { strategies } = (await flagOf('new_checkout')).environments.production;
  const [{ contextName, operator, value, inverted }] = strategies[0].constraints;
  assert.deepEqual([contextName, operator, value, inverted], ['version', 'SEMVER_GTE', '2.0.0', false]);
  assert.deepEqual([strategies[0].segments, strategies[0].parameters.rollout], [[1], '100']);
  await page.context().close();
});

test('every operator can be chosen, filled and saved', async () => {
  await server.ana.put('/api/flags/operators', { description: 'all of them' });
  const page = await open();
  await page.goto('/flags/operators');
  await page.getByRole('button', { name: 'Add a strategy' }).click();
  const strategy = page.getByRole('region', { name: 'Strategy 1' });
  await strategy.getByRole('button', { name: 'Add a constraint' }).click();
  const names = await strategy.getByLabel('Operator').locator('option').evaluateAll((options) => options.map(({ value }) => value));
  assert.equal(names.length, 19);
  for (const [index, name] of names.entries()) {
    if (index > 0) await strategy.getByRole('button', { name: 'Add a constraint' }).click();
    const constraint = strategy.getByRole('group', { name: `Constraint ${index + 1}`, exact: true });
    await constraint.getByLabel('Field').fill('field');
    await constraint.getByLabel('Operator').selectOption(name);
    if (name.startsWith('NUM_')) await constraint.getByLabel('Number').fill('18.5');
    else if (name.startsWith('SEMVER_')) await constraint.getByLabel('Version').fill('1.2.3');
    else if (name.startsWith('DATE_')) await constraint.getByLabel('Instant').fill('2027-01-31T12:30:00');
    else if (name === 'REGEX') await constraint.getByLabel('Expression').fill('^beta-');
    else if (name === 'IN_CIDR') await constraint.getByLabel('Addresses').fill('10.0.0.0/8');
    else await constraint.getByLabel('Values').fill('DE\nAT');
    if (index % 2) await constraint.getByLabel('inverted').check();
    if (name.startsWith('STR_') || name === 'REGEX') await constraint.getByLabel('in any case').check();
  }
  await look(page, 'operators');
  await page.getByRole('region', { name: 'Unsaved changes' }).getByRole('button', { name: 'Save', exact: true }).click();
  await saved(page);
  const { constraints } = (await flagOf('operators')).environments.production.strategies[0];
  assert.deepEqual(constraints.map(({ operator }) => operator), names);
  assert.deepEqual(constraints.map(({ inverted }) => inverted), names.map((_, index) => index % 2 === 1));
  assert.equal(constraints.find(({ operator }) => operator === 'DATE_AFTER').value, '2027-01-31T12:30:00Z');
  assert.deepEqual(constraints.find(({ operator }) => operator === 'STR_CONTAINS'), { contextName: 'field', operator: 'STR_CONTAINS', values: ['DE', 'AT'], inverted: constraints.find(({ operator }) => operator === 'STR_CONTAINS').inverted, caseInsensitive: true });
  await page.context().close();
});

test('variants share a hundred per cent, carry typed values, and people always get theirs', async () => {
  await server.ana.put('/api/flags/upload_limit', { description: 'Megabytes', value_type: 'int', kind: 'operational' });
  const page = await open();
  await page.goto('/flags/upload_limit');
  const variants = page.getByRole('group', { name: 'Variants in production' });
  for (let n = 0; n < 3; n += 1) await variants.getByRole('button', { name: 'Add a variant' }).click();
  const values = { a: '10', b: '50', c: '100' };
  for (const [name, value] of Object.entries(values)) await variants.getByRole('group', { name: `Variant ${name}` }).getByLabel('Value (int)').fill(value);
  await variants.getByRole('group', { name: 'Variant a' }).getByLabel('Share').fill('60');
  await variants.getByRole('group', { name: 'Variant c' }).getByRole('button', { name: 'Always give it to some' }).click();
  await variants.getByRole('group', { name: 'Variant c' }).getByLabel('Values').fill('42');
  await page.getByLabel('Answer while off').fill('5');
  await page.getByRole('region', { name: 'Unsaved changes' }).getByRole('button', { name: 'Save', exact: true }).click();
  await saved(page);
  const state = (await flagOf('upload_limit')).environments.production;
  assert.equal(state.variants.reduce((sum, { weight }) => sum + weight, 0), 1000);
  assert.deepEqual(state.variants.map(({ value }) => value), [10, 50, 100]);
  assert.deepEqual([state.variants[0].weight, state.off_value], [600, 5]);

  // Switching on in production is asked once; then the preview says what 42 gets.
  await page.getByRole('switch', { name: 'upload_limit in production' }).click();
  await page.getByRole('dialog', { name: 'Switch upload_limit on in production?' }).getByRole('button', { name: 'Switch on' }).click();
  await until('it is on', async () => (await flagOf('upload_limit')).environments.production.enabled);
  await page.getByRole('region', { name: 'Now' }).getByText('the variant is c').waitFor();
  await page.getByRole('button', { name: 'How many of a list of ids?' }).click();
  await page.getByRole('button', { name: 'Try 1,000 made-up ids' }).click();
  await page.getByRole('group', { name: 'Of these ids' }).getByText(/a \d{3} \(\d\d.*%\)/).waitFor();
  await look(page, 'variants');
  await page.context().close();
});

test('a change by somebody else is seen, and nothing of either is lost', async () => {
  const mei = await server.person('mei', 'deployer');
  const page = await open();
  await page.goto('/flags/new_checkout');
  await page.getByRole('region', { name: 'Strategy 1' }).getByLabel('Per cent').fill('25');
  await page.getByRole('heading', { name: 'Not saved yet' }).waitFor();
  await mei.put('/api/flags/new_checkout', { description: 'The checkout, in one page' });
  await page.getByText('mei changed this flag').waitFor();
  await page.getByRole('list', { name: 'What they changed' }).getByText('description: The checkout, in one page').waitFor();
  await look(page, 'conflict');
  await page.getByRole('button', { name: 'Put mine on top' }).click();
  await page.getByRole('region', { name: 'Unsaved changes' }).getByRole('button', { name: 'Save', exact: true }).click();
  await saved(page);
  const flag = await flagOf('new_checkout');
  assert.equal(flag.description, 'The checkout, in one page');
  assert.equal(flag.environments.production.strategies[0].parameters.rollout, '25');
  await page.context().close();
});

for (const colorScheme of ['dark', 'light']) {
  for (const [width, viewport] of Object.entries(WIDTHS)) {
    test(`switch, kill with a reason, history: ${colorScheme}, ${width}`, async () => {
      const page = await open({ colorScheme, viewport });
      await page.goto('/flags/new_checkout');
      const toggle = page.getByRole('switch', { name: 'new_checkout in production' });
      await toggle.click();
      await page.getByRole('button', { name: 'Switch on', exact: true }).click();
      await page.getByRole('switch', { name: 'new_checkout in production', checked: true }).waitFor();
      await look(page, `flag-${colorScheme}-${width}`);

      // A kill is one press, whatever stands in the field for the reason.
      await page.getByLabel('Reason for switching in production').fill(`orders fail (${colorScheme}, ${width})`);
      await toggle.click();
      await page.getByRole('switch', { name: 'new_checkout in production', checked: false }).waitFor();
      assert.equal((await flagOf('new_checkout')).environments.production.enabled, false);
      const said = `ana switched new_checkout off in production: orders fail (${colorScheme}, ${width})`;
      await page.getByRole('region', { name: 'History' }).getByText(said).waitFor();

      for (const [name, path] of [['list', '/flags'], ['segments', '/flags/-/segments']]) {
        await page.goto(path);
        await page.getByRole('navigation', { name: 'Flag pages' }).waitFor();
        await page.getByText(name === 'list' ? 'upload_limit' : 'plan is one of beta').first().waitFor();
        await look(page, `${name}-${colorScheme}-${width}`);
      }
      await page.context().close();
    });
  }
}

test('projects, ranks and offers are given at birth; the list filters by project and marks what runs and waits', async () => {
  const { ana } = server;
  await ana.put('/api/flag-projects/photos', { description: 'What the photo service asks' });
  await ana.put('/api/flags/elsewhere', { description: 'In the default project' });
  const page = await open();
  await page.goto('/flags?project=photos');
  await page.getByText('No flag matches.').waitFor();
  await page.getByRole('button', { name: 'New flag' }).click();
  const dialog = page.getByRole('dialog', { name: 'New flag' });
  await dialog.getByLabel('Key').fill('no_thumbnails');
  await dialog.getByLabel('Description').fill('Serve originals');
  await dialog.getByLabel(/^kill switch/).check();
  assert.equal(await dialog.getByLabel('Project').inputValue(), 'photos', 'the project that is looked at');
  await dialog.getByLabel('Rank').fill('2');
  await dialog.getByLabel('People notice').fill('Albums load slowly');
  await dialog.getByLabel(/^self opt-in/).check();
  await dialog.getByLabel('What they read').fill('Originals for you');
  await look(page, 'create-all');
  await dialog.getByRole('button', { name: 'Make the flag' }).click();
  await page.getByRole('heading', { level: 1, name: 'no_thumbnails' }).waitFor();
  await page.getByText('No client has reported use yet').waitFor();
  const made = await flagOf('no_thumbnails');
  assert.deepEqual([made.project, made.contingency, made.opt_in.text], ['photos', { rank: 2, impact: 'Albums load slowly', degrades: '' }, 'Originals for you']);

  const guard = { expr: 'up', condition: { threshold: { op: '>', value: 0 } }, for_ms: 60_000, readings_min: 2 };
  await ana.post('/api/flags/no_thumbnails/ramp', { environment: 'development', steps: [{ percent: 10, hold_ms: 3_600_000 }, { percent: 100, hold_ms: 0 }], guard });
  await ana.put('/api/environments/production', { four_eyes: true });
  await ana.post('/api/flags/no_thumbnails/switch', { environment: 'production', enabled: true });
  await page.goto('/flags');
  await page.getByRole('columnheader', { name: 'Project' }).waitFor();
  await page.getByLabel('Project').selectOption('photos');
  await page.waitForURL('**/flags?project=photos');
  await page.reload();
  await page.getByText(/^1 of \d+ flags/).waitFor();
  const row = page.getByRole('row', { name: /no_thumbnails/ });
  await row.getByRole('link', { name: 'A ramp with a guard runs in development' }).waitFor();
  await look(page, 'marks');
  await row.getByRole('link', { name: 'A change in production waits for a second person' }).click();
  await page.getByRole('list', { name: 'What would change' }).getByText('production: on').waitFor();
  await look(page, 'request');
  await ana.put('/api/environments/production', { four_eyes: false });
  await page.context().close();
});

test('an edit and a ramp are planned for an instant', async () => {
  const { ana } = server;
  const soon = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 16);
  await ana.put('/api/flags/planned', { environments: { production: { enabled: true } } });
  await ana.put('/api/ramp-plans/slow', { steps: [{ percent: 10, hold_ms: 3_600_000 }, { percent: 100 }] });
  for (const [name, viewport] of Object.entries(WIDTHS)) {
    const page = await open({ viewport, colorScheme: name === 'narrow' ? 'light' : 'dark' });
    await page.goto('/flags/planned?environment=production');
    await page.getByRole('button', { name: 'Add a strategy' }).click();
    const bar = page.getByRole('region', { name: 'Unsaved changes' });
    await bar.getByLabel(/^At /).fill(soon);
    await look(page, `save-at-${name}`);
    await bar.getByRole('button', { name: 'Save at' }).click();
    await saved(page);
    await page.getByText('change planned').first().waitFor();
    const planning = page.getByRole('region', { name: 'Scheduled in production' });
    await planning.getByLabel('Change', { exact: true }).selectOption('ramp');
    await planning.getByLabel('Plan', { exact: true }).selectOption('slow');
    await planning.getByRole('button', { name: 'Schedule', exact: true }).click();
    await page.getByText('by the plan slow').first().waitFor();
    await look(page, `scheduled-${name}`);
    await page.context().close();
  }
  const planned = await ana.items('/api/flag-schedules?flag=planned&state=pending');
  assert.deepEqual(planned.map(({ action }) => action.kind).sort(), ['edit', 'edit', 'ramp', 'ramp']);
  assert.deepEqual((await flagOf('planned')).environments.production.strategies, [], 'nothing was changed yet');
});

test('environments, projects and tokens of one project are made under Settings', async () => {
  for (const [name, viewport] of Object.entries(WIDTHS)) {
    const page = await open({ viewport, colorScheme: name === 'narrow' ? 'light' : 'dark' });
    await page.goto('/settings/environments');
    await page.getByLabel('New environment').fill(`stage-${name}`);
    await page.getByRole('button', { name: 'Make it' }).click();
    const row = page.getByRole('row', { name: new RegExp(`stage-${name}`) });
    await row.getByRole('switch').click();
    await row.getByRole('switch', { checked: true }).waitFor();
    await page.getByText(`Changes of flags in stage-${name} wait for a second person.`).waitFor();
    await look(page, `environments-${name}`);
    await page.goto('/settings/projects');
    await page.getByLabel('New project').fill(`music-${name}`);
    await page.getByLabel('Description').fill('What the player asks');
    await page.getByRole('button', { name: 'Make it' }).click();
    await page.getByRole('button', { name: `Delete music-${name}` }).waitFor();
    await look(page, `projects-${name}`);
    await page.goto('/settings/tokens');
    await page.getByLabel('Name').fill(`player-${name}`);
    await page.getByLabel('Kind').selectOption('client');
    await page.getByLabel('Environment').fill(`stage-${name}`);
    await page.getByLabel('Projects').fill(`music-${name}, default`);
    await page.getByRole('button', { name: 'Make the token' }).click();
    await page.getByText('It is shown once.').waitFor();
    await look(page, `tokens-${name}`);
    await page.context().close();
    const made = (await server.ana.items('/api/tokens')).find((token) => token.name === `player-${name}`);
    assert.deepEqual([made.environment, [...made.projects].sort()], [`stage-${name}`, ['default', `music-${name}`]]);
    await server.ana.put(`/api/environments/stage-${name}`, { four_eyes: false });
  }
});

test('the command line does the same', async () => {
  const { execFileSync } = await import('node:child_process');
  const { TENFOLD } = await import('../lib/binary.mjs');
  const { secret } = await server.ana.post('/api/tokens', { name: 'cli', kind: 'robot', role: 'deployer' });
  const run = (...args) => execFileSync(TENFOLD, args, { encoding: 'utf8', env: { ...process.env, TENFOLD_URL: server.url, TENFOLD_TOKEN: secret } });
  run('flag', 'create', 'dark_mode', '--kind', 'experiment', '--description', 'Pages in the dark', '--expires', '2030-01-31');
  run('flag', 'set', 'dark_mode', '--owner', 'mei');
  assert.match(run('flag', 'show', 'dark_mode'), /dark_mode: experiment flag of type bool, owner mei, expires 2030-01-31.*Pages in the dark[\s\S]*dark_mode is off in production/);
  assert.match(run('flag', 'preview', 'new_checkout', '--context', 'userId=42 version=1.0.0', '--in', 'production'), /new_checkout is off/);
  const told = JSON.parse(run('flag', 'preview', 'upload_limit', '--context', '{"userId": "42"}', '--json'));
  assert.deepEqual([told.saved.answer.value, told.saved.answer.variant], [100, 'c']);
  assert.throws(() => run('flag', 'create', 'dark_mode', '--description', 'again'), /exists already/);
  run('flag', 'archive', 'dark_mode');
  assert.ok(!(await server.ana.items('/api/flags')).some(({ key }) => key === 'dark_mode'));
});

test('five thousand flags are searched, sorted and walked by keyboard', { timeout: 300_000 }, async () => {
  const have = (await server.ana.items('/api/flag-summaries')).length;
  const kinds = ['release', 'experiment', 'operational', 'kill-switch', 'permission'];
  const features = Array.from({ length: MANY - have }, (_, n) => ({
    name: `service_${n % 40}.feature_${n}`, description: `What number ${n} does`, type: kinds[n % 5], enabled: n % 3 === 0,
    strategies: [{ name: 'flexibleRollout', parameters: { rollout: String(n % 101), stickiness: 'default', groupId: `g${n}` } }],
  }));
  for (let from = 0; from < features.length; from += 500) {
    const report = await server.ana.post('/api/flags/import', { document: { version: 2, features: features.slice(from, from + 500) } });
    assert.equal(report.refused.length, 0, JSON.stringify(report.notes.slice(0, 3)));
  }
  const page = await open();
  await page.goto('/settings/about');
  const started = performance.now();
  await page.goto('/flags', { waitUntil: 'commit' });
  await page.getByRole('table', { name: 'Flags' }).getByRole('row').nth(1).waitFor();
  figure(`${MANY} flags: from the address to the first row`, performance.now() - started);
  await page.getByText(`${MANY.toLocaleString('en-GB')} flags`).waitFor();
  const drawn = await page.getByRole('row').count();
  assert.ok(drawn < 100, `${drawn} rows are drawn`);

  // From a key to the painted list, as the page itself sees it.
  await page.keyboard.press('/');
  const latencies = [];
  for (const key of 'feature_499') {
    latencies.push(await page.evaluate(async (letter) => {
      const box = document.activeElement;
      const from = performance.now();
      const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
      set.call(box, box.value + letter);
      box.dispatchEvent(new Event('input', { bubbles: true }));
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      return performance.now() - from;
    }, key));
  }
  latencies.sort((a, b) => a - b);
  figure(`${MANY} flags: a key to the painted list, median`, latencies[Math.floor(latencies.length / 2)]);
  figure(`${MANY} flags: a key to the painted list, slowest`, latencies.at(-1));
  await page.getByText(/^\d+ of 5,000 flags/).waitFor();
  assert.match(page.url(), /q=feature_499/);
  await page.getByRole('row', { name: /feature_499 / }).first().waitFor();
  await look(page, 'many');

  // All of it is in the address; the keyboard opens a row.
  await page.goto('/flags?kind=kill_switch&state=production%3Aon&sort=-key');
  await page.getByRole('columnheader', { name: 'Flag' }).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: /^service_/ }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
