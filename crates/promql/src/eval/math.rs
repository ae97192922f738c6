//! Functions of one value.

/// The function of that name; `None` when it is not one of these.
pub(crate) fn unary(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "deg" => f64::to_degrees,
        "rad" => f64::to_radians,
        "sgn" => sgn,
        _ => return None,
    })
}

fn sgn(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

/// To the nearest multiple, halves upwards.
pub(crate) fn round(value: f64, to: f64) -> f64 {
    // The inverse keeps decimal fractions such as 0.1 exact.
    let inverse = 1.0 / to;
    (value * inverse + 0.5).floor() / inverse
}

/// As Go has it: NaN wins over any number but minus infinity.
pub(crate) fn min_of(a: f64, b: f64) -> f64 {
    let infinite = a == f64::NEG_INFINITY || b == f64::NEG_INFINITY;
    if !infinite && (a.is_nan() || b.is_nan()) { f64::NAN } else { a.min(b) }
}

/// The same, but infinity.
pub(crate) fn max_of(a: f64, b: f64) -> f64 {
    let infinite = a == f64::INFINITY || b == f64::INFINITY;
    if !infinite && (a.is_nan() || b.is_nan()) { f64::NAN } else { a.max(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinity_on_its_side_wins_over_what_is_no_number() {
        let (nan, infinite) = (f64::NAN, f64::INFINITY);
        assert_eq!((min_of(nan, -infinite), min_of(-infinite, nan)), (-infinite, -infinite));
        assert_eq!((max_of(nan, infinite), max_of(infinite, nan)), (infinite, infinite));
        assert!(min_of(nan, infinite).is_nan() && max_of(-infinite, nan).is_nan() && min_of(1.0, nan).is_nan());
        assert_eq!((min_of(1.0, -infinite), max_of(1.0, 2.0)), (-infinite, 2.0));
    }
}
