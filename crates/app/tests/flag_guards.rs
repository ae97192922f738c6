//! Guarded ramps through their use cases, with samples in the server's own time-series store and a clock that the test
//! moves.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use common::World;
use serde_json::json;
use tenfold_app::flags::{FlagUpdate, FlagView, RampMove, RampStart};
use tenfold_app::people::{Contact, PersonUpdate};
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Grant, Role};
use tenfold_flags::{Context, RampState, Share};
use tenfold_judge::Verdict;
use tenfold_tsdb::Sample;
use tenfold_types::{Actor, ErrorCode, Event, Labels, Severity, Source};

const FLAG: &str = "new_uploader";
const PLACE: &str = "production";

fn mei() -> Caller {
    Caller {
        actor: Actor::person("mei"),
        name: "Mei".into(),
        source: Source::Web,
        grants: vec![Grant::everywhere(Role::Deployer)],
    }
}

fn sample(app: &App, value: f64) {
    let labels = Labels::from_pairs([(Labels::NAME, "errors"), ("service", "photos")]);
    app.metrics.append(&[Sample::new(labels, app.now().millis(), value)]).expect("the sample is taken");
}

async fn told(app: &App, kind: &str) -> Vec<Event> {
    let kinds = vec!["flag.".into(), "incident.".into(), "environment.".into()];
    let query = EventQuery { kinds, ascending: true, limit: 500, ..EventQuery::default() };
    let all = app.events(query).await.expect("the record is read");
    all.into_iter().filter(|e| e.kind.starts_with(kind)).collect()
}

fn start_of(guard: serde_json::Value) -> RampStart {
    let mut base = json!({
        "expr": "errors", "condition": {"threshold": {"op": "<", "value": 0.05}}, "for_ms": 10_000, "readings_min": 2,
    });
    base.as_object_mut().unwrap().extend(guard.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "steps": [{"percent": 1, "hold_ms": 60_000}, {"percent": 25, "hold_ms": 60_000}, {"percent": 100, "hold_ms": 60_000}],
        "guard": base,
    }))
    .expect("a start")
}

async fn ramping(guard: serde_json::Value) -> World {
    let world = common::world().await;
    world.app.flag_put(&mei(), FLAG, FlagUpdate::default()).await.unwrap();
    world.app.flag_ramp_start(&mei(), FLAG, PLACE, start_of(guard)).await.unwrap();
    world
}

impl World {
    /// Lets so many looks pass, five seconds each, with the same value or none.
    async fn looks(&self, count: usize, value: Option<f64>) {
        for _ in 0..count {
            self.clock.advance_ms(5_000);
            if let Some(value) = value {
                sample(&self.app, value);
            }
            self.app.flag_guards_look().await;
            self.app.flag_ramps_step().await;
        }
    }
    /// The same store under a new process: what was only in memory is gone.
    async fn restarted(self) -> Self {
        let Self { app, clock, _db: db, _dir: dir } = self;
        drop(app);
        common::open(dir, db, clock).await
    }
    fn flag(&self) -> FlagView {
        self.app.flag(FLAG).unwrap()
    }
    fn percent(&self) -> Option<Share> {
        self.flag().environments[PLACE].rollout_percent
    }
    fn ramp(&self) -> tenfold_flags::Ramp {
        self.flag().environments[PLACE].ramp.clone().expect("a ramp")
    }
}

fn is_on(app: &App) -> bool {
    let answers = app.flags.environment(PLACE).unwrap();
    (0..200).any(|n| {
        let context = Context::new().with("userId", format!("u{n}"));
        answers.evaluate(FLAG, &context, app.flag_moment()).is_some_and(|a| a.enabled)
    })
}

#[tokio::test]
async fn a_ramp_rises_while_its_guard_holds_and_is_done_when_it_held_to_the_end() {
    let world = ramping(json!({})).await;
    world.looks(11, Some(0.01)).await;
    assert_eq!(world.percent(), Some(Share::percent(1)));
    assert_eq!(world.ramp().watch.good, 11, "what the guard has seen is shown");
    assert!(world.app.flag_summaries(false).items[0].environments[PLACE].guarded, "the list marks it");
    world.looks(1, Some(0.01)).await;
    assert_eq!(world.percent(), Some(Share::percent(25)));
    world.looks(24, Some(0.01)).await;
    assert_eq!((world.percent(), world.ramp().state), (Some(Share::percent(100)), RampState::Done));
    assert_eq!(told(&world.app, "flag.ramp_finished").await.len(), 1);
    assert!(told(&world.app, "flag.guard_").await.is_empty());
}

