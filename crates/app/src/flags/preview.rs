//! "Who gets it?": a flag as it is stored and as somebody is editing it, asked side by side. Writes nothing, counts nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenfold_flags::explain::{Explainer, Explanation};
use tenfold_flags::validate::Surroundings;
use tenfold_flags::{Context, Flag, Moment};
use tenfold_types::Fault;
use utoipa::ToSchema;

use super::manage::{Known, apply, check};
use super::not_found;
use super::views::FlagUpdate;
use crate::App;

/// Ids that one question may list.
pub const PREVIEW_IDS_MAX: usize = 1_000;
/// Longer ids are refused.
const ID_BYTES_MAX: usize = 1_000;

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagPreviewQuestion {
    pub environment: String,
    /// `userId` (or `targetingKey`), `sessionId`, `remoteAddress`, `appName`, `currentTime` and any property.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
    /// A change that is not stored yet, as `PUT` would take it; what is absent is as stored.
    #[serde(default)]
    pub edited: Option<FlagUpdate>,
    /// Also ask for each of these, at most 1,000, in place of `id_field` of the context.
    #[serde(default)]
    pub ids: Vec<String>,
    /// `userId` where it is absent.
    #[serde(default)]
    pub id_field: Option<String>,
}

/// What somebody with that context gets, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlagPreview {
    /// Absent when there is no such flag yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Explanation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Explanation>,
    /// Why `PUT` would refuse the edited definition; it is then not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<FlagPreviewIds>,
}

/// How many of the ids, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlagPreviewIds {
    pub asked: usize,
    /// Ids by what they get: a variant's name, else `on` or `off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<BTreeMap<String, usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<BTreeMap<String, usize>>,
    /// In the order asked.
    pub rows: Vec<FlagPreviewRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlagPreviewRow {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<String>,
}

/// What is asked, once the definitions are at hand.
struct Question {
    environment: String,
    context: Context,
    moment: Moment,
    ids: Vec<String>,
    id_field: String,
}

impl App {
    /// Explains what somebody gets, of the flag as stored and as edited.
    pub async fn flag_preview(&self, key: &str, asked: FlagPreviewQuestion) -> Result<FlagPreview, Fault> {
        let environment = self.flag_environment(&asked.environment).await?.name.clone();
        check_ids(&asked.ids)?;
        let mut context = self.flag_context(&environment, &asked.context)?;
        // Asked for one person and many, chance must not differ between stored and edited.
        let moment = self.flag_moment();
        let id_field = asked.id_field.unwrap_or_else(|| "userId".into());
        if !asked.context.contains_key("currentTime") {
            context.set("currentTime", moment.now.to_string());
        }
        let (stored, held, known) = self.flags.look(|table| {
            let stored = table.flags.get(key).map(|e| e.flag.clone()).filter(|f| !f.archived);
            (stored, table.held_off.contains_key(&(key.to_owned(), environment.clone())), table.surroundings())
        });
        if stored.is_none() && asked.edited.is_none() {
            return Err(not_found(key));
        }
        let edited = match &asked.edited {
            None => None,
            Some(update) => {
                for name in update.environments.keys() {
                    self.flag_environment(name).await?;
                }
                Some(edit(key, stored.as_deref(), update))
            }
        };
        let question = Question { environment, context, moment, ids: asked.ids, id_field };
        let stored = stored.map(|flag| as_answered(&flag, &question.environment, held));
        let work = move || answer(stored.as_ref(), edited.as_ref(), &question, &known);
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| Fault::internal(format!("the preview did not come to an end: {e}")))
    }
}

fn check_ids(ids: &[String]) -> Result<(), Fault> {
    if ids.len() > PREVIEW_IDS_MAX {
        return Err(Fault::invalid(format!("{} ids are asked for, over the limit of {PREVIEW_IDS_MAX}", ids.len()))
            .advice("ask for some of them; a thousand show the share to within a few per cent"));
    }
    match ids.iter().map(String::len).find(|bytes| *bytes > ID_BYTES_MAX) {
        Some(bytes) => Err(Fault::invalid(format!("an id has {bytes} bytes, over the limit of {ID_BYTES_MAX}"))),
        None => Ok(()),
    }
}

/// A flag that was switched off while the database was away answers off, whatever is stored.
fn as_answered(flag: &Arc<Flag>, environment: &str, held: bool) -> Flag {
    let mut flag = Flag::clone(flag);
    if let Some(state) = flag.environments.get_mut(environment) {
        state.enabled &= !held;
    }
    flag
}

fn edit(key: &str, stored: Option<&Flag>, update: &FlagUpdate) -> Flag {
    let mut flag = stored.cloned().unwrap_or_else(|| Flag::new(key));
    apply(&mut flag, update, "");
    flag.normalize();
    flag
}

fn answer(stored: Option<&Flag>, edited: Option<&Flag>, question: &Question, known: &Known) -> FlagPreview {
    let around = Surroundings { flags: &known.0, segments: &known.1 };
    let refused = edited.and_then(|flag| check(flag, known).err()).map(|fault| fault.message);
    let explainer = |flag: &Flag| Explainer::new(flag, &question.environment, around);
    let stored = stored.map(explainer);
    // What would be refused has no limits, and is not evaluated.
    let edited = edited.filter(|_| refused.is_none()).map(explainer);
    let explain = |e: &Explainer<'_>| e.explain(&question.context, question.moment);
    FlagPreview {
        saved: stored.as_ref().map(explain),
        edited: edited.as_ref().map(explain),
        refused,
        ids: (!question.ids.is_empty()).then(|| ids(stored.as_ref(), edited.as_ref(), question)),
    }
}

fn ids(stored: Option<&Explainer<'_>>, edited: Option<&Explainer<'_>>, question: &Question) -> FlagPreviewIds {
    let gets = |explainer: Option<&Explainer<'_>>, context: &Context, moment: Moment| {
        explainer.map(|e| e.answer(context, moment).variant)
    };
    let rows = (0..).zip(&question.ids).map(|(i, id): (u32, _)| {
        let context = question.context.clone().with(&question.id_field, id.as_str());
        // Each id its own dice, where chance decides.
        let moment = Moment { random: question.moment.random.wrapping_add(i), ..question.moment };
        let [saved, edited] = [stored, edited].map(|e| gets(e, &context, moment));
        FlagPreviewRow { id: id.clone(), saved, edited }
    });
    let rows: Vec<_> = rows.collect();
    let tally = |side: fn(&FlagPreviewRow) -> Option<&String>| {
        let mut counts = BTreeMap::new();
        for name in rows.iter().filter_map(side) {
            *counts.entry(name.clone()).or_insert(0) += 1;
        }
        counts
    };
    FlagPreviewIds {
        asked: rows.len(),
        saved: stored.map(|_| tally(|r| r.saved.as_ref())),
        edited: edited.map(|_| tally(|r| r.edited.as_ref())),
        rows,
    }
}
