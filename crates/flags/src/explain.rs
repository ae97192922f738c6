//! Why somebody gets what they get: one answer, taken apart into parents, strategies and constraints.
//!
//! Every part is asked of the same evaluator that clients are answered by, as a definition that holds only this part.
//! Nothing is decided here a second time, so an explanation cannot disagree with the answer. It costs a compilation, and
//! is for people who look at one flag; clients are never answered from here.

mod words;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    context::{Context, Field},
    evaluate::{DISABLED_VARIANT, Moment},
    features::{ClientFeatures, Constraint, Dependency, Feature, Segment, Strategy},
    fraction::Share,
    model::{FLEXIBLE_ROLLOUT, Flag, FlagEnvironment},
    murmur::{Prefix, ROLLOUT_SEED},
    snapshot::Snapshot,
    validate::Surroundings,
};

/// No SDK knows a strategy of this name, so it matches nobody.
const NEVER: &str = "never";

/// What somebody gets, without the reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagPreviewAnswer))]
pub struct Answer {
    pub enabled: bool,
    /// The variant's name, else `on` or `off`.
    pub variant: String,
    pub value: Value,
    /// `STATIC`, `TARGETING_MATCH`, `SPLIT` or `DISABLED`.
    pub reason: String,
}

/// An answer and what led to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagExplanation))]
pub struct Explanation {
    pub answer: Answer,
    /// One sentence: what decided.
    pub because: String,
    pub switched_on: bool,
    pub parents: Vec<Part>,
    pub strategies: Vec<StrategyPart>,
    /// Position of the strategy that matched first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<usize>,
}

/// One condition: in words, what the context holds for it, and whether it is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagExplanationPart))]
pub struct Part {
    pub text: String,
    /// Absent when the context has no such field, or when no field is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    pub holds: bool,
}

/// One strategy: whom it is for, and each of its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagExplanationStrategy))]
pub struct StrategyPart {
    pub name: String,
    /// All of it together.
    pub holds: bool,
    /// The percentage, the list of people, ...
    pub rule: Part,
    pub constraints: Vec<Part>,
    pub segments: Vec<Part>,
}

/// One flag in one environment, ready to be asked about many people.
pub struct Explainer<'a> {
    flag: Flag,
    environment: &'a str,
    around: Surroundings<'a>,
    snapshot: Snapshot,
}

impl<'a> Explainer<'a> {
    /// `flag` may be one that is not stored. Parents and segments are taken from `around`.
    pub fn new(flag: &Flag, environment: &'a str, around: Surroundings<'a>) -> Self {
        let mut flag = flag.clone();
        flag.environments.entry(environment.to_owned()).or_default();
        // Writes `groupId` out, so that a part under another name lands in the same bucket.
        flag.normalize();
        let mut features = features(&flag, environment);
        features.extend(parents(&flag, environment, around));
        let snapshot = Snapshot::compile(&document(features, around));
        Self { flag, environment, around, snapshot }
    }

    pub fn answer(&self, context: &Context, moment: Moment) -> Answer {
        match self.snapshot.evaluate(&self.flag.key, context, moment) {
            Some(answer) => Answer {
                enabled: answer.enabled,
                variant: answer.variant().to_owned(),
                value: answer.value().clone(),
                reason: answer.reason.name().to_owned(),
            },
            // Only an archived flag is missing from its own document.
            None => {
                Answer { enabled: false, variant: "off".into(), value: Value::Bool(false), reason: "DISABLED".into() }
            }
        }
    }

    pub fn explain(&self, context: &Context, moment: Moment) -> Explanation {
        let state = self.state();
        let parts = self.parts();
        let ask = |name: &str| parts.evaluate(name, context, moment).is_some_and(|a| a.enabled);
        let constraint = |c: &Constraint, name: &str| Part {
            text: words::constraint(c),
            found: found(context, &c.context_name),
            holds: ask(name),
        };
        let strategies = state.strategies.iter().enumerate().map(|(i, s)| StrategyPart {
            name: s.name.clone(),
            holds: ask(&whole(i)),
            rule: Part { text: rule_words(s, context), found: None, holds: ask(&rule(i)) },
            constraints: s.constraints.iter().enumerate().map(|(j, c)| constraint(c, &nth(i, j))).collect(),
            segments: s
                .segments
                .iter()
                .enumerate()
                .map(|(j, id)| Part {
                    text: words::segment(*id, self.around.segments.get(id)),
                    found: None,
                    holds: ask(&nth_segment(i, j)),
                })
                .collect(),
        });
        let strategies: Vec<_> = strategies.collect();
        let answer = self.answer(context, moment);
        let parents: Vec<_> = self
            .flag
            .dependencies
            .iter()
            .map(|d| Part {
                text: words::parent(d),
                found: Some(self.parent_found(&d.feature, context, moment)),
                holds: parts.evaluate(&child(&d.feature), context, moment).is_some_and(|a| a.enabled),
            })
            .collect();
        let matched = strategies.iter().position(|s| s.holds);
        let because = words::because(state, &parents, &strategies, matched, &answer);
        Explanation { answer, because, switched_on: state.enabled, parents, strategies, matched }
    }

    fn state(&self) -> &FlagEnvironment {
        // `new` made sure that it is there.
        &self.flag.environments[self.environment]
    }

