//! What collectd sends becomes series, named as its own plugin `write_graphite` names them with tags.

mod held;

use std::collections::BTreeMap;

use tenfold_protocols::batch::{Batch, TooMuch};
use tenfold_protocols::collectd::{
    Access, CollectdError, Kind, PASSWORDS_BYTES_MAX, Security, Types, TypesError, ValueList, decode,
};
use tenfold_protocols::exposition::Metadata;
use tenfold_types::{ErrorCode, Fault, Labels, Point, Timestamp};
use tokio_util::sync::CancellationToken;

use super::State;
use super::push::{PushFault, Pushed, Source};
use crate::App;
use crate::settings::{Collectd, CollectdSecurity};

pub(super) use held::Held;

const PACKETS: &str = "tenfold_collectd_packets_total";
const NOTIFICATIONS: &str = "tenfold_collectd_notifications_ignored_total";
const UNSAFE: &str = "tenfold_collectd_unsafe_total";

/// A source of its own: that values are repeated does not say that their sender is there, nor take of what it may send.
const REPEATED: &str = "repeated";
const BAD_PACKET: &str = "bad_packet";
const AGAIN_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

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
        let (mut intervals, mut ended) = (Vec::new(), Vec::new());
        let mut families = BTreeMap::new();
        for list in lists {
            let t_ms = list.t_ms.unwrap_or_else(|| now.millis());
            for value in &list.values {
                // "Not a number" is how collectd says that there is none.
                if value.value.is_nan() {
                    if held::is_seldom(list.interval_ms) {
                        ended.push((list.labels(value), t_ms));
                    }
                    continue;
                }
                let labels = list.labels(value);
                if let Some(name) = labels.metric_name() {
                    let about = Metadata { kind: value.kind.family().to_owned(), ..Metadata::default() };
                    families.entry(name.to_owned()).or_insert(about);
                }
                series.push((labels, Point::new(t_ms, value.value)));
                // What was counted since the last reading is told once, or it would be counted again.
                let interval_ms = list.interval_ms.filter(|_| value.kind != Kind::Absolute);
                intervals.push((interval_ms, matches!(value.kind, Kind::Counter | Kind::Derive)));
            }
        }
        let batch = batch(&series, bad).map_err(too_much)?;
        let pushed = self.push(source, &batch, now)?;
        self.keep_metadata(families);
        // What a limit kept out is not to come in by being repeated.
        let may_begin = pushed.refused.iter().all(|refused| refused.reason == BAD_PACKET);
        let mut held = self.collectd_held.lock();
        // The newest first: those before it tell how late they come.
        for ((labels, point), about) in series.iter().zip(intervals).rev() {
            held.hear(labels, *point, about, may_begin, now);
        }
        for (labels, t_ms) in &ended {
            held.forget(labels, *t_ms);
        }
        Ok(pushed)
    }

    /// Writes again what was read so seldom that queries would not see it, and ends what did not come any more.
    fn collectd_again(&self, now: Timestamp) -> Result<(), PushFault> {
        let series = self.collectd_held.lock().due(now);
        if series.is_empty() {
            return Ok(());
        }
        let batch = batch(&series, (0, "")).map_err(too_much)?;
        self.push(&Source::new("collectd", REPEATED), &batch, now)?;
        self.collectd_held.lock().written(&series);
        Ok(())
    }
}

/// Repeats seldom values until the server stops.
pub(super) async fn keep(app: &App, stop: &CancellationToken) {
    let mut often = tokio::time::interval(AGAIN_EVERY);
    often.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut fails = false;
    while stop.run_until_cancelled(often.tick()).await.is_some() {
        let refused = super::off_runtime(app, |app| app.metrics.collectd_again(app.now()).err()).await;
        // It is tried again each time, and said once.
        if let (Some(refused), false) = (&refused, fails) {
            tracing::warn!(reason = %refused.fault, "collectd's values that are still so cannot be written");
        }
        fails = refused.is_some();
    }
}

fn too_much(error: TooMuch) -> PushFault {
    PushFault { fault: Fault::new(ErrorCode::TooLarge, error.to_string()), retry_after_s: None }
}

/// It was read well, and is refused for who sent it, or how.
const fn is_unsafe(error: &CollectdError) -> bool {
    use CollectdError::{Encrypted, NotEncrypted, Signature, Unsigned, User};
    matches!(error, Encrypted | NotEncrypted | Signature | Unsigned | User)
}

