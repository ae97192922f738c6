//! What a program prints: masked, cut into lines, and told to whoever follows.

use std::sync::Arc;

use parking_lot::Mutex;
use tenfold_app::deploys::ports::{LineSink, Stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::Notify,
};

use crate::{
    mask::Secrets,
    sandbox::{MARK, Said},
};

/// Longest line handed on; a longer one is cut into several.
const LINE_BYTES_MAX: usize = 8 * 1024;

pub(super) struct Reader {
    pub stream: Stream,
    pub lines: LineSink,
    /// Notified with every piece, so that silence is noticed.
    pub noise: Arc<Notify>,
    pub secrets: Secrets,
    /// Where what the program's parent says is put; only its stream has one.
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
            return (self.lines)(self.stream, line);
        };
        if let Said::Fenced(report) = &said {
            if !report.in_force.is_empty() {
                (self.lines)(Stream::Tenfold, &format!("sandbox: {}", report.in_force.join("; ")));
            }
            for missing in &report.missing {
                (self.lines)(Stream::Tenfold, &format!("not in the sandbox: {missing}"));
            }
        }
        *parent.lock() = Some(said);
    }
}
