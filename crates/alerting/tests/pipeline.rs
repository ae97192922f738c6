//! The pipeline with a movable clock: one sentence a case.

use tenfold_alerting::pipeline::{
    Context, Effect, FlapRules, HowEnded, Incoming, Input, Notification, PipelineState, Planned, Reason, Stage,
    Verdict, explain, go_on, restore, step,
};
use tenfold_alerting::{
    Annotations, Mute, MuteKind, MuteSpec, Pages, RouteDefaults, Routing, RoutingSpec, import_alertmanager,
    parse_matchers,
};
use tenfold_types::{Labels, Timestamp};

#[path = "pipeline/again.rs"]
mod again;
#[path = "pipeline/flap.rs"]
mod flap;
#[path = "pipeline/many.rs"]
mod many;
#[path = "pipeline/simulated.rs"]
mod simulated;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000 + second * 1_000)
}

fn labels(text: &str) -> Labels {
    Labels::from_pairs(text.split_whitespace().map(|pair| pair.split_once('=').expect("name=value")))
}

fn fires(text: &str, second: i64) -> Input {
    let starts_at = at(second);
    Input::Alerts(vec![Incoming {
        labels: labels(text),
        annotations: Annotations::default(),
        starts_at,
        ended: None,
        lapsed: None,
        generator_url: None,
    }])
}

fn ends(text: &str, second: i64) -> Input {
    let ended = Some((at(second), HowEnded::Resolved));
    Input::Alerts(vec![Incoming {
        labels: labels(text),
        annotations: Annotations::default(),
        starts_at: at(second),
        ended,
        lapsed: None,
        generator_url: None,
    }])
}

struct House {
    routing: Routing,
    mutes: Vec<Mute>,
    flapping: FlapRules,
    state: PipelineState,
    effects: Vec<Planned>,
}

impl House {
    fn new(yaml: &str) -> Self {
        let routing = import_alertmanager(yaml).expect(yaml).routing;
        Self { routing, mutes: vec![], flapping: FlapRules::OFF, state: PipelineState::default(), effects: vec![] }
    }
    fn plain() -> Self {
        Self {
            routing: Routing::compile(&RoutingSpec::plain(), RouteDefaults::ALERTMANAGER).expect("it is fixed"),
            mutes: vec![],
            flapping: FlapRules::OFF,
            state: PipelineState::default(),
            effects: vec![],
        }
    }
    fn give(&mut self, second: i64, input: Input) {
        let context = Context { routing: &self.routing, mutes: &self.mutes, flapping: self.flapping };
        let effects = step(context, &mut self.state, input, at(second));
        self.effects.extend(effects.into_iter().map(|effect| Planned { at: at(second), effect }));
    }
    fn ticks(&mut self, seconds: impl IntoIterator<Item = i64>) {
        for second in seconds {
            self.give(second, Input::Tick);
        }
    }
    /// `second receiver reason firing/ended`, one for each notification so far.
    fn told(&self) -> Vec<String> {
        let line = |planned: &Planned| match &planned.effect {
            Effect::Notify(n) => Some(format!(
                "{} {} {:?} {}/{}",
                planned.at.since_ms(at(0)) / 1000,
                n.receiver,
                n.reason,
                n.firing.len(),
                n.ended.len()
            )),
            Effect::Flush(_) | Effect::Decided(_) | Effect::Turned(_) => None,
        };
        self.effects.iter().filter_map(line).collect()
    }
    fn because(&self, stage: Stage, verdict: Verdict) -> Vec<String> {
        let text = |planned: &Planned| match &planned.effect {
            Effect::Decided(d) if d.stage == stage && d.verdict == verdict => Some(d.because.clone()),
            _ => None,
        };
        self.effects.iter().filter_map(text).collect()
    }
    fn mute(&mut self, matchers: &str, from: i64, to: i64) {
        let spec = MuteSpec {
            kind: MuteKind::Silence,
            matchers: parse_matchers(matchers).expect(matchers),
            author: "ana".to_owned(),
            reason: "known".to_owned(),
            starts_at: at(from),
            ends_at: at(to),
            recurs: vec![],
            deploy: None,
        };
        self.mutes.push(Mute::new("m1", spec).expect("a whole mute"));
    }
}

