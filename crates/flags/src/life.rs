//! How long a flag should live, and whether it has had its day.
//!
//! A flag that nobody removes is a branch that nobody tests. Nothing here removes one: it says why a flag looks finished,
//! with the figures, and a person decides.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::{Flag, Kind};

const DAY_MS: i64 = 86_400_000;

/// The longest lifetime somebody may set.
pub const LIFETIME_DAYS_MAX: u32 = 3_650;

/// How many days without change, or without a question, make a flag look finished.
pub const QUIET_DAYS: u32 = 14;

impl Kind {
    /// How many days a flag of this kind is expected to live; `None` for those that stay. Unleash's figures.
    pub const fn lifetime_days(self) -> Option<u32> {
        match self {
            Self::Release | Self::Experiment | Self::Shadow => Some(40),
            Self::Operational => Some(7),
            Self::KillSwitch | Self::Permission => None,
        }
    }

    /// Whether such a flag goes once everybody has it.
    const fn is_temporary(self) -> bool {
        matches!(self, Self::Release | Self::Experiment | Self::Shadow)
    }
}

/// Why a flag looks finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "why", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", schema(as = FlagStaleReason))]
pub enum StaleReason {
    /// Somebody said so.
    Marked,
    /// It is older than its kind lives.
    PastLifetime { age_days: i64, lifetime_days: u32 },
    /// The date that somebody set for it is over.
    Expired {
        #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
        expired_at: Timestamp,
    },
    /// Everybody has got it, wherever it is configured, and nobody has changed it since.
    OnForEverybody { days: i64 },
    /// No client has asked for it.
    NotAsked {
        /// Absent: never since the server counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days: Option<i64>,
    },
}

impl StaleReason {
    /// One clause a person would say.
    pub fn sentence(&self) -> String {
        match self {
            Self::Marked => "it is marked as stale".into(),
            Self::PastLifetime { age_days, lifetime_days } => {
                format!("it is {age_days} days old and was expected to live {lifetime_days}")
            }
            Self::Expired { expired_at } => format!("its date was {expired_at}"),
            Self::OnForEverybody { days } => format!("everybody has had it for {days} days"),
            Self::NotAsked { days: Some(days) } => format!("no client has asked for it for {days} days"),
            Self::NotAsked { days: None } => "no client has ever asked for it".into(),
        }
    }
}

/// What is known of a flag's use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// When a client last asked, in any environment.
    pub asked_at: Option<Timestamp>,
    /// Since when questions have been counted; before that nothing is known.
    pub counted_since: Option<Timestamp>,
}

impl Flag {
    /// How many days it is expected to live; `None` for one that stays.
    pub fn lifetime_days_expected(&self) -> Option<u32> {
        match self.lifetime_days {
            Some(0) => None,
            Some(days) => Some(days),
            None => self.kind.lifetime_days(),
        }
    }

    /// Why it looks finished; empty for one that does not.
    pub fn stale_reasons(&self, used: Use, now: Timestamp) -> Vec<StaleReason> {
        let mut out = Vec::new();
        if self.marked_stale {
            out.push(StaleReason::Marked);
        }
        let age_days = days_between(self.created_at, now);
        if let Some(lifetime_days) = self.lifetime_days_expected().filter(|days| age_days > i64::from(*days)) {
            out.push(StaleReason::PastLifetime { age_days, lifetime_days });
        }
        if let Some(expired_at) = self.expires_at.filter(|at| *at <= now) {
            out.push(StaleReason::Expired { expired_at });
        }
        let quiet = |days: &i64| *days >= i64::from(QUIET_DAYS);
        out.extend(self.on_for_everybody_days(now).filter(quiet).map(|days| StaleReason::OnForEverybody { days }));
        // A kill switch that nobody asks for is no longer in the code either.
        let unasked = match (used.asked_at, used.counted_since) {
            (Some(at), _) => {
                Some(days_between(at, now)).filter(quiet).map(|days| StaleReason::NotAsked { days: Some(days) })
            }
            (None, Some(since)) => {
                let watched = days_between(since.max(self.created_at), now);
                Some(watched).filter(quiet).map(|_| StaleReason::NotAsked { days: None })
            }
            // Nothing is known, and that is not read as unused.
            (None, None) => None,
        };
        out.extend(unasked);
        out
    }

