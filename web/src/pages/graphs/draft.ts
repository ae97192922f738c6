/** An edit of a dashboard that is not saved: kept on this browser for whoever made it, since sessions end and tabs are closed. */
import type { Dashboard, Panel } from "../../api/types";
import { draftsOf, keysOf, lastSignOut } from "../../lib/drafts";
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

interface Kept extends Edit {
  /** When it was last written on. */
  at: string;
  /** It was not left yet. So it stays when the browser itself ends. */
  open: boolean;
}

export interface Left extends Kept {
  key: string;
}

/** Where one opened editor keeps what is written: two tabs have two. */
export interface Place {
  key: string;
  signOut: string | null;
}

/** This page, as long as it is not loaded anew. */
const TAB = `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`;
let opened = 0;

/** Of which person and which dashboard, by its name, which has no slash in it; a new one has none yet. */
const prefixOf = (login: string, name: string): string => `${draftsOf(login)}${name}/`;

export function newPlace(login: string, name: string): Place {
  opened += 1;
  return { key: `${prefixOf(login, name)}${TAB}.${opened}`, signOut: lastSignOut() };
}

function read(key: string): Kept | null {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "null") as Partial<Kept> | null;
    return typeof kept?.at === "string" && Array.isArray(kept.draft?.panels) && Array.isArray(kept.base?.panels) ? (kept as Kept) : null;
  } catch {
    return null;
  }
}

/** What was left last, but for what is written at `mine`; null when nothing was, or what stands there now is the same. */
export function leftEdit(login: string, now: Dashboard, mine?: Place): Left | null {
  try {
    const prefix = prefixOf(login, now.name);
    const stands = JSON.stringify(onlyWritten(now));
    const all = keysOf(localStorage, prefix).flatMap((key): Left[] => {
      const kept = key === mine?.key ? null : read(key);
      if (!kept || (!kept.form && JSON.stringify(onlyWritten(kept.draft)) === stands)) return [];
      return [{ ...kept, key, open: kept.open && !key.startsWith(`${prefix}${TAB}.`) }];
    });
    return all.sort((one, other) => Date.parse(other.at) - Date.parse(one.at))[0] ?? null;
  } catch {
    return null;
  }
}

export function keepEdit(place: Place, edit: Edit): void {
  try {
    if (lastSignOut() !== place.signOut) return;
    localStorage.setItem(place.key, JSON.stringify({ ...edit, at: new Date().toISOString(), open: true } satisfies Kept));
  } catch {
    // A browser that keeps nothing still asks before the page is left.
  }
}

/** The editor or its page is gone. What was taken up, dropped or forgotten elsewhere does not come back. */
export function leaveEdit({ key }: Place): void {
  try {
    const kept = read(key);
    if (kept) localStorage.setItem(key, JSON.stringify({ ...kept, open: false }));
  } catch {
    // It stays as one that was not left.
  }
}

/** Whose place it was may have gone on since it was offered: what counts stands there. */
export function takeEdit(left: Left): Edit {
  const edit = read(left.key) ?? left;
  forgetEdit(left);
  return edit;
}

export function forgetEdit({ key }: { key: string }): void {
  try {
    localStorage.removeItem(key);
  } catch {
    // Nothing was kept.
  }
}

/** Whether there is more in it than it was made of. */
export function isChanged({ base, draft, copied, form }: Edit, empty: Panel): boolean {
  return copied || JSON.stringify(draft) !== JSON.stringify(base) || (form !== null && JSON.stringify(form.panel) !== JSON.stringify(draft.panels[form.at] ?? empty));
}
