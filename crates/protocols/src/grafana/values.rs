//! Which value of a series Grafana tells, how its tables lay series out, and its panels of text.

use serde_json::Value;

use super::look::{self, Level};
use super::{RawPanel, Shown, unit, variables};

/// The one value of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduce {
    #[default]
    Last,
    Min,
    Max,
    Mean,
    Sum,
    Count,
    Range,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// A label; `value` of the first query, `value 2` of the second.
    pub name: String,
    pub title: Option<String>,
    pub unit: Option<&'static str>,
    pub hidden: bool,
}

/// What is told instead of a number: of one value, of a span, or where there is nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Word {
    pub value: Option<f64>,
    pub from: Option<f64>,
    pub to: Option<f64>,
    pub nothing: bool,
    pub text: String,
    pub level: Option<Level>,
}

/// Words for values, which are brought into the panel's unit by `factor`; what has no equal is told.
pub(super) fn words(config: &Value, factor: &str, notes: &mut Vec<String>) -> Vec<Word> {
    let mut all = Vec::new();
    let mut lost = false;
    let bound = |told: Option<&Value>| told.and_then(look::number).map(|bound| look::scaled(bound, factor));
    let told = |result: &Value| {
        let text = result.get("text").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let level = result.get("color").and_then(Value::as_str).and_then(look::level);
        Word { text, level, ..Word::default() }
    };
    for mapping in list(config, "/defaults/mappings") {
        let options = mapping.get("options").unwrap_or(&Value::Null);
        let kind = mapping.get("type").unwrap_or(&Value::Null);
        match (kind.as_str(), kind.as_i64()) {
            (Some("value"), _) => {
                for (value, result) in options.as_object().into_iter().flatten() {
                    let value = bound(Some(&Value::String(value.clone())));
                    lost |= value.is_none();
                    all.extend(value.map(|value| Word { value: Some(value), ..told(result) }));
                }
            }
            (Some("range"), _) => {
                let result = options.get("result").unwrap_or(&Value::Null);
                all.push(Word { from: bound(options.get("from")), to: bound(options.get("to")), ..told(result) });
            }
            (Some("special"), _) => {
                let result = options.get("result").unwrap_or(&Value::Null);
                let of = options.get("match").and_then(Value::as_str).unwrap_or_default();
                if matches!(of, "null" | "nan" | "null+nan" | "empty") {
                    all.push(Word { nothing: true, ..told(result) });
                } else {
                    lost = true;
                }
            }
            // As they were before version 8, with the words beside the values.
            (None, Some(1)) => match mapping.get("value") {
                Some(Value::String(value)) if value == "null" => all.push(Word { nothing: true, ..told(mapping) }),
                value => all.push(Word { value: bound(value), ..told(mapping) }),
            },
            (None, Some(2)) => {
                all.push(Word { from: bound(mapping.get("from")), to: bound(mapping.get("to")), ..told(mapping) });
            }
            _ => lost = true,
        }
    }
    let count = all.len();
    all.retain(|word| {
        let stands = word.value.is_some() || word.from.is_some() || word.to.is_some() || word.nothing;
        stands && !word.text.is_empty()
    });
    if lost || all.len() < count {
        notes.push("some of its words for values (mappings) are left out".to_owned());
    }
    all
}

#[derive(Default)]
pub(super) struct Told {
    pub reduce: Reduce,
    pub sparkline: bool,
}

/// Which value is told; `at_once` is of queries that ask for one instant, which have no other.
pub(super) fn value(raw: &RawPanel, shown: Shown, at_once: bool, notes: &mut Vec<String>) -> Told {
    if at_once || !matches!(shown, Shown::Stat | Shown::Top) {
        return Told::default();
    }
    let old = raw.value_name.as_str();
    let name = raw.options.pointer("/reduceOptions/calcs/0").and_then(Value::as_str).or(old).unwrap_or_default();
    let reduce = match name {
        "" | "last" | "lastNotNull" | "current" => Some(Reduce::Last),
        "min" => Some(Reduce::Min),
        "max" => Some(Reduce::Max),
        "mean" | "avg" => Some(Reduce::Mean),
        "sum" | "total" => Some(Reduce::Sum),
        "count" => Some(Reduce::Count),
        "range" => Some(Reduce::Range),
        _ => None,
    };
    if reduce.is_none() {
        notes.push(format!("the newest value is told, not `{name:.40}`"));
    }
    let has_line = raw.options.get("graphMode").and_then(Value::as_str) == Some("area")
        || raw.sparkline.get("show").and_then(Value::as_bool) == Some(true);
    Told { reduce: reduce.unwrap_or_default(), sparkline: shown == Shown::Stat && has_line }
}

