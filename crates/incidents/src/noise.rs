//! Whether it was worth waking somebody: what people say of a page with one key, and how much each rule cost.
//!
//! The kinds are those of Etsy's Opsweekly. Counted are rules, never people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A page by night counts as so many by day.
pub const WAKE_COST: u32 = 4;

/// What a page was for, as whoever was paged says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// Something was done: the service had an issue.
    Action,
    /// The same, and it could have waited for the day.
    ActionCouldWait,
    /// Something was done, elsewhere: a network or a site was out.
    ActionElsewhere,
    /// Nothing was done: not at this time of the day.
    WrongTime,
    /// Nothing was done: somebody worked on it, and the mute had ended.
    MuteExpired,
    /// Nothing was done: somebody worked on it, and there was no mute.
    MuteMissing,
    /// Nothing was done: the threshold is not right.
    Threshold,
    /// Nothing was done: the rule or check is not right.
    Faulty,
    /// None of these.
    Other,
}

impl PageKind {
    pub const ALL: [Self; 9] = [
        Self::Action,
        Self::ActionCouldWait,
        Self::ActionElsewhere,
        Self::WrongTime,
        Self::MuteExpired,
        Self::MuteMissing,
        Self::Threshold,
        Self::Faulty,
        Self::Other,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::ActionCouldWait => "action_could_wait",
            Self::ActionElsewhere => "action_elsewhere",
            Self::WrongTime => "wrong_time",
            Self::MuteExpired => "mute_expired",
            Self::MuteMissing => "mute_missing",
            Self::Threshold => "threshold",
            Self::Faulty => "faulty",
            Self::Other => "other",
        }
    }

    /// By its name, or by its place from 1: the one key.
    pub fn parse(text: &str) -> Option<Self> {
        let by_key = text.parse::<usize>().ok().and_then(|n| Self::ALL.get(n.checked_sub(1)?).copied());
        by_key.or_else(|| Self::ALL.into_iter().find(|kind| kind.as_str() == text.replace('-', "_")))
    }

    /// Whether something was done; nothing is known of those that are none of the kinds.
    pub const fn acted(self) -> Option<bool> {
        match self {
            Self::Action | Self::ActionCouldWait | Self::ActionElsewhere => Some(true),
            Self::WrongTime | Self::MuteExpired | Self::MuteMissing | Self::Threshold | Self::Faulty => Some(false),
            Self::Other => None,
        }
    }

    /// In a few words, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Action => "action taken",
            Self::ActionCouldWait => "action taken, could have waited",
            Self::ActionElsewhere => "action taken elsewhere (network, site)",
            Self::WrongTime => "no action: not at this time",
            Self::MuteExpired => "no action: work ongoing, mute expired",
            Self::MuteMissing => "no action: work ongoing, no mute",
            Self::Threshold => "no action: the threshold is not right",
            Self::Faulty => "no action: the rule is not right",
            Self::Other => "none of these",
        }
    }
}

/// An incident that paged, by the rule that opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged {
    pub rule: String,
    pub group: String,
    /// The file of the rule; empty for what others send.
    pub file: String,
    /// `critical`, `warning` or `info`: what tells a rule from another of its name.
    pub severity: String,
    /// Who owns the rule; empty when nobody does.
    pub team: String,
    pub pages: u32,
    /// Pages by night, by the clock of whoever was paged.
    pub wakes: u32,
    pub kind: Option<PageKind>,
}

/// What a rule cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleNoise {
    pub rule: String,
    pub group: String,
    pub file: String,
    pub severity: String,
    pub incidents: u32,
    pub pages: u32,
    pub wakes: u32,
    /// Incidents in which something was done, nothing was done, and of which nobody said.
    pub action: u32,
    pub no_action: u32,
    pub unsaid: u32,
    pub kinds: BTreeMap<PageKind, u32>,
}

impl RuleNoise {
    /// Pages, each by night as several.
    pub fn cost(&self) -> u32 {
        self.pages.saturating_add(self.wakes.saturating_mul(WAKE_COST - 1))
    }
}

/// What a team's rules cost, the costliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamNoise {
    pub team: String,
    pub rules: Vec<RuleNoise>,
}

impl TeamNoise {
    pub fn cost(&self) -> u32 {
        self.rules.iter().map(RuleNoise::cost).fold(0, u32::saturating_add)
    }
}

/// A rule by file, group, name and severity.
type RuleKey<'a> = (&'a str, &'a str, &'a str, &'a str);

