//! Disks and what is mounted from them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use nix::errno::Errno;

use super::{Host, Page, numbers};

/// Bytes of a sector in `/proc/diskstats`, whatever the disk's own are.
const SECTOR_BYTES: f64 = 512.0;
const MS: f64 = 1_000.0;

/// A column of `/proc/diskstats`, from the fourth on: its name and what one of it is.
const DISK_COLUMNS: [(&str, f64); 17] = [
    ("node_disk_reads_completed_total", 1.0),
    ("node_disk_reads_merged_total", 1.0),
    ("node_disk_read_bytes_total", SECTOR_BYTES),
    ("node_disk_read_time_seconds_total", 1.0 / MS),
    ("node_disk_writes_completed_total", 1.0),
    ("node_disk_writes_merged_total", 1.0),
    ("node_disk_written_bytes_total", SECTOR_BYTES),
    ("node_disk_write_time_seconds_total", 1.0 / MS),
    ("node_disk_io_now", 1.0),
    ("node_disk_io_time_seconds_total", 1.0 / MS),
    ("node_disk_io_time_weighted_seconds_total", 1.0 / MS),
    ("node_disk_discards_completed_total", 1.0),
    ("node_disk_discards_merged_total", 1.0),
    ("node_disk_discarded_sectors_total", 1.0),
    ("node_disk_discard_time_seconds_total", 1.0 / MS),
    ("node_disk_flush_requests_total", 1.0),
    ("node_disk_flush_requests_time_seconds_total", 1.0 / MS),
];

pub(super) fn disks(host: &Host, page: &mut Page) -> io::Result<()> {
    for line in host.read("proc/diskstats")?.lines() {
        let mut fields = line.split_ascii_whitespace().skip(2);
        let Some(device) = fields.next().filter(|d| !is_ignored_disk(d)) else { continue };
        for ((name, unit), value) in DISK_COLUMNS.iter().zip(numbers(fields)) {
            page.put(name, &[("device", device)], value * unit);
        }
    }
    Ok(())
}

/// Memory, loops and floppies, and the partitions of disks that are told as a whole.
fn is_ignored_disk(device: &str) -> bool {
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let numbered = |prefix: &str| device.strip_prefix(prefix).is_some_and(digits);
    if ["ram", "loop", "fd"].iter().any(|prefix| numbered(prefix)) {
        return true;
    }
    let letters = |prefix: &str| {
        let rest = device.strip_prefix(prefix)?;
        let partition = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
        Some(partition.len() < rest.len() && digits(partition))
    };
    let lettered = ["hd", "sd", "vd", "xvd"].iter().any(|prefix| letters(prefix) == Some(true));
    let nvme = device.strip_prefix("nvme").and_then(|rest| rest.rsplit_once('p'));
    lettered || nvme.is_some_and(|(disk, partition)| disk.contains('n') && digits(partition))
}

/// These hold no data of their own, or would have to be asked over a network, where an answer may never come.
const IGNORED_FILE_SYSTEMS: [&str; 33] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "afs",
    "ceph",
    "fuse.sshfs",
];

const IGNORED_FOLDERS: [&str; 3] = ["/dev", "/proc", "/sys"];
/// What lies below these comes and goes with containers and services; a disk of their own is told.
const IGNORED_BELOW: [&str; 3] = ["/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"];

/// A line of a table of mounts.
struct Mount {
    device: String,
    folder: String,
    kind: String,
    read_only: bool,
}

/// What was mounted last lies on top, and comes first.
fn table(text: &str) -> impl Iterator<Item = Mount> {
    text.lines().rev().filter_map(|line| {
        let mut fields = line.split(' ').map(unescaped);
        let (device, folder, kind) = (fields.next()?, fields.next()?, fields.next()?);
        // After an error ext4 may refuse writes and yet be `rw`.
        let read_only = fields.next()?.split(',').any(|option| matches!(option, "ro" | "emergency_ro"));
        Some(Mount { device, folder, kind, read_only })
    })
}

/// Those that are told.
fn mounts(text: &str) -> Vec<Mount> {
    let mut seen = BTreeSet::new();
    let below = |folder: &str, top: &str| folder.strip_prefix(top).is_some_and(|r| r.is_empty() || r.starts_with('/'));
    let is_told = |m: &Mount| {
        let ignored = IGNORED_FILE_SYSTEMS.contains(&m.kind.as_str())
            || IGNORED_FOLDERS.iter().any(|top| below(&m.folder, top))
            || IGNORED_BELOW.iter().any(|top| m.folder.starts_with(top));
        !ignored && seen.insert(m.folder.clone())
    };
    table(text).filter(is_told).collect()
}

/// What is mounted in each folder, as we see it.
fn seen(text: &str) -> BTreeMap<String, (String, String)> {
    let mut out = BTreeMap::new();
    for mount in table(text) {
        out.entry(mount.folder).or_insert((mount.device, mount.kind));
    }
    out
}

/// Spaces and the like stand as `\040`.
fn unescaped(field: &str) -> String {
    let mut out = Vec::new();
    let bytes = field.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 4).filter(|_| *byte == b'\\').and_then(|code| str::from_utf8(code).ok());
        if let Some(code) = code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            out.push(code);
            at += 4;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// As the host has them, which its first process sees: the unit of an agent shows it all of them read-only, and others in
