//! What may be written. Refused is what one SDK reads differently from another, and what no limit would hold.
//!
//! Each refusal is one sentence that says where and why.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenfold_types::Fault;

use crate::{
    constraint::{OPERATORS, compile_regex},
    context::parse_date,
    contingency::RANK_MAX,
    evaluate::DISABLED_VARIANT,
    features::{Constraint, Segment, Strategy, Variant},
    fraction::{self, HIDDEN_SUFFIX, Share},
    life::LIFETIME_DAYS_MAX,
    model::{FLEXIBLE_ROLLOUT, Flag, FlagEnvironment},
    network::Network,
    value::ValueType,
};

pub const KEY_BYTES_MAX: usize = 100;
pub const TEXT_BYTES_MAX: usize = 1_000;
pub const ENVIRONMENTS_MAX: usize = 20;
pub const STRATEGIES_MAX: usize = 30;
pub const CONSTRAINTS_MAX: usize = 30;
/// More ids than this belong into a property of the context.
pub const VALUES_MAX: usize = 1_000;
pub const SEGMENTS_MAX: usize = 20;
pub const VARIANTS_MAX: usize = 100;
pub const WEIGHT_MAX: u32 = 1_000;
pub const VALUE_BYTES_MAX: usize = 10_000;
pub const PARENTS_MAX: usize = 10;
/// Addresses below `/api/flags/` that are no flags.
const RESERVED: [&str; 8] = ["import", "export", "stale", "places", "groups", "mine", "contingency", "scan"];
pub const TAGS_MAX: usize = 50;

/// What a flag is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// All flags that are not archived, by key.
    pub flags: &'a BTreeMap<String, std::sync::Arc<Flag>>,
    pub segments: &'a BTreeMap<i64, Segment>,
}

type Check = Result<(), String>;

/// What every SDK reads the same way, though hardly as it was meant: an operator nobody knows, a parent that is gone.
/// What people write here may not have it; a file of another product is taken with it, and each case is said.
#[derive(Default)]
struct Oddities {
    taken: bool,
    said: RefCell<Vec<String>>,
}

impl Oddities {
    fn meet(&self, text: impl Into<String>) -> Check {
        if !self.taken {
            return Err(text.into());
        }
        self.said.borrow_mut().push(text.into());
        Ok(())
    }
}

/// Checks a flag that is about to be written.
pub fn validate(flag: &Flag, around: Surroundings<'_>) -> Result<(), Fault> {
    check(flag, around, &Oddities::default()).map_err(|m| refusal(flag, &m))
}

/// Checks a flag that another product had: like [`validate`], but what all SDKs answer alike is taken, and returned as
/// sentences. Limits hold, and so does what SDKs disagree on.
pub fn validate_imported(flag: &Flag, around: Surroundings<'_>) -> Result<Vec<String>, Fault> {
    let odd = Oddities { taken: true, ..Oddities::default() };
    check(flag, around, &odd).map_err(|m| refusal(flag, &m))?;
    Ok(odd.said.into_inner())
}

/// A key in other letters than ours, which SDKs take and a path can carry.
fn strange_key(key: &str) -> bool {
    let fits = (1..=KEY_BYTES_MAX).contains(&key.len()) && plain("the key", key).is_ok();
    fits && !key.is_ascii() && !key.ends_with(HIDDEN_SUFFIX) && !key.contains(['/', '\\', '?', '#', '%', ' '])
}

fn refusal(flag: &Flag, message: &str) -> Fault {
    Fault::invalid(format!("flag `{}`: {message}", shown(&flag.key)))
}

/// Checks a segment that is about to be written.
pub fn validate_segment(segment: &Segment) -> Result<(), Fault> {
    check_segment(segment, &Oddities::default())
}

/// Checks a segment that another product had; see [`validate_imported`].
pub fn validate_imported_segment(segment: &Segment) -> Result<Vec<String>, Fault> {
    let odd = Oddities { taken: true, ..Oddities::default() };
    check_segment(segment, &odd)?;
    Ok(odd.said.into_inner())
}

