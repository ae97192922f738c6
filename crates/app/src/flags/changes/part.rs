//! An update of a whole flag may concern several environments: what may be done now is parted from what waits for a second
//! person.

use tenfold_flags::{Flag, FlagEnvironment};
use tenfold_types::Fault;

use crate::Txn;
use crate::flags::manage;
use crate::flags::told;
use crate::flags::views::FlagUpdate;
use crate::people::four_eyes;

/// The part that is done now, and the part that becomes a change request of the environment named with it.
pub(in crate::flags) fn part(
    t: &mut Txn<'_>,
    before: &Flag,
    update: &FlagUpdate,
) -> Result<(FlagUpdate, Option<(String, FlagUpdate)>), Fault> {
    let mut now = update.clone();
    let mut later = FlagUpdate::default();
    let mut place = None;
    let mut after = before.clone();
    manage::apply(&mut after, update, "");
    after.normalize();
    let unset = FlagEnvironment::default();
    for name in update.environments.keys() {
        let state = |flag: &Flag| flag.environments.get(name).unwrap_or(&unset).clone();
        let (old, new) = (state(before), state(&after));
        let only_off = !new.enabled && told(&FlagEnvironment { enabled: false, ..old.clone() }) == told(&new);
        if told(&old) == told(&new) || only_off || !four_eyes(t.tx(), name)? {
            continue;
        }
        if let Some(change) = now.environments.remove(name) {
            later.environments.insert(name.clone(), change);
        }
        place.get_or_insert_with(|| name.clone());
    }
    // Parents and the kind of value change the answers wherever the flag is on.
    if before.dependencies != after.dependencies || before.value_type != after.value_type {
        for (name, _) in before.environments.iter().filter(|(_, state)| state.enabled) {
            if four_eyes(t.tx(), name)? {
                later.dependencies = later.dependencies.or_else(|| now.dependencies.take());
                later.value_type = later.value_type.or_else(|| now.value_type.take());
                place.get_or_insert_with(|| name.clone());
            }
        }
    }
    // Values of another kind can only be written together with the kind.
    if later.value_type.is_some() {
        later.environments.append(&mut now.environments);
    }
    Ok((now, place.map(|place| (place, later))))
}

/// The first environment in which a flag would change for people and a second person is wanted.
pub(in crate::flags) fn changed_under_four_eyes(
    t: &mut Txn<'_>,
    before: Option<&Flag>,
    after: &Flag,
) -> Result<Option<String>, Fault> {
    let unset = FlagEnvironment::default();
    for (name, new) in &after.environments {
        let old = before.and_then(|f| f.environments.get(name)).unwrap_or(&unset);
        if told(old) != told(new) && (old.enabled || new.enabled) && four_eyes(t.tx(), name)? {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

/// The first environment in which the flag is on and a second person is wanted.
pub(in crate::flags) fn on_under_four_eyes(t: &mut Txn<'_>, flag: &Flag) -> Result<Option<String>, Fault> {
    for (name, _) in flag.environments.iter().filter(|(_, state)| state.enabled) {
        if four_eyes(t.tx(), name)? {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}
