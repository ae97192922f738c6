//! The shapes of files whose things are changed key by key: people and flags. What a file does not say
//! stays as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenfold_flags::{
    Contingency, DEFAULT_PROJECT, Dependency, Flag, FlagEnvironment, Kind, OptIn, Share, Strategy, ValueType, Variant,
};
use tenfold_types::Timestamp;

use crate::{
    Grant, Role,
    flags::{FlagEnvironmentUpdate, FlagUpdate, FlagView},
    people::{Contact, EnvironmentSettings, Person, PersonKind, PersonUpdate},
};

/// What is not said stays: a file that only names an environment takes nothing back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EnvironmentFile {
    four_eyes: Option<bool>,
}

impl EnvironmentFile {
    pub(super) fn over(self, current: EnvironmentSettings) -> EnvironmentSettings {
        EnvironmentSettings { four_eyes: self.four_eyes.unwrap_or(current.four_eyes) }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PersonFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<PersonKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grants: Option<Vec<Grant>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    teams: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Contact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
}

impl PersonFile {
    pub(super) fn of(person: Person) -> Self {
        Self {
            name: Some(person.name),
            kind: Some(person.kind),
            timezone: Some(person.timezone),
            role: Some(person.role),
            grants: Some(person.grants),
            teams: Some(person.teams),
            contact: Some(person.contact),
            disabled: Some(person.disabled),
        }
    }

    pub(super) fn over(self, current: Self) -> Self {
        let contact = self.contact.map(|mut contact| {
            contact.keep_hidden(&current.contact.clone().unwrap_or_default());
            contact
        });
        Self {
            name: self.name.or(current.name),
            kind: self.kind.or(current.kind),
            timezone: self.timezone.or(current.timezone),
            role: self.role.or(current.role),
            grants: self.grants.or(current.grants),
            teams: self.teams.or(current.teams),
            contact: contact.or(current.contact),
            disabled: self.disabled.or(current.disabled),
        }
    }

    pub(super) fn update(self) -> PersonUpdate {
        let Self { name, kind, timezone, role, grants, teams, contact, disabled } = self;
        PersonUpdate { name, kind, timezone, role, grants, teams, contact, disabled, password: None }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FlagFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_type: Option<ValueType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impression_data: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    marked_stale: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opt_in: Option<OptIn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contingency: Option<Contingency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dependencies: Option<Vec<Dependency>>,
    pub(super) environments: BTreeMap<String, FlagStateFile>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FlagStateFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    off_value: Option<Value>,
    /// Instead of `strategies`: one percentage for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout_percent: Option<Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strategies: Option<Vec<Strategy>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<Vec<Variant>>,
}

impl FlagFile {
    pub(super) fn of(view: FlagView) -> Self {
        let key = view.key;
        let environments = view.environments.into_iter().map(|(name, state)| {
            let state = FlagEnvironment {
                enabled: state.enabled,
                off_value: state.off_value,
                strategies: state.strategies,
                variants: state.variants,
                ..FlagEnvironment::default()
            };
            (name, FlagStateFile::of(&key, state))
        });
        Self {
            environments: environments.filter_map(|(name, state)| Some((name, state?))).collect(),
            project: Some(view.project),
            description: Some(view.description),
            kind: Some(view.kind),
            owner: Some(view.owner),
            expires_at: view.expires_at,
            value_type: Some(view.value_type),
            impression_data: Some(view.impression_data),
            tags: (!view.tags.is_empty()).then_some(view.tags),
            marked_stale: view.marked_stale.then_some(true),
            lifetime_days: view.lifetime_days.filter(|days| Some(*days) != view.kind.lifetime_days()),
            opt_in: view.opt_in,
            contingency: view.contingency,
            dependencies: Some(view.dependencies),
        }
    }

    /// This file over what is there, in the form in which flags are kept.
    pub(super) fn over(self, key: &str, current: Self) -> Self {
        let mut flag = Flag::new(key);
        flag.value_type = self.value_type.or(current.value_type).unwrap_or_default();
        let mut states = current.environments;
        for (name, state) in self.environments {
            let below = states.remove(&name).unwrap_or_default();
            states.insert(name, state.over(below));
        }
        flag.environments = states.into_iter().map(|(name, state)| (name, state.state(key))).collect();
        flag.normalize();
        let environments = flag.environments.into_iter();
        Self {
            environments: environments.filter_map(|(n, s)| Some((n, FlagStateFile::of(key, s)?))).collect(),
            project: self.project.or(current.project).or_else(|| Some(DEFAULT_PROJECT.into())),
            description: self.description.or(current.description),
            kind: self.kind.or(current.kind),
            owner: self.owner.or(current.owner),
            expires_at: self.expires_at.or(current.expires_at),
            value_type: Some(flag.value_type),
            impression_data: self.impression_data.or(current.impression_data),
            tags: self.tags.or(current.tags),
            marked_stale: self.marked_stale.or(current.marked_stale),
            lifetime_days: self.lifetime_days.or(current.lifetime_days),
            opt_in: self.opt_in.or(current.opt_in),
            contingency: self.contingency.or(current.contingency),
            dependencies: self.dependencies.or(current.dependencies),
        }
    }

    pub(super) fn update(self, key: &str) -> FlagUpdate {
        let environments = self.environments.into_iter().map(|(name, file)| {
            let state = file.state(key);
            let update = FlagEnvironmentUpdate {
                enabled: Some(state.enabled),
                off_value: Some(state.off_value),
                strategies: Some(state.strategies),
                variants: Some(state.variants),
                rollout_percent: None,
            };
            (name, update)
        });
        FlagUpdate {
            environments: environments.collect(),
            project: self.project,
            description: self.description,
            kind: self.kind,
            owner: self.owner,
            expires_at: self.expires_at.map(Some),
            value_type: self.value_type,
            impression_data: self.impression_data,
            tags: self.tags,
            marked_stale: self.marked_stale,
            lifetime_days: self.lifetime_days.map(Some),
            opt_in: self.opt_in.map(Some),
            contingency: self.contingency.map(Some),
            dependencies: self.dependencies,
        }
    }
}

impl FlagStateFile {
    /// `None` where nobody configured anything.
    fn of(key: &str, state: FlagEnvironment) -> Option<Self> {
        if state == FlagEnvironment::default() {
            return None;
        }
        let share = state.share();
        let simple = share.filter(|s| FlagEnvironment::with_share(key, *s).strategies == state.strategies);
        Some(Self {
            enabled: Some(state.enabled),
            off_value: state.off_value,
            rollout_percent: simple,
            strategies: simple.is_none().then_some(state.strategies),
            variants: (!state.variants.is_empty()).then_some(state.variants),
        })
    }

    fn over(self, current: Self) -> Self {
        let told = self.rollout_percent.is_some() || self.strategies.is_some();
        let (rollout_percent, strategies) = if told {
            (self.rollout_percent.filter(|_| self.strategies.is_none()), self.strategies)
        } else {
            (current.rollout_percent, current.strategies)
        };
        Self {
            enabled: self.enabled.or(current.enabled),
            off_value: self.off_value.or(current.off_value),
            rollout_percent,
            strategies,
            variants: self.variants.or(current.variants),
        }
    }

    fn state(self, key: &str) -> FlagEnvironment {
        let rollout = self.rollout_percent.map(|s| FlagEnvironment::with_share(key, s).strategies);
        FlagEnvironment {
            enabled: self.enabled.unwrap_or_default(),
            off_value: self.off_value,
            strategies: self.strategies.or(rollout).unwrap_or_default(),
            variants: self.variants.unwrap_or_default(),
            ..FlagEnvironment::default()
        }
    }
}