const WAITING: &str = "
route: {receiver: r, group_by: [service], group_wait: 30s, group_interval: 5m, repeat_interval: 1h}
receivers: [{name: r}]
";

#[test]
fn the_first_is_told_at_once_and_the_message_grows() {
    let mut house = House::plain();
    house.give(0, fires("alertname=A service=web environment=production", 0));
    house.give(5, fires("alertname=B service=web environment=production", 5));
    house.give(6, fires("alertname=A service=db environment=production", 6));
    house.ticks(7..=40);
    assert_eq!(house.told(), ["0 on-call First 1/0", "5 on-call Grown 2/0", "6 on-call First 1/0"]);
    let threads: Vec<u64> = notifications(&house.effects).iter().map(|n| n.thread).collect();
    assert_eq!((threads[0] == threads[1], threads[0] == threads[2]), (true, false));
    house.give(41, ends("alertname=A service=web environment=production", 41));
    house.ticks(42..=70);
    house.give(71, ends("alertname=B service=web environment=production", 71));
    house.ticks(72..=120);
    assert_eq!(house.told()[3..], ["41 on-call Shrunk 1/1", "71 on-call Over 0/1"]);
    house.ticks([121, 200]);
    house.give(201, fires("alertname=A service=web environment=production", 201));
    assert_eq!(house.told()[5..], ["201 on-call First 1/0"]);
}

fn notifications(effects: &[Planned]) -> Vec<&Notification> {
    effects
        .iter()
        .filter_map(|p| match &p.effect {
            Effect::Notify(n) => Some(n),
            Effect::Flush(_) | Effect::Decided(_) | Effect::Turned(_) => None,
        })
        .collect()
}

#[test]
fn a_route_that_waits_collects_first() {
    let mut house = House::new(WAITING);
    house.give(0, fires("alertname=A service=web", 0));
    house.give(10, fires("alertname=B service=web", 10));
    house.ticks(11..=29);
    assert!(house.told().is_empty());
    house.ticks([30, 330, 630]);
    assert_eq!(house.told(), ["30 r First 2/0"]);
    house.ticks((930..=3630).step_by(300));
    assert_eq!(house.told()[1..], ["3630 r Repeat 2/0"]);
}

#[test]
fn what_has_fired_longer_than_the_wait_does_not_wait_again() {
    let mut house = House::new(WAITING);
    house.give(0, fires("alertname=A service=web", -31));
    assert_eq!(house.told(), ["0 r First 1/0"]);
}

#[test]
fn one_that_ends_before_anybody_was_told_is_never_told() {
    let mut house = House::new(WAITING);
    house.give(0, fires("alertname=A service=web", 0));
    house.give(10, ends("alertname=A service=web", 10));
    house.ticks([30, 330]);
    assert!(house.told().is_empty());
    assert!(house.state.alerts.is_empty() && house.state.groups.is_empty());
}

#[test]
fn what_fires_anew_before_its_group_was_looked_at_is_told_anew() {
    let mut house = House::new(WAITING);
    house.give(0, fires("alertname=A service=web", -31));
    house.give(60, ends("alertname=A service=web", 60));
    let context = Context { routing: &house.routing, mutes: &[], flapping: house.flapping };
    let why = explain(context, &house.state, &labels("alertname=A service=web"), at(90));
    assert_eq!(why.routes[0].verdict, Verdict::Wait, "its incident ended with it");
    house.give(90, fires("alertname=A service=web", 90));
    house.ticks([300]);
    assert_eq!(house.told(), ["0 r First 1/0", "300 r Grown 1/0"]);
    house.give(310, ends("alertname=A service=web", 310));
    house.ticks([600]);
    assert_eq!(house.told()[2..], ["600 r Over 0/1"]);
}

