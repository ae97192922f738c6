//! From samples that came to rules that are evaluated at once: what is waited for, and waiting for it.
//!
//! Recorded series are not among it, nor are recording rules: what they write stays on the interval of their group.

use std::sync::Arc;
use std::time::Duration;

use tenfold_alerting::{Arrivals, Due, Occasion, Rule, Watched};

use super::groups::Running;
use crate::App;

/// Has the store of samples tell of what the groups' rules select. With `on_arrival` off, or when another store answers, there
/// is nothing to tell.
pub(super) fn watch(app: &App, groups: &[Arc<Running>]) {
    let here = app.settings.alerts.on_arrival && !app.metrics.is_asked_elsewhere();
    // A group that reads the past does not see what is new.
    let watching = groups.iter().filter(|running| here && running.group.offset_ms == 0);
    let watched = watching.flat_map(|running| {
        let rules = running.group.rules.iter().zip(&running.asked).enumerate();
        let alerting = rules.filter(|(_, (rule, _))| matches!(rule, Rule::Alert(_)));
        alerting.flat_map(move |(rule, (_, asked))| {
            let (metrics, group) = (asked.expr.metrics(), running.place);
            metrics.into_iter().map(move |name| Watched { name, group, rule })
        })
    });
    let arrivals = Arrivals::new(groups.len(), watched, app.now());
    app.metrics.arrived.watch(arrivals.names());
    *app.alerts.arrivals.lock() = arrivals;
}

/// Takes down what came, and the rules that are due by it.
pub(super) fn take(app: &App) -> Vec<Due> {
    let now = app.now();
    let mut arrivals = app.alerts.arrivals.lock();
    arrivals.came(&app.metrics.arrived.take(), now);
    arrivals.due(now)
}

/// Waits until something is due.
pub(super) async fn due(app: &App) {
    loop {
        let now = app.now();
        let next = {
            let mut arrivals = app.alerts.arrivals.lock();
            arrivals.came(&app.metrics.arrived.take(), now);
            arrivals.next_due(now)
        };
        let Some(at) = next else {
            app.metrics.arrived.heard().await;
            continue;
        };
        let wait_ms = u64::try_from(at.since_ms(now)).unwrap_or(0);
        if wait_ms == 0 {
            return;
        }
        // What comes meanwhile may be due earlier, in another group.
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            () = app.metrics.arrived.heard() => {}
        }
    }
}

/// A group was evaluated. Rules with the microseconds that each took.
pub(super) fn took(app: &App, running: &Running, occasion: Occasion, took_us: &[(usize, u64)]) {
    app.alerts.arrivals.lock().took(running.place, occasion, took_us, app.now());
    let on = [("on", occasion.as_str())];
    let seconds = took_us.iter().map(|(_, us)| *us).sum::<u64>() as f64 / 1e6;
    let own = &app.metrics.own;
    own.add("tenfold_rule_groups_evaluated_total", &on, 1.0);
    own.add("tenfold_rule_evaluations_total", &on, took_us.len() as f64);
    own.add("tenfold_rule_evaluation_seconds_total", &on, seconds);
}
