//! Dates of the proleptic Gregorian calendar in UTC, from seconds since the epoch.

/// Year, month 1..=12, day 1..=31.
fn civil(days: i64) -> (i64, i64, i64) {
    // After Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

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

/// The part of a date a function of that name asks for; `None` for other names.
pub(crate) fn part(function: &str, seconds: f64) -> Option<f64> {
    // Beyond this no calendar means anything, and the arithmetic stays exact below it.
    let whole = seconds.floor().clamp(-1e15, 1e15) as i64;
    let days = whole.div_euclid(86_400);
    let in_day = whole.rem_euclid(86_400);
    let (year, month, day) = civil(days);
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
