//! A real mail server for the demo: Postfix with a configuration, spool and mailboxes of its own in a temporary folder.
//! It listens on loopback only, and mail for anywhere but the demo's people is refused, so nothing leaves the machine.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::unistd::{Gid, Group, Uid, User, chown};

use super::processes::Spec;

pub const DOMAIN: &str = "demo.example";

const MASTER: &str = "/usr/lib/postfix/sbin/master";

/// Queues that only Postfix itself may read.
const QUEUES: [&str; 11] =
    ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"];

const SERVICES: &str = "cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

/// A configured mail server; its folder is removed when this is dropped.
pub struct Mail {
    folder: tempfile::TempDir,
    pub port: u16,
}

/// Why mail is not part of this demo, when it is not.
pub fn missing() -> Option<&'static str> {
    if !Path::new(MASTER).exists() {
        Some("Postfix is not installed")
    } else if !Uid::effective().is_root() {
        Some("Postfix needs root to run")
    } else {
        None
    }
}

impl Mail {
    /// With a mailbox for each of `people`. Postfix runs as a user of its own, so its folder stands where every user can reach it.
    pub fn configure(port: u16, people: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("tenfold-demo-mail-").tempdir()?;
        let mail = Self { folder, port };
        let postfix = User::from_name("postfix")?.context("there is no user postfix; install the package postfix")?;
        let postdrop =
            Group::from_name("postdrop")?.context("there is no group postdrop; install the package postfix")?;
        set_mode(mail.path(), 0o755)?;

        let spool = mail.path().join("spool");
        make(&spool, 0o755, None, None)?;
        for queue in QUEUES {
            make(&spool.join(queue), 0o700, Some(postfix.uid), None)?;
        }
        make(&spool.join("maildrop"), 0o730, Some(postfix.uid), Some(postdrop.gid))?;
        make(&spool.join("public"), 0o710, Some(postfix.uid), Some(postdrop.gid))?;
        make(&spool.join("pid"), 0o755, None, None)?;
        make(&mail.path().join("data"), 0o700, Some(postfix.uid), None)?;
        make(&mail.mailboxes(), 0o755, Some(postfix.uid), Some(postfix.gid))?;

        let etc = mail.path().join("etc");
        make(&etc, 0o755, None, None)?;
        std::fs::write(etc.join("main.cf"), mail.main_cf(postfix.uid, postfix.gid))?;
        std::fs::write(etc.join("master.cf"), format!("127.0.0.1:{port} inet n - n - - smtpd\n{SERVICES}"))?;
        // A name that ends in a slash is a Maildir.
        let mut boxes: Vec<String> = people.iter().map(|login| format!("/^{login}@/ {login}/\n")).collect();
        boxes.push("/./ others/\n".to_string());
        std::fs::write(etc.join("mailboxes"), boxes.concat())?;
        Ok(mail)
    }

    fn main_cf(&self, uid: Uid, gid: Gid) -> String {
        let folder = self.path().display();
        format!(
            "compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.{DOMAIN}
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {folder}/mailboxes
virtual_mailbox_maps = regexp:{folder}/etc/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
default_transport = error:mail of the demo stays on this machine
relay_transport = error:mail of the demo stays on this machine
maillog_file_prefixes = {folder}
maillog_file = {folder}/mail.log
"
        )
    }

    pub fn spec(&self) -> Spec {
        let spec = Spec::new("mail", MASTER, &["-s"]).env("MAIL_CONFIG", self.path().join("etc").to_string_lossy());
        Spec { makes_session: true, ..spec }
    }

    /// One Maildir per person below this folder.
    pub fn mailboxes(&self) -> PathBuf {
        self.path().join("mailboxes")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn make(path: &Path, mode: u32, owner: Option<Uid>, group: Option<Gid>) -> anyhow::Result<()> {
    std::fs::create_dir(path).with_context(|| format!("cannot make {}", path.display()))?;
    set_mode(path, mode)?;
    chown(path, owner, group).with_context(|| format!("cannot hand {} to Postfix", path.display()))
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}
