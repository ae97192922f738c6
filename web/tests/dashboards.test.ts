import { describe, expect, it } from "vitest";
import { ALL, fill, filled, toggled } from "../src/charts/variables";

const range = { fromMs: 0, toMs: 3_600_000, name: "1h", text: "last 1 h" };

describe("variables of a dashboard", () => {
  it("fills in values, all of them, and what the page knows", () => {
    const values = { job: 'a"b', host: ALL };
    expect(fill('up{job="$job",host=~"${host}"}[$__range]', values, range)).toBe('up{job="a\\x22b",host=~".*"}[3600s]');
    expect(fill("rate(a[$__rate_interval])", {}, range)).toBe("rate(a[60s])");
  });
  it("keeps a value from being a regular expression or the end of a text", () => {
    expect(fill('up{a=~"$a",b="$a"}', { a: "x.y (z)" }, range)).toBe('up{a=~"x\\\\.y \\\\(z\\\\)",b="x.y (z)"}');
    expect(fill("up{a='$a'}", { a: "it's" }, range)).toBe("up{a='it\\x27s'}");
  });
  it("asks for any of several, each as it is written", () => {
    const several = { job: ["a.b", "c|d"], host: [ALL], one: ["x.y"] };
    expect(fill('up{job=~"$job"}', several, range)).toBe('up{job=~"(a\\\\.b|c\\\\|d)"}');
    expect(fill('up{job=~"web-${job}-.*"}', several, range)).toBe('up{job=~"web-(a\\\\.b|c\\\\|d)-.*"}');
    expect(fill('up{job="$job",a!= \'${job}\',host="$host"}', several, range)).toBe('up{job=~"(a\\\\.b|c\\\\|d)",a!~ \'(a\\\\.b|c\\\\|d)\',host=~".*"}');
    expect(fill('up{a="$one",b=~"$one",c="x-$job"}', several, range)).toBe('up{a="x.y",b=~"x\\\\.y",c="x-(a.b|c|d)"}');
    expect(fill('up{a="$none"}', { none: [] }, range)).toBe('up{a="$none"}');
  });
  it.each([
    [["a"], "b", false, ["a", "b"]], [["a", "b"], "a", false, ["b"]], [["a"], "a", false, ["a"]], [["a"], "a", true, [ALL]],
    [[ALL], "a", true, ["a"]], [["a", "b"], ALL, true, [ALL]], [[ALL], ALL, true, [ALL]], [[], "a", false, ["a"]],
  ])("a press with %j chosen on %s", (chosen, value, all, next) => expect(toggled(chosen, value, all)).toEqual(next));
  it("stands in titles and legends as it is read, not as it is asked", () => {
    const panel = { title: "Up of ${job} on $host", queries: [{ expr: 'up{job=~"$job"}', legend: "{{instance}} of $job for $5" }, { expr: "up" }] };
    expect(filled(panel, { job: ["a.b", "c"], host: ALL }, range)).toEqual({
      title: "Up of a.b, c on all",
      queries: [{ expr: 'up{job=~"(a\\\\.b|c)"}', legend: "{{instance}} of a.b, c for $5" }, { expr: "up" }],
    });
  });
  it("leaves what it does not know, and the end of a regular expression", () => {
    expect(fill('a{code=~"5..$"} + $nobody', {}, range)).toBe('a{code=~"5..$"} + $nobody');
  });
});
