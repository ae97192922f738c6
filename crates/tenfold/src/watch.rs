//! `tenfold watch`: looks at a server from elsewhere and pages by itself when it is missed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use tenfold_notify::watch::{Watch, WatchSettings};
use tenfold_types::Entropy;

use crate::ambient::{SystemClock, SystemEntropy};

/// Examples:
///   tenfold watch --config /etc/tenfold-watch.toml --test
///   tenfold watch --config /etc/tenfold-watch.toml
///
/// Run it on another machine than the server, with an account for mail or messages that is not the server's. It tells nobody
/// before it missed the server several times in a row, tells again as long as that lasts, and once when it is over.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What to look at, and whom to tell.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Send a test message to each receiver, say what became of it, and end.
    #[arg(long)]
    test: bool,
}

pub fn run(args: Args) -> ExitCode {
    crate::serve::init_logging();
    let watched = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime could not be started")
        .and_then(|runtime| runtime.block_on(watch(args)));
    match watched {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenfold watch: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn settings(path: &Path) -> anyhow::Result<WatchSettings> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not right", path.display()))
}

async fn watch(args: Args) -> anyhow::Result<()> {
    let settings = settings(&args.config)?;
    let _lock = crate::serve::open_data_dir(&settings.data_dir)?;
    let wrong = || format!("{} is not right", args.config.display());
    let mut watch =
        Watch::open(settings, Arc::new(SystemClock), &|bytes| SystemEntropy.fill(bytes)).with_context(wrong)?;
    if args.test {
        return test(&watch).await;
    }
    println!("tenfold watch looks at {}", watch.servers().join(", "));
    let mut tick = tokio::time::interval(watch.every());
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(crate::serve::stop_signal());
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = tick.tick() => {}
        }
        // What is being sent when it is told to stop is owed still, and sent at the next start.
        tokio::select! {
            () = &mut stop => return Ok(()),
            looked = watch.look() => {
                if let Err(error) = looked {
                    // A full disk must not keep a watcher from looking.
                    tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "the watcher goes on");
                }
            }
        }
    }
}

async fn test(watch: &Watch) -> anyhow::Result<()> {
    let mut failed = 0;
    for (to, sent) in watch.test().await {
        match sent {
            Ok(()) => println!("{}  taken", to.channel.as_str()),
            Err(error) => {
                failed += 1;
                println!("{}  {error}", to.channel.as_str());
            }
        }
    }
    if failed > 0 {
        bail!("{failed} receivers did not take the test");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::WatchSettings;

    #[test]
    fn the_guides_file_is_understood() {
        let guide = include_str!("../../../docs/guide/watch.md");
        let example = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let settings: WatchSettings = toml::from_str(example).expect("the example is right");
        assert_eq!((settings.misses, settings.tell.len()), (4, 3));
        let wrong = toml::from_str::<WatchSettings>(&example.replace("misses", "miss")).expect_err("a misspelt key");
        assert!(wrong.to_string().contains("miss"), "{wrong}");
    }
}
