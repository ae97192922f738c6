//! Dividing the control group that was given to this process.
//!
//! Version 2 lets no group have both processes and children with limits (the "no internal process constraint" of the
//! kernel's cgroup-v2 document): it answers EBUSY, or, asked for `pids` or `cpu` alone, lets nobody join the children. So a
//! server goes into a group of its own below the one it was given first; with `DelegateSubgroup=` systemd has put it there
//! already. An agent never does: its services outlive it, and systemd could not start it again in a group that has children
//! with limits. Version 1 has no such rule.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    unistd::{AccessFlags, access},
};

use super::{
    Base, Controller, Dirs, Role,
    places::{Places, places},
};
use crate::process::parent_of;

/// Processes may be started while others are moved.
const MOVES_MAX: u32 = 20;
/// Parents that are asked for before it is given up.
const GENERATIONS_MAX: u32 = 64;

pub(super) fn base(role: Role) -> Result<Base, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|e| format!("{path} cannot be read: {e}"));
    let places = places(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
    of(places, role)
}

fn of(places: Places, role: Role) -> Result<Base, String> {
    let (mut dirs, mut lacking) = (Dirs::default(), Vec::new());
    for (controller, dir) in places.v1 {
        match access(&dir, AccessFlags::W_OK) {
            Ok(()) => dirs.v1.push((controller, dir)),
            Err(_) => lacking.push(format!("{} may not be written", dir.display())),
        }
    }
    if let Some(own) = places.v2 {
        let names = Controller::ALL.map(Controller::name);
        match divided(&own, role, &names) {
            Ok((base, why)) => {
                dirs.v2 = Some(base);
                lacking.extend(why);
            }
            Err(why) => lacking.push(why),
        }
    }
    if dirs == Dirs::default() {
        lacking.push("no control group can be had".to_owned());
        return Err(lacking.join("; "));
    }
    Ok(Base { dirs, lacking: lacking.join("; ") })
}

/// The group of version 2 whose children may have limits, and why some of them may not. `names` are the controllers.
pub(super) fn divided(own: &Path, role: Role, names: &[&str]) -> Result<(PathBuf, Option<String>), String> {
    let base = own.parent().filter(|_| Role::ALL.iter().any(|role| own.ends_with(role.leaf()))).unwrap_or(own);
    if let Err(error) = access(base, AccessFlags::W_OK) {
        return Err(format!("{}: {}", not_given(base, error), advice(role)));
    }
    let offered = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
    let wanted: Vec<&str> =
        names.iter().copied().filter(|name| offered.split_whitespace().any(|c| c == *name)).collect();
    let not_divided = |error: String| format!("the control group {} cannot be divided: {error}", base.display());
    // the root of all groups has no type, and no such rule
    let is_root = !base.join("cgroup.type").exists();
    if !wanted.is_empty()
        && !is_root
        && let Err(error) = emptied(base, role)
    {
        return Ok((base.to_path_buf(), Some(not_divided(error))));
    }
    let mut why = None;
    // one by one: a controller that is not there must not keep the others away
    for name in wanted {
        if let Err(error) = fs::write(base.join("cgroup.subtree_control"), format!("+{name}")) {
            why = Some(not_divided(format!("{name}: {error}")));
        }
    }
    Ok((base.to_path_buf(), why))
}

/// Why a group may not be written: what a unit's folder is called is the unit's name.
fn not_given(base: &Path, error: Errno) -> String {
    let unit = base.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".service"));
    match (error, unit) {
        (Errno::EROFS, _) => format!(
            "{} is mounted read-only, by `ProtectControlGroups=` of a unit or by a container, so programs have no limit on memory \
             and processes together",
            base.display()
        ),
        (_, Some(unit)) => {
            format!("the unit {unit} has no `Delegate=`, so programs have no limit on memory and processes together")
        }
        (_, None) => format!("{} may not be written", base.display()),
    }
}

fn advice(role: Role) -> String {
    let leaf = role.leaf();
    format!(
        "run this program by a unit of systemd 254 or newer with `Delegate=cpu memory pids` and `DelegateSubgroup={leaf}`"
    )
}

/// Sees that the group has no processes of its own: moves this one, and what it started, into its own group below. With
/// anybody else in the group nothing is moved: then it was not given to us.
fn emptied(group: &Path, role: Role) -> Result<(), String> {
    let procs = group.join("cgroup.procs");
    let occupants = || -> Result<Vec<i32>, String> {
        let text = fs::read_to_string(&procs).map_err(|e| format!("{}: {e}", procs.display()))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    };
    let pids = occupants()?;
    if pids.is_empty() {
        return Ok(());
    }
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    if role == Role::Agent && pids.contains(&own) {
        return Err(format!("it holds the agent itself; {}", advice(role)));
    }
    if let Some(stranger) = stranger(&pids, own, parent_of) {
        return Err(format!("it holds the process {stranger}, which this program has not started; {}", advice(role)));
    }
    let aside = group.join(role.leaf());
    fs::create_dir_all(&aside).map_err(|e| format!("{}: {e}", aside.display()))?;
    for _ in 0..MOVES_MAX {
        for pid in occupants()? {
            // one that ended meanwhile is not there to be moved
            let _ = fs::write(aside.join("cgroup.procs"), pid.to_string());
        }
        if occupants()?.is_empty() {
            return Ok(());
        }
    }
    Err(format!("its processes could not be moved to {}", aside.display()))
}

