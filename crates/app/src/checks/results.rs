//! What follows from a result: state, event, alert, series.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::json;
use tenfold_alerting::checks::{CheckChange, CheckStatus, go_stale, parents_changed, step};
use tenfold_protocols::plugin::{PluginOutput, read_output};
use tenfold_store::checks as store;
use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Severity, Source, Timestamp};

use super::{AlertLabels, Check, CheckSpec, PAGES, Ran, Run, Stand, schedule, series::Series};
use crate::alerts::PostedAlert;
use crate::{App, Caller};

/// Bytes of a plugin's first line that are kept.
const TEXT_BYTES_MAX: usize = 2_000;
const LONG_BYTES_MAX: usize = 8_000;
/// An alert of a check is believed for at least so long after a result.
const LEASE_MIN_MS: i64 = 300_000;

/// Samples that wait for the next tick.
const SAMPLES_WAITING_MAX: usize = 10_000;

/// An alert is told again after this long.
const TELL_AGAIN_MS: i64 = 60_000;
/// What could not be taken is told again after this long.
const REFUSED_AGAIN_MS: i64 = 2_000;
/// That a passive check was heard is stored no more often than this while nothing changes.
const HEARD_MS: i64 = 60_000;

/// An alert that a check has raised.
pub(crate) struct Raised {
    pub check: String,
    pub labels: AlertLabels,
    pub annotations: BTreeMap<String, String>,
    pub since: Timestamp,
    pub interval_ms: i64,
}

/// The alerts that checks have raised and that are not over.
pub(crate) fn raised(app: &App) -> Vec<Raised> {
    let table = app.checks.table.lock();
    let of = |(name, check): (&String, &Check)| {
        let labels = check.stand.raised.clone()?;
        Some(Raised {
            check: name.clone(),
            labels,
            annotations: annotations(check),
            since: check.stand.state.hard_since,
            interval_ms: check.times.interval_ms,
        })
    };
    table.iter().filter_map(of).collect()
}

/// Alerts of deleted checks that are told of at a time.
const GONE_MAX: i64 = 1_000;

/// Which of the alerts of deleted checks were told of.
enum Gone {
    All,
    Some,
}

/// What is done with the state of a check.
type Act<'a> = dyn Fn(&mut Stand, &CheckSpec, bool, Timestamp) -> CheckChange + Send + Sync + 'a;

impl App {
    /// Takes a result, of a look or from outside, as of when it came.
    pub(super) async fn check_result(
        &self,
        name: &str,
        ran: Ran,
        took_ms: Option<i64>,
        at: Timestamp,
    ) -> Result<(), Fault> {
        self.check_result_of((name, None), ran, took_ms, at).await
    }

    /// The same of a row of the inbox, which is forgotten with what it changes: it counts once.
    pub(super) async fn check_result_of(
        &self,
        (name, row): (&str, Option<i64>),
        ran: Ran,
        took_ms: Option<i64>,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let now = self.now();
        let output = read_output(&ran.output);
        let text = cut(&output.text, TEXT_BYTES_MAX);
        let act = |stand: &mut Stand, spec: &CheckSpec, down: bool, now: Timestamp| {
            step(spec.rules(), &mut stand.state, spec.counted(ran.status), text.clone(), down, now)
        };
        let change = self.check_act((name, row), &act, at).await?;
        self.check_series(name, &output, ran.status, took_ms, at);
        self.check_tell(name, now).await?;
        self.check_others(name, change, now).await
    }

    /// What a change of one check means for those that stand before and behind it.
    async fn check_others(&self, name: &str, change: CheckChange, now: Timestamp) -> Result<(), Fault> {
        if change.look_at_parents {
            self.look_at_parents(name, now);
        }
        if change.hard.is_some() || change.soft {
            self.check_children(name, now).await?;
        }
        Ok(())
    }

