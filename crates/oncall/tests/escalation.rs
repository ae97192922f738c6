//! The escalation's state machine, by case and by property.

use proptest::prelude::*;
use tenfold_oncall::{
    Answer, DeployerFirst, Effect, Escalation, Expiry, Input, Policy, PolicyStep, Progress, TEAM_MEMBERS_MAX, Target,
    TargetKind, Teams, paged_members, step,
};
use tenfold_types::Timestamp;

fn target(kind: TargetKind, name: &str) -> Target {
    Target { kind, name: name.to_owned(), offset: 0 }
}

fn policy(repeat: u32) -> Policy {
    let steps = vec![
        PolicyStep {
            delay_ms: 60_000,
            targets: vec![target(TargetKind::Schedule, "photos-primary")],
            round_robin: false,
        },
        PolicyStep {
            delay_ms: 120_000,
            targets: vec![target(TargetKind::Person, "raj"), target(TargetKind::Schedule, "photos-primary")],
            round_robin: false,
        },
    ];
    Policy { name: "photos".to_owned(), steps, repeat, deployer_first: None, ack_timeout_ms: None }
}

fn on_call(target: &Target) -> Answer {
    let people = match (target.kind, target.name.as_str()) {
        (TargetKind::Schedule, "photos-primary") => vec!["ana".to_owned()],
        (TargetKind::Schedule, _) => vec![],
        (TargetKind::Person, name) => vec![name.to_owned()],
        (TargetKind::Team, "web") => vec!["ana".to_owned(), "mei".to_owned()],
        (TargetKind::Team, _) => vec![],
    };
    Answer { people, shadows: vec![] }
}

fn tick(escalation: Escalation, ms: i64) -> (Escalation, Vec<Effect>) {
    step(escalation, &Input::Tick, Timestamp(ms), &mut on_call)
}

#[test]
fn pages_at_once_then_the_next_step_then_begins_again() {
    let page = |step, round, people: &[&str]| Effect::Page {
        step,
        round,
        people: people.iter().map(|p| (*p).to_owned()).collect(),
        shadows: vec![],
    };
    let e = Escalation::new(policy(1), Timestamp(0));
    let (e, effects) = tick(e, 0);
    assert_eq!(effects, [page(0, 0, &["ana"])]);
    let (e, effects) = tick(e, 59_999);
    assert_eq!((effects, e.next_at()), (vec![], Some(Timestamp(60_000))));
    let (e, effects) = tick(e, 60_000);
    assert_eq!(effects, [page(1, 0, &["raj", "ana"])]);
    // The server was down for an hour: one step, not a burst.
    let (e, effects) = tick(e, 3_600_000);
    assert_eq!(effects, [page(0, 1, &["ana"])]);
    let (e, effects) = tick(e, 3_660_000);
    assert_eq!(effects, [page(1, 1, &["raj", "ana"])]);
    let (e, effects) = tick(e, 3_780_000);
    assert_eq!((effects, &e.progress), (vec![Effect::Exhausted], &Progress::Exhausted));
    let (e, effects) = step(e, &Input::Acknowledged(None), Timestamp(4_000_000), &mut on_call);
    assert_eq!((effects, e.progress), (vec![], Progress::Acknowledged { expires: None }));
}

