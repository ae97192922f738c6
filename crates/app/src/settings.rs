//! What the operator sets in `tenfold.toml` (or on the command line): where to keep data, where to listen, whom to talk to.
//! Everything a team edits daily (rules, flags, schedules) is not here but in the store.

mod checks;
mod external;
mod flapping;
mod forward;
mod metrics;
mod origins;
mod samples;

use std::path::PathBuf;

use serde::Deserialize;
use tenfold_store::incidents::ENDED_KEEP_MS;
use tenfold_types::Fault;

pub use checks::Checks;
pub use flapping::AlertFlapping;
pub use forward::ForwardTo;
pub use metrics::*;
pub use samples::{PushLimits, QueryLimits, SCRAPE, Size, SourceLimits, Span};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Directory that holds everything the server keeps.
    pub data_dir: PathBuf,
    /// Address people reach the server by; links in mails and chat start with it.
    pub public_url: String,
    /// PostgreSQL connection string; empty keeps the state in SQLite inside `data_dir`.
    pub database_url: String,
    pub sealing: Sealing,
    pub demo: Demo,
    pub agents: Agents,
    pub ssh: Ssh,
    pub clusters: Vec<ClusterSettings>,
    pub metrics: Metrics,
    pub statsd: Statsd,
    pub graphite: Graphite,
    pub ganglia: Ganglia,
    pub collectd: Collectd,
    pub flags: Flags,
    pub alerts: Alerts,
    pub checks: Checks,
    pub channels: Channels,
    pub mail: Mail,
    pub irc: Option<Irc>,
    pub streams: Streams,
    pub builds: Builds,
    pub forges: Vec<ForgeSettings>,
    pub cdevents: Cdevents,
    pub sources: Sources,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            public_url: "http://127.0.0.1:7070".into(),
            database_url: String::new(),
            sealing: Sealing::default(),
            demo: Demo::default(),
            agents: Agents::default(),
            ssh: Ssh::default(),
            clusters: Vec::new(),
            metrics: Metrics::default(),
            statsd: Statsd::default(),
            graphite: Graphite::default(),
            ganglia: Ganglia::default(),
            collectd: Collectd::default(),
            flags: Flags::default(),
            alerts: Alerts::default(),
            checks: Checks::default(),
            channels: Channels::default(),
            mail: Mail::default(),
            irc: None,
            streams: Streams::default(),
            builds: Builds::default(),
            forges: Vec::new(),
            cdevents: Cdevents::default(),
            sources: Sources::default(),
        }
    }
}

impl Settings {
    /// Link to a page, `path` starting with `/`.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    /// What follows in an address that begins with the link to `path`.
    pub fn linked<'a>(&self, path: &str, address: &'a str) -> Option<&'a str> {
        address.strip_prefix(self.base())?.strip_prefix(path)
    }

    fn base(&self) -> &str {
        self.public_url.trim_end_matches('/')
    }
}

/// How secrets in the database are sealed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sealing {
    /// The keys; a file in the data directory when none is named. Servers of one database share it.
    pub key_file: Option<PathBuf>,
}

/// Where agents come in, and with what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agents {
    /// Address of the door for agents with certificates (mutual TLS); empty for none.
    pub listen: String,
    /// Names and addresses the agents call the server by, beside that of `public_url` and this machine's own.
    pub names: Vec<String>,
    /// How long an agent's certificate is good; it is renewed when two thirds are over.
    pub certificate_hours: u32,
    /// Where plain tokens are taken.
    pub tokens: AgentTokens,
}

impl Default for Agents {
    fn default() -> Self {
        Self { listen: String::new(), names: Vec::new(), certificate_hours: 24, tokens: AgentTokens::Loopback }
    }
}

/// A cluster that deploys are handed to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    /// How pipeline files call it.
    pub name: String,
    pub kind: ClusterKind,
    /// Of the Kubernetes API server or of Nomad.
    #[serde(default)]
    pub url: String,
    /// The authority of its certificate, beside the machine's own.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Read anew for every call, so that a token may be renewed.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The server runs in the cluster: address, authority and token are those of its service account.
    #[serde(default)]
    pub in_cluster: bool,
    /// Environments whose deploys may go there; all without any.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Namespaces that deploys may go to; all without any.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Services whose deploys may go there; all without any.
    #[serde(default)]
    pub services: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterKind {
    Kubernetes,
    Nomad,
}

