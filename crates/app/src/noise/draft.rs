//! Drafts of a changed rule, each run over the stored past: how often it would have fired, and whether an incident in which
//! something was done would have been missed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenfold_alerting::{AlertRule, Evaluated, Fire, Present, Rule, RuleEdit, edit_rule, fires, line_diff, parse_rules};
use tenfold_promql::{
    Value,
    ast::{BinaryOp, ComparisonOp, Expr, Kind},
    format_float, parse,
};
use tenfold_types::{Fault, Labels, Timestamp, format_duration_ms};
use utoipa::ToSchema;

use super::{DRAFTS_MAX, NoiseAsk};
use crate::{
    App, Caller, Role,
    alerts::{RuleOf, UNKNOWN_KEEP_MS, rule_file_version, severity_of},
    metrics::How,
};

/// Evaluations of one look back; over a longer time they are further apart.
const EVALUATIONS_MAX: i64 = 10_000;
/// Series times evaluations.
const POINTS_MAX: usize = 1_000_000;
/// An incident counts as still told of when the draft fires this long around it.
const AROUND_MS: i64 = 15 * 60_000;
const FOR_MS_MAX: i64 = 6 * 3_600_000;
/// What is tried where a rule does not wait.
const FOR_MS: [i64; 3] = [60_000, 300_000, 900_000];
const THRESHOLDS: [f64; 3] = [1.1, 1.25, 1.5];

#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DraftAsk {
    /// The alert's name.
    pub rule: String,
    /// The rule file, where several have an alert of this name.
    pub file: Option<String>,
    /// Its group, where several of the file have an alert of this name.
    pub group: Option<String>,
    /// `critical`, `warning` or `info`, where several of the group have this name.
    pub severity: Option<String>,
    /// How many days back, 1 to 28; 7 when absent.
    pub days: Option<i64>,
}

/// A changed rule and what it would have done.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DraftView {
    /// What is changed, such as `for: 10m`; empty for the rule as it is.
    pub change: String,
    pub expr: String,
    /// How long the expression must hold.
    #[serde(rename = "for")]
    pub for_: String,
    /// How often it would have fired.
    pub fires: usize,
    /// Numbers of incidents in which something was done and of which it would not have told.
    pub missed: Vec<i64>,
    /// The change as lines of the rule file; empty for the rule as it is, and where it is written in a way that only a person
    /// can change.
    pub diff: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RuleDrafts {
    pub rule: String,
    pub file: String,
    /// Of the rule file that the drafts are made of.
    pub version: String,
    #[schema(value_type = String)]
    pub from: Timestamp,
    #[schema(value_type = String)]
    pub to: Timestamp,
    /// Time between the evaluations that were made; longer than the rule's own over many days.
    pub step_ms: i64,
    /// The rule as it is, over the same past.
    pub now: DraftView,
    pub drafts: Vec<DraftView>,
}

/// Which rule is meant: its name, and what tells it from others of that name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Which<'a> {
    pub name: &'a str,
    pub file: Option<&'a str>,
    pub group: Option<&'a str>,
    pub severity: Option<&'a str>,
}

/// What tells the alerts of a rule from those of the others of its name in its group.
#[derive(Debug, Clone)]
struct Severities {
    own: Option<&'static str>,
    others: Vec<&'static str>,
}

impl Severities {
    fn of(alike: &[AlertRule], at: usize) -> Self {
        let others = alike.iter().enumerate().filter(|(other, _)| *other != at);
        Self {
            own: alike.get(at).and_then(severity_of),
            others: others.filter_map(|(_, rule)| severity_of(rule)).collect(),
        }
    }

    /// An alert of this severity is the rule's.
    fn has(&self, severity: &str) -> bool {
        self.own.map_or_else(|| !self.others.contains(&severity), |own| own == severity)
    }
}

/// A rule and the file that it stands in.
#[derive(Debug, Clone)]
pub(super) struct RuleFound {
    pub file: String,
    /// The text of the file.
    pub text: String,
    group: String,
    severities: Severities,
    pub rule: AlertRule,
    interval_ms: i64,
}

/// A change that is drafted.
#[derive(Debug, Clone)]
pub(super) struct Proposal {
    /// Such as `for: 10m`.
    pub change: String,
    pub edit: RuleEdit,
    /// Of a changed comparison.
    threshold: Option<f64>,
}

