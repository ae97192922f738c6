//! Where the releases of a host answer scrapes, and how the host itself is doing, for the metrics part.

use tenfold_protocols::agent::Release;
use tenfold_protocols::prom_text::Format;
use tenfold_types::{Fault, Labels};

use crate::App;
use crate::metrics::{Scraped, Target};

/// Every release with an address and a metrics page is a target; its job is the service's name, its instance the host's.
///
/// The address is no part of the labels: it changes with every release, and the series of a host must go on.
pub(super) fn report(app: &App, host: &str, releases: &[Release]) {
    let targets = releases.iter().filter_map(|release| {
        let (address, path) = (release.address.as_ref()?, release.metrics_path.as_ref()?);
        let labels = Labels::from_pairs([
            ("job", release.service.as_str()),
            ("service", release.service.as_str()),
            ("environment", release.environment.as_str()),
            ("host", host),
            ("instance", host),
        ]);
        Some(Target { url: format!("http://{address}{path}"), labels, host: Some(host.to_owned()) })
    });
    app.metrics.set_host_targets(host, targets.collect());
}

/// The job of what agents say of their hosts, as it is called wherever node_exporter is scraped.
pub const HOST_JOB: &str = "node";

fn host_target(host: &str, environment: &str) -> Target {
    let labels =
        Labels::from_pairs([("job", HOST_JOB), ("instance", host), ("host", host), ("environment", environment)]);
    Target { url: format!("agent://{host}"), labels, host: Some(host.to_owned()) }
}

/// After a start: a host whose agent told of it before is down when the agent does not come back.
pub(super) fn expect_host(app: &App, host: &str, environment: &str) -> Result<(), Fault> {
    app.metrics.expect_pushed(&host_target(host, environment), app.now())
}

/// Takes in what an agent says of its host. The samples are of the instant at which they arrive, as in a scrape: the clock
/// of a host is not ours.
pub(super) fn host_metrics(app: &App, host: &str, environment: &str, page: String, took_ms: u64) {
    let target = host_target(host, environment);
    let duration_ms = i64::try_from(took_ms).unwrap_or(i64::MAX);
    let scraped = Scraped { at: app.now(), duration_ms, page: Ok((page, Format::default())) };
    if let Err(fault) = app.metrics.pushed(target, scraped) {
        tracing::warn!(%fault, host, "the metrics of a host could not be kept");
    }
}
