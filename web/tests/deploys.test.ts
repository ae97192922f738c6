import { describe, expect, it } from "vitest";
import type { Deploy, DeployHost, Host, LogLine, NextDeploy } from "../src/api/types";
import { goesForward, isRetried, whyNotApprove, whyNotCancel, whyNotHold } from "../src/pages/deploys/DeployActions";
import { scoreWords, tickedWords } from "../src/pages/deploys/Expects";
import { changed, isFiltered, older, PAGE, readFilters, ROWS_MAX, STATES, toQuery } from "../src/pages/deploys/log/filters";
import { lockOf, NO_LOCK } from "../src/pages/deploys/lockForm";
import { isFor } from "../src/pages/deploys/locks";
import { asText, filterLines, SERVER, speakers } from "../src/pages/deploys/run/lines";
import { awayWords, filterHosts, hostLook, leftWords, summary, troubles } from "../src/parts/deployHosts";
import { groups } from "../src/pages/deploys/service/groups";
import { planned, stages } from "../src/pages/deploys/service/stages";
import { whyNot } from "../src/pages/deploys/whyNot";

const NOW = Date.parse("2026-11-26T12:00:40Z");
const filtersOf = (search: string) => {
  const params = new URLSearchParams(search);
  return readFilters({ get: (name, otherwise = "") => params.get(name) ?? otherwise });
};

describe("the deploy log's filters", () => {
  it("go from the address to the server, empty ones left out", () => {
    expect(toQuery(filtersOf(""), NOW)).toEqual({ limit: PAGE });
    expect(toQuery(filtersOf("service=photos&state=running&kind=rollback&actor=ana&commit=4F2C&q=thumb nails"), NOW))
      .toEqual({ service: "photos", state: "running", kind: "rollback", actor: "ana", commit: "4f2c", q: "thumb nails", limit: PAGE });
  });
  it("ask the same of a moving range for a whole minute", () => {
    const [one, two, later] = [NOW, NOW + 19_000, NOW + 21_000].map((now) => toQuery(filtersOf("range=24h"), now).from);
    expect(one).toBe("2026-11-25T12:00:00.000Z");
    expect(two).toBe(one);
    expect(later).not.toBe(one);
  });
  it("take two instants only where the range says so", () => {
    const between = "from=2026-11-20T08:00:00Z&to=2026-11-21T08:00:00Z";
    expect(toQuery(filtersOf(`range=between&${between}`), NOW)).toMatchObject({ from: "2026-11-20T08:00:00.000Z", to: "2026-11-21T08:00:00.000Z" });
    expect(toQuery(filtersOf(between), NOW)).toEqual({ limit: PAGE });
  });
  it("drop what an address cannot mean", () => {
    expect(filtersOf("range=forever&from=yesterday&before=-1&shown=9999999")).toMatchObject({ range: "", from: "", before: null, shown: ROWS_MAX });
    expect(isFiltered(filtersOf("before=20&shown=100"))).toBe(false);
    expect(isFiltered(filtersOf("actor=ana"))).toBe(true);
  });
  it("begin at the newest again when one changes", () => {
    expect(changed("state", "held")).toEqual({ state: "held", before: null, shown: null });
    expect(changed("range", "7d")).toMatchObject({ range: "7d", from: null, to: null });
    expect(changed("range", "between")).not.toHaveProperty("from");
  });
  it("read on by more rows of one answer, then by an address of what is older", () => {
    expect(older(filtersOf(""), 50, 71)).toEqual({ shown: "100" });
    expect(older(filtersOf(`shown=${ROWS_MAX}`), ROWS_MAX, 12)).toEqual({ before: "12", shown: null });
    expect(older(filtersOf(""), 3, 9_000)).toEqual({ before: "9000", shown: null });
    expect(older(filtersOf(""), 20, null)).toBeNull();
  });
  it("name every state, those that run or wait apart", () => {
    const [open, ended] = STATES.map(({ states }) => states.map(({ name }) => name));
    expect(open).toEqual(["running", "queued", "building", "staging", "awaiting_approval", "canary", "promoting", "rolling_back", "held", "needs_human"]);
    expect(ended?.sort()).toEqual(["cancelled", "failed", "interrupted", "rolled_back", "succeeded"]);
    expect(STATES.flatMap(({ states }) => states).every(({ text }) => /^[A-Z]/.test(text) && !text.includes("_"))).toBe(true);
  });
});

