//! Names of metrics and attributes as Prometheus has them: words joined by `_`, the unit written out, `_total` on counters.

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

/// A metric's name. Without `suffixes` only what a name may not hold is replaced.
pub fn metric_name(name: &str, unit: &str, shape: Shape, suffixes: bool) -> String {
    if !suffixes {
        let kept = |c: char| if c.is_ascii_alphanumeric() || c == ':' || c == '_' { c } else { '_' };
        return not_a_digit(name.chars().map(kept).collect());
    }
    let (main, per) = unit_words(unit);
    let mut words: Vec<&str> =
        name.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|w| !w.is_empty()).collect();
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

fn not_a_digit(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// `By/s` is `bytes` and `per_second`. What stands in braces is no unit.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let known = |table: &[(&'static str, &'static str)], unit: &str| {
        let unit = unit.trim();
        if unit.contains(['{', '}']) {
            return String::new();
        }
        let found = table.iter().find(|(code, _)| *code == unit);
        found.map_or_else(|| tidy(unit), |(_, word)| (*word).to_owned())
    };
    let per = known(&PER_UNITS, per);
    (known(&UNITS, main), if per.is_empty() { per } else { format!("per_{per}") })
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
            assert_eq!(metric_name(name, unit, shape, true), wanted, "{name} {unit}");
        }
        assert_eq!(metric_name("system.io", "By", Counter, false), "system_io");
        assert_eq!(metric_name("5xx__a", "By", Counter, false), "_5xx__a");
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
