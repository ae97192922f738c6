//! Flags from and to the files of other products: Unleash (its export, its older state export, the client-features
//! document) and flagd.
//!
//! Reading moves nobody to another bucket where the format allows it: `groupId` and `stickiness` are kept as they are
//! written, also where they are left out. What cannot be taken, or would answer otherwise, is said line by line; nothing
//! is dropped in silence. Pure: whether a flag exists already and who may write it is for others to decide.

pub mod canonical;
mod flagd;
mod merge;
mod unleash;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Flag, FlagEnvironment, Segment, fraction::HIDDEN_SUFFIX, validate::shown};

pub use merge::fit_segments;

/// Flags one file may hold.
pub const FLAGS_MAX: usize = 10_000;
/// Lines of a report about one flag.
pub const NOTES_MAX: usize = 20;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", schema(as = FlagFormat))]
pub enum Format {
    /// Unleash's export of features (version 4 and later), and the state export of older servers (version 1 to 4).
    Unleash,
    /// The client-features document of the Unleash client API, which also Edge and the SDKs' backups hold.
    UnleashClient,
    /// A flagd flag definition.
    Flagd,
}

impl Format {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unleash => "unleash",
            Self::UnleashClient => "unleash-client",
            Self::Flagd => "flagd",
        }
    }

    /// Tells the format by the members a document has.
    pub fn detect(document: &Value) -> Option<Self> {
        let has = |name: &str| document.get(name).is_some();
        let first = document.get("features").and_then(Value::as_array).and_then(|list| list.first());
        if has("flags") {
            Some(Self::Flagd)
        } else if has("featureStrategies") || has("featureEnvironments") {
            Some(Self::Unleash)
        } else if has("events") {
            Some(Self::UnleashClient)
        } else if has("features") {
            // The oldest state exports look much like what clients get, but carry what no client is told.
            let admin = ["strategies", "tagTypes", "tags", "featureTags", "projects"].iter().any(|name| has(name))
                || first.is_some_and(|f| f.get("createdAt").is_some());
            Some(if admin { Self::Unleash } else { Self::UnleashClient })
        } else {
            None
        }
    }
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Unleash, Self::UnleashClient, Self::Flagd]
            .into_iter()
            .find(|f| f.name() == text)
            .ok_or_else(|| format!("`{text}` is no format; known are unleash, unleash-client and flagd"))
    }
}

/// How to read or write.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Where a file goes that names no environment, or only one; of a file that names several, the one to take. On
    /// writing: the one to write.
    pub environment: Option<&'a str>,
    /// Take percentages of a product whose hash differs: the shares stay, the people in them do not.
    pub allow_rebucketing: bool,
}

/// Meant where nobody names an environment.
pub const ENVIRONMENT_DEFAULT: &str = "production";

/// What became of one thing in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", schema(as = FlagImportOutcome))]
pub enum Outcome {
    /// It is not here, and why.
    Refused,
    /// It is here, but one thing about it is otherwise.
    Changed,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = FlagImportNote))]
pub struct Note {
    /// `flag KEY`, `segment ID` or `file`.
    pub about: String,
    pub outcome: Outcome,
    pub text: String,
}

/// What a file holds, in our terms.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bundle {
    pub flags: Vec<Flag>,
    pub segments: Vec<Segment>,
    /// Segments of which the file tells only the name.
    pub named_segments: BTreeMap<i64, String>,
    /// Keys of the flags of which the file names the project; the others are in the default one for want of a name.
    pub in_named_project: BTreeSet<String>,
    pub notes: Vec<Note>,
}

impl Bundle {
    pub(crate) fn refused(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.note(about.into(), Outcome::Refused, text.into());
    }

    pub(crate) fn changed(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.note(about.into(), Outcome::Changed, text.into());
    }

    fn note(&mut self, about: String, outcome: Outcome, text: String) {
        let of_it = self.notes.iter().rev().take_while(|n| n.about == about);
        if of_it.count() < NOTES_MAX {
            self.notes.push(Note { about, outcome, text });
        }
    }
}

/// Reads a file. An error is one sentence about the file as a whole; what concerns one flag is a note.
pub fn read(format: Format, document: &Value, options: Options<'_>) -> Result<Bundle, String> {
    let mut bundle = match format {
        Format::Unleash => unleash::admin::read(document, options)?,
        Format::UnleashClient => unleash::client::read(document, options)?,
        Format::Flagd => flagd::read(document, options)?,
    };
    let count = bundle.flags.len();
    if count > FLAGS_MAX {
        return Err(format!("the file has {count} flags, over the limit of {FLAGS_MAX}"));
    }
    if format != Format::Flagd {
        refuse_fractions(&mut bundle);
    }
    bundle.flags.sort_by(|a, b| a.key.cmp(&b.key));
    if let Some(pair) = bundle.flags.windows(2).find(|pair| pair[0].key == pair[1].key) {
        return Err(format!("the file has two flags called `{}`", shown(&pair[0].key)));
    }
    Ok(bundle)
}

/// Unleash has no fractions of a per cent; its SDKs make different things of one. Here it would be a third thing.
fn refuse_fractions(bundle: &mut Bundle) {
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for flag in std::mem::take(&mut bundle.flags) {
        let hidden = |d: &crate::Dependency| d.feature.ends_with(HIDDEN_SUFFIX);
        if flag.environments.values().any(FlagEnvironment::has_fraction) || flag.dependencies.iter().any(hidden) {
            refused.push(flag.key);
        } else {
            kept.push(flag);
        }
    }
    bundle.flags = kept;
    for key in refused {
        let text = "its share has a fraction of a per cent, which SDKs read differently (off, or cut to a whole one); \
                    make the flag here with the share that was meant";
        bundle.refused(format!("flag {}", shown(&key)), text);
    }
}

/// Writes one environment of these flags. What the format cannot say is left out and noted.
pub fn write(format: Format, flags: &[&Flag], segments: &[&Segment], options: Options<'_>) -> (Value, Vec<Note>) {
    match format {
        Format::Unleash => (unleash::admin::write(flags, segments, options), Vec::new()),
        Format::UnleashClient => (unleash::client::write(flags, segments, options), Vec::new()),
        Format::Flagd => flagd::write(flags, segments, options),
    }
}
