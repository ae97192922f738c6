//! The reviewer of language: marks sentences that blame or know better afterwards, each with a question that leads
//! further. It never blocks and keeps no count of anybody.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::roles::{Person, finder};

/// Bytes of one reviewed text.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
const FINDINGS_MAX: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Underlined, nothing more.
    Hint,
    /// One line in the margin.
    Note,
    /// Worth a second look before publishing.
    Ask,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub rule: String,
    pub level: Level,
    pub excerpt: String,
    pub ask: String,
}

#[derive(Deserialize)]
struct RawRules {
    subject: String,
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
struct RawRule {
    id: String,
    level: Level,
    #[serde(rename = "match")]
    patterns: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    ask: String,
}

struct Rule {
    id: String,
    level: Level,
    patterns: Vec<Regex>,
    except: Vec<Regex>,
    ask: String,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let raw: RawRules = serde_saphyr::from_str(include_str!("rules.yaml")).expect("the built-in rules are tested");
    let compile = |pattern: &String| {
        RegexBuilder::new(&pattern.replace("SUBJ", &raw.subject))
            .case_insensitive(true)
            .build()
            .expect("the built-in patterns are tested")
    };
    raw.rules
        .iter()
        .map(|r| Rule {
            id: r.id.clone(),
            level: r.level,
            patterns: r.patterns.iter().map(compile).collect(),
            except: r.except.iter().map(compile).collect(),
            ask: r.ask.clone(),
        })
        .collect()
});

/// Reviews texts for one set of people, whose names it proposes to replace by roles.
pub struct Reviewer {
    names: Option<Regex>,
}

impl Reviewer {
    pub fn new(people: &[Person]) -> Self {
        let names = people.iter().flat_map(|p| [p.login.as_str(), p.name.as_str()]);
        Self { names: finder(names.filter(|n| n.chars().count() > 1)) }
    }

    /// Findings in the order of the text. Code, quotations, quoted lines and the timeline's table rows are not
    /// reviewed: they are what was said then. Text beyond 1 MiB is not read.
    pub fn review(&self, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut fenced = false;
        let mut timeline = false;
        for (i, full) in text.lines().enumerate() {
            let start = full.as_ptr() as usize - text.as_ptr() as usize;
            if start > TEXT_BYTES_MAX || findings.len() >= FINDINGS_MAX {
                break;
            }
            if full.trim_start().starts_with("```") {
                fenced = !fenced;
                continue;
            }
            if full.starts_with('#') {
                timeline = full.to_lowercase().contains("timeline");
            }
            if fenced || full.trim_start().starts_with('>') || (timeline && full.starts_with('|')) {
                continue;
            }
            self.review_line(i + 1, &without_quotations(full), &mut findings);
        }
        findings.sort_by_key(|f| (f.line, f.column));
        findings.truncate(FINDINGS_MAX);
        findings
    }

    fn review_line(&self, number: usize, line: &str, findings: &mut Vec<Finding>) {
        let mut add = |at: usize, rule: &str, level: Level, excerpt: &str, ask: &str| {
            findings.push(Finding {
                line: number,
                column: line[..at].chars().count() + 1,
                rule: rule.to_owned(),
                level,
                excerpt: excerpt.trim().to_owned(),
                ask: ask.to_owned(),
            });
        };
        for rule in RULES.iter() {
            let found = rule.patterns.iter().filter_map(|p| p.find(line)).min_by_key(regex::Match::start);
            if let Some(found) = found
                && !rule.except.iter().any(|e| e.is_match(sentence(line, found.start())))
            {
                add(found.start(), &rule.id, rule.level, found.as_str(), &rule.ask);
            }
        }
        for name in self.names.iter().flat_map(|n| n.find_iter(line)) {
            add(name.start(), "named-actor", Level::Note, name.as_str(), "Which role did this person have then?");
        }
    }
}

/// The sentence around a byte of a line.
fn sentence(line: &str, at: usize) -> &str {
    let start = line[..at].rfind(['.', '!', '?']).map_or(0, |i| i + 1);
    let end = line[at..].find(['.', '!', '?']).map_or(line.len(), |i| at + i);
    &line[start..end]
}

/// The line with code, quotations and links blanked out, every character in its place.
fn without_quotations(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut closing: Option<char> = None;
    let mut chars = line.char_indices();
    while let Some((i, c)) = chars.next() {
        match (closing, c) {
            (Some(end), c) => {
                out.push(' ');
                if c == end {
                    closing = None;
                }
            }
            (None, '`' | '"' | '“') => {
                let end = if c == '“' { '”' } else { c };
                if line[i + c.len_utf8()..].contains(end) {
                    closing = Some(end);
                    out.push(' ');
                } else {
                    out.push(c);
                }
            }
            (None, 'h') if line[i..].starts_with("http://") || line[i..].starts_with("https://") => {
                let length = line[i..].find(char::is_whitespace).unwrap_or(line.len() - i);
                out.extend(line[i..i + length].chars().map(|_| ' '));
                while chars.as_str().len() > line.len() - i - length {
                    chars.next();
                }
            }
            (None, c) => out.push(c),
        }
    }
    out
}
