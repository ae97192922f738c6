//! The kinds of things that stand in files.

use std::collections::BTreeMap;

use serde_json::Value;

/// In the order in which they are applied: what is referred to comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Environment,
    Person,
    Service,
    Schedule,
    Policy,
    Segment,
    Project,
    RampPlan,
    Flag,
    Permit,
    Rules,
    Routing,
    Check,
    AlertSource,
    Dashboard,
}

/// Everything by kind and name, each as the JSON of its shape.
pub(super) type Things = BTreeMap<(Kind, String), Value>;

impl Kind {
    const ALL: [Self; 15] = [
        Self::Environment,
        Self::Person,
        Self::Service,
        Self::Schedule,
        Self::Policy,
        Self::Segment,
        Self::Project,
        Self::RampPlan,
        Self::Flag,
        Self::Permit,
        Self::Rules,
        Self::Routing,
        Self::Check,
        Self::AlertSource,
        Self::Dashboard,
    ];

    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Environment => "environments",
            Self::Person => "people",
            Self::Service => "services",
            Self::Schedule => "schedules",
            Self::Policy => "policies",
            Self::Segment => "segments",
            Self::Project => "projects",
            Self::RampPlan => "ramp-plans",
            Self::Flag => "flags",
            Self::Permit => "permits",
            Self::Rules => "rules",
            Self::Routing => "routing",
            Self::Check => "checks",
            Self::AlertSource => "alert-sources",
            Self::Dashboard => "dashboards",
        }
    }

    /// The one name there is, of a kind of which there is one.
    pub(super) const fn only_name(self) -> Option<&'static str> {
        match self {
            Self::Routing => Some("alertmanager"),
            _ => None,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Person => "person",
            Self::Service => "service",
            Self::Schedule => "schedule",
            Self::Policy => "policy",
            Self::Segment => "segment",
            Self::Project => "project",
            Self::RampPlan => "ramp plan",
            Self::Flag => "flag",
            Self::Permit => "permit",
            Self::Rules => "rules",
            Self::Routing => "routing",
            Self::Check => "check",
            Self::AlertSource => "alert source",
            Self::Dashboard => "dashboard",
        }
    }

    /// The key by which a file may repeat its own name; none for rule files and the routing, whose formats are others'.
    pub(super) const fn name_key(self) -> Option<&'static str> {
        match self {
            Self::Person => Some("login"),
            Self::Segment => Some("id"),
            Self::Flag => Some("key"),
            Self::Permit => Some("job"),
            Self::Rules | Self::Routing => None,
            Self::Environment
            | Self::Service
            | Self::Schedule
            | Self::Policy
            | Self::Project
            | Self::RampPlan
            | Self::Check
            | Self::AlertSource
            | Self::Dashboard => Some("name"),
        }
    }

    /// Whether `prune` deletes what has no file.
    pub(super) const fn prunable(self) -> bool {
        !matches!(self, Self::Environment | Self::Person)
    }

    pub(super) fn of_folder(folder: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.folder() == folder)
    }

    pub(super) fn folders() -> String {
        Self::ALL.map(Self::folder).join(", ")
    }

    pub(super) fn path(self, name: &str) -> String {
        format!("{}/{name}.yaml", self.folder())
    }
}
