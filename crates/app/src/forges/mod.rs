//! The places where repositories live: what they tell (a push) and what they are told (how a deploy goes). And who speaks
//! CDEvents with us, over the same queue.
//!
//! Nothing is written before a delivery's signature fits. What is to be told is a row written from the record, so it
//! survives a restart; a forge that does not answer never holds a deploy up.

mod cdevents;
mod hook;
mod places;
pub mod ports;
mod statuses;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tenfold_protocols::forge::{SECRET_BYTES_MIN, is_web_base};
use tenfold_store::{forges as store, leases};
use tenfold_types::Fault;
use tokio_util::sync::CancellationToken;

pub use hook::HookAnswer;
pub use places::{Place, Places, READ_MAX};

use crate::{App, settings::ForgeSettings};

/// How often it is looked for what is due.
const LOOK: Duration = Duration::from_secs(1);
const LEASE: &str = "forges";
const LEASE_MS: i64 = 30_000;
/// Deliveries are remembered this long. No sender repeats one after so long, but whoever has caught one may: the signatures of
/// GitHub and Gitea say no time, so memory is all there is against it.
const REMEMBERED_MS: i64 = 2 * 365 * 86_400_000;
/// So many are remembered of each sender, some 300 bytes each, and in any case those of the last month.
const REMEMBERED_MAX: u32 = 200_000;
const REMEMBERED_MS_MIN: i64 = 30 * 86_400_000;
const PRUNE: Duration = Duration::from_hours(1);

#[derive(Default)]
pub struct State {
    client: OnceLock<Arc<dyn ports::ForgeClient>>,
    secrets: OnceLock<BTreeMap<String, Secrets>>,
    /// Webhooks that are read at the moment.
    pub places: Places,
}

/// What is read from files at start.
#[derive(Default, Clone)]
struct Secrets {
    hook: Option<Vec<u8>>,
    token: Option<String>,
}

impl State {
    /// Who speaks to forges. Set once, before `start`.
    pub fn set_client(&self, client: Arc<dyn ports::ForgeClient>) {
        let _ = self.client.set(client);
    }

    fn secrets(&self, forge: &str) -> Secrets {
        self.secrets.get().and_then(|all| all.get(forge)).cloned().unwrap_or_default()
    }
}

/// Reads what the settings name for one that is told, `of` a table of theirs.
fn secrets(of: &str, what: &str, name: &str, secret: Option<&Path>, token: Option<&Path>) -> Result<Secrets, Fault> {
    crate::people::check_name(what, name)?;
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
            .map_err(|e| Fault::invalid(format!("{of}: {} of {name} cannot be read: {e}", path.display())))
    };
    let secret = secret.map(read).transpose()?;
    if secret.as_ref().is_some_and(|s| s.len() < SECRET_BYTES_MIN) {
        return Err(Fault::invalid(format!(
            "{of}: the secret of {name} has fewer than {SECRET_BYTES_MIN} bytes; make one with `openssl rand -hex 32`"
        )));
    }
    Ok(Secrets { hook: secret.map(String::into_bytes), token: token.map(read).transpose()? })
}

fn keep(all: &mut BTreeMap<String, Secrets>, of: &str, key: String, secrets: Secrets) -> Result<(), Fault> {
    if all.insert(key.clone(), secrets).is_none() {
        return Ok(());
    }
    let name = key.trim_start_matches(cdevents::PREFIX);
    Err(Fault::invalid(format!("{of}: {name} stands twice in the settings")))
}

/// Reads the secrets; one that is too short or cannot be read keeps the server from starting.
pub async fn load(app: &App) -> Result<(), Fault> {
    let mut all = BTreeMap::new();
    for forge in &app.settings.forges {
        if !forge.web.is_empty() && !is_web_base(&forge.web) {
            return Err(Fault::invalid(format!("forges: `{}` of {} is no base of pages", forge.web, forge.name))
                .advice("write it like https://git.example.org, without a question mark"));
        }
        let (secret, token) = (forge.hook_secret_file.as_deref(), forge.token_file.as_deref());
        let read = secrets("forges", "forge", &forge.name, secret, token)?;
        keep(&mut all, "forges", forge.name.clone(), read)?;
    }
    for sink in &app.settings.cdevents.sinks {
        let (secret, token) = (sink.secret_file.as_deref(), sink.token_file.as_deref());
        let read = secrets("cdevents.sinks", "sink", &sink.name, secret, token)?;
        if !sink.url.starts_with("https://") && !sink.url.starts_with("http://") {
            return Err(Fault::invalid(format!("cdevents.sinks: `{}` of {} is no address", sink.url, sink.name)));
        }
        keep(&mut all, "cdevents.sinks", format!("{}{}", cdevents::PREFIX, sink.name), read)?;
    }
    let _ = app.forges.secrets.set(all);
    statuses::begin(app).await
}

/// Tells what was deployed, until `stop` is cancelled; what was pushed waits in the queues of deploys. Deliveries are forgotten in time also where
/// no forge and no sink is set up: CDEvents come in without either.
pub async fn run(app: App, stop: CancellationToken) {
    let nobody = app.settings.forges.is_empty() && app.settings.cdevents.sinks.is_empty();
    let mut prune_at = tokio::time::interval(PRUNE);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = prune_at.tick() => prune(&app).await,
            () = tokio::time::sleep(LOOK), if !nobody => {
                if let Err(fault) = look(&app).await {
                    tracing::warn!(%fault, "forges could not be told or heard; trying again");
                }
            }
        }
    }
}

/// One look, as the loop does it.
pub async fn look(app: &App) -> Result<(), Fault> {
    let holder = app.deploys.node()?;
    let held = app
        .housekeeping(move |t| {
            let now = t.now();
            Ok(leases::acquire(t.tx(), LEASE, &holder, now, LEASE_MS)?)
        })
        .await?;
    if held.is_none() {
        return Ok(());
    }
    statuses::collect(app).await?;
    statuses::send(app).await
}

async fn prune(app: &App) {
    let (before, surplus_before) = (app.now().plus_ms(-REMEMBERED_MS), app.now().plus_ms(-REMEMBERED_MS_MIN));
    let pruned = app
        .housekeeping(move |t| {
            store::deliveries_prune(t.tx(), before)?;
            Ok(store::deliveries_surplus(t.tx(), REMEMBERED_MAX, surplus_before)?)
        })
        .await;
    if let Err(fault) = pruned {
        tracing::warn!(%fault, "old deliveries stay");
    }
}

impl App {
    fn forge(&self, name: &str) -> Result<&ForgeSettings, Fault> {
        self.settings.forges.iter().find(|f| f.name == name).ok_or_else(|| {
            Fault::not_found(format!("there is no forge `{name}`")).advice("add it to the settings, under [[forges]]")
        })
    }
}
