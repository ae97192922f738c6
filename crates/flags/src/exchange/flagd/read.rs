//! From a flagd definition to flags.

use serde_json::{Map, Value};

use super::super::{Bundle, ENVIRONMENT_DEFAULT, Options, shown};
use super::condition::{Any, Evaluators, every, not};
use super::decide::{Choice, Decision, decisions};
use super::{DEPTH_MAX, PROJECT, RULES_MAX};
use crate::{FLEXIBLE_ROLLOUT, Flag, FlagEnvironment, Strategy, ValueType, Variant};

/// The weight of a variant that stands alone.
const WHOLE: u32 = 1_000;

pub fn read(document: &Value, options: Options<'_>) -> Result<Bundle, String> {
    let mut bundle = Bundle::default();
    let nothing = Map::new();
    let evaluators = document.get("$evaluators").and_then(Value::as_object).unwrap_or(&nothing);
    let flags: Vec<(String, &Value)> = match document.get("flags") {
        Some(Value::Object(map)) => map.iter().map(|(key, flag)| (key.clone(), flag)).collect(),
        Some(Value::Array(list)) => {
            list.iter().map(|f| (f["key"].as_str().unwrap_or_default().to_owned(), f)).collect()
        }
        _ => return Err("the file is no flag definition of flagd: it has no `flags`".into()),
    };
    for (key, value) in flags {
        let about = format!("flag {}", shown(&key));
        match Reading::new(&key, value, options).and_then(|r| r.flag(evaluators)) {
            Ok((flag, notes)) => {
                if value["metadata"][PROJECT].as_str().is_some_and(|name| !name.is_empty()) {
                    bundle.in_named_project.insert(flag.key.clone());
                }
                bundle.flags.push(flag);
                for text in notes {
                    bundle.changed(&about, text);
                }
            }
            Err(reason) => bundle.refused(about, reason),
        }
    }
    if document.get("metadata").and_then(Value::as_object).is_some_and(|m| !m.is_empty()) {
        bundle.changed("file", "the metadata of the set is not kept");
    }
    Ok(bundle)
}

struct Reading<'a> {
    key: &'a str,
    value: &'a Value,
    kind: ValueType,
    variants: &'a Map<String, Value>,
    default: Option<&'a str>,
    options: Options<'a>,
    notes: Vec<String>,
}

impl<'a> Reading<'a> {
    fn new(key: &'a str, value: &'a Value, options: Options<'a>) -> Result<Self, String> {
        let variants = value.get("variants").and_then(Value::as_object).ok_or("it has no variants")?;
        let kind = value_type(variants)?;
        let default = value.get("defaultVariant").and_then(Value::as_str);
        if let Some(name) = default.filter(|name| !variants.contains_key(*name)) {
            return Err(format!("its default variant `{}` is none of its variants", shown(name)));
        }
        Ok(Self { key, value, kind, variants, default, options, notes: Vec::new() })
    }

    fn flag(mut self, evaluators: &Evaluators) -> Result<(Flag, Vec<String>), String> {
        let rule = self.value.get("targeting").unwrap_or(&Value::Null);
        let decisions = decisions(rule, evaluators, DEPTH_MAX)?;
        let mut state = if self.kind == ValueType::Bool { self.switch(&decisions)? } else { self.choose(&decisions)? };
        match self.value.get("state").and_then(Value::as_str) {
            Some("ENABLED") => {}
            Some("DISABLED") => {
                state.enabled = false;
                self.notes.push("a disabled flag answers the code's default there and its off value here".into());
            }
            _ => return Err("its state is neither ENABLED nor DISABLED".into()),
        }
        let project = self.value["metadata"][PROJECT].as_str().filter(|name| !name.is_empty());
        let metadata = self.value.get("metadata").and_then(Value::as_object);
        if metadata.is_some_and(|m| m.len() > usize::from(project.is_some())) {
            self.notes.push("of its metadata only the project is kept".into());
        }
        let mut flag = Flag::new(self.key);
        flag.value_type = self.kind;
        if let Some(project) = project {
            project.clone_into(&mut flag.project);
        }
        let environment = self.options.environment.unwrap_or(ENVIRONMENT_DEFAULT);
        flag.environments.insert(environment.to_owned(), state);
        flag.normalize();
        Ok((flag, self.notes))
    }