#[tokio::test]
async fn a_failing_guard_switches_off_with_evidence() {
    let world = ramping(json!({})).await;
    world.looks(12, Some(0.01)).await;
    assert!(is_on(&world.app));
    world.looks(2, Some(0.2)).await;
    assert_eq!(world.percent(), Some(Share::percent(25)), "not for long enough yet");
    world.looks(1, Some(0.2)).await;
    assert!(!is_on(&world.app) && !world.flag().environments[PLACE].enabled);
    assert_eq!(world.ramp().state, RampState::Tripped);
    let events = told(&world.app, "flag.guard_tripped").await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        event.text,
        "the guard switched new_uploader off in production at 25 %: errors is 0.2 and has to be < 0.05 for 10 s"
    );
    assert_eq!((event.severity, &event.actor), (Severity::Critical, &Actor::system()));
    let evidence = &event.data["evidence"];
    assert_eq!((&evidence["expr"], &evidence["reading"]["value"]), (&json!("errors"), &json!(0.2)));
    assert!(evidence["reading"]["worst"][0]["labels"].as_str().unwrap().contains("photos"), "{evidence}");
    assert_eq!((&event.data["before"]["enabled"], &event.data["after"]["enabled"]), (&json!(true), &json!(false)));
    world.looks(30, Some(0.01)).await;
    assert!(!is_on(&world.app), "it does not come back by itself");
    let markers = world.app.markers(tenfold_app::metrics::MarkerQuery::default()).await.unwrap();
    assert!(markers.iter().any(|m| m.text == event.text), "it stands on every graph");
    let line = tenfold_app::chat::announce::announce(event, "http://t").expect("the room is told");
    assert!(line.text.starts_with("▲ the guard switched"), "{}", line.text);
}

#[tokio::test]
async fn a_guard_may_step_back_and_open_an_incident() {
    let world = ramping(json!({"on_fail": "step_back", "for_ms": 0, "incident": true, "severity": "warning"})).await;
    world.looks(12, Some(0.01)).await;
    world.looks(1, Some(0.2)).await;
    assert_eq!((world.percent(), world.ramp().state), (Some(Share::percent(1)), RampState::Paused));
    assert!(is_on(&world.app) || world.percent() == Some(Share::percent(1)));
    let event = &told(&world.app, "flag.guard_tripped").await[0];
    assert_eq!((event.severity, event.subject.incident), (Severity::Warning, Some(1)));
    let opened = &told(&world.app, "incident.opened").await[0];
    assert!(opened.text.contains("the guard took new_uploader a step back"), "{}", opened.text);
    // On the first step there is nothing to go back to.
    world.looks(1, Some(0.2)).await;
    assert!(!is_on(&world.app));
    assert_eq!(told(&world.app, "incident.opened").await.len(), 1, "one incident for it");
}

/// The same as `looks`, with the pages that they lead to.
async fn looks_and_pages(world: &World, count: usize, value: f64) {
    for _ in 0..count {
        world.looks(1, Some(value)).await;
        world.app.alerts_tick().await.unwrap();
        world.app.incidents_tick().await.unwrap();
    }
}

