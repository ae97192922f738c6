/** Where the thing an event tells of has its page. */
import type { RecordEvent } from "../api/types";

export function subjectAddress(event: Pick<RecordEvent, "kind" | "subject">): string | null {
  const { subject, kind } = event;
  if (kind.startsWith("flag.") && subject.flag) return `/flags/${encodeURIComponent(subject.flag)}`;
  if ((kind.startsWith("incident.") || kind.startsWith("page.")) && subject.incident) return `/incidents/${subject.incident}`;
  if (kind.startsWith("alert.") && subject.alert) return `/alerts/${encodeURIComponent(subject.alert)}`;
  if (subject.deploy) return `/deploys/${subject.deploy}`;
  if (subject.flag) return `/flags/${encodeURIComponent(subject.flag)}`;
  if (subject.incident) return `/incidents/${subject.incident}`;
  if (subject.alert) return `/alerts/${encodeURIComponent(subject.alert)}`;
  if (kind.startsWith("override.") || kind.startsWith("schedule.") || kind.startsWith("policy.")) return "/on-call";
  if (kind.startsWith("mute.")) return "/alerts/mutes";
  if (kind.startsWith("chat.") || kind.startsWith("note.")) return "/console";
  return null;
}