#[test]
fn a_mute_holds_back_the_start_and_never_the_end() {
    let mut house = House::plain();
    house.mute("alertname=B", 0, 100);
    house.give(0, fires("alertname=A service=web", 0));
    house.give(1, fires("alertname=B service=web", 1));
    house.ticks([30]);
    assert_eq!(house.told(), ["0 on-call First 1/0"]);
    assert_eq!(
        house.because(Stage::Mute, Verdict::Suppress),
        ["the silence m1 of ana covers it until 2025-11-24T16:01:40.000Z: known"]
    );
    // It ran out: the one that still fires joins the message.
    house.ticks([60, 90, 120]);
    assert_eq!(house.told()[1..], ["120 on-call Grown 2/0"]);
    house.mutes.clear();
    house.mute("service=web", 121, 10_000);
    house.give(130, ends("alertname=A service=web", 130));
    house.ticks([150]);
    assert_eq!(house.told()[2..], ["130 on-call Shrunk 0/1"]);
}

const INHIBITING: &str = "
route: {receiver: r, group_by: ['...'], group_wait: 0s, group_interval: 10s, repeat_interval: 1h}
receivers: [{name: r}]
inhibit_rules:
- {source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [dc]}
- {source_matchers: ['kind=~node|link'], target_matchers: ['kind=~node|app'], equal: [rack]}
";

#[test]
fn inhibition_as_alertmanager_has_it() {
    let mut house = House::new(INHIBITING);
    house.give(0, fires("alertname=Down severity=critical dc=a", 0));
    house.give(1, fires("alertname=Slow severity=warning dc=a", 1));
    house.give(1, fires("alertname=Slow severity=warning dc=b", 1));
    assert_eq!(house.told(), ["0 r First 1/0", "1 r First 1/0"]);
    assert!(house.because(Stage::Inhibit, Verdict::Suppress)[0].starts_with("Down ("));
    house.give(5, ends("alertname=Down severity=critical dc=a", 5));
    house.ticks([10, 11]);
    assert_eq!(house.told()[2..], ["10 r Over 0/1", "11 r First 1/0"]);
    // Both of these match both sides: neither may keep the other quiet. What matches one side alone still does.
    let mut house = House::new(INHIBITING);
    house.give(0, fires("alertname=N1 kind=node rack=1", 0));
    house.give(0, fires("alertname=N2 kind=node rack=1", 0));
    house.give(0, fires("alertname=App kind=app rack=1", 0));
    assert_eq!(house.told().len(), 2);
    house.give(1, fires("alertname=Link kind=link rack=1", 1));
    house.give(1, fires("alertname=N3 kind=node rack=1", 1));
    assert_eq!(house.told().len(), 3, "the link inhibits the third node");
    // A label that is missing on both sides is equal.
    let mut house = House::new(INHIBITING);
    house.give(0, fires("alertname=Down severity=critical", 0));
    house.give(0, fires("alertname=Slow severity=warning", 0));
    assert_eq!(house.told().len(), 1);
}

#[test]
fn an_alert_whose_sender_is_silent_inhibits_no_other() {
    let mut house = House::new(INHIBITING);
    let down = "alertname=Down severity=critical dc=a";
    house.give(0, fires(down, 0));
    house.give(1, fires("alertname=Slow severity=warning dc=a", 1));
    let Input::Alerts(mut silent) = fires(down, 0) else { panic!("these are alerts") };
    silent[0].lapsed = Some(at(3));
    house.give(3, Input::Alerts(silent));
    assert_eq!(house.told(), ["0 r First 1/0"], "its group is not looked at yet");
    house.ticks([10, 11]);
    assert_eq!(house.told()[1..], ["11 r First 1/0"]);
    // Its sender is back.
    house.give(12, fires(down, 0));
    house.give(13, fires("alertname=Slower severity=warning dc=a", 13));
    assert_eq!(house.told().len(), 2);
}

