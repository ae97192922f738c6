//! The server's clock may be set back. What was to come then lies as much farther ahead: steps of escalations, ways of pages,
//! news of them and digests would wait for an hour, or a day. They are moved by what the clock was moved.
//!
//! A clock that jumps ahead needs nothing: each look takes at most one step of an escalation, and its time runs from there.

use tenfold_store::{digests, incidents as store, page_updates as updates};
use tenfold_types::Fault;

use super::stored::Incident;
use crate::{
    App,
    alerts::{BACK_MS_MIN, Lease},
};

/// Moves what waits when the clock stands before the last look of this process.
pub(super) async fn follow(app: &App, lease: &Lease) -> Result<(), Fault> {
    let now = app.now();
    let before = *app.incidents.looked_at.lock();
    let back_ms = before.map_or(0, |before| before.since_ms(now));
    if back_ms >= BACK_MS_MIN {
        tracing::warn!(back_ms, "the clock was set back; pages and all that waits with them are moved with it");
        let lease = lease.clone();
        // When something is due is no state of the product; that it is done is recorded.
        app.housekeeping(move |t| {
            lease.check(t)?;
            for row in store::open(t.tx())? {
                let mut incident = Incident::read(&row)?;
                let Some(escalation) = &mut incident.body.escalation else { continue };
                if let Some(next_at) = escalation.next_at_mut() {
                    *next_at = next_at.plus_ms(-back_ms);
                    incident.write(t.tx())?;
                }
            }
            store::deliveries_move(t.tx(), -back_ms)?;
            updates::move_due(t.tx(), -back_ms)?;
            digests::move_due(t.tx(), -back_ms)?;
            Ok(())
        })
        .await?;
    }
    *app.incidents.looked_at.lock() = Some(now);
    Ok(())
}
