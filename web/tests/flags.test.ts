import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import type { Flag, FlagConstraint, FlagSummary } from "../src/api/types";
import { differences } from "../src/pages/flags/changes/differences";
import { draftOf, keep, kept, rebase, updateOf } from "../src/pages/flags/edit/draft";
import { parsed } from "../src/pages/flags/edit/inputs";
import { constraintWords, linesToValues, OPERATORS, withOperator } from "../src/pages/flags/edit/operators";
import { locate } from "../src/pages/flags/edit/refusal";
import { normalised, percentOf, share, withoutVariant, withVariant, withWeight } from "../src/pages/flags/edit/weights";
import { definitionLines, diffLines } from "../src/pages/flags/edit/words";
import { keyProblem } from "../src/pages/flags/kinds";
import { rankProblem } from "../src/pages/flags/contingency";
import { blank, updateOf as updateOfNew, withKind } from "../src/pages/flags/newFlag";
import { optInOf } from "../src/pages/flags/offer";
import { usagePanels } from "../src/pages/flags/usagePanels";
import { SUB_PAGES } from "../src/pages/flags/pages";
import { NAV } from "../src/shell/routes";
import { isStale, marksOf, projectsOf, rows, stateLook, visible, type Filters } from "../src/pages/flags/list/rows";
import { NotAContext, readContext, readIds } from "../src/pages/flags/preview/context";

const usage = { yes: 0, no: 0, by_variant: {} };
const flag = (extra: Partial<Flag> = {}): Flag => ({
  key: "new_uploader", version: 3, description: "Uploads in pieces", kind: "release", owner: "ana", created_at: "2026-01-01T00:00:00Z", updated_at: "2026-01-02T00:00:00Z", updated_by: "mei",
  value_type: "bool", impression_data: false, tags: [], marked_stale: false, dependencies: [], archived: false,
  environments: { production: { enabled: true, strategies: [{ name: "flexibleRollout", parameters: { rollout: "10", stickiness: "default", groupId: "new_uploader" } }], variants: [], usage } },
  ...extra,
});

describe("operators", () => {
  test("are the server's nineteen, in its words", () => {
    const source = readFileSync("../crates/flags/src/explain/words.rs", "utf8");
    expect(OPERATORS).toHaveLength(19);
    for (const { name, plain, inverted, operand } of OPERATORS) {
      const listed = operand === "list" || operand === "ranges";
      expect(source).toContain(`"${name}" => ("${plain}", "${inverted}", ${listed})`);
    }
  });
  test("another operator keeps the operand where that can be", () => {
    const list: FlagConstraint = { contextName: "version", operator: "IN", values: ["1.2.3", "2.0.0"] };
    expect(withOperator(list, "SEMVER_GT")).toEqual({ contextName: "version", operator: "SEMVER_GT", value: "1.2.3", caseInsensitive: false });
    expect(withOperator({ contextName: "version", operator: "SEMVER_GT", value: "1.2.3" }, "NOT_IN").values).toEqual(["1.2.3"]);
    const date = withOperator({ contextName: "x", operator: "NUM_EQ", value: "7" }, "DATE_AFTER");
    expect([date.contextName, date.value]).toEqual(["currentTime", undefined]);
    expect(withOperator({ contextName: "mail", operator: "STR_CONTAINS", values: ["a"], caseInsensitive: true }, "REGEX").caseInsensitive).toBe(true);
  });
  test("a constraint in words", () => {
    expect(constraintWords({ contextName: "country", operator: "IN", values: ["DE", "AT"], inverted: true })).toBe("country is none of DE, AT");
    expect(constraintWords({ contextName: "id", operator: "IN", values: ["1", "2", "3", "4", "5", "6", "7"] })).toBe("id is one of 1, 2, 3, 4, 5 and 2 more");
    expect(linesToValues(" a \n\nb,c\n")).toEqual(["a", "b,c"]);
  });
});

