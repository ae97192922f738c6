//! Text search over the record, the one place whose SQL differs between the databases.
//!
//! Text is cut into lower-case words here, not by the database, so that both find the same events.
//! SQLite keeps an FTS5 index without content, PostgreSQL a `tsvector` with a GIN index.

use std::borrow::Cow;

use crate::{
    StoreError, Value,
    tx::{Dialect, Tx},
};

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

/// Puts the words of event `seq` into the index.
pub(crate) fn index(tx: &mut dyn Tx, seq: i64, text: &str) -> Result<(), StoreError> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => "INSERT INTO events_search (rowid, words) VALUES ($1, $2)",
        Dialect::Postgres => {
            "INSERT INTO events_search (seq, words) VALUES ($1, array_to_tsvector(string_to_array($2, ' ')))"
        }
    };
    let mut indexed = String::new();
    for word in words(text) {
        if indexed.len() + word.len() > INDEXED_BYTES_MAX {
            break;
        }
        if !indexed.is_empty() {
            indexed.push(' ');
        }
        indexed.push_str(&word);
    }
    tx.execute(sql, &[Value::Int(seq), Value::Text(indexed)]).map(|_| ())
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
