//! What whoever asks the server may rely on. It hears every line of every life, and is shown the store between two lives.
//!
//! What was asked and not answered may or may not be so, until the store says it. What was answered has to be so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::programs::Programs;
use super::words::{Ask, BY_RULE, LANES, Line, Quiet};

/// An alert as far as it is known from outside.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// What was answered last: it fires, or it is over. Nothing while an answer is missing.
    pub promised: Option<bool>,
    /// The server may take it for firing.
    pub perhaps: bool,
    /// When a mute perhaps covered it last.
    pub muted_ms: i64,
}

#[derive(Debug, Clone)]
pub struct Muted {
    pub quiet: Quiet,
    /// Known from the answer, or from the store.
    pub number: Option<i64>,
    /// Its end was asked for.
    pub ending: bool,
    /// And is sure.
    pub ended: bool,
}

#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// The first who did, when that was answered.
    pub by: Option<String>,
    /// Pages may be under way that were decided before.
    pub crossing: bool,
}

/// A message that a receiver has.
#[derive(Debug, Clone)]
pub struct Taken {
    pub incident: i64,
    /// Nobody can know that it has it: the answer was lost, or the server was killed before it was stored.
    pub unheard: bool,
}

#[derive(Debug, Default)]
pub struct Counts {
    pub kills: u64,
    /// Of the mutes that were answered.
    pub kinds: BTreeSet<&'static str>,
    asked: u64,
    answered: u64,
    pub acknowledged: u64,
    mutes: u64,
    pub taken: u64,
    again: u64,
    crossed: u64,
    told: u64,
    pub posted: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.kinds.extend(&other.kinds);
        self.asked += other.asked;
        self.answered += other.answered;
        self.acknowledged += other.acknowledged;
        self.mutes += other.mutes;
        self.taken += other.taken;
        self.again += other.again;
        self.crossed += other.crossed;
        self.told += other.told;
        self.posted += other.posted;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, kinds, asked, answered, acknowledged, mutes, taken, again, crossed, told, posted } = self;
        let kinds = kinds.len();
        write!(
            f,
            "{kills} kills: {asked} asked, {answered} answered, {acknowledged} incidents acknowledged, {mutes} mutes of \
             {kinds} kinds, {taken} messages taken ({again} of them again, since their answer was lost; {crossed} under \
             way while somebody acknowledged), {told} news of incidents, {posted} messages to programs; 0 lost, 0 after an \
             acknowledgement"
        )
    }
}

