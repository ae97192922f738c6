//! The routing tree as Alertmanager's: which receivers an alert goes to, how it is grouped, and when.
//!
//! A route without a value of its own takes its parent's; the time intervals are a route's own and are not inherited.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tenfold_types::{Labels, Matcher, MatcherOp, format_duration_ms, parse_duration_ms};

use crate::{MatcherSet, matchers::read_matchers, nothing::or_nothing};

pub const ROUTES_MAX: usize = 5_000;
pub const ROUTE_DEPTH_MAX: usize = 30;
/// Labels in one `group_by`.
const GROUP_BY_MAX: usize = 50;

/// A route as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_nothing")]
    pub matchers: Vec<String>,
    /// The old writing of `=` matchers.
    #[serde(default, rename = "match", skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_nothing")]
    pub equal: BTreeMap<String, String>,
    /// The old writing of `=~` matchers.
    #[serde(default, rename = "match_re", skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_nothing")]
    pub regex: BTreeMap<String, String>,
    #[serde(default, rename = "continue", skip_serializing_if = "std::ops::Not::not", deserialize_with = "or_nothing")]
    pub goes_on: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_nothing")]
    pub mute_time_intervals: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_nothing")]
    pub active_time_intervals: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_nothing")]
    pub routes: Vec<RouteSpec>,
}

/// The times a root route has when it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteDefaults {
    pub group_wait_ms: i64,
    pub group_interval_ms: i64,
    pub repeat_interval_ms: i64,
}

impl RouteDefaults {
    pub const ALERTMANAGER: Self =
        Self { group_wait_ms: 30_000, group_interval_ms: 300_000, repeat_interval_ms: 4 * 3_600_000 };
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// `...`: every alert is a group of its own.
    All,
    Labels(BTreeSet<String>),
}

#[derive(Debug, Clone)]
pub struct Route {
    /// Names the route by its place and matchers; stays the same while those do.
    pub key: String,
    pub receiver: String,
    pub matchers: MatcherSet,
    pub goes_on: bool,
    pub group_by: GroupBy,
    pub group_wait_ms: i64,
    pub group_interval_ms: i64,
    pub repeat_interval_ms: i64,
    pub mute_time_intervals: Vec<String>,
    pub active_time_intervals: Vec<String>,
    children: Vec<usize>,
}

impl Route {
    /// The labels that make an alert's group here.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => Labels::from_pairs(labels.iter().filter(|(name, _)| names.contains(*name))),
        }
    }
}

/// What is wrong with a routing configuration, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct RoutingError {
    /// Like `route.routes[2].matchers`.
    pub path: String,
    pub message: String,
}

pub(crate) fn wrong(path: impl Into<String>, message: impl Into<String>) -> RoutingError {
    RoutingError { path: path.into(), message: message.into() }
}

/// All routes; the first is the root.
#[derive(Debug, Clone)]
pub struct RouteTree(Vec<Route>);

/// What a tree may refer to.
pub(crate) struct Names<'a> {
    pub receivers: &'a BTreeSet<String>,
    pub intervals: &'a BTreeSet<String>,
}

impl RouteTree {
    pub(crate) fn compile(root: &RouteSpec, names: &Names<'_>, defaults: RouteDefaults) -> Result<Self, RoutingError> {
        if root.receiver.as_ref().is_none_or(String::is_empty) {
            return Err(wrong("route.receiver", "the root route needs a receiver"));
        }
        if !root.matchers.is_empty() || !root.equal.is_empty() || !root.regex.is_empty() {
            return Err(wrong("route.matchers", "the root route takes every alert, it has no matchers"));
        }
        if root.goes_on {
            return Err(wrong("route.continue", "nothing comes after the root route, it cannot continue"));
        }
        if !root.mute_time_intervals.is_empty() || !root.active_time_intervals.is_empty() {
            return Err(wrong("route", "the root route has no time intervals; put them on a route below it"));
        }
        let above = Route {
            key: String::new(),
            receiver: String::new(),
            matchers: MatcherSet::any(&[]).map_err(|e| wrong("route", e))?,
            goes_on: false,
            group_by: GroupBy::Labels(BTreeSet::new()),
            group_wait_ms: defaults.group_wait_ms,
            group_interval_ms: defaults.group_interval_ms,
            repeat_interval_ms: defaults.repeat_interval_ms,
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            children: Vec::new(),
        };
        let mut tree = Self(Vec::new());
        tree.add(root, &above, "route", String::new(), names, 0)?;
        Ok(tree)
    }

