//! A server whose keys do not open what its database holds ends and says what to do.

use std::time::Duration;

use tenfold_store::Db;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_server_without_the_keys_of_its_database_does_not_start() {
    let data = tempfile::tempdir().unwrap();
    drop(Db::open_sqlite(data.path().join("state.db"), tenfold_testkit::sealer()).await.unwrap());
    let mut serve = Command::new(env!("CARGO_BIN_EXE_tenfold"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, serve.output()).await.expect("it does not go on half-blind").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    let keys = data.path().join("sealing-keys").display().to_string();
    let holds = format!("{keys} holds");
    for part in ["they are sealed with the key", holds.as_str(), "put the key file there"] {
        assert!(said.contains(part), "`{part}`: {said}");
    }
    assert!(std::fs::read_to_string(keys).unwrap().starts_with("# Secrets in the database"), "its own was made");
}
