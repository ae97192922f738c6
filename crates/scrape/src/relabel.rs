//! Relabelling: rules that rewrite a label set, or drop it.
//!
//! Semantics, defaults and refusals are those of Prometheus 3 (`model/relabel/relabel.go`). A rule's regular expression
//! must match the whole value, `.` matches line ends too, and `$1` or `${name}` in `target_label` and `replacement` stand
//! for what its groups found.

use md5::{Digest, Md5};
use regex::Regex;
use serde::{Deserialize, Serialize};
use tenfold_types::{Labels, is_legacy_name, pattern};

use crate::groups::or_nothing;

/// Longest name or value that a rule may make; `$1$1$1` over a few rules would otherwise grow without end.
const MADE_BYTES_MAX: usize = 64 * 1024;
/// What a template may come to at most when each `$` stands for all of the text; it is not even tried beyond that.
const EXPANDED_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    #[default]
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }
}

/// A rule as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleSpec {
    #[serde(deserialize_with = "or_nothing")]
    pub source_labels: Vec<String>,
    #[serde(deserialize_with = "written")]
    pub separator: Option<String>,
    #[serde(deserialize_with = "written")]
    pub regex: Option<String>,
    pub modulus: Option<u64>,
    pub target_label: Option<String>,
    #[serde(deserialize_with = "written")]
    pub replacement: Option<String>,
    #[serde(deserialize_with = "action")]
    pub action: Action,
}

/// As Prometheus reads it, a key with nothing behind it is the empty text and not the default: `replacement:` deletes.
fn written<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    or_nothing(d).map(Some)
}

/// Prometheus reads actions in any case.
fn action<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Action, D::Error> {
    let text = String::deserialize(d)?.to_lowercase();
    Action::deserialize(serde::de::value::StrDeserializer::new(&text))
}

/// A rule that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    sources: Vec<String>,
    separator: String,
    /// `None` for the default, which matches everything.
    regex: Option<Whole>,
    modulus: u64,
    target: String,
    replacement: String,
    action: Action,
    legacy_names: bool,
}

impl RuleSpec {
    /// Checks what Prometheus checks.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn compile(&self) -> Result<Rule, String> {
        use Action::{DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase};
        let action = self.action;
        let name = action.name();
        let target = self.target_label.clone().unwrap_or_default();
        let set = |what: &str, is: bool| {
            if is { Err(format!("`{what}` has no meaning for the action {name}")) } else { Ok(()) }
        };
        if matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual) && target.is_empty() {
            return Err(format!("the action {name} needs `target_label`"));
        }
        if action == HashMod && self.modulus.unwrap_or(0) == 0 {
            return Err("the action hashmod needs a `modulus` above zero".to_owned());
        }
        if matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual) {
            set("replacement", self.replacement.as_deref().is_some_and(|r| r != "$1"))?;
        }
        if action == LabelMap && self.replacement.as_deref() == Some("") {
            return Err("the action labelmap needs a `replacement` that makes a name".to_owned());
        }
        if matches!(action, KeepEqual | DropEqual | LabelDrop | LabelKeep) {
            set("modulus", self.modulus.is_some_and(|m| m != 0))?;
            set("separator", self.separator.as_deref().is_some_and(|s| s != ";"))?;
        }
        if matches!(action, KeepEqual | DropEqual) {
            set("regex", self.regex.as_deref().is_some_and(|r| r != "(.*)"))?;
        }
        if matches!(action, LabelDrop | LabelKeep) {
            set("source_labels", !self.source_labels.is_empty())?;
            set("target_label", !target.is_empty())?;
            set("replacement", self.replacement.as_deref().is_some_and(|r| r != "$1"))?;
        }
        let regex = match self.regex.as_deref() {
            None | Some("(.*)") => None,
            Some(text) => Some(Whole::read(text, matches!(action, Replace | LabelMap))?),
        };
        Ok(Rule {
            sources: self.source_labels.clone(),
            separator: self.separator.clone().unwrap_or_else(|| ";".to_owned()),
            regex,
            modulus: self.modulus.unwrap_or(0),
            target,
            replacement: self.replacement.clone().unwrap_or_else(|| "$1".to_owned()),
            action,
            legacy_names: false,
        })
    }
}

