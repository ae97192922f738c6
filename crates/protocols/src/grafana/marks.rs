//! What stands on a dashboard of Grafana beside its panels: annotations that query Prometheus, links, the range it opens with.

use serde_json::Value;

use super::variables;

/// Marks that a query makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub name: String,
    pub expr: String,
    /// `{{label}}` stands for a label's value.
    pub title: Option<String>,
    pub text: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    pub step_ms: Option<u64>,
    /// The value is an instant in milliseconds.
    pub value_is_time: bool,
    pub off: bool,
}

/// Where a dashboard or a panel leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub title: String,
    pub to: String,
    /// The range and what is chosen go along.
    pub keeps_range: bool,
}

const LETTERS_MAX: usize = 200;

fn short(text: &str) -> String {
    text.trim().chars().take(LETTERS_MAX).collect()
}

/// One of the annotations; `other` is the kind of its data source where that is not Prometheus.
pub(super) fn mark(raw: &Value, other: Option<&str>, report: &mut Vec<String>) -> Option<Mark> {
    let text = |field: &str| raw.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let is = |field: &str| raw.get(field).and_then(Value::as_bool);
    let name = short(text("name").unwrap_or("annotations"));
    let expr = text("expr").or_else(|| raw.pointer("/target/expr").and_then(Value::as_str).map(str::trim));
    let tags = text("type") == Some("tags") || raw.pointer("/target/type").and_then(Value::as_str) == Some("tags");
    let why = match (other, expr) {
        (Some("Grafana itself"), _) | (_, None) if tags => {
            "notes, deploys and flips are drawn on every graph anyway".to_owned()
        }
        (Some(kind), _) => format!("they ask `{kind:.40}`, not Prometheus"),
        (None, None | Some("")) => "they do not ask Prometheus".to_owned(),
        (None, Some(expr)) => {
            let step = text("step").or_else(|| raw.pointer("/target/step").and_then(Value::as_str));
            if raw.pointer("/filter/ids").and_then(Value::as_array).is_some_and(|ids| !ids.is_empty()) {
                report.push(format!("annotations `{name}`: they are drawn on every graph, not on some alone"));
            }
            let list = text("tagKeys").unwrap_or_default().split(',').map(str::trim);
            return Some(Mark {
                name,
                expr: variables(expr),
                title: text("titleFormat").map(short),
                text: text("textFormat").map(short),
                tags: list.filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
                step_ms: step.and_then(duration_ms).map(|ms| ms.clamp(1_000, DAY_MS)),
                value_is_time: is("useValueForTime") == Some(true),
                off: is("enable") == Some(false),
            });
        }
    };
    report.push(format!("annotations `{name}` are left out: {why}"));
    None
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// `90s`, `5m`, `1d`: a whole number and one unit.
fn duration_ms(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        "w" => 7 * DAY_MS,
        "M" => 30 * DAY_MS,
        "y" => 365 * DAY_MS,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit_ms)
}

/// Links of a dashboard or of a panel; what has no equal is told.
pub(super) fn links(raw: &[Value], report: &mut Vec<String>) -> Vec<Link> {
    let mut all = Vec::new();
    for link in raw {
        let text = |field: &str| link.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default();
        let is = |field: &str| link.get(field).and_then(Value::as_bool) == Some(true);
        if text("type") == "dashboards" {
            report.push("a list of dashboards by tags is left out: all are tabs of the page".to_owned());
            continue;
        }
        let address = [text("url"), text("dashUri")].into_iter().find(|address| !address.is_empty());
        let Some(address) = address else {
            report.push("a link is left out: it leads nowhere".to_owned());
            continue;
        };
        let (to, keeps) = moved(address);
        let title = match short(text("title")) {
            title if title.is_empty() => to.chars().take(LETTERS_MAX).collect(),
            title => title,
        };
        if to.starts_with("/d/") {
            report.push(format!("the link `{title:.60}` is left out: it has a dashboard's id in Grafana and no name"));
            continue;
        }
        if let Some(name) = to.strip_prefix("/graphs/") {
            let name = name.split('?').next().unwrap_or_default();
            report.push(format!("the link `{title:.60}` leads to the dashboard `{name:.80}`: import that too"));
        }
        all.push(Link { title: variables(&title), to, keeps_range: keeps || is("keepTime") || is("includeVars") });
    }
    all
}

