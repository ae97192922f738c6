//! The queue of deploys: who waits, and what is said to it.

use tenfold_types::Fault;

use super::Reply;
use crate::chat::grammar::QueueAsk;
use crate::deploys::{QueueEntry, QueueView, short_sha};
use crate::{App, Caller};

pub(super) async fn execute(
    app: &App,
    who: &Caller,
    service: Option<String>,
    environment: &str,
    ask: QueueAsk,
    reason: Option<String>,
) -> Result<Reply, Fault> {
    let Some(service) = service else {
        let queues = app.queues().await?;
        if queues.is_empty() {
            return Ok(Reply::line("nothing waits to be deployed"));
        }
        return Ok(Reply::lines(queues.iter().flat_map(lines).collect()));
    };
    let left = match ask {
        QueueAsk::Show => app.queue(&service, environment).await?,
        QueueAsk::Say { word, of } => app.queue_say(who, &service, environment, word, of, reason).await?,
    };
    Ok(Reply::lines(lines(&left)))
}

/// One that joined, in a line.
pub(super) fn joined(service: &str, environment: &str, entry: &QueueEntry) -> String {
    let sha = short_sha(&entry.sha);
    let place = tenfold_deploys::queue::place(entry.position);
    format!(
        "{service} {sha} waits for its turn to {environment}, {place} in the queue; it begins by itself. `queue {service} leave` takes it out"
    )
}

fn lines(queue: &QueueView) -> Vec<String> {
    let place = format!("{} to {}", queue.service, queue.environment);
    if queue.entries.is_empty() {
        return vec![format!("nothing waits for {place}")];
    }
    let mut lines = vec![match &queue.waits_for {
        Some(what) => format!("{place}, {} waiting for {what}", queue.entries.len()),
        None => format!("{place}, {} waiting, the first begins now", queue.entries.len()),
    }];
    lines.extend(queue.entries.iter().map(|entry| {
        let sha = short_sha(&entry.sha);
        let why = entry.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let from = entry.not_before.map_or_else(String::new, |at| format!(", not before {at}"));
        format!("{}. {} by {}{from}{why}", entry.position, sha, entry.actor.id)
    }));
    lines
}
