//! Mutes: matchers that keep alerts from telling anybody for a while, each with an author, a reason and an end.
//!
//! One type has four forms. A silence is somebody's answer to noise, a downtime is planned for something, a maintenance
//! comes back by time intervals (each Sunday from 02:00 to 04:00) until it ends. A deploy's mute covers the alerts that its
//! pipeline file names, for minutes, and never outlives the deploy.

use serde::{Deserialize, Serialize};
use tenfold_types::{Labels, Matcher, MatcherOp, Timestamp};

use crate::{MatcherSet, intervals::TimeInterval};

pub const REASON_BYTES_MAX: usize = 1_000;
/// Time intervals of one recurring mute.
pub const RECURRENCES_MAX: usize = 20;
/// The longest mute of a deploy.
pub const DEPLOY_MUTE_MS_MAX: i64 = 15 * 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MuteKind {
    #[default]
    Silence,
    Downtime,
    Maintenance,
    Deploy,
}

impl MuteKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Downtime => "downtime",
            Self::Maintenance => "maintenance",
            Self::Deploy => "deploy",
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
    /// The deploy that it ends with; of the form `deploy` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<i64>,
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
            MuteKind::Silence | MuteKind::Downtime | MuteKind::Deploy if !spec.recurs.is_empty() => {
                return Err(format!("a {} does not come back; that is a maintenance", spec.kind.as_str()));
            }
            MuteKind::Deploy => check_deploy(&spec)?,
            _ if spec.deploy.is_some() => {
                return Err(format!("a {} is bound to no deploy", spec.kind.as_str()));
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

/// Whatever a deploy breaks that nobody foresaw must page; so it covers alerts by their names alone.
fn check_deploy(spec: &MuteSpec) -> Result<(), String> {
    if spec.deploy.is_none() {
        return Err("a deploy's mute names the deploy that it ends with".to_owned());
    }
    if spec.ends_at.since_ms(spec.starts_at) > DEPLOY_MUTE_MS_MAX {
        return Err(format!("a deploy's mute lasts at most {} minutes", DEPLOY_MUTE_MS_MAX / 60_000));
    }
    let names = spec.matchers.iter().any(|m| match m.op {
        MatcherOp::Equal => m.name == "alertname" && !m.value.is_empty(),
        MatcherOp::Regex => m.name == "alertname" && m.value.split('|').all(is_alert_name),
        MatcherOp::NotEqual | MatcherOp::NotRegex => false,
    });
    if names { Ok(()) } else { Err("a deploy's mute covers alerts by their names only".to_owned()) }
}

/// A name that means itself in a regular expression too.
pub fn is_alert_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-' | b' ');
    !name.trim().is_empty() && name.len() <= 200 && name.bytes().all(plain)
}
