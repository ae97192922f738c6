//! Where the time and the samples of a query went, by node of its expression. Only kept when the query brings a clock.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use serde::Serialize;

use super::Context;
use crate::{
    error::Span,
    syntax::ast::{Duration, Expr, Kind},
};

/// A clock of nanoseconds since whenever, which never goes back.
pub type NanosClock<'a> = &'a (dyn Fn() -> u64 + Sync);

/// One node of an explained query, in the order the text has them, a parent before its children.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanNode {
    /// How deep it stands; the whole expression has 0.
    pub depth: usize,
    /// What it does: `sum`, `rate`, `selector`, `range`, ...
    pub operation: String,
    /// Where it stands in the text.
    pub span: Span,
    /// Series it read from the source; none but selectors read.
    pub series: u64,
    /// Encoded chunks these samples lay in, where the source tells.
    pub chunks: u64,
    pub samples: u64,
    /// Rows (series of its result) it handed on.
    pub rows: u64,
    /// Its own work without that of its children, added up over the threads.
    pub ms: f64,
}

/// What was read from the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    pub series: u64,
    pub chunks: u64,
    pub samples: u64,
}

impl Reads {
    pub fn add(&mut self, more: Self) {
        self.series += more.series;
        self.chunks += more.chunks;
        self.samples += more.samples;
    }
}

/// What a thread did for the node whose rows it made and for the selector below.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub reading_ns: u64,
    pub making_ns: u64,
    pub reads: Reads,
}

struct Node {
    depth: usize,
    operation: String,
    span: Span,
    reads: Reads,
    rows: u64,
    ns: u64,
}

/// The node that counts what belongs to none, such as the asking thread's waiting.
const NONE: usize = usize::MAX;

pub(crate) struct Trace<'a> {
    clock: NanosClock<'a>,
    nodes: RefCell<Vec<Node>>,
    /// By the node's place in memory, which is fixed while the query runs.
    numbers: HashMap<usize, usize>,
    current: Cell<usize>,
    since: Cell<u64>,
}

impl<'a> Trace<'a> {
    pub fn new(expr: &Expr, clock: NanosClock<'a>) -> Self {
        let (mut nodes, mut numbers) = (Vec::new(), HashMap::new());
        plan(expr, 0, &mut nodes, &mut numbers);
        let since = Cell::new(clock());
        Self { clock, nodes: RefCell::new(nodes), numbers, current: Cell::new(NONE), since }
    }

    fn number(&self, expr: &Expr) -> usize {
        self.numbers.get(&std::ptr::from_ref(expr.unwrapped()).addr()).copied().unwrap_or(NONE)
    }

    /// From now on time and reads belong to another node; which it was before is answered.
    fn switch(&self, to: usize, reads: Reads) -> usize {
        let (now, from) = ((self.clock)(), self.current.replace(to));
        let passed = now.saturating_sub(self.since.replace(now));
        if let Some(node) = self.nodes.borrow_mut().get_mut(from) {
            node.ns += passed;
            node.reads.add(reads);
        }
        from
    }

    fn add(&self, number: usize, ns: u64, reads: Reads) {
        if let Some(node) = self.nodes.borrow_mut().get_mut(number) {
            node.ns += ns;
            node.reads.add(reads);
        }
    }

    fn finish(self) -> Vec<PlanNode> {
        let told = |n: Node| PlanNode {
            depth: n.depth,
            operation: n.operation,
            span: n.span,
            series: n.reads.series,
            chunks: n.reads.chunks,
            samples: n.reads.samples,
            rows: n.rows,
            ms: n.ns as f64 / 1e6,
        };
        self.nodes.into_inner().into_iter().map(told).collect()
    }
}

