//! `tenfold demo`: the whole loop on this machine, on real processes. It starts an IRC server, a mail server, the server
//! itself, six agents and visitors; seeds people and configuration; and plays a light life. It is a client like any
//! other: nothing here reaches into the server, and nothing is left running when it ends.

mod client;
mod files;
mod fleet;
mod irc;
mod life;
mod load;
mod mail;
mod presence;
mod processes;
mod repository;
mod seed;
mod watchdog;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tenfold_types::Clock;
use tokio_util::sync::CancellationToken;

use client::Client;
use processes::{Running, Spec, Supervisor};

/// The server must answer within this time after it was started.
const READY_MS_MAX: u64 = 30_000;
const POLL_MS: u64 = 50;
const HOSTS_MAX: u8 = 20;
/// Marks a folder as the demo's own, so that no other folder is ever emptied.
const MARK: &str = "tenfold-demo";

/// Examples:
///   tenfold demo
///   tenfold demo --listen 127.0.0.1:8080 --no-script
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder for everything the demo writes; emptied at each start.
    #[arg(long, value_name = "DIR", default_value = ".demo")]
    data: PathBuf,
    /// Loopback address of the server; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// Port of the IRC server; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    irc_port: u16,
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=i64::from(HOSTS_MAX)))]
    hosts: u8,
    /// How many requests the visitors make.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    requests_per_second: u32,
    /// Seconds until a page that nobody acknowledged goes to the next step.
    #[arg(long, value_name = "N", default_value_t = 60)]
    escalate_after_s: u32,
    /// Nobody deploys or breaks anything by itself: only the fleet, its first deploy and its visitors.
    #[arg(long)]
    no_script: bool,
    /// Another process of this program watches over this one.
    #[arg(long, hide = true)]
    watched: bool,
}

pub fn run(args: Args, clock: &dyn Clock) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tenfold demo: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        if args.watched { demo(args, clock).await.map(|()| ExitCode::SUCCESS) } else { watchdog::watch().await }
    });
    // Reading from standard input cannot be cancelled and must not hold the end up.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tenfold demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where things are, decided before anything starts.
struct Plan {
    data: PathBuf,
    program: PathBuf,
    listen: SocketAddr,
    statsd: SocketAddr,
    hosts: Vec<String>,
    escalate_after_s: u32,
}

impl Plan {
    fn url(&self) -> String {
        format!("http://{}", self.listen)
    }
}

async fn demo(args: Args, clock: &dyn Clock) -> anyhow::Result<()> {
    if !args.listen.ip().is_loopback() {
        bail!(
            "the demo signs visitors in by itself, so it listens on loopback only; use an address like 127.0.0.1:7070"
        );
    }
    let data = empty_folder(&args.data)?;
    let plan = Plan {
        program: std::env::current_exe().context("this program does not know its own path")?,
        listen: free_tcp(args.listen)
            .with_context(|| format!("{} is taken; choose another with --listen 127.0.0.1:PORT", args.listen))?,
        statsd: free_udp()?,
        hosts: (1..=args.hosts).map(|number| format!("host-{number}")).collect(),
        escalate_after_s: args.escalate_after_s,
        data,
    };
    let stop = CancellationToken::new();
    let mut started = Vec::new();
    let outcome = tokio::select! {
        outcome = play(&args, &plan, clock, &mut started, &stop) => outcome,
        () = watchdog::asked_to_stop() => Ok(()),
        () = watchdog::abandoned() => Ok(()),
    };
    println!("stopping");
    stop.cancel();
    // Agents before the server, the server before what it talks to.
    while let Some(running) = started.pop() {
        running.stop().await;
    }
    processes::end_orphans().await;
    outcome
}

