//! The parsed query.

use tenfold_types::Matcher;

use crate::{
    error::{QueryError, Span},
    functions::Function,
};

#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub kind: Kind,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Number(f64),
    /// A number that was written as a duration such as `1h`, in milliseconds; it counts in seconds.
    Duration(i64),
    String(String),
    /// A string that is no UTF-8, with what makes it none still as escapes. Nothing takes it.
    NotUtf8(String),
    Paren(Box<Expr>),
    /// Unary minus; a unary plus leaves no trace but this node.
    Unary {
        negate: bool,
        expr: Box<Expr>,
    },
    Selector(Selector),
    Matrix {
        selector: Selector,
        range: Duration,
        mode: RangeMode,
    },
    Subquery {
        expr: Box<Expr>,
        range: Duration,
        step: Option<Duration>,
        shift: Shift,
    },
    Call {
        function: &'static Function,
        args: Vec<Expr>,
    },
    Aggregate {
        op: AggregateOp,
        grouping: Grouping,
        param: Option<Box<Expr>>,
        expr: Box<Expr>,
    },
    Binary {
        op: BinaryOp,
        bool_modifier: bool,
        matching: Matching,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
}

impl Expr {
    /// The expressions inside, in the order of the text.
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Paren(e) | Kind::Unary { expr: e, .. } | Kind::Subquery { expr: e, .. } => vec![e],
            Kind::Call { args, .. } => args.iter().collect(),
            Kind::Aggregate { param, expr, .. } => param.as_deref().into_iter().chain([&**expr]).collect(),
            Kind::Binary { lhs, rhs, .. } => vec![lhs, rhs],
            Kind::Number(_)
            | Kind::Duration(_)
            | Kind::String(_)
            | Kind::NotUtf8(_)
            | Kind::Selector(_)
            | Kind::Matrix { .. } => Vec::new(),
        }
    }

    /// The selectors of the whole expression, in the order of the text.
    pub fn selectors(&self) -> Vec<&Selector> {
        match &self.kind {
            Kind::Selector(selector) | Kind::Matrix { selector, .. } => vec![selector],
            _ => self.children().into_iter().flat_map(Self::selectors).collect(),
        }
    }

    /// Seconds of the samples of each series that an evaluation over so many seconds and steps looks at, at most: what is
    /// read, and again what each window holds. `None` where only the evaluation tells: subqueries, calculated ranges, and
    /// functions that look for series of their own.
    pub fn seconds_looked_at(&self, span_s: f64, steps: usize) -> Option<f64> {
        /// An instant selector looks back so far.
        const LOOKBACK_S: f64 = 300.0;
        match &self.kind {
            Kind::Subquery { .. } => None,
            Kind::Call { function, .. } if function.name == "info" => None,
            Kind::Selector(_) => Some(span_s + LOOKBACK_S),
            Kind::Matrix { range: Duration::Seconds(range), .. } => {
                Some(span_s + range.max(0.0) * (steps as f64 + 1.0))
            }
            Kind::Matrix { .. } => None,
            _ => self.children().into_iter().map(|child| child.seconds_looked_at(span_s, steps)).sum(),
        }
    }
}

/// How the ends of a range are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RangeMode {
    #[default]
    Normal,
    /// The value at either end is the last one known there.
    Anchored,
    /// The value at either end is interpolated between its neighbours.
    Smoothed,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    pub matchers: Vec<Matcher>,
    pub shift: Shift,
    pub mode: RangeMode,
    /// Of histograms only the count and the sum are used, so that their buckets need not be read.
    pub statistics: bool,
}

/// `offset` and `@`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shift {
    pub offset: Option<Duration>,
    pub at: Option<At>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    /// Milliseconds since the epoch.
    Instant(i64),
    Start,
    End,
}

/// A duration that may depend on the query's step and range.
#[derive(Debug, Clone, PartialEq)]
pub enum Duration {
    /// Seconds.
    Seconds(f64),
    Step,
    Range,
    Negate(Box<Duration>),
    Binary(ArithmeticOp, Box<Duration>, Box<Duration>),
    Min(Box<Duration>, Box<Duration>),
    Max(Box<Duration>, Box<Duration>),
    /// The whole of one that only the query's step and range tell, with its place.
    Written(Span, Box<Duration>),
}