describe("weights", () => {
  const sum = (list: { weight: number }[]): number => list.reduce((total, { weight }) => total + weight, 0);
  const of = (...weights: number[]): { name: string; weight: number }[] => weights.map((weight, index) => ({ name: String(index), weight }));
  test("always sum to a thousand, whatever is done to them", () => {
    let seed = 7;
    const dice = (n: number): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % n;
    for (let round = 0; round < 2_000; round += 1) {
      const list = of(...Array.from({ length: 1 + dice(7) }, () => dice(1_200)));
      const at = dice(list.length);
      const changed = withWeight(list, at, dice(1_200) - 100);
      expect(sum(changed)).toBe(1000);
      expect(changed.every(({ weight }) => weight >= 0 && weight <= 1000)).toBe(true);
      expect(sum(withVariant(list, { name: "new", weight: 0 }))).toBe(1000);
      if (list.length > 1) expect(sum(withoutVariant(list, at))).toBe(1000);
    }
  });
  test("what one gains the others give in proportion", () => {
    expect(withWeight(of(500, 300, 200), 0, 600).map(({ weight }) => weight)).toEqual([600, 240, 160]);
    expect(withWeight(of(1000, 0, 0), 0, 400).map(({ weight }) => weight)).toEqual([400, 300, 300]);
    expect(withVariant(of(500, 500), { name: "c", weight: 0 }).map(({ weight }) => weight)).toEqual([334, 333, 333]);
    expect(normalised(of(1, 1, 1)).map(({ weight }) => weight)).toEqual([334, 333, 333]);
    expect(share(0, [1, 2])).toEqual([0, 0]);
    expect(percentOf(of(1, 2), 1)).toBe(33.3);
  });
});

describe("an edit", () => {
  beforeEach(() => sessionStorage.clear());
  const edited = (change: (draft: ReturnType<typeof draftOf>) => void) => {
    const draft = structuredClone(draftOf(flag()));
    change(draft);
    return draft;
  };
  test("sends only what differs", () => {
    const base = draftOf(flag());
    expect(updateOf(base, structuredClone(base))).toBeNull();
    expect(updateOf(base, edited((draft) => (draft.owner = "mei")))).toEqual({ owner: "mei" });
    expect(updateOf(base, edited((draft) => (draft.environments.production!.off_value = true)))).toEqual({ environments: { production: { off_value: true } } });
    const same = edited((draft) => (draft.environments.production!.strategies[0]!.constraints = []));
    expect(updateOf(base, same)).toBeNull();
  });
  test("takes an off value and a date away with null", () => {
    const base = draftOf(flag({ expires_at: "2026-02-01T00:00:00Z", environments: { production: { enabled: true, strategies: [], variants: [], usage, off_value: 3 } } }));
    const without = structuredClone(base);
    without.expires_at = null;
    delete without.environments.production!.off_value;
    expect(updateOf(base, without)).toEqual({ expires_at: null, environments: { production: { off_value: null } } });
  });
  test("survives a reload, until it is dropped", () => {
    const base = draftOf(flag());
    keep("new_uploader", { version: 3, base, edited: edited((draft) => (draft.owner = "mei")) });
    expect(kept("new_uploader")?.edited.owner).toBe("mei");
    keep("new_uploader", null);
    expect(kept("new_uploader")).toBeNull();
    sessionStorage.setItem("tenfold.flag.new_uploader", "{");
    expect(kept("new_uploader")).toBeNull();
  });
  test("goes on top of what another changed, and says what both did", () => {
    const base = draftOf(flag());
    const theirs = edited((draft) => {
      draft.description = "theirs";
      draft.environments.production!.strategies[0]!.parameters!.rollout = "25";
    });
    const mine = edited((draft) => {
      draft.owner = "raj";
      draft.environments.production!.strategies[0]!.parameters!.rollout = "50";
    });
    const { draft, both } = rebase(base, mine, theirs);
    expect([draft.description, draft.owner, draft.environments.production!.strategies[0]!.parameters!.rollout]).toEqual(["theirs", "raj", "50"]);
    expect(both).toEqual(["the strategies in production"]);
    expect(rebase(base, base, theirs).draft).toEqual(theirs);
  });
  test("is shown as the lines that go and come", () => {
    const after = edited((draft) => {
      draft.environments.production!.strategies[0]!.parameters!.rollout = "25";
      draft.environments.production!.strategies[0]!.constraints = [{ contextName: "country", operator: "IN", values: ["DE"] }];
    });
    expect(diffLines(definitionLines(draftOf(flag())), definitionLines(after))).toEqual([
      { sign: "−", text: "production, strategy 1: 10 % by userId, else sessionId, group new_uploader" },
      { sign: "+", text: "production, strategy 1: 25 % by userId, else sessionId, group new_uploader" },
      { sign: "+", text: "production, strategy 1, only if country is one of DE" },
    ]);
    expect(diffLines(["a", "b", "c"], ["a", "c", "d"])).toEqual([{ sign: "−", text: "b" }, { sign: "+", text: "d" }]);
  });
});

