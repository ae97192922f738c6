//! The senders with their services at a receiver of ours.

use std::path::Path;
use std::sync::Arc;

use tenfold_app::Settings;
use tenfold_app::settings::{Channels as Own, Mail};
use tenfold_notify::Channels;
use tenfold_testkit::{FakeWebhook, TestClock};

pub fn open(dir: &Path, server: &FakeWebhook, mail: Mail) -> Channels {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let token = dir.join("token");
    std::fs::write(&token, "TOKEN\n").unwrap();
    let url = server.url("");
    let channels = Own {
        telegram_url: url.clone(),
        telegram_token_file: Some(token.clone()),
        matrix_url: url.clone(),
        matrix_token_file: Some(token.clone()),
        gotify_url: url.clone(),
        pushover_url: url.clone(),
        pushover_token_file: Some(token.clone()),
        pagerduty_url: url.clone(),
        opsgenie_url: url.clone(),
        twilio_url: url,
        twilio_account: "AC1".to_owned(),
        twilio_token_file: Some(token),
        twilio_from: "+15550100".to_owned(),
        ..Own::default()
    };
    let settings = Settings { data_dir: dir.to_owned(), channels, mail, ..Settings::default() };
    Channels::open(&settings, Arc::new(TestClock::default()), &|bytes| bytes.fill(7)).unwrap()
}
