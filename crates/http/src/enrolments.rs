//! Which hosts may come in: enrolments, and the certificates of hosts.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tenfold_app::agents::{Enrolment, EnrolmentCreated, HostCertificate, NewEnrolment};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy};

pub fn api() -> Api {
    Api::new("agents")
        .add(Policy::Role(Role::Admin), routes!(list, create))
        .add(Policy::Role(Role::Admin), routes!(remove))
        .add(Policy::Role(Role::Admin), routes!(certificates))
        .add(Policy::Role(Role::Admin), routes!(revoke))
}

#[derive(Serialize, utoipa::ToSchema)]
struct EnrolmentList {
    items: Vec<Enrolment>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct CertificateList {
    items: Vec<HostCertificate>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Revoked {
    /// Certificates that were good until now.
    revoked: u64,
}

/// The enrolments that wait for their host.
#[utoipa::path(get, path = "/api/agents/enrolments", responses((status = 200, body = EnrolmentList)))]
async fn list(State(app): State<App>, Who(who): Who) -> Result<Json<EnrolmentList>, ApiError> {
    Ok(Json(EnrolmentList { items: app.enrolments(&who).await? }))
}

/// Lets one host come in, once and for a while.
#[utoipa::path(post, path = "/api/agents/enrolments", request_body = NewEnrolment, responses((status = 200, body = EnrolmentCreated)))]
async fn create(
    State(app): State<App>,
    Who(who): Who,
    Body(new): Body<NewEnrolment>,
) -> Result<Json<EnrolmentCreated>, ApiError> {
    Ok(Json(app.enrolment_create(&who, new).await?))
}

/// Takes an enrolment back that was not used yet.
#[utoipa::path(delete, path = "/api/agents/enrolments/{id}", params(("id" = String, Path)), responses((status = 204)))]
async fn remove(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<String>,
) -> Result<axum::http::StatusCode, ApiError> {
    app.enrolment_delete(&who, &id).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// The certificates of hosts that are good.
#[utoipa::path(get, path = "/api/agents/certificates", responses((status = 200, body = CertificateList)))]
async fn certificates(State(app): State<App>, Who(who): Who) -> Result<Json<CertificateList>, ApiError> {
    Ok(Json(CertificateList { items: app.certificates(&who).await? }))
}

/// Makes every certificate of a host worthless, at once; its connection ends.
#[utoipa::path(delete, path = "/api/agents/certificates/{host}", params(("host" = String, Path)), responses((status = 200, body = Revoked)))]
async fn revoke(
    State(app): State<App>,
    Who(who): Who,
    PathOf(host): PathOf<String>,
) -> Result<Json<Revoked>, ApiError> {
    Ok(Json(Revoked { revoked: app.certificates_revoke(&who, &host).await? }))
}