/// An address as it is here, and whether the range or the values go along. Grafana's pages are `/d/ID/NAME`.
fn moved(address: &str) -> (String, bool) {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut keeps = false;
    let kept: Vec<&str> = query
        .split('&')
        .filter(|part| {
            let own = part.starts_with('$') || part.contains("$__from") || part.contains("${__from");
            let own = own || part.contains("$__to") || part.contains("${__to") || part.contains(":queryparam}");
            keeps |= own;
            !own && !part.is_empty()
        })
        .collect();
    let name = path.strip_prefix("/d/").and_then(|rest| rest.split_once('/')).map(|(_, name)| name.trim_matches('/'));
    let name = name.or_else(|| path.strip_prefix("db/")).or_else(|| path.strip_prefix("/dashboard/db/"));
    let path = name.map_or_else(|| path.to_owned(), |name| format!("/graphs/{}", name.to_lowercase()));
    let to = if kept.is_empty() { path } else { format!("{path}?{}", kept.join("&")) };
    (variables(&to), keeps)
}

/// Both ends of a range that stands still.
pub(super) fn fixed(time: &Value) -> Option<(String, String)> {
    let text = |field: &str| {
        let told = time.get(field).and_then(Value::as_str);
        told.filter(|text| !text.is_empty() && !text.starts_with("now")).map(str::to_owned)
    };
    Some((text("from")?, text("to")?))
}

/// What pages show at least and at most.
const RANGE_MS: std::ops::RangeInclusive<u64> = 5_000..=3_650 * DAY_MS;

/// A length as pages write it: a count of the largest unit that fits, a single day as `24h`.
fn named(length_ms: u64) -> Option<String> {
    const COUNT_MAX: u64 = 9_999;
    const UNITS: [(&str, u64, u64); 4] = [("d", DAY_MS, 2), ("h", HOUR_MS, 1), ("m", MINUTE_MS, 1), ("s", 1_000, 1)];
    let fits = |&(_, ms, least): &(&str, u64, u64)| {
        length_ms.is_multiple_of(ms) && (least..=COUNT_MAX).contains(&(length_ms / ms))
    };
    UNITS.into_iter().find(fits).map(|(unit, ms, _)| format!("{}{unit}", length_ms / ms))
}

