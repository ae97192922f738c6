//! A schedule's plan: its layers and what else holds until somebody changes it. A plan never changes; a change is a new
//! version of the schedule.

use std::collections::BTreeSet;

use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::{
    calendar::{CALENDAR_LAYER, Calendar},
    layer::{Layer, RESTRICTIONS_PER_LAYER_MAX},
    rotation::{Basis, PEOPLE_PER_ROTATION_MAX, Rotation, Unit},
};

pub const LAYERS_MAX: usize = 20;
pub const SHADOWS_MAX: usize = 50;
pub const FALLBACK_PEOPLE_MAX: usize = 10;
pub const HOLIDAYS_MAX: usize = 1_000;
pub const MIN_REST_HOURS_MAX: u32 = 168;
const LAYER_NAME_CHARS_MAX: usize = 63;
/// What the layer of a plan written as one rotation is called.
const ONLY_LAYER: &str = "rotation";

/// Somebody who learns: paged in copy of whoever is on call, never alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    pub person: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

impl Shadow {
    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at < end)
    }
}

/// Who is told at a handoff what the shift before was like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandoffDigest {
    /// Whoever comes on call is told.
    pub digest: bool,
    /// An account that is told as well: a room's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

impl Default for HandoffDigest {
    fn default() -> Self {
        Self { digest: true, channel: None }
    }
}

impl HandoffDigest {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Plan {
    /// IANA name; the zone of layers that name none.
    pub timezone: String,
    /// Of two that hold at once, the later one in the list covers the earlier.
    pub layers: Vec<Layer>,
    /// Followed; whoever has a shift in it covers all layers. With one there may be no layer.
    pub calendar: Option<Calendar>,
    /// On call when nobody else is.
    pub fallback: Vec<String>,
    pub shadows: Vec<Shadow>,
    /// Less than this between two shifts of one person is warned of.
    pub min_rest_hours: Option<u32>,
    /// A change that leaves less is refused, unless it begins at once.
    pub enforce_rest: bool,
    /// Counted apart in the fairness figures.
    pub holidays: Vec<Date>,
    pub handoff: HandoffDigest,
}

/// As it is written: one rotation alone, or layers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    timezone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation: Option<Rotation>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calendar: Option<Calendar>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fallback: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shadows: Vec<Shadow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_rest_hours: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    enforce_rest: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holidays: Vec<Date>,
    #[serde(default, skip_serializing_if = "HandoffDigest::is_usual")]
    handoff: HandoffDigest,
}

impl TryFrom<Form> for Plan {
    type Error = String;
    fn try_from(form: Form) -> Result<Self, String> {
        let layers = match (form.rotation, form.layers) {
            (Some(rotation), layers) if layers.is_empty() => vec![Layer::only(rotation)],
            (None, layers) if !layers.is_empty() || form.calendar.is_some() => layers,
            _ => return Err("a schedule has either `rotation` or `layers`, or a `calendar`".to_owned()),
        };
        Ok(Self {
            timezone: form.timezone,
            layers,
            calendar: form.calendar,
            fallback: form.fallback,
            shadows: form.shadows,
            min_rest_hours: form.min_rest_hours,
            enforce_rest: form.enforce_rest,
            holidays: form.holidays,
            handoff: form.handoff,
        })
    }
}

impl From<Plan> for Form {
    fn from(plan: Plan) -> Self {
        let mut layers = plan.layers;
        let plain = matches!(layers.as_slice(), [only] if *only == Layer::only(only.rotation.clone()));
        let rotation = if plain { layers.pop().map(|l| l.rotation) } else { None };
        Self {
            timezone: plan.timezone,
            rotation,
            layers,
            calendar: plan.calendar,
            fallback: plan.fallback,
            shadows: plan.shadows,
            min_rest_hours: plan.min_rest_hours,
            enforce_rest: plan.enforce_rest,
            holidays: plan.holidays,
            handoff: plan.handoff,
        }
    }
}

impl Layer {
    /// The one layer of a plan that is a rotation and nothing else.
    pub fn only(rotation: Rotation) -> Self {
        let name = ONLY_LAYER.to_owned();
        Self { name, timezone: None, rotation, restrictions: Vec::new(), start: None, end: None }
    }
}

impl Plan {
    /// The plan as it is kept and shown: see [`Calendar::hidden`].
    pub fn hidden(&self) -> Self {
        Self { calendar: self.calendar.as_ref().map(Calendar::hidden), ..self.clone() }
    }

