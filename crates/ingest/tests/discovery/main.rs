//! Targets out of Prometheus' own configuration, scraped: beside a real Prometheus where there is one, and with servers
//! of the tests.

mod dns;
mod found;
mod peer;
mod prometheus;
#[path = "../common/request.rs"]
mod request;
mod site;
mod world;
