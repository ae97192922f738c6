//! `load` and `load_with_nhcb`: from lines to samples.

use std::collections::BTreeMap;

use tenfold_promql::series::{Item, Table, description, items, start_offsets};
use tenfold_types::{
    Histogram, Labels,
    histogram::{Buckets, CUSTOM_SCHEMA},
};

use super::{Result, duration};

/// Runs one `load` command with the lines below it.
pub fn load(table: &mut Table, command: &str, body: &[&str]) -> Result<()> {
    let (word, step) = command.split_once(char::is_whitespace).ok_or("a step is missing")?;
    let with_nhcb = match word {
        "load" => false,
        "load_with_nhcb" => true,
        other => return Err(format!("unknown command `{other}`")),
    };
    let step = duration(step.trim())?;
    let mut loaded: BTreeMap<Labels, Vec<Item>> = BTreeMap::new();
    let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
    let mut all_starts: Vec<(Labels, Vec<Option<i64>>)> = Vec::new();
    for line in body {
        let (labels, rest) = description(line)?;
        if let Some(offsets) = rest.strip_prefix("@st") {
            if starts.replace((labels, start_offsets(offsets)?)).is_some() {
                return Err("@st line has no following sample line".into());
            }
            continue;
        }
        let values = items(rest)?;
        if let Some((of, offsets)) = starts.take() {
            if of != labels {
                return Err("@st metric does not match the following sample line metric".into());
            }
            if offsets.len() != values.len() {
                return Err(format!("@st line has {} values but sample line has {}", offsets.len(), values.len()));
            }
            all_starts.push((of, offsets));
        }
        loaded.insert(labels, values);
    }
    if starts.is_some() {
        return Err("@st line has no following sample line".into());
    }
    for (labels, values) in &loaded {
        for (i, item) in values.iter().enumerate() {
            let t_ms = i as i64 * step;
            match item {
                Item::Missing => {}
                Item::Float(v) => table.add(labels.clone(), t_ms, *v),
                Item::Histogram(h, _) => table.add_histogram(labels.clone(), t_ms, (**h).clone()),
            }
        }
    }
    for (labels, offsets) in all_starts {
        for (i, offset) in offsets.into_iter().enumerate() {
            if let Some(offset) = offset {
                table.set_start(labels.clone(), i as i64 * step, i as i64 * step + offset);
            }
        }
    }
    if with_nhcb { convert_classic(table, &loaded, step) } else { Ok(()) }
}

/// The parts of one classic histogram at one instant.
#[derive(Default)]
struct Parts {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Classic histograms once more, as native ones with custom buckets.
fn convert_classic(table: &mut Table, loaded: &BTreeMap<Labels, Vec<Item>>, step: i64) -> Result<()> {
    let mut found: BTreeMap<Labels, BTreeMap<i64, Parts>> = BTreeMap::new();
    for (labels, values) in loaded {
        let name = labels.metric_name().unwrap_or_default();
        let suffixes = ["_bucket", "_count", "_sum"];
        let Some((kind, base)) = suffixes.iter().find_map(|s| Some((*s, name.strip_suffix(s)?))) else { continue };
        let le = labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|le| !le.is_nan());
        if kind == "_bucket" && le.is_none() {
            continue;
        }
        let mut labels = labels.clone();
        labels.remove("le");
        labels.set(Labels::NAME, base);
        let family = found.entry(labels).or_default();
        for (i, item) in values.iter().enumerate() {
            let Item::Float(v) = item else { continue };
            let parts = family.entry(i as i64 * step).or_default();
            match (kind, le) {
                ("_bucket", Some(le)) => parts.buckets.push((le, *v)),
                ("_count", _) => parts.count = Some(*v),
                _ => parts.sum = *v,
            }
        }
    }
    for (labels, family) in found {
        for (t_ms, parts) in family {
            table.add_histogram(labels.clone(), t_ms, parts.histogram()?);
        }
    }
    Ok(())
}

impl Parts {
    fn histogram(mut self) -> Result<Histogram> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|next, kept| next.0 == kept.0);
        if self.buckets.windows(2).any(|w| w[1].1 < w[0].1) {
            return Err("the counts of a classic histogram are not cumulative".into());
        }
        let count = self.count.or(self.buckets.last().map(|b| b.1)).unwrap_or(0.0);
        if self.buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        if self.buckets.last().is_some_and(|b| b.1 != count) {
            return Err("the count of a classic histogram is not that of its last bucket".into());
        }
        let mut before = 0.0;
        let counts = self.buckets.iter().map(|(_, total)| total - std::mem::replace(&mut before, *total));
        let mut histogram = Histogram {
            schema: CUSTOM_SCHEMA,
            count,
            sum: self.sum,
            positive: Buckets::single(0, counts.collect()),
            bounds: self.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
            ..Histogram::default()
        };
        histogram.compact();
        Ok(histogram)
    }
}