pub(super) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Array(all)) => all.is_empty(),
        Some(Value::Object(all)) => all.is_empty(),
        other => other.is_none_or(Value::is_null),
    }
}

/// Tells what panels that are no table lose; those of lines have no words for values.
pub(super) fn tell_lost(raw: &RawPanel, shown: Shown, told_in_words: bool, notes: &mut Vec<String>) {
    if !raw.transformations.is_empty() {
        notes.push("its transformations are left out: queries are shown as they answer".to_owned());
    }
    if shown == Shown::Heatmap && !list(&raw.field_config, "/overrides").is_empty() {
        notes.push("what is set for single series (overrides) is left out".to_owned());
    }
    if !told_in_words && !is_empty(raw.field_config.pointer("/defaults/mappings")) {
        notes.push("its words for values (mappings) are left out".to_owned());
    }
    tell_links(raw, notes);
}

fn tell_links(raw: &RawPanel, notes: &mut Vec<String>) {
    if !is_empty(raw.field_config.pointer("/defaults/links")) {
        notes.push("its links behind values are left out".to_owned());
    }
}

#[derive(Default)]
pub(super) struct Table {
    /// For each query that is taken, what brings it into the unit of its column, where that is not the panel's.
    pub factors: Vec<Option<&'static str>>,
    pub columns: Vec<Column>,
    pub sort: Option<(String, bool)>,
}

/// Columns while they are found, each with its place where one is told.
struct Columns<'r> {
    /// The queries' letters.
    refs: &'r [&'r str],
    all: Vec<(Option<u64>, Column)>,
}

impl Columns<'_> {
    /// A field's name here; none of the instant, which every row has.
    fn name(&self, field: &str) -> Option<String> {
        let of_query = |at: usize| if at == 0 { "value".to_owned() } else { format!("value {}", at + 1) };
        match field.strip_prefix("Value") {
            _ if field == "Time" || field.starts_with("Time ") => None,
            Some("") => Some(of_query(0)),
            Some(rest) => match rest.strip_prefix(" #") {
                Some(letter) => self.refs.iter().position(|of| *of == letter).map(of_query),
                None => Some(field.to_owned()),
            },
            None => Some(field.to_owned()),
        }
    }

    fn at(&mut self, name: String) -> &mut (Option<u64>, Column) {
        let at = self.all.iter().position(|(_, column)| column.name == name).unwrap_or(self.all.len());
        if at == self.all.len() {
            self.all.push((None, Column { name, title: None, unit: None, hidden: false }));
        }
        &mut self.all[at]
    }

    fn change(&mut self, field: &str, change: impl FnOnce(&mut (Option<u64>, Column))) {
        if let Some(name) = self.name(field) {
            change(self.at(name));
        }
    }

    /// `organize` of the transformations.
    fn organize(&mut self, options: &Value) {
        let each = |name: &str| options.get(name).and_then(Value::as_object).into_iter().flatten();
        for (field, place) in each("indexByName") {
            self.change(field, |(at, _)| *at = place.as_u64());
        }
        for (field, title) in each("renameByName") {
            let title = title.as_str().map(str::trim).filter(|title| !title.is_empty()).map(str::to_owned);
            self.change(field, |(_, column)| column.title = title);
        }
        for (field, hidden) in each("excludeByName") {
            self.change(field, |(_, column)| column.hidden = hidden.as_bool() == Some(true));
        }
    }

    /// What a table of before version 7 says of a column; a pattern of all says what the page does anyway.
    fn styled(&mut self, style: &Value, factors: &mut [Option<&'static str>], notes: &mut Vec<String>) {
        let text = |field: &str| style.get(field).and_then(Value::as_str).map(str::trim).unwrap_or_default();
        let (pattern, kind) = (text("pattern"), text("type"));
        if matches!(pattern, "" | "/.*/") {
            return;
        }
        if pattern.starts_with('/') {
            notes.push(format!("what is set for its columns `{pattern:.60}` is left out"));
            return;
        }
        let Some(name) = self.name(pattern) else { return };
        let (_, column) = self.at(name.clone());
        column.title = Some(text("alias").to_owned()).filter(|title| !title.is_empty());
        column.hidden = kind == "hidden";
        if kind == "number" && !text("unit").is_empty() {
            let (unit, factor) = unit(text("unit"));
            column.unit = Some(unit);
            if let Some(of_query) = place(&name).and_then(|at| factors.get_mut(at)) {
                *of_query = Some(factor);
            }
        }
    }

    /// A column by its name in the file, or by what stands above it.
    fn sorted(&self, field: &str) -> Option<String> {
        let titled = self.all.iter().find(|(_, column)| column.title.as_deref() == Some(field));
        titled.map(|(_, column)| column.name.clone()).or_else(|| self.name(field))
    }
}

