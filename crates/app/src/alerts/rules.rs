//! Rule files: putting, deleting, listing.

use serde_json::json;
use tenfold_alerting::{GROUPS_MAX, Rule, RuleFile, close_all, parse_rules};
use tenfold_store::alerts as store;
use tenfold_types::{EventDraft, Fault};

use super::{
    groups::{self, identity},
    pipeline::Outcome,
    transitions::{self, Origin},
    views::{RuleGroupView, group_view},
};
use crate::{App, Caller, Role, people::check_name};

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
    if file.groups.is_empty() {
        return Err(Fault::invalid(format!("the rule file {name} has no groups"))
            .advice("start it with `groups:` as Prometheus does"));
    }
    Ok(file)
}

impl App {
    /// The groups with the state of their rules.
    pub fn rules(&self) -> Vec<RuleGroupView> {
        let groups = self.alerts.groups.read().clone();
        groups.iter().map(|g| group_view(g)).collect()
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
        who.require(Role::Deployer, None, None)?;
        check_name("rule file", name)?;
        let file = read(name, yaml)?;
        self.check_against_others(name, &file).await?;
        self.rules_write(who, name, Some(yaml), &file).await?;
        Ok(self.rules().into_iter().filter(|g| g.file == name).collect())
    }

    pub async fn rules_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        self.rules_write(who, name, None, &RuleFile { groups: Vec::new() }).await
    }

    async fn check_against_others(&self, name: &str, file: &RuleFile) -> Result<(), Fault> {
        let mut count = file.groups.len();
        for (other, yaml) in self.rule_files().await?.into_iter().filter(|(n, _)| n != name) {
            let groups = parse_rules(&yaml).map(|f| f.groups).unwrap_or_default();
            count += groups.len();
            for group in &groups {
                if file.groups.iter().any(|g| g.name == group.name) {
                    return Err(Fault::conflict(format!(
                        "the group `{}` is in the rule file {other} already",
                        group.name
                    )));
                }
                for rule in &group.rules {
                    let same = |r: &Rule| identity(r).is_some() && identity(r) == identity(rule);
                    if file.groups.iter().flat_map(|g| &g.rules).any(same) {
                        return Err(Fault::conflict(format!(
                            "the alert `{}` with the same labels is in the rule file {other} already",
                            rule.name()
                        )));
                    }
                }
            }
        }
        if count > GROUPS_MAX {
            return Err(Fault::invalid(format!("there are at most {GROUPS_MAX} groups, this would be {count}")));
        }
        Ok(())
    }

    async fn rules_write(&self, who: &Caller, name: &str, yaml: Option<&str>, file: &RuleFile) -> Result<(), Fault> {
        let _still = self.alerts.evaluating.lock().await;
        // A node that does not evaluate may have missed what the other one did since.
        groups::reload(self).await?;
        let kept: Vec<_> = file
            .groups
            .iter()
            .flat_map(|g| g.rules.iter().filter_map(identity).map(|id| (g.name.clone(), id)))
            .collect();
        let now = self.now();
        let mut ended = Vec::new();
        for running in self.alerts.groups.read().iter().filter(|g| g.file == name) {
            let mut status = running.status.lock();
            for (rule, status) in running.group.rules.iter().zip(&mut status.rules) {
                let goes_on = identity(rule).is_some_and(|id| kept.contains(&(running.group.name.clone(), id)));
                if !goes_on {
                    let origin = Origin::new(running, rule);
                    let closed = close_all(&mut status.state, now);
                    ended.extend(closed.into_iter().map(|transition| (origin.clone(), transition)));
                }
            }
        }
        let (who, key, yaml) = (who.clone(), name.to_owned(), yaml.map(str::to_owned));
        let groups: Vec<String> = file.groups.iter().map(|g| g.name.clone()).collect();
        let result = self
            .transact(move |t| {
                let before = store::rule_files(t.tx())?.into_iter().find(|f| f.name == key).map(|f| f.yaml);
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
                let text = format!("{} {verb} the rule file {key}", who.name);
                t.record(
                    EventDraft::new(who.actor.clone(), who.source, "rule.changed", text)
                        .data(json!({"file": key, "groups": groups, "before": before, "after": yaml})),
                )?;
                transitions::persist(t, &ended, &Outcome::default())
            })
            .await;
        groups::reload(self).await?;
        result
    }
}
