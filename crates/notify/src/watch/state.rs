//! What a watcher knows and whom it owes a message. No clock and no network in here.

use serde::{Deserialize, Serialize};
use tenfold_app::alerts::{Notice, NotifyError};
use tenfold_types::{Timestamp, format_duration_ms};

use super::settings::Receiver;

/// A message that was not taken is tried again after this, and after twice as long each time.
const AGAIN_MS: i64 = 15_000;
const AGAIN_MAX_MS: i64 = 600_000;

/// When people are told, and in whose name.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub misses: u32,
    pub repeat_ms: i64,
    pub every_ms: i64,
    pub name: String,
    /// The address that messages lead to.
    pub link: String,
}

/// The server is away, and people were told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Away {
    since: Timestamp,
    told_at: Timestamp,
    /// How often.
    times: u32,
}

/// A message that a receiver has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owed {
    pub to: Receiver,
    /// The same key is the same message, also after a kill.
    pub key: String,
    subject: String,
    text: String,
    severity: String,
    thread: String,
    at: Timestamp,
    next_at: Timestamp,
    tries: u32,
}

impl Owed {
    pub(super) fn notice(&self, rules: &Rules) -> Notice {
        Notice {
            subject: self.subject.clone(),
            text: self.text.clone(),
            link: rules.link.clone(),
            thread: self.thread.clone(),
            incident: 0,
            service: None,
            environment: None,
            severity: self.severity.clone(),
            at: self.at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct WatchState {
    misses: u32,
    /// When the first of them was.
    missed_since: Option<Timestamp>,
    away: Option<Away>,
    owed: Vec<Owed>,
}

/// What is told.
struct Message {
    key: String,
    subject: String,
    text: String,
    severity: &'static str,
}

impl WatchState {
    pub(super) const fn misses(&self) -> u32 {
        self.misses
    }

    /// After a start: misses from before it say nothing of now, and who is not told any more is owed nothing.
    pub(super) fn resume(&mut self, receivers: &[Receiver]) {
        self.misses = 0;
        self.missed_since = None;
        self.owed.retain(|owed| receivers.contains(&owed.to));
    }

    /// Takes the outcome of a look: why the server was missed, or nothing.
    pub(super) fn step(&mut self, rules: &Rules, missed: Option<&str>, receivers: &[Receiver], now: Timestamp) {
        let Some(why) = missed else {
            self.misses = 0;
            self.missed_since = None;
            if let Some(away) = self.away.take() {
                self.owe(&well(rules, &away, now), away.since, receivers, now);
            }
            return;
        };
        self.misses = self.misses.saturating_add(1);
        let since = *self.missed_since.get_or_insert(now);
        match &mut self.away {
            None if self.misses < rules.misses => {}
            None => {
                let away = Away { since, told_at: now, times: 1 };
                let message = down(rules, &away, why, now);
                self.away = Some(away);
                self.owe(&message, since, receivers, now);
            }
            // A clock that was put back must not keep it quiet.
            Some(away) if (0..rules.repeat_ms).contains(&now.since_ms(away.told_at)) => {}
            Some(away) => {
                (away.told_at, away.times) = (now, away.times.saturating_add(1));
                let (message, since) = (down(rules, away, why, now), away.since);
                self.owe(&message, since, receivers, now);
            }
        }
    }

    /// The newest message is what a receiver is owed; what it has not taken before it is out of date.
    fn owe(&mut self, message: &Message, since: Timestamp, receivers: &[Receiver], now: Timestamp) {
        self.owed = receivers
            .iter()
            .enumerate()
            .map(|(n, to)| Owed {
                to: to.clone(),
                key: format!("{}-{n}", message.key),
                subject: message.subject.clone(),
                text: message.text.clone(),
                severity: message.severity.to_owned(),
                thread: format!("watch-{}", since.millis()),
                at: now,
                next_at: now,
                tries: 0,
            })
            .collect();
    }

    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = &Owed> {
        // However a clock was moved, nothing waits for longer than it would have.
        self.owed.iter().filter(move |o| o.next_at <= now || o.next_at.since_ms(now) > AGAIN_MAX_MS)
    }

    /// What became of a message. What was refused for good is owed no more: the next one may be taken.
    pub(super) fn sent(&mut self, key: &str, error: Option<&NotifyError>, now: Timestamp) {
        let Some(error) = error.filter(|e| !e.permanent) else {
            self.owed.retain(|owed| owed.key != key);
            return;
        };
        for owed in self.owed.iter_mut().filter(|owed| owed.key == key) {
            let wait = AGAIN_MS.saturating_mul(1 << owed.tries.min(10)).min(AGAIN_MAX_MS);
            owed.next_at = now.plus_ms(error.retry_after_ms.unwrap_or(wait).clamp(0, AGAIN_MAX_MS));
            owed.tries = owed.tries.saturating_add(1);
        }
    }
}

fn down(rules: &Rules, away: &Away, why: &str, now: Timestamp) -> Message {
    let Rules { name, repeat_ms, every_ms, .. } = rules;
    let still = if away.times > 1 { " still" } else { "" };
    let lasts = format_duration_ms(now.since_ms(away.since).max(0));
    let text = format!(
        "{why}\n\nMissed since {} ({lasts}), at each look, every {}.\nWhile the server is away nobody is paged for anything \
         else. This is told again every {} until it is well.\n",
        away.since,
        format_duration_ms(*every_ms),
        format_duration_ms(*repeat_ms),
    );
    Message {
        key: format!("watch-{}-{}", away.since.millis(), away.times),
        subject: format!("[critical] {name}: the tenfold server is{still} not well"),
        text,
        severity: "critical",
    }
}

fn well(rules: &Rules, away: &Away, now: Timestamp) -> Message {
    let lasted = format_duration_ms(now.since_ms(away.since).max(0));
    Message {
        key: format!("watch-{}-well", away.since.millis()),
        subject: format!("[ok] {}: the tenfold server is well again", rules.name),
        text: format!("It was missed from {} to {now}, for {lasted}.\n", away.since),
        severity: "info",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenfold_app::alerts::Channel;

    const MINUTE: i64 = 60_000;

    fn rules() -> Rules {
        Rules { misses: 3, repeat_ms: 30 * MINUTE, every_ms: MINUTE, name: "watch".into(), link: "http://a".into() }
    }

    fn receivers() -> Vec<Receiver> {
        let to = |channel, to: &str| Receiver { channel, to: to.to_owned() };
        vec![to(Channel::Mail, "ana@example.org"), to(Channel::Sms, "+4930123456")]
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp(1_800_000_000_000 + minute * MINUTE)
    }

    /// Looks once a minute, each message taken at once; subjects to the first receiver by minute.
    fn play(looks: &[bool]) -> Vec<(usize, String)> {
        let (rules, receivers, mut state) = (rules(), receivers(), WatchState::default());
        let mut told = Vec::new();
        for (minute, well) in looks.iter().enumerate() {
            let now = at(i64::try_from(minute).unwrap());
            state.step(&rules, (!well).then_some("away"), &receivers, now);
            let due: Vec<Owed> = state.due(now).cloned().collect();
            for owed in due {
                if owed.to.channel == Channel::Mail {
                    told.push((minute, owed.subject.clone()));
                }
                state.sent(&owed.key, None, now);
            }
        }
        told
    }

    #[test]
    fn it_is_told_after_so_many_misses_again_and_once_when_it_is_well() {
        let mut looks = vec![true, false, false, true, false, false, false];
        looks.extend([false; 31]);
        looks.extend([true, true, true]);
        let told = play(&looks);
        let said: Vec<(usize, &str)> = told.iter().map(|(m, s)| (*m, s.as_str())).collect();
        assert_eq!(
            said,
            [
                (6, "[critical] watch: the tenfold server is not well"),
                (36, "[critical] watch: the tenfold server is still not well"),
                (38, "[ok] watch: the tenfold server is well again"),
            ]
        );
    }

    #[test]
    fn what_is_not_taken_is_owed_until_it_is_or_something_newer_is() {
        let (rules, receivers, mut state) = (rules(), receivers(), WatchState::default());
        for minute in 0..3 {
            state.step(&rules, Some("away"), &receivers, at(minute));
        }
        let keys: Vec<String> = state.due(at(2)).map(|o| o.key.clone()).collect();
        assert_eq!(keys.len(), 2);
        let error = |permanent, retry_after_ms| NotifyError {
            permanent,
            too_large: false,
            retry_after_ms,
            message: "no".to_owned(),
        };
        state.sent(&keys[0], Some(&error(false, None)), at(2));
        state.sent(&keys[1], Some(&error(false, Some(5 * MINUTE))), at(2));
        // Killed and started again, the same messages are owed.
        let text = serde_json::to_string(&state).unwrap();
        let mut state: WatchState = serde_json::from_str(&text).unwrap();
        state.resume(&receivers);
        assert_eq!(state.due(at(3)).map(|o| o.key.as_str()).collect::<Vec<_>>(), [keys[0].as_str()]);
        assert_eq!(state.due(at(7)).count(), 2);
        state.step(&rules, Some("away"), &receivers, at(3));
        assert_eq!(state.due(at(7)).count(), 2, "nobody is told anew before it is time");
        state.step(&rules, None, &receivers, at(4));
        let owed: Vec<&Owed> = state.due(at(4)).collect();
        assert!(owed.len() == 2 && owed.iter().all(|o| o.subject.starts_with("[ok]")), "what is over is over");
        let key = owed[0].key.clone();
        state.sent(&key, Some(&error(true, None)), at(4));
        assert_eq!(state.due(at(4)).count(), 1, "refused for good");
        state.resume(&receivers[..1]);
        assert_eq!(state.due(at(4)).count(), 0, "who is told no more is owed nothing");
    }
}