#[tokio::test]
async fn who_was_told_of_less_is_paged_when_it_gets_critical() {
    let (world, system) = (common::world().await, Caller::system());
    let ana = PersonUpdate {
        role: Some(Role::Responder),
        contact: Some(Contact { email: "ana@example.org".to_owned(), ..Contact::default() }),
        ..PersonUpdate::default()
    };
    world.app.person_put(&system, "ana", ana).await.unwrap();
    let step = json!({"delay_ms": 3_600_000, "targets": [{"kind": "person", "name": "ana"}]});
    let policy = serde_json::from_value(json!({"steps": [step], "repeat": 0})).unwrap();
    world.app.policy_put(&system, "default", policy).await.unwrap();
    for (flag, severity, for_ms) in [("slow", "warning", 0), ("broken", "critical", 15_000)] {
        let guard = json!({"for_ms": for_ms, "incident": true, "severity": severity, "service": "photos"});
        world.app.flag_put(&system, flag, FlagUpdate::default()).await.unwrap();
        world.app.flag_ramp_start(&system, flag, PLACE, start_of(guard)).await.unwrap();
    }
    let rounds = async || {
        let pages = world.app.pages(Some(1)).await.unwrap();
        pages.iter().map(|page| page.round).collect::<Vec<_>>()
    };
    looks_and_pages(&world, 3, 0.01).await;
    looks_and_pages(&world, 1, 0.2).await;
    assert_eq!(world.app.incident(1).await.unwrap().severity, "warning");
    assert_eq!(rounds().await.len(), 1);
    looks_and_pages(&world, 5, 0.2).await;
    assert_eq!(world.app.incident(1).await.unwrap().severity, "critical");
    assert_eq!(world.app.incidents_open().await.unwrap().len(), 1, "it is the same trouble");
    let mut rounds = rounds().await;
    rounds.sort_unstable();
    assert_eq!(rounds.len(), 2, "{rounds:?}");
    assert!(rounds[0] < rounds[1], "a round of its own");
}

#[tokio::test]
async fn no_data_holds_the_step_and_then_pages() {
    let world = ramping(json!({"no_data": {"wait_ms_max": 120_000, "then": "page"}})).await;
    world.looks(20, None).await;
    assert_eq!(world.percent(), Some(Share::percent(1)), "no data is never good");
    let waiting = told(&world.app, "flag.guard_waiting").await;
    assert_eq!(waiting.len(), 1, "said once");
    assert!(waiting[0].text.contains("answers with nothing"), "{}", waiting[0].text);
    world.looks(30, None).await;
    assert_eq!((world.percent(), world.ramp().state), (Some(Share::percent(1)), RampState::Paused));
    let gave_up = &told(&world.app, "flag.guard_gave_up").await[0];
    assert_eq!(gave_up.subject.incident, Some(1));
    // With data again a person resumes it.
    world.app.flag_ramp_move(&mei(), FLAG, PLACE, RampMove::Resume, None).await.unwrap();
    world.looks(3, Some(0.0)).await;
    assert_eq!(world.percent(), Some(Share::percent(25)));
}

#[tokio::test]
async fn hands_steer_a_ramp_by_their_role() {
    let world = ramping(json!({})).await;
    let app = &world.app;
    let responder = Caller { grants: vec![Grant::everywhere(Role::Responder)], actor: Actor::person("raj"), ..mei() };
    let step = |how| app.flag_ramp_move(&responder, FLAG, PLACE, how, None);
    assert_eq!(step(RampMove::Skip).await.unwrap_err().code, ErrorCode::Forbidden);
    step(RampMove::Pause).await.unwrap();
    assert_eq!(step(RampMove::Pause).await.unwrap_err().code, ErrorCode::Conflict);
    app.flag_ramp_move(&mei(), FLAG, PLACE, RampMove::Skip, None).await.unwrap();
    assert_eq!(world.percent(), Some(Share::percent(25)));
    step(RampMove::Back).await.unwrap();
    assert_eq!((world.percent(), world.ramp().state), (Some(Share::percent(1)), RampState::Paused));
    assert_eq!(step(RampMove::Extend).await.unwrap_err().code, ErrorCode::Invalid);
    app.flag_ramp_move(&responder, FLAG, PLACE, RampMove::Extend, Some(60_000)).await.unwrap();
    step(RampMove::Stop).await.unwrap();
    assert_eq!(step(RampMove::Stop).await.unwrap_err().code, ErrorCode::Conflict);
    let texts: Vec<String> = told(app, "flag.ramp_").await.into_iter().map(|e| e.text).collect();
    assert_eq!(
        texts,
        [
            "mei started to ramp new_uploader in production from 1 % to 100 %, guarded",
            "raj paused the ramp of new_uploader in production at 1 %",
            "mei took new_uploader to 25 % in production (step 2 of 3)",
            "raj took new_uploader to 1 % in production (step 1 of 3)",
            "raj paused the ramp of new_uploader in production at 1 %",
            "raj holds new_uploader in production at 1 % for 1 min longer",
            "raj stopped the ramp of new_uploader in production at 1 %",
        ]
    );
}

