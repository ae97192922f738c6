//! A real IRC server for the demo: ngircd with a configuration of its own, on loopback, with one channel.

use std::path::{Path, PathBuf};

use super::processes::Spec;

pub const CHANNEL: &str = "#ops";

/// Debian puts it where an ordinary person's PATH does not look.
const PLACES: [&str; 3] = ["/usr/sbin/ngircd", "/usr/local/sbin/ngircd", "/usr/bin/ngircd"];

pub fn installed() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|path| path.exists())
}

pub fn configure(program: &Path, folder: &Path, port: u16) -> anyhow::Result<Spec> {
    std::fs::create_dir_all(folder)?;
    let config = folder.join("ngircd.conf");
    // Names are not looked up: the demo needs no network but loopback.
    std::fs::write(
        &config,
        format!(
            "[Global]\nName = irc.demo.example\nInfo = tenfold demo\nAdminInfo1 = the IRC server of tenfold demo\nListen = 127.0.0.1\nPorts = {port}\n\n\
             [Limits]\nMaxConnectionsIP = 0\nMaxNickLength = 20\nPingTimeout = 30\n\n\
             [Options]\nDNS = no\nIdent = no\nPAM = no\nMorePrivacy = no\n\n\
             [Channel]\nName = {CHANNEL}\nTopic = deploys, alerts and who is on call\nModes = nt\n"
        ),
    )?;
    let config = config.to_string_lossy().into_owned();
    Ok(Spec::new("irc", program, &["--nodaemon", "--config", &config]))
}
