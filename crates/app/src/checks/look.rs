//! What a check looks at: how each kind of look is written down, and what is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::secrets::HeaderSecret;

const ARGUMENTS_MAX: usize = 64;
/// Of any text that belongs to a check.
pub(super) const TEXT_BYTES_MAX: usize = 4_096;
/// Headers of a request.
const HEADERS_MAX: usize = 20;
/// Headers that hold secrets.
const SECRET_HEADERS: [&str; 3] = ["Authorization", "Cookie", "Proxy-Authorization"];
/// Requests that a look may make.
const METHODS: [&str; 5] = ["GET", "HEAD", "OPTIONS", "POST", "PUT"];

/// What a look is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Run {
    /// A program in one of the plugin folders, and its arguments. No shell sees them.
    Plugin(Vec<String>),
    Tcp(Tcp),
    Http(Http),
    Tls(Tls),
    Disk(Disk),
    Process(Process),
    Dns(Dns),
    Nrpe(Nrpe),
    /// Results are sent from outside.
    Passive(Passive),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Passive {}

/// Connects; may send a text and wait for one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// `host:port`.
    pub address: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub send: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expect: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning_seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical_seconds: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub url: String,
    /// `GET`, `HEAD`, `OPTIONS`, `POST` or `PUT`.
    #[serde(default = "get", skip_serializing_if = "is_get")]
    pub method: String,
    /// Headers of the request, such as `Host`. Who may see the check sees them; those that are there for a secret are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Headers that hold secrets, such as `Authorization`: a text, or `{file: NAME}` for a file in the folder of secrets. A text
    /// is shown as `<secret>`, which stands for it when it comes back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub secret_headers: BTreeMap<String, HeaderSecret>,
    /// What a `POST` or `PUT` brings.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Goes where the answer points to, five times at most. With `false` the first answer counts.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub follow: bool,
    /// Statuses that are good; 200 to 399 when none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// A text the answer must hold.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub contains: String,
    /// A text the answer must not hold.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub absent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning_seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical_seconds: Option<f64>,
    /// A file with authorities that are trusted beside those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// When the certificate ends that a server shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// `host:port`.
    pub address: String,
    /// The name asked for, when it is not that of the address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    /// A file with authorities that are trusted beside those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    #[serde(default = "month")]
    pub warning_days: f64,
    #[serde(default = "week")]
    pub critical_days: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    pub path: String,
    #[serde(default = "eighty")]
    pub warning_percent: f64,
    #[serde(default = "ninety")]
    pub critical_percent: f64,
    /// The same of its inodes, of which small files use up more than bytes; not looked at when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes_warning_percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes_critical_percent: Option<f64>,
}

/// How many processes have a name (`/proc/PID/comm`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    pub name: String,
    /// A text that its command line must hold: so one `java` is told from another.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arguments: String,
    #[serde(default = "one")]
    pub min: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    pub name: String,
    /// The kind of records. When neither this nor `server` is said, addresses by the machine's own resolver, with its `hosts` file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<DnsRecord>,
    /// The server that is asked, `host` or `host:port`; the first of the machine's when absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// Addresses, or records as `dig +short` writes them, of which each must be in the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DnsRecord {
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Srv,
    Txt,
}

impl DnsRecord {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

/// Asks an NRPE daemon to run a command of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nrpe {
    /// `host` or `host:port`.
    pub address: String,
    pub command: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// A file with the authority that signed the daemon's certificate. Without it the connection is plain (`nrpe -n`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Our certificate and its key, files in the folder of secrets, for daemons that ask who we are (`ssl_client_certs`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// The name in the daemon's certificate, when it is not that of the address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    /// For daemons before NRPE 3.
    #[serde(default)]
    pub version_2: bool,
}