#[test]
fn routes_are_quiet_by_time() {
    // 2025-11-24 is a Monday; second 0 is 16:00 UTC, which is 17:00 in Berlin.
    let mut house = House::new(
        "
route:
  receiver: r
  group_wait: 0s
  group_interval: 1m
  routes:
  - {matchers: [a=quiet], mute_time_intervals: [evening]}
  - {matchers: [a=office], active_time_intervals: [office]}
receivers: [{name: r}]
time_intervals:
- {name: evening, time_intervals: [{times: [{start_time: '17:00', end_time: '18:00'}], location: Europe/Berlin}]}
- {name: office, time_intervals: [{weekdays: ['monday:friday'], times: [{start_time: '16:02', end_time: '17:00'}]}]}
",
    );
    house.give(0, fires("a=quiet", 0));
    house.give(0, fires("a=office", 0));
    assert!(house.told().is_empty());
    assert_eq!(
        house.because(Stage::TimeInterval, Verdict::Suppress),
        ["the route is quiet during evening", "the route is active only in office"]
    );
    house.ticks((60..=3_600).step_by(60));
    assert_eq!(house.told(), ["120 r First 1/0", "3600 r First 1/0"]);
}

#[test]
fn a_maintenance_comes_back() {
    let sunday = serde_json::from_value(serde_json::json!({"weekdays": ["sunday"]})).unwrap();
    let spec = MuteSpec {
        kind: MuteKind::Maintenance,
        matchers: parse_matchers("service=db").unwrap(),
        author: "ana".to_owned(),
        reason: "vacuum".to_owned(),
        starts_at: at(0),
        ends_at: at(30 * 86_400),
        recurs: vec![sunday],
        deploy: None,
    };
    let mute = Mute::new("1", spec.clone()).unwrap();
    let holds: Vec<bool> = (0..14).map(|day| mute.holds(at(day * 86_400))).collect();
    assert_eq!(holds.iter().filter(|h| **h).count(), 2);
    assert!(holds[6] && holds[13]);
    for (broken, word) in [
        (MuteSpec { recurs: vec![], ..spec.clone() }, "downtime"),
        (MuteSpec { kind: MuteKind::Silence, ..spec.clone() }, "maintenance"),
        (MuteSpec { author: " ".to_owned(), ..spec.clone() }, "author"),
        (MuteSpec { reason: String::new(), ..spec.clone() }, "reason"),
        (MuteSpec { ends_at: at(0), ..spec }, "ends after"),
    ] {
        assert!(Mute::new("1", broken).unwrap_err().contains(word), "{word}");
    }
}

/// The state made again from what is stored: what fires, of which those with these names were told of.
fn restored(house: &House, told: &[&str], second: i64) -> PipelineState {
    let context = Context { routing: &house.routing, mutes: &house.mutes, flapping: house.flapping };
    let firing = house.state.alerts.values().filter(|known| known.ended.is_none());
    let heard = |labels: &Labels| labels.get("alertname").is_some_and(|name| told.contains(&name));
    let alerts = firing.map(|known| ((**known).clone(), heard(&known.labels))).collect();
    restore(context, alerts, |told, _| *told, at(second))
}

