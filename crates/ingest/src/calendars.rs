//! Asks for calendars that schedules follow: over http and https, through the proxy of the environment as the scraper does,
//! with a time, a cap on bytes and a few redirects. It says nothing of the address, which often holds a secret.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{
    ACCEPT, CONTENT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{StatusCode, Url};
use tenfold_app::oncall::{CalendarAnswer, CalendarClient, CalendarKnown, ICS_BYTES_MAX};
use tenfold_httpkit::body::{BodyError, whole};
use tenfold_httpkit::error::innermost;

/// One that takes longer does not answer.
pub const WITHIN: Duration = Duration::from_secs(20);
const REDIRECTS_MAX: usize = 5;
/// Of a header that is sent back as it came.
const HEADER_BYTES_MAX: usize = 1_000;

/// Asks calendars at the addresses that people give.
pub struct Calendars {
    client: reqwest::Client,
}

impl Calendars {
    /// Every answer is whole after `within`, or there is none.
    ///
    /// # Errors
    /// The system's certificates cannot be used.
    pub fn new(within: Duration) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(Policy::custom(redirect))
            // The address before would be told to wherever it leads.
            .referer(false)
            .timeout(within)
            .user_agent(concat!("tenfold/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client })
    }
}

fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from_https = attempt.previous().last().is_some_and(|before| before.scheme() == "https");
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error(format!("it leads on more than {REDIRECTS_MAX} times"));
    }
    if from_https && attempt.url().scheme() != "https" {
        return attempt.error("it leads from https to http");
    }
    attempt.follow()
}

/// What may be said of an error: the innermost reason, never the address.
fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    innermost(&error.without_url())
}

/// A header of an answer, to be sent back with the next question; empty when there is none.
fn kept(headers: &HeaderMap, name: HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.filter(|value| value.len() <= HEADER_BYTES_MAX).unwrap_or_default().to_owned()
}

#[async_trait]
impl CalendarClient for Calendars {
    async fn ask(&self, url: &str, known: &CalendarKnown) -> Result<CalendarAnswer, String> {
        let url = Url::parse(url).map_err(|e| format!("its address is none: {e}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("its address is neither http nor https".to_owned());
        }
        let mut request = self.client.get(url).header(ACCEPT, "text/calendar, */*;q=0.1");
        for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
            if let Ok(value) = HeaderValue::from_str(value)
                && !value.is_empty()
            {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.map_err(reason)?;
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok(CalendarAnswer::Unchanged);
        }
        if status != StatusCode::OK {
            return Err(format!("it answers {status}"));
        }
        let headers = answer.headers();
        if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
            return Err(format!("it came in {encoding:?}, which was not asked for"));
        }
        let known = CalendarKnown { etag: kept(headers, ETAG), last_modified: kept(headers, LAST_MODIFIED) };
        let body = whole(answer.bytes_stream(), ICS_BYTES_MAX).await.map_err(|e| match e {
            BodyError::Broken(e) => reason(e),
            BodyError::TooLarge => format!("it is larger than {ICS_BYTES_MAX} bytes"),
        })?;
        let ics = String::from_utf8(body).map_err(|_| "it is no text in UTF-8".to_owned())?;
        Ok(CalendarAnswer::Text { ics, known })
    }
}
