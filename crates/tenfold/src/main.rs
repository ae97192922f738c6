//! `tenfold`: one binary, its roles and verbs. This crate puts the parts together and decides nothing.

mod agent;
mod ambient;
mod cli;
mod demo;
mod hot;
mod relay;
mod serve;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Queries allocate on many threads what another one frees (ADR 0026).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Ship, watch, switch, be on call and learn, together: one server for developers and operations.
#[derive(Parser)]
#[command(name = "tenfold", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve(serve::Args),
    /// Run the agent on a host.
    Agent(agent::Args),
    /// Serve flags near their clients, from a copy of what the server has.
    Relay(relay::Args),
    /// Look at a server from elsewhere, and page when it is missed.
    Watch(watch::Args),
    /// Run the whole loop on this machine, on real processes, and print one URL.
    Demo(demo::Args),
    #[command(flatten)]
    Verb(cli::Command),
    /// The keeper of a build or a hook, and its sandbox; the server starts it.
    #[command(hide = true)]
    Sandbox { stage: Option<String> },
    /// Print the OpenAPI document of the server.
    #[command(hide = true)]
    Openapi,
}

fn main() -> ExitCode {
    // A second installation in one process is refused and harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Agent(args) => agent::run(args),
        Command::Relay(args) => relay::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Demo(args) => demo::run(args, &ambient::SystemClock),
        Command::Verb(verb) => cli::run(verb),
        Command::Sandbox { stage } => ExitCode::from(tenfold_runner::sandbox::main(stage.as_deref())),
        Command::Openapi => {
            println!("{}", tenfold_http::openapi().to_pretty_json().unwrap_or_default());
            ExitCode::SUCCESS
        }
    }
}
