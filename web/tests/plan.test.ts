import { expect, test } from "vitest";
import type { Plan } from "../src/api/types";
import { formOf, planOf, readRestrictions } from "../src/pages/oncall/plan";

test("a plan goes through the form and comes back", () => {
  const plan: Plan = {
    timezone: "Europe/Berlin",
    layers: [
      { name: "base", rotation: { people: ["ana", "raj"], start: "2026-11-23T09:00:00", shift_length: "1w" }, restrictions: [], end: "2027-01-01T00:00:00Z" },
      { name: "halves", rotation: { people: ["ana", "mei"], start: "2026-11-23T09:00:00", shift_length: "12h", basis: "elapsed" }, restrictions: [] },
      { name: "day", timezone: "UTC", rotation: { people: ["mei"], start: "2026-11-23T09:00:00", shift_length: "1d" }, restrictions: [{ days: ["mon", "fri"], from: "09:00", to: "17:00" }] },
    ],
    fallback: ["raj"], shadows: [{ person: "zoe" }], min_rest_hours: 11, holidays: ["2026-12-25"],
  };
  expect(planOf(formOf(plan))).toEqual(plan);
});

test("one rotation becomes one layer of that name", () => {
  const rotation = { people: ["ana"], start: "2026-11-23T09:00:00", shift_length: "1w" };
  expect(planOf(formOf({ timezone: "UTC", rotation })).layers).toEqual([{ name: "rotation", rotation, restrictions: [] }]);
});

test("a calendar that is followed needs no layer", () => {
  const plan: Plan = { timezone: "UTC", layers: [], calendar: { url: "https://calendar.example.org/hidden", refresh_s: 900 }, fallback: [], shadows: [], holidays: [] };
  expect(planOf(formOf(plan))).toEqual(plan);
  expect(formOf(plan).calendarMinutes).toBe("15");
  expect(planOf({ ...formOf(plan), calendarUrl: " " })).not.toHaveProperty("calendar");
});

test("a window is read, and what is none is said", () => {
  expect(readRestrictions("Mon, tue 9:00-17:00\n22:00-06:00\n")).toEqual([{ days: ["mon", "tue"], from: "09:00", to: "17:00" }, { from: "22:00", to: "06:00" }]);
  expect(() => readRestrictions("monday 9-17")).toThrow("mon tue 09:00-17:00");
});
