//! The client itself: evaluations, and the end of its threads.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tenfold_flags::{Context, DISABLED_VARIANT, Evaluation, FlagKey, Moment, Payload, Reason};
use tenfold_types::Timestamp;

use crate::builder::Builder;
use crate::http::Server;
use crate::shared::{Shared, lock};

/// Flags of one environment. Share it by reference or in an `Arc`; dropping it ends its threads.
///
/// A flag is asked by its name, or by a [`FlagRef`](crate::FlagRef), which remembers where the flag was found.
///
/// Every getter takes the default of the call, which is answered when there is no such flag, when no definitions are
/// there yet, and when the flag's value is of another type. A flag that is off answers its off value.
pub struct Client {
    shared: Arc<Shared>,
    threads: Threads,
    dice: AtomicU64,
    app_name: String,
    farewell_max: Duration,
}

/// One answer with what led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Details {
    pub enabled: bool,
    pub value: Value,
    /// The chosen variant's name, else `on` or `off`.
    pub variant: String,
    pub reason: Reason,
}

/// The variant as Unleash SDKs have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub name: String,
    /// False for the variant `disabled`, which stands for none.
    pub enabled: bool,
    pub payload: Option<Payload>,
    pub feature_enabled: bool,
}

impl Client {
    /// `url` is the server's own, without a path; `token` is a flag token of the kind `client`, which names the
    /// environment.
    pub fn builder(url: impl Into<String>, token: impl Into<String>) -> Builder {
        Builder::new(url.into(), token.into())
    }

    pub(crate) fn new(
        shared: Arc<Shared>,
        threads: Threads,
        mut dice: Dice,
        app_name: String,
        farewell_max: Duration,
    ) -> Self {
        Self { shared, threads, dice: AtomicU64::new(dice.roll()), app_name, farewell_max }
    }

    /// A context that already names this application.
    pub fn context(&self) -> Context {
        Context::new().with("appName", self.app_name.as_str())
    }

    /// Waits until there are definitions, from wherever; false when there are none after `time`. Only for programs
    /// that would rather start late than with the defaults of their code.
    pub fn wait_for_definitions(&self, time: Duration) -> bool {
        self.shared.wait_for_definitions(time)
    }

    /// Whether the flag is on, whatever the type of its value. A flag that does not exist is off.
    pub fn is_enabled(&self, flag: impl FlagKey, context: &Context) -> bool {
        self.ask(flag, context, |a| a.enabled).unwrap_or(false)
    }

    pub fn bool(&self, flag: impl FlagKey, context: &Context, default: bool) -> bool {
        self.ask(flag, context, |a| a.value().as_bool()).flatten().unwrap_or(default)
    }

    pub fn string(&self, flag: impl FlagKey, context: &Context, default: &str) -> String {
        let found = self.ask(flag, context, |a| a.value().as_str().map(str::to_owned)).flatten();
        found.unwrap_or_else(|| default.to_owned())
    }

    pub fn int(&self, flag: impl FlagKey, context: &Context, default: i64) -> i64 {
        self.ask(flag, context, |a| a.value().as_i64()).flatten().unwrap_or(default)
    }

    /// Whole numbers are floats too.
    pub fn float(&self, flag: impl FlagKey, context: &Context, default: f64) -> f64 {
        self.ask(flag, context, |a| a.value().as_f64()).flatten().unwrap_or(default)
    }

    /// A JSON object.
    pub fn object(&self, flag: impl FlagKey, context: &Context, default: Value) -> Value {
        let found = self.ask(flag, context, |a| a.value().is_object().then(|| a.value().clone())).flatten();
        found.unwrap_or(default)
    }

    pub fn variant(&self, flag: impl FlagKey, context: &Context) -> Variant {
        let found = self.ask(flag, context, |a| {
            let variant = a.unleash_variant();
            Variant {
                name: variant.map_or(DISABLED_VARIANT, |v| v.0).to_owned(),
                enabled: variant.is_some(),
                payload: variant.and_then(|v| v.1).cloned(),
                feature_enabled: a.enabled,
            }
        });
        found.unwrap_or_else(|| Variant {
            name: DISABLED_VARIANT.into(),
            enabled: false,
            payload: None,
            feature_enabled: false,
        })
    }

    /// `None` when there is no such flag.
    pub fn details(&self, flag: impl FlagKey, context: &Context) -> Option<Details> {
        self.ask(flag, context, |a| Details {
            enabled: a.enabled,
            value: a.value().clone(),
            variant: a.variant().to_owned(),
            reason: a.reason,
        })
    }

    /// How many flags the current definitions hold.
    pub fn flags(&self) -> usize {
        self.shared.table.load().snapshot.names().len()
    }

    fn ask<T>(&self, flag: impl FlagKey, context: &Context, read: impl FnOnce(&Evaluation<'_>) -> T) -> Option<T> {
        let table = self.shared.table.load();
        let random = mix(self.dice.fetch_add(STEP, Ordering::Relaxed)) as u32;
        let answer = table.snapshot.evaluate(flag, context, Moment { now: now(), random })?;
        if let Some(Some(counts)) = table.counts.get(answer.index()) {
            counts.count(answer.enabled, answer.unleash_variant().map_or(DISABLED_VARIANT, |v| v.0));
        }
        Some(read(&answer))
    }
}

impl Drop for Client {
    /// Sends the last counts and ends the threads, within the farewell limit and a little.
    fn drop(&mut self) {
        self.shared.stop();
        self.threads.end(self.farewell_max);
    }
}

#[expect(clippy::disallowed_methods, reason = "this crate is a shell: it hands the time to the engine")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Random numbers for spreading requests and for flags that stick to nobody; not for secrets.
pub(crate) struct Dice(u64);

impl Dice {
    /// Seeded as the standard library seeds its hash maps: from the system.
    pub(crate) fn seeded() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// From 0 to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[derive(Default)]
pub(crate) struct Threads {
    running: Vec<Running>,
}

struct Running {
    server: Server,
    /// Closed when the thread has ended, also by a panic. Behind a lock only because a receiver is not `Sync`.
    ended: Mutex<mpsc::Receiver<()>>,
}

/// How long a thread gets after its connections were shut: it is then at most at resolving a name or connecting.
const GRACE: Duration = Duration::from_millis(250);

impl Threads {
    pub(crate) fn start(
        &mut self,
        name: &str,
        server: Server,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let (alive, ended) = mpsc::channel();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            let _alive: mpsc::Sender<()> = alive;
            run();
        })?;
        self.running.push(Running { server, ended: Mutex::new(ended) });
        Ok(())
    }

    /// The first thread reads from the network and is cut off at once; the last one may say its farewell. A thread
    /// that does not end in time is left to the process; it holds nothing that the client's owner waits for.
    fn end(&mut self, farewell_max: Duration) {
        let deadline = Instant::now() + farewell_max;
        let last = self.running.len().saturating_sub(1);
        for (i, thread) in self.running.iter().enumerate() {
            if i < last {
                thread.server.shut_down();
            }
        }
        for (i, thread) in self.running.iter().enumerate().rev() {
            let left = if i == last { deadline.saturating_duration_since(Instant::now()) } else { GRACE };
            let ended = lock(&thread.ended);
            if matches!(ended.recv_timeout(left), Err(RecvTimeoutError::Timeout)) {
                thread.server.shut_down();
                let _ = ended.recv_timeout(GRACE);
            }
        }
    }
}
