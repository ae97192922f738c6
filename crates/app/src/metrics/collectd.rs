//! What collectd sends becomes series, named as its own plugin `write_graphite` names them with tags.

use std::collections::BTreeMap;

use tenfold_protocols::batch::{Batch, TooMuch};
use tenfold_protocols::collectd::{
    Access, CollectdError, PASSWORDS_BYTES_MAX, Security, Types, TypesError, ValueList, decode,
};
use tenfold_protocols::exposition::Metadata;
use tenfold_types::{ErrorCode, Fault, Labels, Point, Timestamp};

use super::State;
use super::push::{PushFault, Pushed, Source};
use crate::settings::{Collectd, CollectdSecurity};

const PACKETS: &str = "tenfold_collectd_packets_total";
const NOTIFICATIONS: &str = "tenfold_collectd_notifications_ignored_total";
const UNSAFE: &str = "tenfold_collectd_unsafe_total";

/// The types of collectd itself, and those of the files that the settings name.
pub(super) fn types(settings: &Collectd) -> Result<Types, Fault> {
    let mut types = Types::default();
    for path in &settings.types_db {
        let wrong = |reason: String| Fault::invalid(format!("collectd.types_db: {}: {reason}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        types.add(&text).map_err(|e: TypesError| wrong(e.to_string()))?;
    }
    Ok(types)
}

/// Who may send, and how safely. The file of passwords is read once, at the start.
pub(super) fn access(settings: &Collectd) -> Result<Access, Fault> {
    let path = &settings.auth_file;
    let wrong = |reason: String| Fault::invalid(format!("collectd.auth_file: {}: {reason}", path.display()));
    let text = if path.as_os_str().is_empty() {
        String::new()
    } else {
        std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?
    };
    if text.len() > PASSWORDS_BYTES_MAX {
        return Err(wrong(format!("it has more than {PASSWORDS_BYTES_MAX} bytes")));
    }
    let security = match settings.security_level {
        CollectdSecurity::None => Security::None,
        CollectdSecurity::Sign => Security::Sign,
        CollectdSecurity::Encrypt => Security::Encrypt,
    };
    let access = Access::new(security, &text).map_err(|line| wrong(format!("line {line} is not `user: password`")))?;
    if access.lets_nobody_in() {
        return Err(Fault::invalid("collectd.security_level asks for signatures, and there are no passwords")
            .advice("name a file of `user: password` lines as `collectd.auth_file`"));
    }
    Ok(access)
}

impl State {
    /// Begins the counters of the listener at zero.
    pub fn collectd_listens(&self) {
        for name in [PACKETS, NOTIFICATIONS, UNSAFE] {
            self.own.add(name, &[], 0.0);
        }
    }

    /// Takes in datagrams of the plugin `network`. An error means that these were lost.
    pub fn collectd_packets<'p>(
        &self,
        packets: impl IntoIterator<Item = &'p [u8]>,
        now: Timestamp,
    ) -> Result<(), PushFault> {
        let (mut lists, mut bad) = (Vec::new(), Vec::new());
        for packet in packets {
            self.own.add(PACKETS, &[], 1.0);
            let opened = self.collectd_access.open(packet);
            match opened.and_then(|parts| decode(&parts, &self.collectd_types, &mut lists)) {
                Ok(0) => {}
                Ok(notifications) => self.own.add(NOTIFICATIONS, &[], notifications as f64),
                Err(error) => {
                    if is_unsafe(&error) {
                        self.own.add(UNSAFE, &[], 1.0);
                    }
                    bad.push(error.to_string());
                }
            }
        }
        let first = bad.first().map_or("", String::as_str);
        self.push_collectd(&Source::new("collectd", "udp"), &lists, (bad.len(), first), now).map(|_| ())
    }

    /// Takes in lists of values, and counts how much could not be read beside them, with the reason of the first.
    pub fn push_collectd(
        &self,
        source: &Source,
        lists: &[ValueList],
        bad: (usize, &str),
        now: Timestamp,
    ) -> Result<Pushed, PushFault> {
        let mut series: Vec<(Labels, Point)> = Vec::new();
        let mut families = BTreeMap::new();
        for list in lists {
            let t_ms = list.t_ms.unwrap_or_else(|| now.millis());
            // "Not a number" is how collectd says that there is none.
            for value in list.values.iter().filter(|value| !value.value.is_nan()) {
                let labels = list.labels(value);
                if let Some(name) = labels.metric_name() {
                    let about = Metadata { kind: value.kind.family().to_owned(), ..Metadata::default() };
                    families.entry(name.to_owned()).or_insert(about);
                }
                series.push((labels, Point::new(t_ms, value.value)));
            }
        }
        let batch = batch(&series, bad)
            .map_err(|e| PushFault { fault: Fault::new(ErrorCode::TooLarge, e.to_string()), retry_after_s: None })?;
        let pushed = self.push(source, &batch, now)?;
        self.keep_metadata(families);
        Ok(pushed)
    }
}

/// It was read well, and is refused for who sent it, or how.
const fn is_unsafe(error: &CollectdError) -> bool {
    use CollectdError::{Encrypted, NotEncrypted, Signature, Unsigned, User};
    matches!(error, Encrypted | NotEncrypted | Signature | Unsigned | User)
}

fn batch<'s>(series: &'s [(Labels, Point)], (bad, first): (usize, &str)) -> Result<Batch<'s>, TooMuch> {
    let mut batch = Batch::default();
    batch.refuse("bad_packet", bad, || first.to_owned());
    for (labels, point) in series {
        for (name, value) in labels.iter() {
            batch.label(name, value)?;
        }
        batch.point(*point)?;
        batch.end()?;
    }
    Ok(batch)
}
