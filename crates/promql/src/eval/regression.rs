//! Lines through the samples of a window: `deriv`, `predict_linear` and Holt's linear trend.

use tenfold_types::{Kahan, Point};

use super::window::Window;

/// Least squares: slope per second and the value at `intercept_t`.
#[expect(clippy::float_cmp, reason = "constant means every value is the very same")]
fn regression(points: &[Point], intercept_t: i64) -> (f64, f64) {
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Kahan::default(), Kahan::default(), Kahan::default(), Kahan::default());
    let n = points.len() as f64;
    let y0 = points[0].value;
    if points.iter().all(|p| p.value == y0) {
        return if y0.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, y0) };
    }
    for p in points {
        let x = (p.t_ms - intercept_t) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(p.value);
        xy_sum.add(x * p.value);
        xx_sum.add(x * x);
    }
    let (x, y, xy, xx) = (x_sum.value(), y_sum.value(), xy_sum.value(), xx_sum.value());
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

pub(crate) fn deriv(w: &Window<'_>) -> Option<f64> {
    (w.points.len() >= 2).then(|| regression(w.points, w.first().t_ms).0)
}

pub(crate) fn predict_linear(w: &Window<'_>) -> Option<f64> {
    (w.points.len() >= 2).then(|| {
        let (slope, intercept) = regression(w.points, w.t_ms);
        slope * w.args[0] + intercept
    })
}

/// Holt's linear trend: smoothing factor and trend factor are the arguments.
pub(crate) fn double_exponential_smoothing(w: &Window<'_>) -> Option<f64> {
    let [first, second, ..] = w.points else { return None };
    let [smoothing, trending] = w.args;
    let (mut before, mut now) = (0.0, first.value);
    let mut trend = second.value - first.value;
    for (i, p) in w.points[1..].iter().enumerate() {
        if i > 0 {
            trend = trending * (now - before) + (1.0 - trending) * trend;
        }
        let next = smoothing * p.value + (1.0 - smoothing) * (now + trend);
        (before, now) = (now, next);
    }
    Some(now)
}