fn check_segment(segment: &Segment, odd: &Oddities) -> Result<(), Fault> {
    let name = shown(&segment.name);
    if segment.id < 1 || segment.id > i64::from(i32::MAX) {
        return Err(Fault::invalid(format!("segment `{name}`: the id must be between 1 and {}", i32::MAX)));
    }
    text_limit("name", &segment.name, KEY_BYTES_MAX)
        .and_then(|()| constraints(&segment.constraints, odd))
        .map_err(|m| Fault::invalid(format!("segment `{name}`: {m}")))
}

/// Checks a key on its own: what a URL, a metric label and every SDK take unchanged.
pub fn validate_key(key: &str) -> Result<(), Fault> {
    validate_key_text(key).map_err(Fault::invalid)
}

fn validate_key_text(key: &str) -> Check {
    key_text("key", key)?;
    if RESERVED.contains(&key) {
        return Err(format!("`{key}` is the name of an address of the API; choose another key"));
    }
    if key.ends_with(HIDDEN_SUFFIX) {
        return Err(format!("the key `{}` ends in `{HIDDEN_SUFFIX}`, which hidden parents are called", shown(key)));
    }
    Ok(())
}

fn check(flag: &Flag, around: Surroundings<'_>, odd: &Oddities) -> Check {
    if let Err(message) = validate_key_text(&flag.key) {
        if !odd.taken || !strange_key(&flag.key) {
            return Err(message);
        }
        odd.meet(message)?;
    }
    text_limit("description", &flag.description, TEXT_BYTES_MAX)?;
    text_limit("owner", &flag.owner, KEY_BYTES_MAX)?;
    count_limit("tags", flag.tags.len(), TAGS_MAX)?;
    life(flag)?;
    flag.tags.iter().try_for_each(|tag| text_limit("a tag", tag, KEY_BYTES_MAX))?;
    count_limit("environments", flag.environments.len(), ENVIRONMENTS_MAX)?;
    parents(flag, around, odd)?;
    for (name, state) in &flag.environments {
        key_text("environment", name)?;
        environment(flag, state, around, odd).map_err(|m| format!("in {name}, {m}"))?;
    }
    Ok(())
}

fn life(flag: &Flag) -> Check {
    if flag.lifetime_days.is_some_and(|days| days > LIFETIME_DAYS_MAX) {
        return Err(format!("the expected lifetime is over {LIFETIME_DAYS_MAX} days"));
    }
    if let Some(c) = &flag.contingency {
        if !(1..=RANK_MAX).contains(&c.rank) {
            return Err(format!("the rank must be from 1 to {RANK_MAX}"));
        }
        text_limit("the impact", &c.impact, TEXT_BYTES_MAX)?;
        text_limit("what goes on", &c.degrades, TEXT_BYTES_MAX)?;
    }
    if let Some(offer) = &flag.opt_in {
        text_limit("the offer", &offer.text, TEXT_BYTES_MAX)?;
        key_text("field of the offer", &offer.field)?;
        count_limit("teams", offer.teams.len(), TAGS_MAX)?;
        if !["viewer", "responder", "deployer", "admin"].contains(&offer.role.as_str()) {
            return Err(format!("`{}` is no role; use viewer, responder, deployer or admin", shown(&offer.role)));
        }
    }
    Ok(())
}

fn parents(flag: &Flag, around: Surroundings<'_>, odd: &Oddities) -> Check {
    count_limit("parents", flag.dependencies.len(), PARENTS_MAX)?;
    for parent in &flag.dependencies {
        let name = shown(&parent.feature);
        if parent.feature == flag.key {
            return Err("it cannot be its own parent".into());
        }
        let Some(other) = around.flags.get(&parent.feature) else {
            odd.meet(format!("the parent `{name}` does not exist; SDKs would keep this flag off for everybody"))?;
            continue;
        };
        if !other.dependencies.is_empty() {
            odd.meet(format!("the parent `{name}` has parents itself; SDKs follow one level only"))?;
        }
        if other.environments.values().any(FlagEnvironment::has_fraction) {
            return Err(format!(
                "the parent `{name}` has a share with a fraction, which takes a hidden parent; SDKs follow one level only"
            ));
        }
        if parent.enabled == Some(false) && !parent.variants.is_empty() {
            return Err(format!("the parent `{name}` cannot be wanted off and with a variant at once"));
        }
        let known: BTreeSet<&str> = other
            .environments
            .values()
            .flat_map(|e| e.variants.iter().chain(e.strategies.iter().flat_map(|s| &s.variants)))
            .map(|v| v.name.as_str())
            .collect();
        if let Some(missing) = parent.variants.iter().find(|v| !known.contains(v.as_str())) {
            odd.meet(format!("the parent `{name}` has no variant `{}`", shown(missing)))?;
        }
    }
    let child = around.flags.values().find(|f| f.dependencies.iter().any(|d| d.feature == flag.key));
    match child {
        Some(child) if !flag.dependencies.is_empty() => odd.meet(format!(
            "it is the parent of `{}`, so it cannot have parents; SDKs follow one level only",
            shown(&child.key)
        )),
        Some(child) if flag.environments.values().any(FlagEnvironment::has_fraction) => Err(format!(
            "it is the parent of `{}`, so its share must be a whole percentage; a fraction takes a hidden parent, and SDKs \
             follow one level only",
            child.key
        )),
        _ => Ok(()),
    }
}

