//! Where the releases of a host answer scrapes, for the metrics part.

use tenfold_protocols::agent::Release;
use tenfold_types::Labels;

use crate::App;
use crate::metrics::Target;

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
