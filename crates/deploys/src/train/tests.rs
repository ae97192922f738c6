//! The words of the train, and a walk through every state it can come to.

use std::collections::{HashSet, VecDeque};

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn person(name: &str) -> Person {
    Person { login: name.to_owned(), name: name.to_owned() }
}

fn says(train: &mut Option<Train>, name: &str, input: Input) -> Result<Option<Fact>, String> {
    let (next, fact) = step(train.as_ref(), &person(name), input, NOW)?;
    *train = next;
    Ok(fact)
}

fn boarded(names: &[&str]) -> Option<Train> {
    let mut train = None;
    for name in names {
        says(&mut train, name, Input::Join).unwrap();
    }
    train
}

fn out(names: &[&str]) -> Option<Train> {
    boarded(names).unwrap().deploy_began(7, NOW).deploy_ended(7, true, NOW)
}

fn uh_oh() -> Input {
    Input::UhOh { why: "errors".into() }
}
fn hold() -> Input {
    Input::Hold { why: "lunch".into() }
}

#[test]
fn everybody_looks_before_it_is_done() {
    let mut train = out(&["ana", "raj"]);
    let early = says(&mut train, "ana", Input::Good { declared: true }).unwrap_err();
    assert!(early.contains("look at the graphs first"), "{early}");
    says(&mut train, "ana", Input::Shown).unwrap();
    let said = says(&mut train, "ana", Input::Good { declared: true }).unwrap();
    assert_eq!(said, Some(Fact::Good { missing: vec!["raj".into()] }));
    assert!(says(&mut train, "ana", Input::Done).unwrap_err().contains("raj did not say good yet"));
    assert!(train.as_ref().unwrap().in_the_way("mei").unwrap().contains("raj"));
    says(&mut train, "raj", Input::Good { declared: false }).unwrap();
    assert_eq!(train.as_ref().unwrap().in_the_way("mei"), None);
    assert_eq!(says(&mut train, "raj", Input::Done).unwrap(), Some(Fact::Done));
    assert_eq!(train, None);
}

#[test]
fn what_is_taken_back_ends_the_trouble_and_everybody_boards_again() {
    let mut train = out(&["ana", "raj"]);
    says(&mut train, "mei", Input::Join).unwrap();
    says(&mut train, "ana", Input::Good { declared: false }).unwrap();
    says(&mut train, "raj", uh_oh()).unwrap();
    assert!(says(&mut train, "ana", Input::Done).unwrap_err().contains("roll back first"));
    let train = train.unwrap();
    assert_eq!(train.taken_back(6, NOW).as_ref(), Some(&train), "another deploy");
    let back = train.taken_back(7, NOW).unwrap();
    assert_eq!((back.phase, back.deploy, &back.trouble), (Phase::Boarding, None, &None));
    assert_eq!(back.missing(), ["ana", "raj", "mei"], "with whoever waits for the next");
    assert_eq!(back.in_the_way("raj"), None, "the fix may go out");
    assert_eq!(back.taken_back(7, NOW), Some(back), "once");
}

#[test]
fn graphs_that_were_shown_before_the_deploy_do_not_count() {
    let mut train = boarded(&["ana"]);
    says(&mut train, "ana", Input::Shown).unwrap();
    let mut train = Some(train.unwrap().deploy_began(7, NOW));
    says(&mut train, "ana", Input::Shown).unwrap();
    let mut train = train.unwrap().deploy_ended(7, true, NOW);
    says(&mut train, "ana", Input::Good { declared: true }).unwrap_err();
    says(&mut train, "ana", Input::Shown).unwrap();
    says(&mut train, "ana", Input::Good { declared: true }).unwrap();
}

#[test]
fn who_joins_late_takes_the_next() {
    let mut train = Some(boarded(&["ana"]).unwrap().deploy_began(7, NOW));
    assert_eq!(says(&mut train, "raj", Input::Join).unwrap(), Some(Fact::Joined { waits: true }));
    assert!(says(&mut train, "raj", Input::Join).unwrap_err().contains("already"));
    let mut train = train.unwrap().deploy_ended(7, true, NOW);
    assert!(says(&mut train, "raj", Input::Good { declared: false }).unwrap_err().contains("not on the train"));
    says(&mut train, "ana", Input::Good { declared: false }).unwrap();
    says(&mut train, "ana", Input::Done).unwrap();
    let next = train.unwrap();
    assert_eq!((next.phase, next.driver(), next.deploy), (Phase::Boarding, "raj", None));
}