fn environment(flag: &Flag, state: &FlagEnvironment, around: Surroundings<'_>, odd: &Oddities) -> Check {
    count_limit("strategies", state.strategies.len(), STRATEGIES_MAX)?;
    if let Some(value) = &state.off_value {
        typed("the off value", value, flag.value_type)?;
    }
    variants(&state.variants, flag.value_type)?;
    let stickiness: BTreeSet<_> = state.variants.iter().map(|v| v.stickiness.as_deref().unwrap_or("default")).collect();
    if stickiness.len() > 1 {
        return Err("the variants differ in stickiness; SDKs read only the first one's".into());
    }
    for (i, s) in state.strategies.iter().enumerate() {
        strategy(s, flag.value_type, around, odd)
            .map_err(|m| format!("strategy {} (`{}`): {m}", i + 1, shown(&s.name)))?;
    }
    fractions(&state.strategies)?;
    let bare = |s: &Strategy| s.variants.is_empty();
    let answers_without_variant = state.strategies.is_empty() || state.strategies.iter().any(bare);
    if flag.value_type != ValueType::Bool && state.enabled && state.variants.is_empty() && answers_without_variant {
        return Err(format!("a {} flag that is on needs variants to take its value from", flag.value_type.name()));
    }
    Ok(())
}

/// What a hidden parent cannot express.
fn fractions(strategies: &[Strategy]) -> Check {
    let Some(at) = strategies.iter().position(fraction::has_fraction) else { return Ok(()) };
    if strategies.iter().skip(at + 1).any(fraction::has_fraction) {
        return Err("two strategies have a share with a fraction; SDKs can be told of one".into());
    }
    let with_variants = strategies.iter().any(|s| !s.variants.is_empty());
    if with_variants && at + 1 < strategies.len() {
        return Err("with variants of strategies, the one whose share has a fraction must come last".into());
    }
    let over_one = fraction::strategy_share(&strategies[at]).is_some_and(|share| share > Share::percent(1));
    if over_one && strategies[at].parameters.get("stickiness").is_some_and(|s| s == "random") {
        return Err("over 1 %, a share with a fraction needs a stickiness other than random".into());
    }
    Ok(())
}

