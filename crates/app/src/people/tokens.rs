//! Tokens of robots, agents and flag clients: scoped, shown once, stored as hashes, revocable at once.

use serde::{Deserialize, Serialize};
use tenfold_store::people::{self as store, TokenRow};
use tenfold_types::{Actor, ActorKind, EventDraft, Fault, Source, Timestamp, TokenId};

use super::{Caller, Grant, Role, check_name, digest};
use crate::App;
use crate::flags::{ALL_PROJECTS, Projects};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// A program that uses the API with a role.
    Robot,
    /// `tenfold agent` on a host.
    Agent,
    /// A server-side flag SDK: reads definitions of one environment.
    Client,
    /// A browser or mobile flag SDK: reads evaluated flags of one environment.
    Frontend,
    /// A program that sends metrics in, and can do nothing else.
    Metrics,
}

impl TokenKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Robot => "robot",
            Self::Agent => "agent",
            Self::Client => "client",
            Self::Frontend => "frontend",
            Self::Metrics => "metrics",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub name: String,
    pub kind: TokenKind,
    /// Role of a robot; others have none.
    #[serde(default)]
    pub role: Option<Role>,
    #[serde(default)]
    pub service: Option<String>,
    /// Environment a flag client reads, or the only one a robot may touch.
    #[serde(default)]
    pub environment: Option<String>,
    /// Projects a flag client reads; absent or `*` for all.
    #[serde(default)]
    pub projects: Vec<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Token {
    #[serde(default)]
    pub id: String,
    pub name: String,
    pub kind: TokenKind,
    pub role: Option<Role>,
    pub service: Option<String>,
    pub environment: Option<String>,
    /// Projects a flag client reads, by name; `*` stands for all. Other kinds have none.
    #[serde(default)]
    pub projects: Vec<String>,
    pub created_by: String,
    #[serde(default)]
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub last_used_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TokenCreated {
    #[serde(flatten)]
    pub token: Token,
    /// Shown this once and never again.
    pub secret: String,
}

impl Token {
    pub(super) fn from_row(row: &TokenRow) -> Result<Self, Fault> {
        let mut token: Self = serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the token {} cannot be read: {e}", row.id)))?;
        token.id.clone_from(&row.id);
        token.created_at = row.created_at;
        token.expires_at = row.expires_at;
        token.last_used_at = row.last_used_at;
        Ok(token)
    }

    /// What a flag client's token lets it read.
    pub fn projects(&self) -> Projects {
        Projects::of(&self.projects)
    }

    /// As caller: agents act as agents, the rest as robots; flag clients have no role at all.
    pub fn caller(&self) -> Caller {
        let kind = if self.kind == TokenKind::Agent { ActorKind::Agent } else { ActorKind::Robot };
        let source = if self.kind == TokenKind::Agent { Source::Agent } else { Source::Api };
        let grants = self
            .role
            .map(|role| Grant { role, service: self.service.clone(), environment: self.environment.clone() })
            .into_iter()
            .collect();
        Caller { actor: Actor { kind, id: self.name.clone() }, name: self.name.clone(), source, grants }
    }
}

/// Projects one token may name.
pub const TOKEN_PROJECTS_MAX: usize = 100;

/// The projects of a new token, sorted; they need not exist yet.
fn checked_projects(new: &NewToken) -> Result<Vec<String>, Fault> {
    let for_flags = matches!(new.kind, TokenKind::Client | TokenKind::Frontend);
    if !for_flags {
        return if new.projects.is_empty() {
            Ok(Vec::new())
        } else {
            Err(Fault::invalid(format!("a token of kind {} has no projects", new.kind.name())))
        };
    }
    if new.projects.len() > TOKEN_PROJECTS_MAX {
        return Err(Fault::invalid(format!("a token names at most {TOKEN_PROJECTS_MAX} projects"))
            .advice("let it read all of them: \"projects\": [\"*\"]"));
    }
    for name in new.projects.iter().filter(|name| *name != ALL_PROJECTS) {
        check_name("project", name)?;
    }
    Ok(Projects::of(&new.projects).names())
}

/// A flag client's secret is shaped as Unleash's are, `PROJECT:ENVIRONMENT.SECRET`, since proxies in front of the server
/// read project and environment off it. Here they only stand there; what counts is what the token was made for.
fn secret(new: &NewToken, projects: &[String], random: &str) -> String {
    let own = format!("tf_{}_{random}", new.kind.name());
    let (TokenKind::Client | TokenKind::Frontend, Some(environment)) = (new.kind, &new.environment) else { return own };
    match projects {
        [one] => format!("{one}:{environment}.{own}"),
        _ => format!("[]:{environment}.{own}"),
    }
}

impl App {
    pub async fn tokens(&self, who: &Caller) -> Result<Vec<Token>, Fault> {
        who.require(Role::Admin, None, None)?;
        self.read(|tx| store::tokens(tx)?.iter().filter(|t| t.revoked_at.is_none()).map(Token::from_row).collect())
            .await
    }

    /// A robot with the rights that its tokens give it now; none when all were revoked or have run out.
    pub async fn robot_caller(&self, name: &str, source: Source) -> Result<Caller, Fault> {
        let (wanted, now) = (name.to_owned(), self.now());
        let callers: Vec<Caller> = self
            .read(move |tx| {
                let rows = store::tokens(tx)?.into_iter().filter(|row| row.revoked_at.is_none());
                let tokens = rows.map(|row| Token::from_row(&row)).collect::<Result<Vec<_>, Fault>>()?;
                let own = tokens.iter().filter(|t| t.name == wanted && t.expires_at.is_none_or(|at| at > now));
                Ok(own.map(Token::caller).filter(|c| c.actor.kind == ActorKind::Robot).collect())
            })
            .await?;
        let grants: Vec<Grant> = callers.into_iter().flat_map(|c| c.grants).collect();
        if grants.is_empty() {
            return Err(Fault::not_found(format!("there is no token `{name}` with a role any more")));
        }
        let actor = Actor { kind: ActorKind::Robot, id: name.to_owned() };
        Ok(Caller { actor, name: name.to_owned(), source, grants })
    }

    pub async fn token_create(&self, who: &Caller, new: NewToken) -> Result<TokenCreated, Fault> {
        who.require(Role::Admin, None, None)?;
        check_name("token", &new.name)?;
        match new.kind {
            TokenKind::Robot if new.role.is_none() => {
                return Err(
                    Fault::invalid("a robot's token needs a role").advice("viewer, responder, deployer or admin")
                );
            }
            TokenKind::Client | TokenKind::Frontend if new.environment.is_none() => {
                return Err(
                    Fault::invalid("a flag client's token needs an environment").advice("for example production")
                );
            }
            TokenKind::Agent | TokenKind::Client | TokenKind::Frontend | TokenKind::Metrics if new.role.is_some() => {
                return Err(Fault::invalid(format!("a token of kind {} has no role", new.kind.name())));
            }
            TokenKind::Metrics if new.environment.is_some() || new.service.is_some() => {
                return Err(Fault::invalid("a token of kind metrics has neither service nor environment"));
            }
            _ => {}
        }
        if let Some(environment) = &new.environment {
            let known = self.environments().await?;
            if !known.iter().any(|e| e.name == *environment) {
                let names: Vec<_> = known.into_iter().map(|e| e.name).collect();
                return Err(Fault::not_found(format!("there is no environment `{environment}`"))
                    .advice(format!("known are {}", names.join(", "))));
            }
        }
        let projects = checked_projects(&new)?;
        let secret = secret(&new, &projects, &self.random_text(32));
        let (hash, who) = (digest(&secret), who.clone());
        let token = self
            .transact(move |t| {
                let now = t.now();
                let token = Token {
                    id: TokenId::new(now, t.entropy()).to_string(),
                    name: new.name.clone(),
                    kind: new.kind,
                    role: new.role,
                    service: new.service.clone(),
                    environment: new.environment.clone(),
                    projects: projects.clone(),
                    created_by: who.actor.id.clone(),
                    created_at: now,
                    expires_at: new.expires_at,
                    last_used_at: None,
                };
                store::token_insert(
                    t.tx(),
                    &TokenRow {
                        id: token.id.clone(),
                        secret_hash: hash.clone(),
                        created_at: now,
                        expires_at: token.expires_at,
                        revoked_at: None,
                        last_used_at: None,
                        body: serde_json::to_string(&token).map_err(|e| Fault::internal(e.to_string()))?,
                    },
                )?;
                t.record(
                    EventDraft::new(
                        who.actor.clone(),
                        who.source,
                        "token.created",
                        format!("{} made the {} token {}", who.actor, token.kind.name(), token.name),
                    )
                    .data(serde_json::json!({"token": token.id, "name": token.name, "kind": token.kind}))
                    .admins_only(),
                )?;
                Ok(token)
            })
            .await?;
        self.tokens_load().await?;
        Ok(TokenCreated { token, secret })
    }

    /// Takes effect at once: the next request is refused, and open streams are told ([`App::tokens_changed`]).
    pub async fn token_revoke(&self, who: &Caller, id: &str) -> Result<(), Fault> {
        who.require(Role::Admin, None, None)?;
        let (who, id, revoked) = (who.clone(), id.to_owned(), id.to_owned());
        self.transact(move |t| {
            let now = t.now();
            if !store::token_revoke(t.tx(), &id, now)? {
                return Err(Fault::not_found(format!("there is no token `{id}` that could be revoked")));
            }
            t.record(
                EventDraft::new(
                    who.actor.clone(),
                    who.source,
                    "token.revoked",
                    format!("{} revoked a token", who.actor),
                )
                .data(serde_json::json!({"token": id}))
                .admins_only(),
            )?;
            Ok(())
        })
        .await?;
        self.people.valid_tokens.forget(&revoked);
        self.tokens_load().await
    }
}
