//! Taking flags from the files of other products, and giving them back.
//!
//! A file is taken in one transaction: all of what can be taken, or nothing. Each flag's change is told in the record as
//! if a person had made it, so that history and reverting know no difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_flags::exchange::{self, Bundle, Format, Note, Options, Outcome};
use tenfold_flags::validate::{Surroundings, validate_imported, validate_imported_segment};
use tenfold_flags::{Flag, Segment};
use tenfold_store::flags as store;
use tenfold_types::{ErrorCode, EventDraft, Fault, Timestamp};
use utoipa::ToSchema;

use super::changes::{changed_under_four_eyes, on_under_four_eyes};
use super::exchange_projects::{make, missing, settle};
use super::segments::{SEGMENTS_MAX, uses};
use super::{FLAGS_MAX, manage, put, stored};
use crate::{App, Caller, Role, Txn};

/// The largest file.
pub const IMPORT_BYTES_MAX: usize = 16 << 20;
/// Lines of one report; what is beyond is counted.
pub const NOTES_MAX: usize = 5_000;

/// Keys that the event of an import names.
const NAMED_MAX: usize = 100;

/// A file to take, and how.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagImport {
    /// The file's content.
    #[schema(value_type = Object)]
    pub document: Value,
    /// Told from the content when absent.
    #[serde(default)]
    pub format: Option<Format>,
    /// Where a file goes that names no environment or only one (else `production`); of several, the one to take.
    #[serde(default)]
    pub environment: Option<String>,
    /// Everything goes into this project, which has to be there; flags that are here already move into it. Without it a
    /// new flag goes into the project the file names, which is made where it is missing, and a flag that is here stays
    /// in its project.
    #[serde(default)]
    pub project: Option<String>,
    /// Say what would happen, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Take percentages of a product whose hash differs: the shares stay, the people in them do not.
    #[serde(default)]
    pub allow_rebucketing: bool,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FlagImportReport {
    pub format: Format,
    /// Nothing was changed; the rest says what would be.
    pub dry_run: bool,
    /// Keys of flags that are new here.
    pub created: Vec<String>,
    /// Keys of flags that were here and changed.
    pub changed: Vec<String>,
    /// Keys of flags that were so already.
    pub unchanged: Vec<String>,
    /// Keys of flags that were not taken; a note says why.
    pub refused: Vec<String>,
    /// Segments that are new here.
    pub segments: Vec<i64>,
    /// Projects that are new here: flags of the file are in them.
    pub projects: Vec<String>,
    /// The project of each flag that was taken, by its key.
    pub project_of: BTreeMap<String, String>,
    /// What was refused and what is otherwise than in the file, line by line.
    pub notes: Vec<Note>,
    /// Lines over the limit.
    pub notes_left_out: usize,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FlagExport {
    pub format: Format,
    #[schema(value_type = Object)]
    pub document: Value,
    /// What the format cannot say, and so is not in the document.
    pub notes: Vec<Note>,
}

/// What a transaction found and did.
struct Taken {
    report: FlagImportReport,
    flags: Vec<(Flag, i64)>,
    segments: Vec<Segment>,
    projects: Vec<String>,
}

impl App {
    /// Takes a file. Flags that are here already change where the file tells of them and stay as they are elsewhere.
    pub async fn flag_import(&self, who: &Caller, import: FlagImport) -> Result<FlagImportReport, Fault> {
        who.require(Role::Deployer, None, None)?;
        let detected = import.format.or_else(|| Format::detect(&import.document));
        let format = detected.ok_or_else(|| {
            Fault::invalid("the file is neither of Unleash nor of flagd")
                .advice("name its format: unleash, unleash-client or flagd")
        })?;
        if let Some(environment) = &import.environment {
            self.flag_environment(environment).await?;
        }
        if let Some(project) = &import.project {
            self.flag_project_check(project)?;
        }
        let options =
            Options { environment: import.environment.as_deref(), allow_rebucketing: import.allow_rebucketing };
        let mut bundle = exchange::read(format, &import.document, options).map_err(Fault::invalid)?;
        let (known_flags, known_segments) = self.flags.surroundings();
        exchange::fit_segments(&mut bundle, &known_segments);
        let places: BTreeSet<String> = self.environments().await?.into_iter().map(|e| e.name).collect();
        drop_unknown_places(&mut bundle, &places);
        settle(&mut bundle, import.project.as_deref(), &known_flags);
        let (who, dry_run) = (who.clone(), import.dry_run);
        let work = move |t: &mut Txn<'_>| take(t, &who, format, dry_run, bundle.clone(), &known_flags, &known_segments);
        let taken = if dry_run {
            // The same code, looking only.
            self.housekeeping(work).await?
        } else {
            self.transact(work).await?
        };
        if !dry_run {
            let now = self.now();
            self.flags.change(now, |table| {
                for name in taken.projects {
                    table.projects.entry(name).or_default();
                }
                table.segments.extend(taken.segments.into_iter().map(|s| (s.id, s)));
                taken.flags.into_iter().for_each(|(flag, version)| table.accept(flag, version));
            });
        }
        Ok(taken.report)
    }

    /// Writes the flags of an environment that are not archived.
    pub async fn flag_export(
        &self,
        format: Format,
        environment: &str,
        allow_rebucketing: bool,
    ) -> Result<FlagExport, Fault> {
        self.flag_environment(environment).await?;
        let (flags, segments) = self.flags.surroundings();
        let options = Options { environment: Some(environment), allow_rebucketing };
        let (flags, segments): (Vec<&Flag>, Vec<&Segment>) =
            (flags.values().map(|f| &**f).collect(), segments.values().collect());
        let (document, notes) = exchange::write(format, &flags, &segments, options);
        Ok(FlagExport { format, document, notes })
    }
}

fn drop_unknown_places(bundle: &mut Bundle, places: &BTreeSet<String>) {
    let mut notes = Vec::new();
    for flag in &mut bundle.flags {
        let key = flag.key.clone();
        flag.environments.retain(|name, _| {
            let known = places.contains(name);
            if !known {
                let text = format!("there is no environment `{name}` here, so its state there is not taken");
                notes.push(Note { about: format!("flag {key}"), outcome: Outcome::Changed, text });
            }
            known
        });
    }
    bundle.notes.extend(notes);
}

fn take(
    t: &mut Txn<'_>,
    who: &Caller,
    format: Format,
    dry_run: bool,
    bundle: Bundle,
    known_flags: &BTreeMap<String, Arc<Flag>>,
    known_segments: &BTreeMap<i64, Segment>,
) -> Result<Taken, Fault> {
    let now = t.now();
    let mut notes = bundle.notes;
    let mut around = (known_flags.clone(), known_segments.clone());
    let mut segments = Vec::new();
    for segment in bundle.segments {
        let about = format!("segment {}", segment.id);
        match validate_imported_segment(&segment) {
            Ok(odd) => notes.extend(odd.into_iter().map(|text| taken_as_is(&about, &text))),
            Err(fault) => {
                notes.push(Note { about, outcome: Outcome::Refused, text: fault.message });
                continue;
            }
        }
        around.1.insert(segment.id, segment.clone());
        segments.push(segment);
    }
    if around.1.len() > SEGMENTS_MAX {
        let count = around.1.len();
        return Err(Fault::invalid(format!("there would be {count} segments, over the limit of {SEGMENTS_MAX}")));
    }
    // Whom others name as a parent is there before them, in whatever order the file has them.
    around.0.extend(bundle.flags.iter().map(|f| (f.key.clone(), Arc::new(f.clone()))));
    if around.0.len() > FLAGS_MAX {
        let count = around.0.len();
        return Err(Fault::invalid(format!("there would be {count} flags, over the limit of {FLAGS_MAX}"))
            .advice("archive flags that no code asks for any more"));
    }
    let mut report = FlagImportReport {
        format,
        dry_run,
        created: Vec::new(),
        changed: Vec::new(),
        unchanged: Vec::new(),
        refused: unread(&notes, &bundle.flags),
        segments: segments.iter().map(|s| s.id).collect(),
        projects: Vec::new(),
        project_of: BTreeMap::new(),
        notes: Vec::new(),
        notes_left_out: 0,
    };
    let (mut flags, mut events) = (Vec::new(), Vec::new());
    // Parents first, so that their children are read beside what became of them.
    let mut given = bundle.flags;
    given.sort_by_key(|flag| !flag.dependencies.is_empty());
    for given in given {
        let about = format!("flag {}", given.key);
        let row = store::get(t.tx(), &given.key)?.as_ref().map(stored).transpose()?;
        let before = row.map(|(flag, _)| flag).filter(|f| !f.archived);
        let mut after = merged(format, before.as_ref(), given, &who.actor.id, now);
        let fits = validate_imported(&after, Surroundings { flags: &around.0, segments: &around.1 });
        match fits.and_then(|odd| manage::check_project(&after, &around).map(|()| odd)) {
            Ok(odd) => {
                let refused = after.dependencies.iter().filter(|d| report.refused.contains(&d.feature));
                let refused = refused.map(|d| format!("its parent `{}` was refused", d.feature));
                notes.extend(odd.into_iter().chain(refused).map(|text| taken_as_is(&about, &text)));
            }
            Err(fault) => {
                match known_flags.get(&after.key) {
                    Some(stays) => around.0.insert(after.key.clone(), stays.clone()),
                    None => around.0.remove(&after.key),
                };
                report.refused.push(after.key);
                notes.push(Note { about, outcome: Outcome::Refused, text: fault.message });
                continue;
            }
        }
        let told = match manage::changes(who, before.as_ref(), &mut after, now) {
            Err(fault) if fault.code == ErrorCode::Forbidden => return Err(fault),
            other => other?,
        };
        let list = match (&before, told.is_empty()) {
            (None, _) => &mut report.created,
            (Some(_), false) => &mut report.changed,
            (Some(_), true) => &mut report.unchanged,
        };
        list.push(after.key.clone());
        report.project_of.insert(after.key.clone(), after.project.clone());
        if !told.is_empty() {
            if let Some(place) = changed_under_four_eyes(t, before.as_ref(), &after)? {
                let key = &after.key;
                return Err(Fault::conflict(format!("this changes `{key}` in {place}, which wants a second person"))
                    .advice("take it out of the file, and change it by a change request"));
            }
            events.extend(told);
            flags.push(after);
        }
    }
    report.projects = missing(t.tx(), report.project_of.values())?;
    report.refused.sort();
    report.refused.dedup();
    report.notes_left_out = notes.len().saturating_sub(NOTES_MAX);
    notes.truncate(NOTES_MAX);
    report.notes = notes;
    let mut written = Vec::new();
    let anything = !flags.is_empty() || !segments.is_empty();
    if anything && !dry_run {
        for segment in &segments {
            for flag in around.0.values().filter(|f| uses(f, segment.id)) {
                if let Some(place) = on_under_four_eyes(t, flag)? {
                    return Err(Fault::conflict(format!(
                        "this changes the segment {}, which `{}` uses in {place}, where a second person is wanted",
                        segment.name, flag.key
                    ))
                    .advice("take it out of the file, or give it another number"));
                }
            }
            let body = serde_json::to_string(segment).map_err(|e| Fault::internal(e.to_string()))?;
            store::segment_put(t.tx(), segment.id, &body)?;
            let text = format!("{} imported the segment {}", who.actor, segment.name);
            let data = json!({"segment": segment.id, "after": segment});
            t.record(EventDraft::new(who.actor.clone(), who.source, "flag_segment.changed", text).data(data))?;
        }
        make(t, who, &report.projects)?;
        for mut flag in flags {
            let version = put(t, &mut flag, &who.actor.id)?;
            written.push((flag, version));
        }
        for event in events {
            t.record(event)?;
        }
        record_import(t, who, &report)?;
    }
    let projects = report.projects.clone();
    Ok(Taken { report, flags: written, segments, projects })
}

fn record_import(t: &mut Txn<'_>, who: &Caller, report: &FlagImportReport) -> Result<(), Fault> {
    let (created, changed, refused) = (report.created.len(), report.changed.len(), report.refused.len());
    let text = format!(
        "{} imported flags from a file of {}: {created} new, {changed} changed, {refused} refused",
        who.actor,
        report.format.name()
    );
    // Each flag has an event of its own; here the first few are named.
    let first = |list: &[String]| list.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>();
    let data = json!({
        "format": report.format,
        "created": first(&report.created),
        "changed": first(&report.changed),
        "refused": first(&report.refused),
        "counts": {"created": created, "changed": changed, "refused": refused},
    });
    t.record(EventDraft::new(who.actor.clone(), who.source, "flags.imported", text).data(data))?;
    Ok(())
}

/// Flags of the file that could not be read at all.
fn unread(notes: &[Note], read: &[Flag]) -> Vec<String> {
    let read: BTreeSet<&str> = read.iter().map(|f| f.key.as_str()).collect();
    let refused = notes.iter().filter(|n| n.outcome == Outcome::Refused);
    let keys = refused.filter_map(|n| n.about.strip_prefix("flag "));
    keys.filter(|key| !read.contains(key)).map(str::to_owned).collect()
}

fn taken_as_is(about: &str, text: &str) -> Note {
    Note { about: about.to_owned(), outcome: Outcome::Changed, text: format!("taken as it is: {text}") }
}

/// The flag of the file over the one that is here. What the format does not tell stays.
fn merged(format: Format, before: Option<&Flag>, given: Flag, by: &str, now: Timestamp) -> Flag {
    let Some(before) = before else {
        let created_at = if given.created_at == Timestamp::default() { now } else { given.created_at };
        let owner = if given.owner.is_empty() { by.to_owned() } else { given.owner.clone() };
        return Flag { created_at, owner, ..given };
    };
    let mut after = before.clone();
    after.project = given.project;
    after.value_type = given.value_type;
    if format != Format::Flagd {
        after.description = given.description;
        after.kind = given.kind;
        after.impression_data = given.impression_data;
        after.marked_stale = given.marked_stale;
        after.dependencies = given.dependencies;
    }
    if format == Format::Unleash {
        after.tags = given.tags;
    }
    for (name, state) in given.environments {
        let here = after.environments.entry(name).or_default();
        here.enabled = state.enabled;
        here.off_value = state.off_value;
        here.strategies = state.strategies;
        here.variants = state.variants;
    }
    after
}