async fn play(
    args: &Args,
    plan: &Plan,
    clock: &dyn Clock,
    started: &mut Vec<Running>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let supervisor = Supervisor::new(&plan.data)?;
    let irc_port = start_irc(args, plan, &supervisor, started)?;
    let mail = start_mail(&supervisor, started)?;
    let settings = settings(plan, irc_port, mail.as_ref().map(|mail| mail.port))?;
    let config = plan.data.join("tenfold.toml");
    std::fs::write(&config, settings)?;

    println!("starting the server");
    let listen = plan.listen.to_string();
    let config = config.to_string_lossy().into_owned();
    started.push(supervisor.start(Spec::new(
        "server",
        &plan.program,
        &["serve", "--listen", &listen, "--config", &config],
    ))?);
    let visitor = Client::new(&plan.url())?;
    wait_ready(&visitor, &supervisor).await?;

    let token = seed::setup_token(&supervisor.log("server")).await?;
    let people = seed::people(&visitor, &token).await?;
    let mut repository = commit_service(plan, &people, clock).await?;
    seed::configure(&people, repository.path(), plan.escalate_after_s).await?;
    describe(plan, irc_port, mail.as_ref(), repository.path())?;

    println!("starting {} agents", plan.hosts.len());
    started.extend(fleet::start(plan, &people, &supervisor).await?);
    tokio::spawn(load::run(people.ana.clone(), args.requests_per_second, stop.clone()));

    println!();
    println!("  {}", plan.url());
    println!();
    println!("You are signed in as ana, a developer. Ctrl-C ends the demo and everything it started.");
    if let Some(port) = irc_port {
        println!("IRC: 127.0.0.1 port {port}, channel {}; the bot answers !help", irc::CHANNEL);
    }
    if let Some(mail) = &mail {
        println!("Mail that was sent: {}", mail.mailboxes().display());
    }
    println!("Logs: {}", supervisor.log("").parent().unwrap_or(&plan.data).display());

    life::first_deploy(&people, plan.hosts.len()).await?;
    std::fs::write(plan.data.join("ready"), "")?;
    if args.no_script {
        std::future::pending::<()>().await;
    }
    life::go_on(&people, &mut repository, irc_port, clock).await
}

async fn commit_service(
    plan: &Plan,
    people: &seed::People,
    clock: &dyn Clock,
) -> anyhow::Result<repository::Repository> {
    let wanted = serde_json::json!({"name": "photos", "kind": "frontend", "environment": "production"});
    let token = fleet::secret(people, wanted).await?;
    let (statsd, url) = (plan.statsd.to_string(), plan.url());
    let values = [("STATSD_ADDR", statsd.as_str()), ("FLAGS_URL", url.as_str()), ("FLAGS_TOKEN", token.as_str())];
    repository::Repository::create(&plan.data.join("photos"), clock.now(), &values).await
}

fn start_irc(
    args: &Args,
    plan: &Plan,
    supervisor: &Supervisor,
    started: &mut Vec<Running>,
) -> anyhow::Result<Option<u16>> {
    let Some(program) = irc::installed() else {
        println!("ngircd is not installed: the demo runs without IRC");
        return Ok(None);
    };
    let port = free_tcp(SocketAddr::from(([127, 0, 0, 1], args.irc_port)))
        .with_context(|| format!("port {} is taken; choose another with --irc-port", args.irc_port))?
        .port();
    started.push(supervisor.start(irc::configure(&program, &plan.data.join("irc"), port)?)?);
    Ok(Some(port))
}

fn start_mail(supervisor: &Supervisor, started: &mut Vec<Running>) -> anyhow::Result<Option<mail::Mail>> {
    if let Some(why) = mail::missing() {
        println!("{why}: the demo runs without mail");
        return Ok(None);
    }
    let port = free_tcp(SocketAddr::from(([127, 0, 0, 1], 0)))?.port();
    let mail = mail::Mail::configure(port, &seed::LOGINS)?;
    started.push(supervisor.start(mail.spec())?);
    Ok(Some(mail))
}

