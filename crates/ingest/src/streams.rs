//! Connections that bring lines or framed messages, with limits on how many, how long and how idle: over TCP, and at Unix
//! sockets.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::ListenError;
use crate::datagrams::{is_socket, open_to_all};

/// Connections to one address at once; further ones wait.
const CONNECTIONS_MAX: usize = 1_024;
/// A connection that says nothing for this long is closed.
const IDLE: Duration = Duration::from_mins(10);
const READ_BYTES: usize = 64 * 1024;

pub(crate) async fn bind(what: &'static str, address: &str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(ListenError::of(what, address))
}

/// Where connections come in.
pub(crate) trait Listener {
    type Stream;

    fn next_stream(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next_stream(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// A Unix socket for streams, whose file goes with it.
pub(crate) struct UnixStreams {
    listener: UnixListener,
    path: PathBuf,
}

impl UnixStreams {
    /// Makes the socket, open to every user of the machine. One that a killed server left is replaced.
    pub(crate) async fn bind(what: &'static str, path: &Path) -> Result<Self, ListenError> {
        let wrong = || ListenError::of(what, &path.display().to_string());
        if is_socket(path)
            && let Err(error) = UnixStream::connect(path).await
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            std::fs::remove_file(path).map_err(wrong())?;
        }
        let listener = UnixListener::bind(path).map_err(wrong())?;
        let bound = Self { listener, path: path.to_owned() };
        open_to_all(path).map_err(wrong())?;
        Ok(bound)
    }
}

impl Listener for UnixStreams {
    type Stream = UnixStream;

    async fn next_stream(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for UnixStreams {
    fn drop(&mut self) {
        // Whoever comes next makes it anew.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves each connection until `stop` is cancelled.
pub(crate) async fn serve<L, F, S>(listener: L, stop: CancellationToken, connection: F)
where
    L: Listener,
    F: Fn(L::Stream) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    serve_some(listener, CONNECTIONS_MAX, stop, connection).await;
}

/// The same with so many connections at once; further ones wait.
pub(crate) async fn serve_some<L, F, S>(listener: L, max: usize, stop: CancellationToken, connection: F)
where
    L: Listener,
    F: Fn(L::Stream) -> S,
    S: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(max));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.next_stream() => accepted,
        };
        match accepted {
            Ok(stream) => {
                let (serving, stop) = (connection(stream), stop.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = serving => {}
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Reads whole lines, as many as are there at a time. A line longer than `line_bytes_max` is left out and reported as an
/// empty piece.
pub(crate) struct Lines {
    stream: TcpStream,
    buffer: Vec<u8>,
    line_bytes_max: usize,
    /// Within a line that is too long.
    skipping: bool,
    /// Bytes at the front that were handed out.
    given: usize,
}

impl Lines {
    pub(crate) fn new(stream: TcpStream, line_bytes_max: usize) -> Self {
        Self { stream, buffer: Vec::new(), line_bytes_max, skipping: false, given: 0 }
    }

    /// The next piece, which ends at the end of a line; `None` when the connection is over.
    pub(crate) async fn next(&mut self) -> Option<Piece<'_>> {
        self.buffer.drain(..self.given);
        self.given = 0;
        loop {
            let mut chunk = vec![0; READ_BYTES];
            let read = tokio::time::timeout(IDLE, self.stream.read(&mut chunk)).await.ok()?.ok()?;
            let over = read == 0;
            self.buffer.extend_from_slice(&chunk[..read]);
            let mut too_long = false;
            if self.skipping
                && let Some(end) = self.buffer.iter().position(|b| *b == b'\n')
            {
                self.buffer.drain(..=end);
                self.skipping = false;
            }
            if self.skipping {
                self.buffer.clear();
            }
            // The last line of a connection may lack its end.
            let whole = if over {
                self.buffer.len()
            } else {
                self.buffer.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1)
            };
            if self.buffer.len() - whole > self.line_bytes_max {
                self.buffer.truncate(whole);
                (self.skipping, too_long) = (true, true);
            }
            if whole > 0 || too_long {
                self.given = whole;
                return Some(Piece { lines: &self.buffer[..whole], too_long });
            }
            if over {
                return None;
            }
        }
    }
}

/// Whole lines, and whether one that follows them was too long.
pub(crate) struct Piece<'a> {
    pub(crate) lines: &'a [u8],
    pub(crate) too_long: bool,
}

/// The next message behind its length of four bytes; `None` when the connection is over or the length is too much.
pub(crate) async fn framed(stream: &mut TcpStream, bytes_max: usize) -> Option<Vec<u8>> {
    let read = async {
        let length = stream.read_u32().await.ok()? as usize;
        if length > bytes_max {
            return None;
        }
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await.ok()?;
        Some(message)
    };
    tokio::time::timeout(IDLE, read).await.ok()?
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_unix_socket_for_streams_is_made_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("statsd.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let bound = UnixStreams::bind("StatsD", &path).await.unwrap();
        let taken = UnixStreams::bind("StatsD", &path).await.err().unwrap();
        assert!(taken.to_string().contains("statsd.sock"), "one that answers is left alone");
        UnixStream::connect(&path).await.unwrap();
        drop(bound);
        assert!(!path.exists());
        std::fs::write(&path, "a file of somebody").unwrap();
        assert!(UnixStreams::bind("StatsD", &path).await.is_err());
        assert!(path.exists());
    }

    #[tokio::test]
    async fn lines_are_whole_and_bounded() {
        let listener = bind("lines", "127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut lines = Lines::new(stream, 8);
        client.write_all(b"a 1\nb").await.unwrap();
        assert_eq!(lines.next().await.unwrap().lines, b"a 1\n");
        client.write_all(b" 2\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap().lines, b"b 2\n");
        client.write_all(b"c 3\nfar too long").await.unwrap();
        let piece = lines.next().await.unwrap();
        assert_eq!((piece.lines, piece.too_long), (&b"c 3\n"[..], true));
        client.write_all(b" a line\nd 4").await.unwrap();
        client.shutdown().await.unwrap();
        let mut rest = Vec::new();
        while let Some(piece) = lines.next().await {
            rest.extend_from_slice(piece.lines);
        }
        assert_eq!(rest, b"d 4");
    }
}
