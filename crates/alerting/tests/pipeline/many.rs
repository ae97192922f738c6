//! A group of many alerts that end together.

use tenfold_alerting::Fingerprint;
use tenfold_alerting::pipeline::Input;

use crate::{House, WAITING, ends, fires, notifications};

const ALERTS: usize = 10_000;
/// One of so many goes on.
const GOES_ON: usize = 100;

fn together(all: impl Iterator<Item = Input>) -> Input {
    let list = |input: Input| match input {
        Input::Alerts(list) => list,
        Input::Tick => Vec::new(),
    };
    Input::Alerts(all.flat_map(list).collect())
}

fn name(n: usize) -> String {
    format!("alertname=A{n} service=web")
}

#[test]
fn of_many_that_end_together_each_is_told_once_and_the_others_stay() {
    let mut house = House::new(WAITING);
    house.give(0, together((0..ALERTS).map(|n| fires(&name(n), 0))));
    house.ticks([30]);
    let goes_on = |n: &usize| n.is_multiple_of(GOES_ON);
    house.mute("alertname=A1", 35, 10_000);
    house.give(40, together((0..ALERTS).filter(|n| !goes_on(n)).map(|n| ends(&name(n), 40))));
    house.ticks([330]);
    assert_eq!(house.told(), ["30 r First 10000/0", "330 r Shrunk 100/9900"]);
    let told = notifications(&house.effects);
    let (all, last) = (&told[0].firing, told[1]);
    let ended: Vec<Fingerprint> = last.ended.iter().map(|e| e.fingerprint).collect();
    assert!(ended.is_sorted_by(|a, b| a < b), "each once, in the order of the group");
    let mut both: Vec<Fingerprint> = ended.into_iter().chain(last.firing.iter().copied()).collect();
    both.sort_unstable();
    assert_eq!(both, *all);
    let group = house.state.groups.values().next().expect("it goes on");
    assert_eq!((group.alerts.len(), group.verdicts.len(), house.state.alerts.len()), (100, 100, 100));
    assert!(last.firing.iter().all(|fingerprint| group.alerts.contains(fingerprint)));

    house.give(340, together((0..ALERTS).filter(goes_on).map(|n| ends(&name(n), 340))));
    house.ticks([630]);
    assert_eq!(house.told()[2..], ["630 r Over 0/100"]);
    assert!(house.state.groups.is_empty() && house.state.alerts.is_empty());
}
