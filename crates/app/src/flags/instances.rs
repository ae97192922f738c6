//! Who asks for flags: applications and their running copies, as SDKs introduce themselves. In this node's memory only:
//! a copy that lives says so again within minutes.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;
use utoipa::ToSchema;

use crate::App;

/// Copies that are remembered at once; of more, those seen longest ago are forgotten.
pub const INSTANCES_MAX: usize = 10_000;
/// A copy that was silent this long is forgotten.
const FORGET_AFTER_MS: i64 = 24 * 3_600_000;
const TEXT_CHARS_MAX: usize = 200;
const STRATEGIES_MAX: usize = 100;

/// What an SDK says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Introduction {
    pub app_name: String,
    pub instance_id: Option<String>,
    pub connection_id: Option<String>,
    pub sdk_version: Option<String>,
    pub strategies: Vec<String>,
    /// Of the software that evaluates, such as `nodejs` or `rust`.
    pub platform_name: Option<String>,
    pub platform_version: Option<String>,
    pub yggdrasil_version: Option<String>,
    pub spec_version: Option<String>,
}

/// A running copy of an application that uses flags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FlagClient)]
pub struct InstanceView {
    pub app_name: String,
    pub instance_id: String,
    pub environment: String,
    /// Such as `unleash-node-sdk:6.12.1`; empty when it did not say.
    pub sdk_version: String,
    /// Strategies it can evaluate; a flag that uses another is off there.
    pub strategies: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub first_seen_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_seen_at: Timestamp,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FlagClientList)]
pub struct InstanceList {
    /// Seen last first.
    pub items: Vec<InstanceView>,
}

type Key = (String, String, String);

#[derive(Default)]
pub struct Instances(Mutex<HashMap<Key, InstanceView>>);

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).filter(|c| !c.is_control()).collect()
}

impl Instances {
    fn seen(&self, environment: &str, said: &Introduction, now: Timestamp) {
        let app_name = cut(&said.app_name);
        if app_name.is_empty() {
            return;
        }
        let instance_id = cut(said.instance_id.as_deref().or(said.connection_id.as_deref()).unwrap_or("default"));
        let key = (environment.to_owned(), app_name.clone(), instance_id.clone());
        let mut all = self.0.lock();
        if !all.contains_key(&key) && all.len() >= INSTANCES_MAX {
            make_room(&mut all, now);
        }
        let known = all.entry(key).or_insert_with(|| InstanceView {
            app_name,
            instance_id,
            environment: environment.to_owned(),
            sdk_version: String::new(),
            strategies: Vec::new(),
            first_seen_at: now,
            last_seen_at: now,
        });
        known.last_seen_at = now;
        if let Some(version) = said.sdk_version.as_deref().filter(|v| !v.is_empty() && **v != known.sdk_version) {
            known.sdk_version = cut(version);
        }
        if !said.strategies.is_empty() {
            known.strategies = said.strategies.iter().take(STRATEGIES_MAX).map(|s| cut(s)).collect();
        }
    }

    fn list(&self, now: Timestamp) -> Vec<InstanceView> {
        let mut all = self.0.lock();
        all.retain(|_, i| now.millis() - i.last_seen_at.millis() < FORGET_AFTER_MS);
        let mut items: Vec<_> = all.values().cloned().collect();
        items.sort_by(|a, b| {
            (b.last_seen_at, &a.app_name, &a.instance_id).cmp(&(a.last_seen_at, &b.app_name, &b.instance_id))
        });
        items
    }
}

/// Forgets the silent ones, and if there are none the tenth that was seen longest ago.
fn make_room(all: &mut HashMap<Key, InstanceView>, now: Timestamp) {
    all.retain(|_, i| now.millis() - i.last_seen_at.millis() < FORGET_AFTER_MS);
    if all.len() < INSTANCES_MAX {
        return;
    }
    let mut times: Vec<Timestamp> = all.values().map(|i| i.last_seen_at).collect();
    let (_, oldest, _) = times.select_nth_unstable(INSTANCES_MAX / 10);
    let oldest = *oldest;
    all.retain(|_, i| i.last_seen_at > oldest);
}

impl App {
    /// Notes that a copy of an application lives.
    pub fn flag_instance_seen(&self, environment: &str, said: &Introduction) {
        self.flags.instances.seen(environment, said, self.now());
    }

    /// Copies of applications that asked this node for flags within a day.
    pub fn flag_instances(&self) -> InstanceList {
        InstanceList { items: self.flags.instances.list(self.now()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(app: &str, instance: &str) -> Introduction {
        Introduction { app_name: app.into(), instance_id: Some(instance.into()), ..Introduction::default() }
    }

    #[test]
    fn a_copy_is_one_however_often_it_speaks() {
        let all = Instances::default();
        all.seen("production", &said("photos", "1"), Timestamp(1));
        let again = Introduction { sdk_version: Some("node:6".into()), ..said("photos", "1") };
        all.seen("production", &again, Timestamp(5));
        all.seen("production", &said("photos", "1"), Timestamp(6));
        all.seen("production", &said("", "1"), Timestamp(7));
        let list = all.list(Timestamp(10));
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].first_seen_at, list[0].last_seen_at), (Timestamp(1), Timestamp(6)));
        assert_eq!(list[0].sdk_version, "node:6");
        assert!(all.list(Timestamp(10 + FORGET_AFTER_MS)).is_empty());
    }

    #[test]
    fn room_is_made_by_forgetting_the_oldest() {
        let all = Instances::default();
        for n in 0..=INSTANCES_MAX {
            all.seen("production", &said("photos", &n.to_string()), Timestamp(n as i64));
        }
        let list = all.list(Timestamp(INSTANCES_MAX as i64));
        assert!(list.len() <= INSTANCES_MAX && list.len() > INSTANCES_MAX / 2, "{}", list.len());
        assert_eq!(list[0].instance_id, INSTANCES_MAX.to_string());
    }
}