/// An expression that must match the whole value; equal to another one of the same text.
#[derive(Debug, Clone)]
struct Whole {
    /// As it was written.
    text: String,
    regex: Regex,
}

impl PartialEq for Whole {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Whole {}

impl Whole {
    /// With groups, what they found can be asked for.
    fn read(text: &str, with_groups: bool) -> Result<Self, String> {
        let regex = if with_groups { pattern::whole_with_groups(text) } else { pattern::whole(text) };
        let regex = regex.map_err(|e| format!("`regex`: `{text}`: {e}"))?;
        Ok(Self { text: text.to_owned(), regex })
    }
}

/// Applies rules in their order. `None` when one of them drops the label set.
pub fn apply(rules: &[Rule], mut labels: Labels) -> Option<Labels> {
    for rule in rules {
        if !rule.step(&mut labels) {
            return None;
        }
    }
    Some(labels)
}

/// A rule with every key, as Prometheus writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleShown {
    pub source_labels: Vec<String>,
    pub separator: String,
    pub regex: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub modulus: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target_label: String,
    pub replacement: String,
    pub action: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What stands after a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub rule: RuleShown,
    /// Nothing once the label set is dropped.
    pub labels: Labels,
    /// Whether the label set is still there.
    pub keep: bool,
}

/// What each rule makes of a label set, one after the other.
pub fn steps(rules: &[Rule], labels: &Labels) -> Vec<Step> {
    let (mut labels, mut keep) = (labels.clone(), true);
    let step = |rule: &Rule| {
        keep = keep && rule.step(&mut labels);
        if !keep {
            labels = Labels::new();
        }
        Step { rule: rule.shown(), labels: labels.clone(), keep }
    };
    rules.iter().map(step).collect()
}

impl Rule {
    /// For a job that takes names of the old letters alone: where groups make another, nothing is replaced, as in Prometheus.
    #[must_use]
    pub fn with_legacy_names(self, legacy_names: bool) -> Self {
        Self { legacy_names, ..self }
    }

    /// The rule as it would be written, with its defaults.
    pub fn shown(&self) -> RuleShown {
        let written = |whole: &Whole| whole.text.clone();
        RuleShown {
            source_labels: self.sources.clone(),
            separator: self.separator.clone(),
            regex: self.regex.as_ref().map_or_else(|| "(.*)".to_owned(), written),
            modulus: self.modulus,
            target_label: self.target.clone(),
            replacement: self.replacement.clone(),
            action: self.action.name(),
        }
    }

    fn matches(&self, text: &str) -> bool {
        self.regex.as_ref().is_none_or(|r| r.regex.is_match(text))
    }

    /// What a template makes of a match; `None` without a match, and where it may be far too much.
    fn expand(&self, template: &str, text: &str) -> Option<String> {
        let bytes_max = template.matches('$').count().saturating_mul(text.len()).saturating_add(template.len());
        if bytes_max > EXPANDED_BYTES_MAX {
            return None;
        }
        let mut out = String::new();
        let Some(Whole { regex, .. }) = &self.regex else {
            if !template.contains('$') {
                template.clone_into(&mut out);
            } else if template == "$1" {
                text.clone_into(&mut out);
            } else {
                pattern::expand(&whole()?.captures(text)?, template, &mut out);
            }
            return Some(out);
        };
        pattern::expand(&regex.captures(text)?, template, &mut out);
        Some(out)
    }

    fn source(&self, labels: &Labels) -> String {
        let values: Vec<&str> = self.sources.iter().map(|name| labels.get(name).unwrap_or_default()).collect();
        values.join(&self.separator)
    }

