//! What runs on a host without an agent: fixed POSIX shell texts, which get everything as arguments, and OpenSSH's own words
//! to start them. The tools are those of coreutils, findutils, util-linux, GNU tar and gzip.
//!
//! Nothing here is put together from outside text but arguments, and those are quoted.

/// Refuses an older epoch and notes a newer one, under a lock that is held to the end of the script unless the script gives
/// it back. `keep NAME TEXT` writes a note, whole or not at all. `$1` folder, `$2` epoch.
const FENCE: &str = r#"set -eu; umask 022; d=$1; epoch=$2
mkdir -p "$d/releases" "$d/shared" "$d/.tenfold"
exec 9>"$d/.tenfold/lock"; flock -w 30 9
seen=0; if [ -f "$d/.tenfold/epoch" ]; then seen=$(cat "$d/.tenfold/epoch"); fi
if [ "$seen" -gt "$epoch" ]; then printf "refused %s" "$seen"; exit 0; fi
if [ "$seen" -lt "$epoch" ]; then printf "%s\n" "$epoch" > "$d/.tenfold/epoch.new"; sync "$d/.tenfold/epoch.new"; mv -f "$d/.tenfold/epoch.new" "$d/.tenfold/epoch"; fi
keep() { printf "%s\n" "$2" > "$d/.tenfold/$1.json.new"; sync "$d/.tenfold/$1.json.new"; mv -f "$d/.tenfold/$1.json.new" "$d/.tenfold/$1.json"; }
"#;

/// Which releases stand in the folders that are named.
pub const LOOK: &str = r#"for d; do
printf "folder %s\0" "$d"
[ -d "$d" ] || continue
if [ -f "$d/.tenfold/epoch" ]; then printf "epoch %s\0" "$(cat "$d/.tenfold/epoch")"; fi
c=$(readlink "$d/current" || true)
if [ -n "$c" ]; then printf "current %s\0" "${c##*/}"; fi
for r in "$d"/releases/*; do
[ -d "$r" ] || continue
n=${r##*/}
printf "release %s\0" "$n"
if [ -f "$r/REVISION" ]; then printf "revision %s\0" "$(head -c 64 "$r/REVISION")"; fi
if [ -f "$d/.tenfold/$n.json" ]; then printf "note %s\0" "$(head -c 16384 "$d/.tenfold/$n.json")"; fi
done
done"#;

/// Begins a tree aside and links into it what another release has of it. `$3` the part's name, `$4` the other release or empty; the paths to
/// link come in, each ended by NUL.
pub const BEGIN: &str = r#"part="$d/.tenfold/part-$3"; rm -rf "$part"; mkdir "$part"
if [ -n "$4" ]; then cd "$d/releases/$4"; xargs -0 -r cp -lP --parents -t "$part" --; else cat > /dev/null; fi
printf "done""#;

/// Unpacks an archive in gzip into the tree. `$3` the part's name, `$4` seconds it may take. The lock is given back before: a transfer
/// that hangs must not keep a newer server out. Parts are named by their epoch, so that one never writes into another's.
pub const UNPACK: &str = r#"part="$d/.tenfold/part-$3"
exec 9>&-
timeout "$4" tar -x -z --no-same-owner --no-same-permissions --unlink-first -f - -C "$part"
printf "done""#;

/// Every file and link of a tree. `$1` its folder.
pub const TREE: &str = r#"set -eu; cd "$1"
find . -type f -perm /111 -printf "x %P\0"
find . -type l -printf "l %P\0%l\0"
find . -type f -print0 | xargs -0 -r sha256sum --zero --"#;

/// Says which of the files that are to be linked are not there. `$1` folder; the rest are the files.
pub const ABSENT: &str = r#"d=$1; shift
for l; do [ -e "$d/shared/$l" ] || printf "%s\0" "$l"; done"#;

/// Puts the tree among the releases. `$3` name, `$4` the part's name, `$5` note, `$6` how many folders follow; then those folders
/// and behind them files, which are shared between releases. A file that is not there is linked all the same, as one that somebody
/// takes away later would be: whether it is there was asked before.
pub const PUBLISH: &str = r#"name=$3; part="$d/.tenfold/part-$4"; note=$5; dirs=$6; shift 6
for l; do
if [ "$dirs" -gt 0 ]; then dirs=$((dirs - 1)); mkdir -p "$d/shared/$l" "$part/$l"
else p=$part/$l; mkdir -p "${p%/*}"; fi
rm -rf "$part/$l"; ln -s "$d/shared/$l" "$part/$l"
done
keep "$name" "$note"
sync -f "$part"
mv -T "$part" "$d/releases/$name"
printf "done""#;

