//! Timeline phases, the postmortem draft and the reviewer of language.

use serde_json::{Value, json};
use tenfold_incidents::{Draft, Level, Person, Phase, Reviewer, Roles, postmortem, timeline};
use tenfold_types::{Actor, Entropy, Event, EventDraft, EventId, Source, Timestamp};

struct Zero;
impl Entropy for Zero {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn event(seq: i64, minute: i64, actor: Actor, kind: &str, text: &str, data: Value) -> Event {
    let at = Timestamp(minute * 60_000);
    let draft = EventDraft::new(actor, Source::System, kind, text);
    Event {
        seq,
        id: EventId::new(at, &Zero),
        occurred_at: at,
        recorded_at: at,
        actor: draft.actor,
        on_behalf_of: None,
        kind: draft.kind,
        subject: draft.subject,
        severity: draft.severity,
        text: draft.text,
        data: data.into(),
        correlation: None,
        causation: None,
        source: draft.source,
        visibility: draft.visibility,
        prev_hash: String::new(),
        hash: String::new(),
    }
}

fn people() -> Vec<Person> {
    [("ana", "Ana Silva", "developer"), ("raj", "Raj", "operator"), ("mei", "Mei", "developer")]
        .map(|(login, name, kind)| Person { login: login.into(), name: name.into(), kind: kind.into() })
        .to_vec()
}

fn story() -> Vec<Event> {
    let (mei, ana, raj) = (Actor::person("mei"), Actor::person("ana"), Actor::person("raj"));
    let mut events = vec![
        event(1, 0, mei, "deploy.queued", "Mei deploys photos 1a2b3c", json!({})),
        event(2, 1, Actor::system(), "deploy.succeeded", "photos 1a2b3c is in production", json!({})),
        event(4, 4, Actor::system(), "alert.fired", "HighErrorRate fires | photos", json!({})),
        // Recorded after the alert, happened before it.
        event(5, 3, Actor::system(), "alert.pending", "errors on photos", json!({})),
        event(6, 4, Actor::system(), "incident.opened", "Incident 1: HighErrorRate on photos", json!({})),
        event(7, 4, Actor::system(), "page.sent", "Paged ana by mail", json!({"person": "ana"})),
        event(8, 6, Actor::system(), "page.sent", "Paged raj by mail", json!({"person": "raj"})),
        event(9, 7, ana.clone(), "incident.acknowledged", "Ana Silva acknowledged incident 1", json!({})),
        event(10, 8, ana, "deploy.queued", "ana rolls photos back", json!({"reverts": 12})),
        event(11, 9, Actor::system(), "deploy.rolled_back", "photos is back on 0f0f0f", json!({})),
        event(12, 10, Actor::system(), "alert.resolved", "HighErrorRate is over", json!({})),
        event(13, 10, raj, "incident.noted", "@mei saw_it <first>", json!({})),
        event(14, 11, Actor::system(), "incident.resolved", "Incident 1 is resolved", json!({})),
        event(15, 12, Actor::system(), "host.connected", "host-1 is back", json!({})),
    ];
    for (i, deploy) in [(0, 12), (1, 12), (8, 13), (9, 13)] {
        events[i].subject.deploy = Some(deploy);
    }
    events
}

#[test]
fn phases_in_the_order_in_which_things_happened() {
    let entries = timeline(story(), Timestamp(4 * 60_000));
    let phases: Vec<_> = entries.iter().map(|e| (e.event.seq, e.phase)).collect();
    assert_eq!(
        phases,
        [
            (1, Phase::Deploy),
            (2, Phase::Deploy),
            (5, Phase::FirstErrors),
            (4, Phase::Alert),
            (6, Phase::Alert),
            (7, Phase::Page),
            (8, Phase::Page),
            (9, Phase::Acknowledged),
            (10, Phase::Mitigation),
            (11, Phase::Mitigation),
            (12, Phase::Recovery),
            (13, Phase::Note),
            (14, Phase::Recovery),
            (15, Phase::Other),
        ]
    );
    let flip = |minute| event(1, minute, Actor::person("ana"), "flag.switched", "off", json!({}));
    let entries = timeline(vec![flip(3), flip(5)], Timestamp(4 * 60_000));
    assert_eq!((entries[0].phase, entries[1].phase), (Phase::Deploy, Phase::Mitigation));
}

#[test]
fn the_draft_names_roles_and_no_people() {
    let entries = timeline(story(), Timestamp(4 * 60_000));
    let people = people();
    let text = postmortem(&Draft {
        number: 1,
        title: "HighErrorRate on photos",
        severity: "critical",
        service: Some("photos"),
        environment: Some("production"),
        opened_at: Timestamp(240_000),
        acknowledged_at: Some(Timestamp(420_000)),
        resolved_at: Some(Timestamp(660_000)),
        suspects: &["deploy 12 by Mei".to_owned()],
        entries: &entries,
        people: &people,
    });
    let lower = text.to_lowercase();
    for name in ["ana", "silva", "raj", "mei"] {
        let found = lower.split(|c: char| !c.is_alphanumeric()).any(|w| w == name);
        assert!(!found, "{name} stands in\n{text}");
    }
    for part in [
        "# Incident 1: HighErrorRate on photos",
        "| Opened | 1970-01-01 00:04:00 (1 min 0 s after the first errors) |",
        "| 1970-01-01 00:07:00 | acknowledgement | the developer on call acknowledged incident 1 | #9 |",
        "Paged the operator on call by mail",
        "deploy 12 by the deployer",
        "the deployer saw\\_it \\<first\\>",
        "HighErrorRate fires \\| photos",
        "1 min 0 s from the acknowledgement to: the developer on call rolls photos back",
        "## Contributing factors",
    ] {
        assert!(text.contains(part), "`{part}` is missing in\n{text}");
    }
    assert!(!lower.contains("root cause"));
    assert!(!text.contains("host-1 is back"), "what does not belong to the story is left out");
    let findings = Reviewer::new(&people).review(&text);
    assert!(findings.iter().all(|f| f.level == Level::Hint), "our own words pass our own review: {findings:?}");
}

#[test]
fn two_people_of_one_role_are_told_apart() {
    let page = |seq, login: &str| event(seq, seq, Actor::system(), "page.sent", "paged", json!({"person": login}));
    let entries = timeline(vec![page(1, "ana"), page(2, "mei")], Timestamp(0));
    let roles = Roles::derive(&entries, &people());
    assert_eq!((roles.of("ana"), roles.of("mei")), ("the developer on call", "the developer on call (2)"));
    assert_eq!((roles.of("raj"), roles.of("eve")), ("a colleague", "a colleague"));
    assert_eq!(
        roles.redact("Analysis by Ana, rajah and @RAJ"),
        "Analysis by the developer on call, rajah and a colleague"
    );
}

/// Compiled, their names take more than the 10 MB that the crate `regex` allows when it is not asked.
#[test]
fn nobody_is_named_however_many_there_are() {
    let person =
        |n: usize| Person { login: format!("p{n}"), name: format!("{n}{}", "k".repeat(100)), kind: "developer".into() };
    let many: Vec<Person> = (0..1_500).map(person).collect();
    let roles = Roles::derive(&[], &many);
    let text = format!("@p7 and {} looked", many[1_499].name.to_uppercase());
    assert_eq!(roles.redact(&text), "a colleague and a colleague looked");
}

#[test]
fn marks_what_blames_and_leaves_the_rest() {
    let marked = [
        ("The engineer should have checked the graph.", "counterfactual-person"),
        ("Had we rolled back sooner, nothing would have happened.", "counterfactual-person"),
        ("This could have been caught in review.", "counterfactual-passive"),
        ("The operator forgot to drain the host.", "omission-person"),
        ("It was a human error.", "human-error-label"),
        ("A careless change went out.", "judgement"),
        ("The outage was caused by a developer.", "blame-person"),
        ("The developer broke the build.", "blame-person"),
        ("The operator did not follow the runbook.", "rule-violation"),
        ("The root cause was a typo.", "single-root-cause"),
        ("In hindsight the graph showed it.", "hindsight"),
        ("Why did the developer push on Friday?", "why-who-question"),
        ("We will be more careful next time.", "vigilance-action"),
        ("- Investigate the queue", "vague-action"),
        ("It was a disaster.", "strong-words"),
        ("Mei pushed the button.", "named-actor"),
    ];
    let reviewer = Reviewer::new(&people());
    for (text, rule) in marked {
        let findings = reviewer.review(text);
        assert!(findings.iter().any(|f| f.rule == rule), "{rule} is not found in `{text}`: {findings:?}");
        assert!(findings.iter().all(|f| f.line == 1 && f.column >= 1 && f.ask.ends_with(['?', '.'])), "{findings:?}");
    }
    let left = [
        "The health check should have failed.",
        "Users should have seen an error page.",
        "The proxy failed to reach the backend.",
        "We failed to meet the target.",
        "Operator error is never a root cause.",
        "The cache forgot to expire.",
        "> the operator forgot to drain the host",
        "He wrote \"it was a human error\" then.",
        "See `human error` and https://example.org/human-error/operator error",
        "The deploy reached all six hosts in 40 seconds.",
        "Requests waited for the lock while the canary was healthy.",
    ];
    for text in left {
        let findings = reviewer.review(text);
        let loud: Vec<_> =
            findings.iter().filter(|f| f.level != Level::Hint && f.rule != "human-error-label").collect();
        assert!(loud.is_empty(), "{loud:?} in `{text}`");
    }
    let fenced = "```\nThe operator forgot to look.\n```\n## Timeline\n| 1 | The operator forgot to look. |\n## Other\nThe operator forgot to look.";
    assert_eq!(reviewer.review(fenced).iter().map(|f| f.line).collect::<Vec<_>>(), [7]);
}
