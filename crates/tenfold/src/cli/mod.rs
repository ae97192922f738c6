//! The command line for people and scripts: the verbs of chat and console, over the HTTP API and nothing else.
//!
//! Data goes to stdout, talk to stderr; `--json` gives the API's own answer. Exit codes: 0 done, 1 failed, 2 misuse,
//! 3 refused, 4 inconclusive (it may have happened, or needs a person).

/// A verb of several words: what it does, its name, its examples. Its words are `What` beside it.
macro_rules! verb_of_words {
    ($(#[$($about:tt)*])* $verb:ident, $examples:tt) => {
        $(#[$($about)*])*
        #[derive(Debug, clap::Args)]
        #[command(before_long_help = concat!("Examples:\n", $examples))]
        pub struct $verb {
            #[command(subcommand)]
            what: What,
            #[command(flatten)]
            pub(super) common: Common,
        }
    };
}

mod account;
mod alerts;
mod checks;
mod client;
mod config;
mod dashboard;
mod deploys;
mod duty;
mod environment;
mod exchange;
mod files;
mod flag_changes;
mod flag_edit;
mod flag_life;
mod flag_lists;
mod follow;
mod host;
mod import;
mod metrics;
mod mutes;
mod nagios;
mod noise;
mod oncall;
mod oncall_import;
mod out;
mod own_rules;
mod pipeline;
mod policies;
mod project;
mod query;
mod queue;
mod record;
mod routes;
mod rules;
mod schedules;
mod ship;
mod sources;
mod switch;
mod templates;
mod train;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::Subcommand;

use client::Client;
use out::{Exit, Failure, Out};

/// What every verb takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Address of the server [default: the one of `tenfold login`, else http://127.0.0.1:7070].
    #[arg(long, value_name = "URL", env = "TENFOLD_URL", global = true)]
    server: Option<String>,
    /// Token of a robot, instead of signing in.
    #[arg(long, value_name = "TOKEN", env = "TENFOLD_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// Print the server's answer as JSON.
    #[arg(long, global = true)]
    json: bool,
}

/// The verbs that talk to a server.
#[derive(Debug, Subcommand)]
pub enum Command {
    Deploy(ship::Deploy),
    Deploys(deploys::Deploys),
    Approve(ship::Approve),
    Promote(deploys::Promote),
    Hold(deploys::Hold),
    Abort(deploys::Abort),
    Cancel(deploys::Cancel),
    Retry(deploys::Retry),
    Train(train::Train),
    Queue(queue::Queue),
    Rollback(ship::Rollback),
    Rollforward(ship::Rollforward),
    Status(ship::Status),
    Next(ship::Next),
    Flag(switch::Flag),
    Permit(flag_changes::Permit),
    Ack(duty::Ack),
    Escalate(duty::Escalate),
    Handover(duty::Handover),
    Resolve(duty::Resolve),
    Classify(noise::Classify),
    Noise(noise::Noise),
    Incident(duty::Incident),
    Note(duty::Note),
    Who(duty::Who),
    Take(duty::Take),
    Oncall(oncall::Oncall),
    Policies(policies::Policies),
    Schedules(schedules::Schedules),
    Alerts(alerts::Alerts),
    Mute(mutes::Mute),
    Mutes(mutes::Mutes),
    Unmute(mutes::Unmute),
    Routes(routes::Routes),
    Rules(rules::Rules),
    Pipeline(pipeline::Pipeline),
    Checks(checks::Checks),
    Sources(sources::Sources),
    Why(routes::Why),
    WhyNot(routes::WhyNot),
    Simulate(routes::Simulate),
    Lock(ship::Lock),
    Unlock(ship::Unlock),
    Doing(record::Doing),
    Log(deploys::Log),
    WatchLog(deploys::WatchLog),
    Search(record::Search),
    Query(query::Query),
    Dashboard(dashboard::Dashboard),
    Metrics(metrics::Metrics),
    Events(record::Events),
    Apply(files::Apply),
    Export(files::Export),
    Login(account::Login),
    Logout(account::Logout),
    Token(account::Token),
    Host(host::Host),
    Project(project::Project),
    Environment(environment::Environment),
    Setup(account::Setup),
    Completions(account::Completions),
}

/// Runs a verb to its exit code.
pub fn run(command: Command) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tenfold: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(dispatch(command));
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("tenfold: {failure}");
            failure.exit.into()
        }
    }
}

async fn dispatch(command: Command) -> Result<Exit, Failure> {
    macro_rules! verbs {
        ($($verb:ident)*) => {
            match command {
                $(Command::$verb(args) => {
                    let client = Client::new(&args.common).await?;
                    let out = Out::new(args.common.json);
                    args.run(&client, out).await
                })*
                Command::Login(args) => args.run().await,
                Command::Logout(args) => args.run().await,
                Command::Setup(args) => args.run().await,
                Command::Rules(args) => args.run().await,
                Command::Pipeline(args) => args.run(),
                Command::Completions(args) => args.run(),
            }
        };
    }
    verbs! {
        Deploy Deploys Approve Promote Hold Abort Cancel Retry Train Queue Rollback Rollforward Status Next Flag Permit Ack Escalate Handover Resolve Incident Note Who Take Oncall Policies Schedules Alerts Mute Mutes Unmute Routes Checks Sources Classify Noise
        Why WhyNot Simulate Lock Unlock Doing Log WatchLog Search Query Dashboard Metrics Events Apply Export Token Host Project Environment
    }
}
