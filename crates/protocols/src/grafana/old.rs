//! What panels of before version 7 say in their own way: thresholds and words of a single stat, thresholds of a graph, styles of a
//! table. And what programs that write dashboards leave empty.

use serde::Deserialize;
use serde_json::{Value, json};

use super::look::{self, Bound, Level};
use super::values::{self, Word};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawOld {
    /// Of a single stat `70,90`, of a graph a list.
    #[serde(default)]
    thresholds: Value,
    /// Of a single stat: below the first threshold, between the two, and above.
    #[serde(default)]
    colors: Value,
    /// Whether it shows them anywhere.
    #[serde(default)]
    color_value: Value,
    #[serde(default)]
    color_background: Value,
    #[serde(default)]
    gauge: Value,
    /// Words for values, and for spans of them; 2 where those of spans count.
    #[serde(default)]
    mapping_type: Value,
    #[serde(default)]
    value_maps: Value,
    #[serde(default)]
    range_maps: Value,
    /// Of a table: its columns.
    #[serde(default)]
    pub styles: Value,
    /// A range of its own, in every version.
    #[serde(default)]
    time_from: Value,
    #[serde(default)]
    time_shift: Value,
}

impl RawOld {
    /// Thresholds of a graph (`lines`), or of a single stat that shows them.
    pub(super) fn thresholds(&self, lines: bool, factor: &str, notes: &mut Vec<String>) -> Vec<(Bound, Level)> {
        match &self.thresholds {
            Value::Array(all) if lines => of_graph(all, factor, notes),
            Value::String(bounds) if !lines && self.is_coloured() => {
                look::thresholds(&self.steps(bounds), factor, notes)
            }
            _ => Vec::new(),
        }
    }

    fn is_coloured(&self) -> bool {
        let is = |told: Option<&Value>| told.and_then(Value::as_bool) == Some(true);
        is(Some(&self.color_value)) || is(Some(&self.color_background)) || is(self.gauge.get("show"))
    }

    /// As they are written since: each colour with the number from which on it counts.
    fn steps(&self, bounds: &str) -> Value {
        let colours = self.colors.as_array().map(Vec::as_slice).unwrap_or_default();
        let numbers = bounds.split(',').filter_map(|bound| bound.trim().parse::<f64>().ok());
        let from = std::iter::once(None).chain(numbers.map(Some));
        let step = |(color, value): (&Value, Option<f64>)| json!({"color": color, "value": value});
        json!({"steps": colours.iter().zip(from).map(step).collect::<Vec<_>>()})
    }

    /// Words for values: those in `config`, as they are written since, and its own.
    pub(super) fn words(&self, config: &Value, factor: &str, notes: &mut Vec<String>) -> Vec<Word> {
        let mut all = values::words(config, factor, notes);
        all.extend(values::words(&self.mappings(), factor, notes));
        all
    }

    fn mappings(&self) -> Value {
        let spans = self.mapping_type.as_i64() == Some(2);
        let told = if spans { &self.range_maps } else { &self.value_maps };
        let of = |map: &Value| {
            let field = |name: &str| map.get(name).cloned().unwrap_or_default();
            // What has no value is written as a span of it.
            let nothing = ["from", "to"].into_iter().all(|end| field(end) == "null");
            match (spans, nothing) {
                (true, false) => json!({"type": 2, "from": field("from"), "to": field("to"), "text": field("text")}),
                (true, true) => json!({"type": 1, "value": "null", "text": field("text")}),
                (false, _) => json!({"type": 1, "value": field("value"), "text": field("text")}),
            }
        };
        let all: Vec<Value> = told.as_array().into_iter().flatten().map(of).collect();
        json!({"defaults": {"mappings": all}})
    }

    /// Tells of a range of its own, which has no equal.
    pub(super) fn tell_lost(&self, notes: &mut Vec<String>) {
        for (name, told) in [("timeFrom", &self.time_from), ("timeShift", &self.time_shift)] {
            if let Some(own) = told.as_str().map(str::trim).filter(|own| !own.is_empty()) {
                notes.push(format!("its own range (`{name}` {own:.40}) is left out: it shows that of the page"));
            }
        }
    }
}

