//! Debian's capistrano and we go back on each other's releases.

use std::path::Path;
use std::process::Command;

use crate::world::{World, mei, user};

/// `cap production TASK` against one host of the world.
fn cap(world: &World, host: &str, task: &str) -> String {
    let dir = world.dir().join("cap");
    std::fs::create_dir_all(dir.join("config/deploy")).unwrap();
    let write = |path: &str, text: String| std::fs::write(dir.join(path), text).unwrap();
    write(
        "Capfile",
        "require \"capistrano/setup\"\nrequire \"capistrano/deploy\"\nrequire \"capistrano/scm/git\"\n\
         install_plugin Capistrano::SCM::Git\n"
            .into(),
    );
    let user = user();
    write(
        "config/deploy.rb",
        format!(
            "lock \">= 3.0\"\nset :application, \"photos\"\nset :repo_url, \"{}\"\nset :branch, \"main\"\n\
             set :deploy_to, \"{}\"\nset :format, :simpletext\nset :git_wrapper_path, \"{}\"\n",
            world.repository().display(),
            world.root(host).display(),
            dir.join("git-ssh.sh").display(),
        ),
    );
    write(
        "config/deploy/production.rb",
        format!(
            "server \"127.0.0.1\", user: \"{user}\", roles: %w{{app}}, ssh_options: {{ port: {}, keys: [\"{}\"], \
             keys_only: true, config: false, user_known_hosts_file: \"{}\", verify_host_key: :always }}\n",
            world.port(host),
            world.dir().join("key").display(),
            world.dir().join("known_hosts").display(),
        ),
    );
    let output = Command::new("cap")
        .args(["production", task])
        .current_dir(&dir)
        .env("HOME", &dir)
        .env_remove("SSH_AUTH_SOCK")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "cap {task}: {said}");
    said
}

fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root.join("releases"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn capistrano_goes_back_on_our_layout_and_we_on_its() {
    if Command::new("cap").arg("--version").output().is_err() {
        tenfold_testkit::peer_is_missing("this test needs Debian's package capistrano");
        return;
    }
    let Some(mut world) = World::new(&["web-1"]).await else { return };
    world.connected(1).await;
    // ours, twice; Capistrano goes back to the first
    let sha = world.head();
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    world.commit("two");
    let second = world.deploy().await;
    world.state(second.number, &["succeeded"]).await;
    let root = world.root("web-1");
    assert_eq!(names(&root).len(), 2);
    cap(&world, "web-1", "deploy:rollback");
    assert_eq!(world.file("web-1", "version.txt"), "one");
    assert_eq!(names(&root).len(), 1, "Capistrano packs the one it left away");
    world.until("the server sees it", move |w| w.runs("web-1") == Some(sha.clone())).await;

    // Capistrano deploys; we deploy over it, fail, and go back to its release
    world.commit("three");
    cap(&world, "web-1", "deploy");
    assert_eq!(world.file("web-1", "version.txt"), "three");
    let theirs = std::fs::read_link(root.join("current")).unwrap();
    let head = world.head();
    world.until("the server sees Capistrano's", move |w| w.runs("web-1") == Some(head.clone())).await;
    world.commit("sick");
    let sick = world.deploy().await;
    world.state(sick.number, &["failed", "rolled_back"]).await;
    world.app().unlock(&mei(), "photos", "production").await.unwrap();
    assert_eq!(std::fs::read_link(root.join("current")).unwrap(), theirs);
    assert_eq!(world.file("web-1", "version.txt"), "three");

    // and after one of ours that is good, Capistrano goes back to its own
    world.commit("four");
    let fourth = world.deploy().await;
    world.state(fourth.number, &["succeeded"]).await;
    assert_eq!(world.file("web-1", "version.txt"), "four");
    cap(&world, "web-1", "deploy:rollback");
    assert_eq!(std::fs::read_link(root.join("current")).unwrap(), theirs);
    world.end().await;
}
