import { describe, expect, it, test } from "vitest";
import { lengthOf, movingOf, movingRange, readInstant, readRange, stepped, stepsOf, writeInstant, type Range } from "../src/charts/range";

const local = (year: number, month: number, day: number, hour = 0, minute = 0, second = 0): number => new Date(year, month - 1, day, hour, minute, second).getTime();

test.each([
  ["2026-01-31 12:30:05", local(2026, 1, 31, 12, 30, 5)], ["2026-01-31T12:30", local(2026, 1, 31, 12, 30)], [" 2026-01-31 ", local(2026, 1, 31)],
  ["2026-01-31T12:30:00Z", Date.UTC(2026, 0, 31, 12, 30)], ["2026-01-31 12:30+02:00", Date.UTC(2026, 0, 31, 10, 30)],
  ["1769862600", 1_769_862_600_000], ["1769862600.5", 1_769_862_600_500], ["1769862600123", 1_769_862_600_123],
  ["2026-02-30 00:00", null], ["2026-13-01", null], ["31.1.2026", null], ["yesterday", null], ["", null], ["12", null], ["2026-01-31 25:00", null],
])("an instant typed as %s", (text, instant) => expect(readInstant(text)).toBe(instant));

test("what the fields begin with is read as it was", () => expect(readInstant(writeInstant(local(2026, 3, 9, 7, 8, 9)))).toBe(local(2026, 3, 9, 7, 8, 9)));

describe("a range typed by its ends", () => {
  it("is both", () => expect(readRange("2026-01-31 12:00", "2026-01-31 13:00")).toEqual({ fromMs: local(2026, 1, 31, 12), toMs: local(2026, 1, 31, 13) }));
  it.each([
    ["", "2026-01-31", "no beginning"], ["2026-01-31", " ", "no end"], ["noon", "2026-01-31", "“noon” is no instant"], ["2026-01-31", "2026-01-31", "before it begins"],
    ["2026-01-31 12:00", "2026-01-31 11:00", "exchange"], ["2026-01-31 12:00:00", "2026-01-31 12:00:02", "shorter than 5 s"], ["1999-01-01", "2026-01-31", "ten years"],
  ])("%s to %s is refused", (from, to, wanted) => expect(readRange(from, to)).toContain(wanted));
});

describe("a range that moves", () => {
  it.each([["1h", 3_600_000, "1 h"], ["24h", 86_400_000, "24 h"], ["3h", 10_800_000, "3 h"], ["90m", 5_400_000, "90 min"], ["2d", 172_800_000, "2 d"], ["12w", 12 * 604_800_000, "12 w"], ["30s", 30_000, "30 s"]])(
    "of %s", (name, ms, text) => expect(movingRange(name)).toEqual({ name, ms, text }),
  );
  it.each(["", "h", "1", "0h", "1s", "9999w", "1y", "-1h", "1h30m", "toString"])("is not of %s", (name) => expect(movingRange(name)).toBeUndefined());
  it("is written as in Grafana", () => {
    expect([movingOf("now-3h", "now"), movingOf(" now-2d", "now ")]).toEqual(["3h", "2d"]);
    expect([movingOf("now-3h", "now-1h"), movingOf("now-3h", ""), movingOf("now/d", "now"), movingOf("1769862600", "now")]).toEqual([null, null, null, null]);
  });
  it("may end before now, and then stands still", () => {
    const now = local(2026, 1, 31, 12);
    expect(readRange("now-3h", "now-1h", now)).toEqual({ fromMs: now - 10_800_000, toMs: now - 3_600_000 });
    expect(readRange("2026-01-31 10:00", "now", now)).toEqual({ fromMs: local(2026, 1, 31, 10), toMs: now });
    expect(readRange("now-1y", "now", now)).toContain("is no instant");
  });
});

describe("a step that is chosen", () => {
  const of = (seconds: number): Range => ({ fromMs: 0, toMs: 1000 * seconds, name: null, text: "" });
  it("is one of those with some points, and not too many", () => {
    expect(stepsOf(of(300))).toEqual([1, 2, 5, 10, 15, 30]);
    expect(stepsOf(of(7 * 86_400))[0]).toBe(300);
    expect(stepsOf(of(5))).toEqual([]);
  });
  it.each([[15, 15], [7, 10], [NaN, undefined], [0, undefined], [-5, undefined], [31, undefined]])("of %d s is %d s within 5 min", (wanted, step) => expect(stepped(of(300), wanted).step).toBe(step));
  it("gives way to the next that a longer range can have", () => expect(stepped(of(7 * 86_400), 15).step).toBe(300));
});

test.each([["90m", "90m"], [" now-90m ", "90m"], ["now-2d", "2d"], ["now", null], ["", null], ["90", null], ["now-1y", null], ["1s", null]])("a length typed as %s", (text, name) => expect(lengthOf(text)).toBe(name));
