//! The reader of Prometheus' test scripts is as strict as it should be: each wrong expectation fails, each right one passes.

mod support;

use support::script;

const DATA: &str = "
load 1m
  x{a=\"1\"} 1+1x10
  x{a=\"2\"} 2 _ stale 4 5
  gauge 7x10
  h {{schema:0 sum:5 count:4 buckets:[1 2 1]}}x3
";

/// Runs what follows the data; what the last case failed with.
fn last(commands: &str) -> Option<String> {
    let cases = script::run(&format!("{DATA}\n{commands}\n"));
    let case = cases.into_iter().next_back().expect("there is a case");
    assert!(case.line > DATA.lines().count() && !case.query.is_empty(), "a case tells where it stands");
    case.failure
}

fn passes(commands: &str) {
    assert_eq!(last(commands), None, "{commands}");
}

fn fails(commands: &str, with: &str) {
    let failure = last(commands).unwrap_or_else(|| panic!("this passes and should not:\n{commands}"));
    assert!(failure.contains(with), "{commands}\nfailed with: {failure}\nnot with: {with}");
}

#[test]
fn values() {
    passes("eval instant at 2m x{a=\"1\"}\n  x{a=\"1\"} 3");
    fails("eval instant at 2m x{a=\"1\"}\n  x{a=\"1\"} 3.1", "got Float(3.0)");
    fails("eval instant at 2m x{a=\"1\"}\n  x{a=\"2\"} 3", "unexpected series");
    fails("eval instant at 2m x{a=\"1\"}\n  x{a=\"1\"} 3\n  x{a=\"3\"} 3", "is missing");
    fails("eval instant at 2m x{a=\"1\"}", "unexpected series");
    fails("eval instant at 2m x{a=\"1\"}\n  x{a=\"1\"} {{count:3}}", "got Float(3.0)");
    fails("eval instant at 2m x{a=\"1\"}\n  x{a=\"1\"} 3 3", "multiple values");
    fails("eval instant at 2m x{a=\"1\"}\n  3", "expected a scalar");
    passes("eval instant at 2m 1 + 2\n  3");
    fails("eval instant at 2m 1 + 2\n  4", "got the scalar 3");
    fails("eval instant at 2m 1 + 2\n  {} 3", "got the scalar 3");
}

#[test]
fn ranges() {
    passes("eval range from 0 to 4m step 1m x{a=\"2\"}\n  x{a=\"2\"} 2 2 _ 4 5");
    fails("eval range from 0 to 4m step 1m x{a=\"2\"}\n  x{a=\"2\"} 2 2 2 4 5", "expected [Float(2.0)");
    fails("eval range from 0 to 4m step 1m x{a=\"2\"}\n  x{a=\"2\"} 2 2 _ 4 5 6", "too many");
    fails("eval range from 0 to 4m step 1m x{a=\"2\"}\n  x{a=\"2\"} 2 2 _ 4 5\n  x{a=\"9\"} _", "is missing");
    passes("eval instant at 2m x{a=\"1\"}[2m]\n  expect range vector from 1m to 2m step 1m\n  x{a=\"1\"} 2 3");
    fails("eval instant at 2m x{a=\"1\"}[2m]\n  expect range vector from 0m to 1m step 1m\n  x{a=\"1\"} 2 3", "got");
    fails("eval instant at 2m x{a=\"1\"}[2m]\n  x{a=\"1\"} 2", "no times are expected");
    // It is asked at the end of the times expected, whatever instant is named.
    passes("eval instant at 9m x{a=\"1\"}[2m]\n  expect range vector from 1m to 2m step 1m\n  x{a=\"1\"} 2 3");
    fails("eval instant at 2m x{a=\"1\"}[2m]\n  expect range vector from 1m to 3m step 1m\n  x{a=\"1\"} 2 3", "got");
}

#[test]
fn histograms() {
    passes("eval instant at 1m h\n  h {{sum:5 count:4 buckets:[1 2 1] counter_reset_hint:not_reset}}");
    passes("eval instant at 1m h\n  h {{sum:5 count:4 buckets:[0 1 2 1 0] offset:-1}}");
    for wrong in [
        "{{sum:6 count:4 buckets:[1 2 1]}}",
        "{{sum:5 count:5 buckets:[1 2 1]}}",
        "{{sum:5 count:4 buckets:[1 2 2]}}",
        "{{sum:5 count:4 buckets:[1 2 1] offset:1}}",
        "{{schema:1 sum:5 count:4 buckets:[1 2 1]}}",
        "{{sum:5 count:4 buckets:[1 2 1] z_bucket:1}}",
        "{{sum:5 count:4 buckets:[1 2 1] z_bucket_w:0.1}}",
        "{{sum:5 count:4 buckets:[1 2 1] n_buckets:[1]}}",
        "{{sum:5 count:4 buckets:[1 2 1] counter_reset_hint:gauge}}",
        "4",
    ] {
        fails(&format!("eval instant at 1m h\n  h {wrong}"), "got Histogram");
    }
    passes("load 1m\n  d {{count:1}}+{{count:2}}x2\n\neval instant at 2m d\n  d {{count:5}}");
    fails("load 1m\n  d {{count:1 count:2}}", "duplicate key");
    fails("load 1m\n  d {{counts:1}}", "unknown key");
}

#[test]
fn remarks() {
    let query = "eval instant at 5m rate(gauge[3m])\n";
    let message =
        "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"gauge\" (1:6)";
    passes(&format!("{query}  expect info\n  expect no_warn\n  {{}} 0"));
    passes(&format!("{query}  expect info msg: {message}\n  {{}} 0"));
    passes(&format!("{query}  expect info regex: .*might not be.*\n  {{}} 0"));
    fails(&format!("{query}  expect info msg: {}\n  {{}} 0", message.replace("1:6", "1:5")), "no Info like");
    fails(&format!("{query}  expect info regex: other\n  {{}} 0"), "no Info like");
    fails(&format!("{query}  expect info regex: other\n  expect info\n  {{}} 0"), "no Info like");
    fails(&format!("{query}  expect no_info\n  {{}} 0"), "unexpected Info");
    fails(&format!("{query}  expect warn\n  {{}} 0"), "no Warning like");
    fails(&format!("{query}  expect warn\n  expect no_warn\n  {{}} 0"), "at once");
    let both = "eval instant at 5m rate(gauge[3m]) + rate({__name__=\"x\",a=\"1\"}[3m]) * 0\n";
    fails(&format!("{both}  expect info regex: .*gauge.*\n  {{}} 0"), "is not expected");
    passes("eval_info instant at 5m rate(gauge[3m])\n  {} 0");
    fails("eval_info instant at 5m gauge\n  gauge 7", "no Info like");
    fails("eval_warn instant at 5m gauge\n  gauge 7", "no Warning like");
}

#[test]
fn failures() {
    let query = "eval instant at 2m x * on() x\n";
    let message = "found duplicate series for the match group {} on the right hand-side of the operation: [{__name__=\"x\", a=\"1\"}, {__name__=\"x\", a=\"2\"}];many-to-many matching not allowed: matching labels must be unique on one side";
    let query = query.replace("2m", "1m");
    passes(&format!("{query}  expect fail"));
    passes(&format!("{query}  expect fail msg: {message}"));
    passes(&format!("{query}  expect fail regex: found duplicate .*"));
    fails(&format!("{query}  expect fail msg: {}", &message[1..]), "failed with");
    fails(&format!("{query}  expect fail regex: lost duplicate"), "failed with");
    fails(&query, "failed: found duplicate");
    fails("eval instant at 2m gauge\n  expect fail", "did not fail");
    fails("eval instant at 2m gauge\n  expect fail\n  expect fail", "not allowed");
    passes(&format!("{}  expected_fail_regexp found .*", query.replace("eval", "eval_fail")));
    passes(&format!("{}  expect fail regex: found .*", query.replace("eval", "eval_fail")));
    fails(&format!("{}  expect fail regex: lost .*", query.replace("eval", "eval_fail")), "failed with");
    fails(&format!("{query}  expect fail\n  expected_fail_message found"), "cannot read the value");
    fails(&format!("{}  expected_fail_message other", query.replace("eval", "eval_fail")), "failed with");
}

/// With `@` on every selector a query says the same at any instant, also where it named its own.
#[test]
fn instants() {
    passes("eval instant at 2m x{a=\"1\"} @ start()\n  x{a=\"1\"} 3");
    passes("eval instant at 2m sum_over_time(x{a=\"1\"}[2m:1m] @ end())\n  {a=\"1\"} 5");
    passes("eval instant at 2m x{a=\"1\"} @ 60\n  x{a=\"1\"} 2");
}

#[test]
fn order_and_strings() {
    fails("eval instant at 4m sort(x)\n  expect ordered\n  x{a=\"2\"} 5\n  x{a=\"3\"} 5", "unexpected series");
    passes("eval_ordered instant at 0 sort_desc(x)\n  x{a=\"2\"} 2\n  x{a=\"1\"} 1");
    fails("eval_ordered instant at 0 sort_desc(x)\n  x{a=\"1\"} 1\n  x{a=\"2\"} 2", "expected at");
    passes("eval instant at 0 \"a\\\"b\"\n  expect string \"a\\\"b\"");
    fails("eval instant at 0 \"a\"\n  expect string `b`", "got the string");
    fails("eval instant at 0 x{a=\"1\"}\n  expect string `b`", "expected a string");
}

#[test]
fn commands() {
    fails("evil instant at 0 x", "invalid command");
    fails("eval instant at 5 gauge\n  gauge 7", "`5` is not a duration");
    fails("load 60\n  y 1", "`60` is not a duration");
    fails("eval_odd instant at 0 x", "unknown command");
    fails("load_odd 1m\n  y 1", "unknown command");
    fails("load 1m\n  y 1 oops", "cannot read the value");
    fails("load 1m\n  y 1x", "repetitions");
    fails("eval instant at 0 gauge\n  expect nothing\n  gauge 7", "unknown expectation");
    fails("eval instant at 0 gauge\n  expect info msgs: x\n  gauge 7", "invalid token");
    passes("clear\neval instant at 0 gauge");
    fails("load 1m\n  y{le=\"1\"}@st 0s\n  z 1", "does not match");
    fails("load 1m\n  y@st 0s 1s\n  y 1", "2 values but sample line has 1");
    // A range query has to say the same.
    passes(
        "load_with_nhcb 1m\n  c_bucket{le=\"1\"} 1\n  c_bucket{le=\"+Inf\"} 3\n  c_count 3\n  c_sum 9\n\neval instant at 0 c\n  c {{schema:-53 sum:9 count:3 custom_values:[1] buckets:[1 2]}}",
    );
}
