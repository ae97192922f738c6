//! A real IRC server in a directory of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ngircd,
    Inspircd,
}

pub struct Server {
    pub kind: Kind,
    pub port: u16,
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn program(kind: Kind) -> Option<PathBuf> {
    let name = match kind {
        Kind::Ngircd => "ngircd",
        Kind::Inspircd => "inspircd",
    };
    ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"]
        .iter()
        .map(|dir| PathBuf::from(dir).join(name))
        .find(|path| path.exists())
}

impl Server {
    /// `None`, with a line that says so, when the server is not installed.
    pub async fn start(kind: Kind) -> Option<Self> {
        if program(kind).is_none() {
            tenfold_testkit::peer_is_missing(format_args!("{kind:?} is not installed"));
            return None;
        }
        // The port is free when the server asks for it a moment later; nothing else here takes fixed ports.
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let dir = tempfile::tempdir().unwrap();
        let mut server = Self { kind, port, dir, child: None };
        server.restart().await;
        Some(server)
    }

    pub async fn restart(&mut self) {
        let config = self.dir.path().join("ircd.conf");
        let text = match self.kind {
            Kind::Ngircd => ngircd(self.port),
            Kind::Inspircd => inspircd(self.port, self.dir.path()),
        };
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program(self.kind).unwrap());
        match self.kind {
            Kind::Ngircd => command.arg("--nodaemon").arg("--config").arg(&config),
            Kind::Inspircd => {
                if nix_is_root() {
                    command.arg("--runasroot");
                }
                command.arg("--nofork").arg("--nopid").arg("--config").arg(&config)
            }
        };
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir(self.dir.path());
        self.child = Some(command.spawn().unwrap());
        let up = async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), up).await.is_err() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            panic!("{:?} does not listen on {}: {log}", self.kind, self.port);
        }
    }

    /// Kills it, as a power cut would.
    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
        }
    }
}

fn nix_is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

fn ngircd(port: u16) -> String {
    // Run by root it gives its rights up to this user; otherwise the lines do nothing.
    let user = if nix_is_root() { "ServerUID = root\nServerGID = root\n" } else { "" };
    format!(
        "[Global]\nName = irc.test.local\nInfo = test\nAdminInfo1 = a\nAdminInfo2 = b\nAdminEMail = a@test.local\n\
         Listen = 127.0.0.1\nPorts = {port}\nMotdPhrase = hello\n{user}\
         [Limits]\nMaxConnectionsIP = 0\nMaxNickLength = 30\nMaxPenaltyTime = 0\n\
         [Options]\nDNS = no\nIdent = no\nPAM = no\n"
    )
}

fn inspircd(port: u16, dir: &std::path::Path) -> String {
    let modules =
        ["cap", "ircv3", "ircv3_accounttag", "ircv3_batch", "ircv3_capnotify", "ircv3_chghost", "ircv3_ctctags"]
            .into_iter()
            .chain([
                "ircv3_echomessage",
                "ircv3_labeledresponse",
                "ircv3_msgid",
                "ircv3_servertime",
                "services_account",
            ])
            .fold(String::new(), |all, m| all + "<module name=\"" + m + "\">\n");
    format!(
        "<server name=\"irc.test.local\" description=\"test\" network=\"test\">\n\
         <admin name=\"a\" nick=\"a\" email=\"a@test.local\">\n\
         <bind address=\"127.0.0.1\" port=\"{port}\" type=\"clients\">\n\
         <connect allow=\"*\" timeout=\"60\" threshold=\"100\" commandrate=\"100000\" recvq=\"65536\" hardsendq=\"1048576\" \
          localmax=\"50\" globalmax=\"50\" resolvehostnames=\"no\" useident=\"no\">\n\
         <log method=\"file\" type=\"*\" level=\"default\" target=\"{}/ircd.log\">\n\
         <files motd=\"\">\n<pid file=\"{}/pid\">\n{modules}",
        dir.display(),
        dir.display()
    )
}