describe("the form of a lock", () => {
  const draft = { ...NO_LOCK, reason: " resizing the disks " };
  it("is sent with its end", () => {
    expect(lockOf(draft, "photos", "production", NOW)).toEqual({ service: "photos", environment: "production", kind: "lock", reason: "resizing the disks", expires_at: new Date(NOW + 3_600_000).toISOString() });
  });
  it("knows a freeze of everything that begins later; its length counts from there", () => {
    const from = "2026-12-20T00:00";
    const body = lockOf({ ...draft, kind: "freeze", everything: true, from, minutes: "1440" }, "photos", "production", NOW);
    expect(body).toMatchObject({ service: "*", kind: "freeze", from: new Date(from).toISOString(), expires_at: new Date(Date.parse(from) + 86_400_000).toISOString() });
  });
  it("knows a pin with its commit, and that nothing else has one", () => {
    expect(lockOf({ ...draft, kind: "pin", ref: " v1.2 " }, "photos", "production", NOW)).toMatchObject({ kind: "pin", ref: "v1.2" });
    const lock = lockOf({ ...draft, everything: true, from: "2026-12-20T00:00", ref: "v1.2" }, "photos", "production", NOW);
    expect(lock).toMatchObject({ service: "photos" });
    expect(lock).not.toHaveProperty("ref");
    expect(lock).not.toHaveProperty("from");
  });
  it("says what is wrong", () => {
    for (const [change, words] of [
      [{ reason: "  " }, "reason"], [{ minutes: "" }, "when it ends"], [{ minutes: "", until: "2020-01-01T00:00" }, "in the past"],
      [{ minutes: "", until: "2027-06-01T00:00" }, "within 31 days"], [{ kind: "freeze", from: "2026-12-20T00:00", minutes: "", until: "2026-12-19T00:00" }, "before it begins"],
      [{ kind: "freeze", minutes: "", until: "2028-06-01T00:00" }, "within 366 days"],
    ] as const) expect(lockOf({ ...draft, ...change }, "photos", "production", NOW), words).toContain(words);
  });
});

describe("whom a lock keeps out", () => {
  it("is asked of a place or of all in an environment", () => {
    expect(isFor({ service: "*", environment: "production" }, "photos", "production")).toBe(true);
    expect(isFor({ service: "*", environment: "staging" }, "photos", "production")).toBe(false);
    expect(isFor({ service: "web", environment: "production" }, "photos", "production")).toBe(false);
  });
  it("and who may not approve is told why", () => {
    const deploy = { actor: { kind: "person", id: "ana" }, approval: { count: 2, by: ["raj", "ana"], teams: ["photos"], role: "deployer", four_eyes: true, given: [{ login: "raj", name: "Raj", at: "" }], until: null } };
    const why = (login: string, teams: string[] = []): string | null => whyNotApprove(deploy, { login, teams });
    expect(["ana", "mei", "raj"].map((login) => why(login))).toEqual([expect.stringContaining("You started"), expect.stringContaining("raj, ana, the team photos"), expect.stringContaining("already")]);
    expect(why("mei", ["web", "photos"])).toBeNull();
  });
});

const host = (name: string, state: string, message: string | null = null, canary = false): DeployHost => ({ host: name, state, message, canary, updated_at: "" });

describe("hosts of a deploy", () => {
  const hosts = [host("web-1", "healthy", null, true), host("web-2", "failed", "no room"), host("web-10", "failed", "no room"), host("db-1", "unreachable", "away"), host("web-3", "healthy", "runs"), host("web-4", "healthy")];
  it("are counted by state, trouble first", () => {
    expect(summary(hosts).map(({ state, count }) => [state, count])).toEqual([["failed", 2], ["unreachable", 1], ["healthy", 3]]);
  });
  it("that do not answer are a kind of their own", () => {
    const some = [...hosts, { ...host("web-5", "healthy"), away_since: "2026-11-26T12:00:00Z" }];
    expect(summary(some).map(({ state, count, word }) => [state, count, word])).toEqual([["failed", 2, "Failed"], ["away", 1, "Does not answer"], ["unreachable", 1, "Unreachable"], ["healthy", 3, "Healthy"]]);
    expect(filterHosts(some, "away", "").map(({ host: name }) => name)).toEqual(["web-5"]);
    expect(filterHosts(some, "healthy", "")).toHaveLength(3);
  });
  it("are found by state, canary, name and message", () => {
    const names = (state: string, text = ""): string[] => filterHosts(hosts, state, text).map(({ host: name }) => name);
    expect(names("failed")).toEqual(["web-2", "web-10"]);
    expect(names("canary")).toEqual(["web-1"]);
    expect(names("", "WEB-1")).toEqual(["web-1", "web-10"]);
    expect(names("failed", "room")).toEqual(["web-2", "web-10"]);
    expect(names("healthy", "room")).toEqual([]);
  });
  it("say alike once, and only those in trouble", () => {
    expect(troubles(hosts)).toEqual([{ message: "no room", look: "critical", hosts: ["web-2", "web-10"] }, { message: "away", look: "unknown", hosts: ["db-1"] }]);
  });
});

