//! Types: what may stand where.

use crate::{
    error::{QueryError, Span},
    functions::Function,
    syntax::ast::{BinaryOp, Expr, Kind, Matching, Side, Type},
};

pub(crate) fn expect_type(expr: &Expr, wanted: Type, place: impl FnOnce() -> String) -> Result<(), QueryError> {
    let found = expr.value_type();
    if found == wanted {
        return Ok(());
    }
    Err(QueryError::parse(expr.span, format!("expected type {wanted} in {}, got {found}", place())))
}

pub(crate) fn check_call(function: &Function, args: &[Expr], span: Span) -> Result<(), QueryError> {
    let (max, min) = (function.args.len(), function.args.len() - function.optional);
    let name = function.name;
    let wrong = |what: &str, n: usize| {
        let s = if n == 1 { "" } else { "s" };
        let message = format!("expected {what}{n} argument{s} in call to \"{name}\", got {}", args.len());
        Err(QueryError::parse(span, message))
    };
    if args.len() < min {
        return wrong(if min == max && !function.repeats { "" } else { "at least " }, min);
    }
    if args.len() > max && !function.repeats {
        return wrong(if min == max { "" } else { "at most " }, max);
    }
    for (i, arg) in args.iter().enumerate() {
        let wanted = function.args.get(i).or(function.args.last()).copied();
        if let Some(wanted) = wanted {
            expect_type(arg, wanted, || format!("call to function \"{name}\""))?;
        }
    }
    match args.get(1).filter(|_| name == "info") {
        Some(arg) if !matches!(arg.unwrapped().kind, Kind::Selector(_)) => {
            Err(QueryError::parse(arg.span, "expected label selectors only"))
        }
        _ => Ok(()),
    }
}

pub(crate) fn check_binary(
    op: BinaryOp,
    bool_modifier: bool,
    matching: Option<&Matching>,
    lhs: &Expr,
    rhs: &Expr,
    span: Span,
    op_span: Span,
) -> Result<(), QueryError> {
    for side in [lhs, rhs] {
        if !matches!(side.value_type(), Type::Scalar | Type::Vector) {
            return Err(QueryError::parse(
                side.span,
                "binary expression must contain only scalar and instant vector types",
            ));
        }
    }
    let scalars = [lhs, rhs].iter().filter(|e| e.value_type() == Type::Scalar).count();
    if matches!(op, BinaryOp::Comparison(_)) && scalars == 2 && !bool_modifier {
        return Err(QueryError::parse(op_span, "comparisons between scalars must use BOOL modifier"));
    }
    if matches!(op, BinaryOp::Trim(_)) && scalars == 2 {
        return Err(QueryError::parse(span, format!("operator \"{}\" not allowed for Scalar operations", op.sign())));
    }
    if scalars == 0 {
        return Ok(());
    }
    if matches!(op, BinaryOp::Set(_)) {
        return Err(QueryError::parse(
            span,
            format!("set operator \"{}\" not allowed in binary scalar expression", op.sign()),
        ));
    }
    if matching.is_some_and(|m| !m.labels.is_empty() || m.side != Side::OneToOne) {
        return Err(QueryError::parse(span, "vector matching only allowed between instant vectors"));
    }
    if matching.is_some_and(|m| m.fill_left.or(m.fill_right).is_some()) {
        return Err(QueryError::parse(span, "filling in missing series only allowed between instant vectors"));
    }
    Ok(())
}
