//! What the operator of a watcher writes down, and what is refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenfold_app::alerts::Channel;
use tenfold_app::settings::{Channels, Mail};
use tenfold_types::{format_duration_ms, parse_duration_ms};

use super::WatchError;
use super::state::Rules;

const SERVERS_MAX: usize = 10;
const RECEIVERS_MAX: usize = 20;
const SECRET_BYTES_MAX: u64 = 4_096;
const DAY_MS: i64 = 86_400_000;

/// The file of a watcher.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchSettings {
    /// Addresses of the server; of each node where there are several.
    pub servers: Vec<String>,
    /// What it calls itself in messages.
    #[serde(default = "watch")]
    pub name: String,
    #[serde(default = "data")]
    pub data_dir: PathBuf,
    /// Between two looks.
    #[serde(default = "half_a_minute")]
    pub every: String,
    /// For one answer.
    #[serde(default = "ten_seconds")]
    pub timeout: String,
    /// Looks in a row that fail before anybody is told.
    #[serde(default = "four")]
    pub misses: u32,
    /// Told again after this, as long as it lasts.
    #[serde(default = "half_an_hour")]
    pub repeat: String,
    /// Rules must have been evaluated, and pages worked on, within this time.
    #[serde(default = "two_minutes")]
    pub round_max: String,
    /// A file with the address of the watcher's own heartbeat at the server.
    #[serde(default)]
    pub heartbeat_file: Option<PathBuf>,
    /// Whom it tells.
    pub tell: Vec<Tell>,
    #[serde(default)]
    pub mail: Mail,
    #[serde(default)]
    pub channels: Channels,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tell {
    pub channel: Channel,
    #[serde(default)]
    pub to: String,
    /// A file with the address, where that is a secret.
    #[serde(default)]
    pub to_file: Option<PathBuf>,
}

/// A way to reach somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    pub channel: Channel,
    pub to: String,
}

/// The settings, checked and read.
pub(super) struct Plan {
    pub servers: Vec<String>,
    pub every: Duration,
    pub timeout: Duration,
    pub round_max_ms: i64,
    pub heartbeat: Option<String>,
    pub receivers: Vec<Receiver>,
    pub rules: Rules,
}

fn watch() -> String {
    "watch".to_owned()
}
fn data() -> PathBuf {
    PathBuf::from("/var/lib/tenfold-watch")
}
fn half_a_minute() -> String {
    "30s".to_owned()
}
fn ten_seconds() -> String {
    "10s".to_owned()
}
const fn four() -> u32 {
    4
}
fn half_an_hour() -> String {
    "30m".to_owned()
}
fn two_minutes() -> String {
    "2m".to_owned()
}

fn wrong(text: impl Into<String>) -> WatchError {
    WatchError::Setting(text.into())
}

fn between(key: &str, text: &str, min_ms: i64, max_ms: i64) -> Result<i64, WatchError> {
    let ms = parse_duration_ms(text).map_err(|e| wrong(format!("{key}: {e}")))?;
    if (min_ms..=max_ms).contains(&ms) {
        return Ok(ms);
    }
    let (min, max) = (format_duration_ms(min_ms), format_duration_ms(max_ms));
    Err(wrong(format!("{key}: between {min} and {max}, not `{text:.40}`")))
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// One line out of a file.
fn secret(path: &Path) -> Result<String, WatchError> {
    use std::io::Read;
    let failed = |source| super::file(path, source);
    let mut text = String::new();
    std::fs::File::open(path).map_err(failed)?.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let text = text.trim().to_owned();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(wrong(format!("{} does not hold one line", path.display())));
    }
    Ok(text)
}

fn receiver(tell: &Tell) -> Result<Receiver, WatchError> {
    let channel = tell.channel;
    let to = match (&tell.to_file, tell.to.is_empty()) {
        (Some(path), true) => secret(path)?,
        (None, false) => tell.to.clone(),
        _ => return Err(wrong(format!("tell: {} takes either `to` or `to_file`", channel.as_str()))),
    };
    let needs = match channel {
        Channel::Irc | Channel::Web => Some("another channel: this one is the server's own"),
        Channel::Mail => (!to.contains('@')).then_some("a mail address"),
        Channel::Webhook => (!is_web(&to)).then_some("an address that starts with https://"),
        other => other.wrong_target(&to),
    };
    match needs {
        Some(needed) => Err(wrong(format!("tell: {} needs {needed}", channel.as_str()))),
        None => Ok(Receiver { channel, to }),
    }
}

