// Debian's Chromium, driven by Playwright. A page that logs an error or throws fails the test that opened it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
// It looks for updates and its vendor's hosts at every start, unless told not to.
const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function openBrowser() {
  return chromium.launch({ executablePath: EXECUTABLE, args: QUIET });
}

/** A person's browser window. The demo signs it in as ana; `as` signs somebody else in, as the form does. */
export async function openPage(browser, url, { colorScheme = 'light', as, viewport = { width: 1280, height: 900 } } = {}) {
  const context = await browser.newContext({ colorScheme, viewport, baseURL: url, reducedMotion: 'reduce' });
  const page = await context.newPage();
  if (as) {
    await page.goto('/');
    const status = await page.evaluate(async (body) => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch('/api/session', { method: 'POST', headers, body: JSON.stringify(body) })).status;
    }, as);
    if (status !== 200) throw new Error(`${as.login} could not sign in: status ${status}`);
  }
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') page.problems.push(`${message.text()} (${message.location().url})`);
  });
  return page;
}

/** What axe finds wrong on the page, as lines a person can act on. */
export async function axe(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 160)}`));
}
