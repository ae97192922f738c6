//! Asking a snapshot. Never touches disk, network or a clock, never blocks, never panics.

use serde_json::Value;
use tenfold_types::Timestamp;

use crate::{
    compile::{CompiledStrategy, CompiledVariant, Flag, Parent, Presence, Rule, Sticky, VariantSet},
    context::Context,
    facts::{Direct, Facts, Filled},
    flag_ref::FlagKey,
    murmur::{ROLLOUT_SEED, finish},
    snapshot::Snapshot,
    value::{Payload, ValueType},
};

/// The name of the variant the Unleash protocol gives when there is none.
pub const DISABLED_VARIANT: &str = "disabled";

/// How many flags ahead of the one that is evaluated memory is asked for.
const AHEAD: usize = 8;

/// Chance ids run from 1 to this, as in the SDKs.
const CHANCE_IDS: u32 = 10_000;

/// What an evaluation takes from outside: the instant, and 32 random bits for flags that are not sticky.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moment {
    pub now: Timestamp,
    pub random: u32,
}

impl Moment {
    /// Independent bits for each purpose inside one request.
    fn draw(self, salt: u32) -> u32 {
        finish(self.random ^ salt.wrapping_mul(0x9e37_79b9).wrapping_add(salt))
    }

    fn chance_id(self, salt: u32) -> u32 {
        self.draw(salt) % CHANCE_IDS + 1
    }
}

/// Why an answer is what it is. Of several reasons the greatest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The flag is off in this environment.
    Disabled,
    /// The same for everybody.
    Static,
    /// A constraint, a segment, a list of people or a parent decided.
    Targeting,
    /// A percentage or the weights of variants decided.
    Split,
    /// As `Split`, but the context names nobody the answer could stick to, so that the next one may differ.
    Chance,
}

impl Reason {
    /// As OpenFeature names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::Targeting => "TARGETING_MATCH",
            Self::Split | Self::Chance => "SPLIT",
            Self::Disabled => "DISABLED",
        }
    }
}

/// One answer.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    flag: &'a Flag,
    index: usize,
    variant: Option<&'a CompiledVariant>,
    pub enabled: bool,
    pub reason: Reason,
    /// Rules were asked, and none of them decided: the answer is what everybody else gets.
    pub fell_through: bool,
}

impl<'a> Evaluation<'a> {
    pub fn key(&self) -> &'a str {
        &self.flag.name
    }
    /// The flag's number in this snapshot and in those made from it by changes, below [`Snapshot::indices`].
    pub fn index(&self) -> usize {
        self.index
    }
    /// The lifecycle kind (`release`, `experiment`, ...).
    pub fn kind(&self) -> &'a str {
        &self.flag.detail.kind
    }
    pub fn value_type(&self) -> ValueType {
        self.flag.detail.value_type
    }
    pub fn impression_data(&self) -> bool {
        self.flag.detail.impression_data
    }
    /// The typed value; of an off flag its off value.
    pub fn value(&self) -> &'a Value {
        match (self.enabled, self.variant) {
            (false, _) => &self.flag.detail.off,
            (true, Some(variant)) => &variant.value,
            (true, None) => &self.flag.detail.on,
        }
    }
    /// The chosen variant's name, else `on` or `off`: a name for every answer.
    pub fn variant(&self) -> &'a str {
        match (self.enabled, self.variant) {
            (false, _) => "off",
            (true, Some(variant)) => &variant.name,
            (true, None) => "on",
        }
    }
    /// Which of all the flag's variants was chosen: those of its strategies in their order, then its own. With
    /// [`Self::enabled`] it says what was answered.
    pub fn variant_number(&self) -> Option<usize> {
        self.variant.map(|v| v.number as usize)
    }
    /// The variant as the Unleash protocol has it: `None` stands for the variant `disabled`.
    pub fn unleash_variant(&self) -> Option<(&'a str, Option<&'a Payload>)> {
        self.variant.map(|v| (&*v.name, v.payload.as_ref()))
    }
}

/// What the strategies said.
struct Verdict<'a> {
    enabled: bool,
    reason: Reason,
    fell_through: bool,
    /// Of the strategy that matched.
    variants: Option<&'a VariantSet>,
}

