//! What a program prints: masked, cut into lines, and written where servers read it.

use std::{fs::File, io::Write, os::fd::AsFd, sync::Arc};

use parking_lot::Mutex;
use tenfold_app::deploys::ports::Stream;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::Notify,
};

use crate::{
    mask::Secrets,
    sandbox::{MARK, Said},
};

/// Longest line; a longer one is cut into several.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// What is kept of one run; a deploy's log holds as much.
const OUTPUT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Begins a line of the stream in the file.
pub(in crate::program) const fn letter(stream: Stream) -> u8 {
    match stream {
        Stream::Out => b'o',
        Stream::Err => b'e',
        Stream::Tenfold => b't',
    }
}

/// The file, line by line: a letter for the stream, the text, a newline. A full disk loses lines, and the program goes on.
pub(super) struct Output {
    file: Mutex<Written>,
}

struct Written {
    file: File,
    bytes: u64,
    /// The last line may have no end.
    torn: bool,
}

impl Output {
    pub fn of_stdout() -> std::io::Result<Self> {
        Ok(Self::new(File::from(std::io::stdout().as_fd().try_clone_to_owned()?)))
    }

    fn new(file: File) -> Self {
        Self { file: Mutex::new(Written { file, bytes: 0, torn: false }) }
    }

    /// Writes a text without newlines.
    pub fn line(&self, stream: Stream, text: &str) {
        let mut written = self.file.lock();
        if written.bytes > OUTPUT_BYTES_MAX {
            return;
        }
        let mut line = Vec::with_capacity(text.len() + 3);
        if written.torn {
            line.push(b'\n');
        }
        line.push(letter(stream));
        line.extend_from_slice(text.as_bytes());
        line.push(b'\n');
        written.bytes += line.len() as u64;
        if written.bytes > OUTPUT_BYTES_MAX {
            line.extend_from_slice(format!("t{}\n", cut()).as_bytes());
        }
        written.torn = written.file.write_all(&line).is_err();
    }
}

fn cut() -> String {
    format!("what it prints is not kept any more: it has more than {OUTPUT_BYTES_MAX} bytes")
}

pub(super) struct Reader {
    pub stream: Stream,
    pub output: Arc<Output>,
    /// Notified with every piece, so that silence is noticed.
    pub noise: Arc<Notify>,
    pub secrets: Secrets,
    /// Where what the sandbox says is put; only its stream has one.
    pub parent: Option<Arc<Mutex<Option<Said>>>>,
}

impl Reader {
    pub async fn run(self, mut from: impl AsyncRead + Unpin) {
        let mut masker = self.secrets.stream();
        let mut buffer = Vec::new();
        let mut chunk = vec![0; LINE_BYTES_MAX];
        loop {
            let n = match from.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(n) => n,
            };
            self.noise.notify_one();
            buffer.extend(masker.push(&chunk[..n]));
            while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                self.line(String::from_utf8_lossy(&line).trim_end());
            }
            if buffer.len() >= LINE_BYTES_MAX {
                self.line(&String::from_utf8_lossy(&buffer));
                buffer.clear();
            }
        }
        buffer.extend(masker.finish());
        if !buffer.is_empty() {
            self.line(&String::from_utf8_lossy(&buffer));
        }
    }

    fn line(&self, line: &str) {
        let said = self.parent.as_ref().zip(line.strip_prefix(MARK));
        let Some((parent, said)) = said.and_then(|(p, text)| Some((p, serde_json::from_str::<Said>(text).ok()?)))
        else {
            return self.output.line(self.stream, line);
        };
        if let Said::Fenced(report) = &said {
            if !report.in_force.is_empty() {
                self.output.line(Stream::Tenfold, &format!("sandbox: {}", report.in_force.join("; ")));
            }
            for missing in &report.missing {
                self.output.line(Stream::Tenfold, &format!("not in the sandbox: {missing}"));
            }
        }
        *parent.lock() = Some(said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_masked_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        let output = Arc::new(Output::new(File::create(&path).unwrap()));
        let reader = Reader {
            stream: Stream::Err,
            output: output.clone(),
            noise: Arc::default(),
            secrets: Secrets::new(["s3cr3t-and-long"]),
            parent: None,
        };
        let printed = format!("a s3cr3t-and-long b\n\n{}\nend s3cr3t-and-long", "x".repeat(LINE_BYTES_MAX + 1));
        reader.run(printed.as_bytes()).await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[1], lines.last().copied()), ("ea *** b", "e", Some("eend ***")));
        assert!(lines.iter().all(|line| line.len() <= 2 * LINE_BYTES_MAX));
        let long = "y".repeat(1024 * 1024);
        for _ in 0..40 {
            output.line(Stream::Out, &long);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() as u64 <= OUTPUT_BYTES_MAX + 2 * long.len() as u64, "{}", text.len());
        assert_eq!(text.lines().last(), Some(format!("t{}", cut()).as_str()));
    }
}
