import { act } from "react";
import { beforeEach, expect, test, vi } from "vitest";

vi.hoisted(() => {
  process.env.TZ = "Asia/Kolkata";
});

import { linkOf, readInstant, useRange, writeInstant } from "../src/charts/range";
import { RangePicker } from "../src/charts/RangePicker";
import { spanText } from "../src/charts/png";
import { timeLabels } from "../src/charts/ticks";
import { format } from "../src/lib/units";
import { chooseUtc, clock, day, readAs, stamp, zone } from "../src/lib/zone";
import { box, mountEach, render } from "./mount";

/** 20:30 in UTC, 02:00 of the next day in Kolkata. */
const AT = Date.UTC(2026, 10, 27, 20, 30);

mountEach();
beforeEach(() => {
  localStorage.clear();
  window.dispatchEvent(new StorageEvent("storage", { key: null }));
  history.replaceState(null, "", "/graphs");
  readAs("ana");
});

function Page(): React.ReactElement {
  const range = useRange();
  return <><RangePicker range={range} /><output>{linkOf(range)}</output></>;
}
const chip = (): HTMLButtonElement => [...box.querySelectorAll("button")].find(({ textContent }) => textContent === "UTC")!;
const chosen = (): string => [...box.querySelectorAll(".chip")].find((one) => one.getAttribute("aria-haspopup"))!.textContent!;

test("instants are written and read in the zone that is chosen", () => {
  expect([zone(), clock(AT), day(AT), writeInstant(AT), readInstant("2026-11-28 02:00")]).toEqual([expect.stringMatching(/^Asia/), "02:00", "Sat 28 Nov", "2026-11-28 02:00:00", AT]);
  chooseUtc(true);
  expect([zone(), clock(AT), day(AT), writeInstant(AT), readInstant("2026-11-27 20:30")]).toEqual(["UTC", "20:30", "Fri 27 Nov", "2026-11-27 20:30:00", AT]);
  expect(readInstant("2026-11-27")).toBe(Date.UTC(2026, 10, 27));
  // What has a zone keeps it.
  expect(readInstant("2026-11-28 02:00+05:30")).toBe(AT);
  expect(stamp(AT, AT + 4 * 3_600_000)).toBe("Fri 27 Nov 20:30 UTC");
  expect(format(AT / 1000, "date")).toContain("20:30:00 UTC");
  const midnight = Date.UTC(2026, 10, 28) / 1000;
  expect(timeLabels([midnight - 3600, midnight], 3600)).toEqual(["23:00", "28 Nov"]);
  expect(spanText([AT / 1000, AT / 1000 + 3600])).toBe("Fri 27 Nov 2026 20:30 to 21:30 (UTC)");
});

test("the switch is each person's own, and kept", async () => {
  await render(<Page />);
  expect(chip().getAttribute("aria-pressed")).toBe("false");
  await act(async () => chip().click());
  expect(chip().getAttribute("aria-pressed")).toBe("true");
  expect(box.querySelector("output")!.textContent).toContain("timezone=utc");
  readAs("raj");
  expect(zone()).not.toBe("UTC");
  readAs("ana");
  window.dispatchEvent(new StorageEvent("storage", { key: null }));
  expect(zone()).toBe("UTC");
});

test("a link says the zone, until whoever opened it chooses another", async () => {
  history.replaceState(null, "", `/graphs?from=${AT}&to=${AT + 3_600_000}&timezone=utc`);
  await render(<Page />);
  expect(chip().getAttribute("aria-pressed")).toBe("true");
  expect(chosen()).toContain("20:30 UTC");
  await act(async () => chip().click());
  expect(location.search).not.toContain("timezone");
  expect(chosen()).toContain("02:00");
  expect(chosen()).not.toContain("UTC");
  expect(localStorage.length).toBe(0);
});
