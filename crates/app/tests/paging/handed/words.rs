//! What a life is told, and what it says: one JSON line for each thing, in the order in which they happen. A line that was
//! said is out of the process, and no kill takes it back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenfold_store::Db;

/// What the nodes share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Database {
    /// A file that the two nodes of one process take for a database of several.
    Sqlite,
    /// How to connect to it.
    Postgres(String),
}

impl Database {
    pub async fn open(&self, dir: &Path) -> Db {
        let sealer = tenfold_testkit::sealer();
        let opened = match self {
            Self::Sqlite => Db::open_sqlite(dir.join("state.db"), sealer).await,
            Self::Postgres(url) => Db::open_postgres(url.as_str(), sealer).await,
        };
        opened.expect("the store opens")
    }

    /// That others write as well is all that a node is told by it.
    pub fn url(&self) -> &str {
        match self {
            Self::Sqlite => "a file of two nodes",
            Self::Postgres(url) => url,
        }
    }
}

/// What a life begins with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub dir: PathBuf,
    pub database: Database,
    pub seed: u64,
    /// What its clock shows first; never before what the clock of the life before it showed.
    pub now_ms: i64,
    /// By the numbers of their alerts.
    pub senders: Vec<Sender>,
    /// Alerts that the store refuses to write, and until when.
    pub broken: BTreeMap<u64, i64>,
    /// The number of the next request that nobody can read.
    pub nonsense: u64,
    /// Nobody says anything new, the webhook takes everything, and time passes.
    pub rests: bool,
}

/// The last word that the sender of an alert has said, and the last one that was answered. It says the next one when the one
/// before was answered, and until then the same again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    pub asked: u32,
    pub answered: u32,
}

/// Words of one alert: it begins twice, which is less than what flaps.
pub const WORDS_MAX: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    pub alert: u64,
    /// From 1 on.
    pub number: u32,
}

impl Word {
    /// It begins; else it is over.
    pub const fn fires(self) -> bool {
        is_firing(self.number)
    }
}

/// Whether an alert fires after so many words.
pub const fn is_firing(words: u32) -> bool {
    words % 2 == 1
}

/// Its sender names it by a key.
pub const fn is_keyed(alert: u64) -> bool {
    alert % 2 == 1
}

const PREFIX: &str = "alert-";

pub fn name(alert: u64) -> String {
    format!("{PREFIX}{alert}")
}

pub fn number(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// The annotation with the number of a word.
pub const WORD: &str = "word";

/// What somebody asks of a node. Each answer is a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// One request with words on some alerts, to a node.
    Say { at: usize, words: Vec<Word> },
    /// Puts a request that no version can read, as one with another mind might have.
    Nonsense(u64),
    /// Tries once more what was kept aside.
    Again,
    /// Forgets what was kept aside.
    Forget,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// What the clock shows from now on.
    Clock(i64),
    /// The store refuses what is written of the alert, until then.
    Breaks(u64, i64),
    Mended(u64),
    Asks(Ask),
    Answered(Ask),
    Refused(Ask, String),
    /// What was due is done, with what went wrong.
    TickEnds(Option<String>),
    /// The webhook has a message.
    Told {
        alert: u64,
        fires: bool,
    },
    /// While nothing is under way: the alerts that fire of which it is stored that the webhook was told so.
    Knows(BTreeSet<u64>),
    /// A life that rests has nothing more to say.
    Rested,
}

/// A request that is kept in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Words(Vec<Word>),
    Nonsense(u64),
}

pub fn nonsense(number: u64) -> String {
    serde_json::json!({"nonsense": number}).to_string()
}

impl Kept {
    /// Reads a body of the inbox. None is written but those of this test.
    pub fn read(body: &str) -> Self {
        let body: Value = serde_json::from_str(body).expect("it is JSON");
        if let Some(number) = body["nonsense"].as_u64() {
            return Self::Nonsense(number);
        }
        let said = body["posted"].as_array().or_else(|| body["keyed"]["said"].as_array());
        let word = |one: &Value| {
            let alert = number(one["labels"]["alertname"].as_str()?)?;
            let number = one["annotations"][WORD].as_str()?.parse().ok()?;
            Some(Word { alert, number })
        };
        let words = said.and_then(|said| said.iter().map(word).collect());
        Self::Words(words.unwrap_or_else(|| panic!("nobody said {body}")))
    }
}

#[test]
fn what_is_kept_is_read() {
    let labels = serde_json::json!({"alertname": name(7), "service": "photos"});
    let one = serde_json::json!({"labels": labels, "annotations": {WORD: "2"}});
    let words = Kept::Words(vec![Word { alert: 7, number: 2 }]);
    for body in [serde_json::json!({"posted": [one]}), serde_json::json!({"keyed": {"said": [one]}})] {
        assert_eq!(Kept::read(&body.to_string()), words, "{body}");
    }
    assert_eq!(Kept::read(&nonsense(5)), Kept::Nonsense(5));
}
