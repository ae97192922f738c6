//! Rule files: putting, deleting, listing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tenfold_alerting::{GROUPS_MAX, RuleFile, close_all, parse_rules};
use tenfold_store::{alerts as store, events::EventQuery};
use tenfold_types::{ErrorCode, EventDraft, Fault};

use super::{
    groups::{self, identity},
    linting,
    pipeline::Outcome,
    several, transitions,
    views::{RuleGroupView, group_view},
    webhooks,
};
use crate::{App, Caller, Role, people::check_name};

/// What a file was and is stands in the record up to this length together; JSON may write it twice as long.
const TEXTS_BYTES_MAX: usize = 100_000;

/// What the changes of a rule file have in common in the record.
fn changes_of(name: &str) -> String {
    format!("rule_file:{name}")
}

/// How a rule file is changed.
#[derive(Debug, Clone, Default)]
pub struct RuleChange {
    /// The version that was edited; refused when it is another by now.
    pub edited: Option<String>,
    /// What the record says of it, in place of "Ana changed the rule file photos".
    pub text: Option<String>,
    /// What the event holds besides: an object, or null.
    pub data: Value,
}

/// The version of a rule file: a digest of its text.
pub fn rule_file_version(yaml: &str) -> String {
    blake3::hash(yaml.as_bytes()).to_hex()[..16].to_owned()
}

/// Reads a rule file and checks every expression; errors name line and key.
fn read(name: &str, yaml: &str) -> Result<RuleFile, Fault> {
    let file = parse_rules(yaml).map_err(|e| Fault::invalid(format!("the rule file {name}: {e}")))?;
    for rule in file.groups.iter().flat_map(|g| &g.rules) {
        if let Err(e) = tenfold_promql::parse(rule.expr()) {
            let (line, rule) = (rule.line(), rule.name());
            return Err(Fault::invalid(format!("the rule file {name}: line {line}: `expr` of {rule}: {e}"))
                .advice("try the expression on the Graphs page"));
        }
    }
    Ok(file)
}

impl App {
    /// The groups with the state of their rules and all their alerts.
    pub fn rules(&self) -> Vec<RuleGroupView> {
        let groups = self.alerts.groups.read().clone();
        groups.iter().map(|g| group_view(g, usize::MAX)).collect()
    }

    /// The text of a rule file.
    pub async fn rule_file(&self, name: &str) -> Result<String, Fault> {
        let key = name.to_owned();
        let files = self.read(|tx| Ok(store::rule_files(tx)?)).await?;
        let file = files.into_iter().find(|f| f.name == key);
        file.map(|f| f.yaml).ok_or_else(|| Fault::not_found(format!("there is no rule file `{name}`")))
    }

    /// Names and texts of all rule files.
    pub async fn rule_files(&self) -> Result<Vec<(String, String)>, Fault> {
        let files = self.read(|tx| Ok(store::rule_files(tx)?)).await?;
        Ok(files.into_iter().map(|f| (f.name, f.yaml)).collect())
    }

    /// Makes or replaces a rule file. Alerts of rules that stay go on; those of rules that are gone end.
    pub async fn rules_put(&self, who: &Caller, name: &str, yaml: &str) -> Result<Vec<RuleGroupView>, Fault> {
        self.rules_put_over(who, name, yaml, RuleChange::default()).await
    }

    /// The same, over the version that was edited.
    pub async fn rules_put_over(
        &self,
        who: &Caller,
        name: &str,
        yaml: &str,
        change: RuleChange,
    ) -> Result<Vec<RuleGroupView>, Fault> {
        who.require(Role::Deployer, None, None)?;
        check_name("rule file", name)?;
        let file = read(name, yaml)?;
        linting::accepted(self.settings.alerts.lint, name, &file)?;
        self.check_against_others(name, &file).await?;
        self.rules_write(who, name, Some(yaml), &file, change).await?;
        Ok(self.rules_of_file(name))
    }

    /// Puts back what a rule file was before it was changed last, and answers with the text that holds now. Said twice it
    /// takes itself back.
    pub async fn rules_undo(&self, who: &Caller, name: &str, edited: Option<String>) -> Result<String, Fault> {
        who.require(Role::Deployer, None, None)?;
        let now = self.rule_file(name).await?;
        let query =
            EventQuery { correlation: Some(changes_of(name)), limit: 1, include_admin: true, ..EventQuery::default() };
        let last = self.events(query).await?.into_iter().next();
        let before = last.as_ref().and_then(|e| Some((e.seq, e.data["before"].as_str()?)));
        let (Some((seq, before)), true) = (before, last.as_ref().is_some_and(|e| e.data["after"] == now.as_str()))
        else {
            return Err(Fault::conflict(format!("the record has nothing that the rule file {name} was before"))
                .advice(format!(
                    "put the text that it is to have; texts of over {TEXTS_BYTES_MAX} bytes are not kept"
                )));
        };
        let change = RuleChange {
            edited: edited.or_else(|| Some(rule_file_version(&now))),
            text: Some(format!("{} put the rule file {name} back to what it was before", who.name)),
            data: json!({"undoes": seq}),
        };
        self.rules_put_over(who, name, before, change).await?;
        Ok(before.to_owned())
    }

