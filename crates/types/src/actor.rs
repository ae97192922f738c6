//! Who did it.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// A human being with an account.
    Person,
    /// A program with a token, or the server itself (`robot:tenfold`).
    Robot,
    /// An agent on a host (`agent:host-1`).
    Agent,
}

/// Who caused an event: a stable id (the person's login name, the robot's or host's name), never a display name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: String,
}

impl Actor {
    pub fn person(id: impl Into<String>) -> Self {
        Self { kind: ActorKind::Person, id: id.into() }
    }
    pub fn robot(id: impl Into<String>) -> Self {
        Self { kind: ActorKind::Robot, id: id.into() }
    }
    pub fn agent(id: impl Into<String>) -> Self {
        Self { kind: ActorKind::Agent, id: id.into() }
    }
    /// The server acting by its own rules (a rule fired, an escalation ran out).
    pub fn system() -> Self {
        Self::robot("tenfold")
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
}
