//! The way back of a deploy that got worse after its promotion: tried until a rollback of it succeeded, through restarts and
//! refusals. Whatever keeps it from going back calls people once.

use std::time::Duration;

use serde_json::json;
use tenfold_store::deploys::{self as store, DeployRow};
use tenfold_store::events;
use tenfold_types::{Fault, Severity, Timestamp};

use super::after::{LOOK, Next, incident, said, told};
use super::stored::Stored;
use crate::incidents::open_by_guard;
use crate::{App, Caller};

/// Rollbacks that are begun by themselves; then it is people's.
const TRIES_MAX: usize = 3;
/// Between two tries: what was refused will hardly be granted a moment later.
const AGAIN: Duration = Duration::from_secs(15);
const STAYS: &str = "deploy.stays_worse";

/// How far the way back has come.
enum Way {
    /// A rollback of it succeeded.
    Back,
    /// A rollback of it, or something newer, is under way.
    Busy,
    /// Something keeps it from going back, in words; and when to try (or look) again.
    Stuck(String, Next),
    Free,
}

impl App {
    pub(super) async fn deploy_way_back(&self, stored: &Stored, why: &str) -> Result<Next, Fault> {
        match self.deploy_way(stored).await? {
            Way::Back => Ok(Next::Never),
            Way::Busy => Ok(soon(self.now(), LOOK)),
            Way::Stuck(what, next) => {
                self.deploy_stays(stored, &what).await?;
                Ok(next)
            }
            Way::Free => {
                let reason = why.chars().take(500).collect();
                let begun = Box::pin(self.deploy_rollback(&Caller::system(), stored.number, Some(reason))).await;
                let Err(refused) = begun else { return Ok(soon(self.now(), LOOK)) };
                // Another server may have been faster.
                if matches!(self.deploy_way(stored).await?, Way::Free) {
                    self.deploy_stays(stored, &refused.message).await?;
                }
                Ok(soon(self.now(), AGAIN))
            }
        }
    }

    async fn deploy_way(&self, stored: &Stored) -> Result<Way, Fault> {
        let (number, service, environment) = (stored.number, stored.service.clone(), stored.environment.clone());
        let (tries, open) = self
            .read(move |tx| {
                let open = store::deploy_unfinished(tx, &service, &environment)?;
                Ok((store::deploy_rollbacks(tx, number)?, open.map(|row| Stored::from_row(&row)).transpose()?))
            })
            .await?;
        let now = self.now();
        if tries.iter().any(|t| t.state == "succeeded") {
            return Ok(Way::Back);
        }
        if let Some(open) = open {
            // Another deploy that waits for a person is taken over by the way back.
            return Ok(match open.run.state.waits_for_person() {
                true if open.reverts == Some(number) => {
                    let why = open.run.error.unwrap_or_default();
                    Way::Stuck(format!("its rollback {} waits for a person: {why}", open.number), soon(now, LOOK))
                }
                true => Way::Free,
                false => Way::Busy,
            });
        }
        let Some(last) = tries.first() else { return Ok(Way::Free) };
        let next_at = last.finished_at.unwrap_or(last.started_at).plus_ms(ms(AGAIN));
        Ok(match () {
            () if tries.len() >= TRIES_MAX => Way::Stuck(ended(last, "and is not tried again"), Next::Never),
            () if now < next_at => Way::Stuck(ended(last, "and will be tried again"), Next::At(next_at)),
            () => Way::Free,
        })
    }

    /// Calls people once for a release that stays though it was found to be worse.
    async fn deploy_stays(&self, stored: &Stored, why: &str) -> Result<(), Fault> {
        let (stored, why) = (stored.clone(), why.to_owned());
        self.transact(move |t| {
            if !events::list(t.tx(), &said(stored.number, &[STAYS]))?.is_empty() {
                return Ok(());
            }
            let title = format!("{} {} got worse and did not go back", stored.service, stored.short_sha());
            let what = format!("it got worse after the promotion and is still there: {why}; people are called");
            let mut event = told(&stored, STAYS, &what, json!({"number": stored.number, "why": why}));
            event.subject.incident = open_by_guard(t, incident(&stored, title, t.now()))?;
            t.record(event.severity(Severity::Critical))?;
            Ok(())
        })
        .await
    }
}

fn ended(last: &DeployRow, then: &str) -> String {
    format!("its rollback {} is {} {then}", last.number, last.state.replace('_', " "))
}

fn soon(now: Timestamp, after: Duration) -> Next {
    Next::At(now.plus_ms(ms(after)))
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
