//! A rotation: the k-th handoff is the anchor plus k times the shift length in civil time, made an instant in the
//! schedule's zone. Where clocks go back (a fold) the earlier instant counts; where they go forward (a gap) the first
//! instant after it. So handoffs never change their order.

use jiff::{
    Span, Timestamp as Instant,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tenfold_types::Timestamp;

pub const PEOPLE_PER_ROTATION_MAX: usize = 100;
/// Units in one shift.
const COUNT_MAX: i64 = 366;
const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Hour,
    Day,
    Week,
    /// From the 29th on a shorter month takes its last day.
    Month,
}

/// How long a shift lasts, written `12h`, `1d`, `1w` or `1mo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShiftLength {
    pub count: i64,
    pub unit: Unit,
}

impl ShiftLength {
    /// # Errors
    /// One sentence with examples.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a shift length; write it like 12h, 1d, 1w or 1mo (at most {COUNT_MAX} units)");
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: i64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit = match &text[digits..] {
            "h" => Unit::Hour,
            "d" => Unit::Day,
            "w" => Unit::Week,
            "mo" => Unit::Month,
            _ => return Err(wrong()),
        };
        if (1..=COUNT_MAX).contains(&count) { Ok(Self { count, unit }) } else { Err(wrong()) }
    }

    fn times(self, k: i64) -> Option<Span> {
        let n = self.count.checked_mul(k)?;
        match self.unit {
            Unit::Hour => Span::new().try_hours(n),
            Unit::Day => Span::new().try_days(n),
            Unit::Week => Span::new().try_weeks(n),
            Unit::Month => Span::new().try_months(n),
        }
        .ok()
    }
}

impl std::fmt::Display for ShiftLength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.unit {
            Unit::Hour => "h",
            Unit::Day => "d",
            Unit::Week => "w",
            Unit::Month => "mo",
        };
        write!(f, "{}{unit}", self.count)
    }
}

impl Serialize for ShiftLength {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ShiftLength {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// What a shift of hours is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The clock on the wall: a handoff stays at its hour, and a shift over a change of clocks is longer or shorter.
    #[default]
    Wall,
    /// Hours that pass: every shift is as long as every other, and handoffs move by an hour when the clocks change.
    Elapsed,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_wall(basis: &Basis) -> bool {
    matches!(*basis, Basis::Wall)
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Login names in their order. The first has the shift that begins at `start`.
    pub people: Vec<String>,
    /// The anchor, in the schedule's time zone: `2026-11-23T09:00:00`.
    pub start: DateTime,
    pub shift_length: ShiftLength,
    /// Of shifts in hours; days, weeks and months follow the clock.
    #[serde(default, skip_serializing_if = "is_wall")]
    pub basis: Basis,
}

impl Rotation {
    /// Milliseconds of a shift whose hours are counted as they pass.
    fn elapsed_ms(&self) -> Option<i64> {
        let counted = self.basis == Basis::Elapsed && self.shift_length.unit == Unit::Hour;
        counted.then(|| self.shift_length.count.saturating_mul(HOUR_MS))
    }

    /// Civil time of the k-th handoff by the clock; `None` beyond the years 1 to 9999.
    pub fn civil_handoff(&self, k: i64) -> Option<DateTime> {
        self.start.checked_add(self.shift_length.times(k)?).ok()
    }

    /// Instant of the k-th handoff; `None` beyond the calendar.
    pub fn handoff(&self, zone: &TimeZone, k: i64) -> Option<Timestamp> {
        if let Some(length_ms) = self.elapsed_ms() {
            return Some(Timestamp(resolve(zone, self.start)?.millis().checked_add(length_ms.checked_mul(k)?)?));
        }
        resolve(zone, self.civil_handoff(k)?)
    }

    /// The number of the shift that holds at `at`: the last k whose handoff is not after it. Negative before the
    /// anchor; `None` beyond the calendar.
    pub fn shift_at(&self, zone: &TimeZone, at: Timestamp) -> Option<i64> {
        if let Some(length_ms) = self.elapsed_ms() {
            return Some(at.since_ms(resolve(zone, self.start)?).div_euclid(length_ms.max(1)));
        }
        let civil = Instant::from_millisecond(at.millis()).ok()?.to_zoned(zone.clone()).datetime();
        let hours = civil.duration_since(self.start).as_hours();
        let length = self.shift_length.count;
        let mut k = match self.shift_length.unit {
            Unit::Hour => hours.div_euclid(length),
            Unit::Day => hours.div_euclid(24 * length),
            Unit::Week => hours.div_euclid(7 * 24 * length),
            Unit::Month => {
                let months = |d: DateTime| i64::from(d.year()) * 12 + i64::from(d.month());
                (months(civil) - months(self.start)).div_euclid(length)
            }
        };
        // The estimate is off by a few at most: clamped months, folds and gaps.
        while self.handoff(zone, k)? > at {
            k -= 1;
        }
        while self.handoff(zone, k + 1)? <= at {
            k += 1;
        }
        Some(k)
    }

    /// Who has the k-th shift.
    pub fn person(&self, k: i64) -> Option<&str> {
        let n = i64::try_from(self.people.len()).ok().filter(|n| *n > 0)?;
        self.people.get(k.rem_euclid(n) as usize).map(String::as_str)
    }
}

/// Fold: the earlier instant. Gap: the first instant after it.
pub(crate) fn resolve(zone: &TimeZone, civil: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let instant = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok()?,
        AmbiguousOffset::Gap { .. } => {
            // `earlier` reads the missing clock time with the offset after the gap, which lands just before it.
            let before = ambiguous.earlier().ok()?;
            zone.following(before).next()?.timestamp()
        }
    };
    Some(Timestamp(instant.as_millisecond()))
}
