//! Reads a Nagios configuration from disk: the main file, and what it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenfold_app::checks::{NagiosDrafts, NagiosImport, NagiosMain, import_nagios};
use tenfold_protocols::nagios::{BYTES_MAX, Included, included, read_main, read_objects, resolve_with};

use super::out::Failure;

/// What of the drafts is written where: as `tenfold apply` reads it.
pub const ROUTING_FILE: &str = "routing/alertmanager.yaml";

const FILES_MAX: usize = 20_000;

/// What a configuration becomes here. Its clock is in `zone`, else where the main file says, else in UTC. Of the macros of the
/// resource file those in `named` are taken, and those that are no secrets by themselves.
pub fn read(main: &Path, zone: Option<&str>, named: &[String]) -> Result<NagiosImport, Failure> {
    let mut left = BYTES_MAX as u64;
    let pairs = read_main(&text(main, &mut left)?);
    let settings = NagiosMain::of(&pairs);
    let base = main.parent().unwrap_or(Path::new(""));
    let (mut files, mut macros) = (Vec::new(), BTreeMap::new());
    for (key, value) in &pairs {
        let path = base.join(value);
        match key.as_str() {
            "cfg_file" => files.push(path),
            "cfg_dir" => below(&path, &mut files)?,
            "resource_file" => {
                for (name, value) in read_main(&text(&path, &mut left)?) {
                    macros.insert(name.trim_matches('$').to_owned(), value);
                }
            }
            "admin_email" => drop(macros.insert("ADMINEMAIL".to_owned(), value.clone())),
            "admin_pager" => drop(macros.insert("ADMINPAGER".to_owned(), value.clone())),
            _ => {}
        }
    }
    let name = |given: &String| given.trim_matches('$').to_owned();
    let named: BTreeSet<String> = named.iter().map(name).collect();
    if let Some(unknown) = named.iter().find(|name| !macros.contains_key(*name)) {
        return Err(Failure::misuse(format!("--macro {unknown}: the resource file does not have it")));
    }
    macros.retain(|name, value| named.contains(name) || is_no_secret(name, value));
    let mut objects = Vec::new();
    let mut seen = BTreeSet::new();
    // What a file takes in is read behind it.
    files.reverse();
    while let Some(file) = files.pop() {
        if !seen.insert(file.clone()) {
            continue;
        }
        let read = text(&file, &mut left)?;
        let mut more = Vec::new();
        for one in included(&read) {
            match one {
                Included::File(path) => more.push(base.join(path)),
                Included::Dir(path) => below(&base.join(path), &mut more)?,
            }
        }
        files.extend(more.into_iter().rev());
        let read = read_objects(&file.display().to_string(), &read);
        objects.extend(read.map_err(|e| Failure::misuse(e.to_string()))?);
    }
    if objects.is_empty() {
        return Err(Failure::misuse(format!("{} names no objects", main.display()))
            .advice("give the main file, which has lines like cfg_file=/etc/nagios4/objects/localhost.cfg"));
    }
    let resolved = resolve_with(&objects, settings.matching).map_err(|e| Failure::misuse(e.to_string()))?;
    let own_zone = if settings.timezone.is_empty() { "UTC" } else { &settings.timezone };
    import_nagios(&resolved, &settings, &macros, zone.unwrap_or(own_zone)).map_err(Failure::misuse)
}

/// The plugins' folder, whom to write to, and what is a file or a folder of this machine. Nagios keeps passwords in the others.
fn is_no_secret(name: &str, value: &str) -> bool {
    let path = Path::new(value);
    matches!(name, "USER1" | "ADMINEMAIL" | "ADMINPAGER") || (path.is_absolute() && path.exists())
}

/// Writes the drafts below a folder, to be looked through and given to `tenfold apply`. JSON is YAML as well.
pub fn write_drafts(dir: &Path, drafts: &NagiosDrafts) -> Result<usize, Failure> {
    let mut files: Vec<(String, Value)> = Vec::new();
    for person in &drafts.people {
        let contact = if person.email.is_empty() { json!({}) } else { json!({"email": person.email}) };
        let mut file = json!({"name": person.name, "contact": contact});
        if !person.teams.is_empty() {
            file["teams"] = json!(person.teams);
        }
        files.push((format!("people/{}.yaml", person.login), file));
    }
    for (name, policy) in &drafts.policies {
        files.push((format!("policies/{name}.yaml"), json!(policy)));
    }
    files.extend(drafts.routing.clone().map(|routing| (ROUTING_FILE.to_owned(), routing)));
    write_files(dir, &files)
}

/// Writes values below a folder, each at its path.
pub fn write_files(dir: &Path, files: &[(String, Value)]) -> Result<usize, Failure> {
    for (name, value) in files {
        let path = dir.join(name);
        let fail = |e: std::io::Error| Failure::failed(format!("{} cannot be written: {e}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(fail)?;
        }
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        std::fs::write(&path, text + "\n").map_err(fail)?;
    }
    Ok(files.len())
}

fn text(path: &Path, left: &mut u64) -> Result<String, Failure> {
    let wrong = |why: &dyn std::fmt::Display| Failure::misuse(format!("{}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| wrong(&e))?.len();
    *left = left.checked_sub(size).ok_or_else(|| wrong(&format!("all files have more than {BYTES_MAX} bytes")))?;
    let bytes = std::fs::read(path).map_err(|e| wrong(&e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The `.cfg` files below a folder, folders in it too, and what links lead to; as there nothing whose name begins with a dot, such as
/// what editors leave behind.
fn below(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let fail = |e: std::io::Error| Failure::misuse(format!("{}: {e}", dir.display()));
    let mut entries = std::fs::read_dir(dir).map_err(fail)?.collect::<Result<Vec<_>, _>>().map_err(fail)?;
    entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            below(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "cfg") {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(Failure::misuse(format!("{} holds more than {FILES_MAX} files", dir.display())));
        }
    }
    Ok(())
}