#[tokio::test]
async fn a_plan_is_shared_and_a_wrong_one_is_refused() {
    let world = common::world().await;
    let app = &world.app;
    app.flag_put(&mei(), FLAG, FlagUpdate::default()).await.unwrap();
    let plan = serde_json::from_value(json!({
        "description": "for uploads",
        "steps": [{"percent": 5, "hold_ms": 1000}, {"percent": 100}],
        "guard": {"expr": "errors", "condition": {"threshold": {"op": "<", "value": 0.05}}},
    }))
    .unwrap();
    app.ramp_plan_put(&mei(), "careful", plan).await.unwrap();
    let by_plan = RampStart { plan: Some("careful".into()), ..RampStart::default() };
    app.flag_ramp_start(&mei(), FLAG, PLACE, by_plan.clone()).await.unwrap();
    assert_eq!((world.percent(), world.ramp().plan.as_deref()), (Some(Share::percent(5)), Some("careful")));
    app.ramp_plan_delete(&mei(), "careful").await.unwrap();
    assert!(world.ramp().is_live(), "a ramp keeps what it was started with");
    assert_eq!(app.flag_ramp_start(&mei(), FLAG, PLACE, by_plan).await.unwrap_err().code, ErrorCode::NotFound);
    let wrong = start_of(json!({"expr": "sum(rate("}));
    let fault = app.flag_ramp_start(&mei(), FLAG, PLACE, wrong).await.unwrap_err();
    assert!(fault.message.contains("the expression of a guard"), "{}", fault.message);
}

/// Counters of both sides: what was counted so far.
#[derive(Default)]
struct Counted {
    new: [u64; 2],
    old: [u64; 2],
}

/// Failed and all requests of one look.
type Side = (u64, u64);

impl Counted {
    /// Lets looks pass in which both sides make requests. Failures have no series before the first.
    async fn looks(&mut self, world: &World, count: usize, new: Side, old: Side) {
        for _ in 0..count {
            world.clock.advance_ms(5_000);
            for (sum, (bad, total)) in [(&mut self.new, new), (&mut self.old, old)] {
                sum[0] += bad;
                sum[1] += total;
            }
            self.write(&world.app);
            world.app.flag_guards_look().await;
            world.app.flag_ramps_step().await;
        }
    }

    fn write(&self, app: &App) {
        let at = app.now().millis();
        let mut samples = Vec::new();
        for (uploader, [bad, total]) in [("new", self.new), ("old", self.old)] {
            let labels = |code: &str| {
                Labels::from_pairs([
                    (Labels::NAME, "http_requests_total"),
                    ("service", "photos"),
                    ("instance", "a:1"),
                    ("uploader", uploader),
                    ("code", code),
                ])
            };
            samples.push(Sample::new(labels("200"), at, (total - bad) as f64));
            if bad > 0 {
                samples.push(Sample::new(labels("500"), at, bad as f64));
            }
        }
        app.metrics.append(&samples).expect("the samples are taken");
    }
}

fn judge(more: serde_json::Value) -> serde_json::Value {
    let side = |uploader: &str| {
        let base = format!("http_requests_total{{service=\"photos\", uploader=\"{uploader}\"");
        json!({"bad": format!("{base}, code=~\"5..\"}}"), "total": format!("{base}}}")})
    };
    let mut judge = json!({"errors": {"new": side("new"), "old": side("old")}});
    judge.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    judge
}

/// A ramp 1, 25, 100 % whose guard asks the judge, with the counters at their beginning.
async fn judged(more_judge: serde_json::Value, more_guard: serde_json::Value) -> (World, Counted) {
    let world = common::world().await;
    let counted = Counted::default();
    counted.write(&world.app);
    world.app.flag_put(&mei(), FLAG, FlagUpdate::default()).await.unwrap();
    let mut guard = json!({"condition": {"judge": judge(more_judge)}});
    guard.as_object_mut().unwrap().extend(more_guard.as_object().unwrap().clone());
    let steps = json!([{"percent": 1, "hold_ms": 60_000}, {"percent": 25, "hold_ms": 60_000}, {"percent": 100}]);
    let start = serde_json::from_value(json!({"steps": steps, "guard": guard})).expect("a start");
    world.app.flag_ramp_start(&mei(), FLAG, PLACE, start).await.unwrap();
    (world, counted)
}