/// The flip: one rename. `$3` name, `$4` revision, `$5` note, `$6` the line for the log. Capistrano goes back to the release
/// that was changed last but one, so the order of the flips is told by their folders' times.
pub const FLIP: &str = r#"name=$3; r="$d/releases/$name"; [ -d "$r" ] || { printf "gone"; exit 0; }
if [ -n "$4" ] && [ ! -e "$r/REVISION" ]; then printf "%s\n" "$4" > "$r/REVISION"; fi
if [ -n "$5" ]; then keep "$name" "$5"; fi
rm -f "$d/.tenfold/current"; ln -s "$r" "$d/.tenfold/current"; mv -fT "$d/.tenfold/current" "$d/current"
touch "$r"; sync "$d"
printf "%s\n" "$6" >> "$d/revisions.log"
printf "done""#;

/// Notes how a flip ended, where nothing else became current since. `$3` name, `$4` note.
pub const MARK: &str = r#"name=$3; c=$(readlink "$d/current" || true)
if [ "${c##*/}" != "$name" ]; then printf "moved"; exit 0; fi
keep "$name" "$4"
printf "done""#;

/// Runs nothing any more.
pub const UNLINK: &str = r#"rm -f "$d/current"; sync "$d"; printf "%s\n" "$3" >> "$d/revisions.log"; printf "done""#;

/// Keeps the newest releases, and the current one. `$3` is the place of the first that goes: one more than stay.
pub const PRUNE: &str = r#"c=$(readlink "$d/current" || true); c=${c##*/}
ls -1 -t "$d/releases" | tail -n "+$3" | while read -r n; do
case $n in *[!0-9]*|"") continue;; esac
if [ "$n" != "$c" ]; then rm -rf "$d/releases/$n" "$d/.tenfold/$n.json"; fi
done
for p in "$d"/.tenfold/part-*; do rm -rf "$p"; done
printf "done""#;

/// A script behind the fence.
pub fn fenced(script: &str) -> String {
    format!("{FENCE}{script}")
}

/// What stands for an exit code of 255, which OpenSSH keeps for a line that broke.
pub const CODE_255: i32 = 254;

/// Runs the script in a shell of its own and hands its exit code on. A signal that ends the script becomes a code as well, where
/// OpenSSH would say 255.
const HAND_ON: &str = r#"sh -c "$@"; code=$?; [ "$code" -ne 255 ] || code=254; exit "$code""#;

/// The one word that OpenSSH hands to the login shell of the other side.
pub fn command(script: &str, args: &[&str]) -> String {
    let mut line = format!("exec sh -c {} tenfold {} tenfold", quoted(HAND_ON), quoted(script));
    for arg in args {
        line.push(' ');
        line.push_str(&quoted(arg));
    }
    line
}

