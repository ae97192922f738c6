import { expect, test } from "vitest";
import type { OnCall, RecordEvent, TimelineEvent } from "../src/api/types";
import { labelsAsked, parseMatchers, showMatchers } from "../src/pages/alerts/matchers";
import { completions } from "../src/pages/console/grammar";
import { phases } from "../src/pages/incidents/IncidentTimeline";
import { piecesOf, piecesOfSpans } from "../src/pages/oncall/Calendar";
import { accepts, type Filters } from "../src/pages/timeline/filters";
import { bins } from "../src/pages/timeline/Histogram";
import { subjectAddress } from "../src/parts/subject";

const row = (extra: Partial<RecordEvent>): RecordEvent => ({
  seq: 1, id: "x", occurred_at: "2026-01-01T10:00:00Z", recorded_at: "2026-01-01T10:00:00Z", actor: { kind: "person", id: "ana" }, kind: "deploy.queued",
  subject: { service: "photos" }, severity: "info", text: "ana deploys photos", source: "web", visibility: "everyone", data: null, prev_hash: "", hash: "", ...extra,
});

test("matchers as people type them", () => {
  expect(parseMatchers('service="photos", alertname=~"Up.*"')).toEqual([{ name: "service", op: "=", value: "photos" }, { name: "alertname", op: "=~", value: "Up.*" }]);
  expect(parseMatchers('{service=photos,a!="x,y"}')).toEqual([{ name: "service", op: "=", value: "photos" }, { name: "a", op: "!=", value: "x,y" }]);
  expect(parseMatchers("photos")).toBeNull();
  expect(parseMatchers("  ")).toBeNull();
  expect(showMatchers([{ name: "a", op: "=~", value: "b" }])).toBe('a=~"b"');
  const odd = [{ name: "path", op: "=~" as const, value: 'C:\\\\x "y"' }];
  expect(parseMatchers(showMatchers(odd))).toEqual(odd);
});

test("completion offers verbs, then the names that fit", () => {
  const names = { services: ["photos"], flags: ["new_uploader"], schedules: ["photos-primary"] };
  const inserts = (text: string): string[] => completions(text, names).map(({ insert }) => insert);
  expect(inserts("!dep")).toEqual(["!deploy "]);
  expect(inserts("!deploy ph")).toEqual(["!deploy photos "]);
  expect(inserts("!flag on ")).toEqual(["!flag on new_uploader "]);
  expect(inserts("!who ")).toEqual(["!who photos-primary ", "!who photos "]);
  expect(inserts("hello")).toEqual([]);
});

test("neighbours of one phase stand together, in the order of time", () => {
  const event = (seq: number, minute: number, phase: TimelineEvent["phase"]): TimelineEvent => ({ ...row({ seq, occurred_at: `2026-01-01T10:0${minute}:00Z` }), phase });
  const groups = phases([event(3, 3, "page"), event(1, 1, "deploy"), event(2, 2, "deploy"), event(4, 4, "deploy")]);
  expect(groups.map(({ phase, events }) => [phase, events.length])).toEqual([["deploy", 2], ["page", 1], ["deploy", 1]]);
});