/// Columns of a table: their order, titles and units, which are hidden, and what rows are sorted by.
pub(super) fn table(raw: &RawPanel, refs: &[&str], notes: &mut Vec<String>) -> Table {
    let mut columns = Columns { refs, all: Vec::new() };
    let mut factors = vec![None; refs.len()];
    let mut sort: Option<(String, bool)> = None;
    let mut joined = false;
    for step in &raw.transformations {
        if step.get("disabled").and_then(Value::as_bool) == Some(true) {
            continue;
        }
        let options = step.get("options").unwrap_or(&Value::Null);
        match step.get("id").and_then(Value::as_str).unwrap_or_default() {
            // Here series of several queries share a row anyway.
            "merge" | "labelsToFields" | "joinByLabels" | "seriesToColumns" | "joinByField" => joined = true,
            "organize" => columns.organize(options),
            "sortBy" => {
                let by = options.pointer("/sort/0").unwrap_or(&Value::Null);
                let field = by.get("field").and_then(Value::as_str).and_then(|field| columns.sorted(field));
                sort = field.map(|field| (field, by.get("desc").and_then(Value::as_bool) == Some(true)));
            }
            "filterFieldsByName" if !list(options, "/exclude/names").is_empty() => {
                for field in list(options, "/exclude/names").iter().filter_map(Value::as_str) {
                    columns.change(field, |(_, column)| column.hidden = true);
                }
            }
            other => notes.push(format!("its transformation `{other:.40}` is left out")),
        }
    }
    for style in raw.old.styles.as_array().map(Vec::as_slice).unwrap_or_default() {
        columns.styled(style, &mut factors, notes);
    }
    for of_field in list(&raw.field_config, "/overrides") {
        let by_name = of_field.pointer("/matcher/id").and_then(Value::as_str) == Some("byName");
        let field = of_field.pointer("/matcher/options").and_then(Value::as_str).filter(|_| by_name);
        if field == Some("Time") {
            continue;
        }
        let Some(name) = field.and_then(|field| columns.sorted(field)) else {
            notes.push("what is set for several columns at once (overrides) is left out".to_owned());
            continue;
        };
        for property in list(of_field, "/properties") {
            let told = property.get("value").unwrap_or(&Value::Null);
            let (_, column) = columns.at(name.clone());
            match property.get("id").and_then(Value::as_str).unwrap_or_default() {
                "displayName" => column.title = told.as_str().map(str::to_owned),
                "custom.hidden" | "custom.hideFrom.viz" => column.hidden = told.as_bool() == Some(true),
                "unit" => {
                    let (unit, factor) = unit(told.as_str().unwrap_or_default());
                    column.unit = Some(unit);
                    if let Some(of_query) = place(&name).and_then(|at| factors.get_mut(at)) {
                        *of_query = Some(factor);
                    }
                }
                // How wide a column is, is the page's business.
                "custom.width" | "custom.align" | "decimals" => {}
                other => notes.push(format!("`{other:.40}` of its column `{name:.60}` is left out")),
            }
        }
    }
    if let Some(by) = raw.options.pointer("/sortBy/0") {
        let field = by.get("displayName").and_then(Value::as_str).and_then(|field| columns.sorted(field));
        sort = field.map(|field| (field, by.get("desc").and_then(Value::as_bool) == Some(true))).or(sort);
    }
    if columns.all.is_empty() && joined {
        for at in 0..refs.len() {
            columns.at(if at == 0 { "value".to_owned() } else { format!("value {}", at + 1) });
        }
    }
    tell_links(raw, notes);
    // Values stand behind labels, as Grafana has them, where no place is told.
    columns.all.sort_by_key(|(at, column)| (at.unwrap_or(u64::MAX), place(&column.name)));
    let columns = columns.all.into_iter().map(|(_, column)| column).collect();
    Table { factors, columns, sort }
}

