//! Posts alerts to other Alertmanagers. Decides nothing: it says whether a receiver took them, put them off or refuses them
//! for good. Redirects are not followed, and secrets are read from their files for each request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use tenfold_app::alerts::{AlertSender, FORWARDED_BY, ForwardError, NotifyError};
use tenfold_app::settings::ForwardTo;
use tenfold_httpkit::outgoing;
use tenfold_types::Clock;

use crate::{SetupError, chain};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Of what a receiver says about a refusal.
const SAID_CHARS_MAX: usize = 200;

/// Posts to the Alertmanagers that the settings name.
pub struct Forward {
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Forward {
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let client = crate::client(TIMEOUT)?;
        Ok(Self { client, clock })
    }
}

fn failed(permanent: bool, message: String) -> ForwardError {
    ForwardError::Failed(NotifyError { permanent, too_large: false, retry_after_ms: None, message })
}

fn secret(path: &Path) -> Result<String, ForwardError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| failed(false, format!("the file {} cannot be read: {e}", path.display())))?;
    Ok(text.trim().to_owned())
}

#[async_trait]
impl AlertSender for Forward {
    async fn send(&self, to: &ForwardTo, body: String, from: &str) -> Result<(), ForwardError> {
        let mut request = self.client.post(to.address()).header(CONTENT_TYPE, "application/json");
        request = request.header(FORWARDED_BY, from);
        if let Some(path) = &to.token_file {
            request = request.bearer_auth(secret(path)?);
        }
        if let Some(path) = &to.password_file {
            request = request.basic_auth(&to.username, Some(secret(path)?));
        }
        let answer = request.body(body).send().await.map_err(|e| failed(false, chain(&e.without_url())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        if status == StatusCode::LOOP_DETECTED {
            return Err(ForwardError::Own);
        }
        let retry_after_ms = outgoing::retry_after_ms(answer.headers(), self.clock.now());
        // Everything else may be mended at the receiver or in the settings: the alerts wait for that.
        let permanent = matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
        );
        let message = match said(answer).await {
            Some(said) => format!("it answers {status}: {said}"),
            None => format!("it answers {status}"),
        };
        let too_large = status == StatusCode::PAYLOAD_TOO_LARGE;
        Err(ForwardError::Failed(NotifyError { permanent, too_large, retry_after_ms, message }))
    }
}

/// The beginning of what a receiver says, in one line.
async fn said(mut answer: reqwest::Response) -> Option<String> {
    let chunk = answer.chunk().await.ok().flatten()?;
    let text: String = String::from_utf8_lossy(&chunk)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SAID_CHARS_MAX)
        .collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
