// Every page, in both themes: its landmarks, what axe finds, what the browser complained about, and a picture to look at.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { axe, openPage } from '../lib/browser.mjs';

const PICTURES = fileURLToPath(new URL('../test-results/pages/', import.meta.url));
/** The address where each page shows the most, by its name in the navigation. */
const PAGES = [
  ['Now', '/'],
  ['Timeline', '/timeline'],
  ['Deploys', '/deploys'],
  ['Deploys', '/deploys/1'],
  ['Deploys', '/deploys/photos'],
  ['Graphs', '/graphs'],
  ['Graphs', '/graphs/explore'],
  ['Flags', '/flags'],
  ['Flags', '/flags/new_uploader'],
  ['Flags', '/flags/contingency'],
  ['Flags', '/flags/mine'],
  ['Flags', '/flags/groups'],
  ['Flags', '/flags/stale'],
  ['Flags', '/flags/-/segments'],
  ['Flags', '/flags/-/changes'],
  ['Flags', '/flags/-/permits'],
  ['Alerts', '/alerts'],
  ['Alerts', '/alerts/rules'],
  ['Alerts', '/alerts/mutes'],
  ['Alerts', '/alerts/checks'],
  ['Alerts', '/alerts/sources'],
  ['Alerts', '/alerts/simulate'],
  ['Alerts', '/alerts/noise'],
  ['On-call', '/on-call'],
  ['On-call', '/on-call/me'],
  ['On-call', '/on-call/readiness'],
  ['Incidents', '/incidents'],
  ['Incidents', '/incidents/1'],
  ['Console', '/console'],
  ['Settings', '/settings'],
];

export async function look({ demo, browser }) {
  mkdirSync(PICTURES, { recursive: true });
  const wrong = [];
  for (const colorScheme of ['light', 'dark']) {
    const page = await openPage(browser, demo.url, { colorScheme });
    for (const [name, address] of PAGES) {
      await page.goto(address);
      await page.getByRole('main').getByRole('heading', { level: 1 }).waitFor();
      await page.getByRole('navigation', { name: 'Pages', exact: true }).getByRole('link', { name, exact: true }).and(page.locator('[aria-current]')).waitFor();
      await page.getByRole('region', { name: 'At a glance' }).waitFor();
      await settled(page);
      const file = address === '/' ? 'now' : address.slice(1).replaceAll('/-/', '/').replaceAll('/', '-');
      await page.screenshot({ path: `${PICTURES}${file}-${colorScheme}.png`, fullPage: true });
      for (const line of await axe(page)) wrong.push(`${address} (${colorScheme}): ${line}`);
    }
    for (const problem of page.problems) wrong.push(`${colorScheme}: ${problem}`);
    await page.context().close();
  }
  assert.deepEqual(wrong, []);
}

/** Nothing says any more that it is loading. */
async function settled(page) {
  await page.waitForFunction(() => !document.querySelector('main [aria-busy="true"]'));
}
