//! Expressions by chance, typed: what is made parses and mostly has an answer.
//!
//! Two right servers add floats in different orders and have different libraries of functions, so that the last digits
//! differ. Where a result jumps (a comparison, a rounding, a change), only values are used that are the same to the bit on
//! both sides: every node carries how exact it is ([`Exact`]).

mod functions;
mod selectors;

use crate::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exact {
    /// The last digits may differ.
    Near,
    /// The same bits on both sides.
    Same,
    /// Also after sums in any order.
    Dyadic,
}
use Exact::{Dyadic, Near, Same};

#[derive(Debug, Clone)]
pub struct Node {
    pub text: String,
    pub exact: Exact,
    /// Only grows but for resets.
    counter: bool,
    /// No two of its values are equal at one instant.
    distinct: bool,
}

impl Node {
    fn new(text: String, exact: Exact) -> Self {
        Self { text, exact, counter: false, distinct: false }
    }
}

const GROUPINGS: &[&str] =
    &["job", "instance", "job, instance", "code", "zone", "le", "", "none", "job, code", "instance, le"];

pub struct Generator {
    pub random: Random,
    /// Every node of a vector or scalar that was made.
    pub nodes: Vec<String>,
    /// Counts down; when it is used up only leaves are made.
    budget: usize,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), nodes: Vec::new(), budget: 14 }
    }

    fn kept(&mut self, node: Node) -> Node {
        self.nodes.push(node.text.clone());
        node
    }

    /// Spends one node; false when there are none left.
    fn spend(&mut self, depth: usize) -> bool {
        let go = depth > 0 && self.budget > 0;
        self.budget = self.budget.saturating_sub(1);
        go
    }

    fn number(&mut self) -> Node {
        let (text, exact) = *self.random.pick(&[
            ("0", Dyadic),
            ("1", Dyadic),
            ("2", Dyadic),
            ("-3", Dyadic),
            ("0.5", Dyadic),
            ("10", Dyadic),
            ("0x10", Dyadic),
            ("1e3", Dyadic),
            ("0.1", Same),
            ("-1.7", Same),
            ("1e-3", Same),
            ("Inf", Same),
            ("NaN", Same),
        ]);
        Node::new(text.to_owned(), exact)
    }

    pub fn scalar(&mut self, depth: usize) -> Node {
        let deeper = self.spend(depth);
        let node = match self.random.below(if deeper { 8 } else { 4 }) {
            0..=2 => self.number(),
            3 => Node::new((*self.random.pick(&["time()", "pi()"])).to_owned(), Same),
            4 | 5 => {
                let v = self.vector(depth - 1);
                Node::new(format!("scalar({})", v.text), v.exact)
            }
            6 => {
                let (a, b) = (self.scalar(depth - 1), self.scalar(depth - 1));
                self.arithmetic(&a, &b, "")
            }
            _ => {
                let (a, b) = (self.scalar(depth - 1), self.scalar(depth - 1));
                if a.exact.min(b.exact) == Near {
                    Node::new(format!("({} + {})", a.text, b.text), Near)
                } else {
                    let op = *self.random.pick(&["==", "!=", "<", "<=", ">", ">="]);
                    Node::new(format!("({} {op} bool {})", a.text, b.text), Dyadic)
                }
            }
        };
        self.kept(node)
    }

    /// Two operands with an operator between them that is right for how exact they are.
    fn arithmetic(&mut self, a: &Node, b: &Node, matching: &str) -> Node {
        let least = a.exact.min(b.exact);
        let op = *match least {
            Near if b.exact == Near => self.random.pick(&["+", "-", "*"]),
            Near => self.random.pick(&["+", "-", "*", "/"]),
            _ => self.random.pick(&["+", "-", "*", "/", "%", "^", "atan2", "-", "+"]),
        };
        let exact = match op {
            "+" | "-" => least,
            "*" | "/" | "%" => least.min(Same),
            _ => Near,
        };
        Node::new(format!("({} {op}{matching} {})", a.text, b.text), exact)
    }

    /// A vector that is at least so exact.
    pub fn vector_of(&mut self, depth: usize, least: Exact) -> Node {
        for _ in 0..3 {
            let before = self.nodes.len();
            let node = self.vector(depth);
            if node.exact >= least {
                return node;
            }
            self.nodes.truncate(before);
        }
        let node = self.instant_selector(|m| m.exact == Dyadic);
        self.kept(node)
    }

    pub fn vector(&mut self, depth: usize) -> Node {
        let node = if self.spend(depth) {
            match self.random.below(24) {
                0..=2 => self.instant_selector(|_| true),
                3..=8 => self.over_range(depth),
                9..=12 => self.aggregate(depth),
                13..=16 => self.function(depth),
                17..=20 => self.binary(depth),
                21 => self.set(depth),
                22 => self.histogram(depth),
                _ => self.chain(),
            }
        } else {
            self.instant_selector(|_| true)
        };
        self.kept(node)
    }

    fn grouping(&mut self) -> String {
        let labels = *self.random.pick(GROUPINGS);
        match self.random.below(5) {
            0 => String::new(),
            1 => format!("without ({labels})"),
            _ => format!("by ({labels})"),
        }
    }

    /// The largest or smallest few. Which of two equal ones is taken is nobody's promise.
    fn extremes(&mut self, grouping: &str) -> Node {
        let v = self.instant_selector(|m| m.distinct);
        let of = if v.distinct { v.text } else { "load".to_owned() };
        let k = *self.random.pick(&["1", "2", "3", "0", "1 + 1", "100"]);
        let name = *self.random.pick(&["topk", "bottomk"]);
        Node::new(format!("{name} {grouping} ({k}, {of})").replace("  ", " "), Dyadic)
    }

    fn aggregate(&mut self, depth: usize) -> Node {
        let d = depth - 1;
        let grouping = self.grouping();
        let (name, parameter, inner, exact) = match self.random.below(13) {
            0..=3 => {
                let v = self.vector(d);
                let exact = if v.exact == Dyadic { Dyadic } else { Near };
                ("sum", String::new(), v, exact)
            }
            4 => ("avg", String::new(), self.vector(d), Near),
            5 | 6 => {
                let v = self.vector(d);
                let exact = v.exact;
                (*self.random.pick(&["min", "max"]), String::new(), v, exact)
            }
            7 => (*self.random.pick(&["count", "group"]), String::new(), self.vector(d), Dyadic),
            8 => (*self.random.pick(&["stddev", "stdvar"]), String::new(), self.vector(d), Near),
            9 => {
                let q = *self.random.pick(&["0.5, ", "0.9, ", "0, ", "1, ", "-1, ", "2, ", "0.3, "]);
                ("quantile", q.to_owned(), self.vector(d), Near)
            }
            10 | 11 => return self.extremes(&grouping),
            _ => {
                let label = *self.random.pick(&["\"v\", ", "'job', ", "\"value\", "]);
                ("count_values", label.to_owned(), self.vector_of(d, Same), Dyadic)
            }
        };
        let text = match self.random.below(2) {
            0 => format!("{name} {grouping} ({parameter}{})", inner.text),
            _ => format!("{name}({parameter}{}) {grouping}", inner.text),
        };
        Node::new(text.trim_end().replace("  ", " "), exact)
    }

    fn histogram(&mut self, depth: usize) -> Node {
        let q = *self.random.pick(&["0.5", "0.9", "0.99", "0", "1", "-1", "2", "0.333"]);
        let matchers = *self.random.pick(&["", "{job=\"api\"}", "{le!=\"0.5\"}", "{le!=\"+Inf\"}"]);
        let shift = self.shift();
        let of = match self.random.below(6) {
            0 => format!("latency_seconds_bucket{matchers}{shift}"),
            1 => format!("rate(latency_seconds_bucket{matchers}[5m]{shift})"),
            2 => format!("sum by (le) (rate(latency_seconds_bucket{matchers}[10m]{shift}))"),
            3 => format!("sum by (job, le) (increase(latency_seconds_bucket{matchers}[3m]{shift}))"),
            4 => format!("sum without (instance) (latency_seconds_bucket{matchers}{shift})"),
            _ => self.vector(depth - 1).text,
        };
        Node::new(format!("histogram_quantile({q}, {of})"), Near)
    }

    /// Operators without parentheses: what binds stronger must be known.
    fn chain(&mut self) -> Node {
        let mut text = (*self.random.pick(&["", "-", "+"])).to_owned();
        for i in 0..=self.random.below(4) {
            if i > 0 {
                text.push_str(self.random.pick::<&str>(&[" + ", " - ", " * ", " / ", " ^ ", " * -"]));
            }
            text.push_str(self.random.pick::<&str>(&["load", "load", "2", "0.5", "3", "temperature", "up"]));
        }
        if !text.contains(|c: char| c.is_ascii_lowercase()) {
            text.push_str(" + load");
        }
        Node::new(format!("({text})"), Near)
    }

    fn matching(&mut self) -> &'static str {
        self.random.pick::<&str>(&[
            "",
            " on(job)",
            " on(instance)",
            " on(job, instance)",
            " ignoring(code)",
            " ignoring(instance)",
            " on()",
            " on(job) group_left()",
            " on(instance) group_right()",
            " ignoring(instance, code, le) group_left",
        ])
    }

    /// Two vectors that fit each other, and what matches them.
    fn operands(&mut self, d: usize) -> (Node, Node, String) {
        match self.random.below(9) {
            0 => {
                let a = self.selector(|m| m.exact == Dyadic);
                let mut b = a.clone();
                b.text.push_str(self.random.pick::<&str>(&[" offset 5m", " offset 1m30s", " @ 1700004321.123"]));
                (a, b, String::new())
            }
            1 | 2 => {
                let by = *self.random.pick(&["job", "instance", "job, instance"]);
                let (a, b) = (self.vector(d), self.vector(d));
                let sum = |v: Node| {
                    let exact = if v.exact == Dyadic { Dyadic } else { Near };
                    Node::new(format!("sum by ({by}) ({})", v.text), exact)
                };
                (sum(a), sum(b), (*self.random.pick(&["", " ignoring(none)"])).to_owned())
            }
            3 => {
                let a = self.vector(d);
                (a, Node::new("owner".into(), Dyadic), " on(job) group_left(team)".to_owned())
            }
            4 => {
                let b = self.vector(d);
                (Node::new("owner".into(), Dyadic), b, " on(job) group_right(team)".to_owned())
            }
            5 => {
                let a = self.vector(d);
                (a, Node::new("limits".into(), Dyadic), " on(instance) group_left".to_owned())
            }
            6 | 7 => {
                let (v, s) = (self.vector(d), self.scalar(d));
                if self.random.chance(0.5) { (v, s, String::new()) } else { (s, v, String::new()) }
            }
            _ => {
                let (a, b) = (self.vector(d), self.vector(d));
                (a, b, self.matching().to_owned())
            }
        }
    }

    fn binary(&mut self, depth: usize) -> Node {
        let (a, b, matching) = self.operands(depth - 1);
        if a.exact.min(b.exact) == Near || self.random.chance(0.65) {
            return self.arithmetic(&a, &b, &matching);
        }
        let op = *self.random.pick(&["==", "!=", "<", "<=", ">", ">="]);
        let (modifier, exact) = if self.random.chance(0.4) { (" bool", Dyadic) } else { ("", a.exact.min(b.exact)) };
        Node::new(format!("({} {op}{modifier}{matching} {})", a.text, b.text), exact)
    }

    fn set(&mut self, depth: usize) -> Node {
        let (a, b) = (self.vector(depth - 1), self.vector(depth - 1));
        let op = *self.random.pick(&["and", "or", "unless"]);
        let matching =
            *self.random.pick(&["", " on(job)", " on(job, instance)", " ignoring(code)", " on()", " on(instance)"]);
        Node::new(format!("({} {op}{matching} {})", a.text, b.text), a.exact.min(b.exact))
    }
}
