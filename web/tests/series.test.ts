import { describe, expect, it } from "vitest";
import { heights } from "../src/charts/look";
import { ofKind, readSeries, rightEnds, settled, styled, writeSeries } from "../src/charts/series";
import { lineText } from "../src/charts/summary";
import { format } from "../src/lib/units";

const line = (label: string, query = 0): { label: string; query: number; values: (number | null)[] } => ({ label, query, values: [1, null, 3] });

describe("what is set for single series", () => {
  it("is of a name, of a regular expression, of a query or of all, the later before the earlier", () => {
    const lines = [line("eth0 sent"), line("eth0 received"), line("total", 1)];
    const drawn = styled(lines, [
      { decimals: 1, line_px: 1 }, { regex: "sent$", scale: -2, colour: "#112233", decimals: 3, fill_percent: 50 },
      { query: 2, right: true, unit: "bytes", unstacked: true }, { name: "total", title: "All", dashed: true, right: false }, { regex: "(", hidden: true },
    ]);
    expect(drawn).toEqual([
      { label: "eth0 sent", query: 0, values: [-2, null, -6], decimals: 3, width: 1, colour: "#112233", below: true, fill: 0.5 },
      { label: "eth0 received", query: 0, values: [1, null, 3], decimals: 1, width: 1 },
      { label: "All", query: 1, values: [1, null, 3], decimals: 1, width: 1, right: true, unit: "bytes", unstacked: true, dashed: true },
    ]);
    expect(styled(lines, [])).toBe(lines);
  });

  it("hides lines, and keeps two of one name apart", () => {
    expect(styled([line("a"), line("b"), line("c")], [{ name: "a", hidden: true }, { regex: "b|c", title: "same" }]).map(({ label }) => label)).toEqual(["same", "same (2)"]);
  });

  it("is of single values as well", () => {
    const row = (label: string): { label: string; value: number; labels: Record<string, string>; query: number } => ({ label, value: 2, labels: {}, query: 0 });
    const limits = [{ above: 1, level: "warning" as const }];
    expect(settled([row("a"), row("b")], [{ name: "a", scale: 10, unit: "bytes", thresholds: limits }, { name: "b", hidden: true }])).toEqual([{ ...row("a"), value: 20, unit: "bytes", thresholds: limits }]);
  });

  it("stacks each side and each axis by itself", () => {
    const stacked = [line("a"), { ...line("b"), below: true, values: [-1, -2, null] }, line("c"), { ...line("d"), below: true, values: [-1, -1, -1] }, { ...line("e"), unstacked: true }];
    expect(heights(stacked, { stacked: true })).toEqual([[1, null, 3], [-1, -2, null], [2, null, 6], [-2, -3, -1], [1, null, 3]]);
  });

  it("has its numbers in its own unit", () => {
    expect(lineText({ ...line("a"), unit: "bytes", decimals: 2 }, 1536, "ratio")).toBe("1.50 KiB");
    expect(lineText(line("a"), 0.5, "ratio")).toBe("50 %");
    expect([format(1.25, "seconds", 1), format(2, "ops", 2), format(0, "short", 0)]).toEqual(["1.3 s", "2.00 /s", "0"]);
    expect(rightEnds([{ name: "a", min: 1 }, { name: "b", right: true, max: 5 }, { name: "c", right: true, min: 0, max: 9 }])).toEqual({ rightMin: 0, rightMax: 5 });
  });

  it("is typed in words", () => {
    const typed = '/sent\\/s/ = times -1, colour #315fcf, fill 20\n"a \\"b\\"" = as "All, of it", in bytes, decimals 1, right, from 0, to 10\nquery 2 = dashed, unstacked, width 2\nall = hidden';
    const read = readSeries(typed);
    expect(read).toEqual([
      { regex: "sent\\/s", scale: -1, colour: "#315fcf", fill_percent: 20 },
      { name: 'a "b"', title: "All, of it", unit: "bytes", decimals: 1, right: true, min: 0, max: 10 },
      { query: 2, dashed: true, unstacked: true, line_px: 2 }, { hidden: true },
    ]);
    expect(readSeries(writeSeries(read ?? []))).toEqual(read);
    expect(readSeries('"a" = warning above 1, critical below -2.5')).toEqual([{ name: "a", thresholds: [{ above: 1, level: "warning" }, { below: -2.5, level: "critical" }] }]);
    expect(readSeries("")).toEqual([]);
    for (const wrong of ["all", "all = ", "a = hidden", "all = in lumens", "all = colour red", "all = hidden dashed", "query 0 = hidden", '"a = hidden']) expect(readSeries(wrong), wrong).toBeNull();
  });

  it("loses what another kind does not have", () => {
    const all = [{ name: "a", colour: "#112233", right: true, decimals: 1 }];
    expect(ofKind(all, "table")).toEqual([]);
    expect(ofKind(all, "stat")).toEqual([{ name: "a", decimals: 1, thresholds: [] }]);
    expect(ofKind(all, "graph")[0]).toMatchObject({ colour: "#112233", right: true, decimals: 1 });
  });
});
