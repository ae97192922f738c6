use tenfold_types::Labels;

use super::{Template, TemplateContext};

fn expand(source: &str, value: f64) -> String {
    let labels = Labels::from_pairs([("job", "photos"), ("instance", "host-1:9100")]);
    Template::parse(source).expect(source).expand(&TemplateContext { labels: &labels, value })
}

#[test]
fn expands_as_prometheus_does() {
    // The humanize rows follow the table of Prometheus' template tests.
    let cases: &[(&str, f64, &str)] = &[
        ("plain", 1.0, "plain"),
        ("{{ $labels.job }} at {{ $value }}", 0.25, "photos at 0.25"),
        ("{{.Labels.job}}/{{.Value}}", 3.0, "photos/3"),
        ("{{ $labels.nothing }}.", 0.0, "."),
        ("{{ index $labels \"job\" }}", 0.0, "photos"),
        ("{{ $value | humanize }}", 0.0, "0"),
        ("{{ $value | humanize }}", 1.0, "1"),
        ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
        ("{{ $value | humanize }}", 0.12, "120m"),
        ("{{ humanize $value }}", f64::NAN, "NaN"),
        ("{{ $value | humanize1024 }}", 1_048_576.0, "1Mi"),
        ("{{ $value | humanizeDuration }}", 0.0, "0s"),
        ("{{ $value | humanizeDuration }}", 60.0, "1m 0s"),
        ("{{ $value | humanizeDuration }}", 3600.0, "1h 0m 0s"),
        ("{{ $value | humanizeDuration }}", 86400.0, "1d 0h 0m 0s"),
        ("{{ $value | humanizeDuration }}", -86400.0, "-1d 0h 0m 0s"),
        ("{{ $value | humanizeDuration }}", 0.1, "100ms"),
        ("{{ $value | humanizeDuration }}", 0.0001, "100us"),
        ("{{ $value | humanizeDuration }}", 899.99, "14m 59s"),
        ("{{ $value | humanizePercentage }}", 0.123_456_7, "12.35%"),
        ("{{ $value | humanizePercentage }}", 0.0, "0%"),
        ("{{ $value | humanizeTimestamp }}", 1_435_065_584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ $value | humanizeTimestamp }}", 0.0, "1970-01-01 00:00:00 +0000 UTC"),
        ("{{ printf \"%.2f%%\" $value }}", 12.345, "12.35%"),
        ("{{ $value | printf \"%05.1f|%-4d|%+d\" 3.14159 7 }}", 5.0, "003.1|7   |+5"),
        ("{{ printf \"%q %s %v\" $labels.job \"x\" true }}", 0.0, "\"photos\" x true"),
        ("{{ printf \"%s %d\" $labels.job }}", 0.0, "photos %!d(MISSING)"),
        ("{{ if gt $value 5.0 }}high{{ else if eq $value 5.0 }}even{{ else }}low{{ end }}", 7.0, "high"),
        ("{{ if gt $value 5.0 }}high{{ else if eq $value 5.0 }}even{{ else }}low{{ end }}", 5.0, "even"),
        ("{{ if gt $value 5.0 }}high{{ else if eq $value 5.0 }}even{{ else }}low{{ end }}", 1.0, "low"),
        ("{{ if and $labels.job (not $labels.host) }}yes{{ end }}", 1.0, "yes"),
        ("a  {{- \" b \" -}}  c", 0.0, "a b c"),
        ("{{/* said nowhere */}}x", 0.0, "x"),
        ("{{ $labels.instance | stripPort | toUpper }}", 0.0, "HOST-1"),
        ("{{ \"two words\" | title }}", 0.0, "Two Words"),
        ("{{ `a }} b` }}", 0.0, "a }} b"),
        ("{{ $value }}", 1e21, "1e+21"),
        ("{{ $value }}", 100_000_000.0, "100000000"),
        ("{{ $value }}", 0.000_01, "1e-05"),
        ("{{ $value }}", f64::INFINITY, "+Inf"),
        ("{{ toUpper (printf \"%s-%v\" $labels.job $value) }}", 2.0, "PHOTOS-2"),
        ("{{ $labels.job | humanize }}", 0.0, "<error expanding template: `photos` is not a number>"),
    ];
    for (source, value, expected) in cases {
        assert_eq!(&expand(source, *value), expected, "{source}");
    }
}

#[test]
fn refuses_what_it_does_not_have() {
    let cases = [
        ("{{ query \"up\" }}", "query"),
        ("{{ range $labels }}{{ end }}", "range"),
        ("{{ $value", "without"),
        ("{{ if true }}", "without `end`"),
        ("{{ end }}", "without its `if`"),
        ("{{ }}", "empty"),
        ("{{ $nothing }}", "$nothing"),
        ("{{ humanize }}", "0 arguments"),
        ("{{ $value 3 }}", "no arguments"),
        ("{{ (($value) }}", "brackets"),
        ("{{ \"x }}", "without"),
        ("{{ $value ! }}", "`!`"),
    ];
    for (source, word) in cases {
        let e = Template::parse(source).expect_err(source).to_string();
        assert!(e.contains(word), "{source}: {e}");
    }
}
