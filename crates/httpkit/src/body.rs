//! Bodies within a cap, of requests that came and of answers to ours.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

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
}