fn report(world: &World) -> tenfold_judge::Report {
    match world.ramp().watch.last {
        Some(tenfold_flags::Reading::Judged { report }) => *report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_judge_catches_a_bad_flag_and_tells_its_evidence() {
    let (world, mut counted) = judged(json!({}), json!({})).await;
    counted.looks(&world, 3, (5, 500), (45, 4_500)).await;
    assert!(is_on(&world.app) || world.percent() == Some(Share::percent(1)));
    counted.looks(&world, 12, (20, 500), (45, 4_500)).await;
    assert_eq!((world.ramp().state, world.flag().environments[PLACE].enabled), (RampState::Tripped, false));
    let events = told(&world.app, "flag.guard_tripped").await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let said = "the guard switched new_uploader off in production at 1 %: those who have it fail ";
    assert!(event.text.starts_with(said) && event.text.contains(" as the others, "), "{}", event.text);
    assert!(event.text.ends_with(" to 1 where 100 to 1 is wanted"), "{}", event.text);
    let evidence = &event.data["evidence"]["reading"]["report"];
    assert_eq!(evidence["verdict"], json!("worse"));
    assert!(evidence["ratio_low"].as_f64().unwrap() > 1.25, "{evidence}");
    let series = evidence["series"].as_array().unwrap();
    let nats = |i: usize| series[i]["errors"].as_f64().unwrap();
    assert!(series.len() > 4 && nats(series.len() - 1) > nats(0) && nats(series.len() - 1) > 4.6, "{evidence}");
    assert!(event.data["evidence"].get("expr").is_none(), "{evidence}");
    counted.looks(&world, 30, (0, 500), (45, 4_500)).await;
    assert!(!is_on(&world.app), "it does not come back by itself");
}

#[tokio::test]
async fn the_judge_lets_a_harmless_flag_go_on_to_its_end() {
    let (world, mut counted) = judged(json!({}), json!({})).await;
    counted.looks(&world, 11, (10, 1_000), (90, 9_000)).await;
    assert_eq!(world.percent(), Some(Share::percent(1)), "held for its time");
    counted.looks(&world, 30, (10, 1_000), (90, 9_000)).await;
    assert_eq!((world.percent(), world.ramp().state), (Some(Share::percent(100)), RampState::Done));
    assert!(told(&world.app, "flag.guard_tripped").await.is_empty());
}

#[tokio::test]
async fn without_requests_the_judge_says_so_and_the_ramp_waits() {
    let no_data = json!({"no_data": {"wait_ms_max": 120_000, "then": "page"}});
    let (world, mut counted) = judged(json!({}), no_data).await;
    counted.looks(&world, 20, (0, 0), (9, 900)).await;
    assert_eq!((world.percent(), report(&world).verdict), (Some(Share::percent(1)), Verdict::NoData));
    let waiting = told(&world.app, "flag.guard_waiting").await;
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].text.ends_with("no data: those who have it made no request"), "{}", waiting[0].text);
    counted.looks(&world, 20, (0, 2), (9, 900)).await;
    assert_eq!((world.ramp().state, report(&world).verdict), (RampState::Paused, Verdict::NotEnoughData));
    let gave_up = &told(&world.app, "flag.guard_gave_up").await[0];
    assert!(gave_up.text.contains("; not enough data: those who have it made "), "{}", gave_up.text);
    assert_eq!(gave_up.subject.incident, Some(1));
}

#[tokio::test]
async fn what_points_nowhere_is_inconclusive_and_not_good() {
    let (world, mut counted) = judged(json!({}), json!({"no_data": {"wait_ms_max": 60_000, "then": "off"}})).await;
    // 1.35 times as often: more than is tolerated by little, less than is to be ruled out by little.
    counted.looks(&world, 22, (27, 2_000), (90, 9_000)).await;
    assert_eq!((world.percent(), report(&world).verdict), (Some(Share::percent(1)), Verdict::Inconclusive));
    counted.looks(&world, 4, (27, 2_000), (90, 9_000)).await;
    assert_eq!(world.ramp().state, RampState::Tripped);
    let gave_up = &told(&world.app, "flag.guard_gave_up").await[0];
    assert!(gave_up.text.contains("; inconclusive: those who have it fail 1.3"), "{}", gave_up.text);
}