    /// For how many days it has been on for everybody in each environment that is configured.
    fn on_for_everybody_days(&self, now: Timestamp) -> Option<i64> {
        let whole = |s: &crate::FlagEnvironment| s.enabled && s.variants.is_empty() && s.rollout_percent() == Some(100);
        if !self.kind.is_temporary() || !self.environments.values().all(whole) {
            return None;
        }
        let since = self.environments.values().map(|s| s.updated_at).max()?;
        Some(days_between(since, now))
    }
}

fn days_between(from: Timestamp, to: Timestamp) -> i64 {
    to.since_ms(from).max(0) / DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FlagEnvironment;

    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    fn ago(days: i64) -> Timestamp {
        Timestamp(NOW.0 - days * DAY_MS)
    }

    fn flag(kind: Kind, age_days: i64) -> Flag {
        Flag { kind, created_at: ago(age_days), ..Flag::new("f") }
    }

    fn why(flag: &Flag, used: Use) -> Vec<String> {
        flag.stale_reasons(used, NOW).iter().map(StaleReason::sentence).collect()
    }

    #[test]
    fn a_lifetime_is_the_kinds_unless_somebody_set_it() {
        let nothing = Use::default();
        for (kind, age, stale) in [
            (Kind::Release, 40, false),
            (Kind::Release, 41, true),
            (Kind::Experiment, 41, true),
            (Kind::Shadow, 41, true),
            (Kind::Operational, 8, true),
            (Kind::KillSwitch, 4_000, false),
            (Kind::Permission, 4_000, false),
        ] {
            assert_eq!(!why(&flag(kind, age), nothing).is_empty(), stale, "{kind:?} of {age} days");
        }
        let mut own = flag(Kind::Release, 100);
        own.lifetime_days = Some(0);
        assert_eq!(why(&own, nothing), Vec::<String>::new(), "0 is for ever");
        own.lifetime_days = Some(90);
        assert_eq!(why(&own, nothing), ["it is 100 days old and was expected to live 90"]);
    }

    #[test]
    fn on_for_everybody_is_everywhere_and_for_long() {
        let on = |percent, days| FlagEnvironment { updated_at: ago(days), ..FlagEnvironment::rollout("f", percent) };
        let with = |states: &[(&str, FlagEnvironment)], kind| {
            let mut flag = flag(kind, 30);
            flag.environments = states.iter().map(|(n, s)| ((*n).to_owned(), s.clone())).collect();
            why(&flag, Use::default())
        };
        let said = ["everybody has had it for 15 days"];
        assert_eq!(with(&[("a", on(100, 15)), ("b", on(100, 20))], Kind::Release), said);
        let none = Vec::<String>::new();
        assert_eq!(with(&[("a", on(100, 13))], Kind::Release), none, "13 days are too few");
        assert_eq!(with(&[("a", on(100, 15)), ("b", on(99, 15))], Kind::Release), none);
        assert_eq!(with(&[("a", FlagEnvironment { enabled: false, ..on(100, 15) })], Kind::Release), none);
        assert_eq!(with(&[("a", on(100, 15))], Kind::KillSwitch), none, "a switch is meant to be on");
        assert_eq!(with(&[], Kind::Release), none, "configured nowhere");
    }

    #[test]
    fn not_asked_needs_somebody_who_counted() {
        let flag = flag(Kind::KillSwitch, 30);
        assert_eq!(why(&flag, Use::default()), Vec::<String>::new(), "not known is not unused");
        let since = |days| Use { counted_since: Some(ago(days)), asked_at: None };
        assert_eq!(why(&flag, since(13)), Vec::<String>::new());
        assert_eq!(why(&flag, since(14)), ["no client has ever asked for it"]);
        let asked = |days| Use { counted_since: Some(ago(100)), asked_at: Some(ago(days)) };
        assert_eq!(why(&flag, asked(2)), Vec::<String>::new());
        assert_eq!(why(&flag, asked(20)), ["no client has asked for it for 20 days"]);
        let young = Flag { created_at: ago(3), ..flag };
        assert_eq!(why(&young, since(100)), Vec::<String>::new(), "it had no time to be asked");
    }
}
