//! What this part needs from outside: somebody who speaks a forge's API.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tenfold_protocols::forge::Forge;

/// How a deploy stands, in the words all forges have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeployState {
    Queued,
    Running,
    Succeeded,
    /// It went back, or could not be done.
    Failed,
    /// Somebody or something stopped it.
    Stopped,
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployStatus {
    pub deploy: i64,
    pub service: String,
    pub environment: String,
    pub sha: String,
    /// Path of the repository on the forge: `ana/photos`.
    pub repository: String,
    pub state: DeployState,
    /// One sentence.
    pub description: String,
    /// The deploy's page.
    pub url: String,
}

/// Where and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgeAccount {
    pub kind: Forge,
    /// Base of the API, without a slash at its end.
    pub api: String,
    pub token: String,
}

/// Why a forge was not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgeError {
    /// Trying again is of no use.
    pub permanent: bool,
    pub retry_after_ms: Option<i64>,
    /// For people; never holds the token.
    pub message: String,
}

/// Where CDEvents go, and with what.
#[derive(Clone, PartialEq, Eq)]
pub struct SinkAccount {
    pub name: String,
    pub url: String,
    /// Signs requests.
    pub secret: Option<Vec<u8>>,
    pub token: Option<String>,
}

/// What is known on a forge that numbers deploys, besides the word that is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remote {
    /// The number it gave to the deploy before.
    pub number: Option<String>,
    /// The numbers of the deploys whose place this one took; known where it is told that it succeeded. More than one where a
    /// word of the success of one in between was given up.
    pub before: Vec<String>,
    /// Another deploy has taken its place already, of which the word went out first.
    pub replaced: bool,
}

#[async_trait]
pub trait ForgeClient: Send + Sync {
    /// Tells how a deploy stands. The answer is the number it has now, on forges that number deploys. Telling the same twice
    /// does no harm.
    async fn tell(
        &self,
        account: &ForgeAccount,
        status: &DeployStatus,
        remote: &Remote,
    ) -> Result<Option<String>, ForgeError>;

    /// Posts a CloudEvent in structured mode. `key` is the same whenever the same event is told again.
    async fn event(&self, to: &SinkAccount, key: &str, body: &str) -> Result<(), ForgeError>;
}
