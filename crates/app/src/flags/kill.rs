//! Switching off, which waits for nothing: the answers change first, then a journal on disk keeps it, then the store and
//! the record follow. While the database is away the flag is held off and the rest is done later.

use std::time::Duration;

use tenfold_types::{Actor, ErrorCode, Fault};

use super::manage::{give_reason, known_flag, state_of, switch};
use super::table::Kill;
use super::views::FlagView;
use crate::{App, Caller, Role};

/// A person who switches a flag off is not kept waiting for the database any longer than this.
const STORE_WAIT: Duration = Duration::from_secs(2);

impl App {
    pub(super) async fn flag_off(
        &self,
        who: &Caller,
        key: &str,
        environment: &str,
        reason: Option<&str>,
    ) -> Result<FlagView, Fault> {
        who.require(Role::Responder, None, Some(environment))?;
        let flag = known_flag(self, key)?;
        if !flag.environments.contains_key(environment) {
            self.flag_environment(environment).await?;
        }
        let now = self.now();
        let (actor, source) = (who.actor.clone(), who.source);
        let reason = reason.map(str::to_owned);
        let kill = Kill { key: key.to_owned(), environment: environment.to_owned(), actor, source, at: now, reason };
        self.flags.change(now, |table| {
            table.held_off.insert((kill.key.clone(), kill.environment.clone()), kill.clone());
        });
        let kept = self.flag_journal_write().await;
        let recorded = tokio::time::timeout(STORE_WAIT, self.flag_kill_record(kill)).await;
        match recorded {
            Ok(Ok(())) => {}
            Ok(Err(fault)) if !is_outage(&fault) => {
                self.flag_release(key, environment).await;
                return Err(fault);
            }
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(flag = key, environment, "switched off without the database; it will be recorded later");
                if let Err(fault) = kept {
                    return Err(Fault::unavailable(format!(
                        "`{key}` is off, but neither the database nor the journal took it: {fault}"
                    ))
                    .advice("it would come back on at a restart, so repair the disk or the database first"));
                }
            }
        }
        self.flag(key)
    }

    /// Writes a kill into the store and the record, then lets go of it. Nothing is written where the flag is off
    /// already or somebody changed it after the kill.
    async fn flag_kill_record(&self, kill: Kill) -> Result<(), Fault> {
        let (key, environment) = (kill.key.clone(), kill.environment.clone());
        let who = as_caller(&kill.actor, &kill);
        self.flag_change(&kill.key.clone(), move |flag, now| {
            let state = state_of(flag, &kill.environment);
            // In a drill it is off already, but would come back by itself.
            if (!state.enabled && state.drill.is_none()) || state.updated_at > kill.at {
                return Ok(Vec::new());
            }
            let mut events = switch(&who, &kill.key, &kill.environment, state, false, now);
            give_reason(&mut events, kill.reason.as_deref());
            for event in &mut events {
                event.occurred_at = Some(kill.at);
            }
            Ok(events)
        })
        .await?;
        self.flag_release(&key, &environment).await;
        Ok(())
    }

    /// Records kills that the database missed. Called at start and again and again.
    pub(super) async fn flag_kills_replay(&self) {
        let due: Vec<Kill> = self.flags.look(|table| table.held_off.values().cloned().collect());
        for kill in due {
            // One that is being recorded right now finds the flag off already and writes nothing.
            let (key, environment) = (kill.key.clone(), kill.environment.clone());
            match self.flag_kill_record(kill).await {
                Ok(()) => {}
                Err(fault) if is_outage(&fault) => return,
                Err(fault) => {
                    tracing::warn!(%fault, flag = key, environment, "a flag that was switched off is gone");
                    self.flag_release(&key, &environment).await;
                }
            }
        }
    }

    /// Lets the definitions decide again.
    pub(super) async fn flag_release(&self, key: &str, environment: &str) {
        let place = (key.to_owned(), environment.to_owned());
        if !self.flags.look(|table| table.held_off.contains_key(&place)) {
            return;
        }
        self.flags.change(self.now(), |table| {
            table.held_off.remove(&place);
        });
        if let Err(fault) = self.flag_journal_write().await {
            tracing::warn!(%fault, "the journal still names a flag that is recorded; replaying it changes nothing");
        }
    }

    async fn flag_journal_write(&self) -> Result<(), Fault> {
        let list = || self.flags.look(|table| table.held_off.values().cloned().collect());
        let written = self.flags.journal.write(&self.settings.data_dir, list).await;
        if let Err(fault) = &written {
            tracing::warn!(%fault, "the journal of flags");
        }
        written
    }
}

/// The rights were asked when the flag was switched off.
fn as_caller(actor: &Actor, kill: &Kill) -> Caller {
    Caller { actor: actor.clone(), name: actor.id.clone(), source: kill.source, grants: Vec::new() }
}

/// Whether the store, not the request, is at fault.
pub(super) fn is_outage(fault: &Fault) -> bool {
    matches!(fault.code, ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::DiskFull | ErrorCode::Internal)
}
