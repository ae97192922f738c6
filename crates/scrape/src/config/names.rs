//! Which names a job takes, and how its targets are asked to write the others.

use serde_saphyr::Spanned;
use tenfold_types::is_legacy_name;

use super::read::wrong;
use super::{ConfigError, Escaping};
use crate::relabel::{Action, RuleSpec};

/// Whether a scheme that is named takes names of the old letters alone. An empty one says nothing.
fn legacy(scheme: Option<&Spanned<String>>) -> Result<Option<bool>, ConfigError> {
    match scheme.map(|s| (s, s.value.as_str())) {
        None | Some((_, "")) => Ok(None),
        Some((_, "utf8")) => Ok(Some(false)),
        Some((_, "legacy")) => Ok(Some(true)),
        Some((at, other)) => {
            Err(wrong(at, format!("`metric_name_validation_scheme` is utf8 or legacy, not `{other}`")))
        }
    }
}

fn escaping(scheme: Option<&Spanned<String>>) -> Result<Option<(&Spanned<String>, Escaping)>, ConfigError> {
    let Some(at) = scheme.filter(|s| !s.value.is_empty()) else { return Ok(None) };
    let found = Escaping::parse(&at.value).ok_or_else(|| {
        let (given, known) = (&at.value, "allow-utf-8, underscores, dots or values");
        wrong(at, format!("`metric_name_escaping_scheme` is {known}, not `{given}`"))
    })?;
    Ok(Some((at, found)))
}

/// What follows where nothing is said of escaping.
const fn usual(legacy: bool) -> Escaping {
    if legacy { Escaping::Underscores } else { Escaping::None }
}

/// Both schemes of a job, and those of `global`: a job that names its own validation takes no escaping from there, so that
/// `legacy` in one job does not meet a global `allow-utf-8`.
pub(super) fn names(
    own: (Option<&Spanned<String>>, Option<&Spanned<String>>),
    global: (Option<&Spanned<String>>, Option<&Spanned<String>>),
) -> Result<(bool, Escaping), ConfigError> {
    let (own_legacy, global_legacy) = (legacy(own.0)?, legacy(global.0)?.unwrap_or(false));
    let (own_escaping, global_escaping) = (escaping(own.1)?, escaping(global.1)?);
    let is_legacy = own_legacy.unwrap_or(global_legacy);
    let said = own_escaping.or(global_escaping.filter(|_| own_legacy.is_none()));
    match said {
        Some((at, Escaping::None)) if is_legacy => Err(wrong(
            at,
            "`metric_name_escaping_scheme: allow-utf-8` asks for names that `metric_name_validation_scheme: legacy` refuses",
        )),
        Some((_, scheme)) => Ok((is_legacy, scheme)),
        None => Ok((is_legacy, usual(is_legacy))),
    }
}

/// With names of the old letters alone no rule may make another. What a rule makes of what it finds is seen with the page.
pub(super) fn makes_legacy_names(spec: &Spanned<RuleSpec>) -> Result<(), ConfigError> {
    let rule = &spec.value;
    if !matches!(rule.action, Action::Replace | Action::HashMod | Action::Lowercase | Action::Uppercase) {
        return Ok(());
    }
    let target = rule.target_label.as_deref().unwrap_or_default();
    if target.contains('$') || is_legacy_name(target, "_") {
        return Ok(());
    }
    Err(wrong(spec, format!("`target_label: {target}` is no name of the scheme legacy: letters, digits and _")))
}
