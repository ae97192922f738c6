//! flag show, create, set, archive, preview: what `switch` does not do.

use serde_json::{Value, json};
use tenfold_app::chat::grammar::{parse_context, parse_expiry, parse_kind, parse_lifetime, parse_value_type};
use tenfold_types::Fault;

use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, text};

/// What `create` and `set` say of a flag.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Fields {
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// release, experiment, shadow, operational, `kill_switch` or permission.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Who answers for it: a person or a team.
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
    /// The project it belongs to.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// bool, string, int, float or object.
    #[arg(long = "type", value_name = "TYPE")]
    value_type: Option<String>,
    /// When it should be gone: a date, or `never`.
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
    /// How many days it is expected to live; `never`, or `kind` for what its kind says.
    #[arg(long, value_name = "DAYS")]
    lifetime: Option<String>,
    /// The rest of the definition (environments, strategies, variants, parents) as `PUT /api/flags/KEY` takes it: a file in JSON
    /// or YAML, or `-` for JSON on stdin.
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
}

pub(super) fn misuse(fault: Fault) -> Failure {
    Failure::misuse(fault.message).advice(fault.advice)
}

impl Fields {
    /// The body of the request.
    fn body(&self) -> Result<Value, Failure> {
        let mut body = match self.file.as_deref() {
            None => json!({}),
            Some(path) => read(path)?,
        };
        let mut set = |name: &str, value: Value| body[name] = value;
        for (name, value) in [("description", &self.description), ("owner", &self.owner), ("project", &self.project)] {
            if let Some(value) = value {
                set(name, json!(value));
            }
        }
        if let Some(kind) = &self.kind {
            set("kind", json!(parse_kind(kind).map_err(misuse)?));
        }
        if let Some(value_type) = &self.value_type {
            set("value_type", json!(parse_value_type(value_type).map_err(misuse)?));
        }
        if let Some(expires) = &self.expires {
            set("expires_at", json!(parse_expiry(expires).map_err(misuse)?));
        }
        if let Some(lifetime) = &self.lifetime {
            set("lifetime_days", json!(parse_lifetime(lifetime).map_err(misuse)?));
        }
        Ok(body)
    }
}

/// An object out of a file in JSON, in YAML where the name ends so, or of stdin in JSON.
pub(super) fn read(path: &str) -> Result<Value, Failure> {
    let text = if path == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map_err(|e| Failure::misuse(format!("{path} cannot be read: {e}")))?;
    let yaml = std::path::Path::new(path).extension().is_some_and(|e| e == "yaml" || e == "yml");
    let value: Value = if yaml {
        serde_saphyr::from_str(&text).map_err(|e| Failure::misuse(format!("{path} is not YAML: {e}")))?
    } else {
        serde_json::from_str(&text).map_err(|e| Failure::misuse(format!("{path} is not JSON: {e}")))?
    };
    if value.is_object() { Ok(value) } else { Err(Failure::misuse(format!("{path} is not an object"))) }
}

pub(super) async fn create(client: &Client, out: Out, key: &str, fields: &Fields) -> Result<Exit, Failure> {
    let path = format!("/api/flags/{}", segment(key));
    let flag = client.put(&path, &fields.body()?, &[("if-none-match", "*")]).await?;
    out.answer(&flag, shown);
    Ok(Exit::Done)
}

/// Changes exactly the version that is there when it is read, so that nobody's change in between is lost.
pub(super) async fn set(client: &Client, out: Out, key: &str, fields: &Fields) -> Result<Exit, Failure> {
    let body = fields.body()?;
    if body == json!({}) {
        return Err(Failure::misuse("nothing is given to set")
            .advice("give --description, --kind, --owner, --project, --type, --expires, --lifetime or --file"));
    }
    let path = format!("/api/flags/{}", segment(key));
    let version = client.get(&path, &[]).await?["version"].as_i64().unwrap_or_default();
    let flag = client.put(&path, &body, &[("if-match", &format!("\"{version}\""))]).await?;
    out.answer(&flag, shown);
    Ok(Exit::Done)
}

