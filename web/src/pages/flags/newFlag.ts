/** A new flag as it is filled in, and as the server takes it. */
import type { Contingency, FlagKind, FlagUpdate } from "../../api/types";
import { FIRST_RANK } from "./contingency";
import { expiryOf } from "./kinds";
import { DEFAULT_PROJECT } from "./list/rows";
import { offerOf, optInOf, type Offer } from "./offer";

export type ValueType = NonNullable<FlagUpdate["value_type"]>;

export interface NewFlag {
  project: string;
  description: string;
  kind: FlagKind;
  owner: string;
  type: ValueType;
  /** A date; empty for a flag that stays. */
  expires: string;
  /** Whether it is on the contingency page with these words, and offered to people with those. */
  contingent: boolean;
  contingency: Contingency;
  offered: boolean;
  offer: Offer;
}

export const blank = (owner: string, project: string, now: number): NewFlag => ({
  project: project || DEFAULT_PROJECT, description: "", kind: "release", owner, type: "bool", expires: expiryOf("release", now),
  contingent: false, contingency: FIRST_RANK, offered: false, offer: offerOf(null),
});

/** Another kind lives another time, and a kill switch is made for bad days. */
export const withKind = (flag: NewFlag, kind: FlagKind, now: number): NewFlag => ({ ...flag, kind, expires: expiryOf(kind, now), contingent: kind === "kill_switch" });

/** What is not said is left out, so that the server's own answer stands. */
export const updateOf = (flag: NewFlag): FlagUpdate => ({
  description: flag.description, kind: flag.kind, owner: flag.owner, value_type: flag.type,
  ...(flag.project !== DEFAULT_PROJECT ? { project: flag.project } : {}),
  ...(flag.expires ? { expires_at: `${flag.expires}T00:00:00Z` } : {}),
  ...(flag.contingent ? { contingency: flag.contingency } : {}),
  ...(flag.offered ? { opt_in: optInOf(flag.offer) } : {}),
});
