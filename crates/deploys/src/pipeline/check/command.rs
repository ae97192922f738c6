//! What a target of commands says.

use super::super::Command;
use super::lines::item;
use super::words::{Checked, argv, env, seconds, variable};

pub(super) fn command(command: &Command, at: &[&str]) -> Checked {
    let below = |key: &'static str| [at, &[key]].concat();
    argv(&command.deploy, &below("deploy"))?;
    argv(&command.observe, &below("observe"))?;
    if !command.rollback.is_empty() {
        argv(&command.rollback, &below("rollback"))?;
    }
    seconds(command.timeout_s, 1, &below("timeout_s"))?;
    seconds(command.idle_timeout_s, 1, &below("idle_timeout_s"))?;
    seconds(command.settle_s, 0, &below("settle_s"))?;
    env(&command.env, &below("env"))?;
    for (index, secret) in command.secrets.iter().enumerate() {
        variable(secret, &[&below("secrets")[..], &[item(index).as_str()]].concat())?;
    }
    Ok(())
}
