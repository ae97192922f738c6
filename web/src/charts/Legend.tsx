import type { ReactElement, RefObject } from "react";
import { seriesColour, type Theme } from "../lib/palette";
import { useTheme } from "../lib/theme";
import { colourOf, lastValue, lineText, spreadOf, type Line } from "./summary";

interface Props {
  title: string;
  /** Its parts with `data-value` follow the pointer, line by line. */
  values: RefObject<HTMLDivElement | null>;
  lines: Line[];
  unit: string;
  /** The line that is drawn alone; null for all. */
  chosen: string | null;
  onChoose: (label: string | null) => void;
  /** With the lowest, mean and highest of each line. */
  detailed: boolean;
}

function colour(lines: Line[], index: number, theme: Theme): string {
  const limit = lines[index]?.limit;
  if (limit) return limit === "warning" ? "var(--warning)" : "var(--critical)";
  return lines[index]?.colour ?? seriesColour(theme, colourOf(lines, index));
}

/** Each line with its value; a press draws a line alone, another press all of them. */
export function Legend({ title, values, lines, unit, chosen, onChoose, detailed }: Props): ReactElement {
  const theme = useTheme();
  const press = ({ label, limit }: Line): void => {
    if (!limit) onChoose(chosen === label ? null : label);
  };
  const look = ({ label, limit }: Line): string | undefined => (chosen === null || chosen === label || limit ? undefined : "put-back");
  const swatch = (index: number): ReactElement => <span className="swatch" style={{ background: colour(lines, index, theme) }} />;
  if (!detailed) {
    return (
      <div ref={values}>
        <ul className="legend picks" aria-hidden="true">
          {lines.map((line, index) => (
            <li key={line.label} className={look(line)} onClick={() => press(line)}>
              {swatch(index)}
              <span>{line.label}</span>
              <span className="muted" data-value="">{lineText(line, lastValue(line.values), unit)}</span>
            </li>
          ))}
        </ul>
      </div>
    );
  }
  return (
    <div className="chart-table" tabIndex={0} role="region" aria-label={`Lines of ${title}`} ref={values}>
      <table className="legend-table">
        <thead>
          <tr><th scope="col">Line</th><th scope="col" className="number">Newest</th><th scope="col" className="number">Lowest</th><th scope="col" className="number">Mean</th><th scope="col" className="number">Highest</th></tr>
        </thead>
        <tbody>
          {lines.map((line, index) => {
            const spread = line.limit ? null : spreadOf(line.values);
            return (
              <tr key={line.label} className={look(line)}>
                <td className="wrap-any">
                  {swatch(index)}{" "}
                  {line.limit ? <span>{line.label}</span> : <button type="button" aria-pressed={chosen === line.label} title="Draw it alone" onClick={() => press(line)}>{line.label}</button>}
                </td>
                <td className="number nowrap" data-value="">{lineText(line, lastValue(line.values), unit)}</td>
                <td className="number nowrap">{spread && lineText(line, spread.low, unit)}</td>
                <td className="number nowrap">{spread && lineText(line, spread.mean, unit)}</td>
                <td className="number nowrap">{spread && lineText(line, spread.high, unit)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
