//! What Prometheus' engine does at the edges, by its source: how numbers are written, what templates make of a match, and which
//! labels a pair has.

mod support;

use tenfold_promql::parse;

fn check(script: &str) {
    for case in support::script::run(script) {
        assert!(case.failure.is_none(), "line {}: {}: {:?}", case.line, case.query, case.failure);
    }
}

#[test]
fn numbers() {
    check(
        "
load 1m
  y 1_000 010

eval instant at 0 y
  y 1000

eval instant at 1m y
  y 8

eval instant at 0 1_000 + 0x_1F + 010 + 08 + .5_0 + 1e1_0
  10000001047.5

eval instant at 0 010.5 + 0_7
  17.5
",
    );
    for wrong in ["1__0", "1_", "1_ + 2", "1_.5", "1._5", "1_e5", "0x", "0x1_", "1_000s"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

/// The instant of a date is cut to whole seconds towards the epoch, a duration to whole milliseconds.
#[test]
fn times() {
    check(
        "
eval instant at 0 minute(vector(-0.5))
  {} 0

eval range from 5m to 5m step 1m step()
  {} 0

eval range from 5m to 6m step 1m step()
  {} 60 60

load 1s
  x 1 2 3

eval instant at 1s x offset 0.0006
  x 2

load 1m
  none NaN NaN NaN

eval instant at 2m ts_of_max_over_time(none[5m])
  {} 120

eval instant at 2m ts_of_min_over_time(none[5m])
  {} 120
",
    );
}

#[test]
fn labels() {
    check(
        r#"
load 1m
  m{src="a-b"} 1x3
  s{n="cpu-1"} 1x3
  s{n="cpu2"} 2x3
  s{n="cpu10"} 3x3
  v{version="1"} 7x3
  v{version="2"} 7x3
  q{a="\u00e9\x41"} 5x3

eval instant at 1m q{a="éA"}
  q{a="éA"} 5

eval instant at 1m label_replace(m, "dst", "$1é|${1}é|$01|$2", "src", "(.)-(.)")
  m{src="a-b", dst="|aé||b"} 1

eval instant at 1m label_replace(m, "", "", "src", "(.*)")
  expect fail regex: ^invalid destination label name in label_replace\(\): $

eval instant at 1m label_join(m, "", "-", "src")
  expect fail regex: ^invalid destination label name in label_join\(\): $

eval instant at 1m label_join(m, "dst", "-", "src", "")
  expect fail regex: ^invalid source label name in label_join\(\): $

eval instant at 1m sort_by_label(s, "n")
  expect ordered
  s{n="cpu2"} 2
  s{n="cpu10"} 3
  s{n="cpu-1"} 1

eval instant at 1m count_values without (version) ("version", v)
  {} 2

eval instant at 1m count_values by (version) ("version", v)
  {version="7"} 2
"#,
    );
}

/// Where an offset ends follows from the precedences of Prometheus' grammar.
#[test]
fn offsets() {
    check(
        r"
load 1m
  x 0+4x10

eval instant at 10m x offset (4m) / 2
  x 32

eval instant at 10m x offset (1m) ^ 2 * 0 + 2m
  x 32

eval instant at 10m x offset - -4m / 2
  x 32

eval instant at 10m x offset 4m / 2
  {} 12

eval instant at 6m x offset -(4m) / 2
  {} 20

eval instant at 10m x offset +(4m) / 2
  {} 12

eval instant at 10m x offset min_of(4m, 5m) / 2
  {} 12

eval instant at 10m (x offset (4m)) / 2
  {} 12

eval instant at 10m sum(x offset (4m)) / 2
  {} 12
",
    );
}

/// Within the braces a metric may be named more than once, since each is a matcher of its own.
#[test]
fn names_within_braces() {
    check(
        r#"
load 1m
  x 1x3
  y 2x3

eval instant at 1m {"x", __name__="x"}
  x 1

eval instant at 1m {__name__="x", __name__=~"x|y"}
  x 1

eval instant at 1m {"x", "y"}
"#,
    );
}

#[test]
fn pairs() {
    check(
        r#"
load 1m
  many{host="a", team="x"} 6x3
  many{host="b", team="y"} 8x3
  one{team="x"} 2x3
  usage{disk="1"} 5x3
  usage{disk="2"} 1x3
  limit{disk="all"} 3x3

eval instant at 1m many / ignoring(host) group_left(team) fill_right(4) one
  {host="a", team="x"} 3
  {host="b", team="y"} 2

# Of the two only one holds today.
eval instant at 1m usage > on() group_left(disk) limit
  expect fail msg: multiple matches for labels: grouping labels must ensure unique matches

eval instant at 1m usage > on() group_left() limit
  usage{disk="1"} 5

load 1m
  {"dotted.name", "a.b"="1\t"} 1x3
  {"dotted.name", "a.b"="2"} 1x3

eval instant at 1m usage + on() {"dotted.name"}
  expect fail msg: found duplicate series for the match group {} on the right hand-side of the operation: [{__name__="dotted.name", "a.b"="1\t"}, {__name__="dotted.name", "a.b"="2"}];many-to-many matching not allowed: matching labels must be unique on one side
"#,
    );
}

#[test]
fn series_without_their_names_are_joined() {
    check(
        r#"
load 1m
  a_total 0+60x5
  b_total 0+60x5
  c 1 stale
  d _ 2

eval instant at 4m rate({__name__=~"a_total|b_total"}[2m])[2m:1m]
  expect fail msg: vector cannot contain metrics with the same labelset

eval instant at 1m (-{__name__=~"c|d"})[2m:1m]
  expect range vector from 0 to 1m step 1m
  {} -1 -2
"#,
    );
}

#[test]
fn remarks_and_quantiles() {
    check(
        r#"
load 1m
  mixed 1 2 {{count:3 sum:3 buckets:[1 1 1]}} 4
  nan_bucket{le="1"} NaNx3
  nan_bucket{le="2"} NaNx3
  nan_bucket{le="+Inf"} NaNx3
  low_bucket{le="0"} NaNx3
  low_bucket{le="1"} 5x3
  low_bucket{le="+Inf"} 10x3

eval instant at 3m quantile_over_time(0.5, mixed[5m])
  expect info msg: PromQL info: ignored histograms in a range containing both floats and histograms for metric name "mixed" (1:20)
  {} 2

eval instant at 1m histogram_quantile(0.5, nan_bucket)
  {} 2

eval instant at 1m histogram_quantile(0.5, low_bucket)
  {} NaN
"#,
    );
}

/// Exponential and custom buckets, and floats: what is told of them depends on which comes first.
#[test]
fn remarks_on_mixtures() {
    check(
        r#"
load 1m
  m{n="1"} {{schema:0 count:1 sum:1 buckets:[1]}}
  m{n="2"} {{schema:-53 count:1 sum:1 custom_values:[5] buckets:[1]}}
  m{n="3"} 1
  k{n="1"} 1
  k{n="2"} {{schema:0 count:1 sum:1 buckets:[1]}}
  k{n="3"} {{schema:-53 count:1 sum:1 custom_values:[5] buckets:[1]}}
  r {{schema:0 count:1 sum:1 buckets:[1]}} {{schema:0 count:2 sum:2 buckets:[2]}} {{schema:-53 count:5 sum:1 custom_values:[5] buckets:[5] counter_reset_hint:gauge}}
  both 1 {{schema:0 count:1 sum:1 buckets:[1]}} 3
  before {{schema:0 count:1 sum:1 buckets:[1]}} {{schema:0 count:2 sum:2 buckets:[2]}}
  after {{schema:0 count:1 sum:1 buckets:[1]}} {{schema:0 count:2 sum:2 buckets:[2] counter_reset_hint:reset}}

eval instant at 0 sum(m)
  expect warn msg: PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name "m" (1:5)
  expect no_info

eval instant at 0 avg(k)
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)
  expect no_info

eval instant at 2m rate(r[3m])
  expect warn msg: PromQL warning: this native histogram metric is not a counter: "r" (1:6)
  expect warn msg: PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name "r" (1:6)
  expect no_info

# The comparison left no histogram to be ignored.
eval range from 0 to 2m step 1m topk(1, both > 0)
  expect info msg: PromQL info: incompatible sample types encountered for binary operator ">": histogram > float (1:9)
  both 1 _ 3

# Which of the two tells the truth nobody knows.
eval instant at 1m before + ignoring() after
  expect warn msg: PromQL warning: conflicting counter resets during histogram addition (1:1)
  expect no_info
"#,
    );
}

/// What an engine that goes step by step makes of names, of queries that are the same at every step and of places in the text.
#[test]
fn steps() {
    check(
        r#"
load 1m
  x 3 7 9
  p NaN 2
  gauge_x 1 2 3 4
  a{i="1"} 1
  b{i="1"} 1
  c{i="1"} 1

eval range from 0 to 1m step 1m x > 5 or -x
  {} -3 7

eval range from 0 to 2m step 1m sort(x @ 1m)
  expect no_warn
  x 7 7 7

eval range from 0 to 1m step 5m sort(x)
  expect warn msg: PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:1)
  x 3

eval instant at 3m rate(gauge_x[3m:1m])
  expect info msg: PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "gauge_x" (1:1)
  {} 0.016666666666666666

eval range from 0 to 1m step 1m quantile(scalar(p), x)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got NaN (1:10)
  {} NaN Inf

eval instant at 0 sum({__name__=~"a|b"} == bool on(i) group_left c)
  {} 2

eval instant at 0 label_replace({__name__=~"a|b"} == bool on(i) group_left c, "n", "$1", "__name__", "(.+)")
  {i="1", n="a"} 1
  {i="1", n="b"} 1

eval instant at 0 {__name__=~"a|b"} == bool on(i) group_left c
  expect fail msg: vector cannot contain metrics with the same labelset

eval instant at 0 x anchored
  x 3
"#,
    );
}

