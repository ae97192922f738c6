//! Reads and runs the scripts of Prometheus' `promqltest` (its README describes the language), as strictly as that does:
//! an instant query is also asked as the middle of a range query, and with `@` on every selector at other instants.

mod expect;
mod load;

use tenfold_promql::{
    Interrupt, Limits, Output, Query, QueryError, Value, VectorSample,
    ast::{At, Expr, Kind, Selector},
    instant, parse, range,
    series::Table,
};
use tenfold_types::parse_duration_ms;

use expect::Expectation;

pub type Result<T> = std::result::Result<T, String>;

/// What became of one `eval`.
pub struct Case {
    pub line: usize,
    pub query: String,
    /// Why it did not pass.
    pub failure: Option<String>,
}

pub fn run(text: &str) -> Vec<Case> {
    let lines: Vec<&str> = text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut table = Table::default();
    let mut cases = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let number = at + 1;
        let body: Vec<&str> = lines[number..].iter().take_while(|l| !l.is_empty()).copied().collect();
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let mut fail = |failure: String| {
            cases.push(Case { line: number, query: line.into(), failure: Some(failure) });
        };
        if word.starts_with("load") {
            if let Err(e) = load::load(&mut table, line, &body) {
                fail(e);
            }
            at += body.len();
        } else if word == "clear" {
            table = Table::default();
        } else if word.starts_with("eval") {
            match Eval::parse(line, &body) {
                Ok(eval) => {
                    cases.push(Case { line: number, query: eval.query.into(), failure: eval.run(&table).err() });
                }
                Err(e) => fail(e),
            }
            at += body.len();
        } else if !word.is_empty() {
            fail(format!("invalid command {line:?}"));
        }
        at += 1;
    }
    cases
}

fn ask(
    table: &Table,
    ask: impl Fn(&Query<'_>) -> std::result::Result<Output, QueryError>,
) -> std::result::Result<Output, QueryError> {
    let (interrupt, limits) = (Interrupt::default(), Limits::default());
    ask(&Query::new(table, &limits, &interrupt))
}

fn duration(text: &str) -> Result<i64> {
    parse_duration_ms(text)
}

enum Times {
    Instant(i64),
    Range(expect::Range),
}

struct Eval<'s> {
    times: Times,
    query: &'s str,
    expected: Expectation,
}

/// Functions whose answer depends on the instant of the evaluation, whatever `@` says.
const UNSETTLED: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

impl<'s> Eval<'s> {
    fn parse(line: &'s str, body: &[&str]) -> Result<Self> {
        let (command, rest) = line.split_once(char::is_whitespace).ok_or("an evaluation of nothing")?;
        let modifier = match command.strip_prefix("eval") {
            Some("") => "",
            Some(rest) => rest.strip_prefix('_').ok_or("an unknown command")?,
            None => return Err(format!("unknown command `{command}`")),
        };
        let rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix("instant ") {
            let rest = rest.trim_start().strip_prefix("at ").ok_or("`at` is missing")?.trim_start();
            let (at, query) = rest.split_once(char::is_whitespace).ok_or("the query is missing")?;
            let expected = Expectation::parse(modifier, body, true)?;
            let at = duration(at)?;
            // As in `promqltest`, which forgets the instant where it is told the times of a range vector.
            let at = expected.range.map_or(at, |(_, end, _)| end);
            return Ok(Self { times: Times::Instant(at), query: query.trim(), expected });
        }
        let rest = rest.strip_prefix("range ").ok_or("neither instant nor range")?.trim_start();
        let rest = rest.strip_prefix("from ").ok_or("`from` is missing")?;
        let (ends, rest) = rest.split_once(" step ").ok_or("`step` is missing")?;
        let (step, query) = rest.trim_start().split_once(char::is_whitespace).ok_or("the query is missing")?;
        let times = Times::Range(expect::range(&format!("{ends} step {step}"))?);
        let expected = Expectation::parse(modifier, body, false)?;
        Ok(Self { times, query: query.trim(), expected })
    }

    fn check(&self, answer: std::result::Result<Output, QueryError>) -> Result<Option<Output>> {
        if let Some(settled) = self.expected.failure(&answer, self.query) {
            return settled.map(|()| None);
        }
        let output = answer.map_err(|e| e.to_string())?;
        self.expected.annotations(&output.annotations, self.query)?;
        let grid = match self.times {
            Times::Range(grid) => Some(grid),
            Times::Instant(_) => None,
        };
        self.expected.value(&output.value, grid)?;
        Ok(Some(output))
    }

