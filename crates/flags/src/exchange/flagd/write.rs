//! One environment of flags as a flagd definition. What flagd's rules cannot say is left out and noted.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{ENVIRONMENT_DEFAULT, Note, Options, Outcome, shown};
use super::{CURRENT_TIME, FLAG_KEY, PROJECT, TARGETING_KEY, TIMESTAMP, USER_ID};
use crate::{
    Constraint, DEFAULT_PROJECT, FLEXIBLE_ROLLOUT, Flag, FlagEnvironment, Segment, Strategy, ValueType, Variant,
};

const OFF: &str = "off";
const ON: &str = "on";

pub fn write(flags: &[&Flag], segments: &[&Segment], options: Options<'_>) -> (Value, Vec<Note>) {
    let environment = options.environment.unwrap_or(ENVIRONMENT_DEFAULT);
    let (mut out, mut notes, mut evaluators) = (Map::new(), Vec::new(), Map::new());
    let segments: BTreeMap<i64, &Segment> = segments.iter().map(|s| (s.id, *s)).collect();
    let unset = FlagEnvironment::default();
    for flag in flags {
        let state = flag.environments.get(environment).unwrap_or(&unset);
        let mut writing = Writing { flag, segments: &segments, used: Vec::new(), variants: Map::new(), options };
        match writing.definition(state) {
            Ok(definition) => {
                out.insert(flag.key.clone(), definition);
                for (name, condition) in writing.used {
                    evaluators.insert(name, condition);
                }
            }
            Err(text) => {
                notes.push(Note { about: format!("flag {}", flag.key), outcome: Outcome::Refused, text });
            }
        }
    }
    let mut document = json!({"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": out});
    if let Some(map) = document.as_object_mut().filter(|_| !evaluators.is_empty()) {
        map.insert("$evaluators".into(), Value::Object(evaluators));
    }
    (document, notes)
}

struct Writing<'a> {
    flag: &'a Flag,
    segments: &'a BTreeMap<i64, &'a Segment>,
    /// Segments that its rules refer to.
    used: Vec<(String, Value)>,
    variants: Map<String, Value>,
    options: Options<'a>,
}

impl Writing<'_> {
    fn definition(&mut self, state: &FlagEnvironment) -> Result<Value, String> {
        if !self.flag.dependencies.is_empty() {
            return Err("flagd knows no parents".into());
        }
        let kind = self.flag.value_type;
        let off = state.off_value.clone().unwrap_or_else(|| kind.zero());
        self.variant(OFF, &off)?;
        if kind == ValueType::Bool {
            self.variant(ON, &Value::Bool(true))?;
        }
        let strategies: Vec<&Strategy> = state.strategies.iter().filter(|s| !s.disabled).collect();
        let enabled = state.enabled && (!strategies.is_empty() || state.strategies.is_empty());
        let (mut default, mut targeting) = (json!(OFF), Value::Null);
        if enabled && strategies.is_empty() {
            match self.outcome(&state.variants, None)? {
                Value::String(name) => default = json!(name),
                split => targeting = split,
            }
        } else if enabled {
            targeting = self.rule(&strategies, &state.variants)?;
            if let Value::String(name) = &targeting {
                default = json!(name);
                targeting = Value::Null;
            }
        }
        let mut out = json!({"state": "ENABLED", "variants": self.variants, "defaultVariant": default});
        if !targeting.is_null() {
            out["targeting"] = targeting;
        }
        if self.flag.project != DEFAULT_PROJECT {
            out["metadata"] = json!({PROJECT: self.flag.project});
        }
        Ok(out)
    }

    /// Strategies in their order; who matches none gets what the flag says when off.
    fn rule(&mut self, strategies: &[&Strategy], of_flag: &[Variant]) -> Result<Value, String> {
        let Some((strategy, rest)) = strategies.split_first() else { return Ok(json!(OFF)) };
        let sticky = strategy.parameters.get("stickiness").map(String::as_str);
        let own = if strategy.variants.is_empty() { of_flag } else { &strategy.variants };
        let sticky_variants = if strategy.variants.is_empty() { None } else { sticky };
        let outcome = self.outcome(own, sticky_variants)?;
        let (mut conditions, share) = self.conditions(strategy)?;
        let otherwise = self.rule(rest, of_flag)?;
        let then = match share {
            None => outcome,
            Some(0) => otherwise.clone(),
            Some(percent) => {
                self.may_rebucket()?;
                if !conditions.is_empty() && otherwise != json!(OFF) {
                    return Err("a percentage of some, before other strategies, has no counterpart in flagd".into());
                }
                let bucket = bucket(sticky)?;
                json!({"fractional": [bucket, [outcome, percent], [otherwise, 100 - percent]]})
            }
        };
        Ok(match conditions.len() {
            0 => then,
            1 => branch(conditions.remove(0), then, otherwise),
            _ => branch(json!({"and": conditions}), then, otherwise),
        })
    }

    /// The variant's name, or the split that finds it.
    fn outcome(&mut self, variants: &[Variant], sticky: Option<&str>) -> Result<Value, String> {
        let weighted: Vec<&Variant> = variants.iter().filter(|v| v.weight > 0).collect();
        for v in variants {
            if !v.overrides.is_empty() {
                return Err("flagd knows no overrides of variants".into());
            }
            let value =
                v.value.clone().or_else(|| v.payload.as_ref().and_then(|p| self.flag.value_type.parse(&p.value)));
            let value = value.unwrap_or_else(|| match self.flag.value_type {
                ValueType::Bool => Value::Bool(true),
                other => other.zero(),
            });
            self.variant(&v.name, &value)?;
        }
        match weighted.as_slice() {
            [] if self.flag.value_type == ValueType::Bool => Ok(json!(ON)),
            [] => Ok(json!(OFF)),
            [one] => Ok(json!(one.name)),
            many => {
                self.may_rebucket()?;
                let bucket = bucket(sticky.or(many[0].stickiness.as_deref()))?;
                let mut split = vec![bucket];
                split.extend(many.iter().map(|v| json!([v.name, v.weight])));
                Ok(json!({"fractional": split}))
            }
        }
    }

    fn variant(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match self.variants.get(name) {
            Some(known) if known != value => Err(format!("the variant `{name}` has two values")),
            _ => {
                self.variants.insert(name.to_owned(), value.clone());
                Ok(())
            }
        }
    }

    fn may_rebucket(&self) -> Result<(), String> {
        if self.options.allow_rebucketing {
            return Ok(());
        }
        Err("flagd puts people into buckets by another hash, so many would change sides; \
             allow rebucketing to keep the shares and not the people"
            .into())
    }

    /// The conditions of a strategy, and its percentage where it has one below 100.
    fn conditions(&mut self, strategy: &Strategy) -> Result<(Vec<Value>, Option<u8>), String> {
        let mut out: Vec<Value> = strategy.constraints.iter().map(condition).collect::<Result<_, _>>()?;
        for id in &strategy.segments {
            let segment = self.segments.get(id).ok_or_else(|| format!("there is no segment {id}"))?;
            let parts: Vec<Value> = segment.constraints.iter().map(condition).collect::<Result<_, _>>()?;
            let name = format!("segment_{id}");
            let whole = match parts.as_slice() {
                [] => continue,
                [one] => one.clone(),
                _ => json!({"and": parts}),
            };
            self.used.push((name.clone(), whole));
            out.push(json!({"$ref": name}));
        }
        let parameter = |name: &str| strategy.parameters.get(name).map(String::as_str).unwrap_or_default();
        match strategy.name.as_str() {
            "default" => Ok((out, None)),
            FLEXIBLE_ROLLOUT => {
                let percent: u8 = parameter("rollout").parse().map_err(|_| "its percentage cannot be read")?;
                Ok((out, Some(percent).filter(|p| *p < 100)))
            }
            "userWithId" => {
                let ids: Vec<&str> = parameter("userIds").split(',').map(str::trim).filter(|i| !i.is_empty()).collect();
                out.push(json!({"in": [{"var": TARGETING_KEY}, ids]}));
                Ok((out, None))
            }
            other => Err(format!("the strategy `{}` has no counterpart in flagd", shown(other))),
        }
    }
}

