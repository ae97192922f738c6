//! Series selectors and what may follow an expression: `[range]`, `[range:step]`, `offset`, `@`.

use tenfold_types::pattern::COMPILED_MAX;
use tenfold_types::{Labels, Matcher, MatcherOp};

use crate::{
    error::{QueryError, Span},
    pattern,
    syntax::{
        ast::{ArithmeticOp, At, Duration, Expr, Kind, RangeMode, Selector, Shift, Type},
        lex::Token,
        parse::Parser,
    },
};

/// Regular expressions of one selector: a store holds all of them at once.
const PATTERNS_MAX: usize = 100;

impl Parser {
    /// The braces after a metric name, or alone.
    pub(crate) fn selector(&mut self, name: Option<String>, span: Span) -> Result<Expr, QueryError> {
        let mut matchers: Vec<Matcher> = Vec::new();
        let mut patterns = 0;
        if let Some(name) = &name {
            matchers.push(Matcher::equal(Labels::NAME, name.clone()));
        }
        if self.take_sign("{") {
            while !self.is_sign("}") {
                let at = self.span();
                let matcher = self.matcher()?;
                if let Some(name) = name.as_ref().filter(|_| matcher.name == Labels::NAME) {
                    let message = format!("metric name must not be set twice: {name:?} or {:?}", matcher.value);
                    return Err(QueryError::parse(at, message));
                }
                patterns += usize::from(matches!(matcher.op, MatcherOp::Regex | MatcherOp::NotRegex));
                if patterns > PATTERNS_MAX {
                    let message = format!("a selector has more than {PATTERNS_MAX} regular expressions");
                    return Err(QueryError::parse(at, message));
                }
                matchers.push(matcher);
                if !self.take_sign(",") {
                    break;
                }
            }
            self.need_sign("}", "to close the matchers")?;
        }
        let span = span.to(self.last_span());
        if name.is_none() && !self.any_selector && matchers.iter().all(matches_empty) {
            return Err(QueryError::parse(span, "vector selector must contain at least one non-empty matcher"));
        }
        let selector = Selector { matchers, shift: Shift::default(), mode: RangeMode::Normal, statistics: false };
        Ok(Expr { kind: Kind::Selector(selector), span })
    }

    fn matcher(&mut self) -> Result<Matcher, QueryError> {
        let quoted = matches!(self.token(), Token::String(_));
        let name = match self.token() {
            Token::Ident(name) | Token::String(name) => name.clone(),
            _ => return Err(self.unexpected("a label name or `}`")),
        };
        self.next();
        if quoted && (self.is_sign(",") || self.is_sign("}")) {
            return Ok(Matcher::equal(Labels::NAME, name));
        }
        let op = match self.token() {
            Token::Sign("=") => MatcherOp::Equal,
            Token::Sign("!=") => MatcherOp::NotEqual,
            Token::Sign("=~") => MatcherOp::Regex,
            Token::Sign("!~") => MatcherOp::NotRegex,
            _ => return Err(self.unexpected("one of = != =~ !~")),
        };
        self.next();
        let span = self.span();
        let Token::String(value) = self.token().clone() else {
            return Err(self.unexpected("a label value in quotes"));
        };
        self.next();
        if matches!(op, MatcherOp::Regex | MatcherOp::NotRegex) {
            let compiled = pattern::check(&value)
                .map_err(|reason| QueryError::parse(span, format!("this regular expression is not valid: {reason}")))?;
            self.patterns += usize::from(compiled);
            if self.patterns > COMPILED_MAX {
                let message = format!("the query has more than {COMPILED_MAX} regular expressions");
                return Err(QueryError::Limit(message));
            }
        }
        Ok(Matcher::new(name, op, value))
    }

