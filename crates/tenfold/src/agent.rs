//! `tenfold agent`: runs on a host, keeps a connection to the server and the releases it is ordered to run.

mod unit_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use tenfold_runner::agent::{self, AgentConfig};
use tenfold_runner::host::Host;
use tokio_util::sync::CancellationToken;

use crate::ambient::SystemClock;

/// Examples:
///   tenfold agent --server https://tenfold.example:7071 --enrolment-file /etc/tenfold/enrolment --label role=web
///   TENFOLD_TOKEN=... tenfold agent --server http://127.0.0.1:7070 --name host-1 --dir ./host-1
///
/// The services it runs go on when it ends, and it takes them up again when it starts.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Address of the server. Where several servers share a database, all of them with commas or one by one: the agent is at
    /// one of them and goes to the next when that one is away.
    #[arg(long, value_name = "URL", env = "TENFOLD_SERVER", required = true, value_delimiter = ',')]
    server: Vec<String>,
    /// File that holds an enrolment token (`tenfold host enrol NAME`): it gets this host its first certificate and is not
    /// needed afterwards. TENFOLD_ENROLMENT is read when it is not given.
    #[arg(long, value_name = "FILE")]
    enrolment_file: Option<PathBuf>,
    /// File that holds a plain token, for a server that takes it from here; without it TENFOLD_TOKEN is read.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Name of this host, unique among the agents [default: the machine's name].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Environment this host belongs to.
    #[arg(long, value_name = "NAME", default_value = "production")]
    environment: String,
    /// Folder for releases, logs and state; made when missing.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tenfold-agent")]
    dir: PathBuf,
    /// Label for choosing hosts, such as role=web; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Address at which load balancers reach the services of this host.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    address: String,
    /// Do not tell how the host itself is doing (processors, memory, disks, network).
    #[arg(long)]
    no_host_metrics: bool,
    /// Become this user before anything else, when started as root; with --print-unit the user of the unit.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Print a systemd unit that runs the agent with these arguments, as a user of its own and without further rights.
    #[arg(long)]
    print_unit: bool,
}

fn label(text: &str) -> Result<(String, String), String> {
    let word =
        |w: &str| !w.is_empty() && w.len() <= 253 && w.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    match text.split_once('=') {
        Some((key, value)) if word(key) && word(value) => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE, with letters, digits, `.`, `_` and `-`".to_owned()),
    }
}

/// What the unit starts: this program with the arguments it has now, but for those that concern the unit itself.
fn print_unit(args: &Args) -> anyhow::Result<()> {
    if !args.dir.is_absolute() {
        bail!("a unit needs the whole path of the folder: --dir {} is relative", args.dir.display());
    }
    let program = std::env::current_exe().context("this program does not know its own path")?;
    let mut words = vec![program.to_string_lossy().into_owned()];
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        match word.as_str() {
            "--print-unit" => {}
            "--user" => drop(given.next()),
            _ if word.starts_with("--user=") => {}
            _ => words.push(word),
        }
    }
    // systemd starts it without the variables of this shell
    if !words.iter().any(|word| word == "--server" || word.starts_with("--server="))
        && let Ok(server) = std::env::var("TENFOLD_SERVER")
    {
        words.extend(["--server".to_owned(), server]);
    }
    print!("{}", unit_file::text(&words, args.user.as_deref().unwrap_or(unit_file::USER), &args.dir)?);
    Ok(())
}

/// Secrets are read before, for which root may be needed; nothing else is done as root when a user is named.
fn give_up_root(user: Option<&str>, dir: &Path) -> anyhow::Result<()> {
    match user {
        Some(user) => {
            agent::become_user(user, dir).map_err(anyhow::Error::msg)?;
            tracing::info!(user, "the agent and its services run as this user");
        }
        None if agent::is_root() => tracing::warn!(
            "the agent is root, and so is every service it runs; give it --user NAME, or the unit of `tenfold agent --print-unit`"
        ),
        None => {}
    }
    Ok(())
}

pub fn run(args: Args) -> ExitCode {
    if args.print_unit {
        return match print_unit(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("tenfold agent: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    crate::serve::init_logging();
    let user = args.user.clone();
    let done = config(args).and_then(|config| {
        give_up_root(user.as_deref(), &config.dir)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let stop = CancellationToken::new();
            let signal = stop.clone();
            tokio::spawn(async move {
                crate::serve::stop_signal().await;
                signal.cancel();
            });
            agent::run(config, stop).await.map_err(anyhow::Error::from)
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenfold agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn config(args: Args) -> anyhow::Result<AgentConfig> {
    let secret = |file: &Option<PathBuf>, variable: &str| match file {
        Some(path) => std::fs::read_to_string(path)
            .map(|text| Some(text.trim().to_owned()))
            .with_context(|| format!("{} cannot be read", path.display())),
        None => Ok(std::env::var(variable).ok().map(|text| text.trim().to_owned())),
    };
    // a file that is gone after its token was used is as it should be
    let enrolled = args.dir.join("identity.pem").exists();
    let enrolment = match secret(&args.enrolment_file, "TENFOLD_ENROLMENT") {
        Err(_) if enrolled => None,
        read => read?,
    };
    let token = secret(&args.token_file, "TENFOLD_TOKEN")?.unwrap_or_default();
    if !enrolled && enrolment.as_deref().unwrap_or_default().is_empty() && token.is_empty() {
        bail!(
            "this host has neither a certificate nor a token; make an enrolment with `tenfold host enrol NAME` and give \
             it with --enrolment-file"
        );
    }
    let name = match args.name {
        Some(name) => name,
        None => machine_name()?,
    };
    Ok(AgentConfig {
        servers: servers(args.server)?,
        token,
        enrolment: enrolment.filter(|token| !token.is_empty()),
        name,
        environment: args.environment,
        labels: args.label.into_iter().collect::<BTreeMap<_, _>>(),
        dir: args.dir,
        address: args.address,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: Arc::new(SystemClock),
        host: (!args.no_host_metrics).then(Host::default),
        launcher: Some("/proc/self/exe".into()),
    })
}

fn servers(named: Vec<String>) -> anyhow::Result<Vec<String>> {
    const SERVERS_MAX: usize = 16;
    let servers: Vec<String> = named.into_iter().map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
    if servers.is_empty() || servers.len() > SERVERS_MAX {
        bail!("--server names {} servers; name at least one and at most {SERVERS_MAX}", servers.len());
    }
    Ok(servers)
}

fn machine_name() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").context("the machine has no name; give --name")?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_may_be_named() {
        let named = |text: &str| servers(text.split(',').map(str::to_owned).collect());
        assert_eq!(named("https://a:1, https://b:1,").unwrap(), ["https://a:1", "https://b:1"]);
        for bad in [String::new(), vec!["https://a:1"; 17].join(",")] {
            assert!(named(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn labels_are_key_and_value() {
        assert_eq!(label("role=web"), Ok(("role".into(), "web".into())));
        for bad in ["role", "=web", "role=", "a b=c", "role=a/b"] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