fn branch(condition: Value, then: Value, otherwise: Value) -> Value {
    // A chain of cases reads better flat.
    let more = otherwise.get("if").and_then(Value::as_array).cloned();
    let mut list = vec![condition, then];
    list.extend(more.unwrap_or_else(|| vec![otherwise]));
    json!({"if": list})
}

fn bucket(sticky: Option<&str>) -> Result<Value, String> {
    let field = match sticky.unwrap_or("default") {
        "random" => return Err("a share that changes with every question has no counterpart in flagd".into()),
        "default" | USER_ID => TARGETING_KEY,
        other => other,
    };
    Ok(json!({"cat": [{"var": FLAG_KEY}, {"var": field}]}))
}

fn condition(c: &Constraint) -> Result<Value, String> {
    let name = if c.context_name == USER_ID { TARGETING_KEY } else { &c.context_name };
    let field = json!({"var": name});
    if c.case_insensitive {
        return Err(format!("flagd cannot compare `{}` without case", shown(name)));
    }
    let value = c.value.as_deref().unwrap_or_default();
    let number = || value.parse::<serde_json::Number>().map_err(|_| format!("`{}` is not a number", shown(value)));
    let each = |operator: &str| {
        let parts: Vec<Value> = c.values.iter().map(|v| json!({operator: [field, v]})).collect();
        if parts.len() == 1 { parts[0].clone() } else { json!({"or": parts}) }
    };
    let positive = match c.operator.as_str() {
        "IN" => json!({"in": [field, c.values]}),
        "NOT_IN" => json!({"!": [{"in": [field, c.values]}]}),
        "STR_STARTS_WITH" => each("starts_with"),
        "STR_ENDS_WITH" => each("ends_with"),
        "STR_CONTAINS" => {
            let parts: Vec<Value> = c.values.iter().map(|v| json!({"in": [v, field]})).collect();
            if parts.len() == 1 { parts[0].clone() } else { json!({"or": parts}) }
        }
        "NUM_EQ" => json!({"==": [field, number()?]}),
        "NUM_GT" => json!({">": [field, number()?]}),
        "NUM_GTE" => json!({">=": [field, number()?]}),
        "NUM_LT" => json!({"<": [field, number()?]}),
        "NUM_LTE" => json!({"<=": [field, number()?]}),
        "SEMVER_EQ" => json!({"sem_ver": [field, "=", value]}),
        "SEMVER_GT" => json!({"sem_ver": [field, ">", value]}),
        "SEMVER_GTE" => json!({"sem_ver": [field, ">=", value]}),
        "SEMVER_LT" => json!({"sem_ver": [field, "<", value]}),
        "SEMVER_LTE" => json!({"sem_ver": [field, "<=", value]}),
        "DATE_AFTER" | "DATE_BEFORE" if c.context_name == CURRENT_TIME => {
            let at = tenfold_types::Timestamp::parse_rfc3339(value).ok_or("a date cannot be read")?;
            let operator = if c.operator == "DATE_AFTER" { ">" } else { "<" };
            json!({operator: [{"var": TIMESTAMP}, at.millis().div_euclid(1_000)]})
        }
        other => return Err(format!("the operator {} has no counterpart in flagd", shown(other))),
    };
    Ok(if c.inverted { json!({"!": [positive]}) } else { positive })
}
