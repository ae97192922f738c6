import { beforeEach, expect, test, vi } from "vitest";
import { useRange, type Range } from "../src/charts/range";
import { mountEach, render } from "./mount";

const NOW = Date.parse("2026-11-28T03:00:00Z");
const HOUR_MS = 3_600_000;
let shown: Range;

function Shown({ otherwise, fixed }: { otherwise?: string; fixed?: { from: number; to: number } }): null {
  shown = useRange(otherwise, fixed);
  return null;
}

mountEach();
beforeEach(() => vi.useFakeTimers({ now: NOW }));

async function of(search: string, element = <Shown />): Promise<Range> {
  history.replaceState(null, "", `/graphs/nodes?${search}`);
  await render(element);
  return shown;
}

test.each([["range=90m", "90m"], ["from=now-90m&to=now", "90m"], ["from=now-2d", "2d"], ["from=now-1h&to=", "15m"], ["", "15m"], ["from=noon&to=now", "15m"], ["from=now-1h&to=now-3h", "15m"]])(
  "an address with %s moves with the clock", async (search, name) => expect((await of(search)).name).toBe(name),
);

test.each([
  [`from=${NOW - HOUR_MS}&to=${NOW}`, NOW - HOUR_MS, NOW], ["from=now-3h&to=now-1h", NOW - 3 * HOUR_MS, NOW - HOUR_MS],
  ["from=2026-11-28T01:00:00Z&to=2026-11-28T02:30:00Z", NOW - 2 * HOUR_MS, NOW - HOUR_MS / 2], ["from=2026-11-28T01:00:00Z&to=now", NOW - 2 * HOUR_MS, NOW],
])("an address with %s stands still", async (search, fromMs, toMs) => {
  expect(await of(search)).toMatchObject({ fromMs, toMs, name: null });
  vi.setSystemTime(NOW + HOUR_MS);
  await render(<Shown />);
  expect(shown).toMatchObject({ fromMs, toMs, name: null });
});

test("what a page opens with gives way to the address", async () => {
  const fixed = { from: NOW - 9 * HOUR_MS, to: NOW - 8 * HOUR_MS };
  expect(await of("", <Shown fixed={fixed} />)).toMatchObject({ fromMs: fixed.from, toMs: fixed.to, name: null });
  expect((await of("range=90m", <Shown fixed={fixed} />)).name).toBe("90m");
  expect((await of("", <Shown otherwise="90m" />)).text).toBe("last 90 min");
});
