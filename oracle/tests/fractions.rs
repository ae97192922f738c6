//! Shares with a fraction, asked of yggdrasil with the very features that SDKs are sent: the same people as with us, and
//! whoever was in stays in while the share grows.

use serde_json::{Value, json};
use tenfold_flags::{Context, Flag, FlagEnvironment, Moment, Share};
use tenfold_oracle::ask;
use unleash_yggdrasil::{Context as TheirContext, EngineState};

const PEOPLE: usize = 100_000;

fn wire(share: Share) -> Value {
    let mut flag = Flag::new("checkout");
    flag.environments.insert("production".into(), FlagEnvironment::with_share("checkout", share));
    let features: Vec<_> = flag.features("production").collect();
    json!({"version": 2, "features": features, "segments": []})
}

fn is_on(engine: &EngineState, user: &str) -> bool {
    let context = TheirContext { user_id: Some(user.into()), ..TheirContext::default() };
    engine.is_enabled("checkout", &context, &None)
}

#[test]
fn the_same_people_in_both_and_nobody_falls_out() {
    let shares = [0, 1, 10, 25, 50, 99, 100, 125, 250, 500, 1_234, 5_000, 9_950, 10_000];
    let mut was_on = vec![false; PEOPLE];
    for hundredths in shares {
        let share = Share::hundredths(hundredths).unwrap();
        let document = wire(share);
        let text = document.to_string();
        assert!(
            !text.contains(&format!("\"rollout\":\"{share}\"")) || !share.has_fraction(),
            "{share} went out as it is"
        );
        let (snapshot, engine) = (ask::snapshot(&document), ask::engine(&document));
        let mut count = 0;
        for (i, was_on) in was_on.iter_mut().enumerate() {
            let user = format!("person-{i}");
            let theirs = is_on(&engine, &user);
            let context = Context::new().with("userId", user.as_str());
            let ours = snapshot.evaluate("checkout", &context, Moment::default()).unwrap().enabled;
            assert_eq!(ours, theirs, "{user} at {share} %");
            assert!(theirs || !*was_on, "{user} fell out at {share} %");
            *was_on = theirs;
            count += u32::from(theirs);
        }
        let wanted = share.as_percent() / 100.0 * PEOPLE as f64;
        let slack = 5.0 * (wanted * (1.0 - share.as_percent() / 100.0)).sqrt();
        println!("{share:>5} %: {count} of {PEOPLE}, wanted {wanted:.0} +- {slack:.0}");
        assert!((f64::from(count) - wanted).abs() <= slack);
    }
}

/// Two groups are two independent draws: of the first percent, a quarter is in at 0.25 %.
#[test]
fn chance_without_an_id_keeps_to_the_share() {
    let engine = ask::engine(&wire(Share::hundredths(50).unwrap()));
    let context = TheirContext::default();
    let on = (0..PEOPLE).filter(|_| engine.is_enabled("checkout", &context, &None)).count();
    assert!((380..620).contains(&on), "{on} of {PEOPLE} at 0.5 %");
}
