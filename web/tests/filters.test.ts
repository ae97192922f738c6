import { describe, expect, it } from "vitest";
import { FILTERS, isMatcher, matcherOf, withMatcher, withMatchers } from "../src/charts/filters";
import { fill, filtersOf, NO_FILTERS, overview } from "../src/charts/variables";
import { readVariable, writeVariable } from "../src/pages/graphs/VariableForm";

const RANGE = { name: null, fromMs: 0, toMs: 3_600_000, text: "an hour" };

describe("filters", () => {
  it("stand in every selector and nowhere else", () => {
    const cases: [string, string][] = [
      ["up", 'up{x="1"}'],
      ["up{}", 'up{x="1"}'],
      ['up {job="a"}', 'up {x="1", job="a"}'],
      ['up{job="a",}', 'up{x="1", job="a",}'],
      ['{__name__=~"a|b"}', '{x="1", __name__=~"a|b"}'],
      ['sum by (job) (rate(a:b{c="}"}[5m:1m] offset 1h))', 'sum by (job) (rate(a:b{x="1", c="}"}[5m:1m] offset 1h))'],
      ["sum(up) without (job, instance)", 'sum(up{x="1"}) without (job, instance)'],
      ["a / on (job) group_left (host) b", 'a{x="1"} / on (job) group_left (host) b{x="1"}'],
      ["a and ignoring(c) b or 1e3 > bool 0x1F", 'a{x="1"} and ignoring(c) b{x="1"} or 1e3 > bool 0x1F'],
      ["rate(a[$__x + 5m]) @ end()", 'rate(a{x="1"}[$__x + 5m]) @ end()'],
      ['label_replace(up, "a", "$1", "b", "(.*)")', 'label_replace(up{x="1"}, "a", "$1", "b", "(.*)")'],
      ["quantile_over_time(0.9, a[1h]) * -Inf # up\n+ by_host", 'quantile_over_time(0.9, a{x="1"}[1h]) * -Inf # up\n+ by_host{x="1"}'],
      ["a{b='c' # d}\n}", "a{x=\"1\", b='c' # d}\n}"],
    ];
    for (const [asked, wanted] of cases) expect(withMatchers(asked, ['x="1"'])).toBe(wanted);
    expect(withMatchers("sum(a{", ['x="1"'])).toContain("sum(a{");
    expect(withMatchers("a + a", ['x="1"', 'y!="2"'])).toBe('a{x="1", y!="2"} + a{x="1", y!="2"}');
    expect(withMatchers("up", [])).toBe("up");
  });

  it("of one value go into each selector that does not ask for it yet", () => {
    const cases: [string, string][] = [
      ["up", 'up{job="web"}'],
      ["up {}", 'up {job="web"}'],
      ['{__name__="up"}', '{job="web", __name__="up"}'],
      ['up{host="a"}', 'up{job="web", host="a"}'],
      ['up{job!="web"}', 'up{job="web", job!="web"}'],
      ['up{job=~"web"}', 'up{job="web", job=~"web"}'],
      ['up{ # job="web"\n}', 'up{job="web",  # job="web"\n}'],
      ['up{x="job=\\"web\\""}', 'up{job="web", x="job=\\"web\\""}'],
      ['sum by (job) (rate(a{job="web"}[5m])) / on (job) sum(b)', 'sum by (job) (rate(a{job="web"}[5m])) / on (job) sum(b{job="web"})'],
    ];
    for (const [asked, wanted] of cases) expect(withMatcher(asked, "job", "web")).toBe(wanted);
    for (const same of ['up{job="web"}', "up{host='a', job = 'web',}", "up{job=`web`}", 'up{"job"="web"}', '{"a.b", job="web"}', 'up{a="x # y", job="web"}', "1 + time()"]) {
      expect(withMatcher(same, "job", "web")).toBe(same);
    }
    for (const [label, value, wanted] of [["http.route", "/a", 'up{"http.route"="/a"}'], ["a", 'x"y\\', 'up{a="x\\"y\\\\"}']] as const) {
      expect(withMatcher("up", label, value)).toBe(wanted);
      expect(withMatcher(wanted, label, value)).toBe(wanted);
    }
  });

  it("are matchers and nothing else, whatever the address says", () => {
    expect(matcherOf("job", "=~", 'a"b\\')).toBe('job=~"a\\"b\\\\"');
    expect(matcherOf("http.route", "=", "/a")).toBe('"http.route"="/a"');
    expect(isMatcher(matcherOf("job", "!=", 'x} or vector(1) # "'))).toBe(true);
    for (const wrong of ['job="a"} or up{b="c"', "job", 'job="a', 'job="a",b="c"', NO_FILTERS]) expect(isMatcher(wrong), wrong).toBe(false);
    expect([filtersOf(['a="1"'], []), filtersOf(['a="1"'], [NO_FILTERS]), filtersOf([], ['b="2"', "c"])]).toEqual([['a="1"'], [], ['b="2"']]);
  });

  it("are filled in with the other variables", () => {
    expect(fill('up{job="$job"}', { job: "web", [FILTERS]: ['x="$job"'] }, RANGE)).toBe('up{x="$job", job="web"}');
    expect(overview([{ name: "Filters", filters: true, values: ['x="1"'] }])).toEqual({ [FILTERS]: ['x="1"'] });
  });

  it("are written like other variables", () => {
    expect(readVariable("f", 'filters: job="a, b", host=~"c"')).toEqual({ name: "f", filters: true, values: ['job="a, b"', 'host=~"c"'] });
    expect(readVariable("f", "filters:")).toEqual({ name: "f", filters: true });
    for (const text of ['filters: job!="a"', "filters: "]) expect(writeVariable(readVariable("f", text))).toBe(text);
  });
});
