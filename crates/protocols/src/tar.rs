//! Writing tar archives: the headers, nothing of files and streams. POSIX ustar with GNU's entries for long names, which GNU
//! tar and BSD tar read.

const BLOCK: usize = 512;
/// What a header's name and link fields hold.
const NAME_BYTES: usize = 100;

/// What one entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A file of so many bytes, which follow the header, filled up by [`padding`].
    File {
        executable: bool,
        size: u64,
    },
    Link {
        target: &'a str,
    },
}

/// The header of an entry. `mtime_s` is in seconds since 1970.
pub fn header(path: &str, kind: Kind<'_>, mtime_s: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(BLOCK);
    let target = match kind {
        Kind::File { .. } => "",
        Kind::Link { target } => target,
    };
    for (letter, text) in [(b'K', target), (b'L', path)] {
        if text.len() > NAME_BYTES {
            let size = text.len() as u64 + 1;
            block(&mut out, "././@LongLink", "", letter, 0o644, size, 0);
            out.extend_from_slice(text.as_bytes());
            out.push(0);
            out.resize(out.len() + padding(size), 0);
        }
    }
    match kind {
        Kind::File { executable, size } => {
            block(&mut out, path, "", b'0', if executable { 0o755 } else { 0o644 }, size, mtime_s);
        }
        Kind::Link { target } => block(&mut out, path, target, b'2', 0o777, 0, mtime_s),
    }
    out
}

/// Zero bytes that follow a file of this size.
pub fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

/// What an archive ends in.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

fn block(out: &mut Vec<u8>, path: &str, link: &str, letter: u8, mode: u32, size: u64, mtime_s: u64) {
    let start = out.len();
    let text = |out: &mut Vec<u8>, text: &str, width: usize| {
        let bytes = text.as_bytes();
        out.extend_from_slice(&bytes[..bytes.len().min(width)]);
        out.resize(out.len() + width - bytes.len().min(width), 0);
    };
    text(out, path, NAME_BYTES);
    text(out, &format!("{mode:07o}"), 8);
    text(out, "0000000", 8);
    text(out, "0000000", 8);
    text(out, &format!("{:011o}", size.min(0o777_7777_7777)), 12);
    text(out, &format!("{:011o}", mtime_s.min(0o777_7777_7777)), 12);
    // the sum is taken with spaces in its own place
    out.extend_from_slice(b"        ");
    out.push(letter);
    text(out, link, NAME_BYTES);
    out.extend_from_slice(b"ustar  \0");
    out.resize(start + BLOCK, 0);
    let sum: u32 = out[start..].iter().map(|b| u32::from(*b)).sum();
    out[start + 148..start + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// GNU tar reads what we write: short and long names, links, executable files.
    #[test]
    fn gnu_tar_agrees() {
        let long = format!("{}/file.txt", ["a".repeat(60), "b".repeat(60), "c".repeat(60)].join("/"));
        let far = format!("../{}", "d".repeat(150));
        let mut archive = Vec::new();
        for (path, executable, content) in [("a.txt", false, "hello"), (long.as_str(), true, ""), ("x/y", true, "1")] {
            let size = content.len() as u64;
            archive.extend(header(path, Kind::File { executable, size }, 1_700_000_000));
            archive.extend(content.as_bytes());
            archive.resize(archive.len() + padding(size), 0);
        }
        archive.extend(header("link", Kind::Link { target: "a.txt" }, 0));
        archive.extend(header("far", Kind::Link { target: &far }, 0));
        archive.extend(END);
        let mut tar = std::process::Command::new("tar")
            .args(["-tvf", "-"])
            .env("TZ", "UTC")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("tar starts");
        tar.stdin.take().expect("its input").write_all(&archive).expect("it reads");
        let output = tar.wait_with_output().expect("it ends");
        assert!(output.status.success());
        let listed = String::from_utf8(output.stdout).expect("text");
        let lines: Vec<String> = listed.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "-rw-r--r-- 0/0 5 2023-11-14 22:13 a.txt".to_owned(),
                format!("-rwxr-xr-x 0/0 0 2023-11-14 22:13 {long}"),
                "-rwxr-xr-x 0/0 1 2023-11-14 22:13 x/y".to_owned(),
                "lrwxrwxrwx 0/0 0 1970-01-01 00:00 link -> a.txt".to_owned(),
                format!("lrwxrwxrwx 0/0 0 1970-01-01 00:00 far -> {far}"),
            ]
        );
    }
}
