//! What is done about sealed columns before a store is used: a key that does not open them is refused, and what is plain text or
//! sealed with an older key is sealed with the first one.

use super::{COLUMNS, Column, PREFIX, Sealer};
use crate::{StoreError, Value, cursors, engine::Link, tx::Tx};

/// Rows sealed in one transaction.
const BATCH_ROWS: usize = 500;
/// The cursor that holds a sealed text: who cannot open it has not the keys of this database.
const MARK: &str = "sealing";
const MARK_COLUMN: Column = Column::new("cursors", "value", &["name"]);
const MARK_TEXT: &str = "tenfold";
/// The cursor that says that plain text was sealed and may still lie in free pages.
const TRACES: &str = "sealing_traces";
const YES: &str = "yes";

/// Brings every sealed column up to the first key. Other nodes may write meanwhile.
///
/// # Errors
/// [`StoreError::Sealed`] when something is sealed with a key that is not there; what was sealed before that stays so.
pub(crate) fn bring_up<L: Link>(link: &mut L, sealer: &Sealer) -> Result<(), StoreError> {
    in_transaction(link, |tx| mark(tx, sealer, false))?;
    let mut plain = 0;
    for column in COLUMNS {
        let mut after = Some(vec![String::new(); column.key.len()]);
        while let Some(key) = after {
            let batch = in_transaction(link, |tx| seal_batch(tx, sealer, column, &key))?;
            plain += batch.plain;
            after = batch.last;
        }
    }
    if plain > 0 {
        tracing::info!(plain, "what stood in the database as plain text was sealed");
    }
    let traces = in_transaction(link, |tx| {
        mark(tx, sealer, true)?;
        cursors::get_text(tx, TRACES)
    })?;
    if traces.as_deref() != Some(YES) {
        return Ok(());
    }
    match link.scrub() {
        Ok(()) => in_transaction(link, |tx| cursors::set_text(tx, TRACES, "")),
        Err(error) => {
            tracing::warn!(%error, "plain text that was sealed may still lie in free pages of the database; the next start tries again");
            Ok(())
        }
    }
}

/// Refuses when the mark does not open. Makes one where there is none, and with `renew` where it is an older key's.
fn mark(tx: &mut dyn Tx, sealer: &Sealer, renew: bool) -> Result<(), StoreError> {
    if let Some(mark) = cursors::get_text(tx, MARK)? {
        sealer.open(&MARK_COLUMN, &[MARK], &mark)?;
        if !renew || mark.starts_with(&sealer.current()) {
            return Ok(());
        }
    }
    cursors::set_text(tx, MARK, &sealer.seal(&MARK_COLUMN, &[MARK], MARK_TEXT)?)
}

struct Batch {
    /// How many were plain text.
    plain: u64,
    /// The key of the last row, when there may be more.
    last: Option<Vec<String>>,
}

/// Seals the first rows behind `after` that the first key has not sealed.
fn seal_batch(tx: &mut dyn Tx, sealer: &Sealer, what: &Column, after: &[String]) -> Result<Batch, StoreError> {
    let Column { table, name: column, key } = what;
    let (current, names) = (sealer.current(), key.join(", "));
    let places = |first: usize| (first..).map(|n| format!("${n}"));
    let behind = places(2).take(key.len()).collect::<Vec<_>>().join(", ");
    let select = format!(
        "SELECT {names}, {column} FROM {table} WHERE {column} <> '' AND substr({column}, 1, {}) <> $1
           AND ({names}) > ({behind}) ORDER BY {names} LIMIT {BATCH_ROWS}",
        current.len()
    );
    let here =
        key.iter().zip(places(3)).map(|(name, place)| format!("{name} = {place}")).collect::<Vec<_>>().join(" AND ");
    let update = format!("UPDATE {table} SET {column} = $1 WHERE {column} = $2 AND {here}");

    let mut params = vec![Value::from(current)];
    params.extend(after.iter().map(Value::from));
    let rows = tx.query(&select, &params)?;
    let mut batch = Batch { plain: 0, last: None };
    for row in &rows {
        let of = (0..key.len()).map(|at| row.text(at)).collect::<Result<Vec<_>, _>>()?;
        let stored = row.text(key.len())?;
        let text = sealer.open(what, &of, stored)?;
        let mut params = vec![Value::from(sealer.seal(what, &of, &text)?), Value::from(stored)];
        params.extend(of.iter().map(|part| Value::from(*part)));
        tx.execute(&update, &params)?;
        batch.plain += u64::from(!stored.starts_with(PREFIX));
        if rows.len() == BATCH_ROWS {
            batch.last = Some(of.iter().map(|part| (*part).to_owned()).collect());
        }
    }
    if batch.plain > 0 {
        cursors::set_text(tx, TRACES, YES)?;
    }
    Ok(batch)
}

fn in_transaction<L: Link, T>(
    link: &mut L,
    f: impl FnOnce(&mut dyn Tx) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    link.begin(true)?;
    match f(link.as_tx()) {
        Ok(done) => link.commit().map(|()| done),
        Err(error) => {
            link.rollback();
            Err(error)
        }
    }
}
