//! flag list, on, off, rollout, and the other words of `flag`, which have files of their own.

use serde_json::{Value, json};
use tenfold_app::chat::grammar::DEFAULT_ENVIRONMENT;
use tenfold_flags::Share;

use super::client::{Client, segment};
use super::exchange;
use super::out::{Exit, Failure, Out, list, text};
use super::{Common, flag_changes, flag_edit};
use super::{flag_life, flag_lists};

/// List flags, show, switch and change one, say who gets it.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold flag list\n  tenfold flag off new_uploader\n  tenfold flag off new_uploader --reason \"uploads fail\"\n  tenfold flag rollout new_uploader 25 --in production\n  tenfold flag show new_uploader\n  tenfold flag preview new_uploader --context \"userId=42 plan=pro\"\n  tenfold flag preview new_uploader --ids ids.txt\n  tenfold flag create dark_mode --kind experiment --description \"Pages in the dark\"\n  tenfold flag set dark_mode --expires 2027-01-31\n  tenfold flag archive dark_mode\n  tenfold flag ramp new_uploader --plan careful\n  tenfold flag ramp new_uploader --steps 0.5,5:1h,100\n  tenfold flag extend new_uploader --for 1h\n  tenfold flag schedule new_uploader on --at 2027-01-11T08:00:00Z\n  tenfold flag schedules\n  tenfold flag requests\n  tenfold flag approve 12"
)]
pub struct Flag {
    #[command(subcommand)]
    what: What,
    #[arg(long = "in", value_name = "ENV", default_value = DEFAULT_ENVIRONMENT, global = true)]
    environment: String,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All flags with their state.
    List,
    /// One flag with its state in every environment.
    Show {
        key: String,
    },
    /// Switch a flag on.
    On {
        key: String,
        /// For the record.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Switch a flag off, for everybody, at once.
    Off {
        key: String,
        /// For the record.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Say what somebody gets, and why.
    Preview {
        key: String,
        #[command(flatten)]
        who: flag_edit::Who,
    },
    /// Make a flag; it is off everywhere.
    Create {
        key: String,
        #[command(flatten)]
        fields: flag_edit::Fields,
    },
    /// Change what is said of a flag; what is not given stays.
    Set {
        key: String,
        #[command(flatten)]
        fields: flag_edit::Fields,
    },
    /// Take a flag out of use; its history stays.
    Archive {
        key: String,
    },
    /// Set the share that gets it.
    Rollout {
        key: String,
        /// Per cent from 0 to 100, with at most two decimals.
        #[arg(value_parser = share)]
        percent: Share,
    },
    #[command(flatten)]
    Change(flag_changes::Change),
    Import(exchange::Import),
    Export(exchange::Export),
    Scan(flag_life::Scan),
    Group(flag_lists::Group),
    Segment(flag_lists::Segment),
    Plan(flag_lists::Plan),
    /// Flags that look finished, and why.
    Stale,
    /// The flags that you may switch for yourself.
    Mine,
    /// Switch a flag in for yourself.
    Join {
        key: String,
    },
    /// Switch a flag out for yourself.
    Leave {
        key: String,
    },
    /// Take what everybody gets again.
    Unset {
        key: String,
    },
    /// Switches for bad days, the one to throw first in front.
    Contingency,
    Drill(flag_life::Drill),
    /// What happened to a flag, newest first, with what differed.
    History {
        key: String,
    },
    /// Put what an event changed back to how it was before it.
    Revert {
        key: String,
        /// The event's number, from `flag history`.
        seq: i64,
        /// To how the event left things.
        #[arg(long)]
        after: bool,
    },
}

impl Flag {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let environment = self.environment.as_str();
        let flag = match &self.what {
            What::Change(change) => return change.run(client, out, environment).await,
            What::Import(import) => return import.run(client, out).await,
            What::Scan(scan) => return scan.run(client, out).await,
            What::Group(group) => return group.run(client, out).await,
            What::Segment(segment) => return segment.run(client, out).await,
            What::Plan(plan) => return plan.run(client, out).await,
            What::Stale => return flag_life::stale(client, out).await,
            What::Mine => return flag_life::mine(client, out).await,
            What::Join { key } => return flag_life::choose(client, out, key, Some("in")).await,
            What::Leave { key } => return flag_life::choose(client, out, key, Some("out")).await,
            What::Unset { key } => return flag_life::choose(client, out, key, None).await,
            What::Contingency => return flag_life::contingency(client, out, environment).await,
            What::Drill(drill) => return drill.run(client, out, environment).await,
            What::History { key } => return flag_life::history(client, out, key).await,
            What::Revert { key, seq, after } => return flag_life::revert(client, out, key, *seq, *after).await,
            What::Export(export) => return export.run(client, environment).await,
            What::List => {
                let flags = client.get("/api/flags", &[("environment", environment)]).await?;
                out.answer(&flags, |flags| {
                    let shown = list(flags, "items").iter().filter(|f| f["archived"] != true);
                    shown.map(|f| line(f, environment)).collect()
                });
                return Ok(Exit::Done);
            }
            What::Show { key } => return flag_edit::show(client, out, key).await,
            What::Create { key, fields } => return flag_edit::create(client, out, key, fields).await,
            What::Set { key, fields } => return flag_edit::set(client, out, key, fields).await,
            What::Archive { key } => return flag_edit::archive(client, out, key).await,
            What::Preview { key, who } => return flag_edit::preview(client, out, key, environment, who).await,
            What::On { key, reason } | What::Off { key, reason } => {
                let enabled = matches!(self.what, What::On { .. });
                let path = format!("/api/flags/{}/switch", segment(key));
                let body = json!({"environment": environment, "enabled": enabled, "reason": reason});
                client.post(&path, &body).await?
            }
            What::Rollout { key, percent } => {
                let path = format!("/api/flags/{}/rollout", segment(key));
                client.post(&path, &json!({"environment": environment, "percent": percent})).await?
            }
        };
        out.answer(&flag, |f| vec![line(f, environment)]);
        Ok(flag_changes::exit_of(&flag))
    }
}

pub(super) fn share(text: &str) -> Result<Share, String> {
    let share = Share::parse(text.strip_suffix('%').unwrap_or(text));
    share.ok_or_else(|| "give per cent from 0 to 100, with at most two decimals".to_owned())
}

pub(super) fn line(flag: &Value, environment: &str) -> String {
    let state = &flag["environments"][environment];
    let word = match (state["enabled"].as_bool(), state["rollout_percent"].as_f64()) {
        (Some(true), None) => "on by its strategies".to_owned(),
        (Some(true), Some(percent)) if percent >= 100.0 => "on".to_owned(),
        (Some(true), Some(percent)) => format!("on for {percent} %"),
        _ => "off".to_owned(),
    };
    let line = format!("{} is {word} in {environment}", text(flag, "key"));
    flag_changes::waits(flag).map_or(line.clone(), |waits| format!("{line}; what you want {waits}"))
}
