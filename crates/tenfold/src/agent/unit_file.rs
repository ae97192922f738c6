//! The unit with which systemd runs an agent: as a user of its own, with a control group to divide among its services, and
//! without the rights that neither needs.

use std::path::Path;

use anyhow::bail;

/// The user of an agent for which nobody named another.
pub const USER: &str = "tenfold-agent";

/// The text of the unit. `words` are the program and its arguments.
pub fn text(words: &[String], user: &str, dir: &Path) -> anyhow::Result<String> {
    let start = words.iter().map(|word| quoted(word)).collect::<anyhow::Result<Vec<_>>>()?.join(" ");
    let (user, folder) = (quoted(user)?, quoted(&dir.to_string_lossy())?);
    // systemd makes the folder, with the right owner, where it is one of its own
    let state = dir.strip_prefix("/var/lib").ok().filter(|name| name.components().count() == 1);
    let state = match state {
        Some(name) => {
            format!("StateDirectory={}\nStateDirectoryMode=0750", quoted(&name.to_string_lossy())?)
        }
        None => format!("ReadWritePaths={folder}"),
    };
    Ok(UNIT.replace("@START@", &start).replace("@USER@", &user).replace("@STATE@", &state))
}

/// A word of a unit's line: systemd takes quotes, backslashes, specifiers (`%`) and variables (`$`) apart.
fn quoted(word: &str) -> anyhow::Result<String> {
    if word.chars().any(char::is_control) {
        bail!("`{}` holds control characters, which a unit cannot", word.escape_debug());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Ok(word.to_owned());
    }
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    Ok(format!("\"{escaped}\""))
}

const UNIT: &str = "\
# From `tenfold agent --print-unit`. Its place is /etc/systemd/system/tenfold-agent.service; the user is made with
# `useradd --system --shell /usr/sbin/nologin @USER@`.
[Unit]
Description=Tenfold agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=@START@
User=@USER@
@STATE@
UMask=0027
Restart=always
RestartSec=2
# Services outlive the agent, which takes them up again when it is back.
KillMode=process
# Services become groups below the agent's own, which is how run.limits hold. Takes systemd 254.
Delegate=cpu memory pids
DelegateSubgroup=agent
TasksMax=infinity
LimitNOFILE=1048576

# What neither the agent nor its services need. A service that writes elsewhere than into its shared folder needs
# ReadWritePaths= in a drop-in, one that listens below port 1024 AmbientCapabilities=CAP_NET_BIND_SERVICE and the same in
# CapabilityBoundingSet=.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
# Not `yes`, which would hide how full a /home of its own is.
ProtectHome=read-only
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
";

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(words: &[&str], dir: &str) -> String {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        text(&words, USER, Path::new(dir)).unwrap()
    }

    #[test]
    fn the_agent_is_nobody_special_and_may_divide_its_group() {
        let unit = unit(&["/usr/bin/tenfold", "agent", "--server", "https://a.example:7071"], "/var/lib/tenfold-agent");
        for line in [
            "ExecStart=/usr/bin/tenfold agent --server https://a.example:7071",
            "User=tenfold-agent",
            "StateDirectory=tenfold-agent",
            "DelegateSubgroup=agent",
            "NoNewPrivileges=yes",
            "CapabilityBoundingSet=",
            "ProtectSystem=strict",
            "ProtectHome=read-only",
            "KillMode=process",
        ] {
            assert!(unit.lines().any(|l| l == line), "{line} is missing in\n{unit}");
        }
        // it would make the control group read-only, and a private /tmp would go with the agent under its services
        assert!(!unit.contains("ProtectControlGroups") && !unit.contains("PrivateTmp"));
        assert!(!unit.contains("@START@") && !unit.contains("@USER@") && !unit.contains("@STATE@"), "{unit}");
        // a just-in-time compiler writes what it runs
        assert!(!unit.contains("MemoryDenyWriteExecute"));
    }

    #[test]
    fn a_folder_elsewhere_is_opened_and_words_are_quoted() {
        let unit = unit(&["/opt/a b/tenfold", "agent", "--label", "note=50% of $HOME \"x\\y\""], "/srv/agent");
        let start = "ExecStart=\"/opt/a b/tenfold\" agent --label \"note=50%% of $$HOME \\\"x\\\\y\\\"\"";
        assert!(unit.lines().any(|l| l == start), "{unit}");
        assert!(unit.contains("ReadWritePaths=/srv/agent\n") && !unit.contains("StateDirectory"), "{unit}");
        assert!(text(&["a\nExecStartPre=/bin/evil".to_owned()], USER, Path::new("/x")).is_err());
    }
}
