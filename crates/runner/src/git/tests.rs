use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    process::{Command as Blocking, Stdio},
};

use tenfold_testkit::TestEntropy;
use tenfold_types::Timestamp;

use super::*;

const START_S: u64 = 1_700_000_000;

/// A copy without a source: what would be fetched is imported.
struct Local {
    _root: tempfile::TempDir,
    mirror: Mirror,
}

impl Local {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let source = Source { service: "photos".into(), repository: "/nowhere".into() };
        let mirror = Mirror::new(root.path(), &source);
        fs::create_dir_all(&mirror.dir).unwrap();
        let copy = Self { _root: root, mirror };
        copy.git(&["init", "--quiet", "--bare", "."], b"");
        copy
    }

    fn of(stream: &[u8]) -> Self {
        let copy = Self::new();
        copy.git(&["fast-import", "--quiet"], stream);
        copy
    }

    fn git(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        git(&self.mirror.dir, args, input)
    }

    fn sha(&self, name: &str) -> String {
        String::from_utf8(self.git(&["rev-parse", name], b"")).unwrap().trim().to_owned()
    }

    /// Names of the branch's commits, the oldest first.
    fn line(&self, branch: &str) -> Vec<String> {
        let list = String::from_utf8(self.git(&["rev-list", "--reverse", branch], b"")).unwrap();
        list.lines().map(str::to_owned).collect()
    }

    /// One side of `a...b` as git tells it.
    fn told(&self, side: &str, a: &str, b: &str) -> Vec<Commit> {
        let span = format!("{a}...{b}");
        let format = "--format=%H%x1f%an%x1f%ct%x1f%s";
        let log = self.git(&["log", "-z", side, "--cherry-pick", format, &span, "--"], b"");
        let log = String::from_utf8(log).unwrap();
        log.split('\0').filter(|entry| !entry.is_empty()).map(told).collect()
    }

    fn object(&self, sha: &str) -> PathBuf {
        self.mirror.dir.join("objects").join(&sha[..2]).join(&sha[2..])
    }
}

fn told(entry: &str) -> Commit {
    let fields: Vec<&str> = entry.splitn(4, '\u{1f}').collect();
    Commit {
        sha: fields[0].to_owned(),
        short: fields[0][..7].to_owned(),
        author: clean(fields[1]),
        at: Timestamp::from_millis(fields[2].parse::<i64>().unwrap() * 1000),
        message: clean(fields[3]),
    }
}

fn git(dir: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Blocking::new("git")
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {args:?}");
    output.stdout
}

/// A branch `main` of `commits`, `apart_s` seconds after each other.
fn line(commits: u64, apart_s: u64) -> Vec<u8> {
    let mut text = String::new();
    for n in 1..=commits {
        let at_s = START_S + n * apart_s;
        let message = format!("commit {n}");
        let len = message.len();
        writeln!(text, "commit refs/heads/main\ncommitter Ana <ana@example.org> {at_s} +0000\ndata {len}\n{message}")
            .unwrap();
        writeln!(text, "M 100644 inline file\ndata {len}\n{message}").unwrap();
    }
    text.into_bytes()
}