describe("a host that does not answer", () => {
  it("says so at once, and how long it is waited for", () => {
    const away = { ...host("web-1", "activating"), away_since: "2026-11-26T12:00:34Z", unreachable_at: "2026-11-26T12:00:54Z" };
    expect(hostLook(away)).toEqual(["unknown", "Does not answer"]);
    expect(awayWords(away, NOW)).toMatch(/^since .*:34, unreachable in 14 s$/);
    expect(awayWords(away, NOW + 60_000)).not.toContain("unreachable");
    expect([awayWords(host("web-1", "healthy"), NOW), hostLook(host("web-1", "healthy"))[0]]).toEqual([null, "ok"]);
  });
  it("say what another server may still run, until it has ended", () => {
    const left = { server: "node-1", what: "hook before_activate", until: "2026-11-26T12:01:50Z" };
    const [what, wait] = leftWords({ left }, NOW) ?? ["", ""];
    expect(what).toMatch(/^Interrupted: its hook before_activate may still run at another server until .*:50$/);
    expect(wait).toContain("1 min 10 s");
    expect([leftWords({ left }, NOW + 70_000), leftWords({}, NOW)]).toEqual([null, null]);
  });
});

describe("the button of a card", () => {
  const next = (change: object): NextDeploy => ({ next: { sha: "4f2c91a" }, added: [{}], removed: [], current: null, ...change }) as unknown as NextDeploy;
  it("says what the server says of the train", () => {
    expect(whyNot(next({ train: "the train of Ana boards; join it" }))).toEqual({ why: "The train of Ana boards; join it.", passable: true });
  });
  it("tells what an admin may pass over from what nobody may", () => {
    expect(whyNot(next({}))).toBeNull();
    const locked = { kind: "lock", sha: null, owner: "raj", owner_name: "Raj", reason: "migrating" };
    expect(whyNot(next({ locked })), "the own lock keeps nobody out").toBeNull();
    expect(whyNot(next({ locked, locked_out: "locked by Raj" }))).toEqual({ why: "Locked by Raj: migrating", passable: true });
    expect(whyNot(next({ closed: { why: "the weekend", opens_at: null } }))).toEqual({ why: "Closed: the weekend", passable: true });
    expect(whyNot(next({ running: { number: 7 }, train: "the train is under way; join the next" }))).toEqual({ why: "Deploy 7 is under way.", passable: false });
    expect(whyNot(undefined)?.passable).toBe(false);
  });
  it("takes along how much of the checklist was ticked", () => {
    expect([tickedWords(0, 4), tickedWords(3, 4)]).toEqual(["", "3 of 4 of the checklist ticked"]);
  });
});

describe("what is done with a deploy", () => {
  it("is a way forward once it was taken back", () => {
    const cases: [Parameters<typeof goesForward>[0], boolean][] = [
      [{ kind: "deploy", state: "rolled_back", reverted_by: null }, true],
      [{ kind: "deploy", state: "succeeded", reverted_by: 9 }, true],
      [{ kind: "rollback", state: "succeeded", reverted_by: null }, true],
      [{ kind: "rollback", state: "promoting", reverted_by: null }, false],
      [{ kind: "deploy", state: "succeeded", reverted_by: null }, false],
    ];
    for (const [deploy, forward] of cases) expect(goesForward(deploy), JSON.stringify(deploy)).toBe(forward);
  });
  it("is tried again where it failed, also on some hosts alone", () => {
    const hosts = (...states: string[]) => states.map((state) => ({ state }));
    const cases: [Parameters<typeof isRetried>[0], boolean][] = [
      [{ kind: "deploy", state: "failed", hosts: [] }, true],
      [{ kind: "deploy", state: "canary", hosts: hosts("failed") }, false],
      [{ kind: "deploy", state: "succeeded", hosts: hosts("healthy", "healthy") }, false],
      [{ kind: "deploy", state: "succeeded", hosts: hosts("healthy", "failed") }, true],
      [{ kind: "deploy", state: "succeeded", hosts: hosts("unreachable", "healthy") }, true],
      [{ kind: "deploy", state: "succeeded", reverted_by: 9, hosts: hosts("failed") }, false],
      [{ kind: "rollback", state: "failed", hosts: hosts("failed") }, false],
    ];
    for (const [deploy, again] of cases) expect(isRetried(deploy), JSON.stringify(deploy)).toBe(again);
  });
  it("is not held in the middle of a hook", () => {
    expect(whyNotHold({})).toBeNull();
    expect(whyNotHold({ hook: "after_promote" })).toContain("after_promote");
  });
  it("is cancelled, but for a way back that is on its way", () => {
    expect([whyNotCancel({ kind: "deploy", state: "building" }), whyNotCancel({ kind: "rollback", state: "staging" })]).toEqual([null, null]);
    expect(whyNotCancel({ kind: "deploy", state: "rolling_back" })).toContain("half way");
    expect(whyNotCancel({ kind: "rollback", state: "promoting" })).toContain("half way");
  });
  it("is scored, or says why not", () => {
    expect(scoreWords({ after_s: 600 }, true)).toBe("scored 600 s after the last host");
    expect(scoreWords({ after_s: 600, replaced_by: 13 }, true)).toBe("deploy 13 took its place");
    expect(scoreWords({ after_s: 600 }, false)).toContain("not scored");
  });
});