    fn add(
        &mut self,
        spec: &RouteSpec,
        parent: &Route,
        path: &str,
        place: String,
        names: &Names<'_>,
        depth: usize,
    ) -> Result<usize, RoutingError> {
        if self.0.len() >= ROUTES_MAX {
            return Err(wrong(path, format!("a tree has at most {ROUTES_MAX} routes")));
        }
        if depth > ROUTE_DEPTH_MAX {
            return Err(wrong(path, format!("routes nest at most {ROUTE_DEPTH_MAX} deep")));
        }
        let mut route = compile_one(spec, parent, path, names)?;
        route.key = format!("{}{place}{}", parent.key, route.matchers);
        let at = self.0.len();
        self.0.push(route.clone());
        for (i, child) in spec.routes.iter().enumerate() {
            let index = self.add(child, &route, &format!("{path}.routes[{i}]"), format!("/{i}"), names, depth + 1)?;
            self.0[at].children.push(index);
        }
        Ok(at)
    }

    pub fn routes(&self) -> &[Route] {
        &self.0
    }

    /// Each route behind those above it, from the root on.
    pub fn paths(&self) -> Vec<Vec<&Route>> {
        let mut out = Vec::with_capacity(self.0.len());
        let mut open: Vec<(usize, Vec<&Route>)> = vec![(0, Vec::new())];
        while let Some((at, mut path)) = open.pop() {
            let Some(route) = self.0.get(at) else { continue };
            path.push(route);
            open.extend(route.children.iter().map(|child| (*child, path.clone())));
            out.push(path);
        }
        out
    }

    pub fn by_key(&self, key: &str) -> Option<&Route> {
        self.0.iter().find(|r| r.key == key)
    }

    /// The routes an alert ends in, in the tree's order; never empty. `refused` is told of every route that was asked and
    /// did not match, with the matcher that failed.
    pub fn matching(&self, labels: &Labels, refused: &mut dyn FnMut(&Route, &Matcher)) -> Vec<&Route> {
        let mut found = Vec::new();
        self.walk(0, labels, &mut found, refused);
        found
    }

    fn walk<'a>(
        &'a self,
        at: usize,
        labels: &Labels,
        found: &mut Vec<&'a Route>,
        refused: &mut dyn FnMut(&Route, &Matcher),
    ) -> bool {
        let route = &self.0[at];
        if let Some(matcher) = route.matchers.failing(labels) {
            refused(route, matcher);
            return false;
        }
        let before = found.len();
        for child in &route.children {
            if self.walk(*child, labels, found, refused) && !self.0[*child].goes_on {
                break;
            }
        }
        if found.len() == before {
            found.push(route);
        }
        true
    }
}