/// What is tried of a rule.
pub(super) fn proposals(rule: &AlertRule, comparison: Option<&Comparison>) -> Vec<Proposal> {
    let longer: Vec<i64> = if rule.for_ms == 0 { FOR_MS.to_vec() } else { [2, 3, 5].map(|n| rule.for_ms * n).to_vec() };
    let longer = longer.into_iter().filter(|ms| *ms <= FOR_MS_MAX);
    let mut out: Vec<Proposal> = longer
        .map(|for_ms| Proposal {
            change: format!("for: {}", format_duration_ms(for_ms)),
            edit: RuleEdit::For(for_ms),
            threshold: None,
        })
        .collect();
    if let Some(c) = comparison.filter(|c| c.threshold != 0.0) {
        out.extend(THRESHOLDS.map(|factor| {
            let threshold = c.farther(factor);
            let expr = c.text(threshold);
            Proposal { change: format!("expr: {expr}"), edit: RuleEdit::Expr(expr), threshold: Some(threshold) }
        }));
    }
    out
}

/// `lhs > 5`, taken apart.
pub(super) struct Comparison {
    lhs: String,
    op: ComparisonOp,
    threshold: f64,
}

fn number(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        Kind::Number(value) => Some(*value),
        Kind::Duration(ms) => Some(*ms as f64 / 1000.0),
        Kind::Paren(inner) => number(inner),
        Kind::Unary { negate, expr } => number(expr).map(|v| if *negate { -v } else { v }),
        _ => None,
    }
}

pub(super) fn comparison(expr: &Expr) -> Option<Comparison> {
    match &expr.kind {
        Kind::Paren(inner) => comparison(inner),
        Kind::Binary { op: BinaryOp::Comparison(op), bool_modifier: false, lhs, rhs, .. } => {
            // `5 < x` gives the values of `x`, as `x > 5` does.
            let (of, op, threshold) = match (number(lhs), number(rhs)) {
                (None, Some(threshold)) => (lhs, *op, threshold),
                (Some(threshold), None) => (rhs, mirrored(*op), threshold),
                _ => return None,
            };
            use ComparisonOp::{Greater, GreaterOrEqual, Less, LessOrEqual};
            let directed = matches!(op, Greater | GreaterOrEqual | Less | LessOrEqual);
            (directed && threshold.is_finite()).then(|| Comparison { lhs: of.to_string(), op, threshold })
        }
        _ => None,
    }
}

const fn mirrored(op: ComparisonOp) -> ComparisonOp {
    match op {
        ComparisonOp::Greater => ComparisonOp::Less,
        ComparisonOp::GreaterOrEqual => ComparisonOp::LessOrEqual,
        ComparisonOp::Less => ComparisonOp::Greater,
        ComparisonOp::LessOrEqual => ComparisonOp::GreaterOrEqual,
        same @ (ComparisonOp::Equal | ComparisonOp::NotEqual) => same,
    }
}

impl Comparison {
    fn holds(&self, value: f64, threshold: f64) -> bool {
        match self.op {
            ComparisonOp::Greater => value > threshold,
            ComparisonOp::GreaterOrEqual => value >= threshold,
            ComparisonOp::Less => value < threshold,
            ComparisonOp::LessOrEqual => value <= threshold,
            ComparisonOp::Equal | ComparisonOp::NotEqual => false,
        }
    }

    /// The threshold, farther away by a factor.
    fn farther(&self, factor: f64) -> f64 {
        let up = matches!(self.op, ComparisonOp::Greater | ComparisonOp::GreaterOrEqual);
        let moved = self.threshold.abs() * (factor - 1.0);
        let moved = if up { self.threshold + moved } else { self.threshold - moved };
        // Two digits more than the rule's author wrote are none.
        (moved * 1e6).round() / 1e6
    }

    fn text(&self, threshold: f64) -> String {
        format!("{} {} {}", self.lhs, BinaryOp::Comparison(self.op).sign(), format_float(threshold))
    }
}

/// What the past holds: at each instant the series and their values.
struct Past {
    at: Vec<i64>,
    series: Vec<(Labels, BTreeMap<i64, f64>)>,
}

impl Past {
    /// The evaluations of a rule that takes these values. With a comparison the values are of its left side, and what is
    /// there and does not fit is known to be well.
    fn evaluations<'a>(
        &'a self,
        comparison: Option<(&'a Comparison, f64)>,
    ) -> impl Iterator<Item = Evaluated> + use<'a> {
        self.at.iter().map(move |at| {
            let there = self.series.iter().filter_map(|(labels, values)| Some((labels, *values.get(at)?)));
            let fits = |value: f64| comparison.is_none_or(|(c, threshold)| c.holds(value, threshold));
            let samples = there.clone().filter(|(_, v)| fits(*v)).map(|(l, v)| (l.clone(), v)).collect();
            let present = match comparison {
                None => Present::All,
                Some(_) => Present::Series(there.map(|(l, _)| l.clone()).collect::<BTreeSet<_>>()),
            };
            Evaluated { at: Timestamp(*at), samples, present }
        })
    }
}

