/** The verbs of the room, for completion. The grammar itself is the server's; this only saves typing. */

export interface Verb {
  verb: string;
  form: string;
  does: string;
}

export const VERBS: Verb[] = [
  { verb: "deploy", form: "deploy SERVICE [REF] [--to ENV]", does: "ship the newest commit" },
  { verb: "rollback", form: "rollback SERVICE|N", does: "go back to the last good release" },
  { verb: "status", form: "status", does: "what runs, what fires" },
  { verb: "next", form: "next SERVICE", does: "what would ship" },
  { verb: "flag", form: "flag list|on|off|rollout|drill|join|leave|history|revert KEY [PCT|SEQ] [--in ENV]", does: "see, flip or drill a flag" },
  { verb: "ack", form: "ack N [--for DURATION]", does: "take an incident" },
  { verb: "escalate", form: "escalate N", does: "ask the next one now" },
  { verb: "handover", form: "handover N PERSON [TEXT]", does: "page one person for it" },
  { verb: "resolve", form: "resolve N", does: "end an incident" },
  { verb: "incident", form: 'incident open "TITLE" [--service S] | show N', does: "open or see an incident" },
  { verb: "note", form: 'note N "TEXT"', does: "add to an incident's timeline" },
  { verb: "who", form: "who [SCHEDULE|SERVICE]", does: "who is on call" },
  { verb: "take", form: "take SCHEDULE [--for 2h]", does: "take the on-call" },
  { verb: "oncall", form: "oncall preview|digest|readiness|swaps|swap|accept|override|suggest ..", does: "schedules, swaps, who may not be reached" },
  { verb: "policies", form: "policies list|show [NAME]", does: "whom a policy would page now" },
  { verb: "simulate", form: "simulate LABEL=VALUE ..", does: "whom such an alert would page" },
  { verb: "why", form: "why N|FINGERPRINT|PAGE", does: "why people were told" },
  { verb: "alerts", form: "alerts list|show [FINGERPRINT] [--state STATE] [--service S]", does: "what fires, or one of it" },
  { verb: "mute", form: 'mute MATCHERS --for 1h --reason ".."', does: "keep alerts from paging" },
  { verb: "mutes", form: "mutes [all]", does: "what is muted" },
  { verb: "unmute", form: "unmute N", does: "end a mute" },
  { verb: "lock", form: 'lock SERVICE --reason ".." --for 1h', does: "hold deploys" },
  { verb: "unlock", form: "unlock SERVICE", does: "let deploys go on" },
  { verb: "doing", form: 'doing "TEXT"', does: "tell everybody what you do" },
  { verb: "help", form: "help [VERB]", does: "how a verb is written" },
];

/** Words a completion may offer for the part being typed: verbs after `!`, then names. */
export function completions(text: string, names: { services: string[]; flags: string[]; schedules: string[] }): { insert: string; label: string; does: string }[] {
  if (!text.startsWith("!")) return [];
  const words = text.slice(1).split(/\s+/);
  if (words.length === 1) {
    const typed = words[0] ?? "";
    return VERBS.filter(({ verb }) => verb.startsWith(typed)).map(({ verb, form, does }) => ({ insert: `!${verb} `, label: form, does }));
  }
  const [verb, ...rest] = words;
  const last = rest.at(-1) ?? "";
  const stem = text.slice(0, text.length - last.length);
  const offer = (list: string[], does: string): { insert: string; label: string; does: string }[] =>
    list.filter((name) => name.startsWith(last) && name !== last).map((name) => ({ insert: `${stem}${name} `, label: name, does }));
  if (["deploy", "rollback", "next", "lock", "unlock"].includes(verb ?? "") && rest.length === 1) return offer(names.services, "service");
  if (verb === "flag") return rest.length === 1 ? offer(["list", "on", "off", "rollout", "drill", "contingency", "mine", "join", "leave", "unset", "history", "revert", "stale"], "") : rest.length === 2 ? offer(names.flags, "flag") : [];
  if (verb === "who" && rest.length === 1) return offer([...names.schedules, ...names.services], "");
  if (verb === "take" && rest.length === 1) return offer(names.schedules, "schedule");
  if (verb === "incident" && rest.length === 1) return offer(["open", "drill", "show", "score"], "");
  if (verb === "help" && rest.length === 1) return offer(VERBS.map((one) => one.verb), "");
  return [];
}