/// Each with its side, its number and how bad it is.
fn of_graph(told: &[Value], factor: &str, notes: &mut Vec<String>) -> Vec<(Bound, Level)> {
    let read = |one: &Value| {
        let text = |field: &str| one.get(field).and_then(Value::as_str).unwrap_or_default();
        let level = match text("colorMode") {
            "critical" => Level::Critical,
            "warning" => Level::Warning,
            "custom" => look::level(text("lineColor")).or_else(|| look::level(text("fillColor")))?,
            _ => return None,
        };
        let bound = look::scaled(one.get("value").and_then(look::number)?, factor);
        Some((if text("op") == "lt" { Bound::Below(bound) } else { Bound::Above(bound) }, level))
    };
    let all: Vec<(Bound, Level)> = told.iter().filter_map(read).collect();
    if all.len() < told.len() {
        notes.push("thresholds that mark what is good, or have a colour of their own, are left out".to_owned());
    }
    all
}

/// A field without a value is as one that is not there: what is left empty is no reason to refuse a whole file.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(all) => all.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::grafana::read;

    use super::*;

    #[test]
    fn what_old_panels_say_of_values_is_taken() {
        let targets = json!([{"refId": "A", "expr": "x"}]);
        let stat = json!({"type": "singlestat", "title": "Up", "targets": targets, "thresholds": "1,2", "colorValue": true,
            "colors": ["#d44a3a", "rgba(237, 129, 40, 0.89)", "#299c46"], "mappingType": 1,
            "valueMaps": [{"op": "=", "value": "null", "text": "N/A"}, {"op": "=", "value": "0", "text": "down"}]});
        let span = json!({"type": "singlestat", "title": "Span", "targets": targets, "thresholds": "1,2", "colors": ["#299c46", "#d44a3a"],
            "mappingType": 2, "rangeMaps": [{"from": "null", "to": "null", "text": "N/A"}, {"from": "1", "to": "5", "text": "few"}]});
        let graph = json!({"type": "graph", "title": "Busy", "targets": targets, "yaxes": [{"format": "percent"}], "timeFrom": "7d",
            "thresholds": [{"colorMode": "critical", "op": "gt", "value": 90}, {"colorMode": "warning", "op": "lt", "value": 5}, {"colorMode": "ok", "op": "gt", "value": 1}]});
        let table = json!({"type": "table-old", "title": "Hosts", "targets": targets, "styles": [
            {"alias": "Time", "pattern": "Time", "type": "hidden"}, {"alias": "Memory", "pattern": "Value", "type": "number", "unit": "kbytes"},
            {"alias": "", "pattern": "job", "type": "hidden"}, {"alias": "", "pattern": "/.*/", "type": "number", "unit": "short"}]});
        let read = read(json!({"title": "Old", "panels": [stat, span, graph, table]})).unwrap();
        let [stat, span, graph, table] = read.panels.as_slice() else { panic!("four panels: {read:?}") };
        assert_eq!(stat.look.thresholds, [(Bound::Below(1.0), Level::Critical), (Bound::Below(2.0), Level::Warning)]);
        let words = |panel: &crate::grafana::Panel| -> Vec<(bool, Option<f64>, Option<f64>, String)> {
            panel.words.iter().map(|w| (w.nothing, w.value, w.from, w.text.clone())).collect()
        };
        let none = (true, None, None, "N/A".to_owned());
        assert_eq!(words(stat), [none.clone(), (false, Some(0.0), None, "down".to_owned())]);
        assert_eq!(words(span), [none, (false, None, Some(1.0), "few".to_owned())]);
        assert!(span.look.thresholds.is_empty(), "it shows no colours");
        assert_eq!(graph.look.thresholds, [(Bound::Above(0.9), Level::Critical), (Bound::Below(0.05), Level::Warning)]);
        let columns: Vec<_> =
            table.columns.iter().map(|c| (c.name.as_str(), c.title.as_deref(), c.unit, c.hidden)).collect();
        assert_eq!(columns, [("job", None, None, true), ("value", Some("Memory"), Some("bytes"), false)]);
        assert_eq!(table.queries[0].0, "(x) * 1024");
        assert_eq!(
            read.report,
            [
                "panel `Busy`: thresholds that mark what is good, or have a colour of their own, are left out",
                "panel `Busy`: its own range (`timeFrom` 7d) is left out: it shows that of the page",
            ]
        );
    }

    #[test]
    fn fields_without_a_value_are_not_there() {
        let file = json!({"title": "T", "description": null, "links": null,
            "templating": {"list": [{"name": "job", "type": "custom", "query": "a,b", "regex": null, "multi": null, "includeAll": null}]},
            "panels": [{"type": "stat", "title": "Up", "description": null, "links": null, "transformations": null,
                        "targets": [{"expr": "up", "legendFormat": null, "hide": null, "refId": null}]},
                       {"type": "row", "title": "Empty", "panels": null}]});
        let read = read(file).unwrap();
        assert_eq!((read.panels.len(), read.variables.len(), read.report.len()), (1, 1, 0), "{read:?}");
    }
}
