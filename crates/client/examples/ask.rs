//! Asks for flags on standard input, one line each, and prints the answers with the time each took: what a service does
//! with the client.
//!
//! ```text
//! cargo run -p tenfold-client --example ask -- http://127.0.0.1:4000 TOKEN flags.state
//! bool new_uploader userId=4711 plan=pro
//! int upload_limit userId=4711
//! ```
//!
//! What happens in the background goes to standard error. An optional fourth argument is `streaming` or `polling`.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenfold_client::{Client, Context, Mode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, token, file, mode @ ..] = arguments.as_slice() else {
        return Err("usage: ask URL TOKEN STATE_FILE [streaming|polling]".into());
    };
    let mode = if mode.first().is_some_and(|m| m == "polling") { Mode::Polling } else { Mode::Streaming };
    let flags = Client::builder(url, token)
        .app_name("ask")
        .mode(mode)
        .state_file(file)
        .poll_interval(Duration::from_secs(1))
        .counts_interval(Duration::from_secs(1))
        .backoff(Duration::from_millis(200), Duration::from_secs(2))
        .idle_limit(Duration::from_secs(20))
        .answer_limit(Duration::from_secs(2))
        .on_event(|event| eprintln!("{event}"))
        .start()?;
    flags.wait_for_definitions(Duration::from_secs(2));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let (Some(kind), Some(flag)) = (words.next(), words.next()) else { continue };
        let context = words.filter_map(|w| w.split_once('=')).fold(Context::new(), |c, (name, v)| c.with(name, v));
        let asked = Instant::now();
        let answer: Value = match kind {
            "bool" => flags.bool(flag, &context, false).into(),
            "string" => flags.string(flag, &context, "the code's own").into(),
            "int" => flags.int(flag, &context, -1).into(),
            "float" => flags.float(flag, &context, -1.0).into(),
            "object" => flags.object(flag, &context, json!({})),
            "enabled" => flags.is_enabled(flag, &context).into(),
            other => return Err(format!("`{other}` is not a type: bool, string, int, float, object, enabled").into()),
        };
        println!("{}", json!({"value": answer, "took_ms": asked.elapsed().as_secs_f64() * 1000.0}));
        std::io::stdout().flush()?;
    }
    Ok(())
}
