import type { Flag } from "../../api/types";

/** What to say of a change: done, or waiting for somebody else. */
export const told = (done: string) => (flag: Flag): string =>
  flag.requested ? `That waits for a second person, as change request ${flag.requested}.` : done;
