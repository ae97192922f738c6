//! The words of `flag` about its life: scan, stale, mine, join, leave, contingency, drill, history, revert.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenfold_app::chat::grammar::parse_drill_ms;
use tenfold_flags::scan::{FILE_BYTES_MAX, PLACES_MAX, Place, scan};

use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, talk, text};

/// Files one scan looks into.
const FILES_MAX: usize = 200_000;

/// Find the places in a repository where flags are asked for, and tell the server of them.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold flag scan .\n  tenfold flag scan . --repo photos --service photos --strict\n  tenfold flag scan . --dry-run --json"
)]
pub struct Scan {
    dir: PathBuf,
    /// What the repository is called [default: the name of its folder].
    #[arg(long, value_name = "NAME")]
    repo: Option<String>,
    /// The service that is built from it.
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// The commit that is looked at.
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// Print what is found, and tell the server nothing.
    #[arg(long)]
    dry_run: bool,
    /// Fail when the source asks for a flag that nobody made.
    #[arg(long)]
    strict: bool,
}

impl Scan {
    pub(super) async fn run(&self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let flags = client.get("/api/flags", &[]).await?;
        let known: BTreeSet<String> = list(&flags, "items").iter().map(|f| text(f, "key").to_owned()).collect();
        let (used, unknown) = walk(&self.dir, &known)?;
        let mut body = json!({"repo": self.name()?, "places": used, "unknown": unknown});
        for (name, value) in [("service", &self.service), ("commit", &self.commit)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        if !self.dry_run {
            client.post("/api/flags/places", &body).await?;
        }
        let stale = client.get("/api/flags/stale", &[]).await?;
        let named: BTreeSet<&str> = used.iter().map(|p| p.key.as_str()).collect();
        let unused: Vec<&String> = known.iter().filter(|k| !named.contains(k.as_str())).collect();
        body["unused"] = json!(unused);
        body["stale"] = stale["items"].clone();
        out.answer(&body, |_| {
            let mut lines: Vec<String> =
                unused.iter().map(|key| format!("unused {key}: no line here names it")).collect();
            lines.extend(unknown.iter().map(|p| format!("unknown {}: {}:{}", p.key, p.path, p.line)));
            for flag in list(&stale, "items") {
                let key = text(flag, "key");
                let places: Vec<String> =
                    used.iter().filter(|p| p.key == key).map(|p| format!("{}:{}", p.path, p.line)).collect();
                if !places.is_empty() {
                    lines.push(format!("stale {key}: {}; {}", text(flag, "text"), places.join(", ")));
                }
            }
            lines
        });
        talk(&format!("{} places of {} flags, {} unknown keys", used.len(), named.len(), unknown.len()));
        Ok(if self.strict && !unknown.is_empty() { Exit::Failed } else { Exit::Done })
    }

    fn name(&self) -> Result<String, Failure> {
        if let Some(name) = &self.repo {
            return Ok(name.clone());
        }
        let dir = self.dir.canonicalize().map_err(|e| Failure::misuse(format!("{}: {e}", self.dir.display())))?;
        let name = dir.file_name().and_then(|n| n.to_str()).map(str::to_owned);
        name.ok_or_else(|| Failure::misuse("the folder has no name").advice("give one with --repo"))
    }
}

/// Looks into every file that git would not ignore.
fn walk(dir: &Path, known: &BTreeSet<String>) -> Result<(Vec<Place>, Vec<Place>), Failure> {
    let (mut used, mut unknown, mut files) = (Vec::new(), Vec::new(), 0);
    for entry in ignore::WalkBuilder::new(dir).require_git(false).sort_by_file_path(Ord::cmp).build() {
        let entry = entry.map_err(|e| Failure::misuse(e.to_string()))?;
        let size = entry.metadata().map_or(0, |m| m.len());
        if !entry.file_type().is_some_and(|t| t.is_file()) || size > FILE_BYTES_MAX as u64 {
            continue;
        }
        files += 1;
        if files > FILES_MAX {
            return Err(Failure::misuse(format!("{} holds more than {FILES_MAX} files", dir.display())));
        }
        // What is not text names no flag.
        let Ok(content) = std::fs::read_to_string(entry.path()) else { continue };
        let path = entry.path().strip_prefix(dir).unwrap_or(entry.path()).to_string_lossy().replace('\\', "/");
        let found = scan(&path, &content, known);
        used.extend(found.used);
        unknown.extend(found.unknown);
        if used.len() + unknown.len() > PLACES_MAX {
            return Err(Failure::misuse(format!("{} has more than {PLACES_MAX} places", dir.display()))
                .advice("scan a part of it, with --repo and a name of its own"));
        }
    }
    Ok((used, unknown))
}

/// Flags that look finished, and why; flags that nobody owns.
pub(super) async fn stale(client: &Client, out: Out) -> Result<Exit, Failure> {
    let stale = client.get("/api/flags/stale", &[]).await?;
    out.answer(&stale, |stale| {
        let items = list(stale, "items").iter();
        let mut lines: Vec<String> = items.map(|f| format!("{}: {}", text(f, "key"), text(f, "text"))).collect();
        lines
            .extend(list(stale, "unused").iter().filter_map(Value::as_str).map(|k| format!("{k}: no source names it")));
        lines.extend(list(stale, "ownerless").iter().map(|f| format!("{}: {}", text(f, "key"), text(f, "text"))));
        lines
    });
    Ok(Exit::Done)
}

/// The flags that you may choose for yourself.
pub(super) async fn mine(client: &Client, out: Out) -> Result<Exit, Failure> {
    let mine = client.get("/api/flags/mine", &[]).await?;
    out.answer(&mine, |mine| {
        let word = |f: &Value| match f["choice"].as_str() {
            Some("in") => "you are in",
            Some(_) => "you are out",
            None => "as everybody",
        };
        list(mine, "items").iter().map(|f| format!("{}: {}; {}", text(f, "key"), word(f), text(f, "text"))).collect()
    });
    Ok(Exit::Done)
}

/// Chooses a flag for oneself; `None` is what everybody gets.
pub(super) async fn choose(client: &Client, out: Out, key: &str, choice: Option<&str>) -> Result<Exit, Failure> {
    let path = format!("/api/flags/{}/mine", segment(key));
    let flag = client.post(&path, &json!({"choice": choice})).await?;
    let word = match choice {
        Some("in") => "you are in",
        Some(_) => "you are out",
        None => "you get what everybody gets",
    };
    out.answer(&flag, |flag| vec![format!("{}: {word}", text(flag, "key"))]);
    Ok(Exit::Done)
}

/// Switches for bad days, the one to throw first in front.
pub(super) async fn contingency(client: &Client, out: Out, environment: &str) -> Result<Exit, Failure> {
    let flags = client.get("/api/flags/contingency", &[]).await?;
    out.answer(&flags, |flags| {
        let line = |f: &Value| {
            let rank = f["contingency"]["rank"].as_u64().map_or_else(|| "-".to_owned(), |r| r.to_string());
            let state = if f["environments"][environment]["enabled"] == true { "on" } else { "off" };
            let tested =
                f["drilled"]["at"].as_str().map_or_else(|| "never tested".to_owned(), |at| format!("tested {at}"));
            format!(
                "{rank} {} is {state} in {environment}, {tested}; {}",
                text(f, "key"),
                text(&f["contingency"], "impact")
            )
        };
        list(flags, "items").iter().map(line).collect()
    });
    Ok(Exit::Done)
}

/// Switch a contingency switch off for a set time; it comes back by itself.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold flag drill recommendations --for 60s --in production\n  tenfold flag drill recommendations --cancel"
)]
pub struct Drill {
    key: String,
    /// From 5s to 1h.
    #[arg(long = "for", value_name = "TIME", default_value = "60s")]
    time: String,
    /// End the drill that runs.
    #[arg(long)]
    cancel: bool,
}