fn get() -> String {
    "GET".to_owned()
}
fn is_get(method: &str) -> bool {
    method == "GET"
}
const fn yes() -> bool {
    true
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_yes(value: &bool) -> bool {
    *value
}
const fn one() -> u32 {
    1
}
const fn month() -> f64 {
    30.0
}
const fn week() -> f64 {
    7.0
}
const fn eighty() -> f64 {
    80.0
}
const fn ninety() -> f64 {
    90.0
}

impl Http {
    fn wrong(&self) -> Option<String> {
        let known = self.url.starts_with("http://") || self.url.starts_with("https://");
        if !known || self.url.len() > TEXT_BYTES_MAX || self.url.contains('\0') {
            return Some(format!("`{:.100}` is not an http address", self.url));
        }
        if !METHODS.contains(&self.method.as_str()) {
            return Some(format!("`method` is one of {}, not `{:.20}`", METHODS.join(", "), self.method));
        }
        let brings = matches!(self.method.as_str(), "POST" | "PUT");
        if !self.body.is_empty() && (!brings || self.body.len() > TEXT_BYTES_MAX) {
            return Some(format!("`body` goes with POST and PUT, and has at most {TEXT_BYTES_MAX} bytes"));
        }
        if self.method == "HEAD" && !(self.contains.is_empty() && self.absent.is_empty()) {
            return Some("the answer to HEAD has no page, so `contains` and `absent` find nothing".to_owned());
        }
        let token =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        let plain = |value: &str| value.len() <= TEXT_BYTES_MAX && value.bytes().all(|b| (32..127).contains(&b));
        let secret_is_plain = |secret: &HeaderSecret| match secret {
            HeaderSecret::Text(text) => !text.is_empty() && plain(text),
            HeaderSecret::File(file) => {
                !file.file.is_empty() && plain(&file.file) && file.file.split('/').all(|part| part != "..")
            }
        };
        for (key, count, fit) in [
            ("headers", self.headers.len(), self.headers.iter().all(|(name, value)| token(name) && plain(value))),
            (
                "secret_headers",
                self.secret_headers.len(),
                self.secret_headers.iter().all(|(name, secret)| token(name) && secret_is_plain(secret)),
            ),
        ] {
            if count > HEADERS_MAX || !fit {
                return Some(format!(
                    "`{key}` are at most {HEADERS_MAX}, with names of letters, digits and `-`, and values of printable ASCII"
                ));
            }
        }
        let same = |name: &&String| self.secret_headers.keys().any(|secret| secret.eq_ignore_ascii_case(name));
        if let Some(name) = self.headers.keys().find(same) {
            return Some(format!("`{name}` is in `headers` and in `secret_headers`"));
        }
        let secret = self.headers.keys().find(|name| SECRET_HEADERS.iter().any(|s| name.eq_ignore_ascii_case(s)));
        secret.map(|name| format!("whoever sees the check sees its `headers`; `{name}` belongs in `secret_headers`"))
    }
}

impl Run {
    /// One word for what is done.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Plugin(_) => "plugin",
            Self::Tcp(_) => "tcp",
            Self::Http(_) => "http",
            Self::Tls(_) => "tls",
            Self::Disk(_) => "disk",
            Self::Process(_) => "process",
            Self::Dns(_) => "dns",
            Self::Nrpe(_) => "nrpe",
            Self::Passive(_) => "passive",
        }
    }

    /// What may not be so.
    pub(super) fn wrong(&self) -> Option<String> {
        let long = |text: &str| text.is_empty() || text.len() > TEXT_BYTES_MAX || text.contains('\0');
        let port = |address: &str| {
            let port = address.rsplit_once(':').and_then(|(_, p)| p.parse::<u16>().ok());
            (long(address) || port.is_none()).then(|| format!("`{address:.100}` is not an address like host:port"))
        };
        match self {
            Self::Plugin(argv) => match argv.split_first() {
                None => Some("`plugin` names a program and its arguments".to_owned()),
                Some((program, arguments)) => {
                    let parts = program.split('/').any(|p| p == "..");
                    if long(program) || parts || (program.contains('/') && !program.starts_with('/')) {
                        return Some(format!("`{program:.100}` is neither a file name nor a whole path"));
                    }
                    let bytes: usize = arguments.iter().map(String::len).sum();
                    (arguments.len() > ARGUMENTS_MAX
                        || bytes > 2 * TEXT_BYTES_MAX
                        || arguments.iter().any(|a| a.contains('\0')))
                    .then(|| {
                        format!("a plugin takes at most {ARGUMENTS_MAX} arguments of {} bytes", 2 * TEXT_BYTES_MAX)
                    })
                }
            },
            Self::Tcp(tcp) => port(&tcp.address),
            Self::Tls(tls) => port(&tls.address),
            Self::Http(http) => http.wrong(),
            Self::Disk(disk) => (!disk.path.starts_with('/')).then(|| "`path` is a whole path".to_owned()),
            Self::Process(process) if process.arguments.len() > TEXT_BYTES_MAX => {
                Some(format!("`arguments` of a process have at most {TEXT_BYTES_MAX} bytes"))
            }
            Self::Process(process) => long(&process.name).then(|| "`name` of a process is missing".to_owned()),
            Self::Dns(dns)
                if !dns.server.is_empty() && (long(&dns.server) || dns.server.contains(char::is_whitespace)) =>
            {
                Some(format!("`server` is an address like host or host:port, not `{:.100}`", dns.server))
            }
            Self::Dns(dns) => long(&dns.name).then(|| "`name` to look up is missing".to_owned()),
            Self::Nrpe(nrpe) => {
                let own = [&nrpe.cert_file, &nrpe.key_file];
                if own.iter().any(|file| file.is_some())
                    && (own.iter().any(|file| file.is_none()) || nrpe.ca_file.is_none())
                {
                    return Some("`cert_file` and `key_file` of `nrpe` go together, and with `ca_file`".to_owned());
                }
                if own.into_iter().flatten().any(|file| long(file) || file.split('/').any(|part| part == "..")) {
                    return Some("`cert_file` and `key_file` are names of files in the folder of secrets".to_owned());
                }
                let command = long(&nrpe.command) || nrpe.command.contains('!') || nrpe.arguments.len() > ARGUMENTS_MAX;
                (long(&nrpe.address) || command).then(|| "`nrpe` takes an address and a command without `!`".to_owned())
            }
            Self::Passive(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn http(more: serde_json::Value) -> Http {
        let mut http = json!({"url": "http://photos.example/"});
        http.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        serde_json::from_value(http).expect("a look")
    }

    #[test]
    fn a_certificate_for_nrpe_has_a_key_and_somebody_to_trust() {
        for (more, fits) in [
            (json!({"ca_file": "/ca.pem"}), true),
            (json!({"ca_file": "/ca.pem", "cert_file": "nrpe/c.pem", "key_file": "nrpe/k.pem"}), true),
            (json!({"ca_file": "/ca.pem", "cert_file": "c.pem"}), false),
            (json!({"cert_file": "c.pem", "key_file": "k.pem"}), false),
            (json!({"ca_file": "/ca.pem", "cert_file": "../c.pem", "key_file": "k.pem"}), false),
        ] {
            let mut nrpe = json!({"address": "db1", "command": "check_load"});
            nrpe.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            let run: Run = serde_json::from_value(json!({"nrpe": nrpe})).expect("a look");
            assert_eq!(run.wrong().is_none(), fits, "{more}");
        }
    }

    #[test]
    fn a_request_is_said_in_full_and_what_no_server_would_understand_is_refused() {
        let plain = http(json!({}));
        assert_eq!((plain.method.as_str(), plain.follow, plain.wrong()), ("GET", true, None));
        let written = serde_json::to_value(&plain).expect("it is written");
        assert_eq!(written, json!({"url": "http://photos.example/"}), "nothing more than was said");
        let all =
            json!({"method": "POST", "body": "{}", "headers": {"Host": "photos", "X-Probe": "a b"}, "follow": false});
        assert_eq!(http(all).wrong(), None);
        let secrets = json!({"secret_headers": {"Authorization": "Bearer x", "Cookie": {"file": "team/cookie"}}});
        assert_eq!(http(secrets).wrong(), None);
        let many: BTreeMap<String, String> = (0..21).map(|n| (format!("x-{n}"), String::new())).collect();
        for (wrong, word) in [
            (json!({"method": "DELETE"}), "`method`"),
            (json!({"body": "x"}), "`body`"),
            (json!({"method": "HEAD", "contains": "x"}), "HEAD"),
            (json!({"headers": {"a b": "c"}}), "`headers`"),
            (json!({"headers": {"a": "b\r\nc: d"}}), "`headers`"),
            (json!({"headers": many}), "`headers`"),
            (json!({"headers": {"authorization": "Bearer x"}}), "`authorization` belongs in `secret_headers`"),
            (json!({"secret_headers": {"authorization": "b\r\nc: d"}}), "`secret_headers`"),
            (json!({"secret_headers": {"authorization": ""}}), "`secret_headers`"),
            (json!({"secret_headers": {"authorization": {"file": "../token"}}}), "`secret_headers`"),
            (json!({"headers": {"x-key": "a"}, "secret_headers": {"X-Key": "b"}}), "`x-key`"),
        ] {
            let said = http(wrong.clone()).wrong().unwrap_or_default();
            assert!(said.contains(word), "{wrong}: {said}");
        }
    }
}