    /// The variant a decision names; `None` is the code's default.
    fn variant(&self, name: Option<&'a str>, choice: &Choice) -> Result<Option<String>, String> {
        match choice {
            Choice::Variant(name) if self.variants.contains_key(name) => Ok(Some(name.clone())),
            Choice::Variant(name) => Err(format!("its rule answers `{}`, which is none of its variants", shown(name))),
            Choice::Default | Choice::Split { .. } => Ok(name.map(str::to_owned)),
        }
    }

    /// A bool flag is on for whoever gets a variant that is `true`: no client then takes it for on because it has a
    /// variant called `off`.
    fn switch(&mut self, decisions: &[Decision]) -> Result<FlagEnvironment, String> {
        let mut strategies: Vec<Strategy> = Vec::new();
        // Those for whom an earlier decision said no.
        let mut left: Any = vec![Vec::new()];
        for decision in decisions {
            let when = every(vec![left.clone(), decision.when.clone()])?;
            let (on, share) = match &decision.choice {
                Choice::Split { sticky, shares } => {
                    let share = self.true_share(shares)?;
                    (!when.is_empty(), Some((sticky.clone(), share)))
                }
                choice => {
                    if let Some(name) = self.variant(self.default, choice)? {
                        (self.variants.get(&name) == Some(&Value::Bool(true)), None)
                    } else {
                        self.note_code_default();
                        (false, None)
                    }
                }
            };
            if on {
                for constraints in &when {
                    let mut strategy = match &share {
                        Some((sticky, percent)) => rollout(self.key, sticky, *percent),
                        None => Strategy { name: "default".into(), ..Strategy::default() },
                    };
                    strategy.constraints.clone_from(constraints);
                    if let Choice::Variant(name) = &decision.choice
                        && name != "on"
                        && share.is_none()
                    {
                        strategy.variants = vec![self.alone(name)];
                        strategy.parameters.entry("groupId".into()).or_insert_with(|| self.key.to_owned());
                        strategy.parameters.entry("stickiness".into()).or_insert_with(|| "default".into());
                    }
                    strategies.push(strategy);
                }
            }
            if !on || share.is_some() {
                left = every(vec![left, not(&decision.when)?])?;
            }
            if strategies.len() > RULES_MAX {
                return Err(format!("the rule becomes more than {RULES_MAX} strategies, the most a flag has"));
            }
        }
        self.off_name();
        let everybody = |s: &Strategy| s.name == "default" && s.constraints.is_empty() && s.variants.is_empty();
        let enabled = !strategies.is_empty();
        if strategies.first().is_some_and(everybody) {
            strategies.clear();
        }
        Ok(FlagEnvironment { enabled, strategies, ..FlagEnvironment::default() })
    }

    /// A flag of another type answers each decision with a variant of its own.
    fn choose(&mut self, decisions: &[Decision]) -> Result<FlagEnvironment, String> {
        let mut strategies: Vec<Strategy> = Vec::new();
        for (i, decision) in decisions.iter().enumerate() {
            let (base, variants) = match &decision.choice {
                Choice::Split { sticky, shares } => {
                    self.accept_rebucketing(shares)?;
                    (rollout(self.key, sticky, 100), self.weighted(shares)?)
                }
                choice => match self.variant(self.default, choice)? {
                    Some(name) => (Strategy { name: "default".into(), ..Strategy::default() }, vec![self.alone(&name)]),
                    None if i + 1 == decisions.len() => {
                        self.note_code_default();
                        continue;
                    }
                    None => {
                        return Err("some of its people get the code's default, and later rules hold for others".into());
                    }
                },
            };
            for constraints in &decision.when {
                strategies.push(Strategy {
                    constraints: constraints.clone(),
                    variants: variants.clone(),
                    ..base.clone()
                });
            }
        }
        if strategies.len() > RULES_MAX {
            return Err(format!("the rule becomes more than {RULES_MAX} strategies, the most a flag has"));
        }
        let off_value = self.default.and_then(|name| self.variants.get(name)).cloned();
        Ok(FlagEnvironment { enabled: !strategies.is_empty(), off_value, strategies, ..FlagEnvironment::default() })
    }

    fn alone(&self, name: &str) -> Variant {
        Variant { name: name.into(), weight: WHOLE, value: self.variants.get(name).cloned(), ..Variant::default() }
    }

