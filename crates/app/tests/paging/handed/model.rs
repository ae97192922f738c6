//! What senders and the webhook may rely on. It hears every line of every life, and is shown the store between two lives.
//!
//! What was asked and not answered may or may not be so, until the store says it. What was answered has to be so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tenfold_types::Event;

use super::truth::Truth;
use super::words::{Ask, Kept, Line, Sender, WORDS_MAX, Word, is_firing, name, number};

/// An alert, as far as it is known from outside.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub sender: Sender,
    /// So many of its words are in the record.
    heard: u32,
    /// What the webhook was told last.
    told: Option<bool>,
    /// It is stored that the webhook was told that it fires, and that is what it was told last.
    stored: bool,
}

/// A request that nobody can read.
#[derive(Debug, Clone, Copy, Default)]
struct Nonsense {
    answered: bool,
    /// Somebody asked for it to be forgotten.
    forgotten: bool,
}

#[derive(Debug, Default)]
pub struct Counts {
    pub kills: u64,
    asked: u64,
    answered: u64,
    /// Words of which the record tells.
    heard: u64,
    /// Messages that the webhook has.
    pub told: u64,
    /// Of requests that waited when the process died: all, those that were put off, and those that were held behind one.
    waited: u64,
    pub put_off: u64,
    pub held: u64,
    /// Requests that were kept aside then.
    pub aside: u64,
    /// Alerts that are not as the webhook was told last: it was told just before a kill, which nobody could store.
    apart: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.asked += other.asked;
        self.answered += other.answered;
        self.heard += other.heard;
        self.told += other.told;
        self.waited += other.waited;
        self.put_off += other.put_off;
        self.held += other.held;
        self.aside += other.aside;
        self.apart += other.apart;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, asked, answered, heard, told, waited, put_off, held, aside, apart } = self;
        write!(
            f,
            "{kills} kills: {asked} asked, {answered} answered, {heard} words heard, {told} messages taken; {waited} requests \
             waited at a kill ({put_off} of them put off, {held} held), {aside} were kept aside; 0 lost, 0 out of order, 0 \
             told again; {apart} alerts not as they were told just before a kill"
        )
    }
}

pub struct Model {
    pub now_ms: i64,
    /// By their numbers.
    pub alerts: Vec<Known>,
    /// Those that the store refuses to write, and until when.
    pub broken: BTreeMap<u64, i64>,
    nonsense: BTreeMap<u64, Nonsense>,
    /// The number of the next of them.
    pub nonsense_next: u64,
    /// Nobody says anything new in this life, and the webhook takes what comes.
    pub resting: bool,
    /// The last event that was looked at.
    pub seq: i64,
    pub counts: Counts,
}

impl Model {
    pub fn new(now_ms: i64) -> Self {
        Self {
            now_ms,
            alerts: Vec::new(),
            broken: BTreeMap::new(),
            nonsense: BTreeMap::new(),
            nonsense_next: 0,
            resting: false,
            seq: 0,
            counts: Counts::default(),
        }
    }

    pub fn senders(&self) -> Vec<Sender> {
        self.alerts.iter().map(|known| known.sender).collect()
    }

    fn alert(&mut self, alert: u64) -> &mut Known {
        let at = alert as usize;
        if at >= self.alerts.len() {
            self.alerts.resize(at + 1, Known::default());
        }
        &mut self.alerts[at]
    }

