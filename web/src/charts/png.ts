/** A panel as a picture: what it shows on the page's ground, under its title. */
import { bareStamp, clock, day, zone } from "../lib/zone";
import { saveFile } from "./csv";

const HEAD_PX = 28;
const LINE_PX = 16;
const EDGE_PX = 12;
const BAR_LINE_PX = 24;
const BARS_WIDTH_PX = 520;

interface Sheet {
  /** Drawn in CSS pixels from the left edge, below the title. */
  pen: CanvasRenderingContext2D;
  token: (name: string) => string;
  width: number;
}

/** `height` is that of what `paint` draws. */
function save(title: string, rangeText: string, width: number, height: number, paint: (sheet: Sheet) => void): void {
  const scale = window.devicePixelRatio || 1;
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const canvas = document.createElement("canvas");
  canvas.width = Math.round((width + 2 * EDGE_PX) * scale);
  canvas.height = Math.round((height + HEAD_PX + EDGE_PX) * scale);
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.scale(scale, scale);
  pen.fillStyle = token("--panel");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.textBaseline = "middle";
  pen.font = `600 13px ${token("--font")}`;
  pen.fillStyle = token("--text");
  pen.fillText(`${title}, ${rangeText}`, EDGE_PX, HEAD_PX / 2, width);
  pen.translate(EDGE_PX, HEAD_PX);
  pen.font = `11px ${token("--font")}`;
  paint({ pen, token, width });
  canvas.toBlob((blob) => blob && saveFile(blob, title, "png"));
}

/** From when to when a picture is, for whoever sees it on another day and elsewhere. */
export function spanText(times: number[]): string {
  const [from, to] = [(times[0] ?? 0) * 1000, (times.at(-1) ?? 0) * 1000];
  return `${day(from)} ${new Date(from).getFullYear()} ${clock(from)} to ${bareStamp(to, from)} (${zone()})`;
}

/** What the canvas of a chart shows, over its legend. */
export function savePng(figure: HTMLElement, title: string, times: number[]): void {
  const source = figure.querySelector("canvas");
  if (!source) return;
  const scale = window.devicePixelRatio || 1;
  const legend = [...figure.querySelectorAll<HTMLElement>(".legend li, .legend-table tbody tr")];
  const [wide, high] = [source.width / scale, source.height / scale];
  save(title, spanText(times), wide, high + legend.length * LINE_PX, ({ pen, token, width }) => {
    pen.drawImage(source, 0, 0, wide, high);
    legend.forEach((item, index) => {
      const y = high + (index + 0.5) * LINE_PX;
      const swatch = item.querySelector<HTMLElement>(".swatch");
      if (swatch) {
        pen.fillStyle = getComputedStyle(swatch).backgroundColor;
        pen.fillRect(0, y - 1.5, 10, 3);
      }
      pen.fillStyle = token("--muted");
      const words = [...item.querySelectorAll("span:not(.swatch), button, td[data-value]")].map((part) => part.textContent).join(" ");
      pen.fillText(words || (item.textContent ?? ""), 16, y, width - 16);
    });
  });
}

export interface Figure {
  label: string;
  text: string;
  /** Of the largest, 0 to 1; a bar of this length stands under it. */
  share?: number;
}

/** Newest values, each in a line: of a stat panel, or with bars of a top panel. */
export function saveFigures(figures: Figure[], title: string, rangeText: string): void {
  save(title, rangeText, BARS_WIDTH_PX, figures.length * BAR_LINE_PX, ({ pen, token, width }) => {
    figures.forEach(({ label, text, share }, index) => {
      const y = (index + 0.4) * BAR_LINE_PX;
      pen.font = `13px ${token("--font")}`;
      pen.textAlign = "right";
      pen.fillStyle = token("--text");
      pen.fillText(text, width, y);
      const room = width - pen.measureText(text).width - 12;
      pen.textAlign = "left";
      pen.fillStyle = token("--muted");
      pen.fillText(label, 0, y, room);
      if (share === undefined) return;
      pen.fillStyle = token("--line");
      pen.fillRect(0, y + 9, width, 4);
      pen.fillStyle = token("--accent");
      pen.fillRect(0, y + 9, width * Math.min(1, Math.max(0, share)), 4);
    });
  });
}