#[test]
fn what_is_made_again_while_it_goes_on_is_looked_at_when_it_would_have_been() {
    let mut house = House::new(WAITING);
    house.mute("alertname=B", 0, 10_000);
    house.give(0, fires("alertname=A service=web", -60));
    house.give(1, fires("alertname=B service=web", 1));
    house.give(10, fires("alertname=C service=db", 10));
    house.ticks([40, 300]);
    house.give(310, fires("alertname=D service=mail", 310));
    assert_eq!(house.told(), ["0 r First 1/0", "40 r First 1/0"]);
    let quiet = |house: &House| house.because(Stage::Mute, Verdict::Suppress).len();
    assert_eq!(quiet(&house), 1);
    let before = house.state.clone();
    for rerouted in [false, true] {
        let mut state = restored(&house, &["A", "C"], 320);
        let context = Context { routing: &house.routing, mutes: &house.mutes, flapping: house.flapping };
        go_on(context, &mut state, &before, rerouted, at(320));
        let next = |name: &str| {
            let of = state.groups.iter().find(|(id, _)| id.labels().get("service") == Some(name));
            of.expect(name).1.next_at.since_ms(at(0)) / 1_000
        };
        // Of another routing somebody may not have heard; what waits for the first time waits on.
        let looked_at = if rerouted { [320, 320, 340] } else { [600, 340, 340] };
        assert_eq!([next("web"), next("db"), next("mail")], looked_at, "rerouted: {rerouted}");
        assert_eq!(state.next_due(), Some(at(if rerouted { 320 } else { 340 })));
    }
    // It goes on, and nothing that was decided before is decided again.
    let mut state = restored(&house, &["A", "C"], 320);
    let context = Context { routing: &house.routing, mutes: &house.mutes, flapping: house.flapping };
    go_on(context, &mut state, &before, false, at(320));
    house.state = state;
    house.ticks([320, 340]);
    assert_eq!(house.told()[2..], ["340 r First 1/0"]);
    house.ticks([600]);
    assert_eq!(quiet(&house), 1);
    // Unlike what a start has to find out again.
    house.state = restored(&house, &["A", "C"], 700);
    house.ticks([700]);
    assert_eq!(quiet(&house), 2);
}

#[test]
fn what_is_made_again_waits_for_no_longer_than_its_route_says() {
    let mut house = House::new(WAITING);
    house.give(1_000, fires("alertname=A service=web", 900));
    house.give(1_000, fires("alertname=B service=db", 1_000));
    let before = house.state.clone();
    // The clock was set back.
    let mut state = restored(&house, &["A", "C"], 0);
    let context = Context { routing: &house.routing, mutes: &house.mutes, flapping: house.flapping };
    go_on(context, &mut state, &before, false, at(0));
    let mut next: Vec<i64> = state.groups.values().map(|group| group.next_at.since_ms(at(0)) / 1_000).collect();
    next.sort_unstable();
    assert_eq!(next, [30, 300], "db, and web");
}

#[test]
fn explains_with_the_matcher_that_failed() {
    let mut house = House::new(INHIBITING);
    house.give(0, fires("alertname=Down severity=critical dc=a", 0));
    let context = Context { routing: &house.routing, mutes: &house.mutes, flapping: house.flapping };
    let why = explain(context, &house.state, &labels("alertname=Slow severity=warning dc=a"), at(1));
    assert_eq!((why.routes.len(), why.routes[0].verdict), (1, Verdict::Suppress));
    let why = explain(context, &house.state, &labels("alertname=Down severity=critical dc=a"), at(1));
    assert_eq!(why.routes[0].verdict, Verdict::Nothing);
    let routing = import_alertmanager("{route: {receiver: r, routes: [{matchers: ['a=b']}]}, receivers: [{name: r}]}");
    let routing = routing.unwrap().routing;
    let context = Context { routing: &routing, mutes: &[], flapping: house.flapping };
    let why = explain(context, &PipelineState::default(), &labels("a=c"), at(0));
    assert_eq!(why.refused, [("{}/0{a=\"b\"}".to_owned(), "a=\"b\"".to_owned())]);
    assert_eq!(why.routes[0].verdict, Verdict::Wait);
}

#[test]
fn reasons_name_what_is_told() {
    let mut house = House::plain();
    house.give(0, fires("alertname=A service=web", 0));
    let all = notifications(&house.effects);
    assert_eq!((all[0].reason, all[0].new.len()), (Reason::First, 1));
    assert_eq!(house.because(Stage::Notify, Verdict::Send), ["on-call has not heard of this group yet"]);
}

