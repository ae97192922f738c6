//! Guarded ramps through their use cases, with samples in the server's own time-series store and a clock that the test
//! moves.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use common::World;
use serde_json::json;
use tenfold_app::flags::{FlagUpdate, FlagView, RampMove, RampStart};
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Grant, Role};
use tenfold_flags::{Context, RampState, Share};
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
