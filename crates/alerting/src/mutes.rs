//! Mutes: matchers that keep alerts from telling anybody for a while, each with an author, a reason and an end.
//!
//! One type has three forms. A silence is somebody's answer to noise, a downtime is planned for something, a maintenance
//! comes back by time intervals (each Sunday from 02:00 to 04:00) until it ends.

use serde::{Deserialize, Serialize};
use tenfold_types::{Labels, Matcher, Timestamp};

use crate::{MatcherSet, intervals::TimeInterval};

pub const REASON_BYTES_MAX: usize = 1_000;
/// Time intervals of one recurring mute.
pub const RECURRENCES_MAX: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MuteKind {
    #[default]
    Silence,
    Downtime,
    Maintenance,
}

impl MuteKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Downtime => "downtime",
            Self::Maintenance => "maintenance",
        }
    }
}

/// A mute as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MuteSpec {
    #[serde(default)]
    pub kind: MuteKind,
    pub matchers: Vec<Matcher>,
    pub author: String,
    pub reason: String,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// It holds only inside these, between its start and its end; always when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recurs: Vec<TimeInterval>,
}

/// A checked mute.
#[derive(Debug, Clone)]
pub struct Mute {
    pub id: String,
    pub spec: MuteSpec,
    matchers: MatcherSet,
}

impl Mute {
    /// Checks a mute.
    ///
    /// # Errors
    /// One sentence saying what is missing or wrong.
    pub fn new(id: impl Into<String>, spec: MuteSpec) -> Result<Self, String> {
        let matchers = MatcherSet::new(&spec.matchers)?;
        if spec.author.trim().is_empty() {
            return Err("a mute has an author".to_owned());
        }
        let reason = spec.reason.trim();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(format!("a mute has a reason of 1 to {REASON_BYTES_MAX} bytes"));
        }
        if spec.starts_at >= spec.ends_at {
            return Err("a mute ends after it starts".to_owned());
        }
        match spec.kind {
            MuteKind::Maintenance if spec.recurs.is_empty() => {
                return Err("a maintenance says by time intervals when it comes back; once is a downtime".to_owned());
            }
            MuteKind::Silence | MuteKind::Downtime if !spec.recurs.is_empty() => {
                return Err(format!("a {} does not come back; that is a maintenance", spec.kind.as_str()));
            }
            _ if spec.recurs.len() > RECURRENCES_MAX => {
                return Err(format!("a mute has at most {RECURRENCES_MAX} time intervals"));
            }
            _ => {}
        }
        Ok(Self { id: id.into(), spec, matchers })
    }

    /// Whether it is in force at `at`.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.spec.starts_at <= at
            && at < self.spec.ends_at
            && (self.spec.recurs.is_empty() || self.spec.recurs.iter().any(|i| i.contains(at)))
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.matches(labels)
    }
}
