//! Which hosts and services a list of names means, and who is in a group.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use tenfold_types::pattern::anywhere;

use super::{DEPTH_MAX, Fields, list};

/// How names in lists of hosts, groups and services are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Matching {
    /// As they stand.
    #[default]
    Exact,
    /// `use_regexp_matching`: one with `*`, `?`, `+` or `\.` is a pattern, found anywhere in a name.
    Marked,
    /// `use_true_regexp_matching` beside it: each is a pattern.
    All,
}

/// One name of a list. `*` alone is every name.
pub(super) enum Wanted<'l> {
    Every,
    Name(&'l str),
    Pattern(Regex),
}

impl Wanted<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Name(wanted) => *wanted == name,
            Self::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

impl Matching {
    fn read(self, name: &str) -> Result<Wanted<'_>, String> {
        let marked = || name.contains(['*', '?', '+']) || name.contains("\\.");
        let is_pattern = match self {
            Self::Exact => false,
            Self::Marked => marked(),
            Self::All => true,
        };
        if name == "*" {
            return Ok(Wanted::Every);
        }
        if !is_pattern {
            return Ok(Wanted::Name(name));
        }
        // The C library's ends of words, which Go has not; no name has such a character.
        let words = name.replace(r"\<", r"\b").replace(r"\>", r"\b");
        anywhere(&words).map(Wanted::Pattern).map_err(|e| format!("`{name}` is not a pattern: {e}"))
    }

    /// The names of a list.
    ///
    /// # Errors
    /// One that is no pattern.
    pub(super) fn wanted<'l>(self, names: impl Iterator<Item = &'l str>) -> Result<Vec<Wanted<'l>>, String> {
        names.map(|name| self.read(name)).collect()
    }

    /// What a name means of a map; empty when nothing has it.
    ///
    /// # Errors
    /// It is no pattern.
    pub(super) fn meant<'m, V>(
        self,
        name: &str,
        map: &'m BTreeMap<String, V>,
    ) -> Result<Vec<(&'m String, &'m V)>, String> {
        Ok(match self.read(name)? {
            Wanted::Name(name) => map.get_key_value(name).into_iter().collect(),
            wanted => map.iter().filter(|(key, _)| wanted.is(key)).collect(),
        })
    }
}

pub(super) type Members = BTreeMap<String, BTreeSet<String>>;

/// Groups that name groups have their members too, as deep as groups may name each other. What a group takes away is in it by no
/// other way either.
pub(super) fn with_inner<T: Clone + Ord>(
    members: &mut BTreeMap<String, BTreeSet<T>>,
    inner: &BTreeMap<String, String>,
    without: &BTreeMap<String, BTreeSet<T>>,
) {
    let stays = |group: &str, one: &T| !without.get(group).is_some_and(|gone| gone.contains(one));
    for (group, of) in members.iter_mut() {
        of.retain(|one| stays(group, one));
    }
    for _ in 0..DEPTH_MAX {
        let mut grown = false;
        for (group, named) in inner {
            for name in list(named) {
                let mut more = members.get(name).cloned().unwrap_or_default();
                more.retain(|one| stays(group, one));
                let of = members.entry(group.clone()).or_default();
                let before = of.len();
                of.extend(more);
                grown |= of.len() > before;
            }
        }
        if !grown {
            break;
        }
    }
}

/// Services of each group: those it names, by host and description in turn; those that name it; those of its groups.
pub(super) fn service_members(
    services: &BTreeMap<(String, String), Fields>,
    groups: &BTreeMap<String, Fields>,
) -> BTreeMap<String, BTreeSet<(String, String)>> {
    let text = |fields: &Fields, key: &str| fields.get(key).cloned().unwrap_or_default();
    let mut out: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for (group, fields) in groups {
        let members = text(fields, "members");
        let words: Vec<&str> = list(&members).collect();
        let pairs = words.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned()));
        out.entry(group.clone()).or_default().extend(pairs.filter(|pair| services.contains_key(pair)));
    }
    for (service, fields) in services {
        for group in list(&text(fields, "servicegroups")) {
            out.entry(group.to_owned()).or_default().insert(service.clone());
        }
    }
    let inner = groups.iter().map(|(group, fields)| (group.clone(), text(fields, "servicegroup_members"))).collect();
    with_inner(&mut out, &inner, &BTreeMap::new());
    out
}

/// Hosts of each group: those it names, those that name it, those of its groups, but for those it takes away.
///
/// # Errors
/// A name that is no pattern.
pub(super) fn members(
    hosts: &BTreeMap<String, Fields>,
    groups: &BTreeMap<String, Fields>,
    matching: Matching,
) -> Result<Members, String> {
    let (mut members, mut without) = (Members::new(), Members::new());
    for (group, fields) in groups {
        members.entry(group.clone()).or_default();
        for member in list(fields.get("members").map_or("", String::as_str)) {
            let plain = member.trim_start_matches('!');
            let mut meant: Vec<&str> =
                matching.meant(plain, hosts)?.into_iter().map(|(host, _)| host.as_str()).collect();
            if meant.is_empty() {
                meant.push(plain);
            }
            let into = if member.starts_with('!') { &mut without } else { &mut members };
            into.entry(group.clone()).or_default().extend(meant.into_iter().map(str::to_owned));
        }
    }
    for (host, fields) in hosts {
        for group in list(fields.get("hostgroups").map_or("", String::as_str)) {
            members.entry(group.to_owned()).or_default().insert(host.clone());
        }
    }
    let inner = |(group, fields): (&String, &Fields)| {
        (group.clone(), fields.get("hostgroup_members").cloned().unwrap_or_default())
    };
    with_inner(&mut members, &groups.iter().map(inner).collect(), &without);
    Ok(members)
}

/// The hosts that a list of names means, or one of groups (`by_group`), without those that either takes away.
///
/// # Errors
/// The name that nothing has.
pub(super) fn hosts_of(
    (named, grouped): (&str, &str),
    by_group: bool,
    hosts: &BTreeMap<String, Fields>,
    members: &Members,
    matching: Matching,
) -> Result<BTreeSet<String>, String> {
    let (mut in_groups, mut direct, mut not) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for group in list(grouped) {
        let plain = group.trim_start_matches('!');
        let of: BTreeSet<String> = if plain == "*" {
            hosts.keys().cloned().collect()
        } else {
            let groups = matching.meant(plain, members)?;
            if groups.is_empty() {
                return Err(format!("there is no hostgroup `{plain}`"));
            }
            groups.into_iter().flat_map(|(_, of)| of.iter().cloned()).collect()
        };
        if group.starts_with('!') { not.extend(of) } else { in_groups.extend(of) }
    }
    for host in list(named) {
        let plain = host.trim_start_matches('!');
        let of: Vec<String> = matching.meant(plain, hosts)?.into_iter().map(|(name, _)| name.clone()).collect();
        if of.is_empty() && plain != "*" {
            return Err(format!("there is no host `{plain}`"));
        }
        if host.starts_with('!') { not.extend(of) } else { direct.extend(of) }
    }
    let wanted = if by_group { in_groups } else { direct };
    Ok(wanted.difference(&not).cloned().collect())
}
