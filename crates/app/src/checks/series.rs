//! The series of a check. Their labels are made once: they are the same at every look.

use tenfold_alerting::checks::CheckStatus;
use tenfold_protocols::plugin::PerfValue;
use tenfold_tsdb::Sample;
use tenfold_types::{Labels, Timestamp};

use super::CheckSpec;

/// Labels of what the looks of one check bring.
pub(super) struct Series {
    status: Labels,
    duration: Labels,
    /// Of performance data, before what each value says of itself.
    base: Labels,
    /// By the order in which the values come, which a plugin keeps: label and unit, and the series' labels.
    values: Vec<(String, String, Labels)>,
}

impl Series {
    pub fn new(name: &str, spec: &CheckSpec) -> Self {
        let of = |metric: &str| {
            let pairs = [
                (Labels::NAME, metric),
                ("check", name),
                ("environment", spec.environment.as_deref().unwrap_or_default()),
                ("host", spec.host.as_str()),
                ("service", spec.service.as_deref().unwrap_or_default()),
            ];
            Labels::from_pairs(pairs)
        };
        Self {
            status: of("check_status"),
            duration: of("check_duration_seconds"),
            base: of("check_perfdata"),
            values: Vec::new(),
        }
    }

    /// What one result is worth.
    pub fn samples(
        &mut self,
        status: CheckStatus,
        took_ms: Option<i64>,
        values: &[PerfValue],
        now: Timestamp,
    ) -> Vec<Sample> {
        let at = now.millis();
        let mut samples = Vec::with_capacity(values.len() + 2);
        samples.push(Sample::new(self.status.clone(), at, f64::from(status.exit())));
        if let Some(took) = took_ms {
            samples.push(Sample::new(self.duration.clone(), at, took as f64 / 1000.0));
        }
        self.values.truncate(values.len());
        for (place, value) in values.iter().enumerate() {
            let known =
                self.values.get(place).is_some_and(|(label, unit, _)| *label == value.label && *unit == value.unit);
            if !known {
                let labels = self.base.clone().with("perf", value.label.clone()).with("unit", value.unit.clone());
                // What stood behind it is made anew as well.
                self.values.truncate(place);
                self.values.push((value.label.clone(), value.unit.clone(), labels));
            }
            samples.push(Sample::new(self.values[place].2.clone(), at, value.value));
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(label: &str, unit: &str) -> PerfValue {
        let output = format!("fine | '{label}'=1{unit}");
        tenfold_protocols::plugin::read_output(output.as_bytes()).values.remove(0)
    }

    #[test]
    fn labels_are_those_of_each_value_in_whatever_order_they_come() {
        let spec: CheckSpec =
            serde_json::from_str("{\"run\": {\"plugin\": [\"x\"]}, \"host\": \"db1\"}").expect("a check");
        let mut series = Series::new("disk", &spec);
        let rounds: [&[(&str, &str)]; 5] = [
            &[("/", "B"), ("/var", "B")],
            &[("/var", "B"), ("/", "B")],
            &[("/", "s")],
            &[],
            &[("/", "B"), ("/var", "B")],
        ];
        for round in rounds {
            let values: Vec<PerfValue> = round.iter().map(|(label, unit)| value(label, unit)).collect();
            let samples = series.samples(CheckStatus::Ok, Some(1_500), &values, Timestamp(7));
            assert_eq!(samples[0].labels.to_string(), "check_status{check=\"disk\",host=\"db1\"}");
            assert_eq!((samples[1].labels.metric_name(), samples[1].value), (Some("check_duration_seconds"), 1.5));
            let told: Vec<_> = samples[2..].iter().map(|s| (s.labels.get("perf"), s.labels.get("unit"))).collect();
            let wanted: Vec<_> = round.iter().map(|(label, unit)| (Some(*label), Some(*unit))).collect();
            assert_eq!(told, wanted);
        }
    }
}