fn strategy(s: &Strategy, kind: ValueType, around: Surroundings<'_>, odd: &Oddities) -> Check {
    const NAMES: [&str; 8] = [
        "default",
        FLEXIBLE_ROLLOUT,
        "userWithId",
        "gradualRolloutUserId",
        "gradualRolloutSessionId",
        "gradualRolloutRandom",
        "remoteAddress",
        "applicationHostname",
    ];
    if !NAMES.contains(&s.name.as_str()) {
        let name = shown(&s.name);
        odd.meet(format!("no SDK knows the strategy `{name}` by itself; use flexibleRollout with constraints"))?;
    }
    for (name, value) in &s.parameters {
        text_limit("a parameter", value, VALUE_BYTES_MAX)?;
        match name.as_str() {
            "rollout" => share(value)?,
            "percentage" => percentage(name, value)?,
            "groupId" if !value.is_ascii() => {
                return Err("groupId must be ASCII; SDKs hash other letters differently".into());
            }
            _ => plain(name, value)?,
        }
    }
    let needed: &[&str] = match s.name.as_str() {
        FLEXIBLE_ROLLOUT => &["rollout"],
        "gradualRolloutUserId" | "gradualRolloutSessionId" => &["percentage", "groupId"],
        "gradualRolloutRandom" => &["percentage"],
        "userWithId" => &["userIds"],
        "remoteAddress" => &["IPs"],
        "applicationHostname" => &["hostNames"],
        _ => &[],
    };
    if let Some(missing) = needed.iter().find(|n| !s.parameters.contains_key(**n)) {
        return Err(format!("the parameter `{missing}` is missing"));
    }
    constraints(&s.constraints, odd)?;
    count_limit("segments", s.segments.len(), SEGMENTS_MAX)?;
    if let Some(id) = s.segments.iter().find(|id| !around.segments.contains_key(id)) {
        odd.meet(format!("the segment {id} does not exist; SDKs would match nobody"))?;
    }
    variants(&s.variants, kind)?;
    let sticky = s.parameters.get("stickiness").map_or("default", String::as_str);
    for v in &s.variants {
        if !v.overrides.is_empty() {
            return Err(format!(
                "the variant `{}` has overrides; SDKs read them on the flag's own variants only",
                v.name
            ));
        }
        if v.stickiness.as_deref().is_some_and(|own| own != sticky) {
            return Err(format!(
                "the variant `{}` has another stickiness than the strategy; SDKs disagree on which one counts",
                v.name
            ));
        }
    }
    Ok(())
}

fn constraints(list: &[Constraint], odd: &Oddities) -> Check {
    count_limit("constraints", list.len(), CONSTRAINTS_MAX)?;
    for c in list {
        constraint(c, odd)
            .map_err(|m| format!("the constraint {} on `{}`: {m}", shown(&c.operator), shown(&c.context_name)))?;
    }
    Ok(())
}

fn constraint(c: &Constraint, odd: &Oddities) -> Check {
    if !OPERATORS.contains(&c.operator.as_str()) {
        odd.meet(format!("no such operator `{}`; SDKs would match nobody", shown(&c.operator)))?;
    }
    if c.context_name.is_empty() {
        return Err("the context field is missing".into());
    }
    text_limit("the context field", &c.context_name, KEY_BYTES_MAX)?;
    plain("the context field", &c.context_name)?;
    let value = c.value.as_deref().unwrap_or_default();
    text_limit("the value", value, VALUE_BYTES_MAX)?;
    let list = || {
        count_limit("values", c.values.len(), VALUES_MAX)?;
        c.values.iter().try_for_each(|v| list_value(v))
    };
    match c.operator.as_str() {
        "IN" | "NOT_IN" | "STR_STARTS_WITH" | "STR_ENDS_WITH" | "STR_CONTAINS" => list(),
        "IN_CIDR" => {
            list()?;
            match c.values.iter().find(|v| Network::parse(v).is_none()) {
                Some(bad) => odd.meet(format!("`{}` is not an address or range like 10.0.0.0/8", shown(bad))),
                None => Ok(()),
            }
        }
        op if op.starts_with("NUM_") && !is_decimal(value) => {
            Err(format!("`{}` is not a decimal number", shown(value)))
        }
        op if op.starts_with("DATE_") && (parse_date(value).is_none() || !is_plain_date(value)) => {
            Err(format!("`{}` is not an instant like 2026-11-23T06:09:40Z", shown(value)))
        }
        op if op.starts_with("DATE_") && c.context_name != "currentTime" => {
            Err("dates are compared with `currentTime` only; some SDKs ignore any other field".into())
        }
        op if op.starts_with("SEMVER_") && semver::Version::parse(value).is_err() => {
            odd.meet(format!("`{}` is not a version like 1.2.3", shown(value)))
        }
        "REGEX" if value.is_empty() || compile_regex(value, c.case_insensitive).is_none() => {
            odd.meet("the expression does not compile (RE2 syntax: no look-around, no back-references)")
        }
        "REGEX" if value.contains("\\\"") => Err("a backslash before a quote is read differently by SDKs".into()),
        _ => Ok(()),
    }
}

