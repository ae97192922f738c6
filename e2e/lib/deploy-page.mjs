// Finding one's way on the pages of deploys and of the shop.
export const button = (page, name) => page.getByRole('button', { name, exact: true });
/** A button that does something; one that cannot be used stays on the page and says why. */
export const live = (page, name) => button(page, name).and(page.locator(':not([aria-disabled])'));
/** Waits until the deploy of this page is in this state. */
export const status = (page, text) => page.locator('.page-head').getByText(text, { exact: true }).waitFor();
export const numberOf = (page) => Number(new URL(page.url()).pathname.split('/').pop());
export const card = (page) => page.getByRole('article', { name: 'shop in production' });

/** Opens the dialog of a lock and fills in what and why. */
export async function lockDialog(page, kind, reason) {
  await button(page, 'Lock').click();
  const dialog = page.getByRole('dialog', { name: 'Keep others out of shop in production' });
  await dialog.getByLabel('What').selectOption(kind);
  await dialog.getByLabel('Reason').fill(reason);
  return dialog;
}
