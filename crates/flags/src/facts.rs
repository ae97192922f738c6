//! What a constraint may ask of a context, and the two ways to answer: by looking at it each time, which suits a single
//! flag, or out of slots that were filled once, which suits many.
//!
//! A slot is a field in the form in which constraints want it (as text, number, instant, version, address). A snapshot
//! gives the slots out when it compiles; a request fills them, so that `age` is found and parsed once and not once per
//! flag. The first [`SLOTS_MAX`] are filled, the others looked at each time. So what a request takes is bounded, whatever
//! the number of flags.

use std::{borrow::Cow, cell::Cell, net::IpAddr, sync::Arc};

use jiff::Timestamp as Instant;
use semver::Version;
use tenfold_types::Timestamp;

use crate::{
    context::{Context, Field, parse_date},
    table::{Table, tag},
};

pub(crate) const SLOTS_MAX: usize = 128;

/// A form that a field's text can be brought into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Lower,
    Number,
    Date,
    Version,
    Address,
}

/// A field in a form: its slot among those of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u32);

/// The slots a snapshot gave out, shared with those it was made from until a new one is needed. They are never taken back;
/// compiling anew starts afresh.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots(Arc<Given>);

#[derive(Debug, Clone, Default)]
struct Given {
    fields: Vec<(Field, Form)>,
    table: Table,
}

impl Slots {
    pub(crate) fn key(&mut self, name: &str, form: Form) -> Key {
        let tag = tag(name) ^ (form as u32).wrapping_mul(0x9e37_79b9);
        let is = |i: u32| self.0.fields.get(i as usize).is_some_and(|(f, shape)| *shape == form && f.is_called(name));
        if let Some(known) = self.0.table.find(tag, is) {
            return Key(known);
        }
        let given = Arc::make_mut(&mut self.0);
        let slot = given.fields.len() as u32;
        given.fields.push((Field::parse(name), form));
        given.table.insert(tag, slot);
        Key(slot)
    }

    #[inline]
    fn field(&self, key: Key) -> Option<&Field> {
        self.0.fields.get(key.0 as usize).map(|(field, _)| field)
    }
}

pub(crate) trait Facts {
    fn context(&self) -> &Context;
    fn text(&self, key: Key) -> Option<&str>;
    fn lower(&self, key: Key) -> Option<Cow<'_, str>>;
    fn number(&self, key: Key) -> Option<f64>;
    fn date(&self, key: Key) -> Option<Instant>;
    fn version(&self, key: Key) -> Option<Cow<'_, Version>>;
    fn address(&self, key: Key) -> Option<IpAddr>;
    /// A segment's answer, which may be kept for the flags that follow.
    fn segment(&self, slot: u32, answer: impl FnOnce() -> bool) -> bool;
}

/// Looks at the context each time.
pub(crate) struct Direct<'c> {
    pub(crate) context: &'c Context,
    pub(crate) now: Timestamp,
    pub(crate) slots: &'c Slots,
}

impl Facts for Direct<'_> {
    fn context(&self) -> &Context {
        self.context
    }
    #[inline]
    fn text(&self, key: Key) -> Option<&str> {
        self.context.text(self.slots.field(key)?)
    }
    fn lower(&self, key: Key) -> Option<Cow<'_, str>> {
        self.text(key).map(lower)
    }
    #[inline]
    fn number(&self, key: Key) -> Option<f64> {
        self.text(key).and_then(number)
    }
    fn date(&self, key: Key) -> Option<Instant> {
        match self.text(key) {
            Some(text) => parse_date(text),
            None if self.slots.field(key) == Some(&Field::CurrentTime) => Some(instant(self.now)),
            None => None,
        }
    }
    fn version(&self, key: Key) -> Option<Cow<'_, Version>> {
        self.text(key).and_then(|v| Version::parse(v).ok()).map(Cow::Owned)
    }
    fn address(&self, key: Key) -> Option<IpAddr> {
        self.text(key).and_then(|v| v.parse().ok())
    }
    fn segment(&self, _slot: u32, answer: impl FnOnce() -> bool) -> bool {
        answer()
    }
}