test("a refusal stands at the field it is about", () => {
  const draft = draftOf(flag());
  draft.environments.production!.strategies[0]!.constraints = [{ contextName: "v", operator: "IN", values: [] }, { contextName: "v", operator: "SEMVER_GT", value: "1.2" }];
  // As crates/flags/src/validate.rs words them.
  expect(locate("flag `new_uploader`: in production, strategy 1 (`flexibleRollout`): the constraint SEMVER_GT on `v`: `1.2` is not a version like 1.2.3", draft)).toEqual({
    environment: "production", strategy: 0, constraint: 1, text: "`1.2` is not a version like 1.2.3",
  });
  expect(locate("flag `x`: in production, strategy 1 (`flexibleRollout`): `rollout` is `many` but must be a whole number from 0 to 100; SDKs disagree on others", draft)).toMatchObject({ strategy: 0, parameter: "rollout" });
  expect(locate("flag `x`: in production, strategy 1 (`flexibleRollout`): the segment 5 does not exist; SDKs would match nobody", draft)).toMatchObject({ strategy: 0, about: "segments" });
  expect(locate("flag `x`: in production, the payload of variant `a` is not a value of type int", draft)).toMatchObject({ environment: "production", variant: "a" });
  expect(locate("flag `x`: in production, the weights of the variants sum to 0; some SDKs crash on it", draft)).toMatchObject({ about: "variants" });
  expect(locate("flag `x`: the parent `y` does not exist; SDKs would keep this flag off for everybody", draft)).toMatchObject({ about: "parents" });
});

test("values keep their type, and what cannot be read stays text for the server to refuse", () => {
  expect([parsed("int", "7"), parsed("float", "1.5"), parsed("int", "seven"), parsed("object", '{"a":1}'), parsed("object", "[1]"), parsed("string", "7")]).toEqual([7, 1.5, "seven", { a: 1 }, "[1]", "7"]);
});

test("contexts as people paste them", () => {
  expect(readContext("")).toEqual({});
  expect(readContext("userId=42, plan=pro")).toEqual({ userId: "42", plan: "pro" });
  expect(readContext('name="Ana B" a=b=c')).toEqual({ name: "Ana B", a: "b=c" });
  expect(readContext('{"userId": 42}')).toEqual({ userId: 42 });
  for (const broken of ["42", "=42", '{"a"', 'a="b']) expect(() => readContext(broken)).toThrow(NotAContext);
  expect(readIds("a, b\n\nc a")).toEqual(["a", "b", "c"]);
});

test("a key is checked before it is asked for", () => {
  expect(keyProblem("new_checkout", ["old"])).toBeNull();
  expect(keyProblem("new checkout", [])).toContain("“ ”");
  expect(keyProblem("old", ["old"])).toContain("already");
  expect(keyProblem("new-checkout", ["new_checkout"])).toContain("mistaken for new_checkout");
  expect(keyProblem("x".repeat(101), [])).toContain("101");
});

