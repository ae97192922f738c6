//! What senders of alerts send: signed webhooks by a mapping and Grafana's, mails, and conversations by which mails come.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::alert_hook::{ALERTS_MAX, KEY_CHARS_MAX, Mapping, grafana, verify};
use tenfold_protocols::alert_mail;
use tenfold_protocols::smtp::{Delivered, MAIL_BYTES_MAX, RECIPIENTS_MAX, Session, Step, take_line};

const MAP: &str = r#"{"alerts": "/a", "key": ["/k", "/l"], "title": "/t", "severity": "/s", "starts_at": "/at", "url": "/u",
    "resolved": {"path": "/r", "values": ["ok"]}, "labels": {"host": "/h"}}"#;

fuzz_target!(|input: (u8, Vec<u8>, String)| {
    let (what, bytes, text) = input;
    match what % 4 {
        0 => {
            let map: Mapping = serde_json::from_str(MAP).expect("it is a mapping");
            let read = map.read(&bytes).into_iter().chain(grafana(&bytes)).flatten();
            let (mut count, mut longest) = (0, 0);
            for alert in read {
                count += 1;
                longest = longest.max(alert.key.chars().count());
            }
            assert!(count <= 2 * ALERTS_MAX && longest <= KEY_CHARS_MAX);
            if let Ok(map) = serde_json::from_slice::<Mapping>(&bytes) {
                let _ = map.wrong();
                let _ = map.read(text.as_bytes());
            }
        }
        1 => {
            let header = |name: &str| (name.len() % 2 == usize::from(what / 4 % 2)).then_some(text.as_str());
            assert!(verify(b"a secret of some length", header, &bytes, 0).is_err());
        }
        2 => {
            if let Ok(mail) = alert_mail::read(&bytes, &[text]) {
                assert!(!mail.key.is_empty() && mail.key.chars().count() <= KEY_CHARS_MAX);
            }
        }
        _ => {
            let (mut session, mut buffer) = (Session::new("t"), bytes);
            while let Some(line) = take_line(&mut buffer) {
                let mut step = session.step(&line);
                if let Step::Recipient(to) = &step {
                    step = session.recipient(to.len() % 2 == 0);
                }
                if let Step::Mail(mail) = &step {
                    assert!(mail.data.len() <= MAIL_BYTES_MAX && (1..=RECIPIENTS_MAX).contains(&mail.to.len()));
                    step = session.delivered(Delivered::Taken);
                }
                match step {
                    Step::Say(said) => assert!(said.ends_with("\r\n")),
                    Step::SayAndClose(_) => return,
                    Step::Quiet => {}
                    Step::Recipient(_) | Step::Mail(_) => unreachable!("both were answered"),
                }
            }
        }
    }
});
