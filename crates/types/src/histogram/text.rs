//! A histogram in one line, as it appears in the label that `count_values` writes.

use std::fmt::{Display, Formatter, Result};

use super::{Bucket, Histogram};

/// The shortest decimal that reads back the same, with an exponent below 1e-4 and from a million on: as `%g` writes it.
pub fn short_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..6).contains(&power) {
        return value.to_string();
    }
    format!("{mantissa}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}

impl Display for Bucket {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (open, close) =
            (if self.lower_inclusive { '[' } else { '(' }, if self.upper_inclusive { ']' } else { ')' });
        write!(f, "{open}{},{}{close}:{}", short_float(self.lower), short_float(self.upper), short_float(self.count))
    }
}

impl Display for Histogram {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{{count:{}, sum:{}", short_float(self.count), short_float(self.sum))?;
        for bucket in self.plain_buckets().iter().filter(|b| b.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl Histogram {
    /// All buckets, none cut at the zero bucket.
    fn plain_buckets(&self) -> Vec<Bucket> {
        let uncut = Self { zero_threshold: 0.0, ..self.clone() };
        let mut out = uncut.all_buckets();
        if let Some(zero) = out.iter_mut().find(|b| b.lower == 0.0 && b.upper == 0.0) {
            *zero = self.zero_bucket();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Buckets;

    #[test]
    fn one_line() {
        let h = Histogram {
            count: 4.5,
            sum: 1e22,
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive: Buckets::single(0, vec![1.0, 0.0, 2.0]),
            negative: Buckets::single(0, vec![0.5]),
            ..Histogram::default()
        };
        assert_eq!(h.to_string(), "{count:4.5, sum:1e+22, [-1,-0.5):0.5, [-0.001,0.001]:1, (0.5,1]:1, (2,4]:2}");
    }
}
