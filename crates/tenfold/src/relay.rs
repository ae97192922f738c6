//! `tenfold relay`: serves flags near their clients, from a copy that it keeps up to date over one stream.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tenfold_httpkit::server::raise_file_limit;
use tenfold_httpkit::streams::{CLIENTS_MAX, Limits};
use tenfold_relay::{Config, Relay, SILENCE_MAX};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::ambient::{SystemClock, SystemEntropy};

/// How long the last report of use and the last copy to disk get when the relay stops.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// Examples:
///   tenfold relay --upstream https://tenfold.example --token-file /etc/tenfold/relay-tokens
///   tenfold relay --upstream http://127.0.0.1:7070 --token-file tokens --data ./relay --listen 127.0.0.1:7071
///
/// The token file holds one token of the kind `client` on each line: one for each environment that is served. An upstream
/// may be a server or another relay. With the upstream gone the relay serves on what it has, also after a restart.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Address of the server or relay to follow.
    #[arg(long, value_name = "URL", env = "TENFOLD_UPSTREAM")]
    upstream: String,
    /// File with the relay's tokens, one on each line; `#` begins a comment.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Folder for the copy on disk; made when missing.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tenfold-relay")]
    data: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7071")]
    listen: SocketAddr,
    /// Streams at once; the limit on open files may allow fewer.
    #[arg(long, value_name = "N", default_value_t = CLIENTS_MAX)]
    streams_max: usize,
    /// When told to stop, say "not ready" for this long before closing, so that balancers send clients elsewhere.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    drain_ms: u64,
    /// Write the address that is listened on into this file, once it is.
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
}

pub fn run(args: Args) -> ExitCode {
    crate::serve::init_logging();
    let served = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime could not be started")
        .and_then(|runtime| runtime.block_on(serve(args)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenfold relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tokens(file: &Path) -> anyhow::Result<Vec<String>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("the token file {} cannot be read", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let _lock = crate::serve::open_data_dir(&args.data)?;
    let config = Config {
        upstream: args.upstream,
        tokens: tokens(&args.token_file)?,
        data: args.data,
        limits: Limits::within(args.streams_max, raise_file_limit()),
        silence_max: SILENCE_MAX,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let (relay, tasks) = Relay::start(config, &stop)?;
    if let Some(file) = &args.address_file {
        let part = file.with_extension("part");
        std::fs::write(&part, address.to_string())?;
        std::fs::rename(&part, file)?;
    }
    println!("tenfold relay listens on http://{address}");
    let router = tenfold_relay::router(relay.clone());
    let serving = tokio::spawn(tenfold_httpkit::server::serve(listener, router, stop.clone()));
    crate::serve::stop_signal().await;
    tracing::info!("stopping");
    relay.drain();
    tokio::time::sleep(Duration::from_millis(args.drain_ms)).await;
    stop.cancel();
    serving.await?;
    let _ = tokio::time::timeout(STOP_WAIT, tasks.wait()).await;
    Ok(())
}