/// front of some. What is hidden from us cannot be asked, and is told so instead of what lies in front of it.
pub(super) fn filesystems(host: &Host, page: &mut Page) -> io::Result<()> {
    let ours = host.read("proc/self/mounts")?;
    let seen = seen(&ours);
    // Where processes of others are hidden there is no such file.
    for mount in mounts(host.read("proc/1/mounts").as_ref().unwrap_or(&ours)) {
        let labels =
            [("device", mount.device.as_str()), ("mountpoint", mount.folder.as_str()), ("fstype", mount.kind.as_str())];
        let is_seen =
            seen.get(&mount.folder).is_some_and(|(device, kind)| (device, kind) == (&mount.device, &mount.kind));
        let ask = || nix::sys::statvfs::statvfs(host.path(mount.folder.trim_start_matches('/')).as_path());
        let found = if is_seen { ask() } else { Err(Errno::EACCES) };
        page.put("node_filesystem_device_error", &labels, f64::from(u8::from(found.is_err())));
        page.put("node_filesystem_readonly", &labels, f64::from(u8::from(mount.read_only)));
        let Ok(found) = found else { continue };
        let block = found.fragment_size() as f64;
        page.put("node_filesystem_size_bytes", &labels, found.blocks() as f64 * block);
        page.put("node_filesystem_free_bytes", &labels, found.blocks_free() as f64 * block);
        page.put("node_filesystem_avail_bytes", &labels, found.blocks_available() as f64 * block);
        page.put("node_filesystem_files", &labels, found.files() as f64);
        page.put("node_filesystem_files_free", &labels, found.files_free() as f64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_disks_are_told() {
        for kept in ["sda", "vda", "nvme0n1", "dm-0", "md0", "sr0", "xvdb"] {
            assert!(!is_ignored_disk(kept), "{kept}");
        }
        for ignored in ["sda1", "vdb12", "nvme0n1p2", "loop0", "ram3", "fd0", "xvda1", "hda2"] {
            assert!(is_ignored_disk(ignored), "{ignored}");
        }
    }

    #[test]
    fn mounts_are_read_once_and_the_last_one_counts() {
        let text = "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw,relatime 0 0\n/dev/sdb /srv/a\\040b\\134c xfs ro 0 0\n\
                    tmpfs /dev/shm tmpfs rw 0 0\nserver:/x /mnt nfs4 rw 0 0\n/dev/sdc / btrfs rw 0 0\nbroken\n\
                    tmpfs /devices tmpfs rw 0 0\n/dev/sdd /var/lib/docker ext4 rw 0 0\n\
                    /dev/sdd /var/lib/docker/volumes/x ext4 rw 0 0\n/dev/sdd /run/credentials/a ext4 rw 0 0\n";
        let mounts = mounts(text);
        let told: Vec<_> = mounts.iter().map(|m| (m.device.as_str(), m.folder.as_str(), m.read_only)).collect();
        let wanted = [
            ("/dev/sdd", "/var/lib/docker", false),
            ("tmpfs", "/devices", false),
            ("/dev/sdc", "/", false),
            ("/dev/sdb", "/srv/a b\\c", true),
        ];
        assert_eq!(told, wanted);
        let read_only = |options: &str| super::mounts(&format!("/dev/sda1 / ext4 {options} 0 0\n"))[0].read_only;
        assert_eq!(
            ["rw,relatime", "ro,relatime", "rw,relatime,emergency_ro", "rw,errors=remount-ro"].map(read_only),
            [false, true, true, false]
        );
    }

    #[test]
    fn file_systems_are_those_of_the_host_and_not_of_the_agents_unit() {
        let root = tempfile::tempdir().expect("a folder");
        for folder in ["proc/self", "proc/1", "home", "srv"] {
            std::fs::create_dir_all(root.path().join(folder)).expect("it is made");
        }
        let write = |below: &str, text: &str| std::fs::write(root.path().join(below), text).expect("it is written");
        let ours = "/dev/sda1 / ext4 ro 0 0\n/dev/sdb /srv xfs ro 0 0\n/dev/sdc /home ext4 rw 0 0\n\
                    tmpfs /home tmpfs ro 0 0\n/dev/sda1 /var/lib/tenfold-agent ext4 rw 0 0\n";
        write("proc/self/mounts", ours);
        let look = || {
            let mut page = Page::default();
            filesystems(&Host::at(root.path()), &mut page).expect("it is read");
            page
        };
        let of = |page: &Page, name: &str, device: &str, folder: &str, kind: &str| {
            let labels = [("device", device), ("mountpoint", folder), ("fstype", kind)];
            page.get(&format!("node_filesystem_{name}"), &labels)
        };
        let page = look();
        assert_eq!(of(&page, "readonly", "/dev/sda1", "/", "ext4"), Some(1.0), "there is nothing better to know");
        assert!(of(&page, "size_bytes", "tmpfs", "/home", "tmpfs").is_some());

        write("proc/1/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/sdb /srv xfs ro 0 0\n/dev/sdc /home ext4 rw 0 0\n");
        let page = look();
        for (device, folder, kind, read_only) in
            [("/dev/sda1", "/", "ext4", 0.0), ("/dev/sdb", "/srv", "xfs", 1.0), ("/dev/sdc", "/home", "ext4", 0.0)]
        {
            let of = |name: &str| of(&page, name, device, folder, kind);
            let is_hidden = folder == "/home";
            assert_eq!(of("readonly"), Some(read_only), "{folder}");
            assert_eq!(of("device_error"), Some(f64::from(u8::from(is_hidden))), "{folder}");
            assert_eq!(of("size_bytes").is_none(), is_hidden, "{folder}");
        }
        assert_eq!(of(&page, "device_error", "tmpfs", "/home", "tmpfs"), None);
        assert_eq!(of(&page, "size_bytes", "/dev/sda1", "/var/lib/tenfold-agent", "ext4"), None);
    }
}
