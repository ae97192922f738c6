//! Text search over the record, the one place whose SQL differs between the databases.
//!
//! Text is cut into lower-case words here, not by the database, so that both find the same events.
//! SQLite keeps an FTS5 index without content, PostgreSQL a `tsvector` with a GIN index.
//!
//! Events are indexed behind their transactions, many at a time: in a storm the index costs as much as the events do, and
//! whoever is to be woken waits for the events alone. Who searches has what is missing indexed first.

use std::borrow::Cow;

use crate::{
    Row, StoreError, Value, cursors, params,
    tx::{Dialect, Tx},
};

/// The mark of the last event that is in the index.
const MARK: &str = "events_search";
/// Events indexed in one transaction: whoever writes meanwhile waits for it, also on other nodes.
const AT_ONCE: i64 = 256;
/// Events in one statement on PostgreSQL, where each is a way over the network.
const ROWS_MAX: usize = 64;

/// How many words of a query are looked at.
const QUERY_WORDS_MAX: usize = 16;
/// How many bytes of an event's words are indexed.
const INDEXED_BYTES_MAX: usize = 16_384;

pub(crate) fn ddl(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Sqlite => &["CREATE VIRTUAL TABLE events_search USING fts5 \
             (words, content = '', detail = 'none', columnsize = 0, tokenize = 'unicode61 remove_diacritics 0')"],
        Dialect::Postgres => &[
            "CREATE TABLE events_search (seq BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)",
            "CREATE INDEX events_search_words ON events_search USING gin (words)",
        ],
    }
}

/// Whether events up to `last` are missing in the index.
pub(crate) fn is_behind(tx: &mut dyn Tx, last: i64) -> Result<bool, StoreError> {
    Ok(cursors::get(tx, MARK)?.unwrap_or(0) < last)
}

/// Puts the oldest events that are missing into the index. Answers whether more are, up to `last`. Writers come one after
/// another, on all nodes, so that none sees the mark of another that is not done.
pub(crate) fn catch_up(tx: &mut dyn Tx, last: i64) -> Result<bool, StoreError> {
    let from = cursors::get(tx, MARK)?.unwrap_or(0);
    let found = tx.query(
        &format!(
            "SELECT seq, text, kind, actor_id, service, environment, host, flag, alert, correlation \
             FROM events WHERE seq > $1 ORDER BY seq LIMIT {AT_ONCE}"
        ),
        params![from],
    )?;
    let mut rows = Vec::with_capacity(found.len());
    for row in &found {
        rows.push((row.int(0)?, indexed(&searchable(row)?)));
    }
    // Where the end of the record is cut off, nothing is left to be done.
    let Some(newest) = rows.last().map(|(seq, _)| *seq) else { return Ok(false) };
    index(tx, &rows)?;
    cursors::set(tx, MARK, newest)?;
    Ok(newest < last)
}

/// What the search looks at.
fn searchable(row: &Row) -> Result<String, StoreError> {
    let mut text = String::new();
    for column in 1..=9 {
        if let Some(part) = row.opt_text(column)? {
            text.push_str(part);
            text.push(' ');
        }
    }
    Ok(text)
}

/// The words of an event, as the index takes them.
fn indexed(text: &str) -> String {
    let mut out = String::new();
    for word in words(text) {
        if out.len() + word.len() > INDEXED_BYTES_MAX {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&word);
    }
    out
}

/// Puts the words of events, each by its `seq`, into the index.
fn index(tx: &mut dyn Tx, rows: &[(i64, String)]) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Sqlite {
        for (seq, words) in rows {
            tx.execute("INSERT INTO events_search (rowid, words) VALUES ($1, $2)", params![*seq, words.as_str()])?;
        }
        return Ok(());
    }
    for some in rows.chunks(ROWS_MAX) {
        // Filled up with the last to a power of two, so that few texts are prepared.
        let fill = some.last().into_iter().cycle().take(some.len().next_power_of_two() - some.len());
        let (mut places, mut values) = (Vec::new(), Vec::new());
        for (seq, words) in some.iter().chain(fill) {
            values.push(Value::Int(*seq));
            values.push(Value::Text(words.clone()));
            let n = values.len();
            places.push(format!(
                "(CAST(${} AS BIGINT), array_to_tsvector(string_to_array(CAST(${n} AS TEXT), ' ')))",
                n - 1
            ));
        }
        // A program of an older version on the same database indexes its own events at once.
        let sql =
            format!("INSERT INTO events_search (seq, words) VALUES {} ON CONFLICT (seq) DO NOTHING", places.join(", "));
        tx.execute(&sql, &values)?;
    }
    Ok(())
}

/// The condition on `e.seq` that keeps the events with all words of `query` (the last one may be the
/// start of a word), with its parameter at `$number`. `None` when the query has no word.
pub(crate) fn condition(dialect: Dialect, query: &str, number: usize) -> Option<(String, Value)> {
    let words: Vec<Cow<'_, str>> = words(query).take(QUERY_WORDS_MAX).collect();
    let last = words.len().checked_sub(1)?;
    let (join, prefix, sql) = match dialect {
        Dialect::Sqlite => {
            (" AND ", " *", format!("e.seq IN (SELECT rowid FROM events_search WHERE events_search MATCH ${number})"))
        }
        Dialect::Postgres => (
            " & ",
            ":*",
            format!(
                "e.seq IN (SELECT s.seq FROM events_search s WHERE s.words @@ CAST(CAST(${number} AS TEXT) AS TSQUERY))"
            ),
        ),
    };
    let quote = if dialect == Dialect::Sqlite { '"' } else { '\'' };
    let terms: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(i, word)| format!("{quote}{word}{quote}{}", if i == last { prefix } else { "" }))
        .collect();
    Some((sql, Value::Text(terms.join(join))))
}

/// Lower-case runs of letters and digits.
fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(lower_case)
}

fn lower_case(word: &str) -> Cow<'_, str> {
    let is_already = word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    if is_already { Cow::Borrowed(word) } else { Cow::Owned(word.to_lowercase()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_words_and_nothing_else() {
        let (_, sqlite) = condition(Dialect::Sqlite, "host-1 NEAR(\"x' upl", 1).unwrap();
        assert_eq!(sqlite, Value::from(r#""host" AND "1" AND "near" AND "x" AND "upl" *"#));
        let (_, postgres) = condition(Dialect::Postgres, "new_uploader' | !b", 1).unwrap();
        assert_eq!(postgres, Value::from("'new' & 'uploader' & 'b':*"));
        assert!(condition(Dialect::Sqlite, " -- ", 1).is_none());
    }
}
