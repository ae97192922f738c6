import { describe, expect, it } from "vitest";
import type { Range } from "../src/charts/range";
import { ALL, eachOf, fill, filled, matching, offeredBy, toggled, withOffered, wrongRegex } from "../src/charts/variables";
import { titled } from "../src/pages/graphs/DashboardPanel";

const range = { fromMs: 0, toMs: 3_600_000, name: "1h", text: "last 1 h" };

describe("variables of a dashboard", () => {
  it("fills in values, all of them, and what the page knows", () => {
    const values = { job: 'a"b', host: ALL };
    expect(fill('up{job="$job",host=~"${host}"}[$__range]', values, range)).toBe('up{job="a\\x22b",host=~".*"}[3600s]');
    expect(fill("rate(a[$__rate_interval])", {}, range)).toBe("rate(a[60s])");
    expect(fill("increase(a[${__range_s}s]) * $__interval_ms / ($__to - $__from + $__range_ms)", {}, range)).toBe("increase(a[3600s]) * 10000 / (3600000 - 0 + 3600000)");
  });
  it("has an interval in which there is a sample", () => {
    const scraped = [{ job: "slow", interval_ms: 60_000, targets: 1, others: [] }, { job: "fast", interval_ms: 1_000, targets: 9, others: [] }] as unknown as NonNullable<Range["scraped"]>;
    const short = { ...range, scraped };
    expect(fill('max_over_time(a{job="$job"}[$__interval]) * ${__interval_ms}', { job: "slow" }, short)).toBe('max_over_time(a{job="slow"}[60s]) * 60000');
    expect(fill('max_over_time(a{job="fast"}[${__interval}])', {}, short)).toBe('max_over_time(a{job="fast"}[10s])');
    expect(fill("a[$__interval] + b[$__interval_x]", {}, range)).toBe("a[10s] + b[$__interval_x]");
  });
  it("keeps a value from being a regular expression or the end of a text", () => {
    expect(fill('up{a=~"$a",b="$a"}', { a: "x.y (z)" }, range)).toBe('up{a=~"x\\\\.y \\\\(z\\\\)",b="x.y (z)"}');
    expect(fill("up{a='$a'}", { a: "it's" }, range)).toBe("up{a='it\\x27s'}");
  });
  it("lists labels where those are listed", () => {
    const several = { by: ["job", "host"], one: ["job"] };
    expect(fill("sum by ($by) (up) * on(${one}) group_left ($by) up", several, range)).toBe("sum by (job, host) (up) * on(job) group_left (job, host) up");
    expect(fill("sum without (pod, $by) (up)", several, range)).toBe("sum without (pod, job, host) (up)");
    expect(fill('sum by (job) (up{job=~"$by"})', several, range)).toBe('sum by (job) (up{job=~"(job|host)"})');
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
  it("offers the values in which a regular expression finds something", () => {
    const hosts = ["web-1:9100", "web-2:9100", "db:9100", "web-1:80"];
    expect(matching(hosts, "^web")).toEqual(["web-1:9100", "web-2:9100", "web-1:80"]);
    expect(matching(hosts, "^(web-\\d+):")).toEqual(["web-1", "web-2"]);
    for (const none of [null, undefined, "", "(broken"]) expect(matching(hosts, none)).toEqual(hosts);
  });
  it("filters as Grafana does: by named groups, by flags, and by each place that is found", () => {
    const node = ['up{instance="10.0.0.1:9100",nodename="web-1"} 1', 'up{instance="10.0.0.2:9100",nodename="web-2"} 1', "down 1"];
    expect(offeredBy(node, 'instance="(?<value>[^"]+).*nodename="(?<text>[^"]+)')).toEqual([{ value: "10.0.0.1:9100", text: "web-1" }, { value: "10.0.0.2:9100", text: "web-2" }]);
    expect(offeredBy(["a 1", "b 1"], "(?<text>\\d)")).toEqual([{ value: "1", text: "1" }]);
    expect(matching(["WEB-1", "db"], "/^web/i")).toEqual(["WEB-1"]);
    expect(matching(["a=1,b=2", "a=3"], "/=(\\d)/g")).toEqual(["1", "2", "3"]);
    expect([wrongRegex("(broken"), wrongRegex("/web/i"), wrongRegex(null)]).toEqual([expect.stringContaining("(broken"), null, null]);
    expect(matching(["/dev/sda", "/dev/sdb"], "/dev/sda")).toEqual(["/dev/sda"]);
  });
  it("lists what all stands for where labels are listed, and where not everything is on offer", () => {
    const variables = [{ name: "by", values: ["job", "host"], all: true }, { name: "web", label: "job", regex: "^web" }, { name: "any", label: "job" }];
    const all = withOffered({ by: [ALL], web: ALL, any: [ALL] }, variables, { web: [ALL, "web.1", "web-2"], any: [ALL, "a", "b"] });
    expect(fill("sum by ($by) (up)", all, range)).toBe("sum by (job, host) (up)");
    expect(fill("sum by (pod, ${any}) (up)", all, range)).toBe("sum by (pod, a, b) (up)");
    expect(fill('up{job="$web",a=~"$any",b=~"$by"}', all, range)).toBe('up{job=~"(web\\\\.1|web-2)",a=~".*",b=~".*"}');
    expect(fill('up{job=~"$web"}', withOffered({ web: ALL }, variables, {}), range)).toBe('up{job=~".*"}');
    expect(withOffered({ by: ["job"] }, variables, {})).toEqual({ by: ["job"] });
  });
  it("repeats a panel for each that is chosen, of all for each on offer", () => {
    expect(eachOf(["a", "b"], [ALL, "a", "b", "c"])).toEqual(["a", "b"]);
    expect(eachOf([ALL], [ALL, "a", "b"])).toEqual(["a", "b"]);
    expect([eachOf("a", []), eachOf(ALL, ["x"]), eachOf(undefined, ["x"])]).toEqual([["a"], ["x"], []]);
    const panel = { title: "Load", queries: [{ expr: "up" }] };
    expect(titled(panel, "host").title).toBe("Load: ${host}");
    for (const title of ["Load of $host", "Load of ${host}"]) expect(titled({ ...panel, title }, "host").title).toBe(title);
    expect(titled({ ...panel, title: "Load of $hosts" }, "host").title).toBe("Load of $hosts: ${host}");
  });
  it("leaves what it does not know, and the end of a regular expression", () => {
    expect(fill('a{code=~"5..$"} + $nobody', {}, range)).toBe('a{code=~"5..$"} + $nobody');
  });
});
