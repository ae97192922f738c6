//! Landlock: what of the files a program may read and write, whatever their modes say.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    path_beneath_rules,
};

use super::{Spec, TEMPORARY};

/// The system's own folders, which a program may read and start programs from.
const SYSTEM: [&str; 14] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu", "/proc", "/sys",
    "/run",
];

/// Restricts this process and all that it starts. The answer says how far.
pub(super) fn restrict(spec: &Spec) -> Result<String, String> {
    let abi = ABI::V6;
    let read = AccessFs::from_read(abi);
    let mut readable: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    readable.extend(spec.readable.iter().cloned());
    let mut writable = vec![spec.root().to_path_buf()];
    if spec.inside.is_some() {
        writable.extend([TEMPORARY, "/var/tmp"].map(PathBuf::from));
    }
    let devices = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::IoctlDev;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|r| r.scope(Scope::AbstractUnixSocket | Scope::Signal))
        .and_then(Ruleset::create)
        .and_then(|r| r.add_rules(path_beneath_rules(there(&readable), read)))
        .and_then(|r| r.add_rules(path_beneath_rules(there(&writable), AccessFs::from_all(abi))))
        .and_then(|r| r.add_rules(path_beneath_rules(["/dev"], devices)))
        .and_then(|r| {
            let shared: &[&str] = if spec.inside.is_some() { &["/dev/shm"] } else { &[] };
            r.add_rules(path_beneath_rules(shared, AccessFs::from_all(abi)))
        })
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|e| format!("Landlock: {e}"))?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok("Landlock".to_owned()),
        RulesetStatus::PartiallyEnforced => Ok("Landlock (as far as this kernel has it)".to_owned()),
        RulesetStatus::NotEnforced => Err("Landlock: this kernel does not have it (5.13 and later do)".to_owned()),
    }
}

fn there(paths: &[PathBuf]) -> Vec<&Path> {
    paths.iter().map(PathBuf::as_path).filter(|p| p.exists()).collect()
}
