//! A train: people who ship to the same place one after the other, or together, and who each look before it is over.
//!
//! Members join while it boards. One deploy takes all of them along. When it is done everybody looks at the graphs and says
//! `good`; somebody who sees trouble says `uh-oh`, and nothing ships before that is cleared. `hold` keeps the train where it
//! is. Whoever joins while it rolls takes the next one. Pure: `step(train, input, now)` gives the next train, if one is left.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

/// Most people on a train, and waiting for the next.
pub const MEMBERS_MAX: usize = 50;
/// A train on which nobody did anything for so long is gone.
pub const IDLE_MS_MAX: i64 = 12 * 60 * 60 * 1000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Train {
    pub phase: Phase,
    /// In the order in which they joined; the first one drives.
    pub members: Vec<Member>,
    /// For the next train.
    #[serde(default)]
    pub waiting: Vec<Member>,
    /// The deploy that takes them along.
    #[serde(default)]
    pub deploy: Option<i64>,
    #[serde(default)]
    pub hold: Option<Said>,
    #[serde(default)]
    pub trouble: Option<Said>,
    /// When something last happened.
    pub moved_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// People get on.
    Boarding,
    /// The deploy is under way.
    Rolling,
    /// It is out, and everybody looks.
    Checking,
}

impl Phase {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Boarding => "boarding",
            Self::Rolling => "rolling",
            Self::Checking => "checking",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub login: String,
    pub name: String,
    /// The declared graphs were shown since the deploy was out.
    #[serde(default)]
    pub shown: bool,
    #[serde(default)]
    pub good: bool,
}

/// Who holds it or saw trouble, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub login: String,
    pub name: String,
    pub why: String,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub login: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Join,
    Leave,
    /// The declared graphs are on the person's screen.
    Shown,
    /// `declared`: there are graphs to be seen first.
    Good {
        declared: bool,
    },
    UhOh {
        why: String,
    },
    /// The trouble is over.
    Clear,
    Hold {
        why: String,
    },
    Unhold,
    Done,
}

/// What happened, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Joined { waits: bool },
    Left,
    Good { missing: Vec<String> },
    UhOh { why: String },
    Cleared,
    Held { why: String },
    Unheld,
    Done,
}

/// The next train, absent when nobody is left on one, and what happened; or why not, in words.
pub type Stepped = Result<(Option<Train>, Option<Fact>), String>;

/// What a person says. Nothing is left without a way on: a train that boards can be left, one that is checked ends by
/// `good` of all and `done`, by leaving, or by itself when it is idle for too long.
pub fn step(train: Option<&Train>, by: &Person, input: Input, now: Timestamp) -> Stepped {
    let Some(train) = train else { return first(by, &input, now) };
    let mut next = train.clone();
    next.moved_at = now;
    let on_it = train.members.iter().any(|m| m.login == by.login);
    if !on_it && !matches!(input, Input::Join | Input::Leave | Input::Hold { .. } | Input::Unhold | Input::UhOh { .. })
    {
        return Err(format!("{} is not on the train; join it first", by.name));
    }
    let fact = match input {
        Input::Join => next.join(by)?,
        Input::Leave => return next.leave(by),
        Input::Shown => {
            // what was seen before the deploy was out says nothing of it
            let out = next.phase == Phase::Checking;
            next.member(by).into_iter().for_each(|m| m.shown = out);
            return Ok((Some(next), None));
        }
        Input::Good { declared } => next.good(by, declared)?,
        Input::UhOh { why } => {
            next.member(by).into_iter().for_each(|m| m.good = false);
            next.trouble = Some(said(by, &why));
            Fact::UhOh { why }
        }
        Input::Clear => {
            let trouble = next.trouble.take().ok_or("nobody said uh-oh")?;
            if trouble.login != by.login && !next.drives(by) {
                return Err(format!("{} said uh-oh; they clear it, or {} who drives", trouble.name, next.driver()));
            }
            Fact::Cleared
        }
        Input::Hold { why } => {
            next.hold = Some(said(by, &why));
            Fact::Held { why }
        }
        Input::Unhold => {
            next.hold.take().ok_or("the train is not held")?;
            return Ok((next.or_next(), Some(Fact::Unheld)));
        }
        Input::Done => return next.done(),
    };
    Ok((Some(next), Some(fact)))
}

fn first(by: &Person, input: &Input, now: Timestamp) -> Stepped {
    let hold = match input {
        Input::Join => None,
        Input::Hold { why } => Some(said(by, why)),
        _ => return Err("there is no train; join to begin one".to_owned()),
    };
    let fact = hold.as_ref().map_or(Fact::Joined { waits: false }, |hold| Fact::Held { why: hold.why.clone() });
    let (phase, members, waiting) = (Phase::Boarding, vec![member(by)], Vec::new());
    let train = Train { phase, members, waiting, deploy: None, hold, trouble: None, moved_at: now };
    Ok((Some(train), Some(fact)))
}

fn member(by: &Person) -> Member {
    Member { login: by.login.clone(), name: by.name.clone(), shown: false, good: false }
}

fn said(by: &Person, why: &str) -> Said {
    Said { login: by.login.clone(), name: by.name.clone(), why: why.to_owned() }
}