    /// Checks that were silent for too long.
    pub(super) async fn checks_freshness(&self, now: Timestamp) -> Result<(), Fault> {
        let silent = |c: &Check| {
            let age = now.since_ms(c.stand.state.last_at);
            !c.stand.state.stale && !c.running && c.times.freshness_ms.is_some_and(|fresh| age > fresh)
        };
        let names: Vec<String> =
            self.checks.table.lock().iter().filter(|(_, c)| silent(c)).map(|(n, _)| n.clone()).collect();
        for name in names {
            let act = |stand: &mut Stand, spec: &CheckSpec, down: bool, now: Timestamp| {
                go_stale(spec.rules(), &mut stand.state, down, now)
            };
            let change = self.check_act((name.as_str(), None), &act, now).await?;
            self.check_tell(&name, now).await?;
            self.check_others(&name, change, now).await?;
        }
        let untold = |c: &Check| {
            let fires = c.stand.raised.is_some() || !c.stand.owed.is_empty();
            fires && now.since_ms(c.told_at) >= TELL_AGAIN_MS
        };
        let names: Vec<String> =
            self.checks.table.lock().iter().filter(|(_, c)| untold(c)).map(|(n, _)| n.clone()).collect();
        for name in names {
            // One that cannot be told now must not keep the others from it.
            if let Err(fault) = self.check_tell(&name, now).await {
                tracing::warn!(%fault, check = name, "the alert of a check could not be told; trying again");
            }
        }
        Ok(())
    }

    /// Those that stand behind this one are reachable again, or not.
    async fn check_children(&self, name: &str, now: Timestamp) -> Result<(), Fault> {
        let behind = |c: &Check| c.spec.parents.iter().any(|p| p == name);
        let children: Vec<String> =
            self.checks.table.lock().iter().filter(|(_, c)| behind(c)).map(|(n, _)| n.clone()).collect();
        for child in children {
            let act =
                |stand: &mut Stand, _: &CheckSpec, down: bool, _: Timestamp| parents_changed(&mut stand.state, down);
            if self.check_act((child.as_str(), None), &act, now).await?.any() {
                self.check_tell(&child, now).await?;
            }
        }
        Ok(())
    }

    /// Tells the pipeline that the alerts of checks are over that are gone.
    pub(super) async fn checks_tell_gone(&self, now: Timestamp) -> Result<(), Fault> {
        if !self.checks.gone.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let told = self.tell_gone(now).await;
        if !matches!(told, Ok(Gone::All)) {
            self.checks.gone.store(true, Ordering::Release);
        }
        told.map(|_| ())
    }

    async fn tell_gone(&self, now: Timestamp) -> Result<Gone, Fault> {
        let rows = self.read(|tx| Ok(store::gone(tx, GONE_MAX)?)).await?;
        let Some((last, _)) = rows.last() else { return Ok(Gone::All) };
        let (last, all) = (*last, (rows.len() as i64) < GONE_MAX);
        // Another check may have raised the same since.
        let raised: Vec<AlertLabels> = raised(self).into_iter().map(|raised| raised.labels).collect();
        let labels = rows.iter().filter_map(|(_, labels)| serde_json::from_str::<AlertLabels>(labels).ok());
        let over = labels
            .filter(|labels| !raised.contains(labels))
            .map(|labels| PostedAlert { labels, ends_at: Some(now), ..PostedAlert::default() })
            .collect();
        self.alerts_receive(&Caller::system(), over).await?;
        self.housekeeping(move |t| Ok(store::gone_forget(t.tx(), last)?)).await?;
        Ok(if all { Gone::All } else { Gone::Some })
    }

    fn look_at_parents(&self, name: &str, now: Timestamp) {
        let parents = self.checks.table.lock().get(name).map(|c| c.spec.parents.clone()).unwrap_or_default();
        for parent in parents {
            let soon = self.checks.table.lock().get(&parent).is_some_and(|p| p.next_at > now && !p.running);
            if soon {
                schedule::plan(self, &parent, now);
            }
        }
    }

