//! Dates of the proleptic Gregorian calendar in UTC, from seconds since the epoch.

use tenfold_types::civil_date;

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The part of a date a function of that name asks for, at the whole second towards the epoch; `None` for other names.
pub(crate) fn part(function: &str, seconds: f64) -> Option<f64> {
    // Beyond this no calendar means anything, and the arithmetic stays exact below it.
    let whole = seconds.trunc().clamp(-1e15, 1e15) as i64;
    let days = whole.div_euclid(86_400);
    let in_day = whole.rem_euclid(86_400);
    let (year, month, day) = civil_date(days);
    let value = match function {
        "year" => year,
        "month" => month,
        "day_of_month" => day,
        "day_of_week" => (days + 4).rem_euclid(7),
        "day_of_year" => (1..month).map(|m| days_in(year, m)).sum::<i64>() + day,
        "days_in_month" => days_in(year, month),
        "hour" => in_day / 3600,
        "minute" => in_day / 60 % 60,
        _ => return None,
    };
    Some(if seconds.is_nan() { f64::NAN } else { value as f64 })
}
