/** An edit of a dashboard that is not saved: kept on this browser for whoever made it, since sessions end and tabs are closed. */
import type { Dashboard, Panel } from "../../api/types";
import { onlyWritten } from "./written";

/** What is being written. */
export interface Edit {
  /** What it was made of. */
  base: Dashboard;
  draft: Dashboard;
  copied: boolean;
  /** The panel whose form is open, by its place, and what stands in it. */
  form: { at: number; panel: Panel } | null;
}

export interface Left extends Edit {
  /** When it was last written on. */
  at: string;
}

/** Of which person and which dashboard, by its name; a new one has none yet. Both may have dots in them, and neither has a slash. */
const keyOf = (login: string, name: string): string => `tenfold.draft.${login}/${name}`;

const isEdit = (read: unknown): read is Left => {
  const left = read as Partial<Left> | null;
  return typeof left?.at === "string" && Array.isArray(left.draft?.panels) && Array.isArray(left.base?.panels);
};

/** What was left; null when nothing was, or what stands there now is the same. */
export function leftEdit(login: string, now: Dashboard): Left | null {
  try {
    const read: unknown = JSON.parse(localStorage.getItem(keyOf(login, now.name)) ?? "null");
    if (!isEdit(read)) return null;
    const same = JSON.stringify(onlyWritten(read.draft)) === JSON.stringify(onlyWritten(now));
    return same && !read.form ? null : read;
  } catch {
    return null;
  }
}

export function keepEdit(login: string, name: string, edit: Edit): void {
  try {
    localStorage.setItem(keyOf(login, name), JSON.stringify({ ...edit, at: new Date().toISOString() }));
  } catch {
    // A browser that keeps nothing still asks before the page is left.
  }
}

export function forgetEdit(login: string, name: string): void {
  try {
    localStorage.removeItem(keyOf(login, name));
  } catch {
    // Nothing was kept.
  }
}

/** Whether there is more in it than it was made of. */
export function isChanged({ base, draft, copied, form }: Edit, empty: Panel): boolean {
  return copied || JSON.stringify(draft) !== JSON.stringify(base) || (form !== null && JSON.stringify(form.panel) !== JSON.stringify(draft.panels[form.at] ?? empty));
}
