import { useMemo, type ReactElement } from "react";
import type { RecordEvent } from "../../api/types";
import { DAY_MS, HOUR_MS, MINUTE_MS, stamp, zone } from "../../lib/time";
import { plural } from "../../lib/units";

interface Bin {
  at: number;
  all: number;
  bad: number;
}

const BINS_MAX = 96;
/** A short record is drawn at the right end, not as a few wide blocks. */
const BINS_MIN = 48;
const BINS_TOTAL_MAX = 400;
const WIDTHS = [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, DAY_MS];
const HEIGHT = 64;

export function bins(rows: RecordEvent[]): { bins: Bin[]; width: number } {
  const times = rows.map(({ occurred_at }) => Date.parse(occurred_at));
  if (times.length === 0) return { bins: [], width: HOUR_MS };
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const width = WIDTHS.find((candidate) => (last - first) / candidate < BINS_MAX) ?? DAY_MS;
  const end = Math.floor(last / width) * width;
  const start = Math.min(Math.floor(first / width) * width, end - (BINS_MIN - 1) * width);
  const count = Math.min((end - start) / width + 1, BINS_TOTAL_MAX);
  const made: Bin[] = Array.from({ length: count }, (_, index) => ({ at: start + index * width, all: 0, bad: 0 }));
  rows.forEach((row, index) => {
    const bin = made[Math.floor((times[index]! - start) / width)];
    if (!bin) return;
    bin.all += 1;
    if (row.severity === "critical" || row.severity === "warning") bin.bad += 1;
  });
  return { bins: made, width };
}

const WIDTH_NAMES: Record<number, string> = {
  [MINUTE_MS]: "minute", [5 * MINUTE_MS]: "5 min", [15 * MINUTE_MS]: "15 min", [HOUR_MS]: "hour",
  [3 * HOUR_MS]: "3 h", [6 * HOUR_MS]: "6 h", [DAY_MS]: "day",
};

/** How much happened when; a click looks at that stretch alone. */
export function Histogram({ rows, complete, onPick }: { rows: RecordEvent[]; complete: boolean; onPick: (from: number, to: number) => void }): ReactElement | null {
  const { bins: made, width } = useMemo(() => bins(rows), [rows]);
  if (made.length < 2) return null;
  const top = Math.max(...made.map(({ all }) => all));
  const now = Date.now();
  const name = WIDTH_NAMES[width] ?? "step";
  return (
    <figure>
      <svg className="histogram" viewBox={`0 0 ${made.length * 10} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Rows by ${name}: at most ${plural(top, "row")}`}>
        {made.map((bin, index) => (
          <g key={bin.at} onClick={() => onPick(bin.at, bin.at + width)} style={{ cursor: "pointer" }}>
            <title>{`${stamp(bin.at, now)}: ${plural(bin.all, "row")}, ${bin.bad} of them warnings or critical`}</title>
            <rect x={index * 10} y={0} width={10} height={HEIGHT} opacity={0} />
            <rect x={index * 10 + 1} width={8} y={HEIGHT - (bin.all / top) * HEIGHT} height={(bin.all / top) * HEIGHT} opacity={0.75} />
            <rect className="bad" x={index * 10 + 1} width={8} y={HEIGHT - (bin.bad / top) * HEIGHT} height={(bin.bad / top) * HEIGHT} />
          </g>
        ))}
      </svg>
      <figcaption className="histogram-foot">
        <span>{stamp(made[0]!.at, now)}</span>
        <span>{complete ? "" : "newest "}{plural(rows.length, "row")} by {name}, red: warning or critical ({zone})</span>
        <span>{stamp(made.at(-1)!.at + width, now)}</span>
      </figcaption>
    </figure>
  );
}
