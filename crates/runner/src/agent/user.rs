//! Giving up root before an agent does anything: it and its services then have the rights of one user and no more.

use std::{ffi::CString, fs, os::unix::fs::MetadataExt, path::Path};

use nix::unistd::{Uid, User, chown, initgroups, setgid, setuid};

/// True when everything this process starts is root's.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Becomes a user for good, with that user's groups. The agent's folder becomes the user's where it is new; one that is
/// somebody else's is refused, for the agent could not write there. The error is for people.
pub fn become_user(name: &str, dir: &Path) -> Result<(), String> {
    let user = User::from_name(name).map_err(|e| format!("the user {name} could not be looked up: {e}"))?;
    let user = user.ok_or_else(|| {
        format!("there is no user {name}; make one with `useradd --system --shell /usr/sbin/nologin {name}`")
    })?;
    if user.uid == Uid::effective() && !user.uid.is_root() {
        return Ok(());
    }
    if !is_root() {
        return Err(format!("only root becomes {name}; start the agent as {name} and leave --user out"));
    }
    if user.uid.is_root() {
        return Err(format!("{name} is root; name a user without its rights"));
    }
    give(dir, &user)?;
    let failed = |what: &str, e: nix::Error| format!("the agent could not become {name}: {what}: {e}");
    let group = CString::new(name).map_err(|e| e.to_string())?;
    initgroups(&group, user.gid).map_err(|e| failed("its groups", e))?;
    setgid(user.gid).map_err(|e| failed("its group", e))?;
    setuid(user.uid).map_err(|e| failed("its number", e))?;
    if setuid(Uid::from_raw(0)).is_ok() {
        return Err(format!("root could not be given up for {name}"));
    }
    crate::process::belong_to(name, &user.dir);
    Ok(())
}

fn give(dir: &Path, user: &User) -> Result<(), String> {
    let wrong = |e: &dyn std::fmt::Display| format!("the agent's folder {} cannot be used: {e}", dir.display());
    match fs::metadata(dir) {
        Ok(found) if found.uid() == user.uid.as_raw() => Ok(()),
        Ok(found) => {
            let owner = found.uid();
            let (dir, name) = (dir.display(), &user.name);
            Err(format!("the agent's folder {dir} is that of user {owner}; give it away with `chown -R {name} {dir}`"))
        }
        Err(_) => {
            fs::create_dir_all(dir).map_err(|e| wrong(&e))?;
            chown(dir, Some(user.uid), Some(user.gid)).map_err(|e| wrong(&e))
        }
    }
}
