import { expect, test } from "vitest";
import type { FollowedCalendar } from "../src/api/types";
import { CalendarState } from "../src/pages/oncall/CalendarState";
import { box, mountEach, render } from "./mount";

mountEach();

const calendar: FollowedCalendar = {
  host: "calendar.example.org", refresh_s: 600, read_at: "2026-11-23T09:00:00Z", until: "2027-03-23T09:00:00Z", failing_since: null, shifts: 12, unnamed: [],
};
const shown = async (part: Partial<FollowedCalendar>): Promise<string> => {
  await render(<CalendarState calendar={{ ...calendar, ...part }} />);
  return box.textContent ?? "";
};

test("a calendar that is read says when, and how far ahead", async () => {
  const text = await shown({});
  expect(text).toContain("Follows the calendar at calendar.example.org read ");
  expect(text).toContain("known until ");
  expect(await shown({ read_at: null, until: null })).toContain("Not read yet");
});

test("one that cannot be read says since when, why, and what holds", async () => {
  const failing = { failing_since: "2026-11-23T10:00:00Z", failure: "it answers 500" };
  expect(await shown(failing)).toMatch(/Cannot be read since .*: it answers 500; what it said last holds/);
  expect(await shown({ ...failing, shifts: 0 })).toContain("nobody is on call by it");
});

test("events that put nobody on call are named, and of many the first", async () => {
  const text = await shown({ unnamed: ["a", "b", "c", "d", "e"].map((name) => `names nobody who has an account: \`${name}\``) });
  expect(text).toContain("An event of the calendar names nobody who has an account: `a`");
  expect(text).not.toContain("`d`");
  expect(text).toContain("and 2 more events");
});