    pub(crate) fn modifiers(&mut self, mut expr: Expr) -> Result<Expr, QueryError> {
        loop {
            let start = self.span();
            if self.is_sign("[") {
                expr = self.deeper(|p| p.range_or_subquery(expr))?;
            } else if self.is_word("offset") {
                self.next();
                let at = self.span();
                let offset = self.deeper(Self::offset)?;
                let offset = placed(offset, at.to(self.last_span()), false)?;
                let shift = shift_of(&mut expr)
                    .ok_or_else(|| QueryError::parse(start, "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery"))?;
                if shift.offset.replace(offset).is_some() {
                    return Err(QueryError::parse(start, "offset may not be set multiple times"));
                }
            } else if self.take_sign("@") {
                let at = self.at_instant()?;
                let shift = shift_of(&mut expr)
                    .ok_or_else(|| QueryError::parse(start, "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery"))?;
                if shift.at.replace(at).is_some() {
                    return Err(QueryError::parse(start, "@ <timestamp> may not be set multiple times"));
                }
            } else if let Some(mode) = self.range_mode() {
                let word = if mode == RangeMode::Anchored { "anchored" } else { "smoothed" };
                self.experimental(start, || format!("{word} modifier is experimental and not enabled"))?;
                let slot = match &mut expr.kind {
                    Kind::Matrix { mode: slot, .. } | Kind::Selector(Selector { mode: slot, .. }) => slot,
                    Kind::Subquery { .. } => {
                        let message = format!("{word} modifier is not supported for subqueries");
                        return Err(QueryError::parse(start, message));
                    }
                    _ => return Err(QueryError::parse(start, format!("{word} modifier not implemented"))),
                };
                let before = std::mem::replace(slot, mode);
                if before != RangeMode::Normal && before != mode {
                    let message = "anchored and smoothed modifiers cannot be used together";
                    return Err(QueryError::parse(start, message));
                }
                self.next();
            } else {
                return Ok(expr);
            }
            expr.span = expr.span.to(self.last_span());
        }
    }

    fn range_mode(&self) -> Option<RangeMode> {
        if self.is_word("anchored") {
            Some(RangeMode::Anchored)
        } else if self.is_word("smoothed") {
            Some(RangeMode::Smoothed)
        } else {
            None
        }
    }

    fn range_or_subquery(&mut self, expr: Expr) -> Result<Expr, QueryError> {
        let start = self.span();
        self.next();
        let range_span = self.span();
        let range = self.duration_expr(0)?;
        let range = placed(range, range_span.to(self.last_span()), true)?;
        if !self.take_sign(":") {
            self.need_sign("]", "to close the range")?;
            let span = expr.span.to(self.last_span());
            return match expr.kind {
                Kind::Selector(mut s) if s.shift == Shift::default() => {
                    let mode = std::mem::take(&mut s.mode);
                    Ok(Expr { kind: Kind::Matrix { selector: s, range, mode }, span })
                }
                Kind::Selector(_) => {
                    Err(QueryError::parse(start, "no offset modifiers allowed before range; write them after it"))
                }
                _ => Err(QueryError::parse(
                    start,
                    "ranges only allowed for vector selectors; for other expressions write a subquery: `[5m:]`",
                )),
            };
        }
        let step_span = self.span();
        let step = if self.is_sign("]") {
            None
        } else {
            let step = self.duration_expr(0)?;
            Some(placed(step, step_span.to(self.last_span()), true)?)
        };
        self.need_sign("]", "to close the subquery")?;
        let span = expr.span.to(self.last_span());
        if expr.value_type() != Type::Vector && expr.value_type() != Type::Scalar {
            let message = format!("subquery is only allowed on instant vector, got {} instead", expr.value_type());
            return Err(QueryError::parse(expr.span, message));
        }
        self.raised(self.height)?;
        Ok(Expr { kind: Kind::Subquery { expr: Box::new(expr), range, step, shift: Shift::default() }, span })
    }

    fn at_instant(&mut self) -> Result<At, QueryError> {
        for (word, at) in [("start", At::Start), ("end", At::End)] {
            if self.is_word(word) {
                self.next();
                self.need_sign("(", "after @ start or @ end")?;
                self.need_sign(")", "after @ start( or @ end(")?;
                return Ok(at);
            }
        }
        let span = self.span();
        let seconds = self.signed_number()?;
        let ms = (seconds * 1000.0).round();
        if !ms.is_finite() || ms.abs() >= i64::MAX as f64 {
            return Err(QueryError::parse(span.to(self.last_span()), "timestamp out of bounds for @ modifier"));
        }
        Ok(At::Instant(ms as i64))
    }

    /// After `offset`: a signed number, a duration, a function of the query's times, or anything in parentheses.
    ///
    /// By Prometheus' grammar parentheses without a sign, or a second sign, open a calculation that goes on behind them:
    /// `x offset (1h) / 2` is half an hour ago. Everything else ends the offset, so that `x offset 1h / 2` is a half of x.
    fn offset(&mut self) -> Result<Duration, QueryError> {
        let is_sign = |token: &Token| matches!(token, Token::Sign("-" | "+"));
        let goes_on = match self.token() {
            Token::Sign("(") => true,
            token => is_sign(token) && is_sign(self.ahead(1)),
        };
        if goes_on {
            return self.duration_expr(0);
        }
        let negative = self.is_sign("-");
        if negative || self.is_sign("+") {
            self.next();
        }
        let value = self.duration_primary()?;
        Ok(if negative { negate(value) } else { value })
    }