    /// Steps a check's state. What changes is stored first and counts in memory afterwards.
    async fn check_act(
        &self,
        (name, row): (&str, Option<i64>),
        act: &Act<'_>,
        now: Timestamp,
    ) -> Result<CheckChange, Fault> {
        let tried = |app: &Self| {
            let table = app.checks.table.lock();
            let check = table.get(name)?;
            let mut stand = check.stand.clone();
            let change = act(&mut stand, &check.spec, parents_down(&table, &check.spec), now);
            Some((check.spec.clone(), stand, change))
        };
        let gone = || Fault::not_found(format!("there is no check `{name}`"));
        if row.is_none() {
            // The common case: nothing to store. The table stays locked from the step to its taking effect.
            let mut table = self.checks.table.lock();
            let check = table.get(name).ok_or_else(gone)?;
            let mut stand = check.stand.clone();
            let change = act(&mut stand, &check.spec, parents_down(&table, &check.spec), now);
            // When what is sent from outside was heard last has to outlive the process: its silence is what it is for.
            let unheard = matches!(check.spec.run, Run::Passive(_)) && now.since_ms(check.stored_at) >= HEARD_MS;
            // The check may have been changed while it has a problem: its alert has other labels then.
            let told = alert_labels(name, &check.spec, &stand) == stand.raised;
            if !change.any() && !unheard && told {
                if let Some(check) = table.get_mut(name) {
                    check.stand = stand;
                }
                return Ok(change);
            }
        }
        let _one = self.checks.changing.lock().await;
        let (spec, mut stand, change) = tried(self).ok_or_else(gone)?;
        let wanted = alert_labels(name, &spec, &stand);
        if wanted != stand.raised {
            stand.owed.extend(stand.raised.take());
            stand.owed.retain(|owed| Some(owed) != wanted.as_ref());
            stand.raised = wanted;
        }
        let Some(lease) = self.alerting_lease().await? else {
            return Err(Fault::new(ErrorCode::Unavailable, "another node looks at checks now").advice("send it again"));
        };
        let body = serde_json::to_string(&stand).map_err(|e| Fault::internal(e.to_string()))?;
        let (key, event) = (name.to_owned(), change.tells().then(|| event(name, &spec, &stand, change)));
        self.housekeeping(move |t| {
            lease.check(t)?;
            if let Some(row) = row {
                store::inbox_forget(t.tx(), row)?;
            }
            if store::stand(t.tx(), &key, &body)?
                && let Some(event) = &event
            {
                t.record(event.clone())?;
            }
            Ok(())
        })
        .await?;
        if let Some(check) = self.checks.table.lock().get_mut(name) {
            (check.stand, check.stored_at) = (stand, now);
        }
        Ok(change)
    }

    /// Tells the pipeline what fires and what is over, and again every minute: a check that is silent does not end, and what
    /// could not be taken is not lost.
    async fn check_tell(&self, name: &str, now: Timestamp) -> Result<(), Fault> {
        let (posted, owed) = {
            let mut table = self.checks.table.lock();
            let Some(check) = table.get_mut(name) else { return Ok(()) };
            check.told_at = now;
            if check.stand.raised.is_none() && check.stand.owed.is_empty() {
                return Ok(());
            }
            let alert = |labels: &AlertLabels, ends_at: Timestamp| PostedAlert {
                labels: labels.clone(),
                annotations: Some(annotations(check)),
                starts_at: Some(check.stand.state.hard_since),
                ends_at: Some(ends_at),
                generator_url: Some(self.settings.link(&format!("{PAGES}{name}"))),
            };
            let lease = (check.times.interval_ms * 3 + check.times.timeout_ms).max(LEASE_MIN_MS);
            let lease = check.times.freshness_ms.map_or(lease, |fresh| lease.max(fresh * 2));
            // What fires first: between a warning that ends and a critical alert that begins nothing would be wrong for a moment.
            let mut posted: Vec<PostedAlert> =
                check.stand.raised.iter().map(|l| alert(l, now.plus_ms(lease))).collect();
            posted.extend(check.stand.owed.iter().map(|l| alert(l, now)));
            (posted, check.stand.owed.clone())
        };
        if let Err(fault) = self.alerts_receive(&Caller::system(), posted).await {
            if let Some(check) = self.checks.table.lock().get_mut(name) {
                check.told_at = now.plus_ms(REFUSED_AGAIN_MS - TELL_AGAIN_MS);
            }
            return Err(fault);
        }
        if !owed.is_empty()
            && let Some(check) = self.checks.table.lock().get_mut(name)
        {
            check.stand.owed.retain(|o| !owed.contains(o));
        }
        Ok(())
    }