pub(super) async fn show(client: &Client, out: Out, key: &str) -> Result<Exit, Failure> {
    let flag = client.get(&format!("/api/flags/{}", segment(key)), &[]).await?;
    out.answer(&flag, shown);
    Ok(Exit::Done)
}

pub(super) async fn archive(client: &Client, out: Out, key: &str) -> Result<Exit, Failure> {
    let flag = client.delete(&format!("/api/flags/{}", segment(key))).await?;
    out.answer(&flag, |f| vec![format!("{} is archived; clients no longer know it", text(f, "key"))]);
    Ok(Exit::Done)
}

/// Who is asked about by `flag preview`.
#[derive(Debug, clap::Args)]
pub(super) struct Who {
    /// `userId=42 plan=pro`, or an object in JSON.
    #[arg(long, value_name = "CONTEXT", default_value = "")]
    context: String,
    /// How many of these ids get it, and which: a file with one a line, or `-` for stdin; at most 1,000.
    #[arg(long, value_name = "FILE")]
    ids: Option<String>,
}

pub(super) async fn preview(
    client: &Client,
    out: Out,
    key: &str,
    environment: &str,
    who: &Who,
) -> Result<Exit, Failure> {
    let context = parse_context(&who.context).map_err(misuse)?;
    let mut question = json!({"environment": environment, "context": context});
    if let Some(path) = who.ids.as_deref() {
        let text = if path == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
        let text = text.map_err(|e| Failure::misuse(format!("{path} cannot be read: {e}")))?;
        let ids: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        question["ids"] = json!(ids);
    }
    let told = client.post(&format!("/api/flags/{}/preview", segment(key)), &question).await?;
    let of_ids = who.ids.is_some();
    out.answer(&told, |told| if of_ids { counted(&told["ids"]) } else { explained(key, &told["saved"]) });
    Ok(Exit::Done)
}

fn shown(flag: &Value) -> Vec<String> {
    let kind = text(flag, "kind").replace('_', " ");
    let mut head = format!("{}: {kind} flag of type {}", text(flag, "key"), text(flag, "value_type"));
    for (name, label) in [("owner", ", owner "), ("expires_at", ", expires "), ("description", "; ")] {
        let value = text(flag, name);
        if !value.is_empty() {
            head.push_str(label);
            head.push_str(value);
        }
    }
    let mut lines = vec![head];
    let environments = flag["environments"].as_object().into_iter().flatten();
    for (environment, state) in environments {
        lines.push(super::switch::line(flag, environment));
        if matches!(text(&state["ramp"], "state"), "running" | "paused") {
            lines.push(super::flag_changes::ramp_line(flag, environment));
        }
    }
    lines
}

fn explained(key: &str, told: &Value) -> Vec<String> {
    let answer = &told["answer"];
    let state = if answer["enabled"] == true { "on" } else { "off" };
    let mut lines = vec![format!("{key} is {state} ({}): {}", answer["value"], text(told, "because"))];
    let part = |p: &Value| {
        let found = p["found"].as_str().map(|found| format!(" (it is `{found}`)")).unwrap_or_default();
        format!("  {} {}{found}", if p["holds"] == true { "yes" } else { "no " }, text(p, "text"))
    };
    lines.extend(list(told, "parents").iter().map(part));
    for (i, s) in list(told, "strategies").iter().enumerate() {
        let word = if s["holds"] == true { "matches" } else { "does not match" };
        lines.push(format!("strategy {} {}: {word}", i + 1, text(s, "name")));
        lines.extend(list(s, "constraints").iter().chain(list(s, "segments")).map(part));
        lines.push(part(&s["rule"]));
    }
    lines
}

/// How many get what, then each id with what it gets.
fn counted(ids: &Value) -> Vec<String> {
    let counts = ids["saved"].as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(what, n)| format!("{n} {what}")).collect();
    let mut lines = vec![format!("of {} ids: {}", ids["asked"], counts.join(", "))];
    lines.extend(list(ids, "rows").iter().map(|r| format!("{}\t{}", text(r, "id"), text(r, "saved"))));
    lines
}
