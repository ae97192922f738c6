import type { KeyboardEvent, MouseEvent, ReactElement, RefObject } from "react";
import { seriesColour, type Theme } from "../lib/palette";
import { useTheme } from "../lib/theme";
import { alone, isDrawn, toggled, type Picks } from "./picks";
import { colourOf, lastValue, lineText, spreadOf, type Line } from "./summary";

interface Props {
  title: string;
  /** Its parts with `data-value` follow the pointer, line by line. */
  values: RefObject<HTMLDivElement | null>;
  lines: Line[];
  unit: string;
  /** The lines that are drawn. */
  chosen: Picks;
  onChoose: (picks: Picks) => void;
  /** With the lowest, mean and highest of each line. */
  detailed: boolean;
}

function colour(lines: Line[], index: number, theme: Theme): string {
  const limit = lines[index]?.limit;
  if (limit) return limit === "warning" ? "var(--warning)" : "var(--critical)";
  return lines[index]?.colour ?? seriesColour(theme, colourOf(lines, index));
}

const HOW = "Draw it alone; with Ctrl or ⌘, hide or show it";

/** Each line with its value; a press draws a line alone, another press all of them. With Ctrl or ⌘ it hides or shows one more. */
export function Legend({ title, values, lines, unit, chosen, onChoose, detailed }: Props): ReactElement {
  const theme = useTheme();
  const press = ({ label, limit }: Line, { ctrlKey, metaKey }: MouseEvent | KeyboardEvent): void => {
    if (!limit) onChoose(ctrlKey || metaKey ? toggled(chosen, label, lines) : alone(chosen, label));
  };
  // Browsers do not agree on whether Enter with Ctrl is a press.
  const key = (line: Line, event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.repeat || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    press(line, event);
  };
  const look = (line: Line): string | undefined => (isDrawn(line, chosen) ? undefined : "put-back");
  const swatch = (index: number): ReactElement => <span className="swatch" style={{ background: colour(lines, index, theme) }} />;
  if (!detailed) {
    return (
      <div ref={values}>
        <ul className="legend picks" aria-hidden="true">
          {lines.map((line, index) => (
            <li key={line.label} className={look(line)} title={line.limit ? undefined : HOW} onClick={(event) => press(line, event)}>
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
                <td className="legend-name">
                  {swatch(index)}
                  {line.limit ? <span>{line.label}</span> : <button type="button" aria-pressed={chosen?.has(line.label) ?? false} title={HOW} onClick={(event) => press(line, event)} onKeyDown={(event) => key(line, event)}>{line.label}</button>}
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
