//! The policy table: every route names who may use it, and a layer in front of the handler asks.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use tenfold_app::people::TokenKind;
use tenfold_app::{App, Role};
use tenfold_types::{ErrorCode, Fault};
use tower::{Layer, Service};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::ApiError;
use crate::auth::Identity;

/// Who may use a route. A role here is needed *somewhere*; the use case asks again for the very service and environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Anybody who can reach the server.
    Public,
    /// Whoever is signed in or holds a robot's token with at least the role viewer.
    Viewer,
    Role(Role),
    /// A person with at least the role viewer; what it does makes no sense for a program.
    Person,
    /// An agent, by its host's certificate or a token.
    Agent,
    /// An agent that showed its host's certificate.
    Host,
    /// A server-side flag client's token, or a signed-in viewer.
    FlagClient,
    /// A browser flag client's token (frontend), a server-side one, or a signed-in viewer.
    FlagFrontend,
    /// A metrics token, an agent's, or whoever has at least the role responder.
    MetricsWriter,
}

impl Policy {
    fn check(self, identity: &Identity) -> Result<(), Fault> {
        let role = |needed: Role| match identity {
            Identity::Anonymous => Err(unauthenticated()),
            other if other.caller().is_some_and(|c| c.may_somewhere(needed)) => Ok(()),
            other => Err(Fault::forbidden(format!("{} may not do this: it takes the role {needed}", other.name()))
                .advice(other.caller().map(|c| c.role_advice(needed)).unwrap_or_default())),
        };
        let token = |kinds: &[TokenKind]| match identity {
            Identity::Token(token) if kinds.contains(&token.kind) => Ok(()),
            Identity::Anonymous => Err(unauthenticated()),
            _ if kinds.contains(&TokenKind::Client) => role(Role::Viewer),
            _ => Err(Fault::forbidden("this address takes an agent's token")
                .advice("make one with: tenfold token create NAME --kind agent")),
        };
        match self {
            Self::Public => Ok(()),
            Self::Viewer => role(Role::Viewer),
            Self::Person => match identity {
                Identity::Token(_) | Identity::Host(_) => {
                    Err(Fault::forbidden("only a person can do this").advice("sign in as yourself"))
                }
                _ => role(Role::Viewer),
            },
            Self::Role(needed) => role(needed),
            Self::Agent if matches!(identity, Identity::Host(_)) => Ok(()),
            Self::Agent => token(&[TokenKind::Agent]),
            Self::Host => match identity {
                Identity::Host(_) => Ok(()),
                _ => Err(Fault::new(ErrorCode::Unauthenticated, "this address takes a host's certificate")
                    .advice("enrol the host: tenfold host enrol NAME")),
            },
            Self::FlagClient => token(&[TokenKind::Client]),
            Self::FlagFrontend => token(&[TokenKind::Client, TokenKind::Frontend]),
            Self::MetricsWriter => match identity {
                Identity::Token(token) if matches!(token.kind, TokenKind::Metrics | TokenKind::Agent) => Ok(()),
                Identity::Token(_) => role(Role::Responder)
                    .map_err(|fault| fault.advice("make one to send with: tenfold token create NAME --kind metrics")),
                _ => role(Role::Responder),
            },
        }
    }
}

fn unauthenticated() -> Fault {
    Fault::new(ErrorCode::Unauthenticated, "sign in or send a token first")
        .advice("open /sign-in in a browser, or send the header Authorization: Bearer TOKEN")
}

/// One line of the policy table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    pub method: String,
    pub path: String,
    pub policy: Policy,
}

/// The routes of one part, each with its policy.
pub struct Api {
    tag: &'static str,
    routes: Vec<(Policy, UtoipaMethodRouter<App>)>,
}

impl Api {
    /// `tag` groups the routes in the OpenAPI document.
    pub fn new(tag: &'static str) -> Self {
        Self { tag, routes: Vec::new() }
    }
    /// Adds what `utoipa_axum::routes!` made.
    #[must_use]
    pub fn add(mut self, policy: Policy, routes: UtoipaMethodRouter<App>) -> Self {
        self.routes.push((policy, routes));
        self
    }
    /// The same of routes whose answers may be large: they go out in gzip to whoever takes that.
    #[must_use]
    pub fn add_packed(self, policy: Policy, (schemas, paths, methods): UtoipaMethodRouter<App>) -> Self {
        self.add(policy, (schemas, paths, methods.layer(from_fn(tenfold_httpkit::packed::pack))))
    }
}

pub(crate) fn assemble(apis: Vec<Api>) -> (Router<App>, OpenApi, Vec<PolicyRow>) {
    let mut all = OpenApiRouter::<App>::with_openapi(crate::meta::document());
    let mut table = Vec::new();
    for api in apis {
        for (policy, (schemas, mut paths, methods)) in api.routes {
            for (path, item) in &mut paths.paths {
                let operations = [
                    ("GET", &mut item.get),
                    ("PUT", &mut item.put),
                    ("POST", &mut item.post),
                    ("DELETE", &mut item.delete),
                    ("PATCH", &mut item.patch),
                ];
                for (method, operation) in operations {
                    if let Some(operation) = operation {
                        operation.tags = Some(vec![api.tag.to_owned()]);
                        table.push(PolicyRow { method: method.into(), path: path.clone(), policy });
                    }
                }
            }
            all = all.routes((schemas, paths, methods.layer(Guard(policy))));
        }
    }
    let (router, openapi) = all.split_for_parts();
    (router, openapi, table)
}

/// Asks the policy in front of the routes.
#[derive(Clone)]
struct Guard(Policy);

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, routes: S) -> Guarded<S> {
        Guarded { policy: self.0, routes }
    }
}

#[derive(Clone)]
struct Guarded<S> {
    policy: Policy,
    routes: S,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Guarded<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.routes.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let identity = request.extensions().get::<Identity>().unwrap_or(&Identity::Anonymous);
        match self.policy.check(identity) {
            Ok(()) => Either::Right(self.routes.call(request)),
            Err(fault) => Either::Left(ready(Ok(ApiError(fault).into_response()))),
        }
    }
}