/// Sixty commits on branches `c1` to `c60`: forks, merges, unrelated roots, cherry-picks, and messages that are hard to read.
fn tangle(entropy: &TestEntropy) -> Vec<u8> {
    let dice = |sides: usize| usize::try_from(entropy.below(u64::try_from(sides).unwrap())).unwrap();
    let mut stream = Vec::new();
    for n in 1..=60_usize {
        let at_s = START_S + 97 * u64::try_from(n).unwrap();
        writeln!(stream, "commit refs/heads/c{n}\nmark :{n}").unwrap();
        writeln!(stream, "author Bo\u{e9} {n} <bo@example.org> {} +0200", at_s - 50).unwrap();
        writeln!(stream, "committer Ana <ana@example.org> {at_s} -0330").unwrap();
        let message = match n % 6 {
            0 => b"".to_vec(),
            1 => {
                stream.extend_from_slice(b"encoding ISO-8859-1\n");
                b"caf\xe9".to_vec()
            }
            2 => format!("\n\n  two lines \nof {n}\t\n\nand a body\n").into_bytes(),
            3 => "x\u{7}\u{1b}[31m".repeat(60).into_bytes(),
            _ => format!("commit {n}\n").into_bytes(),
        };
        writeln!(stream, "data {}", message.len()).unwrap();
        stream.extend_from_slice(&message);
        stream.push(b'\n');
        if n > 1 && dice(15) > 0 {
            let parent = n - 1 - dice((n - 1).min(12));
            writeln!(stream, "from :{parent}").unwrap();
            let other = 1 + dice(n - 1);
            if other != parent && dice(5) == 0 {
                writeln!(stream, "merge :{other}").unwrap();
            }
        }
        // the file of an earlier commit, written once more: on a branch that lacks it this is the same patch
        let file = if n > 1 && dice(2) == 0 { n - 1 - dice((n - 1).min(8)) } else { n };
        writeln!(stream, "M 100644 inline f{file}\ndata 5\nf{file:04}").unwrap();
    }
    stream
}

#[test]
fn references_cannot_be_options_or_revision_expressions() {
    for bad in ["", "-x", "--upload-pack=x", "a..b", "a^", "a~1", "a:b", "@{u}", "a b", "a\nb", "/x", ".x", "a*"] {
        assert!(check_ref(bad).is_err(), "{bad:?}");
    }
    for good in ["main", "feature/x", "v1.2.3", "4f2c91a", "HEAD"] {
        assert!(check_ref(good).is_ok(), "{good}");
    }
    assert!(check_sha("--help").is_err());
}

/// Commits, order, names, times and subjects are those that git prints; also where commits were cherry-picked.
#[tokio::test]
async fn ranges_are_what_git_says() {
    let mut picked = 0;
    for seed in 0..6 {
        let entropy = TestEntropy::seeded(seed);
        let copy = Local::of(&tangle(&entropy));
        if seed % 2 == 1 {
            copy.git(&["repack", "-adfq", "--depth=50"], b"");
        }
        for n in 0..40 {
            let (a, b) = (copy.sha(&format!("c{}", 1 + n * 7 % 60)), copy.sha(&format!("c{}", 60 - n)));
            let found = copy.mirror.commits(Some(&a), &b).await.unwrap();
            let (removed, added) = (copy.told("--left-only", &a, &b), copy.told("--right-only", &a, &b));
            assert_eq!(found.removed_count, u64::try_from(removed.len()).unwrap(), "{seed}: {a}...{b}");
            assert_eq!(found.added_count, u64::try_from(added.len()).unwrap(), "{seed}: {a}...{b}");
            assert_eq!((found.removed, found.added), (removed, added), "{seed}: {a}...{b}");
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            picked += copy.mirror.cherry_picked(a, b).await.unwrap().len();
        }
    }
    assert!(picked > 0, "cherry-picks occur: {picked}");
}

#[tokio::test]
async fn the_first_digits_name_a_commit() {
    let copy = Local::of(&line(3, 60));
    let tip = copy.sha("main");
    let commit = copy.mirror.commit(&tip[..9]).await.unwrap();
    assert_eq!((commit.sha.as_str(), commit.message.as_str()), (tip.as_str(), "commit 3"));
    assert!(copy.mirror.commit(&"0".repeat(64)).await.is_err());
}