describe("a new flag", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  test("says only what was chosen", () => {
    expect(updateOfNew({ ...blank("ana", "", now), description: "Search" })).toEqual({ description: "Search", kind: "release", owner: "ana", value_type: "bool", expires_at: "2026-02-10T00:00:00Z" });
  });
  test("takes a project, a rank for bad days and an offer with it", () => {
    const filled = { ...blank("ana", "photos", now), description: "Search", offered: true, offer: { text: " A better search ", role: "viewer", teams: "photos, , albums", field: "userId" } };
    const killed = withKind(filled, "kill_switch", now);
    expect([killed.contingent, killed.expires, withKind(killed, "release", now).contingent]).toEqual([true, "", false]);
    const update = updateOfNew({ ...killed, contingency: { rank: 2, impact: "No search", degrades: "Albums" } });
    expect(update).toEqual({
      description: "Search", kind: "kill_switch", owner: "ana", value_type: "bool", project: "photos",
      contingency: { rank: 2, impact: "No search", degrades: "Albums" }, opt_in: { text: "A better search", role: "viewer", teams: ["photos", "albums"], field: "userId" },
    });
    expect(optInOf({ text: "", role: "viewer", teams: "", field: " userId " })).toEqual({ text: "", role: "viewer", teams: [], field: "userId" });
  });
  test("a rank is a whole number the server takes", () => {
    expect([1, 1000].map(rankProblem)).toEqual([null, null]);
    expect([0, 1001, 1.5, Number.NaN].every((rank) => rankProblem(rank) !== null)).toBe(true);
  });
});

test("a change request is told in the editor's words", () => {
  const strategy = (rollout: string): object => ({ name: "flexibleRollout", parameters: { rollout, stickiness: "default", groupId: "a" }, constraints: [], segments: [], variants: [] });
  const before = { enabled: false, rollout_percent: 50, off_value: null, strategies: [strategy("50")], variants: [] };
  expect(differences(before, { ...before, enabled: true }, "production")).toEqual([{ sign: "−", text: "production: off" }, { sign: "+", text: "production: on" }]);
  expect(differences(before, { ...before, rollout_percent: 100, strategies: [strategy("100")] }, "production").map(({ text }) => text)).toEqual([
    "production, strategy 1: 50 % by userId, else sessionId, group a",
    "production, strategy 1: 100 % by userId, else sessionId, group a",
  ]);
  expect(differences(null, "other", "production")).toEqual([]);
});

test("usage is drawn for one flag in one environment", () => {
  const { outcomes, variants } = usagePanels("new_checkout", "staging");
  expect(outcomes.queries[0]?.expr).toBe('sum by (enabled) (rate(tenfold_flag_evaluations_total{flag="new_checkout",environment="staging"}[2m]))');
  expect(variants.queries[0]).toEqual({ expr: 'sum by (variant) (rate(tenfold_flag_variants_total{flag="new_checkout",environment="staging"}[2m]))', legend: "{{variant}}" });
});

