//! Where the releases of a host answer scrapes, for the metrics part.

use tenfold_protocols::agent::Release;

use crate::App;

pub(super) fn report(_app: &App, _host: &str, _releases: &[Release]) {}