impl Snapshot {
    /// One flag; `None` when there is no flag of that name.
    pub fn evaluate<'a>(&'a self, flag: impl FlagKey, context: &Context, moment: Moment) -> Option<Evaluation<'a>> {
        let (index, flag) = flag.find(self)?;
        let facts = Direct { context, now: moment.now, slots: self.filled_slots() };
        (flag.presence == Presence::Public).then(|| self.answer(index, flag, &facts, moment))
    }

    /// Whether a flag is on, without choosing a variant; `None` when there is no flag of that name.
    pub fn is_enabled(&self, flag: impl FlagKey, context: &Context, moment: Moment) -> Option<bool> {
        let (_, flag) = flag.find(self)?;
        let facts = Direct { context, now: moment.now, slots: self.filled_slots() };
        (flag.presence == Presence::Public).then(|| self.verdict(flag, &facts, moment).enabled)
    }

    /// Every flag, in the order of names.
    pub fn evaluate_all<'a>(
        &'a self,
        context: &'a Context,
        moment: Moment,
    ) -> impl ExactSizeIterator<Item = Evaluation<'a>> + 'a {
        let facts = Filled::new(self.filled_slots(), context, moment.now);
        self.public().enumerate().map(move |(at, (index, flag))| {
            self.touch(at + AHEAD);
            let random = finish(moment.random.wrapping_add(index));
            self.answer(index, flag, &facts, Moment { random, ..moment })
        })
    }

    fn answer<'a>(&'a self, index: u32, flag: &'a Flag, facts: &impl Facts, moment: Moment) -> Evaluation<'a> {
        let verdict = self.verdict(flag, facts, moment);
        let mut reason = verdict.reason;
        let mut variant = None;
        if verdict.enabled
            && let Some(set) = verdict.variants.or(flag.variants.as_deref())
        {
            let (chosen, why) = set.choose(facts, moment);
            variant = chosen;
            reason = reason.max(why);
        }
        let (enabled, fell_through) = (verdict.enabled, verdict.fell_through);
        Evaluation { flag, index: index as usize, variant, enabled, reason, fell_through }
    }

    fn verdict<'a>(&'a self, flag: &'a Flag, facts: &impl Facts, moment: Moment) -> Verdict<'a> {
        let off = |reason| Verdict { enabled: false, reason, fell_through: false, variants: None };
        if !flag.enabled {
            return off(Reason::Disabled);
        }
        let mut reason = Reason::Static;
        if !flag.parents.is_empty() {
            reason = Reason::Targeting;
            for parent in &*flag.parents {
                let (holds, by_parent) = self.parent_holds(parent, facts, moment);
                reason = reason.max(by_parent);
                if !holds {
                    return off(reason);
                }
            }
        }
        if flag.strategies.is_empty() {
            return Verdict { enabled: true, reason, fell_through: false, variants: None };
        }
        for (i, strategy) in flag.strategies.iter().enumerate() {
            let answer = self.strategy_holds(strategy, facts, moment, i as u32);
            // Strategies that did not match had their say too: the strongest reason is told.
            reason = reason.max(answer.1);
            if answer.0 {
                let fell_through = i > 0 && answer.1 == Reason::Static;
                return Verdict { enabled: true, reason, fell_through, variants: strategy.variants.as_deref() };
            }
        }
        Verdict { fell_through: true, ..off(reason) }
    }

    /// One level only: a parent that has parents itself is never satisfied, which also rules out circles.
    fn parent_holds(&self, parent: &Parent, facts: &impl Facts, moment: Moment) -> (bool, Reason) {
        let Some(flag) = self.flag(parent.flag).filter(|f| f.presence != Presence::Absent && f.parents.is_empty())
        else {
            return (false, Reason::Static);
        };
        // A hidden parent is a part of its child and draws its own lot.
        let moment = Moment { random: finish(moment.random ^ (parent.flag + 1)), ..moment };
        let verdict = self.verdict(flag, facts, moment);
        if verdict.enabled != parent.enabled {
            return (false, verdict.reason);
        }
        if parent.variants.is_empty() || !parent.enabled {
            return (true, verdict.reason);
        }
        let set = verdict.variants.or(flag.variants.as_deref());
        let (chosen, why) = set.map_or((None, Reason::Static), |s| s.choose(facts, moment));
        let name = chosen.map_or(DISABLED_VARIANT, |v| &*v.name);
        (parent.variants.iter().any(|v| **v == *name), verdict.reason.max(why))
    }

    #[inline]
    fn strategy_holds(&self, s: &CompiledStrategy, facts: &impl Facts, moment: Moment, salt: u32) -> (bool, Reason) {
        let constrained = !s.constraints.is_empty() || !s.segments.is_empty();
        let reason = if constrained { Reason::Targeting } else { Reason::Static };
        if matches!(s.rule, Rule::Never) {
            return (false, reason);
        }
        let own = s.constraints.iter().all(|c| c.holds(facts));
        let shared = || s.segments.iter().all(|slot| facts.segment(*slot, || self.segment_holds(*slot, facts)));
        if !(own && shared()) {
            return (false, reason);
        }
        let (holds, by_rule) = s.rule.holds(facts, moment, salt);
        (holds, reason.max(by_rule))
    }

    /// Of a segment that does not exist, or cannot be read, nobody is.
    fn segment_holds(&self, slot: u32, facts: &impl Facts) -> bool {
        self.segment(slot).is_some_and(|rules| rules.iter().all(|c| c.holds(facts)))
    }
}

