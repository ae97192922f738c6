//! From a command to the use case behind it, and back to a few lines. Decides nothing: rights and rules are the use cases'.

mod alerts;
mod deploys;
mod deploys_seen;
mod duty;
mod flag_changes;
mod flag_shared;
mod flags;
mod mutes;
mod noise;
mod oncall;
mod query;
mod queue;
mod why;

use tenfold_types::{ErrorCode, Fault, Severity};

use super::grammar::{self, Command};
use crate::{App, Caller};

/// Alerts that `status` says a line each of.
const STATUS_ALERTS_MAX: usize = 20;

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub lines: Vec<String>,
    pub severity: Severity,
    /// Why it was not done, if it was not.
    pub refused: Option<ErrorCode>,
}

impl Reply {
    pub fn line(text: impl Into<String>) -> Self {
        Self::lines(vec![text.into()])
    }
    pub fn lines(lines: Vec<String>) -> Self {
        Self { lines, severity: Severity::Info, refused: None }
    }
    /// What to say where there is none.
    fn lines_or(lines: Vec<String>, nothing: &str) -> Self {
        if lines.is_empty() { Self::line(nothing) } else { Self::lines(lines) }
    }
    /// One sentence of what is wrong and what to do.
    pub fn refusal(fault: &Fault) -> Self {
        let text = if fault.advice.is_empty() {
            fault.message.clone()
        } else {
            format!("{}; {}", fault.message.trim_end_matches('.'), fault.advice)
        };
        // Some point into what was written, on lines of their own.
        let lines = text.lines().map(str::to_owned).collect();
        Self { lines, severity: Severity::Warning, refused: Some(fault.code) }
    }
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl App {
    /// Runs a command with the rights of `who`.
    pub async fn execute(&self, who: &Caller, command: Command) -> Result<Reply, Fault> {
        match command {
            Command::Help { verb } => Ok(Reply::lines(grammar::help(verb))),
            Command::Doing { text } => {
                self.chat_doing(who, &text).await?;
                Ok(Reply::line("noted"))
            }
            Command::Link { .. } => {
                Err(Fault::invalid("a link code is said to the bot alone, in the chat network it is for"))
            }
            Command::Status => self.say_status().await,
            Command::Deploy { .. }
            | Command::DeployDryRun { .. }
            | Command::Deploys { .. }
            | Command::DeployShow { .. }
            | Command::DeployLog { .. }
            | Command::DeployMove { .. }
            | Command::RollForward { .. }
            | Command::RollbackService { .. }
            | Command::RollbackDeploy { .. }
            | Command::Approve { .. }
            | Command::Train { .. }
            | Command::Next { .. }
            | Command::Lock { .. }
            | Command::Unlock { .. } => Box::pin(deploys::execute(self, who, command)).await,
            Command::Queue { service, environment, ask, reason } => {
                Box::pin(queue::execute(self, who, service, &environment, ask, reason)).await
            }
            Command::FlagList { .. }
            | Command::FlagSwitch { .. }
            | Command::FlagRollout { .. }
            | Command::FlagShow { .. }
            | Command::FlagCreate { .. }
            | Command::FlagSet { .. }
            | Command::FlagArchive { .. }
            | Command::FlagPreview { .. }
            | Command::FlagDrill { .. }
            | Command::FlagMine
            | Command::FlagChoose { .. }
            | Command::FlagContingency { .. }
            | Command::FlagHistory { .. }
            | Command::FlagRevert { .. }
            | Command::FlagStale => flags::execute(self, who, command).await,
            Command::FlagChange(change) => flag_changes::execute(self, who, change).await,
            Command::FlagShared(shared) => flag_shared::execute(self, who, shared).await,
            Command::Permit { job } => flag_changes::permits(self, job.as_deref()),
            Command::Acknowledge { .. }
            | Command::Escalate { .. }
            | Command::HandOver { .. }
            | Command::Resolve { .. }
            | Command::Classify { .. }
            | Command::IncidentOpen { .. }
            | Command::IncidentShow { .. }
            | Command::IncidentScore { .. }
            | Command::Note { .. }
            | Command::Who { .. }
            | Command::Take { .. }
            | Command::Mute(_)
            | Command::Mutes { .. }
            | Command::Unmute { .. } => duty::execute(self, who, command).await,
            Command::Noise(word) => Box::pin(noise::execute(self, who, word)).await,
            Command::Query { expr } => Box::pin(query::execute(self, who, &expr)).await,
            Command::Why { .. } | Command::WhyNot { .. } | Command::Simulate { .. } | Command::Checks { .. } => {
                why::execute(self, command).await
            }
            Command::Alerts { state, service } => Box::pin(alerts::list(self, state, service)).await,
            Command::AlertShow { fingerprint } => Box::pin(alerts::show(self, &fingerprint)).await,
            Command::OnCall(command) => oncall::execute(self, who, command).await,
            Command::Policies { name } => Box::pin(oncall::policies(self, name)).await,
        }
    }

    async fn say_status(&self) -> Result<Reply, Fault> {
        let now = self.now_view().await?;
        let mut lines = Vec::new();
        match now.running.as_slice() {
            [] => lines.push("nothing is being deployed".to_owned()),
            running => lines.extend(running.iter().map(deploys::state_line)),
        }
        let firing: Vec<_> = now.alerts.iter().filter(|a| a.state != "pending").collect();
        if firing.is_empty() {
            lines.push("nothing fires".to_owned());
        }
        let told = firing.iter().take(STATUS_ALERTS_MAX);
        lines.extend(told.map(|a| format!("{} {}: {}", a.severity, a.state, a.summary)));
        let more = firing.len().saturating_sub(STATUS_ALERTS_MAX) + now.alerts_more;
        if more > 0 {
            lines.push(format!("and {more} more alerts"));
        }
        for incident in &now.incidents {
            let holder =
                incident.acknowledged_by_name.as_deref().map_or("nobody has it".into(), |n| format!("{n} has it"));
            lines.push(format!("incident {}: {}, {holder}", incident.number, incident.title));
        }
        lines.extend(now.on_call.iter().map(duty::on_call_line));
        if let Some(last) = &now.last_deploy {
            lines.push(format!("last: {}", deploys::state_line(last)));
        }
        lines.push(now.week.sentence + " this week");
        // That a room is away is said where rooms are listed.
        let troubles = now.troubles.iter().filter(|of| of.part == "alerts");
        lines.extend(troubles.map(|of| format!("trouble with {}: {}", of.part, of.text)));
        let severity = match firing.iter().any(|a| a.severity == "critical" && a.muted_by.is_none()) {
            true => Severity::Critical,
            false if firing.iter().any(|a| a.muted_by.is_none()) => Severity::Warning,
            false => Severity::Info,
        };
        Ok(Reply { severity, ..Reply::lines(lines) })
    }
}