/// Constants take no time worth telling and are left out.
fn plan(expr: &Expr, depth: usize, nodes: &mut Vec<Node>, numbers: &mut HashMap<usize, usize>) {
    let operation = match &expr.kind {
        Kind::Paren(inner) => return plan(inner, depth, nodes, numbers),
        Kind::Number(_) | Kind::Duration(_) | Kind::String(_) | Kind::NotUtf8(_) => return,
        Kind::Unary { negate: true, .. } => "minus".into(),
        Kind::Unary { .. } => "plus".into(),
        Kind::Selector(_) => "selector".into(),
        Kind::Matrix { range: Duration::Seconds(s), .. } => format!("range of {s} s"),
        Kind::Matrix { .. } => "range".into(),
        Kind::Subquery { .. } => "subquery".into(),
        Kind::Call { function, .. } => function.name.into(),
        Kind::Aggregate { op, grouping, .. } => match (grouping.labels.as_slice(), grouping.without) {
            ([], false) => op.name().into(),
            (labels, false) => format!("{} by ({})", op.name(), labels.join(", ")),
            (labels, true) => format!("{} without ({})", op.name(), labels.join(", ")),
        },
        Kind::Binary { op, .. } => op.sign().into(),
    };
    numbers.insert(std::ptr::from_ref(expr).addr(), nodes.len());
    nodes.push(Node { depth, operation, span: expr.span, reads: Reads::default(), rows: 0, ns: 0 });
    for child in expr.children() {
        plan(child, depth + 1, nodes, numbers);
    }
}

impl Context<'_> {
    /// Accounts what `run` does to a node.
    pub fn within<T>(&self, expr: &Expr, run: impl FnOnce() -> T) -> T {
        let Some(trace) = &self.trace else { return run() };
        let back = trace.switch(trace.number(expr), self.take_reads());
        let result = run();
        trace.switch(back, self.take_reads());
        result
    }

    /// Like [`Self::within`] for a node, but what the returned function runs belongs to the node around it.
    pub fn within_but<T>(&self, expr: &Expr, run: impl FnOnce(&dyn Fn(&mut dyn FnMut())) -> T) -> T {
        let Some(trace) = &self.trace else { return run(&|part| part()) };
        let parent = trace.switch(trace.number(expr), self.take_reads());
        let result = run(&|part| {
            let within = trace.switch(parent, self.take_reads());
            part();
            trace.switch(within, self.take_reads());
        });
        trace.switch(parent, self.take_reads());
        result
    }

    /// Hands the rows of a node to `sink`, whose own work is its parent's.
    pub fn counting_rows<T>(&self, expr: &Expr, sink: super::Sink<'_>, run: impl FnOnce(super::Sink<'_>) -> T) -> T {
        let Some(trace) = &self.trace else { return run(sink) };
        let number = trace.number(expr);
        let parent = trace.switch(number, self.take_reads());
        let result = run(&mut |row| {
            let within = trace.switch(parent, self.take_reads());
            if let Some(node) = trace.nodes.borrow_mut().get_mut(number) {
                node.rows += 1;
            }
            let result = sink(row);
            trace.switch(within, self.take_reads());
            result
        });
        trace.switch(parent, self.take_reads());
        result
    }

    /// Leaves out what the asking thread does while others work: its waiting belongs to no node.
    pub fn asked<T>(&self, run: impl FnOnce() -> T) -> T {
        let Some(trace) = &self.trace else { return run() };
        let back = trace.switch(NONE, self.take_reads());
        self.made_for.set(back);
        let result = run();
        trace.switch(back, self.take_reads());
        result
    }

    /// Accounts what a thread did.
    pub fn account(&self, place: &Expr, work: &Work) {
        self.keep_reads(work.reads);
        if let Some(trace) = &self.trace {
            let _ = self.take_reads();
            trace.add(trace.number(place), work.reading_ns, work.reads);
            trace.add(self.made_for.get(), work.making_ns, Reads::default());
        }
    }

    pub fn now_ns(&self) -> u64 {
        self.query.clock.map_or(0, |clock| clock())
    }

    /// The plan, when one was kept.
    pub fn plan(&mut self) -> Vec<PlanNode> {
        self.trace.take().map(Trace::finish).unwrap_or_default()
    }
}
