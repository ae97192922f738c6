//! Switching: flag list, on, off, rollout.

use tenfold_types::Fault;

use super::Reply;
use crate::chat::Command;
use crate::flags::FlagView;
use crate::{App, Caller};

pub(super) async fn execute(app: &App, who: &Caller, command: Command) -> Result<Reply, Fault> {
    match command {
        Command::FlagList { environment } => {
            app.flag_environment(&environment).await?;
            let mut lines: Vec<String> = app
                .flag_list(Some(&environment))
                .items
                .iter()
                .filter(|f| !f.archived)
                .map(|f| line(f, &environment))
                .collect();
            if lines.is_empty() {
                lines.push("there are no flags yet; make one on the Flags page or with tenfold apply".into());
            }
            Ok(Reply::lines(lines))
        }
        Command::FlagSwitch { key, enabled, environment } => {
            let flag = app.flag_switch(who, &key, &environment, enabled).await?;
            Ok(Reply::line(line(&flag, &environment)))
        }
        Command::FlagRollout { key, percent, environment } => {
            let flag = app.flag_rollout(who, &key, &environment, percent).await?;
            Ok(Reply::line(line(&flag, &environment)))
        }
        other => Err(Fault::internal(format!("`{}` is no word of switching", other.verb()))),
    }
}

fn line(flag: &FlagView, environment: &str) -> String {
    let state = flag.environments.get(environment).filter(|e| e.enabled);
    let state = match state.map(|e| e.rollout_percent) {
        None => "off".to_owned(),
        Some(None) => "on by its strategies".to_owned(),
        Some(Some(100)) => "on".to_owned(),
        Some(Some(percent)) => format!("on for {percent} %"),
    };
    format!("{} is {state} in {environment}", flag.key)
}
