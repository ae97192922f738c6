//! Rules and their alerts in Prometheus' shape.

use axum::extract::{RawQuery, State};
use serde_json::{Value as Json, json};
use tenfold_alerting::MatcherSet;
use tenfold_app::App;
use tenfold_app::alerts::{ActiveAlertView, RuleGroupView, RuleView};
use tenfold_app::metrics::SeriesFilter;
use tenfold_types::Labels;

use super::params::PrometheusRules;
use super::{Answer, Params, bad, instant_or_never, success};

/// Selectors of one request.
const SELECTORS_MAX: usize = 100;

/// Prometheus knows three states; what we call unknown was firing, and tools must not read it as inactive.
fn state(state: &str) -> &str {
    if state == "unknown" { "firing" } else { state }
}

fn alert(alert: &ActiveAlertView) -> Json {
    let mut out = json!({
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": state(&alert.state),
        "activeAt": alert.active_since,
        "value": alert.value,
    });
    if let Some(since) = alert.kept_since {
        out["keepFiringSince"] = json!(since);
    }
    out
}

fn rule(rule: &RuleView, with_alerts: bool) -> Json {
    let mut out = json!({
        "name": rule.name,
        "query": rule.expr,
        "labels": rule.labels,
        "health": if rule.health == "error" { "err" } else { rule.health.as_str() },
        "lastEvaluation": instant_or_never(rule.last_evaluation),
        "evaluationTime": rule.took_ms as f64 / 1000.0,
        "type": rule.kind,
    });
    let Some(map) = out.as_object_mut() else { return out };
    match (&rule.error, rule.health.as_str()) {
        (Some(error), _) => map.insert("lastError".to_owned(), json!(error)),
        (None, "unknown") => map.insert("lastError".to_owned(), json!("it has not been evaluated yet")),
        (None, _) => None,
    };
    if rule.kind == "alerting" {
        map.insert("duration".to_owned(), json!(rule.for_ms as f64 / 1000.0));
        map.insert("keepFiringFor".to_owned(), json!(rule.keep_firing_for_ms as f64 / 1000.0));
        map.insert("annotations".to_owned(), json!(rule.annotations));
        map.insert("state".to_owned(), json!(state(&rule.state)));
        let alerts: Vec<Json> = if with_alerts { rule.alerts.iter().map(alert).collect() } else { Vec::new() };
        map.insert("alerts".to_owned(), json!(alerts));
    }
    out
}

/// As Go reads it, and whatever the case: Python sends `False`.
fn is_true(params: &Params, name: &str) -> Result<bool, tenfold_types::Fault> {
    match params.get(name).map(str::to_ascii_lowercase).as_deref() {
        None | Some("0" | "f" | "false") => Ok(false),
        Some("1" | "t" | "true") => Ok(true),
        Some(other) => Err(bad(format!("`{name}`: `{other}` is neither true nor false"))),
    }
}

/// Which rules are told.
struct Filter {
    kind: &'static str,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    /// One of them has to hold.
    labels: Vec<MatcherSet>,
    with_alerts: bool,
}

impl Filter {
    fn read(params: &Params) -> Result<Self, tenfold_types::Fault> {
        let kind = match params.get("type").map(str::to_ascii_lowercase).as_deref() {
            None => "",
            Some("alert") => "alerting",
            Some("record") => "recording",
            Some(other) => return Err(bad(format!("`type`: `{other}` is none of alert and record"))),
        };
        let selectors = params.all("match[]");
        if selectors.len() > SELECTORS_MAX {
            return Err(bad(format!("`match[]`: there may be {SELECTORS_MAX}, here are {}", selectors.len())));
        }
        let selectors = SeriesFilter::parse(&selectors, None, None)?.selectors;
        let labels =
            selectors.iter().map(|matchers| MatcherSet::any(matchers).map_err(|e| bad(format!("`match[]`: {e}"))));
        Ok(Self {
            kind,
            names: params.all("rule_name[]"),
            groups: params.all("rule_group[]"),
            files: params.all("file[]"),
            labels: labels.collect::<Result<_, _>>()?,
            with_alerts: !is_true(params, "exclude_alerts")?,
        })
    }