/// Hosts without an agent, which the server reaches by ssh.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ssh {
    /// The keys of the hosts; a host that is not in it is refused. Without one, those that ssh itself knows.
    pub known_hosts_file: Option<PathBuf>,
    /// The key the server comes with; without one, those that ssh itself has.
    pub identity_file: Option<PathBuf>,
    /// A configuration file of ssh, for jump hosts and the like; none is read unless it is named.
    pub config_file: Option<PathBuf>,
    pub hosts: Vec<SshHost>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshHost {
    /// Unique among all hosts.
    pub name: String,
    /// A name or an address.
    pub address: String,
    /// 0 for ssh's own.
    #[serde(default)]
    pub port: u16,
    /// Empty for ssh's own.
    #[serde(default)]
    pub user: String,
    pub environment: String,
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
    /// The folder of a service, as Capistrano's `deploy_to`; `{service}` stands for its name.
    pub deploy_to: String,
    /// Folders of a release that are shared between releases, as Capistrano's `linked_dirs`.
    #[serde(default)]
    pub linked_dirs: Vec<String>,
    /// Files that are shared between releases, as Capistrano's `linked_files`; they must be in `shared` before a deploy.
    #[serde(default)]
    pub linked_files: Vec<String>,
    /// A program and its arguments, run in the new release after each flip; `{service}` stands for the service's name.
    #[serde(default)]
    pub restart: Vec<String>,
    /// Port at which the service answers its health check, asked from the server; none without one.
    #[serde(default)]
    pub health_port: Option<u16>,
    /// A program and its arguments, run in the current release with every look: the release is healthy when it exits with 0.
    #[serde(default)]
    pub health: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentTokens {
    /// From everywhere. Without TLS in front whoever listens on the way has the token.
    Anywhere,
    /// From this machine, which is also where a proxy in front of the server stands.
    Loopback,
    /// Certificates alone.
    Never,
}

/// What the server has of its own with services that carry pages. Tokens are in files, never here.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Channels {
    pub telegram_url: String,
    /// The bot's token.
    pub telegram_token_file: Option<PathBuf>,
    /// The homeserver.
    pub matrix_url: String,
    /// An access token of the account that writes.
    pub matrix_token_file: Option<PathBuf>,
    /// Empty turns Gotify off; each person brings the token of an application.
    pub gotify_url: String,
    pub pushover_url: String,
    /// The application's token.
    pub pushover_token_file: Option<PathBuf>,
    /// Empty turns it off; each person brings a routing key.
    pub pagerduty_url: String,
    /// Empty turns it off; each person brings the key of an API integration.
    pub opsgenie_url: String,
    /// Twilio, or another service that speaks its API.
    pub twilio_url: String,
    pub twilio_account: String,
    pub twilio_token_file: Option<PathBuf>,
    /// The number that text messages and calls come from.
    pub twilio_from: String,
    /// What is answered to that number comes to `/hooks/twilio/text`: its text messages then say how to acknowledge.
    pub twilio_answers: bool,
    /// The key that pushes to browsers are signed with; a file in the data directory when none is named. Nodes that share
    /// a database share it.
    pub push_key_file: Option<PathBuf>,
    /// Whom push services may turn to, `mailto:` or `https:`; empty for `public_url`, or else the sender of mails.
    pub push_contact: String,
    /// Takes push services on this machine and in its networks, and without TLS: for trying things out.
    pub push_loopback: bool,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            telegram_url: "https://api.telegram.org".into(),
            telegram_token_file: None,
            matrix_url: "https://matrix.org".into(),
            matrix_token_file: None,
            gotify_url: String::new(),
            pushover_url: "https://api.pushover.net".into(),
            pushover_token_file: None,
            pagerduty_url: "https://events.pagerduty.com".into(),
            opsgenie_url: "https://api.opsgenie.com".into(),
            twilio_url: "https://api.twilio.com".into(),
            twilio_account: String::new(),
            twilio_token_file: None,
            twilio_from: String::new(),
            twilio_answers: false,
            push_key_file: None,
            push_contact: String::new(),
            push_loopback: false,
        }
    }
}

