//! Sources of alerts, what they delivered, and of which alert their mails are.

use tenfold_store::{Db, alert_sources as store, alert_sources::AlertSourceRow};
use tenfold_types::Timestamp;

use crate::{NOW, write};

pub async fn run(db: &Db) {
    let row = |id: &str, body: &str| AlertSourceRow { name: "grafana".into(), id: id.into(), body: body.into() };
    let (one, two) = (row("1", "{}"), row("2", "{\"a\":1}"));
    let listed = write(db, move |tx| {
        store::put(tx, &one, NOW)?;
        store::put(tx, &two, NOW)?;
        assert_eq!((store::count(tx)?, store::get(tx, "other")?), (1, None));
        store::list(tx)
    })
    .await;
    assert_eq!(listed, [row("2", "{\"a\":1}")]);
    write(db, |tx| {
        store::taken(tx, "grafana", "d1", NOW, Timestamp(0))?;
        store::taken(tx, "grafana", "d1", NOW, Timestamp(0))?;
        assert!(store::was_taken(tx, "grafana", "d1")?);
        assert!(!store::was_taken(tx, "other", "d1")?, "each source has its own");
        store::taken(tx, "grafana", "d2", NOW.plus_ms(2), NOW.plus_ms(1))?;
        assert!(!store::was_taken(tx, "grafana", "d1")?, "old ones are forgotten");
        store::mail_put(tx, "grafana", "m1", "key", NOW, Timestamp(0))?;
        store::mail_put(tx, "grafana", "m1", "another", NOW, Timestamp(0))?;
        assert_eq!(store::mail_key(tx, "grafana", "m1")?.as_deref(), Some("key"), "the first word holds");
        assert_eq!(store::mail_key(tx, "other", "m1")?, None);
        store::beat(tx, "grafana", NOW)?;
        store::beat_late(tx, "grafana", Some(NOW.plus_ms(9)), 1)?;
        store::beat(tx, "grafana", NOW.plus_ms(10))?;
        let heard = store::beats(tx)?;
        assert_eq!(
            (heard[0].last_at, heard[0].beats, heard[0].late_at, heard[0].late_beats),
            (NOW.plus_ms(10), 2, Some(NOW.plus_ms(9)), 1),
            "being heard is not yet being told of"
        );
        store::beat_late(tx, "grafana", None, 2)?;
        assert_eq!(store::beats(tx)?[0].late_at, None);
        store::beat_not_after(tx, "grafana", NOW.plus_ms(20))?;
        assert_eq!(store::beats(tx)?[0].last_at, NOW.plus_ms(10));
        store::beat_not_after(tx, "grafana", NOW)?;
        assert_eq!(store::beats(tx)?[0].last_at, NOW);
        assert!(store::delete(tx, "grafana")?);
        assert_eq!(store::beats(tx)?.len(), 1, "its alert may still have to end");
        store::beat_forget(tx, "grafana")?;
        assert_eq!(store::beats(tx)?, []);
        assert!(!store::delete(tx, "grafana")?);
        assert!(!store::was_taken(tx, "grafana", "d2")?);
        assert_eq!(store::mail_key(tx, "grafana", "m1")?, None);
        Ok(())
    })
    .await;
}