/// What an operator would write into tenfold.toml, only faster: a demo should not keep people waiting.
fn settings(plan: &Plan, irc_port: Option<u16>, mail_port: Option<u16>) -> anyhow::Result<String> {
    let mut settings = serde_json::json!({
        "data_dir": plan.data.join("server"),
        "public_url": plan.url(),
        "demo": {"sign_in_as": "ana"},
        "metrics": {"scrape_interval_ms": 2000, "scrape_timeout_ms": 1500},
        "statsd": {"listen": plan.statsd.to_string(), "flush_interval_ms": 2000},
        "alerts": {"evaluation_interval_ms": 2000},
    });
    if let Some(port) = mail_port {
        let from = format!("tenfold@{}", mail::DOMAIN);
        settings["mail"] = serde_json::json!({"host": "127.0.0.1", "port": port, "tls": "none", "from": from});
    }
    if let Some(port) = irc_port {
        settings["irc"] =
            serde_json::json!({"host": "127.0.0.1", "port": port, "nick": "tenfold", "channel": irc::CHANNEL});
    }
    toml::to_string(&settings).context("the settings cannot be written as TOML")
}

/// Where everything is, for people and programs that look in from outside.
fn describe(plan: &Plan, irc_port: Option<u16>, mail: Option<&mail::Mail>, repository: &Path) -> anyhow::Result<()> {
    let about = serde_json::json!({
        "url": plan.url(),
        "pid": std::process::id(),
        "repository": repository,
        "statsd": plan.statsd.to_string(),
        "irc": irc_port.map(|port| serde_json::json!({"port": port, "channel": irc::CHANNEL})),
        "mail": mail.map(|mail| serde_json::json!({"port": mail.port, "mailboxes": mail.mailboxes()})),
        "password": seed::PASSWORD,
        "hosts": plan.hosts,
    });
    std::fs::write(plan.data.join("demo.json"), format!("{about:#}\n"))?;
    Ok(())
}

async fn wait_ready(visitor: &Client, supervisor: &Supervisor) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(READY_MS_MAX);
    while !visitor.is_ready().await {
        if tokio::time::Instant::now() > deadline {
            bail!(
                "the server did not answer within {} s; its log is {}",
                READY_MS_MAX / 1000,
                supervisor.log("server").display()
            );
        }
        tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
    }
    Ok(())
}

/// Makes the folder, or empties it when it is the demo's own.
fn empty_folder(path: &Path) -> anyhow::Result<PathBuf> {
    if path.exists() && std::fs::read_dir(path)?.next().is_some() {
        if !path.join(MARK).exists() {
            bail!("{} is not empty and not a demo's; name another folder with --data", path.display());
        }
        if let Ok(pid) = std::fs::read_to_string(path.join("pids/server"))
            && Path::new("/proc").join(pid.trim()).exists()
        {
            bail!("a demo runs in {} already (its server has pid {}); stop it first", path.display(), pid.trim());
        }
        std::fs::remove_dir_all(path).with_context(|| format!("cannot empty {}", path.display()))?;
    }
    std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    std::fs::write(path.join(MARK), "Everything here belongs to the demo and is removed at its next start.\n")?;
    path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
}

/// The address itself when its port is free, a free port when it is 0.
fn free_tcp(wanted: SocketAddr) -> std::io::Result<SocketAddr> {
    TcpListener::bind(wanted)?.local_addr()
}

fn free_udp() -> std::io::Result<SocketAddr> {
    std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_the_demos_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        let refusal = empty_folder(folder.path()).unwrap_err().to_string();
        assert!(refusal.contains("--data"), "{refusal}");
        assert!(folder.path().join("thesis.txt").exists());

        let own = folder.path().join("demo");
        empty_folder(&own).unwrap();
        std::fs::write(own.join("old"), "").unwrap();
        empty_folder(&own).unwrap();
        assert!(!own.join("old").exists(), "the demo's own folder starts empty");
    }

    #[test]
    fn the_settings_are_what_the_server_reads() {
        let plan = Plan {
            data: PathBuf::from("a \"quoted\" folder"),
            program: PathBuf::from("tenfold"),
            listen: "127.0.0.1:7070".parse().unwrap(),
            statsd: "127.0.0.1:8125".parse().unwrap(),
            hosts: vec!["host-1".into()],
            escalate_after_s: 60,
        };
        let read: tenfold_app::Settings = toml::from_str(&settings(&plan, Some(6667), Some(2525)).unwrap()).unwrap();
        assert_eq!(read.data_dir, plan.data.join("server"));
        assert_eq!((read.mail.port, read.irc.map(|irc| irc.port)), (2525, Some(6667)));
    }
}
