//! Names of metrics and attributes as Prometheus has them. By default words joined by `_`, the unit written out, `_total` on
//! counters; the other ways are those of its `otlp.translation_strategy`.
//!
//! Source: the package `otlptranslator` of Prometheus.

use serde::Deserialize;

/// How names are made of those that OpenTelemetry has. Prometheus' spelling is read as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// `http.server.duration` in `s` is `http_server_duration_seconds`.
    #[default]
    #[serde(alias = "UnderscoreEscapingWithSuffixes")]
    UnderscoreEscapingWithSuffixes,
    /// `http_server_duration`.
    #[serde(alias = "UnderscoreEscapingWithoutSuffixes")]
    UnderscoreEscapingWithoutSuffixes,
    /// `http.server.duration_seconds`.
    #[serde(rename = "no_utf8_escaping_with_suffixes", alias = "NoUTF8EscapingWithSuffixes")]
    NoUtf8EscapingWithSuffixes,
    /// `http.server.duration`.
    #[serde(alias = "NoTranslation")]
    NoTranslation,
}

impl Naming {
    const fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }

    /// A metric's name; empty where nothing that a name may have is left.
    pub fn metric(self, name: &str, unit: &str, shape: Shape) -> String {
        let made = match self {
            Self::UnderscoreEscapingWithSuffixes => with_words(name, unit, shape),
            Self::UnderscoreEscapingWithoutSuffixes => {
                let kept = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '_';
                not_a_digit(words(name, kept).join("_"))
            }
            Self::NoUtf8EscapingWithSuffixes => with_endings(name, unit, shape),
            Self::NoTranslation => name.to_owned(),
        };
        let says_nothing = self.escapes() && made != name && made.bytes().all(|b| b == b'_');
        if says_nothing { String::new() } else { made }
    }

    /// An attribute's name as that of a label.
    pub fn label(self, name: &str) -> String {
        if self.escapes() { label_name(name) } else { name.to_owned() }
    }
}

/// Units of UCUM that Prometheus writes out.
const UNITS: [(&str, &str); 28] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("", ""),
];

/// What follows a `/`, in the singular.
const PER_UNITS: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// What a name's ending depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Gauge,
    Counter,
    Other,
}

fn words(name: &str, kept: impl Fn(char) -> bool) -> Vec<&str> {
    name.split(|c: char| !kept(c)).filter(|word| !word.is_empty()).collect()
}

/// All words joined by `_`, those of the unit among them.
fn with_words(name: &str, unit: &str, shape: Shape) -> String {
    let (main, per) = unit_words(unit);
    let mut words = words(name, |c| c.is_ascii_alphanumeric() || c == ':');
    for word in [&main, &per] {
        if !word.is_empty() && !words.contains(&word.as_str()) {
            words.push(word);
        }
    }
    let last = match shape {
        Shape::Counter => "total",
        Shape::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    if !last.is_empty() {
        words.retain(|w| *w != last);
        words.push(last);
    }
    not_a_digit(words.join("_"))
}

/// The name as it is, and what it lacks of its unit and kind at its end.
fn with_endings(name: &str, unit: &str, shape: Shape) -> String {
    let (main, per) = unit_parts(unit);
    let last = match shape {
        Shape::Counter => "total",
        Shape::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    let mut base = name;
    for ending in [last, per.as_str()] {
        if !ending.is_empty() {
            base = without_ending(base, ending);
        }
    }
    let mut out = base.to_owned();
    let main = Some(main).filter(|main| !base.ends_with(main.as_str()));
    for ending in [main.as_deref().unwrap_or_default(), per.as_str(), last] {
        if !ending.is_empty() {
            out.push('_');
            out.push_str(ending);
        }
    }
    out
}

/// Without an ending and the one letter before it, whatever that is, as long as something is left.
fn without_ending<'n>(name: &'n str, ending: &str) -> &'n str {
    let before = name.strip_suffix(ending).and_then(|rest| rest.char_indices().next_back());
    before.filter(|(at, _)| *at > 0).map_or(name, |(at, _)| &name[..at])
}

fn not_a_digit(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// `By/s` is `bytes` and `per_second`. What stands in braces is no unit.
fn unit_parts(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let known = |table: &[(&'static str, &'static str)], unit: &str| {
        let unit = unit.trim();
        if unit.contains(['{', '}']) {
            return String::new();
        }
        let found = table.iter().find(|(code, _)| *code == unit);
        found.map_or(unit, |(_, word)| *word).to_owned()
    };
    let per = known(&PER_UNITS, per);
    (known(&UNITS, main), if per.is_empty() { per } else { format!("per_{per}") })
}

/// The same of the letters that a name may have.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit_parts(unit);
    let per = tidy(&per);
    (tidy(&main), if per == "per" { String::new() } else { per })
}

