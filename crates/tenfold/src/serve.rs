//! `tenfold serve`: opens the store, loads the parts, connects the edges to their ports, listens, and stops in order.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use tenfold_app::{App, Settings};
use tenfold_store::Db;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::ambient::{SystemClock, SystemEntropy};

/// How long the loops get to end by themselves when the server stops. What runs for a deploy goes on, for the next start.
const STOP_WAIT: std::time::Duration = std::time::Duration::from_secs(8);

/// Examples:
///   tenfold serve --data /var/lib/tenfold
///   tenfold serve --data ./data --listen 127.0.0.1:7070 --config tenfold.toml
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Directory that holds everything the server keeps; made when missing.
    #[arg(long, value_name = "DIR", env = "TENFOLD_DATA")]
    data: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7070", value_parser = address)]
    listen: SocketAddr,
    /// Settings in TOML; see docs/guide/settings.md.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address people reach the server by, for links in mails and chat [default: http://LISTEN].
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Write the address that is listened on into this file, once it is.
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address with a port; write it like 127.0.0.1:7070"))
}

pub fn run(args: Args) -> ExitCode {
    init_logging();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tenfold serve: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenfold serve: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Talk goes to stderr; `TENFOLD_LOG` sets how much (`info`, `tenfold_app=debug`).
pub fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TENFOLD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A logger that is already there (tests) stays.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).try_init();
}

/// The settings; the public address is empty when nobody named one.
fn settings(args: &Args) -> anyhow::Result<Settings> {
    let nameless = Settings { public_url: String::new(), ..Settings::default() };
    let mut settings = match &args.config {
        None => nameless,
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let wrong = || format!("{} is not right", path.display());
            let read: Settings = toml::from_str(&text).with_context(wrong)?;
            let named = toml::from_str::<toml::Table>(&text).with_context(wrong)?.contains_key("public_url");
            if named { read } else { Settings { public_url: String::new(), ..read } }
        }
    };
    if let Some(data) = &args.data {
        settings.data_dir.clone_from(data);
    }
    if let Some(url) = &args.public_url {
        settings.public_url.clone_from(url);
    }
    Ok(settings)
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let mut settings = settings(&args)?;
    if settings.demo.sign_in_as.is_some() && !args.listen.ip().is_loopback() {
        bail!("demo.sign_in_as signs every visitor in and is only obeyed on a loopback address; listen on 127.0.0.1");
    }
    let _lock = open_data_dir(&settings.data_dir)?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    if settings.public_url.is_empty() {
        settings.public_url = format!("http://{address}");
    }

    let flagd = flagd_listener(&settings).await?;
    let agents = agents_listener(&settings).await?;

    let db = open_store(&settings).await?;
    let metrics = tenfold_app::metrics::State::open(&settings).context("the time-series store cannot be opened")?;
    let app = App::new(db, Arc::new(SystemClock), Arc::new(SystemEntropy), settings, metrics);
    connect_ports(&app, args.config.clone())?;
    tenfold_notify::connect(&app).context("the channels for pages cannot be set up")?;
    tenfold_app::load(&app).await.context("the state could not be loaded")?;

    let stop = CancellationToken::new();
    let outgoing = tenfold_ingest::connect(&app, &stop).context("samples cannot be sent on")?;
    let tasks = tenfold_app::start(&app, &stop);
    let ssh = tenfold_runner::ssh::start(&app, &stop).context("hosts cannot be reached by ssh")?;
    let ingest = tenfold_ingest::start(&app, &stop).await?;
    let chat = tenfold_chat::start(&app, &stop).context("chat could not be started")?;

    announce(&app, address, args.address_file.as_deref()).await?;
    let serving = tokio::spawn(tenfold_http::server::serve(listener, tenfold_http::router(app.clone()), stop.clone()));
    let flagd = flagd.map(|listener| {
        let router = tenfold_http::flagd_router(app.clone(), &app.settings.flags.flagd_environment);
        tokio::spawn(tenfold_http::server::serve(listener, router, stop.clone()))
    });
    let agents = match (agents, tenfold_app::agents::server_config(&app)?) {
        (Some(listener), Some(tls)) => {
            let router = tenfold_http::agents_router(app.clone());
            Some(tokio::spawn(tenfold_http::server::serve_tls(listener, tls, router, stop.clone())))
        }
        _ => None,
    };
    crate::hot::map_ahead();
    tokio::select! {
        () = stop_signal() => tracing::info!("stopping"),
        reason = app.db.wait_fenced() => {
            // After a failed fsync nobody knows what is on the disk: acknowledge nothing more and let the next start verify.
            bail!("the store refused to go on ({reason}); the process ends so that the next start can verify what is on disk");
        }
    }
    stop.cancel();
    serving.await?;
    for other in [flagd, agents].into_iter().flatten() {
        other.await?;
    }
    let _ = tokio::time::timeout(STOP_WAIT, async {
        tokio::join!(ingest.wait(), outgoing.wait(), tasks.wait(), ssh.wait());
        for connection in chat {
            // A connection that panicked has been logged and has nothing more to end.
            let _ = connection.await;
        }
    })
    .await;
    Ok(())
}