/// Senders of alerts that have a secret of their own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sources {
    /// What the senders' secrets are derived from; a file in the data directory when none is named. Nodes that share a
    /// database share it.
    pub key_file: Option<PathBuf>,
    /// SMTP address for mails that are alerts; empty for none.
    pub mail_listen: String,
    /// The part of mail addresses behind the `@`; mail to others is refused. Empty takes any.
    pub mail_domain: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Demo {
    /// Signs a visitor from this machine in as this person. Only ever obeyed on a loopback address.
    pub sign_in_as: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Flags {
    /// Address for flagd providers that can send no token; empty for none. Everybody who reaches it is answered, so that
    /// only a loopback address is taken.
    pub flagd_listen: String,
    /// The environment answered there.
    pub flagd_environment: String,
}

impl Default for Flags {
    fn default() -> Self {
        Self { flagd_listen: String::new(), flagd_environment: "production".into() }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// How often rule groups without an interval of their own are evaluated.
    pub evaluation_interval_ms: u64,
    /// Whether alerting rules are evaluated also when samples come that they select.
    pub on_arrival: bool,
    /// Deploys and flips this long before an alert count as its suspects.
    pub suspect_window_ms: i64,
    /// What fires again this soon after its alerts ended an incident opens it again; at most a day, 0 for never.
    pub reopen_window_ms: i64,
    /// A test page is old after so many days; 0 asks nobody for tests.
    pub readiness_test_days: u32,
    /// Whether each team is told once a week which of its alerts were noisiest.
    pub team_digests: bool,
    /// When an alert of a rule or of a sender is said to flap.
    pub flapping: AlertFlapping,
    /// What happens to a rule file of which an alert has no runbook, no owner or no severity.
    pub lint: RuleLint,
    /// Labels of this server as a whole, `$externalLabels` in the templates of rules; alerts and samples that leave it have them.
    pub external_labels: std::collections::BTreeMap<String, String>,
    /// Other Alertmanagers to which the alerts of the server's own rules and checks are sent as well.
    pub forward: Vec<ForwardTo>,
    /// The one folder out of which webhooks of receivers and checks read the secrets that they name as files. Whoever may change
    /// where alerts go may send what is in it to any address. Without one no file is read.
    pub secrets_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleLint {
    /// It is refused.
    Fail,
    /// It is taken, and what is missing is said.
    #[default]
    Warn,
    Off,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            evaluation_interval_ms: 5_000,
            on_arrival: true,
            suspect_window_ms: 30 * 60_000,
            reopen_window_ms: 5 * 60_000,
            readiness_test_days: 7,
            team_digests: true,
            flapping: AlertFlapping::default(),
            lint: RuleLint::default(),
            external_labels: std::collections::BTreeMap::new(),
            forward: Vec::new(),
            secrets_dir: None,
        }
    }
}

impl Alerts {
    /// What the types alone do not say.
    pub fn check(&self) -> Result<(), Fault> {
        let ms = self.reopen_window_ms;
        if !(0..=ENDED_KEEP_MS).contains(&ms) {
            return Err(Fault::invalid(format!(
                "alerts.reopen_window_ms is {ms}; it may be 0, for never, to {ENDED_KEEP_MS}, a day"
            )));
        }
        self.check_external()?;
        forward::check(&self.forward)?;
        self.flapping.check()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Streams {
    /// Flag clients that may hold a stream at once; the limit on open files may allow fewer.
    pub clients_max: usize,
}

impl Default for Streams {
    fn default() -> Self {
        Self { clients_max: 50_000 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    None,
    #[default]
    Starttls,
    Tls,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// SMTP server; empty turns mail off.
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub username: String,
    /// File that holds the password, so that it never stands in the configuration.
    pub password_file: Option<PathBuf>,
    pub from: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Irc {
    pub host: String,
    #[serde(default = "irc_port")]
    pub port: u16,
    #[serde(default)]
    pub tls: bool,
    #[serde(default = "irc_nick")]
    pub nick: String,
    pub channel: String,
    #[serde(default)]
    pub sasl_username: Option<String>,
    #[serde(default)]
    pub sasl_password_file: Option<PathBuf>,
    /// Carry what people say in the web room into the channel and back.
    #[serde(default)]
    pub relay: bool,
}

fn irc_port() -> u16 {
    6697
}
fn irc_nick() -> String {
    "tenfold".into()
}

/// What builds, hooks and commands of targets run in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Builds {
    pub sandbox: Sandbox,
    /// Whether one that asks for it (or says nothing) has the network.
    pub network: bool,
    /// Folders they may read beside the system's own, such as those of toolchains.
    pub readable: Vec<PathBuf>,
    /// Names of the server's own variables that every one gets; their values are not secret.
    pub env: Vec<String>,
    pub memory_mb: u64,
    pub processes: u32,
    pub secrets: Vec<BuildSecret>,
}

impl Default for Builds {
    fn default() -> Self {
        Self {
            sandbox: Sandbox::Auto,
            network: true,
            readable: Vec::new(),
            env: Vec::new(),
            memory_mb: 4096,
            processes: 4096,
            secrets: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// As much of it as the machine permits; the log says what is missing.
    Auto,
    /// What would run without its own files, processes and Landlock fails.
    Required,
    Off,
}

/// A value that builds, hooks and commands get as a variable when their pipeline asks for it by name. It is read anew for each
/// and masked in whatever it prints.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildSecret {
    /// The variable.
    pub name: String,
    pub file: PathBuf,
    /// Services whose programs may have it.
    pub services: Vec<String>,
}

/// Who is told in CDEvents what the record holds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cdevents {
    pub sinks: Vec<SinkSettings>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkSettings {
    pub name: String,
    /// Where CloudEvents are posted to.
    pub url: String,
    /// With it, requests are signed as Standard Webhooks lay down.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// With it, requests carry `Authorization: Bearer`.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The release of CDEvents that it reads.
    #[serde(default)]
    pub spec: tenfold_protocols::cdevents::Spec,
}

/// A place where repositories live.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgeSettings {
    /// Part of the webhooks' address: `/hooks/git/NAME`.
    pub name: String,
    pub kind: tenfold_protocols::forge::Forge,
    /// The host in the addresses of its repositories.
    pub host: String,
    /// Base of its API, when it is not where the forge usually has it.
    #[serde(default)]
    pub api: String,
    /// Base of its pages, when that is not `https://` and the host: links to what a deploy changes begin with it.
    #[serde(default)]
    pub web: String,
    /// With it, webhooks are taken.
    #[serde(default)]
    pub hook_secret_file: Option<PathBuf>,
    /// With it, the forge is told how deploys go.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// What is deployed as soon as its branch is pushed.
    #[serde(default)]
    pub deploy: Vec<AutoDeploy>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoDeploy {
    pub service: String,
    pub environment: String,
}

impl ForgeSettings {
    /// Base of the API, without a slash at its end.
    pub fn api_base(&self) -> String {
        use tenfold_protocols::forge::Forge;
        let usual = match self.kind {
            Forge::Github if self.host.eq_ignore_ascii_case("github.com") => "https://api.github.com".to_owned(),
            Forge::Github => format!("https://{}/api/v3", self.host),
            Forge::Gitlab => format!("https://{}/api/v4", self.host),
            Forge::Gitea => format!("https://{}/api/v1", self.host),
        };
        let base = if self.api.is_empty() { usual } else { self.api.clone() };
        base.trim_end_matches('/').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_reopened_within_a_day_or_never() {
        let window = |reopen_window_ms| Alerts { reopen_window_ms, ..Alerts::default() }.check();
        assert!(window(0).is_ok() && window(86_400_000).is_ok() && Alerts::default().check().is_ok());
        for ms in [-1, 86_400_001] {
            let refused = window(ms).expect_err("it is out of bounds").message;
            assert!(refused.contains("alerts.reopen_window_ms") && refused.contains(&ms.to_string()), "{refused}");
        }
    }
}
