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

eval instant at 3m quantile_over_time(0.5, mixed[5m])
  expect info msg: PromQL info: ignored histograms in a range containing both floats and histograms for metric name "mixed" (1:20)
  {} 2

eval instant at 1m histogram_quantile(0.5, nan_bucket)
  {} 2
"#,
    );
}