fn batch<'s>(series: &'s [(Labels, Point)], (bad, first): (usize, &str)) -> Result<Batch<'s>, TooMuch> {
    let mut batch = Batch::default();
    batch.refuse(BAD_PACKET, bad, || first.to_owned());
    for (labels, point) in series {
        for (name, value) in labels.iter() {
            batch.label(name, value)?;
        }
        batch.point(*point)?;
        batch.end()?;
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use tenfold_protocols::collectd::DataValue;

    use super::*;

    fn one(kind: Kind, plugin: &str, value: f64, interval_s: i64, at: Timestamp) -> ValueList {
        ValueList {
            host: "h1".into(),
            plugin: plugin.into(),
            kind: "count".into(),
            t_ms: Some(at.millis()),
            interval_ms: Some(interval_s * 1_000),
            values: vec![DataValue { name: String::new(), kind, value }],
            ..ValueList::default()
        }
    }

    #[test]
    fn what_is_read_seldom_is_seen_between_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
        let state = State::open(&settings).unwrap();
        let at = |s: i64| Timestamp(1_795_424_400_000 + s * 1_000);
        let say_of = |kind: Kind, plugin: &str, value: f64, interval_s: i64, s: i64| {
            let list = one(kind, plugin, value, interval_s, at(s));
            // As it waits a moment in the sender's buffer.
            state.push_collectd(&Source::new("collectd", "udp"), &[list], (0, ""), at(s + 5)).unwrap();
        };
        let say = |plugin: &str, value: f64, interval_s: i64, s: i64| say_of(Kind::Gauge, plugin, value, interval_s, s);
        let seen = |plugin: &str, s: i64| {
            let found = state.query_instant(&format!("collectd_{plugin}_count"), at(s)).unwrap();
            let tenfold_promql::Value::Vector(rows) = found else { panic!("a vector is answered") };
            rows.first().and_then(|row| row.value.float())
        };
        say("often", 1.0, 10, 0);
        say_of(Kind::Absolute, "mails", 1.0, 3_600, 0);
        for s in 0..8_000 {
            match s {
                0 => say("backup", 1.0, 3_600, 0),
                3_605 => say("backup", 2.0, 3_600, 3_600),
                10 => say("disk", 1.0, 600, 5),
                611 => say("disk", f64::NAN, 600, 606),
                _ => {}
            }
            state.collectd_again(at(s)).unwrap();
            let wanted = if s < 3_605 { 1.0 } else { 2.0 };
            assert_eq!(seen("backup", s), Some(wanted), "after {s} s");
        }
        assert_eq!(seen("often", 200), Some(1.0));
        assert_eq!((seen("often", 400), seen("mails", 400)), (None, None), "they are not repeated");
        assert_eq!((seen("disk", 500), seen("disk", 1_000)), (Some(1.0), None), "there is none any more");
        for s in 8_000..11_000 {
            state.collectd_again(at(s)).unwrap();
        }
        assert_eq!((seen("backup", 10_799), seen("backup", 10_801)), (Some(2.0), None), "twice its interval is over");
        let refused = state.own.get(
            "tenfold_push_requests_total",
            &[("protocol", "collectd"), ("source", REPEATED), ("outcome", "partly_refused")],
        );
        assert_eq!(refused, 0.0);
    }

    #[test]
    fn a_clock_that_is_behind_makes_no_value_older_and_no_counter_fall() {
        let dir = tempfile::tempdir().unwrap();
        let settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
        let state = State::open(&settings).unwrap();
        let at = |s: i64| Timestamp(1_795_424_400_000 + s * 1_000);
        let seen = |query: &str, s: i64| {
            let found = state.query_instant(query, at(s)).unwrap();
            let tenfold_promql::Value::Vector(rows) = found else { panic!("a vector is answered") };
            rows.first().and_then(|row| row.value.float())
        };
        let (interval_s, behind_s) = (290, 230);
        let mut value = 0.0;
        for s in behind_s..3_600 {
            if (s - behind_s) % interval_s == 0 {
                value += 1.0;
                let lists = [(Kind::Gauge, "level"), (Kind::Derive, "mails")]
                    .map(|(kind, plugin)| one(kind, plugin, value, interval_s, at(s - behind_s)));
                state.push_collectd(&Source::new("collectd", "udp"), &lists, (0, ""), at(s)).unwrap();
            }
            state.collectd_again(at(s)).unwrap();
            assert_eq!(seen("collectd_level_count", s), Some(value), "after {s} s");
        }
        assert_eq!(seen("resets(collectd_mails_count[1h])", 3_599), Some(0.0));
        assert_eq!(seen("max_over_time(collectd_mails_count[10m])", 3_599), Some(value));
    }
}