    fn takes_group(&self, group: &RuleGroupView) -> bool {
        let among = |wanted: &[String], name: &String| wanted.is_empty() || wanted.contains(name);
        among(&self.groups, &group.name) && among(&self.files, &group.file)
    }

    fn takes(&self, rule: &RuleView) -> bool {
        // What a template makes of a label is not known before there is an alert.
        let labels = || {
            Labels::from_pairs(
                rule.labels.iter().filter(|(_, v)| !v.contains("{{")).map(|(n, v)| (n.clone(), v.clone())),
            )
        };
        (self.kind.is_empty() || rule.kind == self.kind)
            && (self.names.is_empty() || self.names.contains(&rule.name))
            && (self.labels.is_empty() || self.labels.iter().any(|set| set.matches(&labels())))
    }
}

/// Which of the groups are told: so many, from one on.
struct Page {
    /// 0 is any number.
    limit: usize,
    from: Option<String>,
}

impl Page {
    fn read(params: &Params) -> Result<Self, tenfold_types::Fault> {
        let limit = match params.get("group_limit") {
            Some(text) => Some(
                text.parse::<usize>().map_err(|_| bad(format!("`group_limit`: `{text}` is no number of groups")))?,
            ),
            None => None,
        };
        let from = params.get("group_next_token").map(str::to_owned);
        if from.is_some() && limit.is_none() {
            return Err(bad("`group_next_token` goes with `group_limit`".to_owned()));
        }
        Ok(Self { limit: limit.unwrap_or(0), from })
    }
}

/// Names a group in an address.
fn token(group: &RuleGroupView) -> String {
    let pairs = [("file", group.file.as_str()), ("group", group.name.as_str())];
    tenfold_alerting::fingerprint(&Labels::from_pairs(pairs))
}

fn told(group: &RuleGroupView, filter: &Filter) -> Option<Json> {
    let rules: Vec<Json> =
        group.rules.iter().filter(|r| filter.takes(r)).map(|r| rule(r, filter.with_alerts)).collect();
    if rules.is_empty() && !group.rules.is_empty() {
        return None;
    }
    Some(json!({
        "name": group.name,
        "file": group.file,
        "interval": group.interval_ms as f64 / 1000.0,
        "lastEvaluation": instant_or_never(group.last_evaluation),
        "evaluationTime": group.took_ms as f64 / 1000.0,
        "limit": group.limit,
        "rules": rules,
    }))
}

/// Rule groups (`type`, `rule_name[]`, `rule_group[]`, `file[]`, `match[]`, `exclude_alerts`, `group_limit`,
/// `group_next_token`). Groups of which no rule is taken are left out when rules are asked for by name, kind or label.
#[utoipa::path(get, path = "/api/v1/rules", params(PrometheusRules), responses((status = 200, body = Object)))]
pub(super) async fn prometheus_rules(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    let params = Params::new(q.as_deref(), b"");
    let (filter, page) = (Filter::read(&params)?, Page::read(&params)?);
    let data = paged(&app.rules(), &filter, &page);
    Ok(success(data.ok_or_else(|| bad("`group_next_token` names no group; were rules changed meanwhile?".to_owned()))?))
}

/// The groups of a page, with the token of the group behind them. `None` where the page begins at no group.
fn paged(all: &[RuleGroupView], filter: &Filter, page: &Page) -> Option<Json> {
    let mut data = json!({});
    let (mut groups, mut found) = (Vec::new(), page.from.is_none());
    for group in all.iter().filter(|group| filter.takes_group(group)) {
        found = found || page.from.as_ref().is_some_and(|from| *from == token(group));
        let Some(shape) = found.then(|| told(group, filter)).flatten() else { continue };
        if page.limit > 0 && groups.len() == page.limit {
            data["groupNextToken"] = json!(token(group));
            break;
        }
        groups.push(shape);
    }
    data["groups"] = json!(groups);
    found.then_some(data)
}