    /// A life says something. An error says what it must never have said.
    pub fn hear(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Clock(at_ms) => self.now_ms = self.now_ms.max(at_ms),
            Line::Breaks(alert, until_ms) => {
                self.alert(alert);
                self.broken.insert(alert, until_ms);
            }
            Line::Mended(alert) => {
                self.broken.remove(&alert);
            }
            Line::Asks(what) => self.asked(what),
            Line::Answered(what) => self.answered(what),
            Line::Refused(what, why) if self.resting => return Err(format!("{what:?} in a life that rests: {why}")),
            Line::TickEnds(Some(fault)) if self.resting => return Err(format!("what is due cannot be done: {fault}")),
            Line::Refused(..) | Line::TickEnds(_) | Line::Rested => {}
            Line::Told { alert, fires } => self.told(alert, fires)?,
            Line::Knows(known) => self.knows(&known)?,
        }
        Ok(())
    }

    fn asked(&mut self, what: Ask) {
        self.counts.asked += 1;
        match what {
            Ask::Say { words, .. } => {
                for word in words {
                    self.alert(word.alert).sender.asked = word.number;
                }
            }
            Ask::Nonsense(number) => {
                self.nonsense.insert(number, Nonsense::default());
                self.nonsense_next = number + 1;
            }
            Ask::Forget => {
                for one in self.nonsense.values_mut() {
                    one.forgotten = true;
                }
            }
            Ask::Again => {}
        }
    }

    fn answered(&mut self, what: Ask) {
        self.counts.answered += 1;
        match what {
            Ask::Say { words, .. } => {
                for word in words {
                    self.alert(word.alert).sender.answered = word.number;
                }
            }
            Ask::Nonsense(number) => {
                if let Some(one) = self.nonsense.get_mut(&number) {
                    one.answered = true;
                }
            }
            Ask::Forget | Ask::Again => {}
        }
    }

    fn told(&mut self, alert: u64, fires: bool) -> Result<(), String> {
        self.counts.told += 1;
        let known = self.alert(alert);
        if known.sender.asked == 0 {
            return Err(format!("nobody spoke of {}, and the webhook is told of it", name(alert)));
        }
        // What fires again while its end is owed is told once more: that end was perhaps taken, and the answer was lost.
        let end_was_said = known.sender.asked > 1;
        if fires && known.stored && !end_was_said {
            return Err(format!("told again: the webhook knows that {} fires, as is stored: {known:?}", name(alert)));
        }
        known.told = Some(fires);
        known.stored &= fires;
        Ok(())
    }

    /// These are stored as told, and nothing is under way.
    fn knows(&mut self, stored: &BTreeSet<u64>) -> Result<(), String> {
        for (alert, known) in (0..).zip(&mut self.alerts) {
            let is_stored = stored.contains(&alert);
            if is_stored && known.told.is_none() {
                return Err(format!("lost: the webhook counts as told of {}, and was told nothing", name(alert)));
            }
            if known.stored && !is_stored {
                return Err(format!("lost: nobody told the webhook that {} is over: {known:?}", name(alert)));
            }
            known.stored = is_stored && known.told == Some(true);
        }
        Ok(())
    }

    /// Its process is gone. Compares all that was promised with the store.
    pub fn settle(&mut self, truth: &Truth) -> Result<(), String> {
        for event in &truth.events {
            self.read(event)?;
        }
        self.settle_words(truth)?;
        self.settle_nonsense(truth)?;
        for (alert, known) in (0..).zip(&self.alerts) {
            let wanted = (known.heard > 0).then(|| if is_firing(known.heard) { "firing" } else { "resolved" });
            let state = truth.states.get(&alert).map(String::as_str);
            if state != wanted {
                return Err(format!("{} should be {wanted:?} and is {state:?}: {known:?}", name(alert)));
            }
        }
        self.knows(&truth.known)?;
        self.counts.waited += truth.waiting.len() as u64;
        self.counts.put_off += truth.waiting.iter().filter(|row| row.tries > 0).count() as u64;
        self.counts.held +=
            truth.waiting.iter().filter(|row| row.tries == 0 && row.next_at.millis() > 0).count() as u64;
        self.counts.aside += truth.refused.len() as u64;
        Ok(())
    }

    /// The record tells of each word once, and in the order in which they were said.
    fn read(&mut self, event: &Event) -> Result<(), String> {
        self.seq = event.seq;
        let fires = match event.kind.as_str() {
            "alert.fired" => true,
            "alert.resolved" => false,
            "alert.unknown" | "alert.expired" => return Err(format!("nobody fell silent: {event:?}")),
            _ => return Ok(()),
        };
        let alert = event.data["labels"]["alertname"].as_str().and_then(number);
        let alert = alert.ok_or_else(|| format!("nobody spoke of {event:?}"))?;
        let known = self.alert(alert);
        known.heard += 1;
        if known.heard > known.sender.asked || is_firing(known.heard) != fires {
            return Err(format!("twice, out of order or never said: {known:?}, and the record has {event:?}"));
        }
        self.counts.heard += 1;
        Ok(())
    }

    /// What was answered was heard or waits, in its order, and behind nothing that was said later.
    fn settle_words(&self, truth: &Truth) -> Result<(), String> {
        let mut waiting: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for row in &truth.waiting {
            if let Kept::Words(words) = &row.kept {
                for Word { alert, number } in words {
                    waiting.entry(*alert).or_default().push(*number);
                }
            }
        }
        for (alert, known) in (0..).zip(&self.alerts) {
            let waits = waiting.remove(&alert).unwrap_or_default();
            let name = name(alert);
            if let Some(lost) = (known.heard + 1..=known.sender.answered).find(|number| !waits.contains(number)) {
                return Err(format!("lost: word {lost} of {name} was answered: {known:?}, {waits:?} wait"));
            }
            if !waits.is_sorted() || waits.first().is_some_and(|first| *first < known.heard) {
                return Err(format!("out of order: {name}: {known:?}, {waits:?} wait"));
            }
            if waits.last().is_some_and(|last| *last > known.sender.asked) {
                return Err(format!("nobody said the last of {waits:?} of {name}: {known:?}"));
            }
        }
        if let Some(given_up) = truth.refused.iter().find(|kept| matches!(kept, Kept::Words(_))) {
            return Err(format!("{given_up:?} can be read, and is tried no more"));
        }
        match waiting.pop_first() {
            Some((alert, _)) => Err(format!("nobody spoke of {}, and words of it wait", name(alert))),
            None => Ok(()),
        }
    }

    /// What nobody can read is kept until somebody asks for it to be forgotten.
    fn settle_nonsense(&mut self, truth: &Truth) -> Result<(), String> {
        let mut kept: BTreeMap<u64, u32> = BTreeMap::new();
        for one in truth.waiting.iter().map(|row| &row.kept).chain(&truth.refused) {
            if let Kept::Nonsense(number) = one {
                *kept.entry(*number).or_default() += 1;
            }
        }
        for (number, known) in std::mem::take(&mut self.nonsense) {
            match kept.remove(&number) {
                None if known.answered && !known.forgotten => {
                    return Err(format!("lost: the unreadable request {number}"));
                }
                None => {}
                Some(1) => {
                    // It is there, also when nobody was answered.
                    self.nonsense.insert(number, Nonsense { answered: true, forgotten: false });
                }
                Some(times) => return Err(format!("the unreadable request {number} is there {times} times")),
            }
        }
        match kept.pop_first() {
            Some((number, _)) => Err(format!("the unreadable request {number} was forgotten, and is there")),
            None => Ok(()),
        }
    }

    /// After a life that rested: everything owed has been done.
    pub fn rested(&mut self, truth: &Truth) -> Result<(), String> {
        if let Some(seq) = truth.broken {
            return Err(format!("the record is broken at {seq}"));
        }
        if let Some(row) = truth.waiting.first() {
            return Err(format!("it waits still: {row:?}"));
        }
        for (alert, known) in (0..).zip(&self.alerts) {
            let Known { sender, heard, told, .. } = *known;
            if (sender.asked, sender.answered) != (heard, heard) || heard > WORDS_MAX {
                return Err(format!("not all that was said of {} is heard: {known:?}", name(alert)));
            }
            let fires = is_firing(heard);
            if truth.known.contains(&alert) != fires {
                return Err(format!("the webhook does not hear what {} is now: {known:?}", name(alert)));
            }
            self.counts.apart += u64::from(heard > 0 && told.is_some_and(|told| told != fires));
        }
        Ok(())
    }
}