/// The words of a unit nobody knows.
fn tidy(unit: &str) -> String {
    let words: Vec<&str> = unit.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    words.join("_")
}

/// The unit in words, as a family's metadata has it.
pub fn unit_text(unit: &str) -> String {
    let (main, per) = unit_words(unit);
    [main, per].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join("_")
}

/// An attribute's name as that of a label.
pub fn label_name(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = name.chars().map(kept).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("key_{name}")
    } else if name.starts_with('_') && !name.starts_with("__") {
        format!("key{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_prometheus_makes_them() {
        use Shape::{Counter, Gauge, Other};
        for (name, unit, shape, wanted) in [
            ("http.server.request.duration", "s", Other, "http_server_request_duration_seconds"),
            ("system.io", "By", Counter, "system_io_bytes_total"),
            ("uploads", "{photo}", Counter, "uploads_total"),
            ("uploads_total", "1", Counter, "uploads_total"),
            ("cpu.utilization", "1", Gauge, "cpu_utilization_ratio"),
            ("cpu.utilization", "1", Other, "cpu_utilization"),
            ("disk.speed", "By/s", Gauge, "disk_speed_bytes_per_second"),
            ("rate", "{objects}/s", Gauge, "rate_per_second"),
            ("speed", "km/h", Gauge, "speed_km_per_hour"),
            ("a.bytes.read", "By", Counter, "a_bytes_read_total"),
            ("odd", "+=.:,!* & #", Gauge, "odd"),
            (" spaces ", " \t ", Gauge, "spaces"),
            ("5xx", "", Counter, "_5xx_total"),
            ("a__b", "__x $/°C", Gauge, "a_b_x_per_C"),
        ] {
            let naming = Naming::UnderscoreEscapingWithSuffixes;
            assert_eq!(naming.metric(name, unit, shape), wanted, "{name} {unit}");
        }
        let naming = Naming::UnderscoreEscapingWithoutSuffixes;
        for (name, wanted) in
            [("system.io", "system_io"), ("5xx__a", "_5xx__a"), ("a..b.", "a_b"), ("ää", ""), ("ä_ä", ""), ("_", "_")]
        {
            assert_eq!(naming.metric(name, "By", Counter), wanted, "{name}");
        }
    }

    #[test]
    fn names_may_stay_as_they_are() {
        use Shape::{Counter, Gauge, Other};
        let naming = Naming::NoUtf8EscapingWithSuffixes;
        for (name, unit, shape, wanted) in [
            ("http.server.duration", "s", Other, "http.server.duration_seconds"),
            ("system.io", "By", Counter, "system.io_bytes_total"),
            ("system.io.bytes", "By", Counter, "system.io.bytes_total"),
            ("uploads.total", "{photo}", Counter, "uploads_total"),
            ("total", "", Counter, "total_total"),
            ("cpu.ratio", "1", Gauge, "cpu_ratio"),
            ("disk", "By/s", Gauge, "disk_bytes_per_second"),
            ("rate.per_second", "By/s", Counter, "rate_bytes_per_second_total"),
            ("ä", "°C", Gauge, "ä_°C"),
            ("5xx", "", Other, "5xx"),
        ] {
            assert_eq!(naming.metric(name, unit, shape), wanted, "{name} {unit}");
        }
        assert_eq!(Naming::NoTranslation.metric("a.b/c ", "s", Counter), "a.b/c ");
        assert_eq!(Naming::NoTranslation.label("http.route"), "http.route");
        assert_eq!(Naming::UnderscoreEscapingWithoutSuffixes.label("http.route"), "http_route");
    }

    #[test]
    fn both_spellings_of_a_strategy_are_read() {
        for (text, wanted) in [
            ("underscore_escaping_with_suffixes", Naming::UnderscoreEscapingWithSuffixes),
            ("UnderscoreEscapingWithoutSuffixes", Naming::UnderscoreEscapingWithoutSuffixes),
            ("no_utf8_escaping_with_suffixes", Naming::NoUtf8EscapingWithSuffixes),
            ("NoUTF8EscapingWithSuffixes", Naming::NoUtf8EscapingWithSuffixes),
            ("no_translation", Naming::NoTranslation),
        ] {
            assert_eq!(serde_json::from_value::<Naming>(text.into()).unwrap(), wanted);
        }
        assert!(serde_json::from_value::<Naming>("utf8".into()).is_err());
    }

    #[test]
    fn labels_begin_with_a_letter() {
        for (name, wanted) in
            [("http.method", "http_method"), ("5xx", "key_5xx"), ("_x", "key_x"), ("__x", "__x"), ("ä", "key_")]
        {
            assert_eq!(label_name(name), wanted);
        }
    }
}