#[tokio::test]
async fn an_incident_that_both_sides_share_trips_no_judge() {
    let (world, mut counted) = judged(json!({}), json!({})).await;
    counted.looks(&world, 4, (10, 1_000), (90, 9_000)).await;
    counted.looks(&world, 24, (500, 1_000), (4_500, 9_000)).await;
    counted.looks(&world, 30, (10, 1_000), (90, 9_000)).await;
    assert_eq!((world.percent(), world.ramp().state), (Some(Share::percent(100)), RampState::Done));
    assert!(told(&world.app, "flag.guard_tripped").await.is_empty());
}

#[tokio::test]
async fn a_server_that_was_killed_loses_no_evidence() {
    let (world, mut counted) = judged(json!({}), json!({})).await;
    counted.looks(&world, 8, (6, 1_000), (90, 9_000)).await;
    let before = report(&world);
    let world = world.restarted().await;
    assert!(world.ramp().watch.last.is_none(), "what was in memory is gone");
    world.app.flag_guards_look().await;
    assert_eq!(report(&world), before, "and is found again in the samples");
    counted.looks(&world, 4, (6, 1_000), (90, 9_000)).await;
    assert_eq!(world.percent(), Some(Share::percent(25)), "on time");
}

#[tokio::test]
async fn what_was_good_is_not_good_once_the_requests_end() {
    let (world, mut counted) = judged(json!({}), json!({})).await;
    counted.looks(&world, 11, (6, 1_000), (90, 9_000)).await;
    assert_eq!(report(&world).verdict, Verdict::NotWorse);
    world.app.flag_ramp_move(&mei(), FLAG, PLACE, RampMove::Extend, Some(600_000)).await.unwrap();
    counted.looks(&world, 150, (0, 0), (90, 9_000)).await;
    assert_eq!(world.percent(), Some(Share::percent(1)));
    let waiting = &told(&world.app, "flag.guard_waiting").await[0];
    assert!(waiting.text.contains("made no request for"), "{}", waiting.text);
    // What turns bad after it was good is caught all the same.
    counted.looks(&world, 12, (60, 1_000), (90, 9_000)).await;
    assert_eq!(world.ramp().state, RampState::Tripped);
}

#[tokio::test]
async fn a_flag_beside_which_nothing_fails_needs_a_negligible_rate() {
    for (more, percent) in [(json!({}), 1), (json!({"negligible": 0.001}), 25)] {
        let (world, mut counted) = judged(more, json!({})).await;
        counted.looks(&world, 13, (0, 1_000), (0, 9_000)).await;
        assert_eq!(world.percent(), Some(Share::percent(percent)));
    }
}