/// Which query's value a column has.
fn place(name: &str) -> Option<usize> {
    match name.strip_prefix("value")? {
        "" => Some(0),
        rest => rest.strip_prefix(' ')?.parse::<usize>().ok()?.checked_sub(1),
    }
}

/// The words of a panel of text, as Markdown; empty where there are none.
pub(super) fn text(raw: &RawPanel, notes: &mut Vec<String>) -> String {
    let told = |name: &str, old: &Value| {
        let new = raw.options.get(name).and_then(Value::as_str);
        new.or(old.as_str()).unwrap_or_default().to_owned()
    };
    let content = told("content", &raw.content);
    let words = match told("mode", &raw.mode).as_str() {
        "html" => {
            notes.push("its HTML is shown as plain words".to_owned());
            without_tags(&content)
        }
        "code" => format!("```\n{}\n```", content.trim()),
        _ => content,
    };
    let mut words = variables(words.trim());
    if words.len() > TEXT_BYTES_MAX {
        words.truncate(words.floor_char_boundary(TEXT_BYTES_MAX));
        notes.push(format!("its text beyond the first {TEXT_BYTES_MAX} bytes is left out"));
    }
    words
}

/// As many as a panel of text has here.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// What stands between tags; a tag parts words, and what a block ends is a paragraph.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('>') else { return out };
        let tag = rest[at + 1..at + end].trim_start_matches('/').to_ascii_lowercase();
        let name = tag.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let block = matches!(name, "p" | "div" | "br" | "li" | "tr" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6");
        out.push_str(if block { "\n\n" } else { " " });
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    let plain = [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
    plain.iter().fold(out, |text, (entity, sign)| text.replace(entity, sign))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn panel(body: Value) -> RawPanel {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn the_value_that_is_told_is_theirs() {
        let calc = |name: &str| json!({"options": {"reduceOptions": {"calcs": [name]}, "graphMode": "area"}});
        for (body, wanted) in [
            (calc("lastNotNull"), Reduce::Last),
            (calc("mean"), Reduce::Mean),
            (calc("range"), Reduce::Range),
            (json!({"valueName": "avg"}), Reduce::Mean),
            (json!({"valueName": "total"}), Reduce::Sum),
            (json!({}), Reduce::Last),
        ] {
            let mut notes = Vec::new();
            assert_eq!(value(&panel(body.clone()), Shown::Stat, false, &mut notes).reduce, wanted, "{body}");
            assert!(notes.is_empty(), "{notes:?}");
        }
        let mut notes = Vec::new();
        let told = value(&panel(calc("p95")), Shown::Stat, false, &mut notes);
        assert_eq!((told.reduce, told.sparkline), (Reduce::Last, true));
        assert_eq!(notes, ["the newest value is told, not `p95`"]);
        let told = value(&panel(calc("sum")), Shown::Stat, true, &mut notes);
        assert_eq!((told.reduce, told.sparkline), (Reduce::Last, false), "one instant has one value");
        assert!(!value(&panel(calc("sum")), Shown::Top, false, &mut notes).sparkline, "bars have no line");
    }

    #[test]
    fn words_for_values_are_theirs() {
        let told = |mappings: Value, factor: &str| {
            let mut notes = Vec::new();
            let words = words(&json!({"defaults": {"mappings": mappings}}), factor, &mut notes);
            (words, notes.len())
        };
        let word = |text: &str| Word { text: text.to_owned(), ..Word::default() };
        let newer = json!([
            {"type": "value", "options": {"0": {"text": "DOWN", "color": "red"}}},
            {"type": "range", "options": {"from": 50, "to": null, "result": {"text": "much", "color": "green"}}},
            {"type": "special", "options": {"match": "null", "result": {"text": "N/A"}}},
        ]);
        let wanted = vec![
            Word { value: Some(0.0), level: Some(Level::Critical), ..word("DOWN") },
            Word { from: Some(0.5), ..word("much") },
            Word { nothing: true, ..word("N/A") },
        ];
        assert_eq!(told(newer, " / 100"), (wanted, 0));
        let older = json!([{"type": 1, "value": "1", "text": "UP"}, {"type": 1, "value": "null", "text": "N/A"}, {"type": 2, "from": "2", "to": "3", "text": "many"}]);
        let wanted = vec![
            Word { value: Some(1.0), ..word("UP") },
            Word { nothing: true, ..word("N/A") },
            Word { from: Some(2.0), to: Some(3.0), ..word("many") },
        ];
        assert_eq!(told(older, ""), (wanted, 0));
        for lost in [
            json!([{"type": "regex", "options": {}}]),
            json!([{"type": "value", "options": {"ok": {"text": "fine"}}}]),
            json!([{"type": "value", "options": {"1": {"color": "red"}}}]),
        ] {
            assert_eq!(told(lost, ""), (vec![], 1));
        }
    }

    #[test]
    fn columns_of_a_table_are_theirs() {
        let raw = panel(json!({
            "transformations": [
                {"id": "merge", "options": {}},
                {"id": "organize", "options": {
                    "excludeByName": {"Time": true, "job": true}, "indexByName": {"instance": 0, "Value #B": 1},
                    "renameByName": {"instance": "Host", "Value #A": "Memory", "Value #B": "Load"}}},
                {"id": "calculateField", "options": {}},
            ],
            "fieldConfig": {"overrides": [
                {"matcher": {"id": "byName", "options": "Memory"}, "properties": [{"id": "unit", "value": "kbytes"}, {"id": "custom.width", "value": 80}]},
                {"matcher": {"id": "byRegexp", "options": ".*"}, "properties": []}]},
            "options": {"sortBy": [{"displayName": "Load", "desc": true}]},
        }));
        let mut notes = Vec::new();
        let table = table(&raw, &["A", "B"], &mut notes);
        let columns: Vec<_> =
            table.columns.iter().map(|c| (c.name.as_str(), c.title.as_deref(), c.unit, c.hidden)).collect();
        assert_eq!(
            columns,
            [
                ("instance", Some("Host"), None, false),
                ("value 2", Some("Load"), None, false),
                ("job", None, None, true),
                ("value", Some("Memory"), Some("bytes"), false),
            ]
        );
        assert_eq!(table.factors, [Some(" * 1024"), None]);
        assert_eq!(table.sort, Some(("value 2".to_owned(), true)));
        assert_eq!(
            notes,
            [
                "its transformation `calculateField` is left out",
                "what is set for several columns at once (overrides) is left out",
            ]
        );
    }

    #[test]
    fn tables_that_are_joined_have_a_column_for_each_query() {
        let raw = panel(json!({"transformations": [{"id": "joinByField", "options": {"byField": "instance"}}]}));
        let table = table(&raw, &["A", "B"], &mut Vec::new());
        assert_eq!(table.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["value", "value 2"]);
    }

    #[test]
    fn words_come_as_markdown() {
        let words = |mode: &str, content: &str| {
            let mut notes = Vec::new();
            (text(&panel(json!({"options": {"mode": mode, "content": content}})), &mut notes), notes.len())
        };
        assert_eq!(words("markdown", " # Of [[job]]\n"), ("# Of ${job}".to_owned(), 0));
        assert_eq!(words("code", "a < b"), ("```\na < b\n```".to_owned(), 0));
        assert_eq!(words("html", "<h1>A &amp; B</h1><p>c"), ("A & B\n\n\n\nc".to_owned(), 1));
        assert_eq!(words("html", "<img src=x"), (String::new(), 1));
        assert_eq!(text(&panel(json!({"mode": "markdown", "content": "old"})), &mut Vec::new()), "old");
        let (long, told) = words("markdown", &"é".repeat(TEXT_BYTES_MAX));
        assert_eq!((long.len(), told), (TEXT_BYTES_MAX, 1));
    }
}