impl Duration {
    /// Seconds as whole milliseconds; what lies beyond nanoseconds is noise of the calculation.
    pub(crate) fn whole_ms(seconds: f64) -> Result<i64, &'static str> {
        if !seconds.is_finite() {
            return Err("duration is NaN or infinite");
        }
        let ms = ((seconds * 1e9).round() / 1e6).trunc();
        if ms.abs() > 1e15 { Err("duration is out of range") } else { Ok(ms as i64) }
    }
    /// Without its place.
    pub(crate) fn bare(&self) -> &Self {
        if let Self::Written(_, inner) = self { inner } else { self }
    }
    /// What is wrong with it, at its place.
    pub(crate) fn wrong(&self, message: &str) -> QueryError {
        match self {
            Self::Written(span, _) => QueryError::parse(*span, message),
            _ => QueryError::execution(message),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArithmeticOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
}

impl ArithmeticOp {
    pub fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Mod => a % b,
            Self::Pow => a.powf(b),
            Self::Atan2 => a.atan2(b),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComparisonOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl ComparisonOp {
    #[expect(clippy::float_cmp, reason = "PromQL compares floats exactly")]
    pub fn apply(self, a: f64, b: f64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOp {
    And,
    Or,
    Unless,
}

/// Which observations of a histogram are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrimOp {
    /// `</`
    Below,
    /// `>/`
    Above,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    Arithmetic(ArithmeticOp),
    Comparison(ComparisonOp),
    Set(SetOp),
    Trim(TrimOp),
}

impl BinaryOp {
    pub fn sign(self) -> &'static str {
        use ArithmeticOp::{Add, Atan2, Div, Mod, Mul, Pow, Sub};
        use ComparisonOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        match self {
            Self::Arithmetic(Add) => "+",
            Self::Arithmetic(Sub) => "-",
            Self::Arithmetic(Mul) => "*",
            Self::Arithmetic(Div) => "/",
            Self::Arithmetic(Mod) => "%",
            Self::Arithmetic(Pow) => "^",
            Self::Arithmetic(Atan2) => "atan2",
            Self::Comparison(Equal) => "==",
            Self::Comparison(NotEqual) => "!=",
            Self::Comparison(Less) => "<",
            Self::Comparison(LessOrEqual) => "<=",
            Self::Comparison(Greater) => ">",
            Self::Comparison(GreaterOrEqual) => ">=",
            Self::Set(SetOp::And) => "and",
            Self::Set(SetOp::Or) => "or",
            Self::Set(SetOp::Unless) => "unless",
            Self::Trim(TrimOp::Below) => "</",
            Self::Trim(TrimOp::Above) => ">/",
        }
    }
}

/// How the series of two vectors are paired.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matching {
    /// `on(...)` when true, `ignoring(...)` (also without any) when false.
    pub on: bool,
    pub labels: Vec<String>,
    pub side: Side,
    /// Labels taken over from the "one" side.
    pub include: Vec<String>,
    /// Stands in for a missing left series.
    pub fill_left: Option<f64>,
    /// Stands in for a missing right series.
    pub fill_right: Option<f64>,
}

/// Which side may have several series for one match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    #[default]
    OneToOne,
    /// `group_left`: many on the left.
    ManyLeft,
    /// `group_right`: many on the right.
    ManyRight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "group" => Self::Group,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "topk" => Self::Topk,
            "bottomk" => Self::Bottomk,
            "quantile" => Self::Quantile,
            "count_values" => Self::CountValues,
            "limitk" => Self::Limitk,
            "limit_ratio" => Self::LimitRatio,
            _ => return None,
        })
    }
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::Quantile => "quantile",
            Self::CountValues => "count_values",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }
    pub fn takes_param(self) -> bool {
        matches!(
            self,
            Self::Topk | Self::Bottomk | Self::Quantile | Self::CountValues | Self::Limitk | Self::LimitRatio
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouping {
    /// `without(...)` when true, `by(...)` (also with no labels at all) when false.
    pub without: bool,
    pub labels: Vec<String>,
}

/// The type of an expression's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Scalar,
    String,
    Vector,
    Matrix,
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        })
    }
}

impl Expr {
    pub fn value_type(&self) -> Type {
        match &self.kind {
            Kind::Number(_) | Kind::Duration(_) => Type::Scalar,
            Kind::String(_) | Kind::NotUtf8(_) => Type::String,
            Kind::Paren(e) | Kind::Unary { expr: e, .. } => e.value_type(),
            Kind::Selector(_) | Kind::Aggregate { .. } => Type::Vector,
            Kind::Matrix { .. } | Kind::Subquery { .. } => Type::Matrix,
            Kind::Call { function, .. } => function.returns,
            Kind::Binary { lhs, rhs, .. } => {
                if lhs.value_type() == Type::Scalar && rhs.value_type() == Type::Scalar {
                    Type::Scalar
                } else {
                    Type::Vector
                }
            }
        }
    }
    /// The expression without the parentheses around it.
    pub fn unwrapped(&self) -> &Self {
        match &self.kind {
            Kind::Paren(e) => e.unwrapped(),
            _ => self,
        }
    }
}