fn variants(list: &[Variant], kind: ValueType) -> Check {
    count_limit("variants", list.len(), VARIANTS_MAX)?;
    let mut names = BTreeSet::new();
    for v in list {
        let name = shown(&v.name);
        key_text("variant", &v.name)?;
        if v.name == DISABLED_VARIANT {
            return Err("no variant may be called `disabled`; SDKs answer that name when there is no variant".into());
        }
        if !names.insert(v.name.as_str()) {
            return Err(format!("there are two variants called `{name}`"));
        }
        if v.weight > WEIGHT_MAX {
            return Err(format!("the weight of variant `{name}` is over {WEIGHT_MAX}"));
        }
        match (&v.value, &v.payload) {
            (Some(value), _) => typed(&format!("the value of variant `{name}`"), value, kind)?,
            (None, Some(payload)) if kind.parse(&payload.value).is_none() && kind != ValueType::Bool => {
                return Err(format!("the payload of variant `{name}` is not a value of type {}", kind.name()));
            }
            (None, None) if !matches!(kind, ValueType::Bool | ValueType::String) => {
                return Err(format!("variant `{name}` has no value"));
            }
            _ => {}
        }
        if let Some(stickiness) = &v.stickiness {
            plain("stickiness", stickiness)?;
        }
        for o in &v.overrides {
            plain("an override's context field", &o.context_name)?;
            count_limit("values", o.values.len(), VALUES_MAX)?;
        }
    }
    if !list.is_empty() && list.iter().all(|v| v.weight == 0) {
        return Err("the weights of the variants sum to 0; some SDKs crash on it".into());
    }
    Ok(())
}

fn typed(what: &str, value: &Value, kind: ValueType) -> Check {
    if kind.conform(value).is_none() {
        return Err(format!("{what} is not of type {}", kind.name()));
    }
    text_limit(what, &value.to_string(), VALUE_BYTES_MAX)
}

fn share(value: &str) -> Check {
    Share::parse(value).map(drop).ok_or_else(|| {
        format!("`rollout` is `{}` but must be a percentage from 0 to 100 with at most two decimals", shown(value))
    })
}

fn percentage(name: &str, value: &str) -> Check {
    let whole = value.len() <= 3 && !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    match value.parse::<u8>() {
        Ok(0..=100) if whole => Ok(()),
        _ => Err(format!(
            "`{name}` is `{}` but must be a whole number from 0 to 100; SDKs disagree on others",
            shown(value)
        )),
    }
}

fn key_text(what: &str, text: &str) -> Check {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    if text.is_empty() || text.len() > KEY_BYTES_MAX || !text.bytes().all(allowed) || text == "." || text == ".." {
        return Err(format!(
            "the {what} `{}` must be 1 to {KEY_BYTES_MAX} characters out of letters, digits and - _ . ~",
            shown(text)
        ));
    }
    Ok(())
}

fn plain(what: &str, text: &str) -> Check {
    if text.contains('"') || text.ends_with('\\') || text.chars().any(char::is_control) {
        return Err(format!(
            "{what} holds a quote, a trailing backslash or a control character, which SDKs read differently"
        ));
    }
    text_limit(what, text, VALUE_BYTES_MAX)
}

fn list_value(value: &str) -> Check {
    if value.is_empty() || value.trim() != value {
        return Err(format!("the value `{}` is empty or has spaces around it, which some SDKs cut off", shown(value)));
    }
    plain("a value", value)
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |s: &str| !s.is_empty() && s.len() <= 15 && s.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole) && all_digits(fraction)
}

/// `YYYY-MM-DDTHH:MM:SS`, at most three digits of fraction, `Z` or `+HH:MM`: what the strictest SDK reads.
fn is_plain_date(text: &str) -> bool {
    let zone_bytes = if text.ends_with('Z') { 1 } else { 6 };
    let Some(local) = text.len().checked_sub(zone_bytes).and_then(|end| text.get(..end)) else { return false };
    let fits = local.len() == 19 || (local.len() == 23 && local.as_bytes().get(19) == Some(&b'.'));
    fits && local.as_bytes().get(10) == Some(&b'T')
}

fn text_limit(what: &str, text: &str, bytes_max: usize) -> Check {
    if text.len() > bytes_max {
        return Err(format!("{what} has {} bytes, over the limit of {bytes_max}", text.len()));
    }
    Ok(())
}

fn count_limit(what: &str, count: usize, max: usize) -> Check {
    if count > max {
        return Err(format!("there are {count} {what}, over the limit of {max}"));
    }
    Ok(())
}

/// Text of others, cut for a message.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let clean: String = text.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().count() > SHOWN_CHARS_MAX { format!("{clean}...") } else { clean }
}
