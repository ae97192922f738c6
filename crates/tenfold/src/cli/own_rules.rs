//! oncall rules: in which order a person's ways ring.

use serde_json::{Value, json};

use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, text};

const DEFAULT: &str = "the first way at once, each further one 30 s after the one before";

#[derive(Debug, clap::Args)]
pub struct Rules {
    login: String,
    /// For critical pages: ways in their order with the seconds each waits, as voice,sms:30,mail:60; `default` for none.
    #[arg(long, value_name = "WAYS", value_parser = methods)]
    critical: Option<Methods>,
    /// For all other pages.
    #[arg(long, value_name = "WAYS", value_parser = methods)]
    other: Option<Methods>,
}

/// Methods as the API takes them.
#[derive(Debug, Clone, PartialEq)]
struct Methods(Vec<Value>);

fn methods(text: &str) -> Result<Methods, String> {
    if text == "default" {
        return Ok(Methods(Vec::new()));
    }
    let one = |part: &str| {
        let (channel, after) = part.split_once(':').unwrap_or((part, "0"));
        match (channel.trim(), after.trim().parse::<u32>()) {
            ("", _) | (_, Err(_)) => Err(format!("`{part}` is not a way and its seconds; write it like sms:30")),
            (channel, Ok(after_s)) => Ok(json!({"channel": channel, "after_s": after_s})),
        }
    };
    text.split(',').map(one).collect::<Result<Vec<_>, _>>().map(Methods)
}

fn line(rules: &Value, which: &str) -> String {
    let ways: Vec<String> = list(rules, which)
        .iter()
        .map(|m| match m["after_s"].as_i64().unwrap_or(0) {
            0 => format!("{} at once", text(m, "channel")),
            after => format!("{} after {after} s", text(m, "channel")),
        })
        .collect();
    let said = if ways.is_empty() { DEFAULT.to_owned() } else { ways.join(", ") };
    format!("{which}: {said}")
}

impl Rules {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let everybody = client.get("/api/people", &[]).await?;
        let found = list(&everybody, "items").iter().find(|p| text(p, "login") == self.login);
        let Some(mut person) = found.cloned() else {
            return Err(Failure::misuse(format!("there is no person `{}`", self.login)));
        };
        if self.critical.is_some() || self.other.is_some() {
            let mut contact = person["contact"].take();
            let mut rules = contact["rules"].take();
            if !rules.is_object() {
                rules = json!({});
            }
            for (which, methods) in [("critical", self.critical), ("other", self.other)] {
                if let Some(Methods(methods)) = methods {
                    rules[which] = Value::Array(methods);
                }
            }
            contact["rules"] = rules;
            let path = format!("/api/people/{}", segment(&self.login));
            person = client.put(&path, &json!({"contact": contact}), &[]).await?;
        }
        out.answer(&person["contact"]["rules"], |rules| vec![line(rules, "critical"), line(rules, "other")]);
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_read_with_their_seconds() {
        let read = methods("voice, sms:30,mail:60").expect("three ways");
        assert_eq!(
            read.0,
            [
                json!({"channel": "voice", "after_s": 0}),
                json!({"channel": "sms", "after_s": 30}),
                json!({"channel": "mail", "after_s": 60})
            ]
        );
        assert_eq!(methods("default"), Ok(Methods(Vec::new())));
        for wrong in ["", "sms:soon", "mail,,sms", "sms:-1"] {
            methods(wrong).expect_err(wrong);
        }
        let rules = json!({"critical": read.0});
        assert_eq!(line(&rules, "critical"), "critical: voice at once, sms after 30 s, mail after 60 s");
        assert_eq!(line(&rules, "other"), format!("other: {DEFAULT}"));
    }
}
