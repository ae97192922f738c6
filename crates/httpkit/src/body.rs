//! Bodies within a cap, of requests that came and of answers to ours.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};

/// Why there is no whole body.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError<E> {
    TooLarge,
    Broken(E),
}

/// All of a body, which is at most `bytes_max` long. What is longer is not read on.
pub async fn whole<E>(stream: impl Stream<Item = Result<Bytes, E>>, bytes_max: usize) -> Result<Vec<u8>, BodyError<E>> {
    let mut stream = std::pin::pin!(stream);
    let mut out = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(BodyError::Broken)?;
        if out.len() + chunk.len() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        out.extend_from_slice(&chunk);
    }
    Ok(out)
}

/// How fast a body must come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So long it may take in any case.
    pub grace: Duration,
    /// And so many bytes of it a second have come by then.
    pub bytes_per_second: u64,
    /// No longer than this.
    pub most: Duration,
}

impl Pace {
    /// How long a body may take of which so many bytes are here.
    fn allows(self, bytes: usize) -> Duration {
        let earned_ms = (bytes as u64).saturating_mul(1_000) / self.bytes_per_second.max(1);
        self.grace.saturating_add(Duration::from_millis(earned_ms)).min(self.most)
    }
}

/// Why there is no whole body that came at a pace.
#[derive(Debug, PartialEq, Eq)]
pub enum PaceError<E> {
    TooSlow,
    Body(BodyError<E>),
}

/// All of a body, as [`whole`], of a sender who keeps to a pace.
pub async fn whole_at<E>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    bytes_max: usize,
    pace: Pace,
) -> Result<Vec<u8>, PaceError<E>> {
    let began = Instant::now();
    let mut stream = std::pin::pin!(stream);
    let mut out = Vec::new();
    loop {
        let next = timeout_at(began + pace.allows(out.len()), stream.next()).await;
        let Some(chunk) = next.map_err(|_| PaceError::TooSlow)? else { return Ok(out) };
        let chunk = chunk.map_err(|e| PaceError::Body(BodyError::Broken(e)))?;
        if out.len() + chunk.len() > bytes_max {
            return Err(PaceError::Body(BodyError::TooLarge));
        }
        out.extend_from_slice(&chunk);
    }
}

/// The first `bytes_max` bytes of a body, with the reason if it broke off within them. What follows is not read.
pub async fn beginning<E>(stream: impl Stream<Item = Result<Bytes, E>>, bytes_max: usize) -> (Vec<u8>, Option<E>) {
    let mut stream = std::pin::pin!(stream);
    let mut out = Vec::new();
    while out.len() < bytes_max {
        match stream.next().await {
            None => break,
            Some(Err(error)) => return (out, Some(error)),
            Some(Ok(chunk)) => out.extend_from_slice(&chunk[..chunk.len().min(bytes_max - out.len())]),
        }
    }
    (out, None)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn pieces(all: &[Result<&'static str, u8>]) -> impl Stream<Item = Result<Bytes, u8>> {
        stream::iter(all.iter().map(|p| p.map(|text| Bytes::from_static(text.as_bytes()))).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn what_is_too_long_or_broken_is_said() {
        let (good, broken) = ([Ok("abc"), Ok(""), Ok("de")], [Ok("abc"), Err(7), Ok("de")]);
        assert_eq!(whole(pieces(&good), 5).await, Ok(b"abcde".to_vec()));
        assert_eq!(whole(pieces(&good), 4).await, Err(BodyError::TooLarge));
        assert_eq!(whole(pieces(&broken), 5).await, Err(BodyError::Broken(7)));
        assert_eq!(beginning(pieces(&good), 4).await, (b"abcd".to_vec(), None));
        assert_eq!(beginning(pieces(&good), 9).await, (b"abcde".to_vec(), None));
        assert_eq!(beginning(pieces(&broken), 3).await, (b"abc".to_vec(), None));
        assert_eq!(beginning(pieces(&broken), 4).await, (b"abc".to_vec(), Some(7)));
    }

    #[tokio::test]
    async fn a_body_comes_at_a_pace() {
        let pace = |grace_ms, most_ms| Pace {
            grace: Duration::from_millis(grace_ms),
            bytes_per_second: 1_000,
            most: Duration::from_millis(most_ms),
        };
        assert_eq!(pace(2_000, 10_000).allows(0), Duration::from_secs(2));
        assert_eq!(pace(2_000, 10_000).allows(500), Duration::from_millis(2_500));
        assert_eq!(pace(2_000, 10_000).allows(usize::MAX), Duration::from_secs(10));
        let (five, two) = ([Ok("abc"), Ok("de")], [Ok("ab")]);
        let too_large = Err(PaceError::Body(BodyError::TooLarge));
        assert_eq!(whole_at(pieces(&five), 5, pace(60_000, 60_000)).await, Ok(b"abcde".to_vec()));
        assert_eq!(whole_at(pieces(&five), 4, pace(60_000, 60_000)).await, too_large);
        // two bytes and nothing more: no longer than they earned
        let stuck = pieces(&two).chain(stream::pending());
        assert_eq!(whole_at(stuck, 5, pace(1, 60_000)).await, Err(PaceError::TooSlow));
    }
}
