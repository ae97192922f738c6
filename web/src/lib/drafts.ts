/** What pages keep of work that is not saved: each person's apart, for as long as that person does not sign out. */

/** Logins may have dots in them, and no slash. */
export const draftsOf = (login: string): string => `tenfold.draft.${login}/`;
/** Those of flags, which last as long as the tab. */
const FLAGS = "tenfold.flag.";
const SIGNED_OUT = "tenfold.signed_out";

export function keysOf(storage: Storage, prefix: string): string[] {
  const keys = Array.from({ length: storage.length }, (_, at) => storage.key(at));
  return keys.filter((key): key is string => key !== null && key.startsWith(prefix));
}

/** Whoever began before a sign-out, in whichever tab, keeps nothing after it. */
export function lastSignOut(): string | null {
  try {
    return localStorage.getItem(SIGNED_OUT);
  } catch {
    return null;
  }
}

/** For who signs out on purpose: the next at this machine finds nothing. A session that ends by itself leaves all as it is. */
export function forgetDrafts(login: string): void {
  try {
    keysOf(localStorage, draftsOf(login)).forEach((key) => localStorage.removeItem(key));
    localStorage.setItem(SIGNED_OUT, `${Date.now()} ${Math.random()}`);
    keysOf(sessionStorage, FLAGS).forEach((key) => sessionStorage.removeItem(key));
  } catch {
    // Where nothing can be kept, nothing was.
  }
}
