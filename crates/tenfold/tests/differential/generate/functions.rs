//! Functions of vectors, and of ranges of samples.

use super::Exact::{Dyadic, Near, Same};
use super::{Exact, Generator, Node};

/// Smooth functions of one vector whose last digits depend on the library.
const SMOOTH: &[&str] = &[
    "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh",
    "acosh", "atanh", "deg", "rad",
];
const CALENDAR: &[&str] =
    &["minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"];

impl Generator {
    /// A range of samples, from a selector or a subquery.
    pub(super) fn range(&mut self, depth: usize, least: Exact, counter: bool) -> Node {
        if depth == 0 || self.budget == 0 || self.random.chance(0.7) {
            let mut node = if counter {
                self.selector(|m| m.counter)
            } else if least == Dyadic {
                self.selector(|m| m.exact == Dyadic)
            } else {
                self.selector(|_| true)
            };
            node.text = format!("{}[{}]{}", node.text, self.duration(), self.shift());
            return node;
        }
        let mut node = if counter {
            self.instant_selector(|m| m.counter)
        } else if self.random.chance(0.1) {
            let grouping = self.grouping();
            self.extremes(&grouping)
        } else {
            self.vector_of(depth - 1, least)
        };
        // No range is a multiple of five seconds, all steps are: no step falls on the end of a window.
        let range = *self.random.pick(&["121s", "5m1s", "303s", "11m2s", "17m3s"]);
        let step = *self.random.pick(&["", "20s", "30s", "45s", "1m", "2m"]);
        node.text = format!("({})[{range}:{step}]{}", node.text, self.shift());
        node
    }

    pub(super) fn over_range(&mut self, depth: usize) -> Node {
        let d = depth - 1;
        let call = |name: &str, node: &Node, exact| Node::new(format!("{name}({})", node.text), exact);
        match self.random.below(16) {
            0..=2 => {
                let range = self.range(d, Near, true);
                let name = *self.random.pick(&["rate", "increase", "irate", "rate"]);
                call(name, &range, Near)
            }
            3 => {
                let range = self.range(d, Near, false);
                let name =
                    *self.random.pick(&["delta", "deriv", "avg_over_time", "stddev_over_time", "stdvar_over_time"]);
                call(name, &range, Near)
            }
            4 => {
                let range = self.range(d, Near, false);
                let exact = range.exact;
                call("idelta", &range, exact.min(Same))
            }
            5 | 6 => {
                let range = self.range(d, Near, false);
                let name = *self.random.pick(&["last_over_time", "min_over_time", "max_over_time"]);
                call(name, &range, range.exact)
            }
            7 => {
                let range = self.range(d, Near, false);
                call("sum_over_time", &range, if range.exact == Dyadic { Dyadic } else { Near })
            }
            8 => {
                let range = self.range(d, Near, false);
                let name = *self.random.pick(&["count_over_time", "present_over_time", "absent_over_time"]);
                call(name, &range, Dyadic)
            }
            9 | 10 => {
                let range = self.range(d, Same, false);
                let name = *self.random.pick(&["changes", "resets"]);
                call(name, &range, Dyadic)
            }
            11 => {
                let range = self.range(d, Near, false);
                let q = *self.random.pick(&["0", "0.5", "0.9", "1", "-0.5", "1.5", "0.25"]);
                Node::new(format!("quantile_over_time({q}, {})", range.text), Near)
            }
            12 => {
                let range = self.range(d, Near, false);
                let ahead = *self.random.pick(&["60", "600", "-30", "3600 / 2"]);
                Node::new(format!("predict_linear({}, {ahead})", range.text), Near)
            }
            13 => {
                let range = self.range(d, Near, false);
                let (s, t) = (*self.random.pick(&["0.1", "0.5", "0.9"]), *self.random.pick(&["0.1", "0.3", "0.7"]));
                Node::new(format!("holt_winters({}, {s}, {t})", range.text), Near)
            }
            _ => {
                let range = self.range(d, Near, false);
                let name = *self.random.pick(&["avg_over_time", "max_over_time", "sum_over_time", "count_over_time"]);
                let exact = match name {
                    "count_over_time" => Dyadic,
                    "max_over_time" => range.exact,
                    "sum_over_time" if range.exact == Dyadic => Dyadic,
                    _ => Near,
                };
                call(name, &range, exact)
            }
        }
    }