impl Rule {
    #[inline]
    fn holds(&self, facts: &impl Facts, moment: Moment, salt: u32) -> (bool, Reason) {
        match self {
            Self::Always => (true, Reason::Static),
            Self::Never => (false, Reason::Static),
            Self::Rollout { percent, sticky, group } => {
                // At 100 and at 0 everybody who can be identified gets the same, so nothing was split.
                let splits = (1..100).contains(percent);
                let (bucket, reason) = match sticky.id(facts) {
                    Id::Text(id) => (group.bucket(id, 100), Reason::Split),
                    Id::Random => (group.bucket(Digits::new(moment.chance_id(salt)).as_str(), 100), Reason::Split),
                    Id::Nobody => (group.bucket(Digits::new(moment.chance_id(salt)).as_str(), 100), Reason::Chance),
                    Id::Missing => return (false, Reason::Targeting),
                };
                (bucket <= u32::from(*percent), if splits { reason } else { Reason::Static })
            }
            Self::Chance { percent } => (moment.draw(salt ^ ROLLOUT_SEED) % 100 < u32::from(*percent), Reason::Split),
            Self::Users(ids) => (facts.context().user_id().is_some_and(|id| ids.contains(id)), Reason::Targeting),
            Self::Addresses(rule) => {
                let (key, networks) = &**rule;
                (facts.address(*key).is_some_and(|a| networks.iter().any(|n| n.contains(a))), Reason::Targeting)
            }
            Self::Hosts(rule) => {
                let (key, names) = &**rule;
                (facts.lower(*key).is_some_and(|host| names.contains(&host)), Reason::Targeting)
            }
        }
    }
}

enum Id<'a> {
    Text(&'a str),
    /// Chance is wanted.
    Random,
    /// Neither user nor session.
    Nobody,
    /// The field that was asked for is absent.
    Missing,
}

impl Sticky {
    #[inline]
    fn id<'f>(&self, facts: &'f impl Facts) -> Id<'f> {
        match self {
            Self::Default => {
                let context = facts.context();
                context.user_id().or_else(|| context.session_id()).map_or(Id::Nobody, Id::Text)
            }
            Self::Random => Id::Random,
            Self::Field(key) => facts.text(*key).filter(|id| !id.is_empty()).map_or(Id::Missing, Id::Text),
        }
    }
}

impl VariantSet {
    /// `None` when the weights sum to nothing.
    fn choose<'a>(&'a self, facts: &impl Facts, moment: Moment) -> (Option<&'a CompiledVariant>, Reason) {
        if self.has_overrides
            && let Some(named) = self.variants.iter().find(|v| v.is_for(facts))
        {
            return (Some(named), Reason::Targeting);
        }
        let chance = || moment.draw(u32::MAX).checked_rem(self.weights).map_or(0, |r| r + 1);
        let (target, reason) = match self.sticky.id(facts) {
            Id::Text(id) => (self.group.bucket(id, self.weights), Reason::Split),
            Id::Random => (chance(), Reason::Split),
            Id::Nobody | Id::Missing => (chance(), Reason::Chance),
        };
        // Of variants with the same bound the first one has the weight.
        let at = if target == 0 { None } else { self.bounds.iter().position(|bound| *bound >= target) };
        let chosen = at.and_then(|i| self.variants.get(i));
        (chosen, if self.variants.len() > 1 { reason } else { Reason::Static })
    }
}

impl CompiledVariant {
    fn is_for(&self, facts: &impl Facts) -> bool {
        self.overrides.iter().any(|(key, values)| facts.text(*key).is_some_and(|v| values.contains(v)))
    }
}

/// A number as decimal text without allocating.
struct Digits {
    bytes: [u8; 10],
    start: usize,
}

impl Digits {
    fn new(mut number: u32) -> Self {
        let mut bytes = [b'0'; 10];
        let mut start = bytes.len();
        loop {
            start -= 1;
            bytes[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { bytes, start };
            }
        }
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[self.start..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        for n in [0, 7, 10, 9_999, 10_000, u32::MAX] {
            assert_eq!(Digits::new(n).as_str(), n.to_string());
        }
    }
}
