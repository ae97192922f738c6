//! Levels after a promotion: gauges that have no control beside them (memory, a queue, a mean latency), against what they
//! were before the deploy. They are asked when four values are there, and again until the watch is over while they cannot be
//! asked. What has too few values is said to be unknown, never to be unchanged.
//!
//! Asked at instants that follow from the deploy alone, so that a server that was away asks the same.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::json;
use tenfold_deploys::pipeline::LevelQuery;
use tenfold_judge::{LEVEL_AFTER, LEVEL_BEFORE, LEVEL_CHANGED, level_change};
use tenfold_store::events;
use tenfold_types::{ErrorCode, Fault, Labels, Severity, Timestamp};

use super::after::{WORSE, Watched, said, told};
use super::judged::fill;
use crate::App;
use crate::metrics::How;

const LEVELS: &str = "deploy.levels";
/// Series of one query that are judged.
const SERIES_MAX: usize = 1_000;
/// Levels that an event keeps, the most changed first.
const KEPT_MAX: usize = 50;

/// One series of a query, before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LevelSeen {
    query: String,
    labels: String,
    /// Robust standard deviations that it moved; absent where too few values say so.
    deviations: Option<f64>,
    /// Middle values.
    before: Option<f64>,
    after: Option<f64>,
}

impl LevelSeen {
    fn of(query: &str, labels: &Labels, (before, after): &(Vec<f64>, Vec<f64>), level: &LevelQuery) -> Self {
        let near = &before[before.len().saturating_sub(LEVEL_AFTER + 1)..];
        Self {
            query: query.to_owned(),
            labels: labels.to_string(),
            deviations: (after.len() == LEVEL_AFTER).then(|| level_change(before, after, level.level())).flatten(),
            before: middle(near),
            after: middle(after),
        }
    }

    /// Nothing is known of a query.
    fn unknown(query: &str) -> Self {
        let labels = Labels::default().to_string();
        Self { query: query.to_owned(), labels, deviations: None, before: None, after: None }
    }

    fn is_changed(&self) -> bool {
        self.deviations.is_some_and(|by| by >= LEVEL_CHANGED)
    }

    pub(super) fn sentence(&self) -> String {
        let Self { query, labels, deviations, before, after } = self;
        let of = if labels == "{}" { String::new() } else { format!(" of {labels}") };
        match (deviations, before, after) {
            (Some(by), Some(before), Some(after)) => {
                format!(
                    "`{query}`{of} went from {before:.4} to {after:.4}, {by:.1} deviations where {LEVEL_CHANGED} are a change"
                )
            }
            _ => format!("`{query}`{of} has too few values before or after to tell"),
        }
    }
}

