/** The list of flags: which rows, in which order. Pure, so that five thousand of them are filtered between two keystrokes. */
import type { FlagRequest, FlagSummary, FlagSummaryEnvironment } from "../../../api/types";
import { searchWords } from "../../../lib/search";
import type { Look } from "../../../lib/status";

export interface Filters {
  q: string;
  kind: string;
  project: string;
  owner: string;
  /** `production:on`, `production:off`, `production:partly`, `production:ramping`. */
  state: string;
  stale: boolean;
  sort: string;
}

/** The project that a flag is in when nobody said another. */
export const DEFAULT_PROJECT = "default";
export const projectOf = (flag: FlagSummary): string => flag.project || DEFAULT_PROJECT;

/** The projects of these flags by name, the one that is chosen among them even when no flag is in it. */
export const projectsOf = (flags: readonly FlagSummary[], chosen = ""): string[] => [...new Set([...flags.map(projectOf), ...(chosen ? [chosen] : [])])].sort();

export interface Mark {
  look: Look;
  word: string;
  /** The whole of it, in a sentence. */
  title: string;
  environment: string;
}

/** What a row says of a flag beside its states: a guard that may switch it off, a change that waits for a second person. */
export function marksOf(flag: FlagSummary, waiting: readonly Pick<FlagRequest, "flag" | "environment">[]): Mark[] {
  const guarded = Object.keys(flag.environments).filter((name) => flag.environments[name]?.guarded).sort();
  const asked = [...new Set(waiting.filter((request) => request.flag === flag.key).map(({ environment }) => environment))].sort();
  return [
    ...guarded.map((environment): Mark => ({ look: "busy", word: "guarded", title: `A ramp with a guard runs in ${environment}`, environment })),
    ...asked.map((environment): Mark => ({ look: "warning", word: "change waits", title: `A change in ${environment} waits for a second person`, environment })),
  ];
}

export function stateLook(state: FlagSummaryEnvironment | undefined): [Look, string] {
  if (!state) return ["quiet", "Off"];
  if (state.pending) return ["warning", "Off, pending"];
  if (!state.enabled) return ["quiet", "Off"];
  if (state.ramping) return ["busy", `Ramp ${state.rollout_percent ?? 0} %`];
  if (typeof state.rollout_percent !== "number") return ["busy", "By strategy"];
  if (state.rollout_percent < 100) return ["busy", `${state.rollout_percent} %`];
  return ["ok", "On"];
}

/** Past its date, or marked by somebody. */
export const isStale = (flag: FlagSummary, now: number): boolean => Boolean(flag.marked_stale) || (Boolean(flag.expires_at) && Date.parse(flag.expires_at!) < now);

const words = new WeakMap<FlagSummary, string>();
/** What a search looks at, made once for each row. */
function haystack(flag: FlagSummary): string {
  let text = words.get(flag);
  if (text === undefined) {
    text = `${flag.key} ${flag.description ?? ""} ${flag.owner} ${flag.project ?? ""} ${(flag.tags ?? []).join(" ")}`.toLowerCase();
    words.set(flag, text);
  }
  return text;
}

function inState(flag: FlagSummary, wanted: string): boolean {
  const [environment = "", word] = wanted.split(":");
  const state = flag.environments[environment];
  if (word === "off") return !state?.enabled;
  if (!state?.enabled) return false;
  if (word === "ramping") return Boolean(state.ramping);
  if (word === "partly") return state.rollout_percent !== 100;
  return true;
}

const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
/** How much of an environment a flag reaches: off, by strategy, then by percentage. */
const reach = (state: FlagSummaryEnvironment | undefined): number => (!state?.enabled ? -1 : (state.rollout_percent ?? 50));

export function rows(flags: FlagSummary[], { q, kind, project, owner, state, stale, sort }: Filters, now: number): FlagSummary[] {
  const wanted = searchWords(q);
  const shown = flags.filter(
    (flag) =>
      (!kind || flag.kind === kind) &&
      (!project || projectOf(flag) === project) &&
      (!owner || flag.owner === owner) &&
      (!state || inState(flag, state)) &&
      (!stale || isStale(flag, now)) &&
      wanted.every((word) => haystack(flag).includes(word)),
  );
  const down = sort.startsWith("-");
  const by = down ? sort.slice(1) : sort;
  const order: Record<string, (a: FlagSummary, b: FlagSummary) => number> = {
    changed: (a, b) => text(b.updated_at, a.updated_at),
    owner: (a, b) => text(a.owner, b.owner),
    project: (a, b) => text(projectOf(a), projectOf(b)),
    kind: (a, b) => text(a.kind, b.kind),
    expires: (a, b) => text(a.expires_at ?? "9", b.expires_at ?? "9"),
  };
  const compare = by.startsWith("in.") ? (a: FlagSummary, b: FlagSummary) => reach(b.environments[by.slice(3)]) - reach(a.environments[by.slice(3)]) : order[by];
  // The server gives them by key, and the sort is stable.
  if (compare) shown.sort(compare);
  return down ? shown.reverse() : shown;
}

/** The rows that are near the window, out of `count` of one height. */
export function visible(count: number, height: number, top: number, windowHeight: number, spare = 8): { from: number; to: number } {
  const first = Math.floor(-top / height) - spare;
  const last = Math.ceil((windowHeight - top) / height) + spare;
  const from = Math.min(Math.max(0, first), Math.max(0, count - 1));
  return { from, to: Math.max(from, Math.min(count, last)) };
}
