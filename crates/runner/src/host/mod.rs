//! How the host is doing: what its kernel counts, under the names that node_exporter gave it, so that dashboards and rules
//! written for that work here.
//!
//! Everything is read from `/proc`, `/sys` and `statvfs`; nothing is started, written or asked over a network. What cannot
//! be read is left out and named in `node_scrape_collector_success`, and never ends the rest.

mod cgroups;
mod devices;
mod hardware;
mod kernel;
mod memory;
mod network;
mod page;
mod services;
mod supplies;
mod textfile;

use std::io;
use std::path::{Path, PathBuf};

use tenfold_types::Clock;

pub use page::{Page, PageText};
pub use services::Group;

/// A file of the kernel that is larger than this is not read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads the host. `root` is `/`, or a folder that is laid out like it.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self::at("/")
    }
}

type Collect = fn(&Host, &mut Page) -> io::Result<()>;

/// By the names node_exporter has for them.
const COLLECTORS: &[(&str, Collect)] = &[
    ("cpu", kernel::stat),
    ("loadavg", kernel::load),
    ("vmstat", kernel::vmstat),
    ("pressure", kernel::pressure),
    ("filefd", kernel::file_descriptors),
    ("entropy", kernel::entropy),
    ("hwmon", hardware::sensors),
    ("thermal_zone", hardware::thermal_zones),
    ("mdadm", hardware::arrays),
    ("edac", supplies::memory_errors),
    ("powersupplyclass", supplies::power),
    ("os", hardware::release),
    ("uname", kernel::uname),
    ("meminfo", memory::collect),
    ("diskstats", devices::disks),
    ("filesystem", devices::filesystems),
    ("netdev", network::devices),
    ("netclass", network::links),
    ("netstat", network::protocols),
    ("sockstat", network::sockets),
    ("udp_queues", network::udp_queues),
    ("conntrack", network::connections),
    ("arp", network::neighbours),
    ("bonding", network::bonds),
    ("cgroups", cgroups::collect),
    ("textfile", textfile::collect),
];

/// A host of hundreds of processors has most of these. They come last: where there is no room for all, they are what is missed
/// least.
const OF_EACH_PROCESSOR: &[(&str, Collect)] =
    &[("softnet", network::soft_interrupts), ("schedstat", hardware::run_queues), ("cpufreq", hardware::frequencies)];

impl Host {
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Reads everything. It may wait for a file system that does not answer, so it belongs on a thread of its own.
    ///
    /// `groups` are the services whose processes are told one by one.
    pub fn collect(&self, groups: &[Group], clock: &dyn Clock) -> Page {
        let mut page = Page::default();
        for (name, collect) in COLLECTORS {
            timed(name, clock, &mut page, |page| collect(self, page));
        }
        timed("processes", clock, &mut page, |page| services::collect(self, groups, page));
        for (name, collect) in OF_EACH_PROCESSOR {
            timed(name, clock, &mut page, |page| collect(self, page));
        }
        page.put("node_time_seconds", &[], clock.now().millis() as f64 / 1e3);
        page
    }

    /// A path below the root: `proc/stat`.
    fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    fn read(&self, below: impl AsRef<Path>) -> io::Result<String> {
        read_text(&self.path(below))
    }

    /// A file that holds one number.
    fn number(&self, below: impl AsRef<Path>) -> io::Result<f64> {
        let text = self.read(below)?;
        text.trim().parse().map_err(|_| odd("a number"))
    }
}

/// Says how long a part took and whether it went well.
fn timed(name: &str, clock: &dyn Clock, page: &mut Page, collect: impl FnOnce(&mut Page) -> io::Result<()>) {
    let started = clock.now();
    let outcome = collect(page);
    if let Err(error) = &outcome {
        tracing::debug!(%error, collector = name, "a part of the host's metrics cannot be read");
    }
    let labels = [("collector", name)];
    page.put("node_scrape_collector_success", &labels, f64::from(u8::from(outcome.is_ok())));
    page.put("node_scrape_collector_duration_seconds", &labels, clock.now().since_ms(started) as f64 / 1e3);
}

/// Files of the kernel have no size of their own, so it is the reading that is limited.
fn read_text(path: &Path) -> io::Result<String> {
    use io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The kernel wrote something else than what is expected there.
fn odd(wanted: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{wanted} was expected"))
}

/// Fields that are numbers; what is none counts as 0, as node_exporter would refuse the whole file for it.
fn numbers<'a>(fields: impl Iterator<Item = &'a str>) -> Vec<f64> {
    fields.map(|f| f.parse().unwrap_or(0.0)).collect()
}

/// Files that this kernel may not have.
fn optional<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
