//! Rights: a caller is an actor with grants; a grant is a role on a service and an environment, or on all.

use serde::{Deserialize, Serialize};
use tenfold_types::{Actor, ActorKind, Fault, Source};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads all but secrets.
    Viewer,
    /// Acknowledges, mutes, switches flags off, takes shifts, writes notes.
    Responder,
    /// Deploys, rolls back, edits flags, rules and dashboards.
    Deployer,
    /// Manages people, tokens and services.
    Admin,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        })
    }
}

/// A role, on everything or only on one service and/or environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Grant {
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

impl Grant {
    pub fn everywhere(role: Role) -> Self {
        Self { role, service: None, environment: None }
    }
}

/// Who asks, through which door, with which rights. The first parameter of every use case.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    /// Display name.
    pub name: String,
    pub source: Source,
    pub grants: Vec<Grant>,
}

impl Caller {
    /// The server acting by its own rules.
    pub fn system() -> Self {
        Self {
            actor: Actor::system(),
            name: "tenfold".into(),
            source: Source::System,
            grants: vec![Grant::everywhere(Role::Admin)],
        }
    }

    /// `None` for service or environment asks for the right on all of them.
    pub fn may(&self, role: Role, service: Option<&str>, environment: Option<&str>) -> bool {
        let covers = |granted: &Option<String>, asked: Option<&str>| match granted {
            None => true,
            Some(granted) => asked == Some(granted.as_str()),
        };
        self.grants.iter().any(|g| g.role >= role && covers(&g.service, service) && covers(&g.environment, environment))
    }

    /// Has the role somewhere, if not everywhere: enough to be let in to a page whose use case asks again.
    pub fn may_somewhere(&self, role: Role) -> bool {
        self.grants.iter().any(|g| g.role >= role)
    }

    pub fn require(&self, role: Role, service: Option<&str>, environment: Option<&str>) -> Result<(), Fault> {
        if self.may(role, service, environment) {
            return Ok(());
        }
        let place = match (service, environment) {
            (Some(s), Some(e)) => format!(" on {s} in {e}"),
            (Some(s), None) => format!(" on {s}"),
            (None, Some(e)) => format!(" in {e}"),
            (None, None) => String::new(),
        };
        Err(Fault::forbidden(format!("{} may not do this: it takes the role {role}{place}", self.name))
            .advice(self.role_advice(role)))
    }

    /// How the role is come by that is lacking: people are granted one, a token keeps what it was made with.
    pub fn role_advice(&self, role: Role) -> String {
        match self.actor.kind {
            ActorKind::Person => "an admin can grant it on the Settings page under People".to_owned(),
            ActorKind::Robot | ActorKind::Agent => format!(
                "a token keeps the role it was made with; an admin makes another: tenfold token create NAME --role {role}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(grants: Vec<Grant>) -> Caller {
        Caller { actor: Actor::person("ana"), name: "Ana".into(), source: Source::Web, grants }
    }

    #[test]
    fn a_grant_covers_what_it_names_and_nothing_else() {
        let c = caller(vec![
            Grant::everywhere(Role::Viewer),
            Grant { role: Role::Deployer, service: Some("web".into()), environment: Some("staging".into()) },
        ]);
        assert!(c.may(Role::Viewer, Some("db"), Some("production")));
        assert!(c.may(Role::Deployer, Some("web"), Some("staging")));
        assert!(!c.may(Role::Deployer, Some("web"), Some("production")));
        assert!(!c.may(Role::Deployer, Some("web"), None), "one environment is not all of them");
        assert!(!c.may(Role::Deployer, None, None));
        assert!(c.may_somewhere(Role::Deployer) && !c.may_somewhere(Role::Admin));
        let refusal = c.require(Role::Admin, None, None).unwrap_err();
        assert!(refusal.advice.contains("admin"), "a refusal names who can grant");
        let robot = Caller { actor: Actor::robot("ci"), ..caller(vec![Grant::everywhere(Role::Viewer)]) };
        let refusal = robot.require(Role::Responder, None, None).unwrap_err();
        assert!(refusal.advice.ends_with("tenfold token create NAME --role responder"), "{}", refusal.advice);
    }
}
