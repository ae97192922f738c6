//! The grammar, by precedence climbing: `or` < `and unless` < comparisons < `+ -` < `* / % atan2` < unary < `^`.

use tenfold_types::Matcher;

use crate::{
    error::{QueryError, Span},
    functions,
    syntax::{
        ast::{
            AggregateOp, ArithmeticOp, BinaryOp, ComparisonOp, Expr, Grouping, Kind, Matching, SetOp, Shift, Side,
            TrimOp, Type,
        },
        check::{check_binary, check_call, expect_type},
        lex::{Lexed, Token, lex},
    },
};

/// Longer queries are refused. With the other fields of its form such a query fits into the body of a request (1 MiB); pages of
/// graphs write every host of a fleet into one matcher.
pub const EXPRESSION_BYTES_MAX: usize = 1_000_000;
/// Deeper nesting is refused, whether by parentheses or by a long chain of operators.
const DEPTH_MAX: usize = 128;

/// Which parts of the language are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// What Prometheus has behind flags: experimental functions, `limitk` and `limit_ratio`, arithmetic with durations,
    /// `anchored` and `smoothed`, and `fill`.
    pub experimental: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { experimental: true }
    }
}

/// Parses and checks a query with all of the language.
pub fn parse(text: &str) -> Result<Expr, QueryError> {
    parse_as(text, Dialect::default())
}

/// Parses and checks a query.
pub fn parse_as(text: &str, dialect: Dialect) -> Result<Expr, QueryError> {
    let mut p = Parser::new(text)?;
    p.dialect = dialect;
    let mut expr = p.whole()?;
    mark_statistics(&mut expr, false, false);
    Ok(expr)
}

/// Marks the selectors of whose histograms the count and the sum are enough.
fn mark_statistics(expr: &mut Expr, wanted: bool, whole: bool) {
    match &mut expr.kind {
        Kind::Number(_) | Kind::Duration(_) | Kind::String(_) | Kind::NotUtf8(_) => {}
        Kind::Selector(s) | Kind::Matrix { selector: s, .. } => s.statistics = wanted && !whole,
        Kind::Paren(e) | Kind::Unary { expr: e, .. } => mark_statistics(e, wanted, whole),
        // Between the steps of a subquery a reset may hide that only the buckets show.
        Kind::Subquery { expr, .. } => mark_statistics(expr, wanted, true),
        Kind::Call { function, args } => {
            let statistics = matches!(function.name, "histogram_count" | "histogram_sum" | "histogram_avg");
            let buckets = matches!(function.name, "histogram_quantile" | "histogram_quantiles" | "histogram_fraction");
            for arg in args {
                mark_statistics(arg, wanted || statistics, whole || buckets);
            }
        }
        Kind::Aggregate { param, expr, .. } => {
            mark_statistics(expr, wanted, whole);
            if let Some(param) = param {
                mark_statistics(param, wanted, whole);
            }
        }
        Kind::Binary { op, lhs, rhs, .. } => {
            let buckets = matches!(op, BinaryOp::Trim(_));
            mark_statistics(lhs, wanted, whole || buckets);
            mark_statistics(rhs, wanted, whole || buckets);
        }
    }
}

/// Parses a series selector (`up{job="web"}`) into its matchers.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, QueryError> {
    matchers_of(parse(text)?)
}

/// The same of one that may match every series (`{job=~".*"}`), as Prometheus takes it where it is asked for no query.
pub fn parse_any_matchers(text: &str) -> Result<Vec<Matcher>, QueryError> {
    let mut p = Parser::new(text)?;
    p.any_selector = true;
    matchers_of(p.whole()?)
}

fn matchers_of(expr: Expr) -> Result<Vec<Matcher>, QueryError> {
    match expr.kind {
        Kind::Selector(s) if s.shift == Shift::default() => Ok(s.matchers),
        _ => Err(QueryError::parse(expr.span, "only a series selector such as `up{job=\"web\"}` is wanted here")),
    }
}

pub(crate) struct Parser {
    tokens: Vec<Lexed>,
    at: usize,
    depth: usize,
    /// How deep the expression is that was read last.
    pub(crate) height: usize,
    /// Regular expressions that were compiled so far.
    pub(crate) patterns: usize,
    /// Inside the selector of labels of `info(...)`, which may match everything.
    pub(crate) any_selector: bool,
    dialect: Dialect,
}

/// Binding strength of an operator; unary minus stands between `MUL` and `POW`.
const MUL: u8 = 5;
const POW: u8 = 6;