/// The first that is neither `own` nor descends from it.
fn stranger(pids: &[i32], own: i32, parent: impl Fn(i32) -> Option<i32>) -> Option<i32> {
    let is_ours = |pid: i32| {
        let mut at = pid;
        for _ in 0..GENERATIONS_MAX {
            if at == own {
                return true;
            }
            match parent(at) {
                Some(next) if next > 0 => at = next,
                // one that ended since the list was read is nobody's
                None if at == pid && pid > 0 => return true,
                _ => return false,
            }
        }
        false
    };
    pids.iter().copied().find(|pid| !is_ours(*pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_elses_process_is_moved() {
        // 10 is ours, 11 and 12 come from it; 1 is the system's, 20 somebody's
        let parent = |pid: i32| match pid {
            10 | 20 => Some(1),
            11 => Some(10),
            12 => Some(11),
            1 => Some(0),
            _ => None,
        };
        for (pids, expected) in [
            (vec![10, 11, 12], None),
            (vec![12, 20], Some(20)),
            (vec![10, 1], Some(1)),
            // outside of this process namespace
            (vec![0, 10], Some(0)),
            (vec![10, 99], None),
        ] {
            assert_eq!(stranger(&pids, 10, parent), expected, "{pids:?}");
        }
    }

    #[test]
    fn a_group_with_processes_is_divided_by_nobody_it_was_not_given_to() {
        let dir = tempfile::tempdir().unwrap();
        let group = dir.path();
        for (file, text) in [("cgroup.type", "domain\n"), ("cgroup.controllers", "pids\n"), ("cgroup.procs", "1\n")] {
            fs::write(group.join(file), text).unwrap();
        }
        let control = group.join("cgroup.subtree_control");
        let why = |role: Role| divided(group, role, &["memory", "pids"]).unwrap().1;
        let told = why(Role::Server).unwrap();
        assert!(told.contains("the process 1, which") && told.contains("DelegateSubgroup=server"), "{told}");
        fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        let told = why(Role::Agent).unwrap();
        assert!(told.contains("the agent itself") && told.contains("DelegateSubgroup=agent"), "{told}");
        assert!(!control.exists(), "nothing is switched on");
        fs::write(group.join("cgroup.procs"), "").unwrap();
        assert_eq!((why(Role::Agent), why(Role::Server)), (None, None));
        assert_eq!(fs::read_to_string(control).unwrap(), "+pids");
    }

    #[test]
    fn what_was_given_is_divided_and_what_was_not_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let unit = dir.path().join("tenfold.service");
        for folder in ["server", "agent", "other"] {
            fs::create_dir_all(unit.join(folder)).unwrap();
        }
        fs::write(unit.join("cgroup.controllers"), "cpu pids\n").unwrap();
        let (base, why) = divided(&unit.join("server"), Role::Server, &["memory", "pids"]).unwrap();
        assert_eq!((base.as_path(), why), (unit.as_path(), None));
        assert_eq!(fs::read_to_string(unit.join("cgroup.subtree_control")).unwrap(), "+pids");
        assert_eq!(divided(&unit.join("agent"), Role::Server, &[]).unwrap().0, unit);
        // not a name of ours: it is the group itself
        assert_eq!(divided(&unit.join("other"), Role::Server, &[]).unwrap().0, unit.join("other"));
        let gone = divided(&dir.path().join("no/server"), Role::Server, &[]).unwrap_err();
        assert!(gone.contains("DelegateSubgroup=server"), "{gone}");
        let no_delegate = divided(&dir.path().join("no/tenfold.service/server"), Role::Server, &[]).unwrap_err();
        assert!(no_delegate.starts_with("the unit tenfold.service has no `Delegate=`, so"), "{no_delegate}");
        let read_only = not_given(&unit, Errno::EROFS);
        assert!(read_only.contains("tenfold.service is mounted read-only, by `ProtectControlGroups=`"), "{read_only}");
        let nothing = of(Places::default(), Role::Server).unwrap_err();
        assert_eq!(nothing, "no control group can be had");
        let denied = Places { v2: None, v1: vec![(Controller::Memory, dir.path().join("gone"))] };
        let denied = of(denied, Role::Server).unwrap_err();
        assert!(denied.contains("gone may not be written"), "{denied}");
        let part = Places { v2: Some(unit.clone()), v1: vec![(Controller::Memory, dir.path().join("gone"))] };
        let part = of(part, Role::Server).unwrap();
        assert_eq!((part.dirs.v2, part.dirs.v1), (Some(unit), Vec::new()));
        assert!(part.lacking.contains("may not be written"), "{}", part.lacking);
    }
}