impl Drill {
    pub(super) async fn run(&self, client: &Client, out: Out, environment: &str) -> Result<Exit, Failure> {
        let path = format!("/api/flags/{}/drill", segment(&self.key));
        let flag = if self.cancel {
            client.delete(&format!("{path}?environment={}", segment(environment))).await?
        } else {
            let for_ms =
                parse_drill_ms(&self.time).map_err(|f| Failure::misuse(f.message).advice("write it like 60s"))?;
            client.post(&path, &json!({"environment": environment, "for_ms": for_ms})).await?
        };
        out.answer(&flag, |flag| {
            let ends = flag["environments"][environment]["drill"]["ends_at"].as_str();
            let key = text(flag, "key");
            vec![match ends {
                Some(at) => format!("DRILL: {key} is off in {environment} until {at}"),
                None => format!("{key} is on again in {environment}"),
            }]
        });
        Ok(Exit::Done)
    }
}

/// What happened to a flag, newest first.
pub(super) async fn history(client: &Client, out: Out, key: &str) -> Result<Exit, Failure> {
    let history = client.get(&format!("/api/flags/{}/history", segment(key)), &[("limit", "30")]).await?;
    out.answer(&history, |history| list(history, "items").iter().flat_map(history_lines).collect());
    Ok(Exit::Done)
}

fn history_lines(item: &Value) -> Vec<String> {
    let mut lines = vec![format!("{} {} {}", item["seq"], text(item, "at"), text(item, "text"))];
    let changes = list(item, "changes").iter();
    lines.extend(changes.map(|c| format!("    {}: {} -> {}", text(c, "path"), c["before"], c["after"])));
    lines
}

/// Puts what an event changed back to how it was before it.
pub(super) async fn revert(client: &Client, out: Out, key: &str, seq: i64, after: bool) -> Result<Exit, Failure> {
    let body = json!({"seq": seq, "to": if after { "after" } else { "before" }});
    let flag = client.post(&format!("/api/flags/{}/revert", segment(key)), &body).await?;
    let side = if after { "after" } else { "before" };
    out.answer(&flag, |flag| vec![format!("{} is as it was {side} event {seq}", text(flag, "key"))]);
    Ok(Exit::Done)
}