/// The active alerts of all rules.
#[utoipa::path(get, path = "/api/v1/alerts", responses((status = 200, body = Object)))]
pub(super) async fn prometheus_alerts(State(app): State<App>) -> Answer {
    let groups = app.rules();
    let alerts: Vec<Json> = groups.iter().flat_map(|g| &g.rules).flat_map(|r| &r.alerts).map(alert).collect();
    Ok(success(json!({"alerts": alerts})))
}

#[cfg(test)]
mod tests {
    use tenfold_types::Timestamp;

    use super::*;

    fn group(file: &str, name: &str) -> RuleGroupView {
        RuleGroupView {
            name: name.to_owned(),
            file: file.to_owned(),
            interval_ms: 5_000,
            limit: 0,
            last_evaluation: None,
            took_ms: 0,
            rules: Vec::new(),
        }
    }

    #[test]
    fn alerts_are_left_out_where_that_is_true() {
        for (text, with_alerts) in [
            ("", Some(true)),
            ("False", Some(true)),
            ("f", Some(true)),
            ("0", Some(true)),
            ("True", Some(false)),
            ("1", Some(false)),
            ("no", None),
        ] {
            let read = Filter::read(&Params::new(Some(&format!("exclude_alerts={text}")), b""));
            assert_eq!(read.ok().map(|filter| filter.with_alerts), with_alerts, "{text}");
        }
    }

    #[test]
    fn an_alert_that_is_kept_says_since_when() {
        let began = Timestamp::parse_rfc3339("2026-11-28T05:00:00Z").expect("an instant");
        let view = |kept_since| ActiveAlertView {
            fingerprint: "1".to_owned(),
            state: "firing".to_owned(),
            labels: Labels::new(),
            annotations: std::collections::BTreeMap::new(),
            value: "1".to_owned(),
            active_since: began,
            kept_since,
        };
        assert!(alert(&view(None)).get("keepFiringSince").is_none());
        assert_eq!(alert(&view(Some(began.plus_ms(90_000))))["keepFiringSince"], json!(began.plus_ms(90_000)));
    }

    #[test]
    fn what_was_never_evaluated_has_an_instant_all_the_same() {
        let params = Params::new(None, b"");
        let (filter, page) = (Filter::read(&params).expect("a filter"), Page::read(&params).expect("a page"));
        let told = paged(&[group("a", "one")], &filter, &page).expect("a page");
        assert_eq!(told["groups"][0]["lastEvaluation"], json!("0001-01-01T00:00:00Z"));
    }

    #[test]
    fn pages_of_groups_follow_each_other_and_end() {
        let all = [group("a", "one"), group("a", "two"), group("b", "one"), group("b", "two"), group("c", "one")];
        let ask = |query: &str| {
            let params = Params::new(Some(query), b"");
            let (filter, page) = (Filter::read(&params).expect("a filter"), Page::read(&params).expect("a page"));
            paged(&all, &filter, &page)
        };
        let names = |data: &Json| {
            let groups = data["groups"].as_array().expect("groups").iter();
            groups.map(|g| format!("{}/{}", g["file"], g["name"]).replace('"', "")).collect::<Vec<_>>().join(" ")
        };
        let (mut pages, mut query) = (Vec::new(), "group_limit=2".to_owned());
        while let Some(data) = ask(&query) {
            pages.push(names(&data));
            let Some(token) = data["groupNextToken"].as_str() else { break };
            query = format!("group_limit=2&group_next_token={token}");
        }
        assert_eq!(pages, ["a/one a/two", "b/one b/two", "c/one"]);
        assert_eq!(names(&ask("").expect("all")).split(' ').count(), 5);
        assert_eq!(ask("group_limit=2&group_next_token=none"), None);
        let narrow = ask("file[]=b&group_limit=2").expect("a page");
        assert!(narrow["groupNextToken"].is_null(), "{narrow}");
        for wrong in ["group_limit=many", "group_limit=-1", "group_next_token=x"] {
            assert!(Page::read(&Params::new(Some(wrong), b"")).is_err(), "{wrong}");
        }
    }
}
