/** A plan as a form holds it, and back. */
import type { Plan, PlanLayer } from "../../api/types";
import { addDays, startOfDay, toLocalInput, zone } from "../../lib/time";

export interface LayerForm {
  name: string;
  timezone: string;
  people: string;
  start: string;
  length: string;
  restrictions: string;
  basis?: PlanLayer["rotation"]["basis"];
  rest: Pick<PlanLayer, "start" | "end">;
}

/** Somebody who learns: a copy of each page, from and until when. */
export interface ShadowForm {
  person: string;
  start: string;
  end: string;
}

export interface PlanForm {
  timezone: string;
  layers: LayerForm[];
  /** Empty where no calendar is followed. */
  calendarUrl: string;
  calendarMinutes: string;
  fallback: string;
  shadows: ShadowForm[];
  minRest: string;
  enforceRest: boolean;
  holidays: string;
  handoffDigest: boolean;
  handoffChannel: string;
}

const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);
const CLOCK = /^(\d{1,2}:\d{2})(?::\d{2})?$/;

function restrictionLine({ days, from, to }: NonNullable<PlanLayer["restrictions"]>[number]): string {
  return `${days?.length ? `${days.join(" ")} ` : ""}${from.replace(CLOCK, "$1")}-${to.replace(CLOCK, "$1")}`;
}

/** `mon tue 09:00-17:00`, one window a line; throws a sentence for a person. */
export function readRestrictions(text: string): NonNullable<PlanLayer["restrictions"]> {
  return text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const parts = words(line);
    const window = /^(\d{1,2}:\d{2})-(\d{1,2}:\d{2})$/.exec(parts.pop() ?? "");
    const days = parts.map((part) => part.toLowerCase());
    if (!window || days.some((name) => !["mon", "tue", "wed", "thu", "fri", "sat", "sun"].includes(name))) {
      throw new Error(`"${line}" is not a window; write it like: mon tue 09:00-17:00`);
    }
    const two = (text: string): string => text.padStart(5, "0");
    return { ...(days.length > 0 ? { days } : {}), from: two(window[1]!), to: two(window[2]!) };
  });
}

export const emptyLayer = (people: string[]): LayerForm => ({
  name: "", timezone: "", people: people.join(", "), start: "2026-01-05T09:00", length: "1w", restrictions: "", rest: {},
});

const local = (instant: string | null | undefined): string => (instant ? toLocalInput(Date.parse(instant)) : "");

/** The plan of a schedule that is made: weekly shifts of these people from the coming Monday at 9 on. */
export function newPlan(people: string[], now: number): PlanForm {
  const today = startOfDay(now);
  const monday = addDays(today, 7 - ((new Date(today).getDay() + 6) % 7));
  const layer = { ...emptyLayer(people), name: "base", start: `${toLocalInput(monday).slice(0, 10)}T09:00` };
  return { timezone: zone, layers: [layer], calendarUrl: "", calendarMinutes: "", fallback: "", shadows: [], minRest: "11", enforceRest: false, holidays: "", handoffDigest: true, handoffChannel: "" };
}

export function formOf(plan: Plan): PlanForm {
  const layers: PlanLayer[] = plan.rotation ? [{ name: "rotation", rotation: plan.rotation }] : (plan.layers ?? []);
  return {
    timezone: plan.timezone,
    layers: layers.map(({ name, timezone, rotation, restrictions, ...rest }) => ({
      name, timezone: timezone ?? "", people: rotation.people.join(", "), start: rotation.start.slice(0, 16), length: rotation.shift_length,
      ...(rotation.basis ? { basis: rotation.basis } : {}), restrictions: (restrictions ?? []).map(restrictionLine).join("\n"), rest,
    })),
    calendarUrl: plan.calendar?.url ?? "",
    calendarMinutes: plan.calendar?.refresh_s ? String(plan.calendar.refresh_s / 60) : "",
    fallback: (plan.fallback ?? []).join(", "),
    shadows: (plan.shadows ?? []).map(({ person, start, end }) => ({ person, start: local(start), end: local(end) })),
    minRest: plan.min_rest_hours ? String(plan.min_rest_hours) : "",
    enforceRest: plan.enforce_rest ?? false,
    holidays: (plan.holidays ?? []).join(", "),
    handoffDigest: plan.handoff?.digest ?? true,
    handoffChannel: plan.handoff?.channel ?? "",
  };
}

export function planOf(form: PlanForm): Plan {
  return {
    timezone: form.timezone.trim(),
    layers: form.layers.map(({ name, timezone, people, start, length, basis, restrictions, rest }) => ({
      name: name.trim(), ...(timezone.trim() ? { timezone: timezone.trim() } : {}),
      rotation: { people: words(people), start: `${start}:00`, shift_length: length.trim(), ...(basis ? { basis } : {}) },
      restrictions: readRestrictions(restrictions), ...rest,
    })),
    ...(form.calendarUrl.trim()
      ? { calendar: { url: form.calendarUrl.trim(), ...(form.calendarMinutes ? { refresh_s: Math.round(Number(form.calendarMinutes) * 60) } : {}) } }
      : {}),
    fallback: words(form.fallback),
    shadows: form.shadows.filter(({ person }) => person.trim()).map(({ person, start, end }) => ({
      person: person.trim(), ...(start ? { start: new Date(start).toISOString() } : {}), ...(end ? { end: new Date(end).toISOString() } : {}),
    })),
    ...(form.minRest ? { min_rest_hours: Number(form.minRest), ...(form.enforceRest ? { enforce_rest: true } : {}) } : {}),
    holidays: words(form.holidays),
    ...(form.handoffDigest && !form.handoffChannel.trim()
      ? {}
      : { handoff: { digest: form.handoffDigest, ...(form.handoffChannel.trim() ? { channel: form.handoffChannel.trim() } : {}) } }),
  };
}
