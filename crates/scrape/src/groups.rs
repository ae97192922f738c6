//! Groups of targets as files (`file_sd`) and addresses (HTTP SD) list them: `[{targets: [..], labels: {..}}]`, JSON or YAML.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use tenfold_types::Labels;

/// Bytes of one list.
pub const GROUPS_BYTES_MAX: usize = 4 << 20;
/// Groups and targets of one list.
const TARGETS_MAX: usize = 10_000;
/// Bytes of the labels of all targets of one list: each has those of its group.
const LABEL_BYTES_MAX: usize = 64 << 20;

/// Targets with labels in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Each target's own labels, `__address__` at least.
    pub targets: Vec<Labels>,
    pub labels: Labels,
}

impl Group {
    /// A group of addresses.
    pub fn of<A: Into<String>>(addresses: impl IntoIterator<Item = A>, labels: Labels) -> Self {
        let targets =
            addresses.into_iter().map(|a| Labels::from_pairs([("__address__".to_owned(), a.into())])).collect();
        Self { targets, labels }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error("the list of targets has more than {GROUPS_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the list of targets is not UTF-8")]
    Text,
    #[error("line {line}: {message}")]
    Wrong { line: u64, message: String },
    #[error("more than {TARGETS_MAX} targets in one list")]
    TooMany,
    #[error("the labels of all targets have more than {LABEL_BYTES_MAX} bytes")]
    LongLabels,
}

/// A text that is nothing is an empty one, as Go has it.
type Text = Option<String>;

/// A key with nothing behind it, as where the lines below it are comments, says nothing. So does the `null` that a program in
/// Go writes for a list without elements.
pub(crate) fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(d).map(Option::unwrap_or_default)
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawGroup {
    #[serde(default, deserialize_with = "or_nothing")]
    pub targets: Vec<Text>,
    #[serde(default)]
    pub labels: Option<BTreeMap<String, Text>>,
}

impl RawGroup {
    fn label_bytes(&self) -> usize {
        let labels = self.labels.iter().flatten();
        let labels = labels.map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len)).sum::<usize>();
        labels.saturating_mul(self.targets.len())
    }
}

impl From<RawGroup> for Group {
    fn from(raw: RawGroup) -> Self {
        let labels = raw.labels.unwrap_or_default().into_iter().map(|(name, value)| (name, value.unwrap_or_default()));
        Self::of(raw.targets.into_iter().map(Option::unwrap_or_default), Labels::from_pairs(labels))
    }
}

/// Reads a list. JSON is read as JSON; anything else as YAML, of which JSON is a part.
pub fn parse_groups(bytes: &[u8], is_json: bool) -> Result<Vec<Group>, GroupError> {
    if bytes.len() > GROUPS_BYTES_MAX {
        return Err(GroupError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| GroupError::Text)?;
    let raw: Option<Vec<RawGroup>> = if is_json {
        serde_json::from_str(text).map_err(|e| GroupError::Wrong {
            line: e.line() as u64,
            message: first_part(&e.to_string(), " at line "),
        })?
    } else {
        serde_saphyr::from_str(text).map_err(|e| GroupError::Wrong {
            line: e.location().map_or(0, |l| l.line()),
            message: first_part(&e.without_snippet().to_string(), " at line "),
        })?
    };
    let raw = raw.unwrap_or_default();
    if raw.len() + raw.iter().map(|g| g.targets.len()).sum::<usize>() > TARGETS_MAX {
        return Err(GroupError::TooMany);
    }
    if raw.iter().map(RawGroup::label_bytes).fold(0, usize::saturating_add) > LABEL_BYTES_MAX {
        return Err(GroupError::LongLabels);
    }
    Ok(raw.into_iter().map(Group::from).collect())
}

/// The line is said apart.
pub(crate) fn first_part(message: &str, cut: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.split(cut).next().unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let json = br#"[{"targets": ["h1:9100", "h2:9100"], "labels": {"zone": "a"}}, {"targets": []}]"#;
        let yaml = b"- targets: ['h1:9100', h2:9100]\n  labels: {zone: a}\n- targets: []\n";
        let groups = parse_groups(json, true).unwrap();
        assert_eq!(groups, parse_groups(yaml, false).unwrap());
        assert_eq!(groups, parse_groups(json, false).unwrap());
        assert_eq!(groups[0], Group::of(["h1:9100", "h2:9100"], Labels::from_pairs([("zone", "a")])));
        assert_eq!(parse_groups(b"", false), Ok(Vec::new()));
        let nothing = [br#"[{"targets": null, "labels": null}]"#.as_slice(), b"- targets:\n  labels:\n"];
        for (text, is_json) in nothing.into_iter().zip([true, false]) {
            assert_eq!(parse_groups(text, is_json), Ok(vec![Group::default()]));
        }
    }

    /// What inventories write of a host of which they do not know all.
    #[test]
    fn a_label_without_a_value_costs_no_other_target() {
        let json = br#"[{"targets": ["h1:1"], "labels": {"rack": null, "zone": "a"}}, {"targets": [null, "h2:1"]}]"#;
        let yaml = b"- targets: ['h1:1']\n  labels:\n    rack:\n    zone: a\n- targets: [~, 'h2:1']\n";
        let wanted = [Group::of(["h1:1"], Labels::from_pairs([("zone", "a")])), Group::of(["", "h2:1"], Labels::new())];
        assert_eq!(parse_groups(json, true).unwrap(), wanted);
        assert_eq!(parse_groups(yaml, false).unwrap(), wanted);
        let quoted = parse_groups(b"- labels: {a: 'null', b: \"~\"}\n", false).unwrap();
        assert_eq!(quoted, [Group::of([""; 0], Labels::from_pairs([("a", "null"), ("b", "~")]))]);
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, is_json, wanted) in [
            ("[\n{\"target\": []}]", true, "line 2: unknown field `target`, expected `targets` or `labels`"),
            (
                "- targets: [a]\n- labels: {a: b}\n  target: c\n",
                false,
                "line 3: unknown field `target`, expected one of targets, labels",
            ),
            ("[1]", true, "line 1: invalid type: integer `1`, expected struct RawGroup"),
        ] {
            assert_eq!(parse_groups(text.as_bytes(), is_json).unwrap_err().to_string(), wanted);
        }
        assert_eq!(parse_groups(&[0xff], true), Err(GroupError::Text));
        let many = format!("[{{\"targets\": [{}\"x\"]}}]", "\"x\",".repeat(TARGETS_MAX));
        assert_eq!(parse_groups(many.as_bytes(), true), Err(GroupError::TooMany));
        let long = |targets: usize| {
            let value = "a".repeat(LABEL_BYTES_MAX / 1_000);
            format!("[{{\"targets\": [{}\"x\"], \"labels\": {{\"a\": \"{value}\"}}}}]", "\"x\",".repeat(targets - 1))
        };
        assert_eq!(parse_groups(long(999).as_bytes(), true).map(|groups| groups[0].targets.len()), Ok(999));
        assert_eq!(parse_groups(long(1_000).as_bytes(), true), Err(GroupError::LongLabels));
    }
}
