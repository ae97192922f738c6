use tenfold_types::{Labels, Timestamp};

use super::{RuleWorld, Template, TemplateContext};

fn expand(source: &str, value: f64) -> String {
    let labels = Labels::from_pairs([("job", "photos"), ("instance", "host-1:9100")]);
    let world = RuleWorld { external_labels: &Labels::new(), external_url: "", ask: None, at: Timestamp(0) };
    Template::parse(source).expect(source).expand(&TemplateContext { labels: &labels, value, world })
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
        ("{{ 5 | printf \"%05.1f|%-4d|%+d\" 3.14159 7 }}", 5.0, "003.1|7   |+5"),
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
fn expands_everything_go_has() {
    let labels = Labels::from_pairs([("job", "photos"), ("instance", "db.example.org:80")]);
    let external = Labels::from_pairs([("region", "eu")]);
    let ask = |expr: &str| match expr {
        "up" => Ok(vec![
            (Labels::from_pairs([("__name__", "up"), ("host", "b"), ("__value__", "x")]), 1.0),
            (Labels::from_pairs([("__name__", "up"), ("host", "a")]), 0.0),
        ]),
        "none" => Ok(vec![]),
        other => Err(format!("no {other}")),
    };
    let world = RuleWorld {
        external_labels: &external,
        external_url: "https://tenfold.example.org/sub/path",
        ask: Some(&ask),
        at: Timestamp(1_500),
    };
    let expand = |source: &str| {
        Template::parse(source).expect(source).expand(&TemplateContext { labels: &labels, value: 5.0, world })
    };
    let cases: &[(&str, &str)] = &[
        ("{{ range query \"up\" }}{{ .Labels.host }}={{ .Value }};{{ end }}", "b=1;a=0;"),
        ("{{ range sortByLabel \"host\" (query \"up\") }}{{ label \"host\" . }}{{ value . }} {{ end }}", "a0 b1 "),
        ("{{ with query \"none\" }}some{{ else }}none{{ end }}", "none"),
        ("{{ query \"up\" | first | value | humanize }}", "1"),
        ("{{ query \"up\" | first | strvalue }}", "x"),
        ("{{ query \"down\" }}", "<error expanding template: no down>"),
        ("{{ query \"none\" | first }}", "<error expanding template: first() called on vector with no elements>"),
        (
            "{{ $externalLabels.region }} {{ externalURL }} {{ pathPrefix }} {{ $externalURL }}",
            "eu https://tenfold.example.org/sub/path /sub/path https://tenfold.example.org/sub/path",
        ),
        ("{{ range $k, $v := $labels }}{{ $k }}:{{ $v }} {{ end }}", "instance:db.example.org:80 job:photos "),
        ("{{ $x := 1 }}{{ range query \"up\" }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ define \"a\" }}<{{ . }}>{{ end }}{{ template \"a\" $labels.job }}", "<photos>"),
        ("{{ block \"b\" 3 }}{{ . }}{{ end }}", "3"),
        (
            "{{ range query \"up\" }}{{ if eq .Value 1.0 }}{{ continue }}{{ end }}{{ .Labels.host }}{{ break }}{{ end }}",
            "a",
        ),
        ("{{ if gt $value 4 }}whole numbers compare{{ end }}", "whole numbers compare"),
        (
            "{{ stripDomain $labels.instance }} {{ stripDomain \"10.1.2.3:9\" }} {{ stripPort \"[::1]:9\" }}",
            "db:80 10.1.2.3:9 ::1",
        ),
        ("{{ reReplaceAll \"(.*)\\\\.(.*)\" \"$2-$1\" \"a.b\" }} {{ match \"^a\" \"abc\" }}", "b-a true"),
        ("{{ reReplaceAll \"o\" \"0\" \"foo.o\" }} {{ reReplaceAll \"x*\" \"-\" \"ab\" }}", "f00.0 -a-b-"),
        ("{{ reReplaceAll \"(o+)\" \"${1}é$1é\" \"foo\" }}", "fooé"),
        ("{{ match \"^[^[]+$\" \"a]\" }} {{ match \"^\\\\w+$\" \"Zürich\" }}", "true false"),
        ("{{ graphLink \"up{a=\\\"b\\\"}\" }}", "/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0"),
        ("{{ with args 1 \"x\" }}{{ .arg0 }}{{ .arg1 }}{{ end }}", "1x"),
        ("<{{ tmpl \"console\" (args 1) }}>", "<>"),
        (
            "{{ toDuration 5400.25 }} {{ toDuration 0.0015 }} {{ toDuration 0 }} {{ toDuration -61 }}",
            "1h30m0.25s 1.5ms 0s -1m1s",
        ),
        ("{{ parseDuration \"1h30m\" }} {{ now }} {{ toTime 1.5 }}", "5400 1.5 1970-01-01 00:00:01.5 +0000 UTC"),
        ("{{ (toTime 1.5).Format \"Jan 2006, 15:04:05\" }}", "Jan 1970, 00:00:01"),
        ("{{ print 1 2 \"a\" 3 }}|{{ println 1 \"a\" }}", "1 2a3|1 a\n"),
        ("{{ printf \"%d %s\" $value 3 }}", "%!d(float64=5) %!s(int=3)"),
        (
            "{{ printf \"%5.1f|%-5d|%05d|%x|%#x|%q|%c|%t|%6.2e\" 2.25 3 -4 255 255 \"a\\n\" 65 true 12345.678 }}",
            "  2.2|3    |-0004|ff|0xff|\"a\\n\"|A|true|1.23e+04",
        ),
        ("{{ printf \"%d\" }}{{ printf \"x\" 1 }}", "%!d(MISSING)x%!(EXTRA int=1)"),
        ("{{ len $labels }}{{ index $labels \"job\" | len }} {{ slice \"abcdef\" 1 3 }}", "26 bc"),
        (
            "{{ html \"<a href='x'>\" }} {{ urlquery \"a b&c\" }} {{ js \"it's\" }}",
            "&lt;a href=&#39;x&#39;&gt; a+b%26c it\\'s",
        ),
        ("{{ and 1 0 \"x\" }} {{ or 0 \"y\" }} {{ not 0 }} {{ 1 | and true }}", "0 y true 1"),
        ("{{ ($labels.job | toUpper) }}{{ (query \"up\" | first).Labels.host }}", "PHOTOSb"),
        ("{{ 0x10 }} {{ 1_000 }} {{ 1e3 }} {{ 'a' }} {{ nil | printf \"%v\" }}", "16 1000 1000 97 <nil>"),
        ("{{ .Labels.job }}{{ $.Value }}", "photos5"),
        ("{{ with $labels.job -}}  {{ . }} {{- end }}", "photos"),
        ("{{ eq $labels.job 1 }}", "<error expanding template: incompatible types for comparison: string and int>"),
        ("{{ .Nothing }}", "<error expanding template: can't evaluate field Nothing in type template data>"),
        ("{{ template \"gone\" }}", "<error expanding template: the template `gone` is not defined>"),
    ];
    for (source, expected) in cases {
        assert_eq!(&expand(source), expected, "{source}");
    }
}

#[test]
fn a_template_ends() {
    let looped = "{{ define \"a\" }}{{ if true }}{{ template \"a\" . }}{{ end }}{{ end }}{{ template \"a\" . }}";
    assert!(expand(looped, 0.0).contains("200 deep"), "{}", expand(looped, 0.0));
    let wide = "{{ range 10000 }}{{ range 10000 }}x{{ end }}{{ end }}";
    assert!(expand(wide, 0.0).contains("steps"), "{}", expand(wide, 0.0));
    let long = "{{ range 10000 }}{{ printf \"%200s\" \"\" }}{{ end }}";
    assert!(expand(long, 0.0).contains("bytes"), "{}", expand(long, 0.0));
    for growing in [
        "{{ $x := `0123456789` }}{{ range 100 }}{{ $x = printf `%s%s` $x $x }}{{ end }}",
        "{{ $x := `0123456789` }}{{ range 100 }}{{ $x = reReplaceAll `(.*)` `$1$1` $x }}{{ end }}",
        "{{ $x := `0123456789` }}{{ range 100 }}{{ $x = reReplaceAll `` $x $x }}{{ end }}",
    ] {
        assert!(expand(growing, 0.0).contains("at most 262144 bytes"), "{growing}");
    }
    for nested in ["{{ $x = args $x $x }}", "{{ $x = args $x }}"] {
        let nested = format!("{{{{ $x := 1 }}}}{{{{ range 10000 }}}}{nested}{{{{ end }}}}{{{{ $x }}}}");
        assert!(expand(&nested, 0.0).contains("`args` holds at most"), "{nested}: {}", expand(&nested, 0.0));
    }
    let long = "{{ $x := `0123456789` }}{{ range 12 }}{{ $x = print $x $x }}{{ end }}";
    for much in ["{{ range 10000 }}{{ $y := $x }}{{ end }}", "{{ range 10000 }}{{ $y := toUpper $x }}{{ end }}"] {
        assert!(expand(&format!("{long}{much}"), 0.0).contains("steps"), "{much}");
    }
    let searched = expand(&format!("{long}{{{{ reReplaceAll `[0-8]*x|.` `` $x }}}}"), 0.0);
    assert!(searched.contains("goes through too much"), "{searched}");
    let patterns = "{{ range 10000 }}{{ match `a` `b` }}{{ end }}";
    assert!(expand(patterns, 0.0).contains("steps"), "{}", expand(patterns, 0.0));
    let deep = format!("{}{}", "{{ if true }}".repeat(60), "{{ end }}".repeat(60));
    assert!(Template::parse(&deep).is_err());
    let brackets = format!("{{{{ {}1{} }}}}", "(".repeat(60), ")".repeat(60));
    assert!(Template::parse(&brackets).is_err());
}

#[test]
fn refuses_what_it_does_not_have() {
    let cases = [
        ("{{ quarry \"up\" }}", "quarry"),
        ("{{ range $labels }}", "`end`"),
        ("{{ break }}", "outside"),
        ("{{ template x }}", "quotes"),
        ("{{ join \",\" $labels }}", "join"),
        ("{{ $value", "without"),
        ("{{ if true }}", "`end`"),
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
