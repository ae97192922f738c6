//! What the background threads tell: one sentence each, for a log of the caller's choice.

use std::fmt;
use std::time::Duration;

/// Where definitions came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Server,
    /// The last good state on disk.
    File,
    /// Given in code.
    Bootstrap,
}

/// Something happened in the background. Whatever it is, evaluations go on with the definitions that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Definitions were taken.
    Updated { origin: Origin, flags: usize },
    /// The server was not reached, or answered with an error.
    Unreachable { reason: String, retry_in: Duration },
    /// The server does not accept the token (401, 403). It is asked again, at the slowest pace.
    Refused { status: u16, retry_in: Duration },
    /// A stream that stood has ended.
    StreamEnded { reason: String, retry_in: Duration },
    /// What the server sent cannot be read; it was not taken.
    DocumentIgnored { reason: String },
    /// The file of the last good state cannot be used: torn, changed by hand, of another version.
    StateIgnored { reason: String },
    /// The last good state could not be written to disk.
    StateNotSaved { reason: String },
    /// Counts could not be sent; they are kept for the next time.
    CountsNotSent { reason: String },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Updated { origin, flags } => {
                let from = match origin {
                    Origin::Server => "the server",
                    Origin::File => "the state file",
                    Origin::Bootstrap => "the bootstrap",
                };
                write!(f, "{flags} flags from {from}")
            }
            Self::Unreachable { reason, retry_in } => {
                write!(
                    f,
                    "the server is not reached ({reason}); the last definitions stand, next try in {retry_in:.1?}"
                )
            }
            Self::Refused { status, retry_in } => write!(
                f,
                "the server refuses the token ({status}); the last definitions stand, next try in {retry_in:.1?}: check that the token still exists"
            ),
            Self::StreamEnded { reason, retry_in } => {
                write!(f, "the stream ended ({reason}); the last definitions stand, next try in {retry_in:.1?}")
            }
            Self::DocumentIgnored { reason } => write!(f, "definitions that cannot be read were ignored: {reason}"),
            Self::StateIgnored { reason } => write!(f, "the state file was ignored: {reason}"),
            Self::StateNotSaved { reason } => {
                write!(f, "the state could not be saved: {reason}; a start without the server would not have it")
            }
            Self::CountsNotSent { reason } => write!(f, "counts were not sent and are kept: {reason}"),
        }
    }
}