/// The range that is as long as `now-6h`.
pub(super) fn range(time: &Value, report: &mut Vec<String>) -> Option<String> {
    let text = |field: &str| time.get(field).and_then(Value::as_str).unwrap_or_default();
    let (from, to) = (text("from"), text("to"));
    if from.is_empty() {
        return None;
    }
    let length = match from {
        _ if !matches!(to, "" | "now") => None,
        "now/d" => Some(DAY_MS),
        "now/w" => Some(7 * DAY_MS),
        "now/M" => Some(30 * DAY_MS),
        _ => from.strip_prefix("now-").and_then(|back| duration_ms(back.split('/').next().unwrap_or_default())),
    };
    let Some(name) = length.filter(|length| RANGE_MS.contains(length)).and_then(named) else {
        report.push(format!("its range from `{from:.40}` to `{to:.40}` is left out: choose it with From … to"));
        return None;
    };
    // Pages count back from now, and not from the beginning of a day.
    if from.starts_with("now-") && from.contains('/') {
        report.push(format!("it opens with {name}, not with `{from:.40}` to now"));
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn annotations_by_a_query_are_taken() {
        let mut report = Vec::new();
        let raw = json!({"name": "Restarts", "enable": false, "expr": "changes(start{job=\"[[job]]\"}[5m]) > 0", "step": "90s",
                         "titleFormat": "{{instance}} began anew", "textFormat": "", "tagKeys": "job, instance", "useValueForTime": true});
        let made = mark(&raw, None, &mut report).unwrap();
        assert_eq!(made.expr, "changes(start{job=\"${job}\"}[5m]) > 0");
        assert_eq!((made.title.as_deref(), made.text.as_deref()), (Some("{{instance}} began anew"), None));
        assert_eq!(
            (made.tags.as_slice(), made.step_ms),
            (&["job".to_owned(), "instance".to_owned()][..], Some(90_000))
        );
        assert!(made.off && made.value_is_time);
        let newer = json!({"name": "New", "target": {"expr": "up == 0", "step": "5ms"}, "filter": {"ids": [1]}});
        let made = mark(&newer, None, &mut report).unwrap();
        assert_eq!((made.expr.as_str(), made.step_ms, made.off), ("up == 0", Some(1_000), false));
        assert_eq!(report, ["annotations `New`: they are drawn on every graph, not on some alone"]);
    }

    #[test]
    fn other_annotations_are_told() {
        for (raw, other, wanted) in [
            (json!({"name": "Logs", "expr": "{job=\"x\"}"}), Some("loki"), "they ask `loki`, not Prometheus"),
            (json!({"name": "Tags", "type": "tags"}), Some("Grafana itself"), "drawn on every graph anyway"),
            (json!({"name": "Tags", "target": {"type": "tags"}}), None, "drawn on every graph anyway"),
            (json!({"name": "Odd"}), None, "they do not ask Prometheus"),
            (json!({"name": "Own"}), Some("Grafana itself"), "they ask `Grafana itself`"),
        ] {
            let mut report = Vec::new();
            assert_eq!(mark(&raw, other, &mut report), None);
            assert!(report.len() == 1 && report[0].contains(wanted), "{report:?}");
        }
    }

    #[test]
    fn links_lead_to_what_there_is_here() {
        for (address, wanted) in [
            ("/d/abc/node-Exporter?var-job=${job}&${__url_time_range}", ("/graphs/node-exporter?var-job=${job}", true)),
            ("/d/abc/nodes?from=$__from&to=${__to}&${host:queryparam}", ("/graphs/nodes", true)),
            ("https://example.org/?q=[[job]]", ("https://example.org/?q=${job}", false)),
            ("db/nodes", ("/graphs/nodes", false)),
            ("/explore", ("/explore", false)),
        ] {
            let (to, keeps) = moved(address);
            assert_eq!((to.as_str(), keeps), wanted, "{address}");
        }
        let mut report = Vec::new();
        let raw = [
            json!({"type": "link", "title": "Wiki", "url": "https://example.org/", "keepTime": true}),
            json!({"type": "dashboards", "tags": ["node"]}),
            json!({"title": "Nowhere"}),
            json!({"title": "", "url": "/d/x/nodes"}),
            json!({"title": "By id", "url": "/d/x?var-job=web"}),
        ];
        let all = links(&raw, &mut report);
        let told: Vec<_> = all.iter().map(|l| (l.title.as_str(), l.to.as_str(), l.keeps_range)).collect();
        assert_eq!(told, [("Wiki", "https://example.org/", true), ("/graphs/nodes", "/graphs/nodes", false)]);
        let wanted = ["by tags is left out", "leads nowhere", "dashboard `nodes`: import", "`By id` is left out"];
        for (line, wanted) in report.iter().zip(wanted) {
            assert!(line.contains(wanted), "{report:?}");
        }
        assert_eq!(report.len(), 4, "{report:?}");
    }

    #[test]
    fn a_range_that_does_not_move_has_two_ends() {
        let of = |from: &str, to: &str| fixed(&json!({"from": from, "to": to}));
        let ends = of("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        assert_eq!(ends, Some(("2026-01-01T00:00:00Z".to_owned(), "2026-01-02T00:00:00Z".to_owned())));
        assert_eq!([of("2026-01-01T00:00:00Z", "now"), of("now-6h", "now"), fixed(&Value::Null)], [None, None, None]);
    }

    #[test]
    fn a_page_opens_with_a_range_of_the_same_length() {
        for (from, to, wanted, told) in [
            ("now-6h", "now", Some("6h"), 0),
            ("now-90m", "now", Some("90m"), 0),
            ("now-1d", "now", Some("24h"), 0),
            ("now-2w", "", Some("14d"), 0),
            ("now-36h", "now", Some("36h"), 0),
            ("now-1s", "now", None, 1),
            ("now-11y", "now", None, 1),
            ("now/d", "now", Some("24h"), 0),
            ("now-1y", "now", Some("365d"), 0),
            ("now-2d/d", "now", Some("2d"), 1),
            ("", "", None, 0),
            ("2026-01-01T00:00:00Z", "now", None, 1),
            ("now-2d", "now-1d", None, 1),
        ] {
            let mut report = Vec::new();
            assert_eq!(range(&json!({"from": from, "to": to}), &mut report).as_deref(), wanted, "{from}");
            assert_eq!(report.len(), told, "{report:?}");
        }
    }
}