    fn check_series(&self, name: &str, out: &PluginOutput, status: CheckStatus, took_ms: Option<i64>, now: Timestamp) {
        let samples = {
            let mut table = self.checks.table.lock();
            let Some(check) = table.get_mut(name) else { return };
            check.long = cut(&out.long, LONG_BYTES_MAX);
            check.values.clone_from(&out.values);
            check.took_ms = took_ms.unwrap_or(check.took_ms);
            let spec = &check.spec;
            let series = check.series.get_or_insert_with(|| Series::new(name, spec));
            series.samples(spec.counted(status), took_ms, &out.values, now)
        };
        let many = {
            let mut waiting = self.checks.samples.lock();
            waiting.extend(samples);
            waiting.len() >= SAMPLES_WAITING_MAX
        };
        if many {
            self.checks_keep();
        }
    }

    /// Gives what looks have brought to the store of samples, in one write.
    pub(super) fn checks_keep(&self) {
        let samples = std::mem::take(&mut *self.checks.samples.lock());
        if samples.is_empty() {
            return;
        }
        if let Err(fault) = self.metrics.append(&samples) {
            tracing::warn!(%fault, samples = samples.len(), "samples of checks were lost");
        }
    }
}

/// There are parents, and none of them answers well enough to be up. One that warns is up, as a host is for Nagios.
fn parents_down(table: &BTreeMap<String, Check>, spec: &CheckSpec) -> bool {
    let is_down = |status: CheckStatus| matches!(status, CheckStatus::Critical | CheckStatus::Unknown);
    let down = |p: &String| table.get(p).is_some_and(|c| is_down(c.stand.state.status));
    !spec.parents.is_empty() && spec.parents.iter().all(down)
}

fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

/// Labels of the alert there should be. While it flaps, what was raised stays as it is.
fn alert_labels(name: &str, spec: &CheckSpec, stand: &Stand) -> Option<AlertLabels> {
    // What stands behind something that is down has not become well: what was raised stays, and nothing new is.
    if stand.state.unreachable && (stand.state.hard_status != CheckStatus::Ok || stand.state.flapping) {
        return stand.raised.clone();
    }
    let severity = match (stand.state.flapping, &stand.raised, stand.state.problem()) {
        (true, Some(raised), _) => return Some(raised.clone()),
        (true, None, None) => "warning",
        (_, _, Some(CheckStatus::Critical)) => &spec.severity,
        // Silence is the problem that a dead-man's switch is for, and no lesser one.
        (_, _, Some(_)) if stand.state.stale => spec.stale_severity.as_ref().unwrap_or(&spec.severity),
        (_, _, Some(_)) => "warning",
        _ => return None,
    };
    let mut labels = spec.labels.clone();
    labels.insert("alertname".to_owned(), name.to_owned());
    labels.insert("severity".to_owned(), severity.to_owned());
    let own = [
        ("host", Some(&spec.host).filter(|h| !h.is_empty())),
        ("service", spec.service.as_ref()),
        ("environment", spec.environment.as_ref()),
    ];
    for (label, value) in own {
        if let Some(value) = value {
            labels.insert(label.to_owned(), value.clone());
        }
    }
    Some(labels)
}

fn annotations(check: &Check) -> BTreeMap<String, String> {
    let mut out = check.spec.annotations.clone();
    let state = &check.stand.state;
    let flapping =
        if state.flapping { format!(" (flapping, {:.0}% changes)", state.change_percent) } else { String::new() };
    out.entry("summary".to_owned()).or_insert_with(|| format!("{}{flapping}", state.output));
    out
}

