//! Places in source code where flags are asked for. Pure: a file's text in, places out; walking the tree is for others.
//!
//! A flag's key counts as used where it stands in quotes. A key that no server knows is found where a flag client is
//! asked: by the names of the calls of the common SDKs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Lines longer than this are made by programs; they are passed over.
pub const LINE_BYTES_MAX: usize = 2_000;
/// Files larger than this are passed over.
pub const FILE_BYTES_MAX: usize = 2 << 20;
/// Places one repository may have.
pub const PLACES_MAX: usize = 5_000;

/// A line that names a flag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagPlace))]
pub struct Place {
    pub key: String,
    /// From the root of the repository, with `/`.
    pub path: String,
    /// From 1.
    pub line: u32,
}

/// Calls of Unleash's and OpenFeature's SDKs whose first text is a flag's key; a context may stand before it.
const CALL: &str = r#"\b(?: is_?enabled | get_?variant | use_?flag(?:_?enabled)? | use_?variant
    | (?:get_?|use_?)?(?:boolean|bool|string|number|integer|int|float|double|object|struct)
      _?(?:flag_?)?(?:value|details|variation)(?:_?details|_?async)? )
    \s* (?:<[^<>()]*>|::<[^<>()]*>)? \(\s* (?:(?:ctx|context(?:\.\w+\(\))?)\s*,\s*)?
    ["'`]([A-Za-z0-9_.~-]{1,100})["'`]"#;

static CALLS: LazyLock<Option<Regex>> =
    LazyLock::new(|| RegexBuilder::new(CALL).case_insensitive(true).ignore_whitespace(true).build().ok());

/// What one file has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Keys that are known.
    pub used: Vec<Place>,
    /// Keys that a client is asked for and nobody knows.
    pub unknown: Vec<Place>,
}

/// Looks through a file.
pub fn scan(path: &str, text: &str, known: &BTreeSet<String>) -> Found {
    let mut found = Found::default();
    if text.len() > FILE_BYTES_MAX {
        return found;
    }
    for (i, line) in text.lines().enumerate().filter(|(_, l)| l.len() <= LINE_BYTES_MAX) {
        let place = |key: &str| Place {
            key: key.to_owned(),
            path: path.to_owned(),
            line: u32::try_from(i + 1).unwrap_or(u32::MAX),
        };
        let keys: BTreeSet<&str> = quoted(line).filter(|word| known.contains(*word)).collect();
        found.used.extend(keys.into_iter().map(place));
        let Some(call) = &*CALLS else { continue };
        let asked = call.captures_iter(line).filter_map(|c| c.get(1)).map(|m| m.as_str());
        let strange: BTreeSet<&str> = asked.filter(|key| !known.contains(*key)).collect();
        found.unknown.extend(strange.into_iter().map(place));
    }
    found
}

/// The words between each quote and the next of its kind.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.char_indices().filter(|(_, c)| matches!(c, '"' | '\'' | '`')).filter_map(|(at, quote)| {
        let rest = line.get(at + 1..)?;
        rest.get(..rest.find(quote)?).filter(|word| !word.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, used: &[(&str, u32)], unknown: &[(&str, u32)]) {
        let known = BTreeSet::from(["new_uploader".to_owned(), "limit".to_owned()]);
        let found = scan("src/a.js", text, &known);
        let short = |list: &[Place]| list.iter().map(|p| (p.key.clone(), p.line)).collect::<Vec<_>>();
        let wanted = |list: &[(&str, u32)]| list.iter().map(|(k, l)| ((*k).to_owned(), *l)).collect::<Vec<_>>();
        assert_eq!(short(&found.used), wanted(used), "{text}");
        assert_eq!(short(&found.unknown), wanted(unknown), "{text}");
    }

    #[test]
    fn a_key_in_quotes_is_a_use() {
        check("if (on('new_uploader')) {\n  x(\"limit\", `limit`);\n}", &[("new_uploader", 1), ("limit", 2)], &[]);
        check("new_uploader = limit", &[], &[]);
        check("'new_uploader_2' \"the limit\"", &[], &[]);
        check("don't say 'limit'", &[("limit", 1)], &[]);
    }

    #[test]
    fn calls_name_keys_that_nobody_knows() {
        for call in [
            "unleash.isEnabled('gone')",
            "client.is_enabled(\"gone\", context)",
            "unleash.getVariant( `gone` )",
            "await flags.getBooleanValue('gone', false)",
            "flags.getNumberDetails('gone', 1)",
            "client.get_boolean_value(\"gone\", False)",
            "client.BooleanValue(ctx, \"gone\", false, evalCtx)",
            "client.StringValue(context.Background(), \"gone\", \"\", e)",
            "useBooleanFlagValue('gone', false)",
            "useFlag('gone')",
            "flags.getObjectValue<Limits>('gone', {})",
            "client.get_bool_value::<bool>(\"gone\")",
        ] {
            check(call, &[], &[("gone", 1)]);
        }
        check("unleash.isEnabled('new_uploader') && unleash.isEnabled('gone')", &[("new_uploader", 1)], &[("gone", 1)]);
        for other in ["isEnabled(flag)", "form.setValue('gone', 1)", "this.isEnabled()", "enabled('gone')"] {
            check(other, &[], &[]);
        }
    }

    #[test]
    fn what_programs_made_is_passed_over() {
        let long = format!("{} isEnabled('gone')", "x".repeat(LINE_BYTES_MAX));
        check(&long, &[], &[]);
        check("größe 'limit' — isEnabled('gone')", &[("limit", 1)], &[("gone", 1)]);
    }
}
