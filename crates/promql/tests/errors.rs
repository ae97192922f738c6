//! What a person gets to read when a query is wrong or too much; and that no text makes the parser panic.

use proptest::prelude::*;
use tenfold_promql::{
    Dialect, Interrupt, Limits, Query, QueryError, Value, instant, parse, parse_any_matchers, parse_as, parse_matchers,
    range, series::Table,
};
use tenfold_types::{
    Histogram, Labels, STALE_NAN,
    histogram::{Buckets, CUSTOM_SCHEMA},
};

#[test]
fn errors_point_into_the_query() {
    let cases = [
        ("", "1:1: no expression found in input"),
        ("sum(rate(x[5m])", "1:16: unexpected the end of the query; expected `)` after the arguments"),
        ("raet(x[5m])", "1:1: unknown function with name \"raet\"; did you mean `rate`?"),
        ("rate(x)", "1:6: expected type range vector in call to function \"rate\", got instant vector"),
        ("sum(x[5m])", "1:5: expected type instant vector in aggregation expression of \"sum\", got range vector"),
        ("x{a=~\"(\"}", "1:6: this regular expression is not valid: unclosed group"),
        ("x{a=b}", "1:5: unexpected `b`; expected a label value in quotes"),
        ("{a=\"\"}", "1:1: vector selector must contain at least one non-empty matcher"),
        ("1 > 2", "1:3: comparisons between scalars must use BOOL modifier"),
        ("x and 1", "1:1: set operator \"and\" not allowed in binary scalar expression"),
        ("x + bool y", "1:5: bool modifier can only be used on comparison operators"),
        ("x +\n  y)", "2:4: unexpected `)`; expected an operator or the end"),
        ("topk(x)", "1:1: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("x[0s]", "1:3: duration must be greater than 0"),
        ("x[5m:0s]", "1:6: duration must be greater than 0"),
        ("x[5m / 0]", "1:6: division by zero"),
        ("x offset (5m % 0s)", "1:14: modulo by zero"),
        ("x offset 1m offset 2m", "1:13: offset may not be set multiple times"),
        ("(x + y)[5m]", "1:8: ranges only allowed for vector selectors"),
        ("x and on(a) group_left y", "1:13: no grouping allowed for \"and\" operation"),
        ("'abc", "1:1: this string has no end"),
        ("5foo", "1:1: bad number or duration syntax: \"5foo\""),
        ("x[5m1q]", "1:3: bad number or duration syntax: \"5m1q\""),
        ("x + 'ab\\q'", "1:8: this string has an unknown escape sequence"),
        ("'\\x+1'", "1:2: this string has an unknown escape sequence"),
        ("'\\u+041'", "1:2: this string has an unknown escape sequence"),
        ("sum by (a, '') (x)", "1:12: invalid label name for grouping: \"\""),
        ("x[(1m - 2m)]", "1:3: duration must be greater than 0"),
        ("x[0.0001]", "1:3: duration must be greater than 0"),
        ("x[1e400]", "1:3: duration out of range"),
        ("x[5m:(-1) ^ 0.5]", "1:6: duration out of range"),
        ("x\n  offset -1e300", "2:10: duration out of range"),
        ("x[foo(5m)]", "1:3: only step(), range(), min_of() and max_of() may stand in a duration"),
        ("x ? y", "1:3: unexpected character `?`"),
        ("y{__name__=\"x\"}", "1:3: metric name must not be set twice: \"y\" or \"x\""),
        ("y{a=\"b\",__name__=~\"x.*\"}", "1:9: metric name must not be set twice: \"y\" or \"x.*\""),
        ("x offset (1h) / y", "1:17: unexpected `y`; expected a duration"),
        ("label_replace(x, 'a')", "1:1: expected 5 arguments in call to \"label_replace\", got 2"),
        ("info({}, {a='b'})", "1:6: vector selector must contain at least one non-empty matcher"),
        ("info(x, sum(y))", "1:9: expected label selectors only"),
        ("x + fill(0) 1", "1:1: filling in missing series only allowed between instant vectors"),
        ("x or fill(0) y", "1:6: filling in missing series not allowed for set operators"),
        ("x[5m:1m] anchored", "1:10: anchored modifier is not supported for subqueries"),
        ("x[5m] anchored smoothed", "1:16: anchored and smoothed modifiers cannot be used together"),
    ];
    for (query, wanted) in cases {
        let error = parse(query).expect_err(query);
        let shown = error.pointing(query);
        assert!(shown.starts_with(wanted), "{query}: {shown}");
    }
    let error = parse("sum(rate(http_requests[5m])) by job").unwrap_err();
    let shown = error.pointing("sum(rate(http_requests[5m])) by job");
    let marked = format!("  sum(rate(http_requests[5m])) by job\n  {}^^^", " ".repeat(32));
    assert_eq!(shown, format!("1:33: unexpected `job`; expected `(` before the list of labels\n{marked}"));
    let indented = "sum(\n\tx\t+ y[0s])";
    let shown = parse(indented).unwrap_err().pointing(indented);
    assert!(shown.ends_with("\n  \tx\t+ y[0s])\n  \t \t    ^^"), "{shown}");
}

#[test]
fn selectors_of_every_series_are_taken_where_no_query_is() {
    for text in ["{}", "{a=\"\"}", "{a=~\".*\",b!=\"c\"}"] {
        assert!(parse_matchers(text).is_err(), "{text}");
        assert!(parse_any_matchers(text).is_ok(), "{text}");
    }
    assert_eq!(parse_any_matchers("up{a=\"b\"}").unwrap(), parse_matchers("up{a=\"b\"}").unwrap());
    for text in ["", "{", "sum({})", "{}[5m]", "{} offset 5m", "{} or {}", "1"] {
        assert!(parse_any_matchers(text).is_err(), "{text}");
    }
}

#[test]
fn deep_nesting_and_long_queries_are_refused() {
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(parse(&deep).unwrap_err().to_string().contains("deeper than 128 levels"));
    let minus = "-".repeat(60_000) + "1";
    assert!(parse(&minus).unwrap_err().to_string().contains("deeper than 128 levels"));
    let chain = vec!["x"; 5000].join(" + ");
    assert!(parse(&chain).unwrap_err().to_string().contains("deeper than 128 levels"));
    let nested = "abs(".repeat(40) + &vec!["x"; 200].join(" or ") + &")".repeat(40);
    assert!(parse(&nested).unwrap_err().to_string().contains("deeper than 128 levels"));
    let long = format!("x{{a=\"{}\"}}", "y".repeat(1_000_000));
    assert!(matches!(parse(&long), Err(QueryError::Limit(m)) if m.contains("at most 1000000")));
    let signs = format!("x{{{}}}", "a='',".repeat(20_000));
    assert!(matches!(parse(&signs), Err(QueryError::Limit(m)) if m.contains("65536")));
    let patterns = |count| parse(&format!("x{{{}}}", "a=~'b.*',".repeat(count)));
    assert!(patterns(100).is_ok());
    assert!(patterns(101).unwrap_err().to_string().contains("more than 100 regular expressions"));
    // Of a whole query, without those that are only lists.
    let selectors = |count, pattern: &str| parse(&vec![format!("x{{{}}}", pattern.repeat(100)); count].join(" + "));
    assert!(selectors(5, "a=~'b.*',").is_ok() && selectors(6, "a=~'b|c',").is_ok());
    let many = selectors(6, "a=~'b.*',");
    assert!(matches!(many, Err(QueryError::Limit(m)) if m.contains("more than 500 regular expressions")));
    // Short, and megabytes where it is compiled.
    assert!(parse(r"x{a=~'\\pL{300}'}").unwrap_err().to_string().contains("size limit"));
}

/// Grafana writes every host of a variable's "All" into one matcher, with its dots escaped.
#[test]
fn a_matcher_lists_thousands_of_hosts() {
    let host = |n: usize| format!("ip-10-12-{}-{}.eu-west-1.compute.internal:9100", n / 250, n % 250);
    let hosts: Vec<String> = (0..5_000).map(|n| host(n).replace('.', r"\\.")).collect();
    let all = hosts.join("|");
    let mut table = Table::default();
    for n in [7, 4_999, 5_000] {
        table.add(Labels::from_pairs([("__name__", "up".to_owned()), ("instance", host(n))]), 0, 1.0);
    }
    for query in [
        format!("up{{instance=~\"{all}\"}}"),
        format!("up{{instance=~\"({all})\"}}"),
        format!("{{instance=~\"{all}\"}}"),
    ] {
        assert!(query.len() > 64 * 1024 && parse(&query).is_ok(), "{} bytes", query.len());
    }
    // Some hundred with a pattern among them are compiled.
    let some = hosts[..600].join("|");
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let engine = Query::new(&table, &limits, &interrupt);
    for (query, count) in [
        (format!("up{{instance=~\"{some}|nothing.*\"}}"), 1),
        (format!("up{{instance!~\"{some}|nothing.*\"}}"), 2),
        (format!("label_replace(up, \"old\", \"$0\", \"instance\", \"{some}\") == 1"), 3),
    ] {
        let expr = parse(&query).map_err(|e| e.to_string()).unwrap();
        let Value::Vector(found) = instant(&engine, &expr, 0).unwrap().value else { panic!("a vector") };
        assert_eq!(found.len(), count);
    }
    // What is wrong in such a query is shown with what stands around it.
    let wrong = format!("up{{instance=~\"{some}|(\"}}");
    let shown = parse(&wrong).unwrap_err().pointing(&wrong);
    assert!(shown.contains("unclosed group") && shown.len() < 2_000, "{} bytes", shown.len());
    let wrong = format!("up{{instance=~\"{some}\"}} ? y");
    let shown = parse(&wrong).unwrap_err().pointing(&wrong);
    assert!(shown.ends_with('^') && shown.lines().nth(1).is_some_and(|line| line.ends_with("? y")), "{shown}");
}

/// As in Prometheus a pattern is one of Go's.
#[test]
fn patterns_are_those_of_go() {
    let mut table = Table::default();
    table.add(Labels::from_pairs([("__name__", "x"), ("city", "Zürich"), ("disk", "a[1]")]), 0, 1.0);
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let engine = Query::new(&table, &limits, &interrupt);
    let labels = |query: &str| {
        let expr = parse(query).map_err(|e| e.pointing(query)).unwrap();
        let Value::Vector(found) = instant(&engine, &expr, 0).unwrap().value else { panic!("a vector") };
        found.iter().map(|s| s.labels.to_string()).collect::<Vec<_>>().join(" ")
    };
    for (pattern, matches) in [
        (r"\\w+", false),
        (r"Z.*", true),
        (r"Z[^\\w]rich", true),
        (r"(?i)\\QZÜ\\Erich", true),
        (r"[^[]+", true),
        (r"[A-Z&&a]+ürich", true),
        (r"\\<Z.*", false),
    ] {
        assert_eq!(!labels(&format!("x{{city=~\"{pattern}\"}}")).is_empty(), matches, "{pattern}");
    }
    let replaced =
        labels(r#"label_replace(label_replace(x, "d", "$1", "disk", "([^[]+).*"), "c", "$w", "city", "(?P<w>\\w).*")"#);
    assert_eq!(replaced, r#"x{c="Z",city="Zürich",d="a",disk="a[1]"}"#);
    for (pattern, message) in [
        ("a)|(b", "unopened group"),
        (r"\\C", "`\\C` is no escape of RE2"),
        ("(?x)a", "neither a group nor flags"),
        ("a**", "put it in a group"),
    ] {
        let query = format!("x{{city=~\"{pattern}\"}}");
        let error = parse(&query).unwrap_err().to_string();
        assert!(error.contains("this regular expression is not valid") && error.contains(message), "{error}");
    }
}

fn table() -> Table {
    let mut table = Table::default();
    for s in 0..50 {
        for t in 0..100 {
            table.add(Labels::from_pairs([("__name__", "x".to_string()), ("s", s.to_string())]), t * 1000, 1.0);
        }
    }
    table
}

/// Histograms of all kinds, floats in between, resets, the end of a series.
fn mixed_table() -> Table {
    let mut table = Table::default();
    for t in 0..100_i64 {
        let at = t * 1000;
        table.add(Labels::from_pairs([("__name__", "x"), ("s", "1")]), at, (t % 7) as f64);
        for (s, schema) in [("1", 0), ("2", 8), ("3", -4), ("4", CUSTOM_SCHEMA)] {
            let labels = Labels::from_pairs([("__name__", "h"), ("s", s)]);
            if s == "1" && t % 10 == 0 {
                table.add(labels, at, if t == 50 { STALE_NAN } else { 1.0 });
                continue;
            }
            let custom = schema == CUSTOM_SCHEMA;
            let counts = vec![(t % 13) as f64, 0.0, 2.0];
            let histogram = Histogram {
                schema: if s == "2" && t % 3 == 0 { 2 } else { schema },
                count: counts.iter().sum(),
                sum: if t % 11 == 0 { f64::NAN } else { t as f64 },
                zero_threshold: if custom { 0.0 } else { (t % 5) as f64 / 10.0 },
                zero_count: if custom { 0.0 } else { 1.0 },
                positive: Buckets::single((t % 3) as i32, counts.clone()),
                negative: if custom { Buckets::default() } else { Buckets::single(-1, counts) },
                bounds: if custom { [1.0, 2.0 + (t % 2) as f64, 9.0, 10.0].into() } else { [].into() },
                ..Histogram::default()
            };
            table.add_histogram(labels, at, histogram);
        }
    }
    table
}

#[test]
fn limits_say_their_number() {
    let table = table();
    let interrupt = Interrupt::default();
    let ask = |limits: &Limits, text: &str| {
        let query = Query { lookback_ms: 60_000, subquery_step_ms: 1000, ..Query::new(&table, limits, &interrupt) };
        range(&query, &parse(text).unwrap(), 0, 100_000, 1000).map(|_| ()).unwrap_err().to_string()
    };
    let limits = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    assert!(ask(&limits(|l| l.samples_max = 4999), "sum(x)").contains("more than 4999 samples"));
    assert!(ask(&limits(|l| l.series_max = 49), "sum(x)").contains("matches 50 series; at most 49"));
    assert!(ask(&limits(|l| l.steps_max = 100), "x").contains("has 101 steps; at most 100"));
    assert!(ask(&limits(|l| l.values_max = 1000), "x").contains("more than 1000 values"));
    assert!(ask(&limits(|l| l.bytes_max = 10_000), "x + x").contains("holds more than 10000 bytes"));
    assert!(ask(&limits(|l| l.bytes_max = 10_000), "sum by (s) (x)").contains("holds more than 10000 bytes"));
    // Both sides with their tables are about 175,000 bytes; what is joined makes it more.
    assert!(ask(&limits(|l| l.bytes_max = 200_000), "sum(x + x)").contains("holds more than 200000 bytes"));
    // 50 series of an answer, each with 5,000 bytes of labels as text.
    let long = format!("label_replace(x, \"long\", \"{}\", \"\", \"\")", "y".repeat(5_000));
    assert!(ask(&limits(|l| l.bytes_max = 450_000), &long).contains("holds more than 450000 bytes"));
    // They count on the way to an answer without them as well.
    let joined = format!("label_join(x, \"long\", \"{}\", \"s\", \"s\")", "y".repeat(5_000));
    for on_the_way in [long, joined].map(|long| format!("count({long})")) {
        assert!(ask(&limits(|l| l.bytes_max = 200_000), &on_the_way).contains("holds more than 200000 bytes"));
    }
    assert!(ask(&limits(|l| l.values_max = 1000), "sum by (s) (x)").contains("more than 1000 values"));
    assert!(ask(&limits(|l| l.values_max = 1000), "sum_over_time(x[1h:1s])").contains("at most 1000"));
    // What doubles again and again.
    for (function, how) in [("label_replace(", ", 's', '$1$1', 's', '(.*)')"), ("label_join(", ", 's', '-', 's', 's')")]
    {
        let growing = function.repeat(30) + "x" + &how.repeat(30);
        assert!(ask(&Limits::default(), &growing).contains("at most 65536 bytes"), "{growing}");
    }
    let at_once = format!("label_replace(x, 's', '{}', 's', '(.*)')", "$1".repeat(40_000));
    assert!(ask(&Limits::default(), &at_once).contains("at most 65536 bytes"));
}

#[test]
fn nothing_comes_of_a_duration_that_is_divided_by_zero() {
    let table = table();
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let ask = |text: &str| instant(&Query::new(&table, &limits, &interrupt), &parse(text).unwrap(), 50_000).map(|_| ());
    for (text, wanted) in [
        ("sum_over_time(x[min_of(5m, 1m / step())])", "division by zero"),
        ("sum_over_time(x[max_of(5m, 1m % range())])", "modulo by zero"),
        ("x offset (1m / (1m / step()))", "division by zero"),
    ] {
        let error = ask(text).expect_err(text).to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    assert_eq!(ask("sum_over_time(x[min_of(5m, 1m / 2)])"), Ok(()));
    // What only the query's step and range tell points into the query, too.
    for (text, wanted, marks) in [
        ("rate(x[step() - 1h])", "1:8: duration must be greater than 0", 11),
        ("rate(x[5m:step() - 1h] offset 5m)", "1:11: duration must be greater than 0", 11),
        ("x +\n x offset (1m / (1m / step()))", "2:11: division by zero", 20),
        ("x offset -min_of(range(), 1e300)", "", 0),
        ("x offset max_of(step(), 1e300)", "1:10: duration is out of range", 21),
        ("sum_over_time(x[1m ^ (range() + 1e9)])", "1:17: duration is NaN or infinite", 20),
    ] {
        let shown = ask(text).err().map_or(String::new(), |e| e.pointing(text));
        assert!(shown.starts_with(wanted) && wanted.is_empty() == shown.is_empty(), "{text}: {shown}");
        let marked = shown.lines().last().unwrap_or_default().matches('^').count();
        assert_eq!(marked, marks, "{text}: {shown}");
    }
}

#[test]
fn an_interrupted_query_ends() {
    let table = table();
    let limits = Limits::default();
    let ask = |interrupt: &Interrupt| {
        let query = Query { lookback_ms: 60_000, subquery_step_ms: 1000, ..Query::new(&table, &limits, interrupt) };
        instant(&query, &parse("sum(x)").unwrap(), 50_000)
    };
    assert_eq!(ask(&Interrupt::default()).unwrap().samples_read, 50 * 51);
    let interrupt = Interrupt::default();
    interrupt.cancel();
    assert_eq!(ask(&interrupt).unwrap_err(), QueryError::Cancelled);
    interrupt.time_out(250);
    let error = ask(&interrupt).unwrap_err();
    assert_eq!(error, QueryError::Timeout { allowed_ms: 250 });
    assert!(error.to_string().contains("longer than the 250 ms allowed"), "{error}");
}

/// What is deep and allowed does not exhaust the stack.
#[test]
fn the_deepest_expressions_are_evaluated() {
    let table = table();
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let query = Query { lookback_ms: 60_000, subquery_step_ms: 50_000, ..Query::new(&table, &limits, &interrupt) };
    let deep = [
        vec!["x"; 128].join(" or "),
        vec!["x"; 128].join(" * "),
        "-abs(".repeat(60) + "x" + &")".repeat(60),
        "sum(".repeat(120) + "x" + &")".repeat(120),
        "max_over_time(".repeat(40) + "x" + &"[1m:])".repeat(40),
        "label_replace(".repeat(120) + "x" + &", 'a', '$1', 's', '(.)')".repeat(120),
        "histogram_quantile(1, ".repeat(120) + "x" + &")".repeat(120),
    ];
    for text in deep {
        let expr = parse(&text).unwrap_or_else(|e| panic!("{}: {e}", &text[..40]));
        instant(&query, &expr, 50_000).unwrap_or_else(|e| panic!("{}: {e}", &text[..40]));
        range(&query, &expr, 0, 50_000, 25_000).unwrap_or_else(|e| panic!("{}: {e}", &text[..40]));
    }
}

#[test]
fn experimental_parts_can_be_refused() {
    let stable = Dialect { experimental: false };
    let cases = [
        ("mad_over_time(x[5m])", "1:1: function \"mad_over_time\" is not enabled"),
        ("first_over_time(x[5m])", "1:1: function \"first_over_time\" is not enabled"),
        ("sum(info(x))", "1:5: function \"info\" is not enabled"),
        ("limitk(2, x)", "1:1: limitk() is experimental and not enabled"),
        ("x + fill(0) y", "1:5: binop fill modifiers are experimental and not enabled"),
        ("rate(x[5m] smoothed)", "1:12: smoothed modifier is experimental and not enabled"),
        ("rate(x[1h/2])", "1:10: experimental duration expression is not enabled"),
        ("x offset (5m)", "1:10: experimental duration expression is not enabled"),
    ];
    for (text, wanted) in cases {
        let shown = parse_as(text, stable).expect_err(text).pointing(text);
        assert!(shown.starts_with(wanted), "{text}: {shown}");
        assert!(parse(text).is_ok(), "{text}");
    }
    assert!(parse_as("sum by (job) (rate(x[5m] offset -1m)) > 2", stable).is_ok());
}

/// As in Prometheus: nobody knows which of them is true.
#[test]
fn two_info_series_of_one_instant_are_refused() {
    let labels = |name: &str| Labels::from_pairs([("__name__", name), ("instance", "a"), ("job", "j")]);
    let (mut table, version) = (Table::default(), |v: &str| labels("target_info").with("version", v));
    table.add(labels("up"), 0, 1.0);
    for v in ["1", "2"] {
        table.add(version(v), 0, 1.0);
    }
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let ask = |table: &Table, text: &str| {
        instant(&Query::new(table, &limits, &interrupt), &parse(text).unwrap(), 1_000).map(|_| ())
    };
    let error = ask(&table, "info(up)").unwrap_err().to_string();
    let wanted = "found duplicate series for info metric: existing {__name__=\"target_info\", instance=\"a\", job=\"j\", version=\"1\"} @ 0, new {";
    assert!(error.contains(wanted), "{error}");
    assert_eq!(ask(&table, "info(up, {version='2'})"), Ok(()));
    table.add(version("2"), 1_000, 1.0);
    assert_eq!(ask(&table, "info(up)"), Ok(()));
}

#[test]
fn no_data_is_an_empty_vector() {
    let table = table();
    let (limits, interrupt) = (Limits::default(), Interrupt::default());
    let query = Query { lookback_ms: 60_000, subquery_step_ms: 1000, ..Query::new(&table, &limits, &interrupt) };
    let output = instant(&query, &parse("sum(nothing_of_this_name)").unwrap(), 50_000).unwrap();
    assert_eq!(output.value, Value::Vector(Vec::new()));
    assert!(output.value.is_empty());
}

/// Bits of queries in any order: near enough to grammar to get deep into the parser.
fn near_query() -> impl Strategy<Value = String> {
    let bits = [
        "sum",
        "rate",
        "x",
        "by",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "5m",
        ":",
        "1m",
        "offset",
        "@",
        "start()",
        "-",
        "+",
        "*",
        "^",
        "and",
        "on",
        "group_left",
        "bool",
        "==",
        "!=",
        "=~",
        "\"a\"",
        "'",
        ",",
        "1",
        ".5",
        "0x1f",
        "1e",
        "NaN",
        "fill",
        "smoothed",
        "step()",
        "é",
        "\\",
        "`",
        "#",
        "\n",
        "topk",
        "label_replace",
        "a=\"b\"",
        "h",
        "h[5m]",
        "x[1m:2s]",
        "</",
        ">/",
        "</ 2",
        "histogram_quantile(0.5, h)",
        "histogram_fraction(0, 1, h)",
        "rate(h[1m])",
        "increase(h[1m] smoothed)",
        "sum_over_time(h[1m])",
        "avg(h)",
        "info(",
        "count_values(\"v\", h)",
        "limit_ratio(0.5, h)",
        "-h",
        "h + h",
        "* h",
        "without",
        "ignoring",
        "fill(0)",
        "irate(",
        "\"\\xff\"",
        "sort_by_label(h, \"s\")",
        "h @ end()",
        "offset -1m",
    ];
    prop::collection::vec((prop::sample::select(bits.to_vec()), prop::sample::select(vec!["", " "])), 0..30)
        .prop_map(|words| words.into_iter().flat_map(|(w, gap)| [w, gap]).collect())
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![".{0,60}", near_query()]) {
        let table = mixed_table();
        let (limits, interrupt) = (Limits { values_max: 20_000, ..Limits::default() }, Interrupt::default());
        let query = Query { lookback_ms: 60_000, subquery_step_ms: 1000, ..Query::new(&table, &limits, &interrupt) };
        match parse(&text) {
            Err(error) => {
                let _ = error.pointing(&text);
            }
            Ok(expr) => {
                let _ = instant(&query, &expr, 50_000);
                let _ = range(&query, &expr, 0, 50_000, 10_000);
            }
        }
    }
}