    /// Whether the label set is kept.
    fn step(&self, labels: &mut Labels) -> bool {
        let value = self.source(labels);
        match self.action {
            Action::Keep => return self.matches(&value),
            Action::Drop => return !self.matches(&value),
            Action::KeepEqual => return labels.get(&self.target).unwrap_or_default() == value,
            Action::DropEqual => return labels.get(&self.target).unwrap_or_default() != value,
            Action::Replace => {
                if let (Some(name), Some(made)) =
                    (self.expand(&self.target, &value), self.expand(&self.replacement, &value))
                    && !name.is_empty()
                    && (!self.legacy_names || is_legacy_name(&name, "_"))
                    && name.len().max(made.len()) <= MADE_BYTES_MAX
                {
                    labels.set(name, made);
                }
            }
            Action::Lowercase => labels.set(&self.target, value.to_lowercase()),
            Action::Uppercase => labels.set(&self.target, value.to_uppercase()),
            Action::HashMod => {
                let digest: [u8; 16] = Md5::digest(value.as_bytes()).into();
                let [_, _, _, _, _, _, _, _, last @ ..] = digest;
                // No modulus, no rule: `compile` sees to that.
                labels.set(&self.target, (u64::from_be_bytes(last) % self.modulus.max(1)).to_string());
            }
            Action::LabelMap => {
                let copies: Vec<(String, String)> = labels
                    .iter()
                    .filter_map(|(name, value)| Some((self.expand(&self.replacement, name)?, value.to_owned())))
                    .filter(|(name, _)| !name.is_empty() && name.len() <= MADE_BYTES_MAX)
                    .collect();
                for (name, value) in copies {
                    labels.set(name, value);
                }
            }
            Action::LabelDrop | Action::LabelKeep => {
                let gone = |name: &&str| self.matches(name) == (self.action == Action::LabelDrop);
                let names: Vec<String> = labels.iter().map(|(n, _)| n).filter(gone).map(str::to_owned).collect();
                for name in names {
                    labels.remove(&name);
                }
            }
        }
        true
    }
}