impl App {
    /// Drafts of a rule that pages less, each with what it would have done in the past that is stored.
    pub async fn noise_drafts(&self, who: &Caller, ask: DraftAsk) -> Result<RuleDrafts, Fault> {
        who.require(Role::Responder, None, None)?;
        let to = self.now();
        let from = NoiseAsk { days: ask.days }.from(to)?;
        let _place = self.noise.drafts.try_acquire().map_err(|_| {
            Fault::unavailable(format!("{DRAFTS_MAX} rules are tried on the past at this moment"))
                .advice("try again in a while")
        })?;
        let which = Which {
            name: &ask.rule,
            file: ask.file.as_deref(),
            group: ask.group.as_deref(),
            severity: ask.severity.as_deref(),
        };
        let RuleFound { file, text, group, severities, rule, interval_ms } = self.rule_named(which).await?;
        let version = rule_file_version(&text);
        let step_ms = interval_ms.max(1_000).max(to.since_ms(from) / EVALUATIONS_MAX);
        let parsed = parse(&rule.expr).map_err(|e| Fault::invalid(e.pointing(&rule.expr)))?;
        let comparison = comparison(&parsed);
        let asked = comparison.as_ref().map_or(rule.expr.as_str(), |c| c.lhs.as_str());
        let past = self.past(asked, from, to, step_ms).await?;
        if past.at.len().saturating_mul(past.series.len()) > POINTS_MAX {
            let (series, times) = (past.series.len(), past.at.len());
            return Err(Fault::invalid(format!(
                "{series} series at {times} instants are more than the {POINTS_MAX} points that drafts are tried on"
            ))
            .advice("look back over fewer days"));
        }
        let name = rule.alert.clone();
        let like =
            RuleOf { name: name.clone(), group, file: file.clone(), severity: String::new(), team: String::new() };
        let acted = self.read(move |tx| acted(tx, from, &like, &severities)).await?;
        // A long past is work for a thread that serves nobody.
        let work = move || drafts((&rule, text.as_str()), comparison.as_ref(), &past, &acted);
        let (now, drafts) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| Fault::internal(format!("a rule could not be tried on the past: {e}")))??;
        Ok(RuleDrafts { rule: name, file, version, from, to, step_ms, now, drafts })
    }

    pub(super) async fn rule_named(&self, which: Which<'_>) -> Result<RuleFound, Fault> {
        let name = which.name;
        let mut found = Vec::new();
        for (file, text) in self.rule_files().await?.into_iter().filter(|(n, _)| which.file.is_none_or(|f| f == n)) {
            let default = i64::try_from(self.settings.alerts.evaluation_interval_ms).unwrap_or(i64::MAX);
            let read = tenfold_alerting::parse_rules_with(&text, default).or_else(|_| parse_rules(&text));
            for group in read.map_err(|e| Fault::internal(e.to_string()))?.groups {
                if which.group.is_some_and(|wanted| wanted != group.name) {
                    continue;
                }
                let named = group.rules.into_iter().filter_map(|rule| match rule {
                    Rule::Alert(rule) if rule.alert == name => Some(rule),
                    Rule::Alert(_) | Rule::Record(_) => None,
                });
                let alike: Vec<AlertRule> = named.collect();
                for (at, rule) in alike.iter().enumerate() {
                    let severities = Severities::of(&alike, at);
                    if which.severity.is_none_or(|wanted| severities.has(wanted)) {
                        found.push(RuleFound {
                            file: file.clone(),
                            text: text.clone(),
                            group: group.name.clone(),
                            severities,
                            rule: rule.clone(),
                            interval_ms: group.interval_ms,
                        });
                    }
                }
            }
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 if which.file.is_some() || which.group.is_some() || which.severity.is_some() => Err(Fault::not_found(
                format!("no alert `{name:.100}` is in the file and group and of the severity named"),
            )
            .advice("leave them out, or look with: tenfold rules list")),
            0 => Err(Fault::not_found(format!("no rule file here has an alert `{name:.100}`"))
                .advice("what others send is changed where it is sent from")),
            n => Err(Fault::invalid(format!("{n} rules have the name {name:.100}")).advice(
                "name the file, the group or the severity; two that are alike in all of them are changed by hand",
            )),
        }
    }

    async fn past(&self, expr: &str, from: Timestamp, to: Timestamp, step_ms: i64) -> Result<Past, Fault> {
        let told = self.query_range(expr, from, to, step_ms, How::default()).await?;
        let last = to.since_ms(from) / step_ms;
        let at = (0..=last).map(|n| from.millis() + n * step_ms).collect();
        let series = match told.answer.value {
            Value::Matrix(series) => series
                .into_iter()
                .map(|one| {
                    let mut labels = (*one.labels).clone();
                    labels.remove(Labels::NAME);
                    (labels, one.points.iter().map(|p| (p.t_ms, p.value)).collect())
                })
                .collect(),
            other => {
                let text =
                    format!("a rule's expression answers with series over time, not with a {}", other.type_name());
                return Err(Fault::invalid(text));
            }
        };
        Ok(Past { at, series })
    }
}

