/** Numbers with their unit: three figures that matter, never a bare number. */
import { duration } from "./time";
import { stamp } from "./zone";

export type Unit = "ops" | "ratio" | "seconds" | "bytes" | "bytes_per_second" | "celsius" | "hertz" | "watt" | "volt" | "ampere" | "date" | "short" | "ms" | "percent";

/** Those that a panel may have. */
export const UNITS = ["short", "ops", "ratio", "seconds", "bytes", "bytes_per_second", "celsius", "hertz", "watt", "volt", "ampere", "date"];

function figures(value: number): string {
  const abs = Math.abs(value);
  if (abs === 0) return "0";
  if (abs >= 100) return value.toFixed(0);
  if (abs >= 10) return value.toFixed(1).replace(/\.0$/, "");
  if (abs >= 1) return value.toFixed(2).replace(/\.?0+$/, "");
  return String(Number(value.toPrecision(2)));
}

/** How a number is written: with three figures, or with so many places behind the point. */
type Write = (value: number) => string;

/** Of a size that is small as often as it is large. */
const small = (value: number, unit: string, write: Write): string =>
  value !== 0 && Math.abs(value) < 1 ? `${write(value * 1e3)} m${unit}` : scaled(value, 1000, [unit, `k${unit}`, `M${unit}`, `G${unit}`], write);

function scaled(value: number, base: number, names: string[], write: Write): string {
  let index = 0;
  let rest = value;
  while (Math.abs(rest) >= base && index < names.length - 1) {
    rest /= base;
    index += 1;
  }
  const name = names[index] ?? "";
  return name ? `${write(rest)} ${name}` : write(rest);
}

/** Of what is nearly all as many nines as tell it from all. */
function percentage(value: number): string {
  let text = figures(value);
  for (let places = 2; Math.abs(value) < 100 && Math.abs(Number(text)) >= 100 && places <= 8; places += 1) text = value.toFixed(places);
  return text;
}

/** Clocks are ahead as often as behind. */
const signed = (ms: number): string => (ms <= -0.5 ? `-${duration(-ms)}` : duration(ms));

/** The instants that can be written, in seconds since 1970. */
const DATE_S_MAX = 8.64e12;

const date = (value: number): string => (Math.abs(value) > DATE_S_MAX ? figures(value) : stamp(value * 1000, Date.now(), true));

function seconds(value: number, write: Write): string {
  const abs = Math.abs(value);
  if (abs === 0) return "0 s";
  if (abs < 1e-3) return `${write(value * 1e6)} µs`;
  if (abs < 1) return `${write(value * 1e3)} ms`;
  if (abs < 120) return `${write(value)} s`;
  return signed(value * 1000);
}

/** `decimals` are the places behind the point; without them three figures that matter. */
export function format(value: number | null | undefined, unit: string, decimals?: number | null): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "no data";
  const fixed: Write | null = typeof decimals === "number" ? (number) => number.toFixed(decimals) : null;
  const [write, share] = [fixed ?? figures, fixed ?? percentage];
  switch (unit) {
    case "ops": {
      const text = scaled(value, 1000, ["", "k", "M", "G"], write);
      return /[kMG]$/.test(text) ? `${text}/s` : `${text} /s`;
    }
    case "ratio":
      return `${share(value * 100)} %`;
    case "percent":
      return `${share(value)} %`;
    case "seconds":
      return seconds(value, write);
    case "ms":
      return signed(value);
    case "bytes":
      return scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], write);
    case "bytes_per_second":
      return `${scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], write)}/s`;
    case "celsius":
      return `${write(value)} °C`;
    case "hertz":
      return scaled(value, 1000, ["Hz", "kHz", "MHz", "GHz"], write);
    case "watt":
      return small(value, "W", write);
    case "volt":
      return small(value, "V", write);
    case "ampere":
      return small(value, "A", write);
    case "date":
      return date(value);
    default:
      return scaled(value, 1000, ["", "k", "M", "G", "T"], write);
  }
}

/** What PromQL says of what is no number stands as it is: nothing over nothing is not the same as no answer. */
export function exact(value: number | null, unit: string): string {
  if (value === null || Number.isFinite(value)) return format(value, unit);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}

export const count = (value: number): string => value.toLocaleString("en-GB");
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;
export const shortSha = (sha: string | null | undefined): string => (sha ? sha.slice(0, 7) : "nothing");
