//! Where the releases of a host answer scrapes, and how the host itself is doing, for the metrics part.

use std::net::{IpAddr, SocketAddr};

use tenfold_protocols::agent::{METRICS_DROPPED, Release};
use tenfold_protocols::exposition::Format;
use tenfold_types::{Fault, Labels};

use crate::App;
use crate::metrics::{Scraped, Target};

/// Every release with an address and a metrics page is a target; its job is the service's name, its instance the host's.
///
/// The address is no part of the labels: it changes with every release, and the series of a host must go on.
pub(super) fn report(app: &App, host: &str, releases: &[Release]) {
    let peer = app.deploys.hub.peer(host);
    let targets = releases.iter().filter_map(|release| {
        let (address, path) = (release.address.as_ref()?, release.metrics_path.as_ref()?);
        let address = seen_from_here(address, peer);
        let labels = Labels::from_pairs([
            ("job", release.service.as_str()),
            ("service", release.service.as_str()),
            ("environment", release.environment.as_str()),
            ("host", host),
            ("instance", host),
        ]);
        let named = Target::reported(format!("http://{address}{path}"), labels, host);
        // a name is looked at when it is looked up, which is at every connection
        Some(Target { elsewhere: peer.is_some(), ..named })
    });
    app.metrics.set_host_targets(host, targets.collect());
}

/// What a host on another machine calls its own is not this server's own: where it names the machine itself, or a link that
/// only it has, it is asked at the address it calls from: there it does not mean what answers on the server alone. What a name
/// leads to is looked at by who asks.
fn seen_from_here(address: &str, peer: Option<IpAddr>) -> String {
    let named = peer.zip(address.rsplit_once(':')).filter(|(_, (host, _))| is_of_one_machine(host));
    let own = named.and_then(|(peer, (_, port))| port.parse::<u16>().ok().map(|port| SocketAddr::new(peer, port)));
    own.map_or_else(|| address.to_owned(), |own| own.to_string())
}

/// A number that is no address as it is written may become one in a URL: `127.1`, `0x7f000001`.
fn is_of_one_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
    let last = host.rsplit('.').next().unwrap_or_default();
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_unspecified() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local(),
        Err(_) => last.eq_ignore_ascii_case("localhost") || last.starts_with(|c: char| c.is_ascii_digit()),
    }
}

/// The job of what agents say of their hosts, as it is called wherever node_exporter is scraped.
pub const HOST_JOB: &str = "node";

fn host_target(host: &str, environment: &str) -> Target {
    let labels =
        Labels::from_pairs([("job", HOST_JOB), ("instance", host), ("host", host), ("environment", environment)]);
    Target::reported(format!("agent://{host}"), labels, host)
}

/// After a start: a host whose agent told of it before is down when the agent does not come back.
pub(super) fn expect_host(app: &App, host: &str, environment: &str) -> Result<(), Fault> {
    app.metrics.expect_pushed(&host_target(host, environment), app.now())
}

/// How many series an agent had no room for, as it says itself.
fn left_out(page: &str) -> u64 {
    let count = page.lines().rev().find_map(|line| line.strip_prefix(METRICS_DROPPED)?.strip_prefix(' '));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Takes in what an agent says of its host. The samples are of the instant at which they arrive, as in a scrape: the clock
/// of a host is not ours.
pub(super) fn host_metrics(app: &App, host: &str, environment: &str, page: String, took_ms: u64) {
    let target = host_target(host, environment);
    let duration_ms = i64::try_from(took_ms).unwrap_or(i64::MAX);
    let series = left_out(&page);
    if series > 0 {
        app.metrics.agent_left_out(&target, series, app.now());
    }
    let scraped = Scraped { at: app.now(), duration_ms, page: Ok((page.into(), Format::default())) };
    if let Err(fault) = app.metrics.pushed(target, scraped) {
        tracing::warn!(%fault, host, "the metrics of a host could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_is_not_on_it() {
        for (page, series) in [
            ("# TYPE tenfold_agent_series_dropped gauge\ntenfold_agent_series_dropped 12\nzz 1\n", 12),
            ("tenfold_agent_series_dropped 0\n", 0),
            ("tenfold_agent_series_dropped_more 3\n", 0),
            ("node_load1 1\n", 0),
            ("", 0),
        ] {
            assert_eq!(left_out(page), series, "{page}");
        }
    }

    #[test]
    fn a_host_elsewhere_is_asked_where_it_calls_from() {
        let far: IpAddr = [192, 0, 2, 7].into();
        for own in [
            "127.0.0.1:80",
            "127.1:80",
            "0x7f000001:80",
            "2130706433:80",
            "localhost:80",
            "a.LOCALHOST.:80",
            "0.0.0.0:80",
        ] {
            assert_eq!(seen_from_here(own, Some(far)), "192.0.2.7:80", "{own}");
            assert_eq!(seen_from_here(own, None), own, "on this machine it is what it says");
        }
        for own in ["[::1]:80", "[::]:80", "[::ffff:127.0.0.1]:80", "[fe80::1]:80", "169.254.169.254:80"] {
            assert_eq!(seen_from_here(own, Some(far)), "192.0.2.7:80", "{own}");
        }
        for other in ["10.0.0.9:80", "web-1.example:8080", "[2001:db8::1]:80", "3com.example:80"] {
            assert_eq!(seen_from_here(other, Some(far)), other);
        }
        let far: IpAddr = "2001:db8::7".parse().unwrap();
        assert_eq!(seen_from_here("127.0.0.1:80", Some(far)), "[2001:db8::7]:80");
    }
}
