/** A graph as a picture: its canvas on the page's ground, under its title and over its legend. */
const HEAD_PX = 28;
const LINE_PX = 16;
const EDGE_PX = 12;

/** What the canvas of a chart shows, as a PNG file that the browser saves. */
export function savePng(figure: HTMLElement, title: string, rangeText: string): void {
  const source = figure.querySelector("canvas");
  if (!source) return;
  const scale = window.devicePixelRatio || 1;
  const style = getComputedStyle(document.documentElement);
  const token = (name: string): string => style.getPropertyValue(name).trim();
  const legend = [...figure.querySelectorAll<HTMLElement>(".legend li")];
  const width = source.width + 2 * EDGE_PX * scale;
  const height = source.height + (HEAD_PX + legend.length * LINE_PX + EDGE_PX) * scale;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.fillStyle = token("--panel");
  pen.fillRect(0, 0, width, height);
  pen.drawImage(source, EDGE_PX * scale, HEAD_PX * scale);
  pen.scale(scale, scale);
  pen.textBaseline = "middle";
  pen.font = `600 13px ${token("--font")}`;
  pen.fillStyle = token("--text");
  pen.fillText(`${title}, ${rangeText}`, EDGE_PX, HEAD_PX / 2, width / scale - 2 * EDGE_PX);
  pen.font = `11px ${token("--font")}`;
  legend.forEach((item, index) => {
    const y = source.height / scale + HEAD_PX + (index + 0.5) * LINE_PX;
    const swatch = item.querySelector<HTMLElement>(".swatch");
    if (swatch) {
      pen.fillStyle = getComputedStyle(swatch).backgroundColor;
      pen.fillRect(EDGE_PX, y - 1.5, 10, 3);
    }
    pen.fillStyle = token("--muted");
    const words = [...item.querySelectorAll("span:not(.swatch)")].map((span) => span.textContent).join(" ");
    pen.fillText(words || (item.textContent ?? ""), EDGE_PX + 16, y, width / scale - 2 * EDGE_PX - 16);
  });
  canvas.toBlob((blob) => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${title.replace(/[^\w-]+/g, "-").slice(0, 60) || "graph"}.png`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}
