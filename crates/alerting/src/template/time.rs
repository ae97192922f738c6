//! Instants and durations in notification templates: Go's layouts, clocks of other zones, and what one may ask of an instant.

use jiff::{Zoned, tz::TimeZone};
use tenfold_types::Timestamp;

use super::{TemplateError, humanize, value::Value};

/// Go's `time.Time{}`: the end of what has not ended.
pub const GO_ZERO: Timestamp = Timestamp(-62_135_596_800_000);
const NANOS_OF_MS: i64 = 1_000_000;
/// As Go prints an instant.
const PRINTED: &str = "2006-01-02 15:04:05.999999999 -0700 MST";
/// As Go writes an instant in JSON.
const RFC_3339: &str = "2006-01-02T15:04:05.999999999Z07:00";

/// The pieces of Go's layouts and what stands for each in `strftime`. What begins with another piece comes before it.
const PIECES: &[(&str, &str)] = &[
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("2006", "%Y"),
    ("_2006", "_%Y"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("_2", "%e"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("Z07:00", "%:z"),
    ("Z0700", "%z"),
];

/// The clock of a zone at an instant.
///
/// # Errors
/// There is no such zone, or no calendar at that instant.
pub fn zoned(at: Timestamp, zone: &str) -> Result<Zoned, TemplateError> {
    let zone = match zone {
        // Go reads both as UTC; a server here has no clock of its own.
        "" | "UTC" | "Local" => TimeZone::UTC,
        name => TimeZone::get(name).map_err(|_| TemplateError(format!("`{name}` is not a time zone")))?,
    };
    let at = jiff::Timestamp::from_millisecond(at.millis());
    at.map(|at| at.to_zoned(zone)).map_err(|_| TemplateError("an instant lies outside of the calendar".to_owned()))
}

/// The clock that a value tells; of a plain instant that of UTC.
///
/// # Errors
/// It is no instant.
pub fn clock(value: &Value) -> Result<Zoned, TemplateError> {
    match value {
        Value::Time(at) => zoned(*at, "UTC"),
        Value::Zoned(clock) => Ok(clock.clone()),
        other => Err(TemplateError(format!("an instant is wanted, not a {}", other.type_name()))),
    }
}

/// Its instant.
///
/// # Errors
/// As [`clock`].
pub fn instant(value: &Value) -> Result<Timestamp, TemplateError> {
    match value {
        Value::Time(at) => Ok(*at),
        other => Ok(Timestamp::from_millis(clock(other)?.timestamp().as_millisecond())),
    }
}

pub fn printed(clock: &Zoned) -> String {
    layout(clock, PRINTED)
}

pub fn rfc_3339(clock: &Zoned) -> String {
    layout(clock, RFC_3339)
}

/// Go's `Format`.
pub fn layout(clock: &Zoned, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len());
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if let Some((piece, stands)) = PIECES.iter().find(|(piece, _)| is_piece(rest, piece)) {
            let utc = piece.starts_with('Z') && clock.offset().seconds() == 0;
            out.push_str(&if utc { "Z".to_owned() } else { clock.strftime(stands).to_string() });
            rest = &rest[piece.len()..];
        } else if let Some(behind) = rest.strip_prefix("-07") {
            // The hours of the offset alone.
            out.extend(clock.strftime("%z").to_string().chars().take(3));
            rest = behind;
        } else if let Some((fraction, behind)) = fraction(clock, rest) {
            out.push_str(&fraction);
            rest = behind;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Whether a layout begins with a piece. A longer word that begins like a short name, such as `Month`, is just a word.
fn is_piece(layout: &str, piece: &str) -> bool {
    let Some(behind) = layout.strip_prefix(piece) else { return false };
    !matches!(piece, "Jan" | "Mon") || !behind.starts_with(|c: char| c.is_ascii_lowercase())
}

/// `.000` is as many digits of the second, `.999` without the zeros at their end.
fn fraction<'l>(clock: &Zoned, layout: &'l str) -> Option<(String, &'l str)> {
    let digits = layout.strip_prefix(['.', ','])?;
    let digit = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let behind = digits.trim_start_matches(digit);
    let count = digits.len() - behind.len();
    if behind.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let all = format!("{:09}", clock.subsec_nanosecond());
    let mut told: String = all.chars().take(count).collect();
    if digit == '9' {
        told.truncate(told.trim_end_matches('0').len());
    }
    let point = &layout[..1];
    Some((if told.is_empty() { String::new() } else { format!("{point}{told}") }, behind))
}

/// What an instant or a duration answers; none when it has no such method.
///
/// # Errors
/// What is wrong with an argument.
pub fn method(of: &Value, name: &str, arguments: &[Value]) -> Result<Option<Value>, TemplateError> {
    if let Value::Duration(ms) = of {
        let seconds = *ms as f64 / 1_000.0;
        return Ok(match (name, arguments) {
            ("Hours", []) => Some(Value::Float(seconds / 3_600.0)),
            ("Minutes", []) => Some(Value::Float(seconds / 60.0)),
            ("Seconds", []) => Some(Value::Float(seconds)),
            ("Milliseconds", []) => Some(Value::Int(*ms)),
            ("String", []) => Some(Value::Text(humanize::go_duration(seconds))),
            ("Round" | "Truncate", [by]) => Some(Value::Duration(rounded(*ms, length_ms(by)?, name == "Round"))),
            _ => None,
        });
    }
    let own = instant(of)?;
    Ok(Some(match (name, arguments) {
        ("Add", [by]) => later(of, length_ms(by)?)?,
        ("Format", [Value::Text(text)]) => Value::Text(layout(&clock(of)?, text)),
        ("String", []) => Value::Text(of.print()),
        ("UTC" | "Local", []) => Value::Time(own),
        ("Unix", []) => Value::Int(own.millis().div_euclid(1_000)),
        ("UnixMilli", []) => Value::Int(own.millis()),
        ("IsZero", []) => Value::Bool(own == GO_ZERO),
        ("Sub", [other]) => Value::Duration(own.since_ms(instant(other)?)),
        ("Before", [other]) => Value::Bool(own < instant(other)?),
        ("After", [other]) => Value::Bool(own > instant(other)?),
        ("Equal", [other]) => Value::Bool(own == instant(other)?),
        ("Month", []) => Value::Text(layout(&clock(of)?, "January")),
        ("Weekday", []) => Value::Text(layout(&clock(of)?, "Monday")),
        ("Year", []) => Value::Int(clock(of)?.year().into()),
        ("Day", []) => Value::Int(clock(of)?.day().into()),
        ("Hour", []) => Value::Int(clock(of)?.hour().into()),
        ("Minute", []) => Value::Int(clock(of)?.minute().into()),
        ("Second", []) => Value::Int(clock(of)?.second().into()),
        ("YearDay", []) => Value::Int(clock(of)?.day_of_year().into()),
        _ => return Ok(None),
    }))
}

/// A duration as an argument: another one, or nanoseconds, which many write as `28800e9`.
fn length_ms(value: &Value) -> Result<i64, TemplateError> {
    match value {
        Value::Duration(ms) => Ok(*ms),
        Value::Int(nanos) => Ok(nanos / NANOS_OF_MS),
        Value::Float(nanos) if nanos.fract() == 0.0 && nanos.abs() < 9e18 => Ok(*nanos as i64 / NANOS_OF_MS),
        other => Err(TemplateError(format!("a duration is wanted, or whole nanoseconds, not {}", other.print()))),
    }
}

/// An instant that much later, by the same clock.
fn later(of: &Value, ms: i64) -> Result<Value, TemplateError> {
    let moved = instant(of)?.plus_ms(ms);
    let Value::Zoned(clock) = of else { return Ok(Value::Time(moved)) };
    let at = jiff::Timestamp::from_millisecond(moved.millis());
    let at = at.map_err(|_| TemplateError("an instant lies outside of the calendar".to_owned()))?;
    Ok(Value::Zoned(at.to_zoned(clock.time_zone().clone())))
}

/// To a multiple: the nearest one, half of it away from zero, or the next one towards zero.
fn rounded(ms: i64, by: i64, nearest: bool) -> i64 {
    if by <= 0 {
        return ms;
    }
    let rest = ms % by;
    let away = nearest && rest.saturating_abs() >= by - rest.saturating_abs();
    (ms - rest).saturating_add(if away { by * ms.signum() } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_as_in_go() {
        let cases = [(1_499, 1_000, 1_000, 1_000), (1_500, 1_000, 2_000, 1_000), (-1_500, 1_000, -2_000, -1_000)];
        for (ms, by, nearest, cut) in cases.into_iter().chain([(1_234, 0, 1_234, 1_234), (999, 60_000, 0, 0)]) {
            assert_eq!((rounded(ms, by, true), rounded(ms, by, false)), (nearest, cut), "{ms} by {by}");
        }
    }

    /// As the package `time` of Go lays them down.
    #[test]
    fn layouts_are_those_of_go() {
        let at = Timestamp::parse_rfc3339("2026-11-03T16:04:05.120Z").expect("an instant");
        let (utc, berlin) = (zoned(at, "UTC").expect("a zone"), zoned(at, "Europe/Berlin").expect("a zone"));
        for (text, wanted) in [
            ("2006-01-02T15:04:05Z07:00", "2026-11-03T17:04:05+01:00"),
            ("Monday, 2 January 2006 3:04PM MST", "Tuesday, 3 November 2026 5:04PM CET"),
            ("Mon Jan _2 15:04:05 2006", "Tue Nov  3 17:04:05 2026"),
            ("02.01.06 15h04 (Month)", "03.11.26 17h04 (Month)"),
            ("15:04:05.000 -0700, -07", "17:04:05.120 +0100, +01"),
            ("05.999 5.9999 .123", "05.12 5.12 .1135"),
            ("at noon – übel", "at noon – übel"),
        ] {
            assert_eq!(layout(&berlin, text), wanted, "{text}");
        }
        assert_eq!(rfc_3339(&utc), "2026-11-03T16:04:05.12Z");
        assert_eq!(printed(&utc), "2026-11-03 16:04:05.12 +0000 UTC");
        assert_eq!(printed(&berlin), "2026-11-03 17:04:05.12 +0100 CET");
        zoned(at, "Nowhere/Land").expect_err("no zone");
    }
}
