//! Steps of the pipeline that are made before the ones ahead of them are on the disk.
//!
//! In a storm senders wait for the disk, and the disk for the next step. So a batch of alerts that do nothing but begin to fire
//! is stepped on what those before it have come to, while these are still being written. They are written in the order of
//! their steps. When one of them is not, memory is ahead of the store: it is read again from there before anything else is
//! done, and whoever was answered by what it held then is told to say it again.

use tenfold_types::{ErrorCode, Fault};
use tokio::sync::watch;

/// Steps that may be under way. A sender that waits for more of them is held back by that.
const UNDER_WAY_MAX: u64 = 16;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    now: watch::Sender<Now>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Now {
    /// Numbers that were given.
    begun: u64,
    /// All up to this one are stored, or were refused.
    landed: u64,
    /// The last one that was refused.
    refused: u64,
}

/// What had landed at an instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(u64);

/// A step that is being written. One that is dropped without an answer counts as refused.
#[derive(Debug)]
pub(super) struct Step<'a> {
    of: &'a Ahead,
    number: u64,
    landed: bool,
}

impl Ahead {
    /// Takes the next number. Only while the pipeline is held. Its [`Ahead::step`] is to follow.
    pub(super) fn number(&self) -> u64 {
        let mut number = 0;
        self.now.send_modify(|now| {
            now.begun += 1;
            number = now.begun;
        });
        number
    }

    pub(super) const fn step(&self, number: u64) -> Step<'_> {
        Step { of: self, number, landed: false }
    }

    /// Waits until there is room for one more step.
    pub(super) async fn room(&self) {
        self.wait(|now| now.begun - now.landed < UNDER_WAY_MAX).await;
    }

    /// Waits until nothing is under way. What begins meanwhile counts, so the pipeline is to be held.
    pub(super) async fn settle(&self) {
        self.wait(|now| now.landed == now.begun).await;
    }

    /// To be taken before it is asked whether memory is behind: what is refused after that is not known there.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.now.borrow().landed)
    }

    /// Waits until all that memory holds now is stored.
    ///
    /// # Errors
    /// As [`Ahead::counts`].
    pub(super) async fn stored(&self, since: Mark) -> Result<(), Fault> {
        let begun = self.now.borrow().begun;
        self.wait(|now| now.landed >= begun).await;
        self.counts(since)
    }

    /// # Errors
    /// Something was refused since: what memory held meanwhile does not count.
    pub(super) fn counts(&self, since: Mark) -> Result<(), Fault> {
        if self.now.borrow().refused > since.0 {
            let text = "alerts that this goes on from could not be stored";
            return Err(Fault::new(ErrorCode::Unavailable, text).advice("send it again"));
        }
        Ok(())
    }

    async fn wait(&self, until: impl FnMut(&Now) -> bool) {
        let mut watch = self.now.subscribe();
        // The sender is ours and stays.
        let _ = watch.wait_for(until).await;
    }
}

impl Step<'_> {
    /// Waits until those before it have landed.
    pub(super) async fn turn(&self) {
        self.of.wait(|now| now.landed + 1 >= self.number).await;
    }

    pub(super) fn land(mut self, stored: bool) {
        self.end(stored);
    }

    fn end(&mut self, stored: bool) {
        self.landed = true;
        self.of.now.send_modify(|now| {
            now.landed = now.landed.max(self.number);
            if !stored {
                now.refused = now.refused.max(self.number);
            }
        });
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.end(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(ahead: &Ahead) -> Step<'_> {
        ahead.step(ahead.number())
    }

    #[tokio::test]
    async fn steps_land_in_their_order() {
        let ahead = Ahead::default();
        let (first, second) = (begin(&ahead), begin(&ahead));
        {
            let mut turn = std::pin::pin!(second.turn());
            tokio::select! {
                biased;
                () = &mut turn => panic!("the first is under way"),
                () = std::future::ready(()) => {}
            }
            first.land(true);
            turn.await;
        }
        second.land(true);
        ahead.settle().await;
    }

    #[tokio::test]
    async fn who_was_answered_from_what_was_not_stored_is_told() {
        let ahead = Ahead::default();
        let before = ahead.mark();
        let step = begin(&ahead);
        let under_way = ahead.mark();
        ahead.counts(under_way).unwrap();
        step.land(false);
        let after = ahead.mark();
        ahead.stored(before).await.unwrap_err();
        ahead.stored(under_way).await.unwrap_err();
        ahead.stored(after).await.unwrap();
    }

    #[tokio::test]
    async fn a_step_that_is_dropped_was_refused() {
        let ahead = Ahead::default();
        let mark = ahead.mark();
        drop(begin(&ahead));
        ahead.stored(mark).await.unwrap_err();
        ahead.settle().await;
    }

    #[tokio::test]
    async fn no_more_than_some_are_under_way() {
        let ahead = Ahead::default();
        let mut steps: Vec<_> = (0..UNDER_WAY_MAX).map(|_| begin(&ahead)).collect();
        let mut room = std::pin::pin!(ahead.room());
        tokio::select! {
            biased;
            () = &mut room => panic!("there is none"),
            () = std::future::ready(()) => {}
        }
        steps.remove(0).land(true);
        room.await;
    }
}