fn compile_one(spec: &RouteSpec, parent: &Route, path: &str, names: &Names<'_>) -> Result<Route, RoutingError> {
    let mut route = parent.clone();
    route.children = Vec::new();
    route.goes_on = spec.goes_on;
    route.matchers = matchers(&spec.matchers, &spec.equal, &spec.regex, &format!("{path}.matchers"))?;
    if let Some(receiver) = spec.receiver.as_ref().filter(|r| !r.is_empty()) {
        if !names.receivers.contains(receiver) {
            return Err(wrong(format!("{path}.receiver"), format!("there is no receiver `{receiver}`")));
        }
        route.receiver.clone_from(receiver);
    }
    // For Alertmanager a list of nothing says nothing, so the parent's holds.
    if let Some(labels) = spec.group_by.as_ref().filter(|labels| !labels.is_empty()) {
        route.group_by = group_by(labels, &format!("{path}.group_by"))?;
    }
    let duration = |text: &Option<String>, key: &str, inherited: i64| match text {
        None => Ok(inherited),
        Some(text) => parse_duration_ms(text).map_err(|e| wrong(format!("{path}.{key}"), e)),
    };
    route.group_wait_ms = duration(&spec.group_wait, "group_wait", parent.group_wait_ms)?;
    route.group_interval_ms = duration(&spec.group_interval, "group_interval", parent.group_interval_ms)?;
    route.repeat_interval_ms = duration(&spec.repeat_interval, "repeat_interval", parent.repeat_interval_ms)?;
    for (key, ms) in [("group_interval", route.group_interval_ms), ("repeat_interval", route.repeat_interval_ms)] {
        if ms == 0 {
            return Err(wrong(format!("{path}.{key}"), format!("cannot be {}", format_duration_ms(0))));
        }
    }
    for (key, list) in
        [("mute_time_intervals", &spec.mute_time_intervals), ("active_time_intervals", &spec.active_time_intervals)]
    {
        if let Some(unknown) = list.iter().find(|name| !names.intervals.contains(*name)) {
            return Err(wrong(format!("{path}.{key}"), format!("there is no time interval `{unknown}`")));
        }
    }
    route.mute_time_intervals.clone_from(&spec.mute_time_intervals);
    route.active_time_intervals.clone_from(&spec.active_time_intervals);
    Ok(route)
}

fn group_by(labels: &[String], path: &str) -> Result<GroupBy, RoutingError> {
    if labels.len() > GROUP_BY_MAX {
        return Err(wrong(path, format!("at most {GROUP_BY_MAX} labels")));
    }
    if labels.iter().any(|l| l == "...") {
        return if labels.len() == 1 {
            Ok(GroupBy::All)
        } else {
            Err(wrong(path, "`...` means all labels, no others stand beside it"))
        };
    }
    let mut set = BTreeSet::new();
    for label in labels {
        if label.is_empty() {
            return Err(wrong(path, "a label's name is empty"));
        }
        if !set.insert(label.clone()) {
            return Err(wrong(path, format!("the label `{label}` is there twice")));
        }
    }
    Ok(GroupBy::Labels(set))
}

/// Matchers in the new and the two old writings, all of which must hold.
pub(crate) fn matchers(
    texts: &[String],
    equal: &BTreeMap<String, String>,
    regex: &BTreeMap<String, String>,
    path: &str,
) -> Result<MatcherSet, RoutingError> {
    let mut list: Vec<Matcher> = equal.iter().map(|(n, v)| Matcher::equal(n, v)).collect();
    list.extend(regex.iter().map(|(n, v)| Matcher::new(n, MatcherOp::Regex, v)));
    for text in texts {
        list.extend(read_matchers(text).map_err(|e| wrong(path, e))?);
    }
    // As Alertmanager sorts them, so that a route has one name whatever the order it was written in.
    list.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    MatcherSet::any(&list).map_err(|e| wrong(path, e))
}

#[cfg(test)]
mod tests {
    use tenfold_types::Labels;

    use crate::import_alertmanager;

    #[test]
    fn a_route_that_groups_by_nothing_groups_as_its_parent() {
        let file = "
route:
  receiver: r
  group_by: [service]
  routes:
  - {matchers: ['a=\"1\"'], group_by: []}
  - {matchers: ['a=\"2\"'], group_by: [host]}
  - {matchers: ['a=\"3\"'], group_by: ['...'], routes: [{group_by: []}]}
receivers: [{name: r}]
";
        let tree = import_alertmanager(file).unwrap().routing.tree;
        for (a, names) in [("0", "service"), ("1", "service"), ("2", "host"), ("3", "a host service")] {
            let labels = Labels::from_pairs([("a", a), ("host", "h"), ("service", "s")]);
            let group = tree.matching(&labels, &mut |_, _| {})[0].group_labels(&labels);
            let found: Vec<&str> = group.iter().map(|(name, _)| name).collect();
            assert_eq!(found.join(" "), names, "a={a}");
        }
    }
}