/// The teams by name, their rules by cost and name.
pub fn noise(paged: &[Paged]) -> Vec<TeamNoise> {
    let mut teams: BTreeMap<&str, BTreeMap<RuleKey<'_>, RuleNoise>> = BTreeMap::new();
    for one in paged {
        let rules = teams.entry(&one.team).or_default();
        let key = (one.file.as_str(), one.group.as_str(), one.rule.as_str(), one.severity.as_str());
        let rule = rules.entry(key).or_insert_with(|| RuleNoise {
            rule: one.rule.clone(),
            group: one.group.clone(),
            file: one.file.clone(),
            severity: one.severity.clone(),
            ..RuleNoise::default()
        });
        rule.incidents += 1;
        rule.pages = rule.pages.saturating_add(one.pages);
        rule.wakes = rule.wakes.saturating_add(one.wakes);
        match one.kind.map(|kind| (kind, kind.acted())) {
            Some((_, Some(true))) => rule.action += 1,
            Some((_, Some(false))) => rule.no_action += 1,
            Some((_, None)) | None => rule.unsaid += 1,
        }
        if let Some(kind) = one.kind {
            *rule.kinds.entry(kind).or_default() += 1;
        }
    }
    let sorted = |rules: BTreeMap<_, RuleNoise>| {
        let mut rules: Vec<RuleNoise> = rules.into_values().collect();
        rules.sort_by(|a, b| b.cost().cmp(&a.cost()).then_with(|| a.rule.cmp(&b.rule)));
        rules
    };
    teams.into_iter().map(|(team, rules)| TeamNoise { team: team.to_owned(), rules: sorted(rules) }).collect()
}

/// One line for a room: each team's noisiest rules, at most so many of each. Nothing when nobody was paged.
pub fn digest(teams: &[TeamNoise], rules_max: usize) -> Option<String> {
    let loud = teams.iter().filter(|t| t.cost() > 0);
    let parts: Vec<String> = loud
        .map(|team| {
            let name = if team.team.is_empty() { "owned by nobody" } else { &team.team };
            format!("{name}: {}", team_lines(team, rules_max).join("; "))
        })
        .collect();
    (!parts.is_empty()).then(|| format!("The noisiest rules of the week. {}", parts.join(". ")))
}

/// A line for each of a team's rules that paged, the costliest first: "HighErrorRate 3 pages (2 by night), 2 of 3 incidents
/// without action".
pub fn team_lines(team: &TeamNoise, rules_max: usize) -> Vec<String> {
    let count = |n: u32, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    let name = |r: &RuleNoise| match team.rules.iter().filter(|other| other.rule == r.rule).count() {
        0 | 1 => r.rule.clone(),
        _ => format!("{} ({})", r.rule, r.severity),
    };
    let line = |r: &RuleNoise| {
        let night = if r.wakes > 0 { format!(" ({} by night)", r.wakes) } else { String::new() };
        let of = count(r.incidents, "incident", "incidents");
        let idle = match r.no_action {
            0 => String::new(),
            n => format!(", {n} of {of} without action"),
        };
        format!("{} {}{night}{idle}", name(r), count(r.pages, "page", "pages"))
    };
    team.rules.iter().filter(|r| r.cost() > 0).take(rules_max).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paged(team: &str, rule: &str, pages: u32, wakes: u32, kind: Option<PageKind>) -> Paged {
        let (rule, group, file, severity) = (rule.into(), "g".into(), "f".into(), "critical".into());
        Paged { rule, group, file, severity, team: team.into(), pages, wakes, kind }
    }

    #[test]
    fn one_key_says_what_it_was() {
        for (i, kind) in PageKind::ALL.into_iter().enumerate() {
            assert_eq!(PageKind::parse(&(i + 1).to_string()), Some(kind));
            assert_eq!(PageKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(PageKind::parse("mute-missing"), Some(PageKind::MuteMissing));
        for none in ["0", "10", "", "nothing", "-1"] {
            assert_eq!(PageKind::parse(none), None, "{none}");
        }
    }

    #[test]
    fn the_costliest_rule_of_each_team_comes_first() {
        let all = [
            paged("web", "Slow", 3, 0, Some(PageKind::Threshold)),
            paged("web", "Down", 1, 1, Some(PageKind::Action)),
            paged("db", "Disk", 1, 0, None),
            paged("web", "Slow", 2, 1, Some(PageKind::Other)),
            paged("", "Odd", 0, 0, None),
        ];
        let teams = noise(&all);
        assert_eq!(teams.iter().map(|t| t.team.as_str()).collect::<Vec<_>>(), ["", "db", "web"]);
        let web = &teams[2].rules;
        assert_eq!((web[0].rule.as_str(), web[0].cost(), web[1].cost()), ("Slow", 8, 4));
        assert_eq!((web[0].incidents, web[0].no_action, web[0].unsaid, web[1].action), (2, 1, 1, 1));
        assert_eq!(
            digest(&teams, 5).unwrap(),
            "The noisiest rules of the week. db: Disk 1 page. web: Slow 5 pages (1 by night), 1 of 2 incidents without action; Down 1 page (1 by night)"
        );
        assert!(digest(&teams, 1).unwrap().ends_with("1 of 2 incidents without action"));
        assert_eq!(digest(&noise(&all[4..]), 5), None, "a quiet week says nothing");
    }

    #[test]
    fn two_rules_of_one_name_are_told_apart_by_their_severity() {
        let warning = Paged { severity: "warning".into(), ..paged("web", "Slow", 1, 0, None) };
        let teams = noise(&[paged("web", "Slow", 2, 0, None), warning.clone(), warning]);
        assert_eq!(teams[0].rules.iter().map(|r| r.incidents).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(team_lines(&teams[0], 5), ["Slow (critical) 2 pages", "Slow (warning) 2 pages"]);
    }
}
