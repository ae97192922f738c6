//! Mail over SMTP. The Message-ID comes from the idempotency key, so a mail that is sent again after a crash is the same
//! mail; all mails of an incident refer to one root and are one conversation in a mail reader.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tenfold_app::alerts::{Notice, NotifyError, Update};
use tenfold_app::settings::{self, Tls};
use tenfold_types::{Clock, Timestamp};

use crate::{SetupError, chain};

/// For connecting and for each command.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Submission (RFC 6409), and submission over TLS (RFC 8314).
const PORT_SUBMISSION: u16 = 587;
const PORT_SUBMISSIONS: u16 = 465;
const PORT_SMTP: u16 = 25;

/// An SMTP server to send through.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// What stands behind the `@` of message ids.
    domain: String,
    clock: Arc<dyn Clock>,
}

impl Mail {
    pub fn new(settings: &settings::Mail, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let from: Mailbox = settings.from.parse().map_err(|_| SetupError::From(settings.from.clone()))?;
        let host = settings.host.as_str();
        let refused = |source| SetupError::Host { host: host.to_owned(), source };
        let (builder, port) = match settings.tls {
            Tls::None => (AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host), PORT_SMTP),
            Tls::Starttls => {
                (AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host).map_err(refused)?, PORT_SUBMISSION)
            }
            Tls::Tls => (AsyncSmtpTransport::<Tokio1Executor>::relay(host).map_err(refused)?, PORT_SUBMISSIONS),
        };
        let mut builder = builder.port(if settings.port == 0 { port } else { settings.port }).timeout(Some(TIMEOUT));
        if !settings.username.is_empty() {
            let password = match &settings.password_file {
                None => String::new(),
                Some(path) => std::fs::read_to_string(path)
                    .map_err(|source| SetupError::File { path: path.display().to_string(), source })?
                    .trim_end_matches(['\r', '\n'])
                    .to_owned(),
            };
            builder = builder.credentials(Credentials::new(settings.username.clone(), password));
        }
        let domain = from.email.domain().to_owned();
        Ok(Self { transport: builder.build(), from, domain, clock })
    }

    pub(crate) async fn send(&self, to: &str, notice: &Notice, key: &str) -> Result<(), NotifyError> {
        let root = self.root(notice);
        self.hand_over(self.message(to, notice, key, (&root, &root))?).await
    }

    /// An answer to the mail of a page, in its conversation and under its subject, so that readers keep them together.
    pub(crate) async fn answer(&self, to: &str, update: &Update, key: &str) -> Result<(), NotifyError> {
        let notice = Notice { subject: format!("Re: {}", update.notice.subject), ..update.notice.clone() };
        let page = format!("<{}@{}>", update.page_key, self.domain);
        let references = format!("{} {page}", self.root(&notice));
        self.hand_over(self.message(to, &notice, key, (&page, &references))?).await
    }

    /// What all mails of a conversation refer to. Several servers may send from one domain, and one that was set up anew has an
    /// incident 3 again: the server's place and the incident's beginning keep them apart.
    fn root(&self, notice: &Notice) -> String {
        let began = if notice.incident > 0 { format!("-{}", notice.at.millis()) } else { String::new() };
        format!("<{}{began}-{}@{}>", notice.thread, notice.plain_place(), self.domain)
    }

    async fn hand_over(&self, message: Message) -> Result<(), NotifyError> {
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(NotifyError {
                too_large: false,
                permanent: error.is_permanent(),
                retry_after_ms: None,
                message: chain(&error),
            }),
        }
    }

    /// `refers` is what it answers and all that went before.
    fn message(&self, to: &str, notice: &Notice, key: &str, refers: (&str, &str)) -> Result<Message, NotifyError> {
        let never = |message: String| NotifyError { too_large: false, permanent: true, retry_after_ms: None, message };
        let to: Mailbox = to.parse().map_err(|_| never(format!("`{to}` is not a mail address")))?;
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(notice.subject.clone())
            .date(system_time(self.clock.now()))
            .message_id(Some(format!("<{key}@{}>", self.domain)))
            .in_reply_to(refers.0.to_owned())
            .references(refers.1.to_owned())
            .header(AutoSubmitted)
            .header(IncidentNumber(notice.incident.to_string()))
            .header(ContentType::TEXT_PLAIN)
            .body(notice.text.clone())
            .map_err(|e| never(chain(&e)))
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.millis()).unwrap_or(0))
}

/// RFC 3834: nobody's holiday notice answers a page.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }
    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// For people's mail filters.
#[derive(Clone)]
struct IncidentNumber(String);

impl Header for IncidentNumber {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("X-Tenfold-Incident")
    }
    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}
