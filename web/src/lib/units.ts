/** Numbers with their unit: three figures that matter, never a bare number. */
import { duration, stamp } from "./time";

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

/** Of a size that is small as often as it is large. */
const small = (value: number, unit: string): string =>
  value !== 0 && Math.abs(value) < 1 ? `${figures(value * 1e3)} m${unit}` : scaled(value, 1000, [unit, `k${unit}`, `M${unit}`, `G${unit}`]);

function scaled(value: number, base: number, names: string[]): string {
  let index = 0;
  let rest = value;
  while (Math.abs(rest) >= base && index < names.length - 1) {
    rest /= base;
    index += 1;
  }
  const name = names[index] ?? "";
  return name ? `${figures(rest)} ${name}` : figures(rest);
}

/** The instants that can be written, in seconds since 1970. */
const DATE_S_MAX = 8.64e12;

const date = (value: number): string => (Math.abs(value) > DATE_S_MAX ? figures(value) : stamp(value * 1000, Date.now(), true));

function seconds(value: number): string {
  const abs = Math.abs(value);
  if (abs === 0) return "0 s";
  if (abs < 1e-3) return `${figures(value * 1e6)} µs`;
  if (abs < 1) return `${figures(value * 1e3)} ms`;
  if (abs < 120) return `${figures(value)} s`;
  return duration(value * 1000);
}

export function format(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "no data";
  switch (unit) {
    case "ops": {
      const text = scaled(value, 1000, ["", "k", "M", "G"]);
      return /[kMG]$/.test(text) ? `${text}/s` : `${text} /s`;
    }
    case "ratio":
      return `${figures(value * 100)} %`;
    case "percent":
      return `${figures(value)} %`;
    case "seconds":
      return seconds(value);
    case "ms":
      return duration(value);
    case "bytes":
      return scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
    case "bytes_per_second":
      return `${scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"])}/s`;
    case "celsius":
      return `${figures(value)} °C`;
    case "hertz":
      return scaled(value, 1000, ["Hz", "kHz", "MHz", "GHz"]);
    case "watt":
      return small(value, "W");
    case "volt":
      return small(value, "V");
    case "ampere":
      return small(value, "A");
    case "date":
      return date(value);
    default:
      return scaled(value, 1000, ["", "k", "M", "G", "T"]);
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
