// A person's look at a page under test: nothing stands wider than the window, axe finds nothing, the browser complained of nothing.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { axe, openPage } from './browser.mjs';
import { PASSWORD } from './server.mjs';

const PICTURES = process.env.TENFOLD_PICTURES;

/** A window of ana's on this server; the options are those of `openPage`. */
export async function openAsAna(browser, server, options = {}) {
  const page = await openPage(browser, server.pages.url, { as: { login: 'ana', password: PASSWORD }, ...options });
  page.setDefaultTimeout(20_000);
  return page;
}

/** The `look(page, name)` of one suite. With TENFOLD_PICTURES set, every look is also kept there, as a picture of the name with the prefix before it. */
export function looking(prefix) {
  return async (page, name) => {
    // The frame (a banner of a page, say) can stand with the words a test waited for before the page's own code is there.
    await page.locator('h1').first().waitFor({ state: 'attached' });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, `${name}: ${wide} px wider than the window`);
    if (PICTURES) {
      mkdirSync(PICTURES, { recursive: true });
      await page.screenshot({ path: join(PICTURES, `${prefix}${name}.png`), fullPage: true });
    }
    assert.deepEqual(await axe(page), [], name);
    assert.deepEqual(page.problems, [], name);
  };
}