    /// Arithmetic over durations, with the binding strengths of ordinary arithmetic.
    fn duration_expr(&mut self, min: u8) -> Result<Duration, QueryError> {
        self.deeper(|p| {
            let mut lhs = if p.is_sign("-") || p.is_sign("+") {
                let negative = p.is_sign("-");
                p.next();
                let inner = p.duration_expr(3)?;
                if negative { negate(inner) } else { inner }
            } else {
                p.duration_primary()?
            };
            loop {
                let (op, strength) = match p.token() {
                    Token::Sign("+") => (ArithmeticOp::Add, 1),
                    Token::Sign("-") => (ArithmeticOp::Sub, 1),
                    Token::Sign("*") => (ArithmeticOp::Mul, 2),
                    Token::Sign("/") => (ArithmeticOp::Div, 2),
                    Token::Sign("%") => (ArithmeticOp::Mod, 2),
                    Token::Sign("^") => (ArithmeticOp::Pow, 3),
                    _ => return Ok(lhs),
                };
                if strength < min {
                    return Ok(lhs);
                }
                let at = p.span();
                p.experimental(at, not_enabled)?;
                p.next();
                let rhs = p.duration_expr(if strength == 3 { 3 } else { strength + 1 })?;
                if matches!(&rhs, Duration::Seconds(b) if *b == 0.0) {
                    match op {
                        ArithmeticOp::Div => return Err(QueryError::parse(at, "division by zero")),
                        ArithmeticOp::Mod => return Err(QueryError::parse(at, "modulo by zero")),
                        _ => {}
                    }
                }
                lhs = match (&lhs, &rhs) {
                    (Duration::Seconds(a), Duration::Seconds(b)) => Duration::Seconds(op.apply(*a, *b)),
                    _ => Duration::Binary(op, Box::new(lhs), Box::new(rhs)),
                };
            }
        })
    }

    fn duration_primary(&mut self) -> Result<Duration, QueryError> {
        let value = match self.token().clone() {
            Token::Number(n) => Duration::Seconds(n),
            Token::Duration(ms) => Duration::Seconds(ms as f64 / 1000.0),
            Token::Sign("(") => {
                self.experimental(self.span(), not_enabled)?;
                self.next();
                let inner = self.duration_expr(0)?;
                self.need_sign(")", "to close the parenthesis")?;
                return Ok(inner);
            }
            Token::Ident(name) if self.ahead(1) == &Token::Sign("(") => {
                let name = name.to_ascii_lowercase();
                let at = self.span();
                self.experimental(at, not_enabled)?;
                self.next();
                self.next();
                let value = match name.as_str() {
                    "step" => Duration::Step,
                    "range" => Duration::Range,
                    "min_of" | "max_of" => {
                        let a = Box::new(self.duration_expr(0)?);
                        self.need_sign(",", "between the two durations")?;
                        let b = Box::new(self.duration_expr(0)?);
                        if name == "min_of" { Duration::Min(a, b) } else { Duration::Max(a, b) }
                    }
                    _ => {
                        let message = "only step(), range(), min_of() and max_of() may stand in a duration";
                        return Err(QueryError::parse(at, message));
                    }
                };
                self.need_sign(")", "to close the function")?;
                return Ok(value);
            }
            _ => return Err(self.unexpected("a duration such as `5m`")),
        };
        self.next();
        Ok(value)
    }
}

/// A whole duration: checked where it is known before the query runs, else with its place for what is found out then.
fn placed(duration: Duration, span: Span, is_positive: bool) -> Result<Duration, QueryError> {
    let Duration::Seconds(seconds) = duration else { return Ok(Duration::Written(span, Box::new(duration))) };
    let ms = Duration::whole_ms(seconds).map_err(|_| QueryError::parse(span, "duration out of range"))?;
    if is_positive && ms <= 0 {
        return Err(QueryError::parse(span, "duration must be greater than 0"));
    }
    Ok(duration)
}

fn not_enabled() -> String {
    "experimental duration expression is not enabled".into()
}

fn negate(value: Duration) -> Duration {
    match value {
        Duration::Seconds(s) => Duration::Seconds(-s),
        other => Duration::Negate(Box::new(other)),
    }
}

fn shift_of(expr: &mut Expr) -> Option<&mut Shift> {
    match &mut expr.kind {
        Kind::Selector(s) | Kind::Matrix { selector: s, .. } => Some(&mut s.shift),
        Kind::Subquery { shift, .. } => Some(shift),
        _ => None,
    }
}

fn matches_empty(m: &Matcher) -> bool {
    match m.op {
        MatcherOp::Equal => m.value.is_empty(),
        MatcherOp::NotEqual => !m.value.is_empty(),
        MatcherOp::Regex | MatcherOp::NotRegex => pattern::matches_empty(&m.value) == (m.op == MatcherOp::Regex),
    }
}