/// A program and its arguments, run in a folder.
pub fn program(folder: &str, argv: &[String]) -> String {
    let mut args = vec![folder];
    args.extend(argv.iter().map(String::as_str));
    command(r#"cd "$1"; shift; exec "$@""#, &args)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_reach_the_script_as_they_are() {
        for hostile in ["$(touch x)", "a'b", "`id`", "a\nb", "-rf", "\\", "'; exit 1; '"] {
            let line = command(r#"printf "%s" "$1""#, &[hostile]);
            let output = std::process::Command::new("sh").args(["-c", &line]).output().expect("sh starts");
            assert_eq!(String::from_utf8_lossy(&output.stdout), hostile, "{line}");
        }
    }

    #[test]
    fn no_end_of_a_program_looks_like_a_broken_line() {
        let code = |argv: &[&str]| {
            let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
            let line = program("/", &argv);
            std::process::Command::new("sh").args(["-c", &line]).status().expect("sh starts").code()
        };
        assert_eq!(code(&["true"]), Some(0));
        assert_eq!(code(&["sh", "-c", "exit 7"]), Some(7));
        assert_eq!(code(&["sh", "-c", "exit 255"]), Some(CODE_255));
        assert_eq!(code(&["sh", "-c", "kill -9 $$"]), Some(128 + 9), "the shell around it lives");
        assert!(HAND_ON.contains(&format!("code={CODE_255};")));
    }

    #[test]
    fn every_script_is_one() {
        let all = [BEGIN, UNPACK, PUBLISH, FLIP, MARK, UNLINK, PRUNE].map(fenced);
        for script in all.iter().map(String::as_str).chain([LOOK, TREE, ABSENT]) {
            let read = std::process::Command::new("sh").args(["-n", "-c", script]).output().expect("sh starts");
            assert!(read.status.success(), "{script}: {}", String::from_utf8_lossy(&read.stderr));
        }
    }

    fn fenced_run(script: &str, args: &[&str]) -> String {
        let line = command(&fenced(script), args);
        let output = std::process::Command::new("sh")
            .args(["-c", &line])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("sh starts");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn a_flip_is_marked_healthy_only_while_it_stands() {
        let dir = tempfile::tempdir().expect("a folder");
        let d = dir.path().to_str().expect("a plain path");
        let note = |name: &str| std::fs::read_to_string(dir.path().join(".tenfold").join(format!("{name}.json")));
        for name in ["1", "2"] {
            fenced_run(BEGIN, &[d, "3", &format!("3-{name}"), ""]);
            assert_eq!(fenced_run(PUBLISH, &[d, "3", name, &format!("3-{name}"), "made", "0"]), "done");
        }
        assert_eq!(fenced_run(FLIP, &[d, "3", "1", "", "activating", "log"]), "done");
        assert_eq!(note("1").ok().as_deref(), Some("activating\n"));
        assert_eq!(fenced_run(MARK, &[d, "3", "1", "healthy"]), "done");
        assert_eq!(note("1").ok().as_deref(), Some("healthy\n"));
        assert_eq!(fenced_run(MARK, &[d, "3", "2", "healthy"]), "moved");
        assert_eq!(note("2").ok().as_deref(), Some("made\n"));
        assert_eq!(fenced_run(MARK, &[d, "2", "1", "older"]), "refused 3");
        assert_eq!(note("1").ok().as_deref(), Some("healthy\n"));
    }

    #[test]
    fn folders_and_files_lead_out_of_the_release() {
        let dir = tempfile::tempdir().expect("a folder");
        let d = dir.path().to_str().expect("a plain path");
        let absent = |file: &str| {
            let line = command(ABSENT, &[d, "there", file]);
            let output = std::process::Command::new("sh").args(["-c", &line]).output().expect("sh starts");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        fenced_run(BEGIN, &[d, "1", "1-1", ""]);
        std::fs::write(dir.path().join("shared/there"), "kept").expect("it is written");
        assert_eq!((absent("there").as_str(), absent("config/a b").as_str()), ("", "config/a b\0"));
        // the release brings a file and a folder of its own in their place
        let part = dir.path().join(".tenfold/part-1-1");
        std::fs::create_dir_all(part.join("log")).expect("a folder");
        std::fs::write(part.join("log/.keep"), "").expect("it is written");
        std::fs::write(part.join("there"), "shipped").expect("it is written");
        let args = [d, "1", "9", "1-1", "made", "1", "log", "there", "config/deep/key"];
        assert_eq!(fenced_run(PUBLISH, &args), "done");
        let link = |path: &str| std::fs::read_link(dir.path().join("releases/9").join(path)).ok();
        for path in ["log", "there", "config/deep/key"] {
            assert_eq!(link(path), Some(dir.path().join("shared").join(path)), "{path}");
        }
        assert!(dir.path().join("shared/log").is_dir() && !dir.path().join("shared/config").exists());
        assert_eq!(std::fs::read_to_string(dir.path().join("releases/9/there")).ok().as_deref(), Some("kept"));
    }

    #[test]
    fn a_transfer_does_not_hold_the_lock() {
        let dir = tempfile::tempdir().expect("a folder");
        let d = dir.path().to_str().expect("a plain path");
        fenced_run(BEGIN, &[d, "3", "3-1", ""]);
        let line = command(&fenced(UNPACK), &[d, "4", "3-1", "60"]);
        // the archive never comes
        let mut hanging = std::process::Command::new("sh")
            .args(["-c", &line])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("sh starts");
        // it was behind the fence
        while std::fs::read_to_string(dir.path().join(".tenfold/epoch")).ok().as_deref() != Some("4\n") {
            std::thread::yield_now();
        }
        assert_eq!(fenced_run(BEGIN, &[d, "5", "5-1", ""]), "done");
        // with its input at an end it fails by itself
        drop(hanging.stdin.take());
        hanging.wait().expect("it ends");
    }
}
