/** Checks in every state, and why an alert was told of. */
import type { Check, CheckList } from "../src/api/types.ts";
import { START } from "./data.ts";

const ago = (seconds: number): string => new Date(START - seconds * 1000).toISOString();

function check(name: string, host: string, status: string, output: string, more: Partial<Check> = {}): Check {
  return {
    name, kind: "plugin", status, hard: true, attempt: 1, since: ago(3_600), last_at: ago(20), next_at: new Date(START + 40_000).toISOString(), output, long_output: "",
    values: [{ label: "/", value: 71_400, unit: "MB", warning: 80_000, critical: 90_000, min: 0, max: 100_000 }], took_ms: 14, flapping: false, change_percent: 4.2, unreachable: false, stale: false, alerts: status === "critical",
    spec: { host, service: "photos", run: { plugin: ["check_disk", "-w", "20%", "-c", "10%", "-p", "/"] }, interval: "1m", retry_interval: "15s", attempts: 3, parents: [] },
    ...more,
  } as Check;
}

const CHECKS: Check[] = [
  check("db1-disk", "db1", "critical", "DISK CRITICAL - free space: / 912 MB (1% inode=71%)", { long_output: "/ 912 MB free\n/var 12 GB free" }),
  check("web2-http", "web2", "warning", "HTTP WARNING: 2.4 s for 200, 14 kB", { hard: false, attempt: 2, flapping: true, change_percent: 38, since: ago(45) }),
  check("web3-http", "web3", "unknown", "", { unreachable: true, since: ago(600) }),
  check("db1-ping", "db1", "ok", "PING OK - packet loss 0%, RTA 0.31 ms"),
];

export function checkList(empty: boolean): CheckList {
  const items = empty ? [] : CHECKS;
  const of = (status: string): number => items.filter((one) => one.status === status).length;
  const counts = { ok: of("ok"), warning: of("warning"), critical: of("critical"), unknown: of("unknown") };
  return { items, counts, scheduler: { done: 18_204, running: 2, late_p50_ms: 1, late_p99_ms: 9 } } as CheckList;
}
export const checkNamed = (name: string): Check | undefined => CHECKS.find((one) => one.name === name);

export const why = (fingerprint: string): unknown => ({
  fingerprint,
  decided: [{ seq: 41, at: ago(660), text: "More than 2 % of photos requests fail", decisions: [
    { fingerprint, stage: "dedup", verdict: "pass", because: "it was not firing before" },
    { fingerprint, stage: "route", verdict: "pass", because: "the route {service=\"photos\"} takes it to photos-primary" },
    { fingerprint, stage: "mute", verdict: "pass", because: "no mute covers it" },
    { fingerprint, stage: "notify", verdict: "send", because: "photos-primary has not heard of this group yet" },
  ] }],
});