#[test]
fn an_acknowledgement_for_a_time_is_over_unless_it_is_given_again() {
    let until = |at, round| Input::Acknowledged(Some(Expiry { at: Timestamp(at), round }));
    let (e, _) = tick(Escalation::new(policy(0), Timestamp(0)), 0);
    let (e, effects) = step(e, &until(100_000, 1), Timestamp(10_000), &mut on_call);
    assert_eq!((effects, e.next_at(), e.expires_at()), (vec![], Some(Timestamp(100_000)), Some(Timestamp(100_000))));
    let (e, _) = step(e, &until(300_000, 1), Timestamp(90_000), &mut on_call);
    let (e, effects) = tick(e, 299_999);
    assert!(effects.is_empty(), "it was given again");
    let (e, effects) = tick(e, 300_000);
    assert_eq!(effects[0], Effect::Unacknowledged);
    assert!(matches!(&effects[1], Effect::Page { step: 0, round: 1, people, .. } if people == &["ana"]), "{effects:?}");
    // A policy without more rounds is gone through once more.
    let (e, effects) = tick(e, 360_000);
    assert!(matches!(effects[0], Effect::Page { step: 1, round: 1, .. }), "{effects:?}");
    let (e, effects) = tick(e, 480_000);
    assert_eq!((effects, &e.progress), (vec![Effect::Exhausted], &Progress::Exhausted));
    let (e, _) = step(e, &until(600_000, 2), Timestamp(500_000), &mut on_call);
    let (e, _) = step(e, &Input::Resolved, Timestamp(510_000), &mut on_call);
    assert_eq!(e.next_at(), None);
    let stored: Progress = serde_json::from_str(r#"{"state":"acknowledged"}"#).expect("as it was written before");
    assert_eq!(stored, Progress::Acknowledged { expires: None });
}

#[test]
fn the_next_step_is_asked_without_waiting() {
    let (e, _) = tick(Escalation::new(policy(0), Timestamp(0)), 0);
    assert_eq!(e.place_after(Some((0, 0))), (1, 0));
    let (e, effects) = step(e, &Input::Asked { step: 1, round: 0 }, Timestamp(5_000), &mut on_call);
    assert_eq!((effects, e.next_at()), (vec![], Some(Timestamp(5_000))));
    let (e, effects) = tick(e, 5_000);
    assert!(matches!(effects[..], [Effect::Page { step: 1, round: 0, .. }]), "{effects:?}");
    // Nothing is left of the only round.
    assert_eq!(e.place_after(Some((1, 0))), (0, 1));
    let (e, _) = step(e, &Input::Asked { step: 0, round: 1 }, Timestamp(6_000), &mut on_call);
    let (e, effects) = tick(e, 6_000);
    assert!(matches!(effects[..], [Effect::Page { step: 0, round: 1, .. }]), "{effects:?}");
    // Where the steps behind the last page had nobody, they are not asked in vain again and again.
    let gone = Escalation { progress: Progress::Exhausted, ..e.clone() };
    assert_eq!((gone.place_after(Some((0, 1))), gone.place_after(None)), ((0, 2), (0, 0)));
    // Whoever has it may ask too, and one that is over asks nobody.
    let (e, _) = step(e, &Input::Acknowledged(None), Timestamp(7_000), &mut on_call);
    assert_eq!(e.place_after(Some((0, 1))), (1, 1));
    let (e, _) = step(e, &Input::Asked { step: 1, round: 1 }, Timestamp(8_000), &mut on_call);
    let (e, effects) = tick(e, 8_000);
    assert!(matches!(effects[..], [Effect::Page { step: 1, round: 1, .. }]), "{effects:?}");
    let (e, _) = step(e, &Input::Resolved, Timestamp(9_000), &mut on_call);
    let (e, _) = step(e, &Input::Asked { step: 0, round: 2 }, Timestamp(9_500), &mut on_call);
    assert_eq!(e.progress, Progress::Resolved);
}

#[test]
fn one_person_is_asked_and_the_whole_policy_follows() {
    let to = |person: &str, round| Input::HandedTo { person: person.to_owned(), round };
    let (e, _) = tick(Escalation::new(policy(0), Timestamp(0)), 0);
    let (e, _) = step(e, &to("mei", 1), Timestamp(5_000), &mut on_call);
    let stored = serde_json::to_string(&e).expect("plain data");
    let (e, effects) = tick(serde_json::from_str(&stored).expect("plain data"), 5_000);
    assert!(
        matches!(&effects[..], [Effect::Page { step: 2, round: 1, people, .. }] if people == &["mei"]),
        "{effects:?}"
    );
    assert!(e.is_handed(2) && !e.is_handed(1));
    let (e, effects) = tick(e, 65_000);
    assert!(matches!(effects[..], [Effect::Page { step: 0, round: 2, .. }]), "{effects:?}");
    // An acknowledgement that comes before the page takes it back.
    let (e, _) = step(e, &to("mei", 3), Timestamp(66_000), &mut on_call);
    let (e, _) = step(e, &Input::Acknowledged(None), Timestamp(66_000), &mut on_call);
    let (e, effects) = tick(e, 66_000);
    assert_eq!((effects, e.handed_to), (vec![], None));
    // Who is not there any more is passed over.
    let (e, _) = step(Escalation::new(policy(0), Timestamp(0)), &to("gone", 0), Timestamp(0), &mut on_call);
    let mut gone = |target: &Target| if target.name == "gone" { Answer::default() } else { on_call(target) };
    let (_, effects) = step(e, &Input::Tick, Timestamp(0), &mut gone);
    assert_eq!(effects[0], Effect::Nobody { step: 2, round: 0 });
    assert!(matches!(effects[1], Effect::Page { step: 0, round: 1, .. }), "{effects:?}");
    // Without a policy nobody follows.
    let none = Policy { steps: vec![], ..policy(0) };
    let (e, _) = step(Escalation::new(none, Timestamp(0)), &to("mei", 0), Timestamp(0), &mut on_call);
    let (e, effects) = tick(e, 0);
    assert!(matches!(effects[..], [Effect::Page { step: 0, round: 0, .. }]), "{effects:?}");
    let (e, effects) = tick(e, 300_000);
    assert_eq!((effects, e.progress), (vec![Effect::Exhausted], Progress::Exhausted));
}

#[test]
fn how_long_an_acknowledgement_holds_has_limits() {
    for (ms, good) in [(60_000, true), (59_999, false), (7 * 86_400_000, true), (7 * 86_400_000 + 1, false)] {
        let policy = Policy { ack_timeout_ms: Some(ms), ..policy(0) };
        assert_eq!(policy.check().is_ok(), good, "{ms}");
    }
}

#[test]
fn a_step_with_nobody_is_passed_over_at_once() {
    let mut p = policy(0);
    p.steps[0].targets = vec![target(TargetKind::Schedule, "empty")];
    let (e, effects) = tick(Escalation::new(p.clone(), Timestamp(0)), 0);
    assert_eq!(effects[0], Effect::Nobody { step: 0, round: 0 });
    assert!(matches!(&effects[1], Effect::Page { step: 1, people, .. } if people == &["raj", "ana"]));
    assert_eq!(e.next_at(), Some(Timestamp(120_000)));
    p.steps[1].targets = p.steps[0].targets.clone();
    let (e, effects) = tick(Escalation::new(p, Timestamp(0)), 0);
    assert_eq!((effects.last(), e.progress), (Some(&Effect::Exhausted), Progress::Exhausted));
}

/// Whom the first step of the `turn`-th incident pages.
fn first_paged(policy: &Policy, turn: u64, nobody: &str) -> Vec<String> {
    let mut on_call = |target: &Target| {
        let people = if target.name == nobody { vec![] } else { vec![target.name.clone()] };
        Answer { people, shadows: vec![] }
    };
    let e = Escalation::new(policy.clone(), Timestamp(0)).in_turn(turn);
    let (_, effects) = step(e, &Input::Tick, Timestamp(0), &mut on_call);
    match &effects[0] {
        Effect::Page { people, .. } => people.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_in_turns_pages_one_target_and_goes_on_with_each_incident_and_round() {
    let mut p = policy(1);
    p.steps.truncate(1);
    p.steps[0].targets = ["ana", "raj", "mei"].map(Target::person).to_vec();
    p.steps[0].round_robin = true;
    let paged: Vec<String> = (0..4).flat_map(|turn| first_paged(&p, turn, "")).collect();
    assert_eq!(paged, ["ana", "raj", "mei", "ana"]);
    assert_eq!(first_paged(&p, 1, "raj"), ["mei"], "the next one that has somebody");
    let (e, _) = tick(Escalation::new(p, Timestamp(0)), 0);
    let (_, effects) = tick(e, 60_000);
    assert!(matches!(&effects[0], Effect::Page { round: 1, people, .. } if people == &["raj"]), "{effects:?}");
}

#[test]
fn the_deployer_is_asked_before_the_first_step() {
    let mut p = policy(0);
    assert_eq!(p.clone().led_by("mei"), p, "only when the policy says so");
    p.deployer_first = Some(DeployerFirst { within_ms: 600_000, delay_ms: 30_000 });
    let (e, effects) = tick(Escalation::new(p.led_by("mei"), Timestamp(0)), 0);
    assert!(matches!(&effects[0], Effect::Page { step: 0, people, .. } if people == &["mei"]));
    assert_eq!(e.next_at(), Some(Timestamp(30_000)));
    let (_, effects) = tick(e, 30_000);
    assert!(matches!(&effects[0], Effect::Page { step: 1, people, .. } if people == &["ana"]));
}

#[test]
fn shadows_get_a_copy_and_never_stand_alone() {
    let mut on_call = |target: &Target| match target.kind {
        TargetKind::Schedule => Answer { people: vec!["ana".into()], shadows: vec!["zoe".into(), "raj".into()] },
        TargetKind::Person | TargetKind::Team => Answer { people: vec![target.name.clone()], shadows: vec![] },
    };
    let e = Escalation::new(policy(0), Timestamp(0));
    let (e, effects) = step(e, &Input::Tick, Timestamp(0), &mut on_call);
    assert!(matches!(&effects[0], Effect::Page { shadows, .. } if shadows == &["zoe", "raj"]));
    let (_, effects) = step(e, &Input::Tick, Timestamp(60_000), &mut on_call);
    assert!(
        matches!(&effects[0], Effect::Page { people, shadows, .. } if people == &["raj", "ana"] && shadows == &["zoe"])
    );
    let mut alone = |_: &Target| Answer { people: vec![], shadows: vec!["zoe".into()] };
    let (_, effects) = step(Escalation::new(policy(0), Timestamp(0)), &Input::Tick, Timestamp(0), &mut alone);
    assert_eq!(effects[0], Effect::Nobody { step: 0, round: 0 });
}

#[test]
fn a_team_is_everybody_in_it_each_once_and_nobody_is_passed_over() {
    let mut p = policy(0);
    p.steps[0].targets = vec![target(TargetKind::Team, "gone")];
    p.steps[1].targets = vec![target(TargetKind::Schedule, "photos-primary"), target(TargetKind::Team, "web")];
    let (_, effects) = tick(Escalation::new(p, Timestamp(0)), 0);
    let people = vec!["ana".to_owned(), "mei".to_owned()];
    assert_eq!(
        effects,
        [Effect::Nobody { step: 0, round: 0 }, Effect::Page { step: 1, round: 0, people, shadows: vec![] }]
    );
    let written: Target = serde_json::from_str(r#"{"kind": "team", "name": "web"}"#).unwrap();
    assert_eq!(written, target(TargetKind::Team, "web"));
}

#[test]
fn a_page_to_a_team_goes_to_so_many_at_most() {
    let people = |n: usize| (0..n).map(|i| format!("p{i:03}")).collect::<Vec<_>>();
    let of = |n: usize| Teams::from([("web".to_owned(), people(n))]);
    assert!(paged_members(&of(3), "gone").is_empty());
    assert_eq!(paged_members(&of(3), "web"), people(3));
    assert_eq!(paged_members(&of(TEAM_MEMBERS_MAX), "web"), people(TEAM_MEMBERS_MAX));
    assert_eq!(paged_members(&of(TEAM_MEMBERS_MAX + 1), "web"), people(TEAM_MEMBERS_MAX), "the last is not paged");
}

#[test]
fn a_policy_is_checked() {
    assert_eq!(policy(0).check(), Ok(()));
    let mut p = policy(11);
    assert!(p.check().unwrap_err().contains("10"));
    p = policy(0);
    p.steps[0].targets[0].offset = 11;
    assert!(p.check().unwrap_err().contains("0 to 10"));
    p.steps[0].targets[0] = Target { offset: 1, ..Target::person("ana") };
    assert!(p.check().unwrap_err().contains("only for a schedule"));
    p.steps[0].targets[0] = Target { offset: 1, ..target(TargetKind::Team, "web") };
    assert!(p.check().unwrap_err().contains("only for a schedule"));
    p.steps[0].targets[0] = target(TargetKind::Team, "Web and photos");
    assert_eq!(p.check(), Ok(()));
    p.steps[0].targets[0] = target(TargetKind::Team, "");
    assert!(p.check().unwrap_err().contains("the name of a team"));
    p = policy(0);
    p.deployer_first = Some(DeployerFirst { within_ms: 0, delay_ms: 30_000 });
    assert!(p.check().unwrap_err().contains("within_ms"));
    p = policy(0);
    p.steps[1].delay_ms = 0;
    assert!(p.check().unwrap_err().contains("step 2"));
    p = policy(0);
    p.steps[0].targets.clear();
    assert!(p.check().unwrap_err().contains("targets"));
    p.steps.clear();
    assert!(p.check().unwrap_err().contains("steps"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the order of inputs and the gaps between them: no step of a round is paged twice, steps come in order
    /// and not before their time unless somebody asks, nothing is paged while somebody has it or after the end, what somebody had for a time
    /// begins again at once, and the state survives being written and read.
    #[test]
    fn pages_once_in_order_and_never_after_the_end(
        repeat in 0_u32..3,
        inputs in prop::collection::vec((0_i64..100_000, 0_u8..20), 0..60),
    ) {
        let mut e = Escalation::new(policy(repeat), Timestamp(0));
        let mut now = 0;
        let mut last: Option<(u32, usize, i64)> = None;
        let mut asked = false;
        for (gap, kind) in inputs {
            now += gap;
            let next_round = last.map_or(0, |(round, ..)| round + 1);
            let input = match kind {
                0 => Input::Acknowledged(None),
                1 => Input::Resolved,
                2 => Input::Acknowledged(Some(Expiry { at: Timestamp(now + 50_000), round: next_round })),
                3 => {
                    let (step, round) = e.place_after(last.map(|(round, step, _)| (step, round)));
                    Input::Asked { step, round }
                }
                4 => Input::HandedTo { person: "mei".to_owned(), round: next_round },
                _ => Input::Tick,
            };
            e = serde_json::from_str(&serde_json::to_string(&e).expect("plain data")).expect("plain data");
            let held = e.expires_at().map_or(matches!(e.progress, Progress::Acknowledged { .. }), |at| at.0 > now);
            let over = held || e.progress == Progress::Resolved || input != Input::Tick;
            let (next, effects) = step(e, &input, Timestamp(now), &mut on_call);
            e = next;
            asked |= matches!(input, Input::Asked { .. } | Input::HandedTo { .. });
            let again = effects.contains(&Effect::Unacknowledged);
            for effect in effects {
                prop_assert!(!over, "{effect:?} while nobody is waited for");
                if let Effect::Page { step, round, .. } = effect {
                    if let Some((r, s, paged_at)) = last {
                        prop_assert!((round, step) > (r, s));
                        // Whoever it was handed to has as long as the first step.
                        let of = if e.is_handed(s) { 0 } else { s };
                        prop_assert!(again || asked || now - paged_at >= e.policy.steps[of].delay_ms);
                    }
                    asked = false;
                    last = Some((round, step, now));
                }
            }
            if input == Input::Resolved {
                prop_assert_eq!(e.next_at(), None);
            }
        }
    }
}