/// The listener for flagd providers without tokens, when one is set.
async fn flagd_listener(settings: &Settings) -> anyhow::Result<Option<TcpListener>> {
    let address = &settings.flags.flagd_listen;
    if address.is_empty() {
        return Ok(None);
    }
    let address: SocketAddr =
        address.parse().with_context(|| format!("flags.flagd_listen: `{address}` is no address"))?;
    if !address.ip().is_loopback() {
        bail!("flags.flagd_listen answers without a token and is only obeyed on a loopback address, not {address}");
    }
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} for flagd"))?;
    tracing::info!(address = %listener.local_addr()?, "flagd providers are answered without a token");
    Ok(Some(listener))
}

/// The listener for agents with certificates, when one is set.
async fn agents_listener(settings: &Settings) -> anyhow::Result<Option<TcpListener>> {
    let address = &settings.agents.listen;
    if address.is_empty() {
        return Ok(None);
    }
    let address: SocketAddr = address.parse().with_context(|| format!("agents.listen: `{address}` is no address"))?;
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} for agents"))?;
    tracing::info!(address = %listener.local_addr()?, "agents come in with certificates");
    Ok(Some(listener))
}

/// Hands the parts what only the edges can do.
fn connect_ports(app: &App, config: Option<PathBuf>) -> anyhow::Result<()> {
    let hide = config.into_iter().chain(app.settings.sealing.key_file.clone()).collect();
    // the running program itself, also when its file was replaced since
    let parent = tenfold_runner::BuildParent { program: "/proc/self/exe".into(), hide };
    let builds = app.settings.builds.clone();
    let data = &app.settings.data_dir;
    let clusters = tenfold_runner::Clusters::new(&app.settings.clusters, &app.clock)?;
    let executors =
        tenfold_runner::Executors::new(clusters, data, builds.clone(), Some(parent.clone()), app.clock.clone());
    app.deploys.set_executor(Arc::new(executors));
    app.deploys.set_runner(Arc::new(tenfold_runner::GitRunner::new(data, builds, Some(parent))));
    let (plugins, starter) = (app.settings.checks.plugin_dirs.clone(), "/proc/self/exe".into());
    let looker = tenfold_runner::Looker::new(plugins, starter, app.clock.clone());
    let looker = looker.context("checks cannot be looked at")?.with_secrets(app.settings.alerts.secrets_dir.clone());
    app.set_check_runner(Arc::new(looker));
    Ok(())
}

/// Makes the directory and takes its lock, so that two servers never share one.
pub fn open_data_dir(dir: &Path) -> anyhow::Result<std::fs::File> {
    std::fs::create_dir_all(dir).with_context(|| format!("the data directory {} cannot be made", dir.display()))?;
    let path = dir.join("lock");
    let file = std::fs::File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    if file.try_lock().is_err() {
        bail!("another server uses the data directory {}; stop it or name another with --data", dir.display());
    }
    Ok(file)
}

async fn open_store(settings: &Settings) -> anyhow::Result<Db> {
    let sealer = tenfold_app::sealing::sealer(settings, Arc::new(SystemEntropy))?;
    if settings.database_url.is_empty() {
        let path = settings.data_dir.join("state.db");
        Db::open_sqlite(&path, sealer).await.with_context(|| format!("{} cannot be opened", path.display()))
    } else {
        let opened = Db::open_postgres(&settings.database_url, sealer).await;
        opened.context("the database of `database_url` cannot be opened")
    }
}

async fn announce(app: &App, address: SocketAddr, file: Option<&Path>) -> anyhow::Result<()> {
    if let Some(file) = file {
        let part = file.with_extension("part");
        std::fs::write(&part, address.to_string())?;
        std::fs::rename(&part, file)?;
    }
    println!("tenfold listens on {}", app.settings.public_url);
    if let Some(token) = app.setup_token().await? {
        println!("Nobody has an account yet. Open this link within a day to make the first one; it works once:");
        println!("  {}", app.settings.link(&format!("/setup?token={token}")));
    }
    Ok(())
}

pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn an_address_is_said_with_its_port() {
        assert!(super::address("[::1]:0").is_ok_and(|a| a.is_ipv6()));
        for wrong in ["7070", "localhost:7070", "127.0.0.1"] {
            let said = super::address(wrong).expect_err("no address");
            assert!(said.contains(wrong) && said.contains("127.0.0.1:7070"), "{said}");
        }
    }

    /// The guide's example is the reference of all keys: it must stay readable, and wrong keys must be named.
    #[test]
    fn the_guides_settings_are_understood() {
        let guide = include_str!("../../../docs/guide/settings.md");
        let example = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let settings: Settings = toml::from_str(example).expect("the example is right");
        assert_eq!(settings.metrics.static_targets[0].job, "node");
        settings.metrics.check().expect("its limits are within their bounds");
        assert_eq!(settings.metrics.retention_bytes_max(), Some(50 << 30));
        assert_eq!(settings.agents.tokens, tenfold_app::settings::AgentTokens::Never);
        assert_eq!(settings.ssh.hosts[0].health_port, Some(8080));
        assert_eq!(settings.clusters[0].kind, tenfold_app::settings::ClusterKind::Kubernetes);
        assert_eq!(settings.irc.expect("IRC is set").channel, "#ops");
        let wrong = toml::from_str::<Settings>("[mail]\nhots = \"a\"\n").expect_err("a misspelt key");
        assert!(wrong.to_string().contains("hots"), "{wrong}");
    }
}