enum Fact<'c> {
    /// Absent, or not of the form.
    Nothing,
    Text(&'c str),
    Lower(Cow<'c, str>),
    Number(f64),
    Date(Instant),
    Version(Version),
    Address(IpAddr),
}

/// Answers out of slots.
pub(crate) struct Filled<'c> {
    direct: Direct<'c>,
    facts: Box<[Fact<'c>]>,
    /// Of the first 64 segments: which were asked, and which of those hold.
    asked: Cell<u64>,
    holding: Cell<u64>,
}

impl<'c> Filled<'c> {
    pub(crate) fn new(slots: &'c Slots, context: &'c Context, now: Timestamp) -> Self {
        let direct = Direct { context, now, slots };
        let fill = |(field, form): &(Field, Form)| {
            let text = context.text(field);
            let fact = match form {
                Form::Text => text.map(Fact::Text),
                Form::Lower => text.map(|t| Fact::Lower(lower(t))),
                Form::Number => text.and_then(number).map(Fact::Number),
                Form::Date if text.is_none() && *field == Field::CurrentTime => Some(Fact::Date(instant(now))),
                Form::Date => text.and_then(parse_date).map(Fact::Date),
                Form::Version => text.and_then(|t| Version::parse(t).ok()).map(Fact::Version),
                Form::Address => text.and_then(|t| t.parse().ok()).map(Fact::Address),
            };
            fact.unwrap_or(Fact::Nothing)
        };
        Self {
            facts: slots.0.fields.iter().take(SLOTS_MAX).map(fill).collect(),
            direct,
            asked: Cell::new(0),
            holding: Cell::new(0),
        }
    }
}

/// A filled slot's value if it has the wanted form; without a slot the context itself is asked.
macro_rules! fact {
    ($self:ident, $key:ident, $form:ident($value:ident) => $answer:expr, $method:ident) => {
        match $self.facts.get($key.0 as usize) {
            Some(Fact::$form($value)) => Some($answer),
            Some(_) => None,
            None => $self.direct.$method($key),
        }
    };
}

impl Facts for Filled<'_> {
    fn context(&self) -> &Context {
        self.direct.context
    }
    #[inline]
    fn text(&self, key: Key) -> Option<&str> {
        fact!(self, key, Text(t) => *t, text)
    }
    fn lower(&self, key: Key) -> Option<Cow<'_, str>> {
        fact!(self, key, Lower(t) => Cow::Borrowed(&**t), lower)
    }
    #[inline]
    fn number(&self, key: Key) -> Option<f64> {
        fact!(self, key, Number(n) => *n, number)
    }
    fn date(&self, key: Key) -> Option<Instant> {
        fact!(self, key, Date(d) => *d, date)
    }
    #[inline]
    fn version(&self, key: Key) -> Option<Cow<'_, Version>> {
        fact!(self, key, Version(v) => Cow::Borrowed(v), version)
    }
    fn address(&self, key: Key) -> Option<IpAddr> {
        fact!(self, key, Address(a) => *a, address)
    }
    fn segment(&self, slot: u32, answer: impl FnOnce() -> bool) -> bool {
        let Some(bit) = 1u64.checked_shl(slot) else { return answer() };
        if self.asked.get() & bit == 0 {
            self.asked.set(self.asked.get() | bit);
            self.holding.set(self.holding.get() | if answer() { bit } else { 0 });
        }
        self.holding.get() & bit != 0
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// As `f64` reads it; up to 15 digits, which are the rule, need no rounding.
#[inline]
fn number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    if (1..=15).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit) {
        let whole = bytes.iter().fold(0u64, |n, b| n * 10 + u64::from(b - b'0'));
        return Some(whole as f64);
    }
    text.parse().ok()
}

/// An instant out of range counts as the last one in it.
fn instant(at: Timestamp) -> Instant {
    let last = if at.millis() < 0 { Instant::MIN } else { Instant::MAX };
    Instant::from_millisecond(at.millis()).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_floats() {
        for text in ["0", "007", "18", "999999999999999", "1234567890123456789", "1.5", "-3", "1e3", "", "x", "+5", "٣"]
        {
            assert_eq!(number(text), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn both_ways_answer_the_same() {
        let mut slots = Slots::default();
        let context = Context::new()
            .with("userId", "7")
            .with("Plan", "ÄPro")
            .with("v", "1.2.3-rc.1")
            .with("remoteAddress", "::1")
            .with("currentTime", "2026-01-01T00:00:00Z");
        let names = ["userId", "Plan", "v", "remoteAddress", "currentTime", "nothing"];
        let forms = [Form::Text, Form::Lower, Form::Number, Form::Date, Form::Version, Form::Address];
        let keys: Vec<Key> = names.iter().flat_map(|n| forms.map(|f| slots.key(n, f))).collect();
        let more: Vec<Key> = (0..200).map(|i| slots.key(&format!("p{i}"), Form::Text)).collect();
        assert_eq!(slots.0.fields.len(), keys.len() + more.len());
        let now = Timestamp(0);
        for (context, name) in [(context.clone().with("p1", "a").with("p199", "b"), "full"), (Context::new(), "empty")]
        {
            let (direct, filled) =
                (Direct { context: &context, now, slots: &slots }, Filled::new(&slots, &context, now));
            for (i, key) in keys.iter().chain(&more).copied().enumerate() {
                match forms[i % forms.len()] {
                    _ if i >= keys.len() => assert_eq!(direct.text(key), filled.text(key), "{name} {key:?}"),
                    Form::Text => assert_eq!(direct.text(key), filled.text(key), "{name} {key:?}"),
                    Form::Lower => assert_eq!(direct.lower(key), filled.lower(key), "{name} {key:?}"),
                    Form::Number => assert_eq!(direct.number(key), filled.number(key), "{name} {key:?}"),
                    Form::Date => assert_eq!(direct.date(key), filled.date(key), "{name} {key:?}"),
                    Form::Version => assert_eq!(direct.version(key), filled.version(key), "{name} {key:?}"),
                    Form::Address => assert_eq!(direct.address(key), filled.address(key), "{name} {key:?}"),
                }
            }
        }
    }

    #[test]
    fn the_time_is_now_unless_it_is_given() {
        let mut slots = Slots::default();
        let key = slots.key("currentTime", Form::Date);
        assert_eq!(key, slots.key("currentTime", Form::Date));
        let date = |context: &Context, now| Direct { context, now, slots: &slots }.date(key);
        assert_eq!(date(&Context::new(), Timestamp(5)), Instant::from_millisecond(5).ok());
        let given = Context::new().with("currentTime", "1970-01-01T00:00:01Z");
        assert_eq!(date(&given, Timestamp(5)), Instant::from_second(1).ok());
        assert_eq!(date(&Context::new().with("currentTime", "soon"), Timestamp(5)), None);
        assert_eq!(date(&Context::new(), Timestamp(i64::MAX)), Some(Instant::MAX));
    }
}