#[tokio::test]
async fn a_shallow_copy_ends_where_it_was_cut() {
    let whole = Local::of(&line(10, 60));
    let copy = Local::new();
    let address = format!("file://{}", whole.mirror.dir.display());
    copy.git(&["fetch", "--quiet", "--depth=4", &address, "+refs/heads/*:refs/heads/*"], b"");
    let ids = whole.line("main");
    let range = copy.mirror.commits(Some(&ids[7]), &ids[9]).await.unwrap();
    assert_eq!((range.added_count, range.removed_count), (2, 0));
    // a day of shared history is looked through, which leads over the cut
    let back = copy.mirror.commits(Some(&ids[9]), &ids[6]).await.unwrap();
    assert_eq!((back.added_count, back.removed_count), (0, 3));
    let fault = copy.mirror.commits(Some(&ids[2]), &ids[9]).await.unwrap_err();
    assert!(fault.message.contains(&format!("the commit {} is not there", ids[2])), "{}", fault.message);
}

#[tokio::test]
async fn a_missing_commit_is_named() {
    let copy = Local::of(&line(9, 60));
    let ids = copy.line("main");
    fs::remove_file(copy.object(&ids[4])).unwrap();
    let fault = copy.mirror.commits(Some(&ids[1]), &ids[8]).await.unwrap_err();
    assert!(fault.message.contains(&format!("the commit {} is not there", ids[4])), "{}", fault.message);
    assert_eq!(copy.mirror.commit(&ids[8]).await.unwrap().message, "commit 9", "the others can be read");
}

#[tokio::test]
async fn content_of_another_name_is_found_out() {
    let copy = Local::of(&line(9, 60));
    let ids = copy.line("main");
    let at = copy.object(&ids[4]);
    fs::remove_file(&at).unwrap();
    fs::copy(copy.object(&ids[2]), &at).unwrap();
    let fault = copy.mirror.commits(Some(&ids[0]), &ids[8]).await.unwrap_err();
    assert!(fault.message.contains(&format!("its content is that of {}", ids[2])), "{}", fault.message);
}

#[tokio::test]
async fn a_corrupt_pack_is_an_error() {
    let copy = Local::of(&line(40, 60));
    let ids = copy.line("main");
    copy.git(&["repack", "-adq"], b"");
    let packs = copy.mirror.dir.join("objects/pack");
    let pack =
        fs::read_dir(packs).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "pack"));
    let pack = pack.unwrap();
    let sound = fs::read(&pack).unwrap();
    fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(copy.mirror.commits(Some(&ids[0]), &ids[39]).await.unwrap().added_count, 39);
    for pattern in [0x00_u8, 0x15, 0x55, 0xff] {
        let mut broken = sound.clone();
        let objects = 12..broken.len() - 20;
        broken[objects].fill(pattern);
        fs::write(&pack, broken).unwrap();
        let fault = copy.mirror.commits(Some(&ids[0]), &ids[39]).await.unwrap_err();
        assert!(fault.message.contains("cannot be read"), "{pattern:x}: {}", fault.message);
    }
    fs::write(&pack, &sound[..sound.len() / 2]).unwrap();
    assert!(copy.mirror.commits(Some(&ids[0]), &ids[39]).await.is_err(), "cut off");
}

/// What lies far behind is not read for a few new commits, and all of it is where it is asked for.
#[tokio::test]
async fn a_long_history_is_read_as_far_as_needed() {
    let mut copy = Local::of(&line(30_000, 3600));
    let ids = copy.line("main");
    let all = copy.mirror.commits(Some(&ids[0]), &ids[29_999]).await.unwrap();
    assert_eq!((all.added_count, all.added.len(), all.removed_count), (29_999, COMMITS_MAX, 0));
    copy.mirror.limits.commits_max = 100;
    let few = copy.mirror.commits(Some(&ids[29_979]), &ids[29_999]).await.unwrap();
    assert_eq!((few.added_count, few.added[0].message.as_str()), (20, "commit 30000"));
    let fault = copy.mirror.commits(Some(&ids[0]), &ids[29_999]).await.unwrap_err();
    assert!(fault.message.contains("more than 100 commits"), "{}", fault.message);
}

