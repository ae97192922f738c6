//! The HTTP edge: API, compatibility endpoints, streams and the delivery of the pages.
//!
//! Handlers translate and nothing more: a use case of `app` decides. No handler stands outside the policy table
//! ([`policy::Api`]), and no other edge is imported here.

pub mod auth;
pub mod policy;

mod agents;
mod alert_sources;
mod alertmanager;
mod alerts;
mod browsers;
mod checks;
mod config;
mod console;
mod dashboards;
mod delivery;
mod deploy_queue;
mod deploys;
mod enrolments;
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
mod forges;
mod front;
mod grpc;
mod incidents;
mod live;
mod meta;
mod metrics_admin;
mod noise;
mod now;
mod ofrep;
mod oncall;
mod pagerduty;
mod people;
mod permits;
mod phone;
mod prometheus;
mod push;
mod session;
mod standing;
mod ui;
mod unleash;

pub use extract::{BODY_BYTES_MAX, Body, PathOf, QueryOf};
pub use flagd::open_router as flagd_router;
pub use front::{Front, agents_router, router};
pub use policy::{Api, Policy, PolicyRow};
pub use tenfold_httpkit::{ApiError, error, server};

/// Every part's routes with their policies.
fn apis() -> Vec<Api> {
    vec![
        meta::api(),
        config::api(),
        session::api(),
        people::api(),
        browsers::api(),
        events::api(),
        now::api(),
        console::api(),
        prometheus::api(),
        live::api(),
        metrics_admin::api(),
        push::api(),
        dashboards::api(),
        deploys::api(),
        deploy_queue::api(),
        forges::api(),
        agents::api(),
        enrolments::api(),
        flags::api(),
        flag_exchange::api(),
        flag_changes::api(),
        permits::api(),
        checks::api(),
        pagerduty::api(),
        alert_sources::api(),
        phone::api(),
        flag_life::api(),
        ofrep::api(),
        unleash::api(),
        unleash::frontend::api(),
        unleash::reports::api(),
        flagd::api(),
        flag_projects::api(),
        delivery::api(),
        incidents::api(),
        noise::api(),
        oncall::api(),
        alerts::api(),
        alertmanager::api(),
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
