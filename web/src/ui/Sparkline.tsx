import type { ReactElement } from "react";

const WIDTH = 120;
const HEIGHT = 20;

/** A line without axes for a table cell; its words stand in the label. */
export function Sparkline({ values, label }: { values: (number | null)[]; label: string }): ReactElement {
  const known = values.filter((value): value is number => value !== null);
  if (known.length < 2) return <span className="muted">—</span>;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const range = high - low || 1;
  let path = "";
  let pen = false;
  values.forEach((value, index) => {
    if (value === null) {
      pen = false;
      return;
    }
    const x = (index / (values.length - 1)) * WIDTH;
    const y = HEIGHT - 2 - ((value - low) / range) * (HEIGHT - 4);
    path += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  return (
    <svg className="spark" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      <path d={path} fill="none" stroke="currentColor" strokeWidth="1.5" />
    </svg>
  );
}
