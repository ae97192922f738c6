import { beforeEach, expect, test } from "vitest";
import { withQuery } from "../src/api/http";
import { addressWith, match } from "../src/router/router";

beforeEach(() => history.replaceState(null, "", "/"));

test.each([
  ["/", "/", {}], ["/deploys/:number", "/deploys/12", { number: "12" }], ["/flags/:key", "/flags/a%20b", { key: "a b" }], ["/deploys", "/deploys/", {}],
  ["/deploys/:number", "/deploys", null], ["/deploys/:number", "/deploys/", null], ["/deploys", "/flags", null], ["/flags/:key", "/flags/%E0%A4%A", null],
])("%s against %s", (pattern, path, params) => expect(match(pattern, path)).toEqual(params));

test("a change of one filter keeps the others, an empty one is dropped", () => {
  history.replaceState(null, "", "/timeline?kind=deploy.&q=x");
  expect(addressWith({ q: "", actor: "ana" })).toBe("/timeline?kind=deploy.&actor=ana");
});

test("what goes into an address is escaped", () => {
  expect(withQuery("/api/events", { q: "5 %", service: undefined, limit: 0, kind: "" })).toBe("/api/events?q=5+%25&limit=0");
});

test("a list stands as one name several times", () => {
  history.replaceState(null, "", "/graphs/edge?var-job=a&range=1h");
  expect(addressWith({ "var-job": ["a b", "c", ""] })).toBe("/graphs/edge?range=1h&var-job=a+b&var-job=c");
  expect(addressWith({ "var-job": [] })).toBe("/graphs/edge?range=1h");
});