pub struct Model {
    pub now_ms: i64,
    /// Whether the rule's expression holds.
    pub bad: bool,
    pub lanes: [Known; LANES.len()],
    /// By their reasons.
    pub mutes: BTreeMap<String, Muted>,
    /// By the numbers of incidents.
    pub acknowledged: BTreeMap<i64, Acknowledged>,
    ticking: bool,
    /// Nobody asks anything in this life, and receivers take what comes.
    pub resting: bool,
    /// By their keys.
    pub taken: BTreeMap<String, Taken>,
    /// What addresses were told of incidents last: by incident, channel and address.
    pub told: BTreeMap<(i64, String, String), String>,
    pub programs: Programs,
    /// Lanes and instants at which one perhaps fired and was perhaps not muted: only then may somebody be told of it.
    pub exposed: BTreeSet<(usize, i64)>,
    /// The last event that was looked at.
    pub seq: i64,
    /// What the record has said so far.
    pub recorded: BTreeSet<(&'static str, String)>,
    pub counts: Counts,
}

impl Model {
    pub fn new(now_ms: i64) -> Self {
        Self {
            now_ms,
            bad: false,
            lanes: [Known { promised: None, perhaps: false, muted_ms: i64::MIN / 2 }; LANES.len()],
            mutes: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            ticking: false,
            resting: false,
            taken: BTreeMap::new(),
            told: BTreeMap::new(),
            programs: Programs::default(),
            exposed: BTreeSet::new(),
            seq: 0,
            recorded: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// A life says something. An error says what it must never have said.
    pub fn hear(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Clock(at_ms) => self.now_ms = self.now_ms.max(at_ms),
            Line::Level(bad) => {
                self.bad = bad;
                let lane = &mut self.lanes[BY_RULE];
                (lane.promised, lane.perhaps) = (Some(bad), lane.perhaps || bad);
            }
            Line::Asks(what) => self.asked(what),
            Line::Answered(what, number) => self.answered(what, number),
            Line::Refused(what, why) if self.resting => return Err(format!("{what:?} in a life that rests: {why}")),
            Line::Refused(..) | Line::Rested => {}
            Line::TickBegins => {
                self.ticking = true;
                self.programs.tick_begins(self.now_ms);
            }
            Line::TickEnds(fault) => {
                self.calm();
                self.programs.tick_ends(fault.is_none());
                if let Some(fault) = fault.filter(|_| self.resting) {
                    return Err(format!("what is due cannot be done: {fault}"));
                }
            }
            Line::Took { key, incident, heard } => self.took(key, incident, heard)?,
            Line::Told { incident, channel, to, kind } => {
                self.counts.told += 1;
                self.told.insert((incident, channel, to), kind);
            }
            Line::Posted(lanes) => {
                self.counts.posted += 1;
                self.programs.posted(&lanes, self.now_ms);
            }
        }
        self.look();
        Ok(())
    }

    /// Its process is gone, with whatever it was doing.
    pub fn killed(&mut self) {
        self.calm();
        self.programs.killed();
        for taken in self.taken.values_mut() {
            taken.unheard = true;
        }
    }

    /// Nothing is under way any more.
    fn calm(&mut self) {
        self.ticking = false;
        for one in self.acknowledged.values_mut() {
            one.crossing = false;
        }
    }

    fn asked(&mut self, what: Ask) {
        self.counts.asked += 1;
        self.programs.disturbed();
        match what {
            Ask::Fire(lane) => {
                (self.lanes[lane].promised, self.lanes[lane].perhaps) = (None, true);
                self.programs.fire_asked(lane);
            }
            Ask::End(lane) => {
                self.lanes[lane].promised = None;
                self.programs.end_asked(lane);
            }
            Ask::Mute(quiet) => {
                let new = Muted { quiet, number: None, ending: false, ended: false };
                self.mutes.insert(new.quiet.reason.clone(), new);
            }
            Ask::Unmute(number) => {
                if let Some(mute) = self.mutes.values_mut().find(|m| m.number == Some(number)) {
                    mute.ending = true;
                }
            }
            Ask::Acknowledge { .. } => {}
        }
    }

    fn answered(&mut self, what: Ask, number: i64) {
        self.counts.answered += 1;
        match what {
            Ask::Fire(lane) => {
                self.lanes[lane].promised = Some(true);
                self.programs.fire_answered(lane, self.now_ms);
            }
            Ask::End(lane) => {
                self.lanes[lane].promised = Some(false);
                self.programs.end_answered(lane, &self.lanes[lane]);
            }
            Ask::Mute(quiet) => {
                self.counts.mutes += 1;
                self.counts.kinds.insert(quiet.kind.as_str());
                if let Some(mute) = self.mutes.get_mut(&quiet.reason) {
                    mute.number = Some(number);
                }
            }
            Ask::Unmute(number) => {
                if let Some(mute) = self.mutes.values_mut().find(|m| m.number == Some(number)) {
                    mute.ended = true;
                }
            }
            Ask::Acknowledge { incident, by } => {
                let crossing = self.ticking;
                let first = (number == 0).then_some(by);
                self.counts.acknowledged += u64::from(first.is_some());
                self.acknowledged.entry(incident).or_insert(Acknowledged { by: first, crossing });
            }
        }
    }

    fn took(&mut self, key: String, incident: i64, heard: bool) -> Result<(), String> {
        self.counts.taken += 1;
        if let Some(acknowledged) = self.acknowledged.get(&incident) {
            if !acknowledged.crossing {
                return Err(format!("{key} was sent after the acknowledgement of incident {incident} was answered"));
            }
            self.counts.crossed += 1;
        }
        if let Some(before) = self.taken.get(&key) {
            if !before.unheard {
                return Err(format!("{key} was sent again, though it was known to be taken"));
            }
            self.counts.again += 1;
        }
        self.taken.insert(key, Taken { incident, unheard: !heard });
        Ok(())
    }

    /// Notes which alerts the server may tell of at this instant.
    fn look(&mut self) {
        let now_ms = self.now_ms;
        for (number, (lane, known)) in LANES.iter().zip(&mut self.lanes).enumerate() {
            let mut sure = false;
            for mute in self.mutes.values().filter(|m| !m.ended && m.quiet.covers(lane) && m.quiet.holds(now_ms)) {
                known.muted_ms = now_ms;
                sure |= mute.number.is_some() && !mute.ending;
            }
            if known.perhaps && !sure {
                self.exposed.insert((number, now_ms));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(key: &str, heard: bool) -> Line {
        Line::Took { key: key.to_owned(), incident: 1, heard }
    }

    fn hears(model: &mut Model, lines: impl IntoIterator<Item = Line>) -> Result<(), String> {
        lines.into_iter().try_for_each(|line| model.hear(line))
    }

    fn acknowledged() -> Line {
        Line::Answered(Ask::Acknowledge { incident: 1, by: "ana".to_owned() }, 0)
    }

    #[test]
    fn nothing_is_taken_after_an_acknowledgement_but_what_was_under_way() {
        let mut model = Model::new(0);
        hears(&mut model, [Line::TickBegins, acknowledged(), took("a.mail", true)]).expect("it was under way");
        hears(&mut model, [Line::TickEnds(None), took("b.mail", true)]).expect_err("that is over");
        let mut model = Model::new(0);
        hears(&mut model, [acknowledged(), Line::TickBegins, took("a.mail", true)]).expect_err("nothing was under way");
    }

    #[test]
    fn what_is_known_to_be_taken_is_not_sent_again() {
        let mut model = Model::new(0);
        hears(&mut model, [took("a.mail", false), took("a.mail", true)]).expect("its answer was lost");
        model.killed();
        hears(&mut model, [took("a.mail", true)]).expect("it was perhaps not stored");
        assert_eq!((model.counts.taken, model.counts.again), (3, 2));
        hears(&mut model, [took("a.mail", true)]).expect_err("now it is known");
    }

    #[test]
    fn a_mute_covers_once_it_is_answered_and_until_its_end_is_asked_for() {
        let quiet = Quiet {
            reason: "racks".to_owned(),
            kind: tenfold_alerting::MuteKind::Silence,
            service: "search".to_owned(),
            alert: None,
            from_ms: 0,
            to_ms: 100,
            minutes: None,
        };
        let (mute, lane) = (Ask::Mute(quiet), 3);
        let mut model = Model::new(0);
        let mut at = |at_ms: i64, lines: Vec<Line>| {
            hears(&mut model, [Line::Clock(at_ms)].into_iter().chain(lines)).expect("nothing is wrong");
            model.exposed.contains(&(lane, at_ms))
        };
        assert!(!at(1, vec![Line::Asks(mute.clone())]), "it does not fire");
        assert!(at(2, vec![Line::Asks(Ask::Fire(lane))]), "the mute is not sure");
        assert!(at(3, vec![Line::Answered(mute, 7)]), "it was not, at this instant");
        assert!(!at(4, vec![]));
        assert!(at(5, vec![Line::Asks(Ask::Unmute(7))]));
        assert!(at(100, vec![]));
    }
}
