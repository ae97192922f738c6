//! Mails that are alerts: a listener that speaks SMTP.
//!
//! It takes mail for sources of alerts and sends nothing on. A mail is said to be taken after what it says was kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenfold_app::App;
use tenfold_protocols::smtp::{Delivered, Session, Step, take_line};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{ListenError, streams};

const WHAT: &str = "mail";
/// A client that says nothing for this long is sent away.
const IDLE: Duration = Duration::from_mins(2);
/// One that has not named an address that takes mail by then is sent away, whatever else it says.
const NAMED: Duration = Duration::from_secs(30);
/// How long one may take to hear that there is no place for it.
const REFUSAL: Duration = Duration::from_secs(2);
/// Longest conversation, however busy.
const WHOLE: Duration = Duration::from_mins(10);
/// Conversations at once, each of which may hold a whole mail; further ones are asked to come again.
const CONVERSATIONS_MAX: usize = 64;
/// Connections at once, with those that are being sent away.
const CONNECTIONS_MAX: usize = 2 * CONVERSATIONS_MAX;
const READ_BYTES: usize = 16 * 1024;

pub(crate) async fn start(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), ListenError> {
    let address = &app.settings.sources.mail_listen;
    if !address.is_empty() {
        let (listener, app) = (streams::bind(WHAT, address).await?, app.clone());
        let places = Arc::new(Semaphore::new(CONVERSATIONS_MAX));
        tracing::info!(address = ?listener.local_addr().ok(), "mails that are alerts are taken");
        tasks.spawn(streams::serve_some(listener, CONNECTIONS_MAX, stop.clone(), move |stream| {
            converse(app.clone(), places.clone(), stream)
        }));
    }
    Ok(())
}

async fn converse(app: App, places: Arc<Semaphore>, mut stream: TcpStream) {
    // One that goes away, or is too slow, has nothing to be told.
    if let Ok(_place) = places.try_acquire() {
        let _ = tokio::time::timeout(WHOLE, talk(&app, &mut stream)).await;
    } else {
        let full = b"421 4.3.2 too many conversations at this moment; try again\r\n";
        let _ = tokio::time::timeout(REFUSAL, stream.write_all(full)).await;
    }
    let _ = stream.shutdown().await;
}

async fn talk(app: &App, stream: &mut TcpStream) -> std::io::Result<()> {
    let domain = &app.settings.sources.mail_domain;
    let mut session = Session::new(if domain.is_empty() { "tenfold" } else { domain });
    stream.write_all(session.greeting().as_bytes()).await?;
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; READ_BYTES]);
    let began = Instant::now();
    // It has named an address that takes mail.
    let mut named = false;
    loop {
        let wait = if named { IDLE } else { NAMED.saturating_sub(began.elapsed()) };
        if wait.is_zero() {
            return stream.write_all(b"421 4.4.2 nobody here was written to for too long\r\n").await;
        }
        let read = match tokio::time::timeout(wait, stream.read(&mut chunk)).await {
            Ok(read) => read?,
            Err(_) => return stream.write_all(b"421 4.4.2 nothing was said for too long\r\n").await,
        };
        if read == 0 {
            return Ok(());
        }
        buffer.extend_from_slice(&chunk[..read]);
        while let Some(line) = take_line(&mut buffer) {
            let step = match session.step(&line) {
                Step::Recipient(address) => recipient(app, &mut session, &address, &mut named).await,
                Step::Mail(mail) => {
                    let what = deliver(app, &mail).await;
                    session.delivered(what)
                }
                step => step,
            };
            match step {
                Step::Say(text) => stream.write_all(text.as_bytes()).await?,
                Step::SayAndClose(text) => return stream.write_all(text.as_bytes()).await,
                Step::Quiet | Step::Recipient(_) | Step::Mail(_) => {}
            }
        }
    }
}

async fn recipient(app: &App, session: &mut Session, address: &str, named: &mut bool) -> Step {
    match app.mail_address_known(address).await {
        Ok(known) => {
            *named |= known;
            session.recipient(known)
        }
        Err(fault) => {
            tracing::warn!(%fault, "whether an address takes mail could not be looked up");
            Step::SayAndClose("421 4.3.0 not now; try again\r\n".into())
        }
    }
}

async fn deliver(app: &App, mail: &tenfold_protocols::smtp::Envelope) -> Delivered {
    let Ok(_place) = app.sources.mail_place().await else { return Delivered::Later };
    app.alert_mail(&mail.to, &mail.data).await
}
