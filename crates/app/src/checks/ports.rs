//! What checks need from outside: somebody who looks.

use std::time::Duration;

use async_trait::async_trait;
use tenfold_alerting::checks::CheckStatus;

use super::look::Run;

/// What a look brought: a status, and output as plugins print it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub status: CheckStatus,
    pub output: Vec<u8>,
}

impl Ran {
    /// Of a program that could not be started or did not come back.
    pub fn unknown(why: &str) -> Self {
        Self { status: CheckStatus::Unknown, output: why.as_bytes().to_vec() }
    }
}

/// Looks; implemented by the crate `runner`.
#[async_trait]
pub trait CheckRunner: Send + Sync {
    /// Returns within `timeout`, whatever hangs.
    async fn run(&self, what: &Run, timeout: Duration) -> Ran;
    /// Whether the files of secrets that it names may be read and can be.
    ///
    /// # Errors
    /// Which cannot, and what to do.
    async fn check(&self, _what: &Run) -> Result<(), String> {
        Ok(())
    }
}