#[tokio::test]
async fn nobody_waits_longer_than_the_limit() {
    let mut copy = Local::of(&line(5, 60));
    let ids = copy.line("main");
    let id = |n: usize| ids[n].parse::<ObjectId>().unwrap();
    let interrupt = Interrupt::default();
    let history = History::open(&copy.mirror.dir, interrupt.clone()).unwrap();
    assert_eq!(history.sides(id(0), id(4), 100).unwrap().right.len(), 4);
    interrupt.set();
    assert!(matches!(history.sides(id(0), id(4), 100), Err(Trouble::Stopped)));
    assert!(matches!(History::open(&copy.mirror.dir, interrupt), Err(Trouble::Stopped)));

    // the reader waits to be told that nobody waits for it, which only the end of the time does
    copy.mirror.limits.within = Duration::from_millis(1);
    let tip = id(4);
    let endless = move |history: &History| -> Result<(), Trouble> {
        loop {
            history.commit(tip)?;
        }
    };
    let fault = copy.mirror.history(endless).await.unwrap_err();
    assert!(fault.message.contains("took longer"), "{}", fault.message);
}

/// A copy's configuration can name programs. None is started.
#[tokio::test]
async fn configuration_of_the_copy_starts_nothing() {
    let copy = Local::of(&line(5, 60));
    let (program, ran) = (copy.mirror.dir.join("program"), copy.mirror.dir.join("ran"));
    fs::write(&program, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = program.to_str().unwrap();
    let keys = [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "gpg.program",
        "diff.external",
        "core.alternateRefsCommand",
    ];
    for key in keys {
        copy.git(&["config", key, path], b"");
    }
    copy.git(&["config", "log.showSignature", "true"], b"");
    copy.git(&["config", "include.path", "/nowhere"], b"");
    let ids = copy.line("main");
    assert_eq!(copy.mirror.commits(Some(&ids[0]), &ids[4]).await.unwrap().added_count, 4);
    assert!(!ran.exists());
}

/// Ten trees of ten trees, ten times: ten thousand million files in a few kilobytes.
#[tokio::test]
async fn a_tree_that_would_fill_memory_or_disk_is_not_checked_out() {
    let mut copy = Local::new();
    let name = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    let mut object = name(copy.git(&["hash-object", "-w", "--stdin"], &[0; 4_096]));
    let mut kind = "100644 blob";
    let mut commits = Vec::new();
    for _ in 0..10 {
        let mut tree = String::new();
        for i in 0..10 {
            writeln!(tree, "{kind} {object}\tf{i}").unwrap();
        }
        (object, kind) = (name(copy.git(&["mktree"], tree.as_bytes())), "040000 tree");
        let who = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org"];
        commits.push(name(copy.git(&[&who[..], &["commit-tree", &object, "-m", "bomb"]].concat(), b"")));
    }
    let root = tempfile::tempdir().unwrap();
    let (into, index) = (root.path().join("src"), root.path().join("index"));
    fs::create_dir(&into).unwrap();
    let refused = copy.mirror.checkout(&commits[9], &into, &index).await.unwrap_err();
    assert!(refused.message.contains("more than 1000000 files"), "{refused}");
    let every = ["**".to_owned()];
    let refused = copy.mirror.changed(&commits[0], &commits[9], &every).await.unwrap_err();
    assert!(refused.message.contains("more than 1000000 files"), "{refused}");
    copy.mirror.limits.bytes_max = 10 * 4_096 - 1;
    let refused = copy.mirror.checkout(&commits[0], &into, &index).await.unwrap_err();
    assert!(refused.message.contains("more than 40959 bytes"), "{refused}");
    assert!(!index.exists() && fs::read_dir(&into).unwrap().count() == 0, "nothing was written");
    copy.mirror.limits.bytes_max += 1;
    copy.mirror.checkout(&commits[0], &into, &index).await.unwrap();
    assert_eq!(fs::read_dir(&into).unwrap().count(), 10);
}
