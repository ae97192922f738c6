//! What fake receivers have in common: a list that grows and can be waited for, and a switch that
//! tells how to answer.

use tokio::sync::watch;

/// How a fake receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// Takes what comes and records it.
    #[default]
    Accept,
    /// Refuses for now: SMTP 451, HTTP 503. Nothing is recorded.
    RefuseForNow,
    /// Refuses for good: SMTP 550, HTTP 410. Nothing is recorded.
    Refuse,
    /// Closes the connection without an answer. Nothing is recorded.
    Hangup,
    /// Asks to be left alone for 7 s: HTTP 429, SMTP 451. Nothing is recorded.
    Limit,
    /// Says nothing and keeps the connection. Nothing is recorded.
    Hang,
}

/// The list and the switch, shared by a receiver and its connections.
#[derive(Debug, Clone)]
pub(crate) struct Inbox<T> {
    items: watch::Sender<Vec<T>>,
    answer: watch::Sender<Answer>,
    attempts: watch::Sender<usize>,
}

impl<T: Clone + Send + Sync> Inbox<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: watch::Sender::new(Vec::new()),
            answer: watch::Sender::new(Answer::Accept),
            attempts: watch::Sender::new(0),
        }
    }
    pub(crate) fn push(&self, item: T) {
        self.items.send_modify(|items| items.push(item));
    }
    pub(crate) fn items(&self) -> Vec<T> {
        self.items.borrow().clone()
    }
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<T> {
        let mut watch = self.items.subscribe();
        watch.wait_for(|items| items.len() >= count).await.expect("the sender lives in self").clone()
    }
    pub(crate) fn set_answer(&self, answer: Answer) {
        self.answer.send_replace(answer);
    }
    /// Counts an attempt and tells how to answer it.
    pub(crate) fn attempt(&self) -> Answer {
        self.attempts.send_modify(|n| *n += 1);
        *self.answer.borrow()
    }
    pub(crate) async fn wait_for_attempts(&self, count: usize) {
        let mut watch = self.attempts.subscribe();
        watch.wait_for(|n| *n >= count).await.expect("the sender lives in self");
    }
}
