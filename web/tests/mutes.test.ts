import { describe, expect, it } from "vitest";
import type { Mute } from "../src/api/types";
import { addDays, DAY_MS, HOUR_MS, zone } from "../src/lib/time";
import { bodyOf, emptyForm, formOf, startOfWeek, stateOf, timesOf, timesText, turnsOf, withKind } from "../src/pages/alerts/mutes";

const now = Date.parse("2026-11-26T10:00:00Z");
const iso = (ms: number): string => new Date(ms).toISOString();
const mute = (part: Partial<Mute>): Mute => ({
  id: 1, kind: "silence", state: "active", holds: true, matchers: [{ name: "service", op: "=", value: "photos" }], reason: "racks", created_at: iso(now), updated_at: iso(now),
  starts_at: iso(now - HOUR_MS), expires_at: iso(now + HOUR_MS), recurs: [], recurs_text: "", created_by: "raj", created_by_name: "Raj", ...part,
});

describe("the form of a mute", () => {
  it("ends a while after its start, or at an instant", () => {
    const form = { ...emptyForm('service="photos"', now), reason: "racks" };
    expect(bodyOf(form, now)).toEqual({ matchers: [{ name: "service", op: "=", value: "photos" }], reason: "racks", kind: "silence", expires_at: iso(now + HOUR_MS) });
    const later = bodyOf({ ...form, kind: "downtime", start: "2026-12-01T20:00" }, now);
    expect(Date.parse(later.expires_at) - Date.parse(later.starts_at!)).toBe(HOUR_MS);
  });

  it("says what is wrong", () => {
    const form = { ...emptyForm("photos racks", now), reason: "x" };
    expect(() => bodyOf(form, now)).toThrow("matchers such as");
    expect(() => bodyOf({ ...form, matchers: 'a="b"', length: "", end: "2026-11-01T00:00" }, now)).toThrow("before it begins");
    expect(() => bodyOf({ ...withKind({ ...form, matchers: 'a="b"' }, "maintenance", now), recurs: " " }, now)).toThrow("comes back");
  });

  it("is the same after being read from a mute", () => {
    const planned = mute({ kind: "maintenance", recurs: [{}], recurs_text: "sun 02:00-04:00 Europe/Berlin", expires_at: iso(now + DAY_MS) });
    const body = bodyOf(formOf(planned, now), now);
    expect(body).toMatchObject({ kind: "maintenance", recurs_text: planned.recurs_text, expires_at: planned.expires_at });
    expect(body.starts_at).toBeUndefined();
  });

  it("writes days in the order of the week, with the reader's zone", () => {
    expect(timesText(["sun", "mon"], "22:00", "04:00")).toBe(`mon sun 22:00-04:00 ${zone}`);
    expect(timesText([], "00:00", "00:00", "UTC")).toBe("00:00-24:00 UTC");
  });

  it("shows the days and hours that a mute has, in its own zone", () => {
    const tokyo = timesOf("mon tue 22:00-23:30 Asia/Tokyo");
    expect(tokyo).toEqual({ days: ["mon", "tue"], from: "22:00", to: "23:30", zone: "Asia/Tokyo" });
    expect(timesText(tokyo!.days, tokyo!.from, "23:45", tokyo!.zone)).toBe("mon tue 22:00-23:45 Asia/Tokyo");
    expect(timesOf("fri sun 22:00-24:00; sat mon 00:00-04:00")).toEqual({ days: ["fri", "sun"], from: "22:00", to: "04:00", zone: "" });
    expect(timesOf("00:00-24:00 UTC")).toEqual({ days: [], from: "00:00", to: "00:00", zone: "UTC" });
    for (const text of ["", "sat", "day:1 02:00-04:00", "fri 22:00-24:00; sun 00:00-04:00", "mon 02:00-04:00 05:00-06:00", "sat; sun 01:00-02:00"]) expect(timesOf(text)).toBeNull();
  });
});

describe("states and weeks", () => {
  it("tells four states apart", () => {
    const word = (part: Partial<Mute>): string => stateOf(mute(part), now)[1];
    expect(word({})).toBe("Active");
    expect(word({ state: "pending", starts_at: iso(now + 1) })).toBe("To come");
    expect(word({ state: "pending", starts_at: iso(now) })).toBe("Active");
    expect(word({ state: "expired" })).toBe("Over");
    expect(word({ holds: false, recurs: [{}], next: { from: iso(now + HOUR_MS), to: iso(now + 2 * HOUR_MS) } })).toBe("Between turns");
    expect(word({ holds: false, recurs: [{}], next: { from: iso(now), to: iso(now + HOUR_MS) } })).toBe("Active");
  });

  it("begins weeks on Monday and cuts turns at midnight", () => {
    const monday = startOfWeek(now);
    expect(new Date(monday).getDay()).toBe(1);
    expect(startOfWeek(addDays(monday, 6))).toBe(monday);
    const turn = { mute: 1, from: iso(monday + 22 * HOUR_MS), to: iso(monday + 28 * HOUR_MS) };
    expect(turnsOf([turn], monday, addDays(monday, 1)).map(({ text }) => text)).toEqual(["from 22:00"]);
    expect(turnsOf([turn], addDays(monday, 1), addDays(monday, 2)).map(({ text }) => text)).toEqual(["until 04:00"]);
    expect(turnsOf([turn], addDays(monday, 2), addDays(monday, 3))).toEqual([]);
  });
});
