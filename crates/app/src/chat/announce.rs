//! What a room is told of the record. Pure: an event in, a line or nothing out; many lines in, few out.

use tenfold_types::{Event, Severity, Timestamp, Visibility};

/// A line for a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The event it tells of; of several events the last.
    pub seq: i64,
    pub at: Timestamp,
    pub kind: String,
    pub severity: Severity,
    pub text: String,
}

/// Up to this many pending lines are told one by one.
pub const SINGLE_LINES_MAX: usize = 8;
/// Somebody who comes back to more than this gets a digest.
pub const BACKLOG_LINES_MAX: usize = 20;
/// Lines are a backlog when the oldest is at least this old; before that they are a burst.
const BACKLOG_AGE_MS: i64 = 60_000;
/// What is older than this is not told any more.
pub const BACKLOG_MS_MAX: i64 = 24 * 3_600_000;
/// How many things a coalesced line or a digest names.
const NAMED_MAX: usize = 3;
const DIGEST_LINES_MAX: usize = 5;

/// Kinds that a room hears of. Everything else is in the record and on the pages.
const TOLD: &[&str] = &[
    "deploy.queued",
    "deploy.waiting",
    "queue.left",
    "queue.stands",
    "queue.resumed",
    "queue.dropped",
    "deploy.awaiting_approval",
    "deploy.approved",
    "deploy.hook_failed",
    "deploy.canary_started",
    "deploy.canary_step",
    "deploy.scored",
    "deploy.overridden",
    "deploy.succeeded",
    "deploy.failed",
    "deploy.rolling_back",
    "deploy.rolled_back",
    "deploy.held",
    "deploy.unheld",
    "deploy.worse_after",
    "deploy.stays_worse",
    "deploy.unwatched",
    "deploy.cancelled",
    "deploy.interrupted",
    "deploy.taken_over",
    "train.joined",
    "train.left",
    "train.checking",
    "train.good",
    "train.uh_oh",
    "train.cleared",
    "train.held",
    "train.unheld",
    "train.done",
    "git.pushed",
    "git.not_deployed",
    "lock.created",
    "lock.released",
    "flag.changed",
    "flag.switched",
    "flag.ramp_started",
    "flag.ramp_step",
    "flag.ramp_stopped",
    "flag.ramp_paused",
    "flag.ramp_resumed",
    "flag.ramp_extended",
    "flag.ramp_finished",
    "flag.guard_waiting",
    "flag.guard_tripped",
    "flag.guard_gave_up",
    "flag.schedule_created",
    "flag.schedule_cancelled",
    "flag.schedule_ran",
    "flag.schedule_missed",
    "flag.schedule_failed",
    "flag.change_requested",
    "flag.change_approved",
    "flag.change_rejected",
    "flag.change_withdrawn",
    "flag.change_expired",
    "flag.break_glass",
    "environment.changed",
    "permit.to_floor",
    "permit.back",
    "permit.fail_safe",
    "permit.signal_back",
    "flag.reverted",
    "flag.drill_started",
    "flag.drill_ended",
    "flags.imported",
    "alert.fired",
    "alert.resolved",
    "alert.unknown",
    "alert.refused",
    "alert.flapping",
    "mute.created",
    "incident.opened",
    "incident.reopened",
    "incident.acknowledged",
    "incident.unacknowledged",
    "incident.escalated",
    "incident.handed_over",
    "incident.resolved",
    "incident.noted",
    "page.sent",
    "page.failed",
    "page.escalated",
    "drill.scored",
    "override.created",
    "schedule.calendar_changed",
    "schedule.calendar_failing",
    "schedule.calendar_recovered",
    "noise.digest",
    "delivery.week",
    "readiness.checked",
    "note.doing",
    "config.applied",
];

pub fn is_told(kind: &str) -> bool {
    TOLD.contains(&kind)
}

/// The shape that stands for a severity wherever there is text.
pub fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "▲ ",
        Severity::Warning => "◆ ",
        Severity::Good => "● ",
        Severity::Info | Severity::Debug => "",
    }
}

/// The line for an event, or `None` for what a room is not told. `base` is the address of the pages; people are named as
/// the event names them, by login.
pub fn announce(event: &Event, base: &str) -> Option<Announcement> {
    if !is_told(&event.kind) || event.visibility != Visibility::Everyone || event.severity == Severity::Debug {
        return None;
    }
    let mut text = format!("{}{}", mark(event.severity), event.text.trim());
    let urgent = matches!(event.severity, Severity::Warning | Severity::Critical);
    if urgent || matches!(event.kind.as_str(), "incident.opened" | "incident.reopened") {
        let page = match (event.subject.incident, event.subject.deploy) {
            (Some(n), _) => Some(format!("/incidents/{n}")),
            (None, Some(n)) => Some(format!("/deploys/{n}")),
            (None, None) => None,
        };
        if let Some(page) = page {
            text = format!("{text} {}{page}", base.trim_end_matches('/'));
        }
    }
    // What a deploy changes is read before it is out.
    if event.kind == "deploy.queued"
        && let Some(diff) = event.data.get("diff_url").and_then(serde_json::Value::as_str)
    {
        text = format!("{text} {diff}");
    }
    Some(Announcement {
        seq: event.seq,
        at: event.recorded_at,
        kind: event.kind.clone(),
        severity: event.severity,
        text,
    })
}

