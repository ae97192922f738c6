import { describe, expect, it } from "vitest";
import { ALL, fill, namesIn } from "../src/charts/variables";

const range = { fromMs: 0, toMs: 3_600_000, name: "1h", text: "last 1 h" };

describe("variables of a dashboard", () => {
  it("fills in values, all of them, and what the page knows", () => {
    const values = { job: 'a"b', host: ALL };
    expect(fill('up{job="$job",host=~"${host}"}[$__range]', values, range)).toBe('up{job="a\\"b",host=~".*"}[3600s]');
    expect(fill("rate(a[$__rate_interval])", {}, range)).toBe("rate(a[60s])");
  });
  it("keeps a value from being a regular expression or the end of a text", () => {
    expect(fill('up{a=~"$a",b="$a"}', { a: "x.y (z)" }, range)).toBe('up{a=~"x\\\\.y \\\\(z\\\\)",b="x.y (z)"}');
    expect(fill("up{a='$a'}", { a: "it's" }, range)).toBe("up{a='it\\'s'}");
  });
  it("leaves what it does not know, and the end of a regular expression", () => {
    expect(fill('a{code=~"5..$"} + $nobody', {}, range)).toBe('a{code=~"5..$"} + $nobody');
    expect(namesIn("$a ${b} $5")).toEqual(["a", "b"]);
  });
});