fn middle(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// The most changed first; what is unknown last.
fn order(seen: &mut [LevelSeen]) {
    let by = |one: &LevelSeen| one.deviations.unwrap_or(f64::NEG_INFINITY);
    seen.sort_by(|a, b| by(b).total_cmp(&by(a)));
}

/// What comes of one look at all levels.
#[derive(Debug, PartialEq)]
enum Concluded {
    /// The most changed one.
    Changed(LevelSeen),
    /// One could not be asked, which passes.
    AskAgain,
    /// None changed, as far as is known.
    Said(Vec<LevelSeen>),
}

/// A query that is wrong, or that cannot be asked until the watch is over, is unknown.
fn concluded(found: Vec<(Result<Vec<LevelSeen>, Fault>, String)>, is_over: bool) -> Concluded {
    let (mut all, mut passes) = (Vec::new(), false);
    for (seen, query) in found {
        match seen {
            Ok(seen) => all.extend(seen),
            Err(fault) => {
                passes |= !matches!(fault.code, ErrorCode::Invalid | ErrorCode::BadRequest | ErrorCode::TooLarge);
                all.push(LevelSeen::unknown(&query));
            }
        }
    }
    order(&mut all);
    all.truncate(KEPT_MAX);
    match all.first().filter(|worst| worst.is_changed()) {
        Some(worst) => Concluded::Changed(worst.clone()),
        None if passes && !is_over => Concluded::AskAgain,
        None => Concluded::Said(all),
    }
}

impl App {
    /// What changed most, once it is time to ask and something did. When nothing did, the record keeps what was seen.
    pub(super) async fn deploy_levels(&self, watched: &Watched) -> Result<Option<LevelSeen>, Fault> {
        let step_ms = i64::from(watched.after.level_step_s()) * 1000;
        let due = watched.promoted_at.plus_ms(step_ms * LEVEL_AFTER as i64);
        if watched.after.levels.is_empty() || self.now() < due {
            return Ok(None);
        }
        let number = watched.stored.number;
        if !self.read(move |tx| Ok(events::list(tx, &said(number, &[LEVELS, WORSE]))?)).await?.is_empty() {
            return Ok(None);
        }
        let mut found = Vec::new();
        for level in &watched.after.levels {
            let query = fill(&level.query, &watched.stored);
            let seen = self.deploy_level(watched, level, &query, step_ms).await;
            if let Err(fault) = &seen {
                tracing::warn!(deploy = number, query, %fault, "a level could not be asked for");
            }
            found.push((seen, query));
        }
        match concluded(found, watched.is_over(self.now())) {
            Concluded::Changed(worst) => return Ok(Some(worst)),
            Concluded::AskAgain => {}
            Concluded::Said(seen) => self.deploy_levels_say(watched, seen).await?,
        }
        Ok(None)
    }

    /// Each series of a query; one without labels and values where it has none.
    async fn deploy_level(
        &self,
        watched: &Watched,
        level: &LevelQuery,
        query: &str,
        step_ms: i64,
    ) -> Result<Vec<LevelSeen>, Fault> {
        let (began, promoted) = (watched.stored.started_at, watched.promoted_at);
        let before = (began.plus_ms(-step_ms * (LEVEL_BEFORE as i64 - 1)), began);
        let after = (promoted.plus_ms(step_ms), promoted.plus_ms(step_ms * LEVEL_AFTER as i64));
        let mut values: HashMap<Labels, (Vec<f64>, Vec<f64>)> = HashMap::new();
        for (index, (from, to)) in [before, after].into_iter().enumerate() {
            for (labels, found) in self.level_values(query, from, to, step_ms).await? {
                let sides = values.entry(labels).or_default();
                *(if index == 0 { &mut sides.0 } else { &mut sides.1 }) = found;
            }
        }
        if values.is_empty() {
            return Ok(vec![LevelSeen::unknown(query)]);
        }
        // What is gone since is a process that ended, and its level is nobody's any more.
        let any_after = values.values().any(|(_, after)| !after.is_empty());
        let lives = values.iter().filter(|(_, (_, after))| !any_after || !after.is_empty());
        Ok(lives.map(|(labels, sides)| LevelSeen::of(query, labels, sides, level)).collect())
    }

    async fn level_values(
        &self,
        query: &str,
        from: Timestamp,
        to: Timestamp,
        step_ms: i64,
    ) -> Result<Vec<(Labels, Vec<f64>)>, Fault> {
        let how = How { rows_max_ms: 0, whole: true, ..How::default() };
        let told = self.query_range(query, from, to, step_ms, how).await?;
        let tenfold_promql::Value::Matrix(series) = told.answer.value else {
            return Err(Fault::invalid("it does not answer with series"));
        };
        if series.len() > SERIES_MAX {
            let n = series.len();
            return Err(Fault::invalid(format!(
                "it has {n} series, and at most {SERIES_MAX} are judged; aggregate them"
            )));
        }
        let values = series.into_iter().map(|one| {
            let values = one.points.iter().map(|p| p.value).filter(|v| v.is_finite()).collect();
            ((*one.labels).clone(), values)
        });
        Ok(values.collect())
    }

    async fn deploy_levels_say(&self, watched: &Watched, seen: Vec<LevelSeen>) -> Result<(), Fault> {
        let stored = watched.stored.clone();
        let is_known = seen.iter().any(|one| one.deviations.is_some());
        let most = seen.first().map_or_else(String::new, LevelSeen::sentence);
        let (text, severity) = if is_known {
            (format!("no level changed after the promotion; the most: {most}"), Severity::Info)
        } else {
            (format!("its levels are not known after the promotion: {most}"), Severity::Warning)
        };
        self.transact(move |t| {
            if events::list(t.tx(), &said(stored.number, &[LEVELS]))?.is_empty() {
                t.record(
                    told(&stored, LEVELS, &text, json!({"number": stored.number, "levels": seen})).severity(severity),
                )?;
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use tenfold_deploys::pipeline::LevelDirection;

    use super::*;

    #[test]
    fn what_changed_is_said_with_its_numbers_and_too_little_is_unknown() {
        let level = LevelQuery { query: "q".into(), unit: 1.0, relative_min: 0.1, direction: LevelDirection::Up };
        let labels = Labels::from_pairs([("host", "host-1")]);
        let seen =
            |before: &[f64], after: &[f64]| LevelSeen::of("q", &labels, &(before.to_vec(), after.to_vec()), &level);
        let calm = [10.0, 11.0, 10.0, 9.0, 10.0, 11.0];
        let changed = seen(&calm, &[30.0, 31.0, 29.0, 30.0]);
        assert!(changed.is_changed());
        let said = changed.sentence();
        assert!(said.starts_with("`q` of {host=\"host-1\"} went from 10.0000 to 30.0000, "), "{said}");
        let same = seen(&calm, &[10.0, 10.0, 12.0, 9.0]);
        assert!(!same.is_changed() && same.deviations.is_some());
        for (before, after) in [(&calm[..], &[30.0; 3][..]), (&[10.0], &[30.0; 4]), (&[], &[])] {
            let unknown = seen(before, after);
            assert!(!unknown.is_changed() && unknown.sentence().contains("too few values"), "{unknown:?}");
        }
        let mut all = [same.clone(), seen(&[], &[]), changed.clone()];
        order(&mut all);
        assert_eq!((&all[0], &all[1]), (&changed, &same));

        let away = || (Err(Fault::unavailable("the store of metrics does not answer")), "away".to_owned());
        let wrong = (Err(Fault::invalid("no such function")), "wrong".to_owned());
        let known = |one: &LevelSeen| (Ok(vec![one.clone()]), "q".to_owned());
        assert_eq!(concluded(vec![known(&same), away()], false), Concluded::AskAgain, "nothing is said of it yet");
        let ended = Concluded::Said(vec![same.clone(), LevelSeen::unknown("away")]);
        assert_eq!(concluded(vec![known(&same), away()], true), ended);
        let said = Concluded::Said(vec![same.clone(), LevelSeen::unknown("wrong")]);
        assert_eq!(concluded(vec![wrong, known(&same)], false), said, "it will not get right by itself");
        assert_eq!(concluded(vec![away(), known(&changed)], false), Concluded::Changed(changed));
    }
}
