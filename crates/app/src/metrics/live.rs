//! Queries that are followed: of each expression the points of new steps, evaluated once for all who follow it, and handed to
//! each of them as it takes them.
//!
//! Never holds more of a reader than one answer an expression, and nothing of one that went away.

mod following;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use tenfold_promql::Value;
use tenfold_types::{ErrorCode, Fault, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::query::{How, query_fault};
use crate::App;
use following::{Effect, Followed, Following, Input};

pub use following::{Steps, Waiting};

/// Expressions of one stream.
const QUERIES_MAX: usize = 128;
/// Bytes of one expression.
const EXPR_BYTES_MAX: usize = 4_096;
const STEP_MS_MIN: i64 = 1_000;
const STEP_MS_MAX: i64 = 86_400_000;
/// Series that one expression may have.
const SERIES_MAX: usize = 500;
/// The clock is looked at this often while somebody follows: it may be set.
const LOOK_MS_MAX: i64 = 1_000;

/// An expression that is to be followed.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveQuery {
    /// PromQL, of at most 4,096 bytes.
    pub query: String,
    /// A second to a day.
    pub step_ms: i64,
    /// How far after the multiples of the step its instants lie; less than a step.
    #[serde(default)]
    pub offset_ms: i64,
}

/// What an expression came to at some steps.
pub struct LivePoints {
    pub steps: Steps,
    /// A matrix, as a range query answers.
    pub answer: Result<Value, Fault>,
    text: OnceLock<String>,
}

impl LivePoints {
    /// How it is written on a stream; written once for all readers.
    pub fn text(&self, write: impl FnOnce(&Self) -> String) -> &str {
        self.text.get_or_init(|| write(self))
    }
}

#[derive(Default)]
pub(super) struct Live {
    following: Mutex<Following<LivePoints>>,
    bells: Mutex<BTreeMap<u64, Arc<Notify>>>,
    readers: AtomicU64,
    /// Somebody came.
    came: Notify,
}

/// One who follows; leaves when it is dropped.
pub struct LiveReader {
    app: App,
    id: u64,
    bell: Arc<Notify>,
}

impl LiveReader {
    /// Waits until there is something, and takes it. Of each query only the newest is kept meanwhile.
    pub async fn next(&self) -> Vec<Waiting<LivePoints>> {
        loop {
            let taken = self.app.metrics.live.following.lock().take(self.id);
            if !taken.is_empty() {
                return taken;
            }
            self.bell.notified().await;
        }
    }
}

impl Drop for LiveReader {
    fn drop(&mut self) {
        self.app.metrics.live.bells.lock().remove(&self.id);
        feed(&self.app, Input::Leave { reader: self.id });
    }
}

impl App {
    /// Follows queries from their next steps on. `of` is what the asker stands on: a session or a token.
    pub fn follow_queries(&self, of: String, queries: &[LiveQuery]) -> Result<LiveReader, Fault> {
        if queries.is_empty() || queries.len() > QUERIES_MAX {
            return Err(Fault::invalid(format!("a stream follows 1 to {QUERIES_MAX} queries, not {}", queries.len()))
                .advice("ask query_range for the others"));
        }
        for (place, query) in queries.iter().enumerate() {
            self.check_followed(query)
                .map_err(|fault| Fault { message: format!("query {place}: {}", fault.message), ..fault })?;
        }
        let followed =
            |q: &LiveQuery| Followed { expr: q.query.as_str().into(), step_ms: q.step_ms, offset_ms: q.offset_ms };
        let wanted: Vec<Followed> = queries.iter().map(followed).collect();
        let live = &self.metrics.live;
        let reader = live.readers.fetch_add(1, Ordering::Relaxed);
        {
            let mut following = live.following.lock();
            following.admit(&of, &wanted)?;
            // Nothing is due at the moment somebody comes.
            following.step(Input::Join { reader, of, wanted }, self.now());
        }
        let bell = Arc::new(Notify::new());
        live.bells.lock().insert(reader, bell.clone());
        live.came.notify_one();
        Ok(LiveReader { app: self.clone(), id: reader, bell })
    }