describe("the list", () => {
  const summary = (key: string, extra: Partial<FlagSummary> = {}): FlagSummary => ({ key, kind: "release", value_type: "bool", owner: "ana", updated_at: "2026-01-01T00:00:00Z", updated_by: "ana", environments: {}, ...extra });
  const none: Filters = { q: "", kind: "", project: "", owner: "", state: "", stale: false, sort: "" };
  const list = [
    summary("a", { environments: { production: { enabled: true, rollout_percent: 100 } }, description: "Checkout" }),
    summary("b", { environments: { production: { enabled: true, rollout_percent: 10, ramping: true } }, owner: "mei", updated_at: "2026-01-03T00:00:00Z" }),
    summary("c", { environments: { production: { enabled: false } }, expires_at: "2026-01-01T00:00:00Z" }),
    summary("d", { kind: "permission", environments: { production: { enabled: true } } }),
  ];
  const keys = (filters: Partial<Filters>): string => rows(list, { ...none, ...filters }, Date.parse("2026-01-05T00:00:00Z")).map(({ key }) => key).join("");
  test("tags are searched", () => {
    expect(rows([summary("a", { tags: ["team:photos"] }), summary("b")], { ...none, q: "PHOTOS" }, 0).map(({ key }) => key)).toEqual(["a"]);
  });
  test("projects are filtered, searched and sorted by; none said is the default one", () => {
    const list = [summary("a", { project: "photos" }), summary("b"), summary("c", { project: "albums" })];
    const keys = (filters: Partial<Filters>): string => rows(list, { ...none, ...filters }, 0).map(({ key }) => key).join("");
    expect([keys({ project: "photos" }), keys({ project: "default" }), keys({ project: "gone" }), keys({ q: "album" }), keys({ sort: "project" })]).toEqual(["a", "b", "", "c", "cba"]);
    expect([projectsOf(list), projectsOf([summary("b")]), projectsOf([], "gone")]).toEqual([["albums", "default", "photos"], ["default"], ["gone"]]);
  });
  test("marks a guard that runs, and a change that waits, each with its environment", () => {
    const row = summary("a", { environments: { production: { enabled: true, ramping: true, guarded: true }, staging: { enabled: true, ramping: true } } });
    const waiting = [{ flag: "a", environment: "production" }, { flag: "a", environment: "production" }, { flag: "b", environment: "staging" }];
    expect(marksOf(row, waiting).map(({ title }) => title)).toEqual(["A ramp with a guard runs in production", "A change in production waits for a second person"]);
    expect(marksOf(summary("c"), waiting)).toEqual([]);
  });
  test("filters and sorts", () => {
    expect(keys({})).toBe("abcd");
    expect([keys({ q: "CHECK" }), keys({ q: "mei b" }), keys({ q: "mei a" }), keys({ kind: "permission" }), keys({ owner: "mei" }), keys({ stale: true })]).toEqual(["a", "b", "", "d", "b", "c"]);
    expect(["on", "off", "partly", "ramping"].map((word) => keys({ state: `production:${word}` }))).toEqual(["abd", "c", "bd", "b"]);
    expect(keys({ state: "staging:off" })).toBe("abcd");
    expect([keys({ sort: "changed" }), keys({ sort: "-key" }), keys({ sort: "in.production" }), keys({ sort: "owner" })]).toEqual(["bacd", "abcd".split("").reverse().join(""), "adbc", "acdb"]);
  });
  test("says each state in a word", () => {
    expect(list.map((row) => stateLook(row.environments.production)[1])).toEqual(["On", "Ramp 10 %", "Off", "By strategy"]);
    expect(stateLook(undefined)[1]).toBe("Off");
    expect(isStale(list[2]!, Date.parse("2026-01-05T00:00:00Z"))).toBe(true);
    expect([isStale(summary("e", { marked_stale: true }), 0), isStale(summary("e"), 0)]).toEqual([true, false]);
  });
  test("draws only what is near the window", () => {
    expect(visible(5_000, 28, 200, 800, 8)).toEqual({ from: 0, to: 30 });
    const middle = visible(5_000, 28, 200 - 28 * 1_000, 800, 8);
    expect(middle.to - middle.from).toBeLessThan(60);
    expect(middle.from).toBeLessThan(1_000);
    expect(visible(10, 28, -28 * 500, 800)).toEqual({ from: 9, to: 10 });
    expect(visible(0, 28, 0, 800)).toEqual({ from: 0, to: 0 });
  });
});

test("no two pages share a key", () => {
  const keys = [...NAV, ...SUB_PAGES].map(({ key }) => key).filter(Boolean);
  expect(new Set(keys).size).toBe(keys.length);
  expect(SUB_PAGES.every(({ to }) => to === "/flags" || to.startsWith("/flags/"))).toBe(true);
});