    fn weighted(&mut self, shares: &[(String, u64)]) -> Result<Vec<Variant>, String> {
        let mut merged: Vec<(String, u64)> = Vec::new();
        for (name, weight) in shares {
            if !self.variants.contains_key(name) {
                return Err(format!("its rule answers `{}`, which is none of its variants", shown(name)));
            }
            match merged.iter_mut().find(|(n, _)| n == name) {
                Some((_, known)) => *known += weight,
                None => merged.push((name.clone(), *weight)),
            }
        }
        let most = merged.iter().map(|(_, w)| *w).max().unwrap_or(0);
        if most > u64::from(WHOLE) {
            self.notes.push(format!("its shares are rounded to weights of at most {WHOLE}"));
        }
        let scaled = |w: u64| if most > u64::from(WHOLE) { w.saturating_mul(u64::from(WHOLE)) / most } else { w };
        Ok(merged
            .into_iter()
            .map(|(name, w)| Variant { weight: u32::try_from(scaled(w)).unwrap_or(WHOLE), ..self.alone(&name) })
            .collect())
    }

    /// Whole per cent of the people who get `true`.
    fn true_share(&mut self, shares: &[(String, u64)]) -> Result<u8, String> {
        self.accept_rebucketing(shares)?;
        let (mut yes, mut all) = (0u64, 0u64);
        for (name, weight) in shares {
            let value = self.variants.get(name);
            let value =
                value.ok_or_else(|| format!("its rule answers `{}`, which is none of its variants", shown(name)))?;
            all = all.saturating_add(*weight);
            yes = yes.saturating_add(if *value == Value::Bool(true) { *weight } else { 0 });
        }
        let percent = yes.saturating_mul(100);
        if all == 0 || percent % all != 0 {
            return Err(format!("{yes} of {all} is no whole per cent, and a share must be one here"));
        }
        u8::try_from(percent / all).map_err(|e| e.to_string())
    }

    fn accept_rebucketing(&mut self, shares: &[(String, u64)]) -> Result<(), String> {
        let told = shares.iter().take(5).map(|(n, w)| format!("{}: {w}", shown(n))).collect::<Vec<_>>().join(", ");
        if !self.options.allow_rebucketing {
            return Err(format!(
                "its `fractional` ({told}) puts people into buckets by another hash, so many would change sides; \
                 allow rebucketing to keep the shares and not the people"
            ));
        }
        self.notes.push(format!("its shares ({told}) are kept, but other people are in them than in flagd"));
        Ok(())
    }

    fn note_code_default(&mut self) {
        self.notes.push("where no rule holds it answers its off value, not the code's default".into());
    }

    fn off_name(&mut self) {
        let no: Vec<&str> = self
            .variants
            .iter()
            .filter(|(n, v)| **v == Value::Bool(false) && *n != "off")
            .map(|(n, _)| n.as_str())
            .collect();
        if let Some(name) = no.first() {
            self.notes.push(format!("its variant `{}` is called `off` here; the value is the same", shown(name)));
        }
    }
}

fn rollout(key: &str, sticky: &str, percent: u8) -> Strategy {
    let mut strategy = Strategy { name: FLEXIBLE_ROLLOUT.into(), ..Strategy::default() };
    for (name, value) in [("rollout", percent.to_string()), ("groupId", key.into()), ("stickiness", sticky.into())] {
        strategy.parameters.insert(name.into(), value);
    }
    strategy
}

/// The one type of all variants.
fn value_type(variants: &Map<String, Value>) -> Result<ValueType, String> {
    let mut kind = None;
    for value in variants.values() {
        let own = match value {
            Value::Bool(_) => ValueType::Bool,
            Value::String(_) => ValueType::String,
            Value::Number(n) if n.is_i64() => ValueType::Int,
            Value::Number(_) => ValueType::Float,
            Value::Object(_) => ValueType::Object,
            Value::Null | Value::Array(_) => {
                return Err("a variant is neither a truth value, text, number nor object".into());
            }
        };
        kind = match (kind, own) {
            (None, own) => Some(own),
            (Some(ValueType::Int | ValueType::Float), ValueType::Float) | (Some(ValueType::Float), ValueType::Int) => {
                Some(ValueType::Float)
            }
            (Some(known), own) if known == own => Some(own),
            _ => return Err("its variants are of different types".into()),
        };
    }
    kind.ok_or_else(|| "it has no variants".into())
}
