//! From the settings to running transports.

use tenfold_app::App;
use tenfold_app::settings::Irc;
use tenfold_types::Fault;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::irc::{Address, ChannelConfig, Config, IrcOptions, Limits, Sasl};

/// Starts every network of the settings; the tasks end when `stop` is cancelled.
pub fn start(app: &App, stop: &CancellationToken) -> Result<Vec<JoinHandle<()>>, Fault> {
    let Some(irc) = &app.settings.irc else { return Ok(Vec::new()) };
    let options = options(irc, seed(app))?;
    let (transport, run) = crate::irc::start(app.clone(), options, stop.clone());
    app.chat_connect(transport);
    Ok(vec![tokio::spawn(run)])
}

fn seed(app: &App) -> u64 {
    let mut bytes = [0; 8];
    app.entropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What the settings mean for the connection, or one sentence about what is wrong with them.
fn options(irc: &Irc, seed: u64) -> Result<IrcOptions, Fault> {
    let mut words = irc.channel.split_whitespace();
    let (Some(name), key, None) = (words.next(), words.next(), words.next()) else {
        return Err(Fault::invalid("irc.channel is not a channel").advice("write it like \"#ops\" or \"#ops KEY\""));
    };
    if !name.starts_with(['#', '&']) || name.contains(',') {
        return Err(Fault::invalid(format!("irc.channel `{name}` is not a channel")).advice("start it with #"));
    }
    let nick_ok = irc.nick.len() <= 30
        && irc.nick.chars().all(|c| c.is_ascii_alphanumeric() || "-_[]\\`^{}|".contains(c))
        && !irc.nick.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if !nick_ok || irc.nick.is_empty() {
        return Err(Fault::invalid(format!("irc.nick `{}` is not a nick", irc.nick)).advice("use letters and digits"));
    }
    let sasl = match (&irc.sasl_username, &irc.sasl_password_file) {
        (None, None) => None,
        (Some(account), Some(file)) => {
            if !irc.tls && !is_loopback(&irc.host) {
                return Err(Fault::invalid("SASL without TLS would send the password in the clear")
                    .advice("set irc.tls = true"));
            }
            let password = std::fs::read_to_string(file)
                .map_err(|e| Fault::invalid(format!("irc.sasl_password_file cannot be read: {e}")))?;
            Some(Sasl { account: account.clone(), password: password.trim_end_matches(['\r', '\n']).to_owned() })
        }
        _ => {
            return Err(Fault::invalid("SASL needs both irc.sasl_username and irc.sasl_password_file"));
        }
    };
    Ok(IrcOptions {
        room: "irc".into(),
        address: Address { host: irc.host.clone(), port: irc.port, tls: irc.tls },
        session: Config {
            nick: irc.nick.clone(),
            user: "tenfold".into(),
            realname: "Tenfold".into(),
            sasl,
            channels: vec![ChannelConfig { name: name.to_owned(), key: key.map(str::to_owned) }],
            limits: Limits::default(),
            seed,
        },
        relay: irc.relay,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn irc() -> Irc {
        Irc {
            host: "irc.example.org".into(),
            port: 6697,
            tls: true,
            nick: "tenfold".into(),
            channel: "#ops".into(),
            sasl_username: None,
            sasl_password_file: None,
            relay: false,
        }
    }

    #[test]
    fn wrong_settings_get_a_sentence() {
        assert!(options(&irc(), 1).is_ok());
        let check = |change: fn(&mut Irc), words: &str| {
            let mut settings = irc();
            change(&mut settings);
            let fault = options(&settings, 1).unwrap_err();
            assert!(format!("{fault} {}", fault.advice).contains(words), "{fault}");
        };
        check(|s| s.channel = "ops".into(), "start it with #");
        check(|s| s.channel = "#a,#b".into(), "not a channel");
        check(|s| s.channel = String::new(), "not a channel");
        check(|s| s.nick = "a b".into(), "not a nick");
        check(|s| s.sasl_username = Some("bot".into()), "needs both");
        check(
            |s| {
                s.tls = false;
                s.sasl_username = Some("bot".into());
                s.sasl_password_file = Some("/nowhere".into());
            },
            "in the clear",
        );
    }

    #[test]
    fn a_key_stands_after_the_channel() {
        let mut settings = irc();
        settings.channel = "#ops secret".into();
        let channel = &options(&settings, 1).unwrap().session.channels[0];
        assert_eq!((channel.name.as_str(), channel.key.as_deref()), ("#ops", Some("secret")));
    }
}