#[test]
fn the_import_tells_what_has_no_equal() {
    let imported = import_alertmanager(
        "
global: {smtp_from: a@example.org, resolve_timeout: 1m}
templates: ['*.tmpl']
route: {receiver: r}
receivers:
- {name: r, slack_configs: [{channel: '#a'}], email_configs: [{to: x@example.org}]}
- {name: nobody}
",
    )
    .unwrap();
    let paths: Vec<&str> = imported.report.iter().map(|n| n.path.as_str()).collect();
    let receiver = ["receivers[0].slack_configs", "receivers[0].email_configs", "receivers[0].pages"];
    assert_eq!(paths[..3], receiver);
    assert_eq!(paths[3..], ["global.smtp_from", "templates"]);
    assert!(imported.report[2].message.contains("`pages: all`"), "{:?}", imported.report[2]);
    assert_eq!(imported.spec.route.group_wait.as_deref(), Some("30s"));
    assert!(imported.routing.receivers["nobody"].quiet && !imported.routing.receivers["r"].quiet);
    // What was imported means the same when it is written down and read as our own.
    let json = serde_json::to_string(&imported.spec).unwrap();
    assert_eq!(serde_json::from_str::<RoutingSpec>(&json).unwrap(), imported.spec);
}

const FLAPS: FlapRules = FlapRules { fires: 3, within_ms: 60_000, calm_ms: 20_000 };

#[test]
fn a_receiver_says_which_alerts_page() {
    let read = |more: &str| import_alertmanager(&format!("{{route: {{receiver: r}}, receivers: [{{name: r{more}}}]}}"));
    for (more, pages) in [
        (", policy: web", Pages::Critical),
        (", policy: web, pages: critical", Pages::Critical),
        (", slack_configs: [{channel: '#a'}], pages: all", Pages::All),
        (", pages: all", Pages::All),
    ] {
        let imported = read(more).expect(more);
        assert!(!imported.routing.receivers["r"].quiet, "{more}");
        assert_eq!(imported.routing.receivers["r"].pages, pages, "{more}");
        assert!(imported.report.iter().all(|n| n.path != "receivers[0].pages"), "{more}");
        // Alertmanager's own tools know nothing of it.
        assert!(!imported.spec.as_alertmanager().expect("JSON").contains("pages"), "{more}");
    }
    for wrong in [", pages: some", ", pages: true"] {
        assert_eq!(read(wrong).expect_err(wrong).path, "receivers[0].pages");
    }
}

/// For webhooks its end has been told; that its sender says so as well is no other end.
#[test]
fn what_was_silent_and_is_over_has_been_over_since_it_was_silent() {
    let text = "alertname=Late service=photos";
    let mut house = House::plain();
    house.give(0, fires(text, 0));
    let Input::Alerts(mut silent) = fires(text, 0) else { panic!("these are alerts") };
    silent[0].lapsed = Some(at(60));
    house.give(60, Input::Alerts(silent));
    let over = |house: &House| house.state.alerts.values().next().expect("it is followed").over();
    assert_eq!(over(&house), Some(at(60)));
    house.give(60, ends(text, 90));
    assert_eq!(over(&house), Some(at(60)));
    house.give(60, fires(text, 95));
    assert_eq!(over(&house), None, "it fires again");
}

#[test]
fn what_is_worse_does_not_wait_for_the_interval_of_a_group_that_was_told_before() {
    let mut house = House::new(
        "route: {receiver: web, group_by: [service], group_wait: 10s, group_interval: 5m}\nreceivers: [{name: web, policy: p}]",
    );
    let (mild, bad) = ("service=photos severity=warning", "service=photos severity=critical");
    let told = |house: &House| house.effects.iter().filter(|p| matches!(p.effect, Effect::Notify(_))).count();
    // A group that nobody heard of waits for all that comes together.
    house.give(0, fires(mild, 0));
    house.state.hurry(&house.routing, &labels(mild), at(0));
    house.ticks([5]);
    assert_eq!(told(&house), 0);
    house.ticks([10]);
    assert_eq!(told(&house), 1);
    house.state.hurry(&house.routing, &labels(bad), at(20));
    house.give(20, fires(bad, 20));
    assert_eq!(told(&house), 2, "not after five minutes");
}
