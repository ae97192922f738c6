//! The HTTP edge: API, compatibility endpoints, streams and the delivery of the pages.
//!
//! Handlers translate and nothing more: a use case of `app` decides. No handler stands outside the policy table
//! ([`policy::Api`]), and no other edge is imported here.

pub mod auth;
pub mod policy;

mod agents;
mod alerts;
mod config;
mod console;
mod dashboards;
mod delivery;
mod deploys;
mod etag;
mod events;
mod extract;
mod flag_changes;
mod flag_exchange;
mod flag_life;
mod flag_projects;
mod flag_streams;
mod flagd;
mod flags;
mod incidents;
mod meta;
mod now;
mod ofrep;
mod oncall;
mod people;
mod permits;
mod prometheus;
mod session;
mod ui;
mod unleash;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tenfold_app::App;

pub use extract::{BODY_BYTES_MAX, Body, PathOf, QueryOf};
pub use flagd::open_router as flagd_router;
pub use policy::{Api, Policy, PolicyRow};
pub(crate) use tenfold_httpkit::cors;
pub use tenfold_httpkit::{ApiError, error, server};

/// Every part's routes with their policies.
fn apis() -> Vec<Api> {
    vec![
        meta::api(),
        config::api(),
        session::api(),
        people::api(),
        events::api(),
        now::api(),
        console::api(),
        prometheus::api(),
        dashboards::api(),
        deploys::api(),
        agents::api(),
        flags::api(),
        flag_exchange::api(),
        flag_changes::api(),
        permits::api(),
        flag_life::api(),
        ofrep::api(),
        unleash::api(),
        unleash::frontend::api(),
        unleash::reports::api(),
        flagd::api(),
        flag_projects::api(),
        delivery::api(),
        incidents::api(),
        oncall::api(),
        alerts::api(),
    ]
}

/// The OpenAPI document of everything served under `/api` and the compatibility paths.
pub fn openapi() -> utoipa::openapi::OpenApi {
    policy::assemble(apis()).1
}

/// Which policy guards which route; a test walks it.
pub fn policy_table() -> Vec<PolicyRow> {
    policy::assemble(apis()).2
}

/// The whole service: API behind its policies, pages for everything else.
pub fn router(app: App) -> Router {
    let (routes, openapi, _) = policy::assemble(apis());
    let openapi = meta::OpenApiText::new(&openapi);
    routes
        .fallback(ui::serve)
        .layer(axum::Extension(openapi))
        .layer(axum::Extension(flag_streams::FlagStreams::default()))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(app.clone(), auth::identify))
        .layer(axum::middleware::from_fn(cors::flag_endpoints))
        .layer(axum::middleware::from_fn(server::security_headers))
        .with_state(app)
}
