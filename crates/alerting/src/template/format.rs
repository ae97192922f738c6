//! Numbers and `printf` as Go writes them.

use super::Datum;

/// Go's `%v` of a float64: the shortest digits that read back, with an exponent from 1e21 on and below 1e-4.
pub fn shortest(v: f64) -> String {
    if let Some(special) = special(v) {
        return special;
    }
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) { format!("{v}") } else { with_exponent(mantissa, exponent) }
}

/// Go's `%.{precision}g`.
pub fn general(v: f64, precision: usize) -> String {
    if let Some(special) = special(v) {
        return special;
    }
    let precision = precision.max(1);
    let text = format!("{v:.*e}", precision - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= precision as i32 {
        return with_exponent(&without_zeros(mantissa), exponent);
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    without_zeros(&format!("{v:.decimals$}"))
}

fn special(v: f64) -> Option<String> {
    match v {
        v if v.is_nan() => Some("NaN".to_owned()),
        f64::INFINITY => Some("+Inf".to_owned()),
        f64::NEG_INFINITY => Some("-Inf".to_owned()),
        _ => None,
    }
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn without_zeros(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// Go's `printf` for `%s %v %d %f %g %e %q %t %x %%` with flags `-`, `+`, `0`, a width (at most 200) and a precision.
pub fn printf(pattern: &str, arguments: &[Datum]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut left, mut plus, mut zero) = (false, false, false);
        while let Some(flag) = chars.peek() {
            match flag {
                '-' => left = true,
                '+' => plus = true,
                '0' => zero = true,
                ' ' | '#' => {}
                _ => break,
            }
            chars.next();
        }
        let mut digits = |start: usize| {
            let mut n = start;
            while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
                n = (n * 10 + d as usize).min(200);
                chars.next();
            }
            n
        };
        let width = digits(0);
        let precision = if chars.next_if_eq(&'.').is_some() {
            let mut n = 0;
            while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
                n = (n * 10 + d as usize).min(200);
                chars.next();
            }
            Some(n)
        } else {
            None
        };
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(argument) = arguments.next() else {
            out.extend(["%!", verb.encode_utf8(&mut [0; 4]), "(MISSING)"]);
            continue;
        };
        let mut text = one(verb, precision, argument);
        if plus && matches!(argument, Datum::Number(n) if *n >= 0.0) && !text.starts_with('+') {
            text.insert(0, '+');
        }
        let missing = width.saturating_sub(text.chars().count());
        if left {
            out.push_str(&text);
            out.push_str(&" ".repeat(missing));
        } else if zero && matches!(argument, Datum::Number(_)) {
            let sign = usize::from(text.starts_with(['-', '+']));
            out.push_str(&text[..sign]);
            out.push_str(&"0".repeat(missing));
            out.push_str(&text[sign..]);
        } else {
            out.push_str(&" ".repeat(missing));
            out.push_str(&text);
        }
    }
    out
}

fn one(verb: char, precision: Option<usize>, argument: &Datum) -> String {
    match (verb, argument) {
        ('v' | 's', Datum::Number(n)) => precision.map_or_else(|| shortest(*n), |p| general(*n, p)),
        ('v' | 's', other) => {
            let text = other.print();
            precision.map_or(text.clone(), |p| text.chars().take(p).collect())
        }
        ('q', other) => format!("{:?}", other.print()),
        ('t', Datum::Bool(b)) => b.to_string(),
        ('d', Datum::Number(n)) if n.fract() == 0.0 && n.is_finite() => format!("{n:.0}"),
        ('x', Datum::Number(n)) if n.fract() == 0.0 && *n >= 0.0 && n.is_finite() => format!("{:x}", *n as u64),
        ('f' | 'F' | 'g' | 'G' | 'e' | 'E', Datum::Number(n)) if special(*n).is_some() => {
            special(*n).unwrap_or_default()
        }
        ('f' | 'F', Datum::Number(n)) => format!("{n:.*}", precision.unwrap_or(6)),
        ('g' | 'G', Datum::Number(n)) => precision.map_or_else(|| shortest(*n), |p| general(*n, p)),
        ('e' | 'E', Datum::Number(n)) => {
            let text = format!("{n:.*e}", precision.unwrap_or(6));
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            with_exponent(mantissa, exponent.parse().unwrap_or(0))
        }
        (verb, other) => format!("%!{verb}({})", other.print()),
    }
}
