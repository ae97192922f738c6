//! People who switch flags for themselves.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_flags::{Choice, OptIn};
use tenfold_types::{ActorKind, EventDraft, Fault};
use utoipa::ToSchema;

use super::views::FlagView;
use crate::people::Person;
use crate::{App, Caller, Role};

/// A flag somebody may choose.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MyFlag {
    pub key: String,
    pub description: String,
    /// What the flag's owner says about it.
    pub text: String,
    /// Absent: what everybody gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// Where the flag is on at all; elsewhere the choice waits.
    pub environments: Vec<String>,
    /// Under this name, in this field of the context, the choice counts.
    pub id: String,
    pub field: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MyFlags {
    pub items: Vec<MyFlag>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagChoose {
    /// `in`, `out`, or absent for what everybody gets.
    #[serde(default)]
    pub choice: Option<Choice>,
}

impl App {
    /// The flags this person may choose.
    pub async fn flag_mine(&self, who: &Caller) -> Result<MyFlags, Fault> {
        let person = self.flag_person(who).await?;
        let flags: Vec<_> =
            self.flags.look(|t| t.flags.values().map(|e| e.flag.clone()).filter(|f| !f.archived).collect());
        let items = flags.iter().filter_map(|flag| {
            let offer = flag.opt_in.as_ref().filter(|offer| may_choose(&person, offer))?;
            let id = id_of(&person, offer);
            Some(MyFlag {
                key: flag.key.clone(),
                description: flag.description.clone(),
                text: offer.text.clone(),
                choice: flag.choice(&id),
                environments: flag.environments.iter().filter(|(_, s)| s.enabled).map(|(n, _)| n.clone()).collect(),
                field: offer.field.clone(),
                id,
            })
        });
        Ok(MyFlags { items: items.collect() })
    }

    /// Sets what this person wants of a flag; it holds from the next answer on.
    pub async fn flag_choose(&self, who: &Caller, key: &str, choice: Option<Choice>) -> Result<FlagView, Fault> {
        let person = self.flag_person(who).await?;
        let (who, name) = (who.clone(), key.to_owned());
        self.flag_change(key, move |flag, _| {
            let offer = flag.opt_in.clone().ok_or_else(|| {
                Fault::conflict(format!("`{name}` is not offered to people"))
                    .advice("its owner can offer it on the flag's page under Opt-in")
            })?;
            if !may_choose(&person, &offer) {
                return Err(Fault::forbidden(format!("`{name}` is offered to others: {}", offered_to(&offer))));
            }
            let id = id_of(&person, &offer);
            let before = flag.choose(&id, choice).map_err(Fault::conflict)?;
            if before == choice {
                return Ok(Vec::new());
            }
            let (kind, words) = match choice {
                Some(Choice::In) => ("flag.opted_in", "switched the flag on for themselves:"),
                Some(Choice::Out) => ("flag.opted_out", "switched the flag off for themselves:"),
                None => ("flag.opt_cleared", "takes what everybody gets of the flag"),
            };
            let text = format!("{} {words} {name}", who.actor);
            let draft = EventDraft::new(who.actor.clone(), who.source, kind, text);
            let data = json!({"id": id, "field": offer.field, "was": before, "is": choice});
            Ok(vec![draft.flag(&name).correlation(format!("flag:{name}")).data(data)])
        })
        .await
    }

    async fn flag_person(&self, who: &Caller) -> Result<Person, Fault> {
        let person = if who.actor.kind == ActorKind::Person { self.person(&who.actor.id).await? } else { None };
        person.ok_or_else(|| Fault::forbidden("only a person can choose for themselves").advice("sign in as yourself"))
    }
}

fn may_choose(person: &Person, offer: &OptIn) -> bool {
    let role = match offer.role.as_str() {
        "responder" => Role::Responder,
        "deployer" => Role::Deployer,
        "admin" => Role::Admin,
        _ => Role::Viewer,
    };
    let fits = person.all_grants().iter().any(|g| g.role >= role);
    fits && (offer.teams.is_empty() || person.teams.iter().any(|t| offer.teams.contains(t)))
}

fn offered_to(offer: &OptIn) -> String {
    let teams = if offer.teams.is_empty() { String::new() } else { format!(", in {}", offer.teams.join(" or ")) };
    format!("at least {}{teams}", offer.role)
}

/// How the flag's clients call this person: by e-mail where the flag compares that, else by login.
fn id_of(person: &Person, offer: &OptIn) -> String {
    let email = Some(&person.contact.email).filter(|e| !e.is_empty() && offer.field == "email");
    email.unwrap_or(&person.login).clone()
}