/// Which of equal values are among the best follows from how Prometheus looks for them.
#[test]
fn ties_among_the_best() {
    check(
        r#"
load 1m
  t{n="a"} 1
  t{n="b"} 1
  t{n="c"} 2
  t{n="d"} NaN
  u{n="a"} 1
  u{n="b"} 1
  u{n="c"} 0

eval instant at 0 topk(2, t)
  expect ordered
  t{n="c"} 2
  t{n="b"} 1

eval instant at 0 bottomk(4, t)
  expect ordered
  t{n="a"} 1
  t{n="b"} 1
  t{n="c"} 2
  t{n="d"} NaN

eval instant at 0 topk(3, u)
  expect ordered
  u{n="b"} 1
  u{n="a"} 1
  u{n="c"} 0

eval range from 0 to 1m step 1m topk(2, t)
  t{n="b"} 1 1
  t{n="c"} 2 2

eval range from 0 to 1m step 1m topk(0, t)

eval instant at 0 limitk(2, t)
  t{n="a"} 1
  t{n="b"} 1
"#,
    );
}

/// Tables of hashes have no order, answers and errors have one.
#[test]
fn pairs_are_told_in_the_order_of_their_series() {
    check(
        r#"
load 1m
  v{n="9"} 1
  w{n="1"} 1
  w{n="2"} 2
  w{n="3"} 3
  w{n="4"} 4
  w{n="5"} 5
  crowd{g="1", k="a"} 1
  crowd{g="1", k="b"} 1
  crowd{g="2", k="a"} 1
  crowd{g="2", k="b"} 1
  crowd{g="3", k="a"} 1
  crowd{g="3", k="b"} 1
  crowd{g="4", k="a"} 1
  crowd{g="4", k="b"} 1

eval instant at 0 v + fill_left(10) w
  expect ordered
  {n="1"} 11
  {n="2"} 12
  {n="3"} 13
  {n="4"} 14
  {n="5"} 15

eval instant at 0 v + on(g) crowd
  expect fail msg: found duplicate series for the match group {g="1"} on the right hand-side of the operation: [{__name__="crowd", g="1", k="a"}, {__name__="crowd", g="1", k="b"}];many-to-many matching not allowed: matching labels must be unique on one side
"#,
    );
}
