//! What tests beside real senders share.

use std::time::Duration;

use tenfold_app::App;
use tenfold_promql::Value;
use tenfold_types::Timestamp;

/// The first number that a query answers with.
pub fn number(app: &App, expr: &str, at: Timestamp) -> Option<f64> {
    match app.metrics.query_instant(expr, at).expect("the query is right") {
        Value::Vector(v) => v.first().and_then(|s| s.value.float()),
        other => panic!("{other:?}"),
    }
}

/// Waits until something can be seen; fails the test when that does not come.
pub async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..600 {
        tick.tick().await;
        if let Some(seen) = look() {
            return seen;
        }
    }
    panic!("within 30 s: {what}");
}
