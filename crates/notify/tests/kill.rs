//! `kill -9` while pages go out: a process of its own, a mail server that counts, and a SIGKILL whenever a mail is on its
//! way. Each step of each round pages its person with one message, and none is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tenfold_app::people::{Contact, PersonKind, PersonUpdate};
use tenfold_app::{App, Caller, Role, Settings, metrics};
use tenfold_store::Db;
use tenfold_testkit::{FakeSmtp, ProcessGuard, TestClock, TestEntropy};

/// Two steps, four rounds.
const PAGES: usize = 8;
const WAIT: Duration = Duration::from_mins(2);

/// The example beside this test, built with it.
fn pager() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let found = test.parent()?.parent()?.join("examples").join("page_until_killed");
    if found.exists() {
        return Some(found);
    }
    tenfold_testkit::peer_is_missing("the example page_until_killed is not built; run the tests of the whole crate");
    None
}

fn start(program: &Path, dir: &Path, port: u16) -> ProcessGuard {
    let child = Command::new(program)
        .arg(dir)
        .arg(port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the pager starts");
    ProcessGuard::new(child)
}

async fn app(dir: &Path) -> App {
    let settings = Settings { data_dir: dir.join("setup"), ..Settings::default() };
    let db = Db::open_sqlite(dir.join("state.db"), tenfold_testkit::sealer()).await.expect("the store opens");
    let metrics = metrics::State::open(&settings).expect("an empty store of samples opens");
    let app = App::new(db, Arc::new(TestClock::default()), Arc::new(TestEntropy::default()), settings, metrics);
    tenfold_app::load(&app).await.expect("the state is loaded");
    app
}

async fn people(app: &App) {
    let system = Caller::system();
    for (login, kind) in [("ana", PersonKind::Developer), ("raj", PersonKind::Operator)] {
        let update = PersonUpdate {
            name: Some(login.to_owned()),
            kind: Some(kind),
            role: Some(Role::Responder),
            contact: Some(Contact { email: format!("{login}@example.org"), ..Contact::default() }),
            ..PersonUpdate::default()
        };
        app.person_put(&system, login, update).await.expect("a person is made");
    }
    let step = |name: &str| json!({"delay_ms": 1_000, "targets": [{"kind": "person", "name": name}]});
    let policy = json!({"steps": [step("ana"), step("raj")], "repeat": 3});
    let policy = serde_json::from_value(policy).expect("a policy");
    app.policy_put(&system, "default", policy).await.expect("a policy is made");
    let rules = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - alert: High\n    expr: errors > 5\n    labels: {severity: critical}\n";
    app.rules_put(&system, "g", rules).await.expect("rules are made");
}

fn message_id(text: &str) -> String {
    let line = text.lines().find(|l| l.starts_with("Message-ID: <")).expect("every mail has a Message-ID");
    line.trim_start_matches("Message-ID: <").trim_end_matches("@example.org>").to_owned()
}

#[tokio::test]
async fn nobody_is_paged_twice_for_a_step_and_no_page_is_lost() {
    let Some(program) = pager() else { return };
    let (dir, server) = (tempfile::tempdir().expect("a temporary directory"), FakeSmtp::start().await);
    let setup = app(dir.path()).await;
    people(&setup).await;
    drop(setup);
    let port = server.address().port();
    let mut kills = 0;
    let work = async {
        // Killed by turns when a mail is tried and when it has just been taken; then left alone until all is out.
        for attempt in 1..=PAGES {
            let taken = server.mails().len();
            let mut process = start(&program, dir.path(), port);
            if attempt % 2 == 1 {
                server.wait_for_attempts(attempt).await;
            } else {
                server.wait_for(taken + 1).await;
            }
            process.kill();
            kills += 1;
        }
        let process = start(&program, dir.path(), port);
        let distinct = || server.mails().iter().map(|m| message_id(&m.text)).collect::<BTreeSet<_>>().len();
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        while distinct() < PAGES {
            looks.tick().await;
        }
        drop(process);
    };
    tokio::time::timeout(WAIT, work).await.expect("all pages go out in time");

    let after = app(dir.path()).await;
    let pages = after.pages(Some(1)).await.expect("pages");
    assert_eq!(pages.len(), PAGES, "one page for each step of each round");
    let mails = server.mails();
    let mut messages: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for page in &pages {
        let key = format!("{}.mail", page.id);
        let to: Vec<_> = mails.iter().filter(|m| message_id(&m.text) == key).map(|m| m.to.clone()).collect();
        assert!(!to.is_empty(), "the page {page:?} is lost");
        assert!(to.iter().all(|t| *t == [format!("{}@example.org", page.person)]));
        messages.entry(&page.person).or_default().insert(key);
    }
    assert_eq!(messages.values().map(BTreeSet::len).sum::<usize>(), PAGES);
    let known: BTreeSet<String> = messages.into_values().flatten().collect();
    assert!(mails.iter().all(|m| known.contains(&message_id(&m.text))), "no mail without a page");
    println!("{kills} kills, {PAGES} pages, {} mails taken ({} of them again)", mails.len(), mails.len() - PAGES);
}