fn binary_op(token: &Token) -> Option<(BinaryOp, u8)> {
    use ArithmeticOp::{Add, Atan2, Div, Mod, Mul, Pow, Sub};
    use BinaryOp::{Arithmetic as A, Comparison as C, Set};
    use ComparisonOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    Some(match token {
        Token::Sign(sign) => match *sign {
            "+" => (A(Add), 4),
            "-" => (A(Sub), 4),
            "*" => (A(Mul), MUL),
            "/" => (A(Div), MUL),
            "%" => (A(Mod), MUL),
            "^" => (A(Pow), POW),
            "==" => (C(Equal), 3),
            "!=" => (C(NotEqual), 3),
            "<" => (C(Less), 3),
            "<=" => (C(LessOrEqual), 3),
            ">" => (C(Greater), 3),
            ">=" => (C(GreaterOrEqual), 3),
            "</" => (BinaryOp::Trim(TrimOp::Below), 3),
            ">/" => (BinaryOp::Trim(TrimOp::Above), 3),
            _ => return None,
        },
        Token::Ident(name) => match name.to_ascii_lowercase().as_str() {
            "or" => (Set(SetOp::Or), 1),
            "and" => (Set(SetOp::And), 2),
            "unless" => (Set(SetOp::Unless), 2),
            "atan2" => (A(Atan2), MUL),
            _ => return None,
        },
        _ => return None,
    })
}