impl Plan {
    pub(super) fn of(settings: &WatchSettings) -> Result<Self, WatchError> {
        let servers: Vec<String> = settings.servers.iter().map(|s| s.trim_end_matches('/').to_owned()).collect();
        if servers.is_empty() || servers.len() > SERVERS_MAX {
            return Err(wrong(format!("servers: between 1 and {SERVERS_MAX} addresses")));
        }
        if let Some(other) = servers.iter().find(|s| !is_web(s)) {
            return Err(wrong(format!(
                "servers: `{other:.100}` is not an address that starts with https:// or http://"
            )));
        }
        if settings.tell.is_empty() || settings.tell.len() > RECEIVERS_MAX {
            return Err(wrong(format!(
                "tell: between 1 and {RECEIVERS_MAX} receivers, each with a channel and an address"
            )));
        }
        if !(1..=100).contains(&settings.misses) {
            return Err(wrong("misses: between 1 and 100 looks"));
        }
        if settings.name.is_empty() || settings.name.len() > 40 || settings.name.chars().any(char::is_control) {
            return Err(wrong("name: between 1 and 40 bytes"));
        }
        let every = duration(between("every", &settings.every, 1_000, 3_600_000)?);
        let timeout = duration(between("timeout", &settings.timeout, 100, 60_000)?);
        let repeat_ms = between("repeat", &settings.repeat, 60_000, 7 * DAY_MS)?;
        let round_max_ms = between("round_max", &settings.round_max, 10_000, DAY_MS)?;
        let heartbeat = settings.heartbeat_file.as_deref().map(secret).transpose()?;
        if let Some(path) = settings.heartbeat_file.as_ref().filter(|_| !heartbeat.as_deref().is_some_and(is_web)) {
            let text = format!("{} does not hold an address that starts with https:// or http://", path.display());
            return Err(wrong(text));
        }
        let receivers: Vec<Receiver> = settings.tell.iter().map(receiver).collect::<Result<_, _>>()?;
        let rules = Rules {
            misses: settings.misses,
            repeat_ms,
            every_ms: i64::try_from(every.as_millis()).unwrap_or(i64::MAX),
            name: settings.name.clone(),
            link: servers[0].clone(),
        };
        Ok(Self { servers, every, timeout, round_max_ms, heartbeat, receivers, rules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: impl FnOnce(&mut WatchSettings)) -> Result<Plan, String> {
        let mut settings: WatchSettings = serde_json::from_value(serde_json::json!({
            "servers": ["https://tenfold.example.org/"],
            "tell": [{"channel": "mail", "to": "ana@example.org"}],
        }))
        .unwrap();
        change(&mut settings);
        Plan::of(&settings).map_err(|e| e.to_string())
    }

    #[test]
    fn what_cannot_be_is_named() {
        type Change = Box<dyn FnOnce(&mut WatchSettings)>;
        let plan = settings(|_| ()).unwrap();
        assert_eq!((plan.servers[0].as_str(), plan.rules.misses), ("https://tenfold.example.org", 4));
        let cases: Vec<(&str, Change)> = vec![
            ("servers", Box::new(|s| s.servers.clear())),
            ("servers", Box::new(|s| s.servers = vec!["tenfold.example.org".into()])),
            ("tell", Box::new(|s| s.tell.clear())),
            ("tell", Box::new(|s| s.tell[0].to = "ana".into())),
            ("tell", Box::new(|s| s.tell[0].to_file = Some("/nowhere".into()))),
            ("tell", Box::new(|s| s.tell[0].channel = Channel::Web)),
            ("tell", Box::new(|s| s.tell[0].channel = Channel::Sms)),
            ("misses", Box::new(|s| s.misses = 0)),
            ("every: between 1s and 1h, not `10ms`", Box::new(|s| s.every = "10ms".into())),
            ("repeat", Box::new(|s| s.repeat = "1s".into())),
            ("round_max", Box::new(|s| s.round_max = "1s".into())),
            ("/nowhere", Box::new(|s| s.heartbeat_file = Some("/nowhere".into()))),
        ];
        for (word, change) in cases {
            let error = settings(change).err().unwrap_or_default();
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