#[tokio::test]
async fn the_judge_compares_latency_alone() {
    for (slow, state) in [(20, RampState::Tripped), (4, RampState::Done)] {
        let world = common::world().await;
        let app = &world.app;
        app.flag_put(&mei(), FLAG, FlagUpdate::default()).await.unwrap();
        let buckets = |look: u64| {
            let mut samples = Vec::new();
            for (uploader, slow) in [("new", slow), ("old", 4)] {
                for (le, within) in [("0.1", 300 - 3 * slow), ("1", 300 - slow), ("+Inf", 300)] {
                    let labels = Labels::from_pairs([
                        (Labels::NAME, "http_request_duration_seconds_bucket"),
                        ("uploader", uploader),
                        ("le", le),
                    ]);
                    samples.push(Sample::new(labels, app.now().millis(), (look * within) as f64));
                }
            }
            app.metrics.append(&samples).unwrap();
        };
        buckets(1);
        let selector = |side: &str| format!("http_request_duration_seconds_bucket{{uploader=\"{side}\"}}");
        let guard = json!({"condition": {"judge": {"latency": {"new": selector("new"), "old": selector("old")}}}});
        let start = json!({"steps": [{"percent": 10, "hold_ms": 60_000}, {"percent": 100}], "guard": guard});
        app.flag_ramp_start(&mei(), FLAG, PLACE, serde_json::from_value(start).unwrap()).await.unwrap();
        for look in 2..60 {
            world.clock.advance_ms(5_000);
            buckets(look);
            app.flag_guards_look().await;
            app.flag_ramps_step().await;
        }
        assert_eq!(world.ramp().state, state, "{slow} of 300 slow: {:?}", world.ramp().watch.last);
        if state == RampState::Tripped {
            let text = &told(app, "flag.guard_tripped").await[0].text;
            assert!(text.contains("those who have it are slow"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_judge_names_counters_and_nothing_else() {
    let world = common::world().await;
    world.app.flag_put(&mei(), FLAG, FlagUpdate::default()).await.unwrap();
    let by = mei();
    let start = |errors: serde_json::Value| {
        let guard = json!({"condition": {"judge": {"errors": errors}}});
        let start = json!({"steps": [{"percent": 1, "hold_ms": 1000}, {"percent": 100}], "guard": guard});
        world.app.flag_ramp_start(&by, FLAG, PLACE, serde_json::from_value(start).unwrap())
    };
    let sides = |bad: &str| json!({"new": {"bad": bad, "total": "n"}, "old": {"bad": "b", "total": "o"}});
    for (bad, words) in [
        ("sum(b)", "`errors.new.bad` of the judge is no counter"),
        ("rate(b[1m])", "`errors.new.bad` of the judge is no counter"),
        ("b offset 5m", "`errors.new.bad` of the judge is no counter"),
        ("b{", "`errors.new.bad` of the judge"),
    ] {
        let fault = start(sides(bad)).await.unwrap_err();
        assert!(fault.code == ErrorCode::Invalid && fault.message.contains(words), "{}", fault.message);
    }
    start(sides("(b{code=~\"5..\"})")).await.unwrap();
}

#[tokio::test]
async fn a_ratio_whose_numerator_has_counted_nothing_is_zero_where_there_is_traffic() {
    let ratio = "sum by (host) (rate(reqs{code=\"500\"}[1m])) / sum by (host) (rate(reqs[1m]))";
    let apart = "sum(rate(reqs_failed[1m])) / sum(rate(reqs[1m]))";
    let cases = [
        (ratio, "reqs", true, "traffic and no error yet"),
        (ratio, "reqs", false, "no traffic"),
        (apart, "reqs", true, "a numerator that nobody knows"),
        (apart, "reqs_failed", true, "a numerator that is known"),
    ];
    let good = [true, false, false, true];
    for ((expr, known, busy, name), good) in cases.into_iter().zip(good) {
        let world = ramping(json!({"expr": expr, "for_ms": 0})).await;
        let counter = |name: &str, value: f64| {
            let labels = Labels::from_pairs([(Labels::NAME, name), ("host", "h1"), ("code", "200")]);
            world.app.metrics.append(&[Sample::new(labels, world.app.now().millis(), value)]).unwrap();
        };
        counter(known, 1.0);
        for look in 1..=30 {
            world.clock.advance_ms(if look == 1 { 600_000 } else { 5_000 });
            counter("reqs", if busy { f64::from(look) * 10.0 } else { 10.0 });
            world.app.flag_guards_look().await;
            world.app.flag_ramps_step().await;
        }
        let rose = world.percent() > Some(Share::percent(1));
        assert_eq!(rose, good, "{name}: {:?}", world.ramp().watch);
    }
}

#[tokio::test]
async fn the_judge_of_the_guide_catches_a_bad_uploader() {
    let guide = include_str!("../../../docs/guide/ramps.md").split_once("### The judge").unwrap().1;
    let yaml = guide.split("```yaml\n").nth(1).and_then(|b| b.split("```").next()).unwrap();
    let plan: tenfold_flags::RampPlan = serde_saphyr::from_str(yaml).unwrap();
    for (bad, state) in [(0, RampState::Running), (30, RampState::Tripped)] {
        let world = common::world().await;
        let mut counted = Counted::default();
        counted.write(&world.app);
        world.app.flag_put(&mei(), FLAG, FlagUpdate::default()).await.unwrap();
        world.app.ramp_plan_put(&mei(), "judged", plan.clone()).await.unwrap();
        let start = RampStart { plan: Some("judged".into()), ..RampStart::default() };
        world.app.flag_ramp_start(&mei(), FLAG, PLACE, start).await.unwrap();
        counted.looks(&world, 125, (bad, 300), (5, 3_000)).await;
        assert_eq!(world.ramp().state, state);
        if state == RampState::Running {
            assert_eq!(world.percent(), Some(Share::percent(10)), "one step on after ten minutes");
        }
    }
}