    /// Every part as a flag of its own.
    fn parts(&self) -> Snapshot {
        let mut out = Vec::new();
        let mut part = |name: String, before: usize, strategy: Strategy, dependencies: Vec<Dependency>| {
            let mut flag = Flag { dependencies, ..Flag::new(name) };
            // Chance is drawn by position: what comes before keeps its place.
            let mut strategies = vec![Strategy { name: NEVER.into(), ..Strategy::default() }; before];
            strategies.push(Strategy { variants: Vec::new(), ..strategy });
            let state = FlagEnvironment { enabled: true, strategies, ..FlagEnvironment::default() };
            flag.environments.insert(self.environment.to_owned(), state);
            out.extend(features(&flag, self.environment));
        };
        let always = || Strategy { name: "default".into(), ..Strategy::default() };
        for (i, s) in self.state().strategies.iter().enumerate() {
            part(whole(i), i, s.clone(), Vec::new());
            let bare = Strategy { constraints: Vec::new(), segments: Vec::new(), ..s.clone() };
            part(rule(i), i, bare, Vec::new());
            for (j, c) in s.constraints.iter().enumerate() {
                part(nth(i, j), 0, Strategy { constraints: vec![c.clone()], ..always() }, Vec::new());
            }
            for (j, id) in s.segments.iter().enumerate() {
                part(nth_segment(i, j), 0, Strategy { segments: vec![*id], ..always() }, Vec::new());
            }
        }
        for d in &self.flag.dependencies {
            part(child(&d.feature), 0, always(), vec![d.clone()]);
        }
        out.extend(parents(&self.flag, self.environment, self.around));
        Snapshot::compile(&document(out, self.around))
    }

    fn parent_found(&self, parent: &str, context: &Context, moment: Moment) -> String {
        match self.snapshot.evaluate(parent, context, moment) {
            None => "no such flag".into(),
            Some(answer) if !answer.enabled => "off".into(),
            Some(answer) => match answer.unleash_variant() {
                Some((variant, _)) if variant != DISABLED_VARIANT => format!("on, {variant}"),
                _ => "on".into(),
            },
        }
    }
}

// A flag's key holds letters, digits and `-_.~`, so these names are nobody's.
fn whole(i: usize) -> String {
    format!("/{i}")
}
fn rule(i: usize) -> String {
    format!("/{i}/rule")
}
fn nth(i: usize, j: usize) -> String {
    format!("/{i}/constraint/{j}")
}
fn nth_segment(i: usize, j: usize) -> String {
    format!("/{i}/segment/{j}")
}
fn child(parent: &str) -> String {
    format!("/child/{parent}")
}

fn features(flag: &Flag, environment: &str) -> Vec<Feature> {
    flag.features(environment).collect()
}

fn parents(flag: &Flag, environment: &str, around: Surroundings<'_>) -> Vec<Feature> {
    let known = flag.dependencies.iter().filter_map(|d| around.flags.get(&d.feature));
    known.filter(|f| f.key != flag.key).flat_map(|f| features(f, environment)).collect()
}

/// With the segments that are used in it.
fn document(features: Vec<Feature>, around: Surroundings<'_>) -> ClientFeatures {
    let used = features.iter().flat_map(|f| &f.strategies).flat_map(|s| &s.segments);
    let used: std::collections::BTreeSet<i64> = used.copied().collect();
    let segments: Vec<Segment> = used.iter().filter_map(|id| around.segments.get(id)).cloned().collect();
    ClientFeatures { version: 2, features, segments }
}

fn found(context: &Context, name: &str) -> Option<String> {
    context.text(&Field::parse(name)).map(str::to_owned)
}

/// What the strategy's own rule says of this context.
fn rule_words(s: &Strategy, context: &Context) -> String {
    let parameter = |name: &str| s.parameters.get(name).map_or("", String::as_str);
    let gradual = |field: &str| sticky_words(parameter("percentage"), parameter("groupId"), field, context);
    match s.name.as_str() {
        "default" => "everybody".into(),
        FLEXIBLE_ROLLOUT => sticky_words(parameter("rollout"), parameter("groupId"), parameter("stickiness"), context),
        "gradualRolloutUserId" => gradual("userId"),
        "gradualRolloutSessionId" => gradual("sessionId"),
        "gradualRolloutRandom" => gradual("random"),
        "userWithId" => words::listed("userId", found(context, "userId"), parameter("userIds")),
        "remoteAddress" => words::listed("remoteAddress", found(context, "remoteAddress"), parameter("IPs")),
        "applicationHostname" => words::listed("hostname", found(context, "hostname"), parameter("hostNames")),
        _ => "no SDK knows this strategy, so nobody".into(),
    }
}

fn sticky_words(percent: &str, group: &str, stickiness: &str, context: &Context) -> String {
    let fields: &[&str] = match stickiness {
        "" | "default" => &["userId", "sessionId"],
        "random" => return format!("{percent} % of all evaluations, by chance"),
        field => &[field],
    };
    let id = fields.iter().find_map(|f| found(context, f).filter(|id| !id.is_empty()).map(|id| (*f, id)));
    match id {
        Some((field, id)) => {
            let bucket = Prefix::new(group, ROLLOUT_SEED).bucket(&id, 100);
            let share = Share::parse(percent).unwrap_or_default().as_hundredths();
            let (whole, rest) = (u32::from(share / 100), share % 100);
            let half = if rest > 0 && bucket == whole + 1 {
                format!(", of this bucket {rest} % by a second draw")
            } else {
                String::new()
            };
            format!("{field} `{id}` is in bucket {bucket} of 100; {percent} % are in{half}")
        }
        None if fields.len() > 1 => {
            format!("{percent} %, by chance each time: the context has neither userId nor sessionId")
        }
        None => format!("{percent} % by {stickiness}, which the context lacks, so nobody"),
    }
}
