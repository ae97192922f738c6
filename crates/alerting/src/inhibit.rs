//! Inhibition: while a source alert fires, its targets with the same `equal` labels stay quiet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_types::Labels;

use crate::{
    Fingerprint, MatcherSet,
    nothing::or_nothing,
    routes::{RoutingError, matchers, wrong},
};

pub const INHIBIT_RULES_MAX: usize = 1_000;

/// A rule as it is written, in the new and the old writing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InhibitSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_nothing")]
    pub source_matchers: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_nothing")]
    pub source_match: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_nothing")]
    pub source_match_re: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_nothing")]
    pub target_matchers: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_nothing")]
    pub target_match: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_nothing")]
    pub target_match_re: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_nothing")]
    pub equal: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct InhibitRule {
    pub name: String,
    pub source: MatcherSet,
    pub target: MatcherSet,
    pub equal: Vec<String>,
}

impl InhibitRule {
    pub(crate) fn compile(spec: &InhibitSpec, at: usize) -> Result<Self, RoutingError> {
        let path = format!("inhibit_rules[{at}]");
        let source = matchers(
            &spec.source_matchers,
            &spec.source_match,
            &spec.source_match_re,
            &format!("{path}.source_matchers"),
        )?;
        let target = matchers(
            &spec.target_matchers,
            &spec.target_match,
            &spec.target_match_re,
            &format!("{path}.target_matchers"),
        )?;
        if spec.equal.iter().any(String::is_empty) {
            return Err(wrong(format!("{path}.equal"), "a label's name is empty"));
        }
        Ok(Self { name: spec.name.clone().unwrap_or(path), source, target, equal: spec.equal.clone() })
    }

    /// The values of the `equal` labels. One that is missing on both sides is equal.
    pub(crate) fn equal_of<'a>(&self, labels: &'a Labels) -> Vec<Option<&'a str>> {
        self.equal.iter().map(|name| labels.get(name)).collect()
    }

    /// The source that keeps `target` quiet, among `sources` of the rule whose `equal` labels are those of `target`.
    ///
    /// An alert that matches both sides is not inhibited by another that matches both sides, itself included: otherwise
    /// such alerts would silence each other and nobody would hear of any.
    pub(crate) fn inhibits<'a>(
        &self,
        target: &Labels,
        sources: &[(Fingerprint, &'a Labels)],
    ) -> Option<(Fingerprint, &'a Labels)> {
        let both_sides = self.source.matches(target);
        sources.iter().find(|(_, source)| !(both_sides && self.target.matches(source))).copied()
    }
}
