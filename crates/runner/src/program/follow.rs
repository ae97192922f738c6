//! Following a program that its keeper runs: its lines as they are written, and its end. Nothing of it depends on who started
//! the keeper, so a server that comes later follows as well.

use std::{fs::File, io::Read, time::Duration};

use tenfold_app::deploys::ports::{LineSink, Mark, Stream};
use tokio::{process::Child, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    keeper,
    step::{End, Step},
};

/// Between two looks at what was written.
const LOOK: Duration = Duration::from_millis(100);
/// Between two signs to the keeper that somebody follows.
const BEAT: Duration = Duration::from_secs(1);
/// Most bytes read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Until it has ended; nothing where its keeper is gone and has not said how it ended. `keeper` is there for whoever started
/// it, and tells the end at once.
pub(super) async fn follow(
    step: &Step,
    run: String,
    lines: &LineSink,
    cancel: &CancellationToken,
    mut keeper: Option<Child>,
) -> Option<End> {
    let (mut pulse, mut beat_at) = (step.pulse(), Instant::now());
    let mut reader = Reader { file: step.output().ok(), lines, mark: Mark { run, at: 0 }, rest: Vec::new() };
    let mut cancelled = false;
    loop {
        if Instant::now() >= beat_at {
            pulse.beat();
            beat_at = Instant::now() + BEAT;
        }
        // in this order: whoever writes the end is gone afterwards
        let runs = step.runs();
        let end = step.end();
        reader.read().await;
        if end.is_some() || !runs {
            return end;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = ended(&mut keeper) => keeper = None,
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                if let Err(error) = step.finish().await {
                    tracing::warn!(%error, "a program was cancelled");
                    return None;
                }
            }
        }
    }
}

async fn ended(keeper: &mut Option<Child>) {
    match keeper {
        Some(child) => {
            let _ = child.wait().await;
        }
        None => std::future::pending().await,
    }
}

struct Reader<'a> {
    file: Option<File>,
    lines: &'a LineSink,
    /// Behind the last line that was told.
    mark: Mark,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl Reader<'_> {
    /// Tells what was written since.
    async fn read(&mut self) {
        let mut piece = vec![0; PIECE_BYTES];
        while let Some(n @ 1..) = self.file.as_mut().and_then(|file| file.read(&mut piece).ok()) {
            self.rest.extend_from_slice(&piece[..n]);
            let mut from = 0;
            while let Some(len) = self.rest[from..].iter().position(|b| *b == b'\n') {
                self.mark.at += len as u64 + 1;
                self.line(from, from + len);
                from += len + 1;
            }
            self.rest.drain(..from);
            tokio::task::yield_now().await;
        }
    }

    fn line(&self, from: usize, to: usize) {
        // what a full disk cut short is ended by an empty line
        let Some((letter, text)) = self.rest[from..to].split_first() else { return };
        let stream = [Stream::Out, Stream::Err, Stream::Tenfold].into_iter().find(|s| keeper::letter(*s) == *letter);
        if let Some(stream) = stream {
            (self.lines)(stream, &String::from_utf8_lossy(text), Some(&self.mark));
        }
    }
}
