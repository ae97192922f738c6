//! Repositories that were made to do harm: what is read of them is files of the commit, and nothing of them runs before the
//! sandbox.

use std::os::unix::fs::{PermissionsExt, symlink};

use tenfold_app::deploys::ports::{Runner, Source};
use tenfold_types::ErrorCode;

use crate::world::{World, namespaces};

fn source(world: &World) -> Source {
    Source { service: "photos".into(), repository: world.path("repository").to_string_lossy().into_owned() }
}

#[tokio::test]
async fn a_pipeline_file_that_is_a_link_is_refused() {
    let world = World::new("true\n");
    let root = world.path("repository");
    std::fs::create_dir_all(root.join("real")).unwrap();
    std::fs::write(root.join("real/deploy.yaml"), "service: photos\n").unwrap();
    std::fs::create_dir_all(root.join(".tenfold")).unwrap();
    symlink("/etc/passwd", root.join(".tenfold/deploy.yaml")).unwrap();
    symlink("real", root.join("folder")).unwrap();
    world.commit("true\n");
    let (runner, source) = (world.runner(), source(&world));
    runner.fetch(&source).await.unwrap();
    let sha = runner.resolve(&source, "main").await.unwrap().sha;
    let refused = runner.file(&source, &sha, ".tenfold/deploy.yaml").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Invalid);
    assert!(refused.message.contains(".tenfold/deploy.yaml is a symbolic link"), "{refused}");
    // below a link there is nothing, wherever it leads
    assert_eq!(runner.file(&source, &sha, "folder/deploy.yaml").await.unwrap(), None);
    assert_eq!(runner.file(&source, &sha, "../repository/real/deploy.yaml").await.ok().flatten(), None);
    assert_eq!(runner.file(&source, &sha, "real").await.unwrap(), None);
    assert_eq!(runner.file(&source, &sha, "real/deploy.yaml").await.unwrap().as_deref(), Some("service: photos\n"));
}

#[tokio::test]
async fn a_checkout_runs_and_follows_nothing() {
    // the build sees what was checked out
    let world = World::new("cat filtered; readlink out; test -e sub/anything || echo no submodule\n");
    if !namespaces(world.dir.path()) {
        return;
    }
    let (root, victim) = (world.path("repository"), world.path("victim"));
    std::fs::write(&victim, "victim").unwrap();
    let ran = world.path("ran");
    // filters and hooks are named by the repository, and defined by the configuration of whoever checks out
    std::fs::write(root.join(".gitattributes"), "filtered filter=evil ident\n").unwrap();
    std::fs::write(root.join("filtered"), "as committed\n").unwrap();
    symlink(&victim, root.join("out")).unwrap();
    let hook = root.join(".git/hooks/post-checkout");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let submodule = "[submodule \"sub\"]\n\tpath = sub\n\turl = --upload-pack=touch\n";
    std::fs::write(root.join(".gitmodules"), submodule).unwrap();
    world.git(&["update-index", "--add", "--cacheinfo", "160000,4f2c91a94f2c91a94f2c91a94f2c91a94f2c91a9,sub"]);
    world.git(&["config", "filter.evil.smudge", &format!("touch {}; cat", ran.display())]);
    world.git(&["add", "filtered", "out", ".gitattributes", ".gitmodules"]);
    world.git(&["commit", "--quiet", "--message", "harm"]);
    let done = world.build(1, "artifact: {paths: [filtered], exclude: [out]}").await;
    assert!(done.result.is_ok(), "{:?}\n{}", done.result, done.text());
    assert!(done.out().contains(&"as committed") && done.out().contains(&"no submodule"), "{}", done.text());
    assert!(!ran.exists(), "nothing of the repository's own ran outside of the sandbox");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "victim");

    // the link ships as a link, and not when it leads out
    let refused = world.build(2, "artifact: {paths: ['**']}").await.result.unwrap_err();
    assert!(refused.contains("out") && refused.contains("points to"), "{refused}");
}

/// Paths that lead out of the checkout cannot be committed with git's own commands, and are not taken where they were.
#[tokio::test]
async fn paths_that_lead_out_are_not_checked_out() {
    let world = World::new("ls\n");
    let root = world.path("repository");
    let git = |args: &[&str], input: &[u8]| {
        use std::io::Write;
        let mut child = std::process::Command::new("git")
            .args(["-c", "user.name=Ana", "-c", "user.email=ana@example.org"])
            .args(args)
            .current_dir(&root)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let blob = git(&["hash-object", "-w", "--stdin"], b"harm");
    for name in ["..", ".git", "."] {
        let inner = git(&["mktree"], format!("100644 blob {blob}\tharm\n").as_bytes());
        // written as bytes, since mktree would not
        let mut tree = format!("40000 {name}\0").into_bytes();
        tree.extend((0..20).map(|i| u8::from_str_radix(&inner[2 * i..2 * i + 2], 16).unwrap()));
        let tree = git(&["hash-object", "-t", "tree", "--literally", "-w", "--stdin"], &tree);
        let commit = git(&["commit-tree", &tree, "-m", "harm"], b"");
        git(&["update-ref", "refs/heads/main", &commit], b"");
        let done = world.build(1, "").await;
        assert!(done.result.is_err(), "{name}: {}", done.text());
        assert!(!world.path("data/builds/harm").exists() && !world.path("data/builds/1").exists(), "{name}");
    }
}