/// What to say of all that is pending, in order: each line, or runs of the same kind as one, or a digest.
pub fn plan(pending: Vec<Announcement>, now: Timestamp) -> Vec<Announcement> {
    let old = pending.first().is_some_and(|a| now.since_ms(a.at) >= BACKLOG_AGE_MS);
    if pending.len() > BACKLOG_LINES_MAX && old {
        digest(&pending, now)
    } else if pending.len() > SINGLE_LINES_MAX {
        coalesce(pending)
    } else {
        pending
    }
}

fn word(kind: &str, count: usize) -> String {
    let (one, many) = match kind {
        "deploy.queued" => ("deploy started", "deploys started"),
        "deploy.succeeded" => ("deploy succeeded", "deploys succeeded"),
        "deploy.failed" => ("deploy failed", "deploys failed"),
        "deploy.rolled_back" => ("deploy rolled back", "deploys rolled back"),
        "alert.fired" => ("alert fired", "alerts fired"),
        "alert.resolved" => ("alert resolved", "alerts resolved"),
        "alert.unknown" => ("alert without data", "alerts without data"),
        "alert.flapping" => ("flapping alert", "flapping alerts"),
        "incident.opened" => ("incident opened", "incidents opened"),
        "incident.reopened" => ("incident open again", "incidents open again"),
        "incident.resolved" => ("incident resolved", "incidents resolved"),
        "page.sent" => ("page sent", "pages sent"),
        "flag.reverted" => ("flag change taken back", "flag changes taken back"),
        "flag.drill_started" => ("drill started", "drills started"),
        "flag.drill_ended" => ("drill ended", "drills ended"),
        "flag.switched" => ("flag switched", "flags switched"),
        "note.doing" => ("note", "notes"),
        other => return format!("{count} × {}", other.replace(['.', '_'], " ")),
    };
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Runs of the same kind become one line that names the first few.
fn coalesce(pending: Vec<Announcement>) -> Vec<Announcement> {
    let mut out: Vec<Announcement> = Vec::new();
    for run in pending.chunk_by(|a, b| a.kind == b.kind && a.severity == b.severity) {
        let [.., last] = run else { continue };
        if run.len() <= 2 {
            out.extend(run.iter().cloned());
            continue;
        }
        let mut text = format!("{}{}: ", mark(last.severity), word(&last.kind, run.len()));
        let names: Vec<&str> = run.iter().take(NAMED_MAX).map(bare).collect();
        text.push_str(&names.join("; "));
        if run.len() > NAMED_MAX {
            text = format!("{text}; and {} more", run.len() - NAMED_MAX);
        }
        out.push(Announcement { text, ..last.clone() });
    }
    out
}

fn bare(announcement: &Announcement) -> &str {
    announcement.text.strip_prefix(mark(announcement.severity)).unwrap_or(&announcement.text)
}

/// A few lines for many: how much of what, and the newest that matter.
fn digest(pending: &[Announcement], now: Timestamp) -> Vec<Announcement> {
    let [first, .., last] = pending else { return pending.to_vec() };
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for a in pending {
        match counts.iter_mut().find(|(kind, _)| *kind == a.kind) {
            Some((_, n)) => *n += 1,
            None => counts.push((&a.kind, 1)),
        }
    }
    let words: Vec<String> = counts.iter().map(|(kind, n)| word(kind, *n)).collect();
    let mut out = vec![Announcement {
        // Only with the last line is the backlog told.
        seq: first.seq,
        severity: Severity::Info,
        text: format!("While I was away for {}: {}.", span(now.since_ms(first.at)), words.join(", ")),
        ..last.clone()
    }];
    let mut urgent: Vec<&Announcement> = pending.iter().filter(|a| a.severity >= Severity::Warning).collect();
    urgent.drain(..urgent.len().saturating_sub(DIGEST_LINES_MAX));
    for a in urgent {
        out.push(Announcement { text: format!("{} UTC {}", clock(a.at), a.text), ..a.clone() });
    }
    if let Some(end) = out.last_mut() {
        end.seq = last.seq;
    }
    out
}

/// `09:12` in UTC.
fn clock(at: Timestamp) -> String {
    at.to_string().get(11..16).unwrap_or("").to_owned()
}

/// `3 h 20 min`, `45 min`, `30 s`.
pub fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (hours, minutes) = (seconds / 3_600, seconds % 3_600 / 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, m) => format!("{m} min"),
        (h, 0) => format!("{h} h"),
        (h, m) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenfold_types::{Actor, EventData, EventId, Source, Subject};

    fn event(seq: i64, kind: &str, severity: Severity, text: &str) -> Event {
        struct Zero;
        impl tenfold_types::Entropy for Zero {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0);
            }
        }
        let at = Timestamp(1_795_424_400_000 + seq * 1_000);
        Event {
            seq,
            id: EventId::new(at, &Zero),
            occurred_at: at,
            recorded_at: at,
            actor: Actor::person("ana"),
            on_behalf_of: None,
            kind: kind.into(),
            subject: Subject::default(),
            severity,
            text: text.into(),
            data: EventData::default(),
            correlation: None,
            causation: None,
            source: Source::Web,
            visibility: Visibility::Everyone,
            prev_hash: String::new(),
            hash: String::new(),
        }
    }

    fn line(seq: i64, kind: &str, severity: Severity, text: &str) -> Announcement {
        announce(&event(seq, kind, severity, text), "http://t/").expect("told")
    }

    #[test]
    fn tells_what_matters_and_keeps_quiet_about_the_rest() {
        let fired = event(1, "alert.fired", Severity::Critical, "photos answers 5 % with errors");
        assert_eq!(announce(&fired, "").unwrap().text, "▲ photos answers 5 % with errors");
        for kind in ["deploy.host_activated", "person.signed_in", "chat.message", "chat.reply", "alert.pending"] {
            assert_eq!(announce(&event(1, kind, Severity::Info, "x"), ""), None, "{kind}");
        }
        let mut secret = event(1, "note.doing", Severity::Info, "x");
        secret.visibility = Visibility::Admins;
        assert_eq!(announce(&secret, ""), None);
        assert_eq!(announce(&event(1, "deploy.queued", Severity::Debug, "x"), ""), None);
    }

    #[test]
    fn what_needs_hands_has_its_page() {
        let mut failed = event(1, "deploy.failed", Severity::Critical, "deploy 12 of photos failed");
        failed.subject.deploy = Some(12);
        assert_eq!(announce(&failed, "http://t/").unwrap().text, "▲ deploy 12 of photos failed http://t/deploys/12");
        failed.kind = "deploy.succeeded".into();
        failed.severity = Severity::Good;
        assert_eq!(announce(&failed, "http://t").unwrap().text, "● deploy 12 of photos failed");
    }

    #[test]
    fn a_deploy_that_begins_says_where_its_diff_is() {
        let mut queued = event(1, "deploy.queued", Severity::Info, "ana is deploying photos 4f2a91c (2 commits)");
        let diff = "https://git.example/ana/photos/compare/0a1b2c3...4f2a91c";
        queued.data = serde_json::json!({"diff_url": diff}).into();
        let text = format!("ana is deploying photos 4f2a91c (2 commits) {diff}");
        assert_eq!(announce(&queued, "").unwrap().text, text);
        queued.data = serde_json::json!({"diff_url": null}).into();
        assert_eq!(announce(&queued, "").unwrap().text, "ana is deploying photos 4f2a91c (2 commits)");
    }

    #[test]
    fn a_few_are_told_one_by_one_and_a_burst_by_kind() {
        let few: Vec<_> = (1..=8).map(|n| line(n, "alert.fired", Severity::Critical, "a")).collect();
        assert_eq!(plan(few.clone(), few[7].at), few);
        let mut burst: Vec<_> =
            (1..=9).map(|n| line(n, "alert.fired", Severity::Critical, &format!("alert {n}"))).collect();
        burst.push(line(10, "deploy.queued", Severity::Info, "ana deploys photos"));
        let told = plan(burst.clone(), burst[9].at);
        let texts: Vec<&str> = told.iter().map(|a| a.text.as_str()).collect();
        assert_eq!(texts, ["▲ 9 alerts fired: alert 1; alert 2; alert 3; and 6 more", "ana deploys photos"]);
        assert_eq!((told[0].seq, told[1].seq), (9, 10));
    }

    #[test]
    fn a_backlog_becomes_a_digest_that_ends_at_the_last_event() {
        let mut missed: Vec<_> = (1..=30).map(|n| line(n, "deploy.succeeded", Severity::Good, "ok")).collect();
        missed.push(line(31, "alert.fired", Severity::Critical, "photos is down"));
        missed.push(line(32, "note.doing", Severity::Info, "mei is looking"));
        let told = plan(missed.clone(), missed[0].at.plus_ms(3 * 3_600_000 + 20 * 60_000));
        let texts: Vec<&str> = told.iter().map(|a| a.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "While I was away for 3 h 20 min: 30 deploys succeeded, 1 alert fired, 1 note.",
                "09:00 UTC ▲ photos is down"
            ]
        );
        assert_eq!(told[1].seq, 32);
        assert!(told.is_sorted_by_key(|a| a.seq));
    }

    #[test]
    fn whatever_the_plan_the_last_line_covers_the_last_event_and_order_holds() {
        let kinds = ["alert.fired", "note.doing", "deploy.queued"];
        for count in 1..60_i64 {
            for age_ms in [0, 100_000] {
                let lines: Vec<_> =
                    (1..=count).map(|n| line(n, kinds[(n * n % 7 % 3) as usize], Severity::Info, "x")).collect();
                let now = lines[0].at.plus_ms(age_ms);
                let told = plan(lines, now);
                assert_eq!(told.last().unwrap().seq, count);
                assert!(told.is_sorted_by_key(|a| a.seq));
            }
        }
    }
}
