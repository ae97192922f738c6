//! The words of `flag` about what flags share: group, segment, plan.

use serde_json::{Value, json};

use super::client::{Client, segment};
use super::flag_edit::read;
use super::out::{Exit, Failure, Out, list, text};

/// Named lists of people.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold flag group list\n  tenfold flag group set testers --add ana --add 4711\n  tenfold flag group set staff --field email --add ana@example.org\n  tenfold flag group delete testers"
)]
pub struct Group {
    #[command(subcommand)]
    what: GroupWhat,
}

#[derive(Debug, clap::Subcommand)]
enum GroupWhat {
    /// All groups, with the segment that strategies name.
    List,
    /// Make a group, or change one.
    Set {
        name: String,
        /// Take this person in; may stand often.
        #[arg(long, value_name = "ID")]
        add: Vec<String>,
        /// Take this person out; may stand often.
        #[arg(long, value_name = "ID")]
        remove: Vec<String>,
        /// The field of the context that is compared [default: userId].
        #[arg(long)]
        field: Option<String>,
        #[arg(long)]
        description: Option<String>,
    },
    /// Delete a group that no flag uses.
    Delete { name: String },
}

impl Group {
    pub(super) async fn run(&self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = |name: &str| format!("/api/flags/groups/{}", segment(name));
        match &self.what {
            GroupWhat::List => {
                let groups = client.get("/api/flags/groups", &[]).await?;
                out.answer(&groups, |groups| list(groups, "items").iter().map(group_line).collect());
            }
            GroupWhat::Set { name, add, remove, field, description } => {
                let body = json!({"add": add, "remove": remove, "field": field, "description": description});
                let group = client.put(&path(name), &body, &[]).await?;
                out.answer(&group, |group| vec![group_line(group)]);
            }
            GroupWhat::Delete { name } => {
                let done = client.delete(&path(name)).await?;
                out.answer(&done, |_| vec![format!("{name} is deleted")]);
            }
        }
        Ok(Exit::Done)
    }
}

fn group_line(group: &Value) -> String {
    let members = list(group, "members").len();
    format!("{} has {members} people by {}; segment {}", text(group, "name"), text(group, "field"), group["segment"])
}

/// Conditions under a number, shared by strategies.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold flag segment list\n  tenfold flag segment set 7 --file testers.yaml\n  tenfold flag segment delete 7"
)]
pub struct Segment {
    #[command(subcommand)]
    what: SegmentWhat,
}

#[derive(Debug, clap::Subcommand)]
enum SegmentWhat {
    /// All segments with their conditions.
    List,
    /// Make a segment, or change one; strategies that use it follow at once.
    Set {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        id: i64,
        /// `name` and `constraints`: a file in YAML or JSON, or `-` for JSON on stdin.
        #[arg(long, value_name = "FILE")]
        file: String,
    },
    /// Delete a segment that no flag uses.
    Delete {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        id: i64,
    },
}

impl Segment {
    pub(super) async fn run(&self, client: &Client, out: Out) -> Result<Exit, Failure> {
        match &self.what {
            SegmentWhat::List => {
                let segments = client.get("/api/segments", &[]).await?;
                out.answer(&segments, |s| list(s, "items").iter().flat_map(segment_lines).collect());
            }
            SegmentWhat::Set { id, file } => {
                let mut body = read(file)?;
                // A segment as it was listed says its number, which the address says already.
                if let Some(body) = body.as_object_mut() {
                    body.remove("id");
                }
                let done = client.put(&format!("/api/segments/{id}"), &body, &[]).await?;
                out.answer(&done, segment_lines);
            }
            SegmentWhat::Delete { id } => {
                let done = client.delete(&format!("/api/segments/{id}")).await?;
                out.answer(&done, |_| vec![format!("the segment {id} is deleted")]);
            }
        }
        Ok(Exit::Done)
    }
}

fn segment_lines(segment: &Value) -> Vec<String> {
    let condition = |c: &Value| {
        let values: Vec<&str> = list(c, "values").iter().filter_map(Value::as_str).collect();
        let wanted = if values.is_empty() { text(c, "value").to_owned() } else { values.join(", ") };
        let not = if c["inverted"] == true { "not " } else { "" };
        format!("    {not}{} {} {wanted}", text(c, "contextName"), text(c, "operator"))
    };
    let head = format!("{} {}", segment["id"], text(segment, "name"));
    std::iter::once(head).chain(list(segment, "constraints").iter().map(condition)).collect()
}

/// Steps and a guard under a name, shared by ramps.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold flag plan list\n  tenfold flag plan set careful --file careful.yaml\n  tenfold flag plan delete careful"
)]
pub struct Plan {
    #[command(subcommand)]
    what: PlanWhat,
}

#[derive(Debug, clap::Subcommand)]
enum PlanWhat {
    /// All plans with their steps.
    List,
    /// Make a plan, or change one; ramps that run keep the steps they began with.
    Set {
        name: String,
        /// `steps` and `guard`: a file in YAML or JSON, or `-` for JSON on stdin.
        #[arg(long, value_name = "FILE")]
        file: String,
    },
    /// Delete a plan; ramps that run go on.
    Delete { name: String },
}

impl Plan {
    pub(super) async fn run(&self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = |name: &str| format!("/api/ramp-plans/{}", segment(name));
        match &self.what {
            PlanWhat::List => {
                let plans = client.get("/api/ramp-plans", &[]).await?;
                out.answer(&plans, |p| list(p, "items").iter().map(plan_line).collect());
            }
            PlanWhat::Set { name, file } => {
                let plan = client.put(&path(name), &read(file)?, &[]).await?;
                out.answer(&plan, |p| vec![plan_line(p)]);
            }
            PlanWhat::Delete { name } => {
                let done = client.delete(&path(name)).await?;
                out.answer(&done, |_| vec![format!("the ramp plan {name} is deleted")]);
            }
        }
        Ok(Exit::Done)
    }
}

fn plan_line(plan: &Value) -> String {
    let step = |s: &Value| {
        let seconds = s["hold_ms"].as_i64().unwrap_or(0) / 1_000;
        let hold = match seconds {
            0 => String::new(),
            s if s % 3_600 == 0 => format!(" for {} h", s / 3_600),
            s if s % 60 == 0 => format!(" for {} min", s / 60),
            s => format!(" for {s} s"),
        };
        format!("{} %{hold}", s["percent"])
    };
    let steps: Vec<String> = list(plan, "steps").iter().map(step).collect();
    let guarded = if plan["guard"].is_object() { "; guarded" } else { "" };
    format!("{}: {}{guarded}", text(plan, "name"), steps.join(", "))
}