/// Incidents of a rule in which something was done, with when they were.
fn acted(
    tx: &mut dyn tenfold_store::Tx,
    from: Timestamp,
    like: &RuleOf,
    severities: &Severities,
) -> Result<Vec<(i64, Timestamp, Timestamp)>, Fault> {
    let mut found = Vec::new();
    for told in crate::incidents::paged_since(tx, from)? {
        if told.kind.and_then(tenfold_incidents::PageKind::acted) != Some(true) {
            continue;
        }
        let of = told.first_alert.as_deref().map(|f| crate::alerts::rule_of(tx, f)).transpose()?.flatten();
        let is = |r: &RuleOf| {
            let there = (&r.name, &r.group, &r.file) == (&like.name, &like.group, &like.file);
            there && severities.has(&r.severity)
        };
        if of.as_ref().is_some_and(is) {
            found.push((told.number, told.opened_at, told.resolved_at.unwrap_or(Timestamp(i64::MAX))));
        }
    }
    Ok(found)
}

type Acted = [(i64, Timestamp, Timestamp)];

fn drafts(
    (rule, text): (&AlertRule, &str),
    comparison: Option<&Comparison>,
    past: &Past,
    acted: &Acted,
) -> Result<(DraftView, Vec<DraftView>), Fault> {
    let tried = |change: String, rule: &AlertRule, threshold: Option<f64>, diff: String| {
        let compared = comparison.map(|c| (c, threshold.unwrap_or(c.threshold)));
        let fires = fires(rule, past.evaluations(compared), UNKNOWN_KEEP_MS)
            .map_err(|e| Fault::invalid(format!("{change}: {e}")))?;
        Ok::<_, Fault>(DraftView {
            expr: match (comparison, threshold) {
                (Some(c), Some(threshold)) => c.text(threshold),
                _ => rule.expr.clone(),
            },
            for_: format_duration_ms(rule.for_ms),
            missed: missed(&fires, acted),
            fires: fires.len(),
            change,
            diff,
        })
    };
    let now = tried(String::new(), rule, None, String::new())?;
    let mut drafts = Vec::new();
    for Proposal { change, edit, threshold } in proposals(rule, comparison) {
        // What a program cannot write is drafted all the same: a person can.
        let diff = edit_rule(text, rule, &edit).map(|after| line_diff(text, &after)).unwrap_or_default();
        let changed = match edit {
            RuleEdit::For(for_ms) => AlertRule { for_ms, ..rule.clone() },
            RuleEdit::Expr(_) => rule.clone(),
        };
        drafts.push(tried(change, &changed, threshold, diff)?);
    }
    Ok((now, drafts))
}

fn missed(fires: &[Fire], acted: &Acted) -> Vec<i64> {
    let told = |opened: Timestamp, resolved: Timestamp| {
        let until = Timestamp(resolved.millis().saturating_add(AROUND_MS));
        fires.iter().any(|f| f.within(opened.plus_ms(-AROUND_MS), until))
    };
    acted.iter().filter(|(_, opened, resolved)| !told(*opened, *resolved)).map(|(number, ..)| *number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_may_stand_on_either_side() {
        for (expr, wanted) in [
            ("rate(errors[5m]) > 5", Some("rate(errors[5m]) > 5")),
            ("5 < rate(errors[5m])", Some("rate(errors[5m]) > 5")),
            ("(2 >= free)", Some("free <= 2")),
            ("-1 > free", Some("free < -1")),
            ("5 == x", None),
            ("5 < bool x", None),
            ("1 < bool 2", None),
            ("x > y", None),
        ] {
            let parsed = parse(expr).expect("an expression");
            let found = comparison(&parsed).map(|c| c.text(c.threshold));
            assert_eq!(found.as_deref(), wanted, "{expr}");
        }
    }
}