    fn run(&self, table: &Table) -> Result<()> {
        let expr = match parse(self.query) {
            Ok(expr) => expr,
            Err(e) => return self.check(Err(e)).map(|_| ()),
        };
        match self.times {
            Times::Range((start, end, step)) => {
                self.check(ask(table, |q| range(q, &expr, start, end, step))).map(|_| ())
            }
            Times::Instant(at) => {
                self.instant(table, &expr, at)?;
                if calls(&expr, &UNSETTLED) {
                    return Ok(());
                }
                let mut pinned = expr.clone();
                pin(&mut pinned, at);
                let others = if at == 0 { vec![-1000, 0, 1000] } else { vec![-10 * at, 0, at / 5, at, 10 * at] };
                for other in others {
                    self.instant(table, &pinned, other).map_err(|e| format!("with @ {at}, asked at {other}: {e}"))?;
                }
                Ok(())
            }
        }
    }

    fn instant(&self, table: &Table, expr: &Expr, at: i64) -> Result<()> {
        let Some(output) = self.check(ask(table, |q| instant(q, expr, at)))? else { return Ok(()) };
        let own_times = self.expected.range.is_some() || self.expected.string.is_some();
        if own_times || calls(expr, &["start", "end", "range", "step"]) || self.query_names_its_times() {
            return Ok(());
        }
        let ranged = ask(table, |q| range(q, expr, at - 60_000, at + 60_000, 60_000))
            .map_err(|e| format!("as a range query: {e}"))?;
        let Value::Matrix(matrix) = ranged.value else { return Err("a range query gave no matrix".into()) };
        if !matrix.is_sorted_by(|a, b| a.labels <= b.labels) {
            return Err("as a range query: the series are not in order".into());
        }
        if self.expected.ordered {
            return Ok(());
        }
        let middle: Vec<VectorSample> = matrix
            .iter()
            .filter_map(|s| {
                let float = s.points.iter().find(|p| p.t_ms == at).map(|p| tenfold_promql::Sample::Float(p.value));
                let histogram = s.histograms.iter().find(|p| p.t_ms == at);
                let histogram = histogram.map(|p| tenfold_promql::Sample::Histogram(p.histogram.clone()));
                Some(VectorSample { labels: s.labels.clone(), t_ms: at, value: float.or(histogram)? })
            })
            .collect();
        let checked = if let (Value::Scalar(_), [only]) = (&output.value, &middle[..]) {
            let value = only.value.float().ok_or("a scalar became a histogram")?;
            self.expected.value(&Value::Scalar(tenfold_types::Point::new(at, value)), None)
        } else {
            self.expected.vector(&middle)
        };
        checked.map_err(|e| format!("as a range query: {e}"))
    }

    /// Whether `start()`, `end()`, `range()` or `step()` stand somewhere, also within durations and after `@`.
    fn query_names_its_times(&self) -> bool {
        ["start()", "end()", "range()", "step()"].iter().any(|f| self.query.contains(f))
    }
}

fn calls(expr: &Expr, names: &[&str]) -> bool {
    match &expr.kind {
        Kind::Number(_)
        | Kind::Duration(_)
        | Kind::String(_)
        | Kind::NotUtf8(_)
        | Kind::Selector(_)
        | Kind::Matrix { .. } => false,
        Kind::Paren(e) | Kind::Unary { expr: e, .. } | Kind::Subquery { expr: e, .. } => calls(e, names),
        Kind::Call { function, args } => names.contains(&function.name) || args.iter().any(|a| calls(a, names)),
        Kind::Aggregate { param, expr, .. } => calls(expr, names) || param.as_ref().is_some_and(|p| calls(p, names)),
        Kind::Binary { lhs, rhs, .. } => calls(lhs, names) || calls(rhs, names),
    }
}

/// Sets `@` on every selector and subquery that names no instant; `start()` and `end()` are those of the one query.
fn pin(expr: &mut Expr, at: i64) {
    match &mut expr.kind {
        Kind::Number(_) | Kind::Duration(_) | Kind::String(_) | Kind::NotUtf8(_) => {}
        Kind::Selector(Selector { shift, .. })
        | Kind::Matrix { selector: Selector { shift, .. }, .. }
        | Kind::Subquery { shift, .. } => {
            if !matches!(shift.at, Some(At::Instant(_))) {
                shift.at = Some(At::Instant(at));
            }
        }
        Kind::Paren(e) | Kind::Unary { expr: e, .. } => pin(e, at),
        Kind::Call { args, .. } => args.iter_mut().for_each(|a| pin(a, at)),
        Kind::Aggregate { param, expr, .. } => {
            pin(expr, at);
            if let Some(p) = param {
                pin(p, at);
            }
        }
        Kind::Binary { lhs, rhs, .. } => {
            pin(lhs, at);
            pin(rhs, at);
        }
    }
}
