//! Mails that are alerts: a listener that speaks SMTP.
//!
//! It takes mail for sources of alerts and sends nothing on. A mail is said to be taken after what it says was kept.

use std::time::Duration;

use tenfold_app::App;
use tenfold_protocols::smtp::{Delivered, Session, Step, take_line};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{ListenError, streams};

const WHAT: &str = "mail";
/// A client that says nothing for this long is sent away.
const IDLE: Duration = Duration::from_mins(2);
/// Longest conversation, however busy.
const WHOLE: Duration = Duration::from_mins(10);
/// Conversations at once, each of which may hold a whole mail; further ones wait.
const CONNECTIONS_MAX: usize = 64;
const READ_BYTES: usize = 16 * 1024;

pub(crate) async fn start(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), ListenError> {
    let address = &app.settings.sources.mail_listen;
    if !address.is_empty() {
        let (listener, app) = (streams::bind(WHAT, address).await?, app.clone());
        tracing::info!(address = ?listener.local_addr().ok(), "mails that are alerts are taken");
        tasks.spawn(streams::serve_some(listener, CONNECTIONS_MAX, stop.clone(), move |stream| {
            converse(app.clone(), stream)
        }));
    }
    Ok(())
}

async fn converse(app: App, mut stream: TcpStream) {
    // One that goes away, or is too slow, has nothing to be told.
    let _ = tokio::time::timeout(WHOLE, talk(&app, &mut stream)).await;
    let _ = stream.shutdown().await;
}

async fn talk(app: &App, stream: &mut TcpStream) -> std::io::Result<()> {
    let domain = &app.settings.sources.mail_domain;
    let mut session = Session::new(if domain.is_empty() { "tenfold" } else { domain });
    stream.write_all(session.greeting().as_bytes()).await?;
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; READ_BYTES]);
    loop {
        let read = match tokio::time::timeout(IDLE, stream.read(&mut chunk)).await {
            Ok(read) => read?,
            Err(_) => return stream.write_all(b"421 4.4.2 nothing was said for too long\r\n").await,
        };
        if read == 0 {
            return Ok(());
        }
        buffer.extend_from_slice(&chunk[..read]);
        while let Some(line) = take_line(&mut buffer) {
            let step = match session.step(&line) {
                Step::Recipient(address) => recipient(app, &mut session, &address).await,
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

async fn recipient(app: &App, session: &mut Session, address: &str) -> Step {
    match app.mail_address_known(address).await {
        Ok(known) => session.recipient(known),
        Err(fault) => {
            tracing::warn!(%fault, "whether an address takes mail could not be looked up");
            Step::SayAndClose("421 4.3.0 not now; try again\r\n".into())
        }
    }
}

async fn deliver(app: &App, mail: &tenfold_protocols::smtp::Envelope) -> Delivered {
    let Ok(_place) = app.sources.place() else { return Delivered::Later };
    app.alert_mail(&mail.to, &mail.data).await
}