impl Train {
    fn member(&mut self, by: &Person) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.login == by.login)
    }

    fn drives(&self, by: &Person) -> bool {
        self.members.first().is_some_and(|m| m.login == by.login)
    }

    /// Who drives, by name.
    pub fn driver(&self) -> &str {
        self.members.first().map_or("nobody", |m| m.name.as_str())
    }

    /// Who has not said `good` yet, by name.
    pub fn missing(&self) -> Vec<String> {
        self.members.iter().filter(|m| !m.good).map(|m| m.name.clone()).collect()
    }

    /// Nobody did anything for so long that it is gone.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.phase != Phase::Rolling && now.since_ms(self.moved_at) >= IDLE_MS_MAX
    }

    fn join(&mut self, by: &Person) -> Result<Fact, String> {
        let waits = self.phase != Phase::Boarding;
        let all = || self.members.iter().chain(&self.waiting);
        if all().any(|m| m.login == by.login) {
            return Err(format!("{} is on the train already", by.name));
        }
        if all().count() >= MEMBERS_MAX {
            return Err(format!("the train has {MEMBERS_MAX} people, which is the limit; wait for the next"));
        }
        let list = if waits { &mut self.waiting } else { &mut self.members };
        list.push(member(by));
        Ok(Fact::Joined { waits })
    }

    fn leave(mut self, by: &Person) -> Stepped {
        let before = self.members.len() + self.waiting.len();
        self.members.retain(|m| m.login != by.login);
        self.waiting.retain(|m| m.login != by.login);
        if self.members.len() + self.waiting.len() == before {
            return Err(format!("{} is not on the train", by.name));
        }
        Ok((self.or_next(), Some(Fact::Left)))
    }

    /// Itself, or the train of those who wait when nobody is left on it. While a deploy rolls it stays, with nobody on it.
    fn or_next(mut self) -> Option<Self> {
        if !self.members.is_empty() || self.phase == Phase::Rolling {
            return Some(self);
        }
        self.members = std::mem::take(&mut self.waiting);
        if self.members.is_empty() && self.hold.is_none() && self.trouble.is_none() {
            return None;
        }
        (self.phase, self.deploy) = (Phase::Boarding, None);
        Some(self)
    }

    fn good(&mut self, by: &Person, declared: bool) -> Result<Fact, String> {
        if self.phase != Phase::Checking {
            return Err(format!("the train is {}; `good` is said when the deploy is out", self.phase.word()));
        }
        let Some(member) = self.member(by) else { return Err(format!("{} is not on the train", by.name)) };
        if declared && !member.shown {
            return Err("look at the graphs first: they are what `good` is about".to_owned());
        }
        member.good = true;
        Ok(Fact::Good { missing: self.missing() })
    }

    fn done(mut self) -> Stepped {
        if self.phase == Phase::Rolling {
            return Err("the deploy is under way; wait for it, or roll it back".to_owned());
        }
        if let Some(trouble) = &self.trouble {
            return Err(format!("{} said uh-oh: {}; clear it or roll back first", trouble.name, trouble.why));
        }
        if let Some(hold) = &self.hold {
            return Err(format!("{} holds the train: {}", hold.name, hold.why));
        }
        if self.phase == Phase::Checking && !self.missing().is_empty() {
            return Err(format!("{} did not say good yet; they say it, or leave", self.missing().join(", ")));
        }
        self.members.clear();
        Ok((self.or_next(), Some(Fact::Done)))
    }

    /// Why somebody may not start a deploy now, if so.
    pub fn in_the_way(&self, login: &str) -> Option<String> {
        if let Some(hold) = &self.hold {
            return Some(format!("{} holds the train: {}", hold.name, hold.why));
        }
        if let Some(trouble) = &self.trouble {
            return Some(format!("{} said uh-oh: {}", trouble.name, trouble.why));
        }
        let on_it = self.members.iter().any(|m| m.login == login);
        match self.phase {
            Phase::Boarding if on_it => None,
            Phase::Boarding => Some(format!("the train of {} boards; join it", self.driver())),
            Phase::Rolling => Some("the train is under way; join the next".to_owned()),
            Phase::Checking if self.missing().is_empty() => None,
            Phase::Checking => Some(format!("{} did not say good yet", self.missing().join(", "))),
        }
    }

    /// A deploy there began: it takes along who is on the train. One that all found good is over by that.
    pub fn deploy_began(&self, number: i64, now: Timestamp) -> Self {
        let mut next = self.clone();
        if self.phase == Phase::Checking && self.missing().is_empty() {
            next.members = std::mem::take(&mut next.waiting);
        }
        (next.phase, next.deploy, next.moved_at) = (Phase::Rolling, Some(number), now);
        for member in &mut next.members {
            (member.shown, member.good) = (false, false);
        }
        next
    }

    /// The deploy came to its end. One that went out is looked at; after another everybody is where they were.
    pub fn deploy_ended(&self, number: i64, went_out: bool, now: Timestamp) -> Option<Self> {
        let mut next = self.clone();
        if self.phase != Phase::Rolling || self.deploy != Some(number) {
            return Some(next);
        }
        if !went_out {
            return next.boards_again(now);
        }
        (next.phase, next.moved_at) = (Phase::Checking, now);
        next.or_next()
    }

    /// What it took out was taken back: there is nothing left to look at, and the trouble is over with it.
    pub fn taken_back(&self, number: i64, now: Timestamp) -> Option<Self> {
        let mut next = self.clone();
        if self.phase != Phase::Checking || self.deploy != Some(number) {
            return Some(next);
        }
        next.trouble = None;
        next.boards_again(now)
    }

    fn boards_again(mut self, now: Timestamp) -> Option<Self> {
        (self.phase, self.deploy, self.moved_at) = (Phase::Boarding, None, now);
        let waiting = std::mem::take(&mut self.waiting);
        self.members.extend(waiting);
        for member in &mut self.members {
            (member.shown, member.good) = (false, false);
        }
        self.or_next()
    }
}