/// The default expression, for templates that do more with it than `$1`.
fn whole() -> Option<&'static Regex> {
    static WHOLE: std::sync::LazyLock<Option<Regex>> = std::sync::LazyLock::new(|| Regex::new(r"\A(?s:(.*))\z").ok());
    WHOLE.as_ref()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(yaml: &str) -> Result<Vec<Rule>, String> {
        let specs: Vec<RuleSpec> = serde_saphyr::from_str(yaml).map_err(|e| e.without_snippet().to_string())?;
        specs.iter().map(RuleSpec::compile).collect()
    }

    fn check(labels: &[(&str, &str)], yaml: &str, expected: Option<&[(&str, &str)]>) {
        let made = apply(&rules(yaml).unwrap(), Labels::from_pairs(labels.iter().copied()));
        assert_eq!(made, expected.map(|e| Labels::from_pairs(e.iter().copied())), "{yaml}");
    }

    const ABC: [(&str, &str); 3] = [("a", "foo"), ("b", "bar"), ("c", "baz")];

    #[test]
    fn every_action_does_what_prometheus_does() {
        check(
            &ABC,
            "[{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch${1}'}]",
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")]),
        );
        check(
            &ABC,
            "[{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: 'b${1}${2}m'}, \
             {source_labels: [c, a], regex: '(b).*b(.*)ba(.*)', target_label: d, replacement: '$1$2$2$3'}]",
            Some(&[("a", "boobam"), ("b", "bar"), ("c", "baz"), ("d", "boooom")]),
        );
        // The whole value must match.
        check(&ABC, "[{source_labels: [a], regex: o, target_label: d, replacement: x}]", Some(&ABC));
        check(&ABC, "[{source_labels: [a], regex: fo, action: keep}]", None);
        check(&ABC, "[{source_labels: [a], regex: 'fo.', action: Keep}]", Some(&ABC));
        check(&ABC, "[{source_labels: [a], regex: '.*o.*', action: drop}]", None);
        check(&ABC, "[{source_labels: [missing], regex: '', action: drop}]", None);
        check(
            &[("a", "two\nlines")],
            "[{source_labels: [a], regex: 'two.lines', action: keep}]",
            Some(&[("a", "two\nlines")]),
        );
        // No match, no replacement; an empty one deletes.
        check(&ABC, "[{source_labels: [a], regex: x, target_label: b, replacement: gone}]", Some(&ABC));
        check(&ABC, "[{target_label: b, replacement: ''}]", Some(&[("a", "foo"), ("c", "baz")]));
        check(&ABC, "[{source_labels: [missing], target_label: b}]", Some(&[("a", "foo"), ("c", "baz")]));
        check(
            &ABC,
            "[{target_label: d, replacement: fixed}]",
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "fixed")]),
        );
        check(&ABC, "- target_label: b\n  replacement:\n", Some(&[("a", "foo"), ("c", "baz")]));
        check(
            &ABC,
            "- source_labels: [a, b]\n  separator:\n  target_label: b\n",
            Some(&[("a", "foo"), ("b", "foobar"), ("c", "baz")]),
        );
        check(&ABC, "- source_labels: [a]\n  regex: ~\n  action: drop\n", Some(&ABC));
        // The name may be made of groups; one that is empty changes nothing.
        check(
            &[("a", "some-name-value")],
            "[{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', target_label: '${1}', replacement: '${2}'}]",
            Some(&[("a", "some-name-value"), ("name", "value")]),
        );
        check(
            &[("a", "x")],
            "[{source_labels: [a], regex: '(y)?x', target_label: '$1', replacement: z}]",
            Some(&[("a", "x")]),
        );
        check(
            &[("a", "x")],
            "[{source_labels: [a], target_label: b, replacement: '$0$1_$2$$'}]",
            Some(&[("a", "x"), ("b", "x$")]),
        );
        check(
            &ABC,
            "[{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}]",
            Some(&[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "976")]),
        );
        check(
            &[("a", "foo\nbar")],
            "[{source_labels: [a], target_label: b, action: hashmod, modulus: 1000}]",
            Some(&[("a", "foo\nbar"), ("b", "734")]),
        );
        check(
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            "[{regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}]",
            Some(&[("a", "foo"), ("b1", "bar"), ("b2", "baz"), ("bar_b1", "bar"), ("bar_b2", "baz")]),
        );
        check(
            &[("a", "foo"), ("__meta_my_bar", "aaa")],
            "[{regex: '__meta_(my.*)', action: labelmap}]",
            Some(&[("a", "foo"), ("__meta_my_bar", "aaa"), ("my_bar", "aaa")]),
        );
        check(
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz")],
            "[{regex: 'b.*', action: labeldrop}]",
            Some(&[("a", "foo")]),
        );
        check(&[("a", "foo"), ("b1", "bar")], "[{regex: 'b.*', action: labelkeep}]", Some(&[("b1", "bar")]));
        check(
            &[("a", "bAr123Foo")],
            "[{source_labels: [a], target_label: u, action: uppercase}, {source_labels: [a], target_label: l, action: lowercase}]",
            Some(&[("a", "bAr123Foo"), ("u", "BAR123FOO"), ("l", "bar123foo")]),
        );
        // As Go reads them: a bracket within a class, classes of ASCII alone, texts in quotes.
        check(
            &[("a", "disk[07]"), ("b", "Zürich")],
            "[{source_labels: [a], regex: '([^[]+)\\[(\\d+)]', target_label: c, replacement: '$2$1'}, \
             {source_labels: [b], regex: '(\\w+).*', target_label: d}, {source_labels: [a], regex: '\\Qdisk[07]\\E', action: keep}]",
            Some(&[("a", "disk[07]"), ("b", "Zürich"), ("c", "07disk"), ("d", "Z")]),
        );
        let port = [("__tmp_port", "1234"), ("__port1", "1234"), ("__port2", "5678")];
        check(&port, "[{source_labels: [__tmp_port], target_label: __port1, action: keepequal}]", Some(&port));
        check(&port, "[{source_labels: [__tmp_port], target_label: __port2, action: keepequal}]", None);
        check(&port, "[{source_labels: [__tmp_port], target_label: __port1, action: dropequal}]", None);
        check(&port, "[{source_labels: [__tmp_port], target_label: __port2, action: dropequal}]", Some(&port));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (yaml, message) in [
            ("[{action: replace}]", "the action replace needs `target_label`"),
            ("[{action: hashmod, target_label: a}]", "the action hashmod needs a `modulus` above zero"),
            (
                "[{action: lowercase, target_label: a, replacement: b}]",
                "`replacement` has no meaning for the action lowercase",
            ),
            ("[{action: keepequal, target_label: a, regex: b}]", "`regex` has no meaning for the action keepequal"),
            (
                "[{action: labeldrop, regex: a, source_labels: [b]}]",
                "`source_labels` has no meaning for the action labeldrop",
            ),
            ("[{action: labelmap, replacement: ''}]", "the action labelmap needs a `replacement` that makes a name"),
            ("[{target_label: a, regex: '('}]", "`regex`: `(`: unclosed group"),
            ("[{target_label: a, regex: 'a)|(b'}]", "`regex`: `a)|(b`: unopened group"),
            ("[{target_label: a, regex: '\\C'}]", "`regex`: `\\C`: `\\C` is no escape of RE2"),
        ] {
            assert_eq!(rules(yaml).unwrap_err(), message, "{yaml}");
        }
        // What thousands of groups found would take gigabytes to tell; whoever does not ask may have them.
        let many = "(a)".repeat(2_000);
        let rule = |action: &str| {
            rules(&format!("[{{source_labels: [a], target_label: a, action: {action}, regex: '{many}'}}]"))
        };
        assert!(rule("replace").unwrap_err().contains("size limit"));
        assert!(rule("keep").is_ok());
        assert!(rules("[{action: shuffle}]").unwrap_err().contains("shuffle"));
        assert!(rules("[{regexp: a}]").unwrap_err().contains("regexp"));
    }

    #[test]
    fn what_would_be_far_too_long_is_not_tried() {
        for yaml in
            ["[{source_labels: [a], target_label: b, regex: '(.+)'}]", "[{source_labels: [a], target_label: b}]"]
        {
            let made = |template: &str, text: &str| rules(yaml).unwrap()[0].expand(template, text);
            assert_eq!(made("$1-$1", "x").as_deref(), Some("x-x"));
            // As in Go a name goes on to its last letter, of whatever script.
            assert_eq!(made("${1}é$1é$01", "x").as_deref(), Some("xé"));
            assert_eq!(made(&"$1".repeat(20_000), &"x".repeat(1_000)), None);
        }
    }

    proptest! {
        #[test]
        fn never_panics(regex in "[a-z(.*)|$^]{0,12}", template in "[a-z$1{}]{0,12}", value in "\\PC{0,20}", action in 0usize..11) {
            let actions = [Action::Replace, Action::Keep, Action::Drop, Action::KeepEqual, Action::DropEqual, Action::HashMod,
                Action::LabelMap, Action::LabelDrop, Action::LabelKeep, Action::Lowercase, Action::Uppercase];
            let spec = RuleSpec { source_labels: vec!["a".into()], regex: Some(regex), replacement: Some(template.clone()),
                target_label: Some(template), modulus: Some(3), action: actions[action], ..RuleSpec::default() };
            if let Ok(rule) = spec.compile() {
                let _ = apply(&[rule], Labels::from_pairs([("a", value)]));
            }
        }
    }
}