    fn check_followed(&self, query: &LiveQuery) -> Result<(), Fault> {
        let LiveQuery { query: expr, step_ms, offset_ms } = query;
        if expr.len() > EXPR_BYTES_MAX {
            return Err(Fault::invalid(format!("it has {} bytes; at most {EXPR_BYTES_MAX} are followed", expr.len())));
        }
        if !(STEP_MS_MIN..=STEP_MS_MAX).contains(step_ms) {
            return Err(Fault::invalid(format!(
                "`step_ms` is {step_ms}; it is {STEP_MS_MIN} (a second) to {STEP_MS_MAX} (a day)"
            )));
        }
        if !(0..*step_ms).contains(offset_ms) {
            return Err(Fault::invalid(format!("`offset_ms` is {offset_ms}; it is 0 or more, and less than the step")));
        }
        // What a cluster reads, it judges itself.
        if !self.metrics.is_remote {
            tenfold_promql::parse_as(expr, self.metrics.dialect).map_err(|error| query_fault(&error, expr))?;
        }
        Ok(())
    }
}

/// Begins what is due, until the server stops.
pub(super) async fn run(app: &App, stop: &CancellationToken) {
    let live = &app.metrics.live;
    loop {
        feed(app, Input::Tick);
        let due = live.following.lock().next_due_ms();
        // What is under way looks for more work when it is done.
        let wait_ms = due.map_or(LOOK_MS_MAX, |due_ms| due_ms.saturating_sub(app.now().millis()));
        let wait = Duration::from_millis(wait_ms.clamp(1, LOOK_MS_MAX).unsigned_abs());
        tokio::select! {
            () = stop.cancelled() => break,
            () = live.came.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Hands something to the core and does what it says.
fn feed(app: &App, input: Input<LivePoints>) {
    let live = &app.metrics.live;
    let (effects, counts) = {
        let mut following = live.following.lock();
        (following.step(input, app.now()), following.counts())
    };
    app.metrics.own.set("tenfold_live_streams", &[], counts.0 as f64);
    app.metrics.own.set("tenfold_live_queries", &[], counts.1 as f64);
    for effect in effects {
        match effect {
            Effect::Wake { reader } => {
                if let Some(bell) = live.bells.lock().get(&reader) {
                    bell.notify_one();
                }
            }
            Effect::Evaluate { evaluation, followed, steps } => {
                let app = app.clone();
                tokio::spawn(async move {
                    let points = evaluate(&app, &followed, steps).await;
                    let failed = points.answer.is_err();
                    feed(&app, Input::Done { evaluation, news: Arc::new(points), failed });
                });
            }
        }
    }
}

/// What takes longer would keep the places of all others.
const EVALUATION_MAX: Duration = Duration::from_secs(5);

async fn evaluate(app: &App, followed: &Followed, steps: Steps) -> LivePoints {
    let (start, end) = (Timestamp(steps.from_ms), Timestamp(steps.to_ms));
    let asked = app.query_range(&followed.expr, start, end, followed.step_ms, How::default());
    let told = tokio::time::timeout(EVALUATION_MAX, asked).await.unwrap_or_else(|_| {
        let most = EVALUATION_MAX.as_secs();
        Err(Fault::new(
            ErrorCode::Timeout,
            format!("it takes longer than {most} s, the most for a query that is followed"),
        )
        .advice("aggregate more, record it with a rule, or ask query_range"))
    });
    let result = if told.is_ok() { "ok" } else { "failed" };
    app.metrics.own.add("tenfold_live_evaluations_total", &[("result", result)], 1.0);
    let answer = told.and_then(|told| match told.answer.value {
        Value::Matrix(series) if series.len() > SERIES_MAX => {
            Err(Fault::invalid(format!("the query has {} series; at most {SERIES_MAX} are followed", series.len()))
                .advice("aggregate them, or choose some with topk"))
        }
        value => Ok(value),
    });
    LivePoints { steps, answer, text: OnceLock::new() }
}