    pub async fn rules_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        self.rules_write(who, name, None, &RuleFile { groups: Vec::new() }, RuleChange::default()).await
    }

    async fn check_against_others(&self, name: &str, file: &RuleFile) -> Result<(), Fault> {
        let mut count = file.groups.len();
        for (_, yaml) in self.rule_files().await?.into_iter().filter(|(n, _)| n != name) {
            count += parse_rules(&yaml).map_or(0, |f| f.groups.len());
        }
        if count > GROUPS_MAX {
            return Err(Fault::invalid(format!("there are at most {GROUPS_MAX} groups, this would be {count}")));
        }
        Ok(())
    }

    async fn rules_write(
        &self,
        who: &Caller,
        name: &str,
        yaml: Option<&str>,
        file: &RuleFile,
        change: RuleChange,
    ) -> Result<(), Fault> {
        let _still = self.alerts.evaluating.lock().await;
        // Nor may a sender say anew what is about to end: its alert would be overwritten.
        let _one = self.alerts.hearing.lock().await;
        // A node that does not evaluate may have missed what the other one did since.
        groups::reload(self).await?;
        webhooks::store_before_change(self, name).await?;
        let kept: BTreeSet<_> = file
            .groups
            .iter()
            .flat_map(|g| g.rules.iter().filter_map(identity).map(|id| (g.name.clone(), id)))
            .collect();
        let now = self.now();
        let mut ended = Vec::new();
        let groups = self.alerts.groups.read().clone();
        for running in groups.iter().filter(|g| g.file == name) {
            for (index, rule) in running.group.rules.iter().enumerate() {
                let goes_on = identity(rule).is_some_and(|id| kept.contains(&(running.group.name.clone(), id)));
                if !goes_on {
                    let state = running.status.lock().rules.get_mut(index).map(|of| std::mem::take(&mut of.state));
                    let closed = close_all(&mut state.unwrap_or_default(), now);
                    ended.extend(several::settle(self, running, index, &closed).batch);
                    several::done(self, running, index, &closed, &[]);
                }
            }
        }
        let (who, key, yaml) = (who.clone(), name.to_owned(), yaml.map(str::to_owned));
        let groups: Vec<String> = file.groups.iter().map(|g| g.name.clone()).collect();
        let result = self
            .transact(move |t| {
                let before = store::rule_files(t.tx())?.into_iter().find(|f| f.name == key).map(|f| f.yaml);
                let version = before.as_deref().map(rule_file_version).unwrap_or_default();
                if change.edited.as_ref().is_some_and(|edited| *edited != version) {
                    return Err(changed_meanwhile(&key));
                }
                if before == yaml {
                    return if yaml.is_some() {
                        Ok(())
                    } else {
                        Err(Fault::not_found(format!("there is no rule file `{key}`")))
                    };
                }
                let now = t.now();
                match &yaml {
                    Some(yaml) => store::rule_file_put(
                        t.tx(),
                        &store::RuleFileRow {
                            name: key.clone(),
                            yaml: yaml.clone(),
                            updated_at: now,
                            updated_by: who.actor.id.clone(),
                        },
                    )?,
                    None => {
                        store::rule_file_delete(t.tx(), &key)?;
                    }
                }
                let verb = match (&before, &yaml) {
                    (None, _) => "added",
                    (Some(_), Some(_)) => "changed",
                    (Some(_), None) => "removed",
                };
                let text = change.text.clone().unwrap_or_else(|| format!("{} {verb} the rule file {key}", who.name));
                // The record's events have a limit, and a long file is not to be unchangeable for it.
                let length = [&before, &yaml].into_iter().flatten().map(String::len).sum::<usize>();
                let mut data = if length <= TEXTS_BYTES_MAX {
                    json!({"file": key, "groups": groups, "before": before, "after": yaml})
                } else {
                    json!({"file": key, "groups": groups, "left_out": "the texts are too long for the record"})
                };
                if let (Some(data), Some(more)) = (data.as_object_mut(), change.data.as_object()) {
                    data.extend(more.clone());
                }
                let draft = EventDraft::new(who.actor.clone(), who.source, "rule.changed", text).data(data);
                t.record(draft.correlation(changes_of(&key)))?;
                transitions::persist(t, &ended, Vec::new(), &Outcome::default(), None)
            })
            .await;
        groups::reload(self).await?;
        result
    }
}

fn changed_meanwhile(name: &str) -> Fault {
    Fault::new(ErrorCode::Changed, format!("the rule file {name} was changed since it was read"))
        .advice("read it again, and make the change on what it is now")
}