describe("a run log", () => {
  const line = (seq: number, stream: LogLine["stream"], text: string, on?: string): LogLine => ({ seq, at: "2026-11-26T12:00:00Z", stream, text, ...(on ? { host: on } : {}) });
  const lines = [line(1, "tenfold", "fetch main"), line(2, "out", "Compiling photos"), line(3, "err", "warning: unused"), line(4, "tenfold", "web-10: staged", "web-10"), line(5, "out", "listening", "web-2")];
  const seqs = (host: string, stream: string, text: string): number[] => filterLines(lines, { host, stream, text }).map(({ seq }) => seq);
  it("is narrowed by host, stream and words", () => {
    expect(filterLines(lines, { host: "", stream: "", text: " " })).toBe(lines);
    expect(seqs("web-10", "", "")).toEqual([4]);
    expect(seqs(SERVER, "", "")).toEqual([1, 2, 3]);
    expect(seqs("", "err", "")).toEqual([3]);
    expect(seqs("", "out", "PHOTOS comp")).toEqual([2]);
    expect(seqs("web-2", "out", "nothing such")).toEqual([]);
  });
  it("names its hosts in the order people count, and is copied with who said it", () => {
    expect(speakers(lines)).toEqual(["web-2", "web-10"]);
    expect(asText(lines.slice(2, 4))).toBe("2026-11-26T12:00:00Z build warning: unused\n2026-11-26T12:00:00Z web-10 web-10: staged");
  });
});

describe("what hosts run", () => {
  it("is told by commit and state, the most first", () => {
    const release = (sha: string, state: string, service = "shop") => ({ service, environment: "production", sha, state, deploy: 1, digest: "", address: null, since: "" });
    const on = (name: string, ...releases: ReturnType<typeof release>[]): Host => ({ name, environment: "production", labels: {}, state: "connected", last_seen: "", version: "", releases });
    const fleet = [on("a", release("new", "running")), on("b", release("old", "running")), on("c", release("old", "running"), release("x", "running", "other")), on("d", release("old", "unhealthy")), on("e")];
    expect(groups(fleet, "shop", "production").map(({ sha, word, hosts }) => [sha, word, hosts])).toEqual([["old", "on", ["b", "c"]], ["new", "on", ["a"]], ["old", "unhealthy on", ["d"]]]);
    expect(groups(fleet, "shop", "staging")).toEqual([]);
  });
});

describe("a plan", () => {
  const plan = [
    { name: "building", hosts: [], says: "make" }, { name: "staging", hosts: [["a", "b", "c", "d"]], says: "dist on each" },
    { name: "canary", hosts: [["a"]], says: "watched for 60 s" }, { name: "canary", hosts: [["a", "b"]], says: "watched for 90 s" }, { name: "promoting", hosts: [["c"], ["d"]], says: "1 at a time" },
  ];
  it("names its steps as the deploy does, with where", () => {
    expect(stages(plan).map(({ name, where }) => [name, where])).toEqual([
      ["Build", ""], ["Stage", "4 hosts"], ["Canary 1 of 2", "a"], ["Canary 2 of 2", "a, b"], ["Promote", "c, d in 2 batches"],
    ]);
  });
  it("stands beside the steps of the deploy that follows it", () => {
    const deploy = { state: "canary", kind: "deploy", canary_steps: 2, steps: [{ name: "building", state: "done", started_at: "2026-11-26T12:00:00Z", finished_at: "2026-11-26T12:00:09Z" }] } as unknown as Deploy;
    const words = planned(deploy, plan);
    expect(words.get("Canary 2 of 2")?.says).toBe("watched for 90 s");
    expect(words.get("Promote")?.where).toBe("c, d in 2 batches");
    expect(words.has("Canary")).toBe(false);
  });
});