test("a day of the calendar holds what falls on it", () => {
  const day = Date.parse("2026-01-02T00:00:00Z");
  const person = { login: "mei", name: "Mei", kind: "developer" as const };
  const shifts: OnCall[] = [
    { schedule: "s", person: { login: "ana", name: "Ana", kind: "developer" }, since: "2026-01-01T00:00:00Z", until: "2026-01-02T09:00:00Z" },
    { schedule: "s", person, also: [{ login: "raj", name: "Raj", kind: "developer" }], since: "2026-01-02T09:00:00Z", until: "2026-01-02T17:00:00Z", override_id: 1 },
    { schedule: "s", person: null, since: "2026-01-02T17:00:00Z", until: "2026-01-05T00:00:00Z" },
  ];
  const pieces = piecesOf(shifts, day, day + 86_400_000);
  expect(pieces.map(({ who, override }) => [who, override])).toEqual([["ana", false], ["mei and raj", true], [null, false]]);
  expect(pieces[1]?.people).toEqual(["mei", "raj"]);
  expect(pieces.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(86_400_000);
});

test("a day of another page of the calendar holds the same of a preview", () => {
  const day = Date.parse("2026-01-02T00:00:00Z");
  const span = { shadows: [], fallback: false, gap: false, overlap: false, overrides: [] };
  const spans = [
    { ...span, people: ["ana"], since: "2026-01-01T00:00:00Z", until: "2026-01-02T09:00:00Z" },
    { ...span, people: ["mei", "raj"], overlap: true, overrides: [4], since: "2026-01-02T09:00:00Z", until: "2026-01-02T17:00:00Z" },
    { ...span, people: [], gap: true, since: "2026-01-02T17:00:00Z", until: "2026-01-05T00:00:00Z" },
    { ...span, people: ["ana"], since: "2026-01-05T00:00:00Z", until: "2026-01-06T00:00:00Z" },
  ];
  const pieces = piecesOfSpans(spans, day, day + 86_400_000);
  expect(pieces.map(({ who, override }) => [who, override])).toEqual([["ana", false], ["mei and raj", true], [null, false]]);
  expect(pieces.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(86_400_000);
});

test("a live row is judged like the server judges", () => {
  const none: Filters = { kinds: [], service: "", actor: "", q: "", correlation: "", window: "", fromMs: null, toMs: null };
  expect(accepts(none, row({}))).toBe(true);
  expect(accepts({ ...none, kinds: ["flag."] }, row({}))).toBe(false);
  expect(accepts({ ...none, kinds: ["flag.", "deploy."] }, row({}))).toBe(true);
  expect(accepts({ ...none, q: "PHOTOS ana" }, row({}))).toBe(true);
  expect(accepts({ ...none, actor: "raj" }, row({}))).toBe(false);
  expect(accepts({ ...none, toMs: 5 }, row({}))).toBe(false);
});

test("the histogram counts every row once", () => {
  const rows = Array.from({ length: 50 }, (_, index) => row({ seq: index, occurred_at: new Date(1_700_000_000_000 + index * 600_000).toISOString(), severity: index % 10 === 0 ? "critical" : "info" }));
  const { bins: made } = bins(rows);
  expect(made.reduce((sum, { all }) => sum + all, 0)).toBe(50);
  expect(made.reduce((sum, { bad }) => sum + bad, 0)).toBe(5);
  expect(bins([]).bins).toEqual([]);
});

test.each([
  ["deploy.queued", { deploy: 4, service: "photos" }, "/deploys/4"], ["flag.switched", { flag: "a b" }, "/flags/a%20b"], ["page.sent", { incident: 3, alert: "f" }, "/incidents/3"],
  ["alert.fired", { alert: "f", deploy: 2 }, "/alerts/f"], ["host.connected", { host: "host-1" }, null], ["override.created", {}, "/on-call"],
])("%s leads to its page", (kind, subject, address) => expect(subjectAddress({ kind, subject })).toBe(address));

test("matchers of names and values of any kind come back as they were", () => {
  const odd = [
    { name: "k8s.pod/name", op: "=" as const, value: "a" }, { name: "שם", op: "!=" as const, value: "דנה, \"x\" = y" }, { name: "text", op: "=" as const, value: 'two\nlines, "quoted' },
    { name: "brace", op: "=" as const, value: "{a}" }, { name: "end", op: "=" as const, value: "\\" }, { name: "long", op: "=~" as const, value: "x".repeat(200) },
  ];
  expect(parseMatchers(showMatchers(odd))).toEqual(odd);
  expect(showMatchers(odd)).not.toContain("\n");
  const two = [{ name: "service", op: "=", value: "photos" }, { name: "severity", op: "=~", value: "warn.*" }];
  for (const text of ['service=photos severity=~"warn.*"', '{ service=photos,severity=~"warn.*", }', ' service = "photos" , severity =~ "warn.*"']) expect(parseMatchers(text)).toEqual(two);
  for (const text of ['a="b', 'a="b"c', '"a"', "a=", '=b', 'a="b" c']) expect(parseMatchers(text)).toBeNull();
});

test("labels that the server cannot read from a text are told it by name", () => {
  expect(labelsAsked('alertname="Down", service=photos')).toBe('alertname="Down", service=photos');
  expect(labelsAsked('alertname="Down", "http.route"="/a"')).toEqual({ alertname: "Down", "http.route": "/a" });
  expect(labelsAsked('"http.route"=~"/a"')).toBe('"http.route"=~"/a"');
  const many = Array.from({ length: 21 }, (_, n) => ({ name: `l${n}`, op: "=" as const, value: "x" }));
  expect(labelsAsked(showMatchers(many))).toEqual(Object.fromEntries(many.map(({ name, value }) => [name, value])));
});