#[test]
fn trouble_and_hold_stop_whoever_it_is() {
    let mut train = out(&["ana", "raj"]);
    for name in ["ana", "raj"] {
        says(&mut train, name, Input::Good { declared: false }).unwrap();
    }
    says(&mut train, "mei", uh_oh()).unwrap();
    assert!(says(&mut train, "ana", Input::Done).unwrap_err().contains("mei said uh-oh: errors"));
    assert!(train.as_ref().unwrap().in_the_way("ana").is_some());
    assert!(says(&mut train, "raj", Input::Clear).unwrap_err().contains("ana who drives"));
    says(&mut train, "ana", Input::Clear).unwrap();
    says(&mut train, "raj", hold()).unwrap();
    assert!(train.as_ref().unwrap().in_the_way("raj").unwrap().contains("raj holds the train: lunch"));
    says(&mut train, "ana", Input::Unhold).unwrap();
    says(&mut train, "ana", Input::Done).unwrap();
}

#[test]
fn the_next_deploy_ends_a_train_that_is_good() {
    let mut train = out(&["ana"]);
    says(&mut train, "raj", Input::Join).unwrap();
    says(&mut train, "ana", Input::Good { declared: false }).unwrap();
    let next = train.unwrap().deploy_began(8, NOW);
    assert_eq!((next.driver(), next.members.len(), next.waiting.len()), ("raj", 1, 0));
}

#[test]
fn a_deploy_that_did_not_go_out_puts_everybody_back() {
    let mut train = Some(boarded(&["ana"]).unwrap().deploy_began(7, NOW));
    says(&mut train, "raj", Input::Join).unwrap();
    let other = train.as_ref().unwrap().deploy_ended(6, true, NOW).unwrap();
    assert_eq!(other.phase, Phase::Rolling, "another deploy's end is none of it");
    let back = train.unwrap().deploy_ended(7, false, NOW).unwrap();
    assert_eq!((back.phase, back.members.len(), back.waiting.len()), (Phase::Boarding, 2, 0));
    assert!(back.is_idle(NOW.plus_ms(IDLE_MS_MAX)) && !back.is_idle(NOW.plus_ms(IDLE_MS_MAX - 1)));
}

/// Every state that two people can bring about, by every word: none is without a way to an empty track, by words of people
/// and the end of a deploy alone, and what is refused changes nothing.
#[test]
fn every_state_has_an_exit() {
    let people = ["ana", "raj"];
    let words = || {
        [Input::Join, Input::Leave, Input::Shown, Input::Good { declared: true }, Input::Good { declared: false }]
            .into_iter()
            .chain([uh_oh(), Input::Clear, hold(), Input::Unhold, Input::Done])
    };
    let nexts = |train: &Option<Train>| {
        let mut found = Vec::new();
        for name in people {
            for word in words() {
                if let Ok((next, _)) = step(train.as_ref(), &person(name), word, NOW) {
                    found.push(next);
                }
            }
        }
        if let Some(train) = train {
            if train.phase != Phase::Rolling {
                found.push(Some(train.deploy_began(7, NOW)));
            }
            found.push(train.deploy_ended(7, true, NOW));
            found.push(train.deploy_ended(7, false, NOW));
            found.push(train.taken_back(7, NOW));
        }
        found
    };
    let key = |train: &Option<Train>| serde_json::to_string(train).unwrap();
    let mut all = vec![None];
    let mut edges: Vec<Vec<usize>> = Vec::new();
    let mut index = std::collections::HashMap::from([(key(&None), 0)]);
    let mut queue = VecDeque::from([0]);
    while let Some(at) = queue.pop_front() {
        let mut to = Vec::new();
        for next in nexts(&all[at].clone()) {
            let here = *index.entry(key(&next)).or_insert_with(|| {
                all.push(next);
                queue.push_back(all.len() - 1);
                all.len() - 1
            });
            to.push(here);
        }
        if edges.len() <= at {
            edges.resize(at + 1, Vec::new());
        }
        edges[at] = to;
    }
    assert!(all.len() > 500, "{} states", all.len());
    let mut back: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    for (from, to) in edges.iter().enumerate() {
        for to in to {
            back[*to].push(from);
        }
    }
    let mut ends = HashSet::from([0]);
    let mut queue = VecDeque::from([0]);
    while let Some(at) = queue.pop_front() {
        for from in &back[at] {
            if ends.insert(*from) {
                queue.push_back(*from);
            }
        }
    }
    let stuck = (0..all.len()).find(|i| !ends.contains(i)).map(|i| &all[i]);
    assert_eq!(stuck, None, "there is no way out of it");
}
