//! What is said again of an alert that fires.

use tenfold_alerting::pipeline::{Effect, Flush, Input};
use tenfold_types::Timestamp;

use crate::{House, ends, fires};

const TOLD: &str = "
route: {receiver: r, group_wait: 0s, group_interval: 10s, repeat_interval: 1h}
receivers: [{name: r, webhook_configs: [{url: 'http://sink.example/a'}]}]
";

fn from(input: Input, url: Option<&str>) -> Input {
    let Input::Alerts(mut list) = input else { return Input::Tick };
    for incoming in &mut list {
        incoming.generator_url = url.map(str::to_owned);
    }
    Input::Alerts(list)
}

#[test]
fn the_address_that_was_said_last_is_told_and_no_word_of_it_takes_none_away() {
    let mut house = House::new(TOLD);
    house.give(0, from(fires("alertname=A", 0), Some("http://old.example/")));
    house.give(5, from(fires("alertname=A", 0), Some("http://new.example/")));
    house.give(6, from(ends("alertname=A", 6), None));
    house.ticks([10]);
    let flushes = house.effects.iter().filter_map(|planned| match &planned.effect {
        Effect::Flush(Flush { alerts, .. }) => Some(alerts),
        _ => None,
    });
    let told: Vec<(Option<Timestamp>, &str)> =
        flushes.flatten().map(|one| (one.known.over(), one.known.generator_url.as_deref().unwrap_or(""))).collect();
    assert_eq!(told, [(None, "http://old.example/"), (Some(crate::at(6)), "http://new.example/")]);
}