    pub(super) fn function(&mut self, depth: usize) -> Node {
        let d = depth - 1;
        match self.random.below(14) {
            0 => {
                let v = self.vector(d);
                Node::new(format!("abs({})", v.text), v.exact)
            }
            1 => {
                let v = self.vector_of(d, Same);
                let name = *self.random.pick(&["ceil", "floor", "sgn", "round"]);
                Node::new(format!("{name}({})", v.text), Same)
            }
            2 => {
                let v = self.vector_of(d, Same);
                let to = *self.random.pick(&["0.5", "2", "10", "0.1", "-3"]);
                Node::new(format!("round({}, {to})", v.text), Same)
            }
            3 => {
                let v = self.vector_of(d, Same);
                Node::new(format!("sqrt({})", v.text), Same)
            }
            4 | 5 => {
                let v = self.vector_of(d, Same);
                let name = *self.random.pick(SMOOTH);
                Node::new(format!("{name}({})", v.text), Near)
            }
            6 => {
                let v = self.vector(d);
                let (text, least) = match self.random.below(3) {
                    0 => ("clamp({}, -5, 12)", v.exact),
                    1 => ("clamp_min({}, 3)", v.exact),
                    _ => ("clamp_max({}, 100)", v.exact),
                };
                Node::new(text.replace("{}", &v.text), least)
            }
            7 => {
                let name = *self.random.pick(CALENDAR);
                let of = match self.random.below(4) {
                    0 => String::new(),
                    1 => format!("timestamp({})", self.instant_selector(|_| true).text),
                    2 => "vector(time() - 86400 * 45)".to_owned(),
                    _ => "requests_total * 4096".to_owned(),
                };
                Node::new(format!("{name}({of})"), Dyadic)
            }
            8 => {
                let v = self.instant_selector(|_| true);
                Node::new(format!("timestamp({})", v.text), Same)
            }
            9 => {
                let v = self.vector(d);
                let change = *self.random.pick(&[
                    "\"new\", \"$1-x\", \"instance\", \"(.*)\"",
                    "\"job\", \"$1\", \"instance\", \"([ab])\"",
                    "\"zone\", \"${first}\", \"job\", \"(?P<first>a|w).*\"",
                    "\"instance\", \"\", \"job\", \"api\"",
                    "\"x\", \"$0$$\", \"missing\", \"\"",
                ]);
                Node::new(format!("label_replace({}, {change})", v.text), v.exact)
            }
            10 => {
                let v = self.vector(d);
                let change = *self.random.pick(&[
                    "\"both\", \"/\", \"job\", \"instance\"",
                    "\"job\", \"-\", \"missing\", \"job\"",
                    "\"le\", \"\"",
                    "\"both\", \",\", \"job\", \"job\", \"zone\"",
                ]);
                Node::new(format!("label_join({}, {change})", v.text), v.exact)
            }
            11 => {
                let v = self.vector(d);
                let name = *self.random.pick(&["absent", "sort", "sort_desc"]);
                Node::new(format!("{name}({})", v.text), if name == "absent" { Dyadic } else { v.exact })
            }
            12 => {
                let s = self.scalar(d);
                Node::new(format!("vector({})", s.text), s.exact)
            }
            _ => {
                let v = self.vector(d);
                let sign = *self.random.pick(&["-", "+", "-"]);
                Node::new(format!("({sign}{})", v.text), v.exact)
            }
        }
    }
}
