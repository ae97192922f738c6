//! Enrolments and certificates as the API shows them.

use serde::{Deserialize, Serialize};
use tenfold_store::agents::{CertificateRow, EnrolmentRow};
use tenfold_types::Timestamp;

#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnrolment {
    /// The host's name; its certificate is bound to it.
    pub host: String,
    pub environment: String,
    /// How long the token is good; an hour when absent, a week at most.
    #[serde(default)]
    pub good_for_s: Option<u32>,
}

/// With what a host asks for its first certificate.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The enrolment's secret.
    pub token: String,
    /// Must be those of the enrolment.
    pub host: String,
    pub environment: String,
    /// A signing request (PKCS #10) in PEM; of what it asks, only the key counts.
    pub request: String,
}

/// A host that may still come in.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Enrolment {
    pub id: String,
    pub host: String,
    pub environment: String,
    pub created_by: String,
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EnrolmentCreated {
    #[serde(flatten)]
    pub enrolment: Enrolment,
    /// Shown this once: the token, and by which authority the agent knows the server.
    pub secret: String,
}

impl From<EnrolmentRow> for Enrolment {
    fn from(row: EnrolmentRow) -> Self {
        let EnrolmentRow { id, host, environment, created_by, created_at, expires_at, secret_hash: _ } = row;
        Self { id, host, environment, created_by, created_at, expires_at }
    }
}

/// A certificate that lets an agent in as one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HostCertificate {
    /// SHA-256 of the certificate in DER.
    pub fingerprint: String,
    pub host: String,
    pub environment: String,
    #[schema(value_type = String)]
    pub issued_at: Timestamp,
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
}

impl From<CertificateRow> for HostCertificate {
    fn from(row: CertificateRow) -> Self {
        let CertificateRow { fingerprint, host, environment, issued_at, expires_at } = row;
        Self { fingerprint, host, environment, issued_at, expires_at }
    }
}

/// With what a host asks for its next certificate.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// A signing request (PKCS #10) in PEM; of what it asks, only the key counts.
    pub request: String,
}

/// What an agent gets for its request.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Issued {
    pub host: String,
    pub environment: String,
    /// PEM.
    pub certificate: String,
    /// The authority that signed it and the server's own, in PEM.
    pub authority: String,
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
}