impl Parser {
    fn new(text: &str) -> Result<Self, QueryError> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(QueryError::Limit(format!(
                "the query is {} bytes long; at most {EXPRESSION_BYTES_MAX} are allowed",
                text.len()
            )));
        }
        let dialect = Dialect::default();
        Ok(Self { tokens: lex(text)?, at: 0, depth: 0, height: 0, patterns: 0, any_selector: false, dialect })
    }
    /// The whole text as one expression.
    fn whole(&mut self) -> Result<Expr, QueryError> {
        if self.token() == &Token::End {
            return Err(self.error("no expression found in input"));
        }
        let expr = self.expr(0)?;
        if self.token() == &Token::End { Ok(expr) } else { Err(self.unexpected("an operator or the end")) }
    }
    pub(crate) fn token(&self) -> &Token {
        &self.tokens[self.at].token
    }
    pub(crate) fn ahead(&self, by: usize) -> &Token {
        &self.tokens[(self.at + by).min(self.tokens.len() - 1)].token
    }
    pub(crate) fn span(&self) -> Span {
        self.tokens[self.at].span
    }
    pub(crate) fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }
    pub(crate) fn next(&mut self) -> Token {
        let token = self.tokens[self.at].token.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }
    pub(crate) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.token(), Token::Sign(s) if *s == sign)
    }
    pub(crate) fn take_sign(&mut self, sign: &str) -> bool {
        let hit = self.is_sign(sign);
        if hit {
            self.next();
        }
        hit
    }
    pub(crate) fn need_sign(&mut self, sign: &'static str, place: &str) -> Result<(), QueryError> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}` {place}"))) }
    }
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self.token(), Token::Ident(name) if name.eq_ignore_ascii_case(word))
    }
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let hit = self.is_word(word);
        if hit {
            self.next();
        }
        hit
    }
    /// Refuses what is experimental where that is not wanted.
    pub(crate) fn experimental(&self, span: Span, message: impl FnOnce() -> String) -> Result<(), QueryError> {
        if self.dialect.experimental { Ok(()) } else { Err(QueryError::parse(span, message())) }
    }
    pub(crate) fn error(&self, message: impl Into<String>) -> QueryError {
        QueryError::parse(self.span(), message)
    }
    pub(crate) fn unexpected(&self, wanted: &str) -> QueryError {
        let found = match self.token() {
            Token::Ident(name) => format!("`{name}`"),
            Token::Number(n) => format!("the number {n}"),
            Token::Duration(_) => "a duration".into(),
            Token::String(_) => "a string".into(),
            Token::NotUtf8(_) => "a string that is not valid UTF-8".into(),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end of the query".into(),
        };
        self.error(format!("unexpected {found}; expected {wanted}"))
    }
    pub(crate) fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, QueryError>) -> Result<T, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("the expression is nested deeper than {DEPTH_MAX} levels")));
        }
        let out = f(self);
        self.depth -= 1;
        out
    }

    /// One level more than what it is made of.
    pub(crate) fn raised(&mut self, below: usize) -> Result<usize, QueryError> {
        self.height = below + 1;
        if self.height > DEPTH_MAX {
            return Err(self.error(format!("the expression is nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(self.height)
    }

    pub(crate) fn expr(&mut self, min: u8) -> Result<Expr, QueryError> {
        self.deeper(|p| p.expr_inner(min))
    }

    fn expr_inner(&mut self, min: u8) -> Result<Expr, QueryError> {
        let mut lhs = self.unary()?;
        let mut height = self.height;
        while let Some((op, strength)) = binary_op(self.token()) {
            if strength < min {
                break;
            }
            let op_span = self.span();
            self.next();
            let bool_span = self.span();
            let bool_modifier = self.take_word("bool");
            if bool_modifier && !matches!(op, BinaryOp::Comparison(_)) {
                return Err(QueryError::parse(bool_span, "bool modifier can only be used on comparison operators"));
            }
            let matching = self.matching(op)?;
            // `^` binds to the right, everything else to the left.
            let rhs = self.expr(if strength == POW { POW } else { strength + 1 })?;
            let span = lhs.span.to(rhs.span);
            height = self.raised(height.max(self.height))?;
            check_binary(op, bool_modifier, matching.as_ref(), &lhs, &rhs, span, op_span)?;
            let matching = matching.unwrap_or_default();
            let kind = Kind::Binary { op, bool_modifier, matching, lhs: Box::new(lhs), rhs: Box::new(rhs) };
            lhs = Expr { kind, span };
        }
        self.height = height;
        Ok(lhs)
    }

    fn unary(&mut self) -> Result<Expr, QueryError> {
        let start = self.span();
        let negate = self.is_sign("-");
        if !negate && !self.is_sign("+") {
            return self.postfix();
        }
        self.next();
        let expr = self.expr(POW)?;
        self.raised(self.height)?;
        if !matches!(expr.value_type(), Type::Scalar | Type::Vector) {
            return Err(QueryError::parse(
                expr.span,
                format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                    expr.value_type()
                ),
            ));
        }
        let span = start.to(expr.span);
        Ok(match expr.kind {
            Kind::Number(n) => Expr { kind: Kind::Number(if negate { -n } else { n }), span },
            Kind::Duration(ms) => Expr { kind: Kind::Duration(if negate { -ms } else { ms }), span },
            _ => Expr { kind: Kind::Unary { negate, expr: Box::new(expr) }, span },
        })
    }

    fn matching(&mut self, op: BinaryOp) -> Result<Option<Matching>, QueryError> {
        let mut matching = Matching::default();
        let mut given = false;
        if self.is_word("on") || self.is_word("ignoring") {
            matching.on = self.take_word("on") || !self.take_word("ignoring");
            matching.labels = self.label_list()?;
            given = true;
        }
        if given && (self.is_word("group_left") || self.is_word("group_right")) {
            if matches!(op, BinaryOp::Set(_)) {
                return Err(self.error(format!("no grouping allowed for \"{}\" operation", op.sign())));
            }
            matching.side = if self.is_word("group_left") { Side::ManyLeft } else { Side::ManyRight };
            self.next();
            let include_span = self.span();
            if self.is_sign("(") {
                matching.include = self.label_list()?;
            }
            if let Some(both) = matching.include.iter().find(|l| matching.on && matching.labels.contains(l)) {
                let message = format!("label \"{both}\" must not occur in ON and GROUP clause at once");
                return Err(QueryError::parse(include_span, message));
            }
        }
        while let Some(which) = ["fill_left", "fill_right", "fill"].into_iter().find(|w| self.is_word(w)) {
            if self.ahead(1) != &Token::Sign("(") {
                break;
            }
            if matches!(op, BinaryOp::Set(_)) {
                return Err(self.error("filling in missing series not allowed for set operators"));
            }
            self.experimental(self.span(), || "binop fill modifiers are experimental and not enabled".into())?;
            self.next();
            self.next();
            let value = self.signed_number()?;
            self.need_sign(")", "after the fill value")?;
            if which != "fill_right" {
                matching.fill_left = Some(value);
            }
            if which != "fill_left" {
                matching.fill_right = Some(value);
            }
            given = true;
        }
        Ok(given.then_some(matching))
    }

    pub(crate) fn signed_number(&mut self) -> Result<f64, QueryError> {
        let negative = self.is_sign("-");
        if negative || self.is_sign("+") {
            self.next();
        }
        let value = match self.token() {
            Token::Number(n) => *n,
            Token::Duration(ms) => *ms as f64 / 1000.0,
            Token::Ident(name) => special_number(name).ok_or_else(|| self.unexpected("a number"))?,
            _ => return Err(self.unexpected("a number")),
        };
        self.next();
        Ok(if negative { -value } else { value })
    }

    fn label_list(&mut self) -> Result<Vec<String>, QueryError> {
        self.need_sign("(", "before the list of labels")?;
        let mut labels = Vec::new();
        while !self.is_sign(")") {
            match self.token() {
                Token::String(name) if name.is_empty() => {
                    return Err(self.error("invalid label name for grouping: \"\""));
                }
                Token::Ident(name) | Token::String(name) => labels.push(name.clone()),
                _ => return Err(self.unexpected("a label name or `)`")),
            }
            self.next();
            if !self.take_sign(",") {
                break;
            }
        }
        self.need_sign(")", "after the list of labels")?;
        Ok(labels)
    }

    fn primary(&mut self) -> Result<Expr, QueryError> {
        let span = self.span();
        let leaf = |kind| Ok(Expr { kind, span });
        match self.token().clone() {
            Token::Number(n) => {
                self.next();
                leaf(Kind::Number(n))
            }
            Token::Duration(ms) => {
                self.next();
                leaf(Kind::Duration(ms))
            }
            Token::String(s) => {
                self.next();
                leaf(Kind::String(s))
            }
            Token::NotUtf8(s) => {
                self.next();
                leaf(Kind::NotUtf8(s))
            }
            Token::Sign("(") => {
                self.next();
                let inner = self.expr(0)?;
                self.need_sign(")", "to close the parenthesis")?;
                self.raised(self.height)?;
                Ok(Expr { kind: Kind::Paren(Box::new(inner)), span: span.to(self.last_span()) })
            }
            Token::Sign("{") => self.selector(None, span),
            Token::Ident(name) => self.named(name, span),
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn named(&mut self, name: String, span: Span) -> Result<Expr, QueryError> {
        let follows = self.ahead(1).clone();
        let opens = follows == Token::Sign("(");
        let groups =
            matches!(&follows, Token::Ident(w) if w.eq_ignore_ascii_case("by") || w.eq_ignore_ascii_case("without"));
        if let Some(op) = AggregateOp::from_name(&name).filter(|_| opens || groups) {
            return self.aggregate(op, &name, span);
        }
        if opens {
            return self.call(&name, span);
        }
        if let Some(n) = special_number(&name).filter(|_| follows != Token::Sign("{")) {
            self.next();
            return Ok(Expr { kind: Kind::Number(n), span });
        }
        self.next();
        self.selector(Some(name), span)
    }

    fn call(&mut self, name: &str, span: Span) -> Result<Expr, QueryError> {
        let function = functions::find(name).ok_or_else(|| {
            let hint = functions::nearest(name).map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            self.error(format!("unknown function with name \"{name}\"{hint}"))
        })?;
        if function.is_experimental() {
            self.experimental(span, || format!("function {name:?} is not enabled"))?;
        }
        self.next();
        let args = self.args(name == "info")?;
        let span = span.to(self.last_span());
        check_call(function, &args, span)?;
        Ok(Expr { kind: Kind::Call { function, args }, span })
    }

    fn args(&mut self, of_info: bool) -> Result<Vec<Expr>, QueryError> {
        self.need_sign("(", "before the arguments")?;
        let mut args = Vec::new();
        let mut height = 0;
        let outer = self.any_selector;
        while !self.is_sign(")") {
            self.any_selector = of_info && !args.is_empty();
            args.push(self.expr(0)?);
            height = height.max(self.height);
            if !self.take_sign(",") {
                break;
            }
            if self.is_sign(")") {
                return Err(self.error("trailing commas not allowed in function call args"));
            }
        }
        self.any_selector = outer;
        self.need_sign(")", "after the arguments")?;
        self.raised(height)?;
        Ok(args)
    }

    fn aggregate(&mut self, op: AggregateOp, name: &str, span: Span) -> Result<Expr, QueryError> {
        if matches!(op, AggregateOp::Limitk | AggregateOp::LimitRatio) {
            self.experimental(span, || format!("{name}() is experimental and not enabled"))?;
        }
        self.next();
        let mut grouping = self.grouping()?;
        let mut args = self.args(false)?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let span = span.to(self.last_span());
        let wanted = if op.takes_param() { 2 } else { 1 };
        if args.is_empty() {
            return Err(QueryError::parse(span, "no arguments for aggregate expression provided"));
        }
        if args.len() != wanted {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {}",
                args.len()
            );
            return Err(QueryError::parse(span, message));
        }
        let expr = args.pop().expect("at least one argument");
        let param = args.pop();
        expect_type(&expr, Type::Vector, || format!("aggregation expression of \"{name}\""))?;
        if let Some(param) = &param {
            let wanted = if op == AggregateOp::CountValues { Type::String } else { Type::Scalar };
            expect_type(param, wanted, || format!("aggregation parameter of \"{name}\""))?;
        }
        let kind = Kind::Aggregate {
            op,
            grouping: grouping.unwrap_or_default(),
            param: param.map(Box::new),
            expr: Box::new(expr),
        };
        Ok(Expr { kind, span })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, QueryError> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.next();
        Ok(Some(Grouping { without, labels: self.label_list()? }))
    }

    fn postfix(&mut self) -> Result<Expr, QueryError> {
        self.height = 0;
        let expr = self.primary()?;
        self.modifiers(expr)
    }
}

fn special_number(name: &str) -> Option<f64> {
    match name.to_ascii_lowercase().as_str() {
        "inf" => Some(f64::INFINITY),
        "nan" => Some(f64::NAN),
        _ => None,
    }
}
