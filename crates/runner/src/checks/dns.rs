//! A name that resolves, by this machine's own resolver.

use std::collections::BTreeSet;
use std::time::Instant;

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Dns;

use super::{Said, seconds};

pub async fn look(dns: &Dns) -> Said {
    let began = Instant::now();
    let found: BTreeSet<String> = match tokio::net::lookup_host((dns.name.as_str(), 0)).await {
        Ok(addresses) => addresses.map(|a| a.ip().to_string()).collect(),
        Err(e) => return (CheckStatus::Critical, format!("DNS CRITICAL - {}: {e}", dns.name)),
    };
    let took = seconds(began);
    let shown: Vec<&str> = found.iter().map(String::as_str).collect();
    let shown = shown.join(", ");
    match dns.expect.iter().find(|e| !found.contains(*e)) {
        Some(missing) => {
            (CheckStatus::Critical, format!("DNS CRITICAL - {} is {shown}, not {missing}|time={took:.6}s", dns.name))
        }
        None => (CheckStatus::Ok, format!("DNS OK - {} is {shown}|time={took:.6}s", dns.name)),
    }
}
