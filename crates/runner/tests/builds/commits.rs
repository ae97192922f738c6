//! What lies between two commits, by real git.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use tenfold_app::deploys::ports::{CommitRange, Runner, Source};

use crate::world::World;

/// Commits on a branch of their own that leaves `main`, a second apart; each changes something.
fn branch(name: &str, commits: u32, first_at_s: u64) -> String {
    let mut text = String::new();
    for n in 1..=commits {
        let at = first_at_s + u64::from(n);
        let message = format!("{name} {n}");
        writeln!(
            text,
            "commit refs/heads/{name}\ncommitter Ana <ana@example.org> {at} +0000\ndata {}\n{message}",
            message.len()
        )
        .unwrap();
        if n == 1 {
            text.push_str("from refs/heads/main^0\n");
        }
        writeln!(text, "M 100644 inline {name}\ndata {}\n{message}\n", message.len()).unwrap();
    }
    text
}

/// More newer commits than are listed hide none of those that are taken out.
#[tokio::test]
async fn each_side_has_a_list_of_its_own() {
    let world = World::new("true\n");
    let mut import = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(world.path("repository"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let commits = branch("runs", 3, 1_700_000_000) + &branch("next", 450, 1_700_001_000);
    import.stdin.take().unwrap().write_all(commits.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());

    let runner = world.runner();
    let repository = world.path("repository").to_string_lossy().into_owned();
    let source = Source { service: "photos".into(), repository };
    runner.fetch(&source).await.unwrap();
    let (runs, next) =
        (runner.resolve(&source, "runs").await.unwrap().sha, runner.resolve(&source, "next").await.unwrap().sha);
    let range = runner.commits(&source, Some(&runs), &next).await.unwrap();
    assert_eq!((range.added_count, range.removed_count), (450, 3));
    assert_eq!(range.added.len(), 400, "as many as are listed");
    assert_eq!(range.added[0].message, "next 450", "the newest first");
    let removed: Vec<_> = range.removed.iter().map(|c| c.message.as_str()).collect();
    assert_eq!(removed, ["runs 3", "runs 2", "runs 1"]);
    let back = runner.commits(&source, Some(&next), &runs).await.unwrap();
    assert_eq!((back.added.len(), back.removed.len()), (3, 400));
    assert_eq!(runner.commits(&source, Some(&next), &next).await.unwrap(), CommitRange::default());
}