    /// A plan of one rotation.
    pub fn of_rotation(timezone: &str, rotation: Rotation) -> Self {
        Self {
            timezone: timezone.to_owned(),
            layers: vec![Layer::only(rotation)],
            calendar: None,
            fallback: Vec::new(),
            shadows: Vec::new(),
            min_rest_hours: None,
            enforce_rest: false,
            holidays: Vec::new(),
            handoff: HandoffDigest::default(),
        }
    }

    /// Everybody the plan names, each once. Those of its calendar are known to the schedule.
    pub fn people(&self) -> BTreeSet<&str> {
        let rotations = self.layers.iter().flat_map(|l| &l.rotation.people);
        let shadows = self.shadows.iter().map(|s| &s.person);
        rotations.chain(&self.fallback).chain(shadows).map(String::as_str).collect()
    }

    /// # Errors
    /// One sentence naming what is wrong and the limit.
    pub fn check(&self) -> Result<(), String> {
        zone(&self.timezone)?;
        at_most("layers", self.layers.len(), LAYERS_MAX)?;
        at_most("shadows", self.shadows.len(), SHADOWS_MAX)?;
        at_most("people as fallback", self.fallback.len(), FALLBACK_PEOPLE_MAX)?;
        at_most("holidays", self.holidays.len(), HOLIDAYS_MAX)?;
        if self.layers.is_empty() && self.calendar.is_none() {
            return Err("a schedule has at least one layer, or a calendar".to_owned());
        }
        self.calendar.as_ref().map_or(Ok(()), Calendar::check)?;
        if self.enforce_rest && self.min_rest_hours.is_none() {
            return Err("enforce_rest needs min_rest_hours: say how long people rest".to_owned());
        }
        if let Some(hours) = self.min_rest_hours.filter(|h| *h == 0 || *h > MIN_REST_HOURS_MAX) {
            return Err(format!(
                "min_rest_hours is 1 to {MIN_REST_HOURS_MAX}, not {hours}; leave it out for no warning"
            ));
        }
        let backwards = |start: Option<Timestamp>, end: Option<Timestamp>| start.zip(end).is_some_and(|(s, e)| e <= s);
        if let Some(shadow) = self.shadows.iter().find(|s| backwards(s.start, s.end)) {
            return Err(format!("the shadow {} ends before it begins", shadow.person));
        }
        let mut names = BTreeSet::new();
        for layer in &self.layers {
            let name = &layer.name;
            let count = name.chars().count();
            if !(1..=LAYER_NAME_CHARS_MAX).contains(&count) || name.chars().any(char::is_control) {
                return Err(format!("the name of a layer has 1 to {LAYER_NAME_CHARS_MAX} characters, not {count}"));
            }
            if self.calendar.is_some() && name == CALENDAR_LAYER {
                return Err(format!("a layer cannot be called `{name}` where a calendar is followed"));
            }
            if !names.insert(name) {
                return Err(format!("two layers are called `{name}`; give each its own name"));
            }
            let said =
                |message: String| if self.layers.len() == 1 { message } else { format!("layer `{name}`: {message}") };
            if backwards(layer.start, layer.end) {
                return Err(said("it ends before it begins".to_owned()));
            }
            at_most("restrictions", layer.restrictions.len(), RESTRICTIONS_PER_LAYER_MAX).map_err(said)?;
            let people = layer.rotation.people.len();
            if !(1..=PEOPLE_PER_ROTATION_MAX).contains(&people) {
                return Err(said(format!(
                    "a rotation has 1 to {PEOPLE_PER_ROTATION_MAX} people, this one has {people}"
                )));
            }
            if layer.rotation.basis == Basis::Elapsed && layer.rotation.shift_length.unit != Unit::Hour {
                let length = layer.rotation.shift_length;
                return Err(said(format!("`basis: elapsed` is for shifts of hours, like 12h, not {length}")));
            }
            let zone = self.zone_of(layer).map_err(said)?;
            if layer.rotation.shift_at(&zone, Timestamp(0)).is_none() {
                return Err(said(format!("the start {} is too far from our time", layer.rotation.start)));
            }
        }
        Ok(())
    }

    pub(crate) fn zone_of(&self, layer: &Layer) -> Result<TimeZone, String> {
        zone(layer.timezone.as_ref().unwrap_or(&self.timezone))
    }
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!("`{name}` is not a time zone; write an IANA name like Europe/Berlin, America/Chicago or UTC")
    })
}

fn at_most(what: &str, count: usize, max: usize) -> Result<(), String> {
    if count > max { Err(format!("there are at most {max} {what}, not {count}")) } else { Ok(()) }
}
