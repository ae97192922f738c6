//! One look at the server: does each node answer, do its loops go round, and does it take the watcher's heartbeat, which goes
//! through its API into its store.

use futures_util::future::{join, join_all};
use serde::Deserialize;
use tenfold_httpkit::body::beginning;
use tenfold_types::format_duration_ms;

use super::Watch;
use crate::chain;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Of what a server says of itself.
const SAID_CHARS_MAX: usize = 200;

#[derive(Deserialize)]
struct Ready {
    #[serde(default)]
    rules_ms_ago: Option<i64>,
    #[serde(default)]
    pages_ms_ago: Option<i64>,
}

/// What a server's own words say is missing.
fn behind(body: &[u8], round_max_ms: i64) -> Result<(), String> {
    let ready: Ready =
        serde_json::from_slice(body).map_err(|_| "answers, but not as a tenfold server does".to_owned())?;
    for (what, ago) in [("rules were evaluated", ready.rules_ms_ago), ("pages were worked on", ready.pages_ms_ago)] {
        match ago {
            Some(ms) if ms <= round_max_ms => {}
            Some(ms) => return Err(format!("answers, but {what} last {} ago", format_duration_ms(ms))),
            None => return Err(format!("answers, but does not say when {what}")),
        }
    }
    Ok(())
}

impl Watch {
    /// Why the server was missed; nothing when all is well.
    pub(super) async fn missed(&self) -> Option<String> {
        // All at once: one that hangs keeps neither the others nor the heartbeat waiting.
        let looks = join_all(self.plan.servers.iter().map(|server| self.look_at(server)));
        let beat = async {
            match &self.plan.heartbeat {
                Some(address) => self.beat(address).await.err(),
                None => None,
            }
        };
        let (looks, beat) = join(looks, beat).await;
        let servers = self.plan.servers.iter().zip(looks);
        let missed = servers.filter_map(|(server, look)| Some(format!("{server} {}", look.err()?)));
        let missed: Vec<String> = missed.chain(beat).collect();
        (!missed.is_empty()).then(|| missed.join("; "))
    }

    async fn look_at(&self, server: &str) -> Result<(), String> {
        let asked = self.client.get(format!("{server}/readyz")).send().await;
        let answer = asked.map_err(|e| format!("does not answer: {}", chain(&e.without_url())))?;
        let status = answer.status();
        let (body, broken) = beginning(answer.bytes_stream(), ANSWER_BYTES_MAX).await;
        if let Some(error) = broken {
            return Err(format!("breaks off: {}", chain(&error.without_url())));
        }
        if !status.is_success() {
            let said = String::from_utf8_lossy(&body);
            let said: String = said.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect();
            return Err(format!("answers {status}: {said}"));
        }
        behind(&body, self.plan.round_max_ms)
    }

    /// The address is a secret and stands in no text.
    async fn beat(&self, address: &str) -> Result<(), String> {
        let sent = self.client.post(address).send().await;
        let answer = sent.map_err(|e| format!("the watcher's heartbeat is not taken: {}", chain(&e.without_url())))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the watcher's heartbeat is not taken: the server answers {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_answers_may_still_be_missed() {
        let say = |body: &str| behind(body.as_bytes(), 120_000);
        assert_eq!(say(r#"{"status":"ok","rules_ms_ago":900,"pages_ms_ago":120000}"#), Ok(()));
        let late = say(r#"{"status":"ok","rules_ms_ago":900,"pages_ms_ago":180000}"#).unwrap_err();
        assert_eq!(late, "answers, but pages were worked on last 3m ago");
        assert!(say(r#"{"status":"ok"}"#).unwrap_err().contains("does not say when rules"));
        assert!(say("<html>").unwrap_err().contains("not as a tenfold server"));
    }
}