fn event(name: &str, spec: &CheckSpec, stand: &Stand, change: CheckChange) -> EventDraft {
    let state = &stand.state;
    let on = if spec.host.is_empty() { String::new() } else { format!(" on {}", spec.host) };
    let said = if state.output.is_empty() { String::new() } else { format!(": {}", state.output) };
    let (text, severity) = match change {
        CheckChange { unreachable: Some(true), .. } => {
            (format!("the check {name}{on} is unreachable{said}"), Severity::Info)
        }
        CheckChange { flapping: Some(true), .. } => (
            format!("the check {name}{on} flaps: {:.0}% of its states changed", state.change_percent),
            Severity::Warning,
        ),
        CheckChange { hard: Some((from, CheckStatus::Ok)), .. } => {
            (format!("the check {name}{on} is ok again after {}{said}", from.as_str()), Severity::Good)
        }
        CheckChange { hard: Some((_, to)), .. } => {
            let severity = if to == CheckStatus::Critical { Severity::Critical } else { Severity::Warning };
            (format!("the check {name}{on} is {}{said}", to.as_str()), severity)
        }
        CheckChange { flapping: Some(false), .. } => (format!("the check {name}{on} flaps no more"), Severity::Info),
        CheckChange { unreachable: Some(false), .. } => {
            (format!("the check {name}{on} can be reached again{said}"), Severity::Info)
        }
        _ => (format!("the check {name}{on} is heard again{said}"), Severity::Info),
    };
    let mut draft = EventDraft::new(Actor::system(), Source::System, "check.state", text)
        .severity(severity)
        .correlation(format!("check:{name}"))
        .data(json!({"check": name, "status": state.status.as_str(), "hard": state.hard, "flapping": state.flapping,
            "unreachable": state.unreachable, "stale": state.stale, "output": state.output}));
    if !spec.host.is_empty() {
        draft = draft.host(&spec.host);
    }
    if let Some(service) = &spec.service {
        draft = draft.service(service);
    }
    match &spec.environment {
        Some(environment) => draft.environment(environment),
        None => draft,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tenfold_testkit::{TestClock, TestEntropy, temp_db};

    use super::*;
    use crate::settings::Settings;

    #[tokio::test]
    async fn a_check_that_is_changed_while_it_has_a_problem_has_its_alert_changed() {
        let (db, dir) = (temp_db().await, tempfile::tempdir().expect("a temporary directory"));
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let metrics = crate::metrics::State::open(&settings).expect("an empty time-series store opens");
        let (clock, entropy) = (Arc::new(TestClock::default()), Arc::new(TestEntropy::default()));
        let app = App::new((*db).clone(), clock, entropy, settings, metrics);
        crate::load(&app).await.expect("an empty store loads");
        for severity in ["warning", "critical"] {
            let spec = json!({"run": {"plugin": ["x"]}, "attempts": 1, "severity": severity});
            let spec = serde_json::from_value(spec).expect("a check");
            app.check_put(&Caller::system(), "disk", spec).await.expect("put");
            let full = Ran { status: CheckStatus::Critical, output: b"full".to_vec() };
            app.check_result("disk", full, None, app.now()).await.expect("taken");
            let firing = app.alerts_list(Some("firing")).await.expect("alerts");
            let seen: Vec<&str> = firing.iter().map(|alert| alert.severity.as_str()).collect();
            assert_eq!(seen, [severity]);
        }
    }

    #[test]
    fn what_flaps_behind_something_that_is_down_keeps_its_alert_and_raises_none() {
        let spec: CheckSpec = serde_json::from_str("{\"run\": {\"passive\": {}}}").expect("a check");
        let mut stand = Stand::new(Timestamp(0));
        stand.state.flapping = true;
        stand.raised = alert_labels("link", &spec, &stand);
        assert!(stand.raised.is_some());
        // Not yet beyond doubt, and what stands between is down.
        (stand.state.status, stand.state.hard, stand.state.unreachable) = (CheckStatus::Critical, false, true);
        assert_eq!(alert_labels("link", &spec, &stand), stand.raised);
        stand.raised = None;
        assert_eq!(alert_labels("link", &spec, &stand), None);
    }
}
