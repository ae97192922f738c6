//! From OTLP's streams to series, as Prometheus' receiver does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenfold_types::histogram::short_float;
use tenfold_types::{Histogram, HistogramPoint as NativePoint, Labels, Point, STALE_NAN, Timestamp};

use super::delta::{Amount, Deltas};
use super::histograms::{explicit, exponential, finite};
use super::messages::{
    CUMULATIVE, DELTA, Data, Exemplar, ExemplarNumber, KeyValue, Metric, NO_RECORDED_VALUE, NumberPoint, Request,
    Resource, Scope, SummaryPoint,
};
use super::names::{Naming, Shape, unit_text};
use crate::batch::{self, AHEAD_MS_MAX, Batch, Refused, TooMuch, refuse};
use crate::prom_text::Metadata;

/// Bytes of the labels of a whole request, with what each takes besides: points have those of their resource, and series those of
/// their point.
const LABEL_BYTES_MAX: usize = 256 << 20;
const LABEL_BYTES: usize = 64;
/// Bytes of an exemplar's labels that the store takes.
const EXEMPLAR_BYTES_MAX: usize = 1_024;

/// How names and labels are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub naming: Naming,
    pub promoted: Promoted,
    /// Whether `target_info` has what names the target under its own names as well.
    pub keep_identifying: bool,
    /// Whether the scope's name, version, schema and attributes become labels.
    pub promote_scope: bool,
    /// Whether histograms with explicit bounds are kept as native ones with custom buckets.
    pub native_histograms: bool,
}

/// Which attributes of the resource become labels of every series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promoted {
    These(Vec<String>),
    AllBut(Vec<String>),
}

impl Promoted {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.iter().any(|n| n == name),
            Self::AllBut(names) => names.iter().all(|n| n != name),
        }
    }
}

/// One series with all its samples of the request.
#[derive(Debug, Clone, PartialEq)]
struct Out {
    labels: Vec<(String, String)>,
    points: Vec<Point>,
    histograms: Vec<NativePoint>,
    exemplars: Vec<OutExemplar>,
    created_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
struct OutExemplar {
    labels: Vec<(String, String)>,
    value: f64,
    t_ms: i64,
}

/// What a request says, as series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Translated {
    series: Vec<Out>,
    pub metadata: Vec<(String, Metadata)>,
    /// Data points that no series can be made of.
    pub refused: Vec<Refused>,
    /// Data points in all.
    pub points: usize,
    /// What is too much of a request, which was not translated to its end.
    too_much: Option<TooMuch>,
}

impl Translated {
    pub fn batch(&self) -> Result<Batch<'_>, TooMuch> {
        if let Some(too_much) = self.too_much {
            return Err(too_much);
        }
        let mut out = Batch::default();
        for series in &self.series {
            for (name, value) in &series.labels {
                out.label(name, value)?;
            }
            for point in &series.points {
                out.point(*point)?;
            }
            for point in &series.histograms {
                out.histogram(point.clone())?;
            }
            for e in &series.exemplars {
                let labels = e.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                out.exemplar(batch::Exemplar { labels, value: e.value, t_ms: Some(e.t_ms) })?;
            }
            if let Some(created) = series.created_ms {
                out.created(created);
            }
            out.end()?;
        }
        for refused in &self.refused {
            out.refuse(refused.reason, refused.count, || refused.example.clone());
        }
        Ok(out)
    }
}

/// Translates a whole request. Deltas are added to what came before.
pub fn translate(request: &Request, rules: &Rules, deltas: &mut Deltas, now: Timestamp) -> Translated {
    let out = Translated::default();
    let mut all = Translator { rules, deltas, now_ms: now.millis(), out, label_bytes: 0, newest_ms: 0 };
    for of_resource in &request.resource_metrics {
        let none = Resource::default();
        let resource = of_resource.resource.as_ref().unwrap_or(&none);
        let shared = all.resource_labels(resource);
        all.newest_ms = i64::MIN;
        for of_scope in &of_resource.scope_metrics {
            let mut own = None;
            if let (true, Some(scope)) = (rules.promote_scope, &of_scope.scope)
                && all.has_room(&shared.names)
                && all.has_room(&shared.promoted)
            {
                let shared: &mut Shared = own.insert(shared.clone());
                scope_labels(scope, &of_scope.schema_url, rules.naming, &mut shared.names);
            }
            for metric in &of_scope.metrics {
                all.metric(metric, own.as_ref().unwrap_or(&shared));
            }
        }
        all.target_info(resource);
    }
    all.out
}

/// A scope without a name is none. Its attributes do not take the place of what it is called.
fn scope_labels(scope: &Scope, schema_url: &str, naming: Naming, labels: &mut BTreeMap<String, String>) {
    if scope.name.is_empty() {
        return;
    }
    let mut attributes = scope.attributes.clone();
    for one in &mut attributes {
        one.key.insert_str(0, "otel_scope_");
    }
    add_attributes(&attributes, naming, labels);
    labels.insert("otel_scope_name".into(), scope.name.clone());
    labels.insert("otel_scope_version".into(), scope.version.clone());
    labels.insert("otel_scope_schema_url".into(), schema_url.to_owned());
}

fn attribute<'a>(resource: &'a Resource, name: &str) -> Option<&'a KeyValue> {
    resource.attributes.iter().find(|a| a.key == name)
}

fn text(attribute: &KeyValue) -> String {
    attribute.value.as_ref().map(super::messages::AnyValue::text).unwrap_or_default()
}

/// `job` and `instance`, which name a target.
fn target(resource: &Resource) -> [(&'static str, String); 2] {
    let value = |name: &str| attribute(resource, name).map(text).unwrap_or_default();
    let (service, namespace) = (value("service.name"), value("service.namespace"));
    let job = if namespace.is_empty() || service.is_empty() { service } else { format!("{namespace}/{service}") };
    [("job", job), ("instance", value("service.instance.id"))]
}

/// Attributes as labels. Two whose names become one share the label, in the order of their own names.
fn add_attributes(attributes: &[KeyValue], naming: Naming, labels: &mut BTreeMap<String, String>) {
    let mut sorted: Vec<&KeyValue> = attributes.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut mine = BTreeMap::<String, String>::new();
    for one in sorted {
        let name = naming.label(&one.key);
        if name == Labels::NAME || name.is_empty() {
            continue;
        }
        let value = text(one);
        match mine.get_mut(&name) {
            Some(known) => {
                known.push(';');
                known.push_str(&value);
            }
            None => drop(mine.insert(name, value)),
        }
    }
    labels.extend(mine);
}

/// A bound or quantile as Prometheus' receiver writes it: without an exponent, however large or small it is.
fn plain_float(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { short_float(value) }
}

fn millis(nanos: u64) -> i64 {
    (nanos / 1_000_000) as i64
}

fn count(data: &Data) -> usize {
    match data {
        Data::Gauge(d) => d.data_points.len(),
        Data::Sum(d) => d.data_points.len(),
        Data::Histogram(d) => d.data_points.len(),
        Data::ExponentialHistogram(d) => d.data_points.len(),
        Data::Summary(d) => d.data_points.len(),
    }
}

struct Translator<'r> {
    rules: &'r Rules,
    deltas: &'r mut Deltas,
    now_ms: i64,
    out: Translated,
    label_bytes: usize,
    /// Of the resource at hand.
    newest_ms: i64,
}

/// Labels that all points of a resource, or of a scope of it, have.
#[derive(Clone)]
struct Shared {
    /// Attributes of the resource. A point's own of that name says more.
    promoted: BTreeMap<String, String>,
    /// What names the target and the scope: it wins over a point's own attribute of that name.
    names: BTreeMap<String, String>,
}

/// What a point says of itself besides its value.
#[derive(Clone, Copy)]
struct Head<'a> {
    attributes: &'a [KeyValue],
    start_ms: i64,
    t_ms: i64,
    flags: u32,
    exemplars: &'a [Exemplar],
}

impl Translator<'_> {
    fn resource_labels(&self, resource: &Resource) -> Shared {
        let wanted: Vec<KeyValue> =
            resource.attributes.iter().filter(|a| self.rules.promoted.has(&a.key)).cloned().collect();
        let mut promoted = BTreeMap::new();
        add_attributes(&wanted, self.rules.naming, &mut promoted);
        let names = target(resource).into_iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.to_owned(), v));
        Shared { promoted, names: names.collect() }
    }

    /// The resource's other attributes, once, on a series to join with.
    fn target_info(&mut self, resource: &Resource) {
        let target = target(resource);
        let others: Vec<KeyValue> = resource
            .attributes
            .iter()
            .filter(|a| !matches!(a.key.as_str(), "service.name" | "service.namespace" | "service.instance.id"))
            .cloned()
            .collect();
        if others.is_empty() || target.iter().all(|(_, v)| v.is_empty()) || self.newest_ms == i64::MIN {
            return;
        }
        let mut labels = BTreeMap::new();
        let told = if self.rules.keep_identifying { &resource.attributes } else { &others };
        add_attributes(told, self.rules.naming, &mut labels);
        labels.extend(target.into_iter().map(|(n, v)| (n.to_owned(), v)));
        labels.insert(Labels::NAME.into(), "target_info".into());
        self.put_more(labels, vec![Point::new(self.newest_ms, 1.0)], None);
        let about = Metadata { kind: "gauge".into(), help: "Target metadata".into(), unit: String::new() };
        self.out.metadata.push(("target_info".into(), about));
    }

    /// Counts what labels take; whether there was room for them.
    fn has_room(&mut self, labels: &BTreeMap<String, String>) -> bool {
        let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len() + LABEL_BYTES).sum();
        self.label_bytes = self.label_bytes.saturating_add(bytes);
        if self.label_bytes > LABEL_BYTES_MAX {
            self.out.too_much = Some(TooMuch { what: "bytes of labels", max: LABEL_BYTES_MAX });
        }
        self.out.too_much.is_none()
    }

    /// Puts one of several series of a point, or one of none.
    fn put_more(&mut self, labels: BTreeMap<String, String>, points: Vec<Point>, created_ms: Option<i64>) {
        if self.has_room(&labels) {
            self.put(labels, points, created_ms);
        }
    }

    fn put(&mut self, labels: BTreeMap<String, String>, points: Vec<Point>, created_ms: Option<i64>) {
        let labels = labels.into_iter().collect();
        self.out.series.push(Out { labels, points, histograms: vec![], exemplars: vec![], created_ms });
    }

    /// The labels of a point, where there is room for them.
    fn labels(&mut self, shared: &Shared, name: &str, head: Head<'_>) -> Option<BTreeMap<String, String>> {
        if self.out.too_much.is_some() {
            return None;
        }
        // One that the store refuses is not to take the resource's `target_info` with it.
        if head.t_ms <= self.now_ms.saturating_add(AHEAD_MS_MAX) {
            self.newest_ms = self.newest_ms.max(head.t_ms);
        }
        self.out.points += 1;
        let mut labels = BTreeMap::new();
        add_attributes(head.attributes, self.rules.naming, &mut labels);
        for (name, value) in &shared.promoted {
            if labels.get(name).is_none_or(String::is_empty) {
                labels.insert(name.clone(), value.clone());
            }
        }
        labels.extend(shared.names.iter().map(|(n, v)| (n.clone(), v.clone())));
        labels.insert(Labels::NAME.into(), name.into());
        self.has_room(&labels).then_some(labels)
    }

    fn refuse(&mut self, reason: &'static str, metric: &Metric, message: &str) {
        refuse(&mut self.out.refused, reason, 1, || format!("a point of `{:.100}`: {message}", metric.name));
    }

    fn metric(&mut self, metric: &Metric, shared: &Shared) {
        let Some(data) = &metric.data else { return };
        let (shape, kind) = match data {
            Data::Sum(sum) if sum.is_monotonic => (Shape::Counter, "counter"),
            Data::Gauge(_) => (Shape::Gauge, "gauge"),
            Data::Sum(_) => (Shape::Other, "gauge"),
            Data::Histogram(_) | Data::ExponentialHistogram(_) => (Shape::Other, "histogram"),
            Data::Summary(_) => (Shape::Other, "summary"),
        };
        let name = self.rules.naming.metric(&metric.name, &metric.unit, shape);
        if name.is_empty() {
            let count = count(data);
            self.out.points += count;
            refuse(&mut self.out.refused, "no_metric_name", count, || {
                format!("`{:.100}` has no character that a name may have", metric.name)
            });
            return;
        }
        let family = name.strip_suffix("_total").filter(|_| shape == Shape::Counter).unwrap_or(&name);
        let about = Metadata { kind: kind.into(), help: metric.description.clone(), unit: unit_text(&metric.unit) };
        self.out.metadata.push((family.to_owned(), about));
        match data {
            Data::Gauge(gauge) => {
                gauge.data_points.iter().for_each(|p| self.number(metric, &name, shared, p, (CUMULATIVE, false)));
            }
            Data::Sum(sum) => {
                let of = (sum.aggregation_temporality, sum.is_monotonic);
                sum.data_points.iter().for_each(|p| self.number(metric, &name, shared, p, of));
            }
            Data::Histogram(all) => {
                for p in &all.data_points {
                    let head = Head {
                        attributes: &p.attributes,
                        start_ms: millis(p.start_time_unix_nano),
                        t_ms: millis(p.time_unix_nano),
                        flags: p.flags,
                        exemplars: &p.exemplars,
                    };
                    let made = explicit(p).map_err(|e| e.to_string());
                    let Some((labels, h, created)) =
                        self.histogram(metric, &name, shared, head, made, all.aggregation_temporality)
                    else {
                        continue;
                    };
                    if self.rules.native_histograms {
                        self.native(labels, h, head, created);
                    } else {
                        // A mark of the end has no bounds; they are those of the point.
                        self.classic(&labels, &h, head, created, p.sum.is_some(), finite(&p.explicit_bounds));
                    }
                }
            }
            Data::ExponentialHistogram(all) => {
                for p in &all.data_points {
                    let head = Head {
                        attributes: &p.attributes,
                        start_ms: millis(p.start_time_unix_nano),
                        t_ms: millis(p.time_unix_nano),
                        flags: p.flags,
                        exemplars: &p.exemplars,
                    };
                    let made = exponential(p).map_err(|e| e.to_string());
                    let of = all.aggregation_temporality;
                    if let Some((labels, h, created)) = self.histogram(metric, &name, shared, head, made, of) {
                        self.native(labels, h, head, created);
                    }
                }
            }
            Data::Summary(all) => all.data_points.iter().for_each(|p| self.summary(&name, shared, p)),
        }
    }

    fn number(
        &mut self,
        metric: &Metric,
        name: &str,
        shared: &Shared,
        point: &NumberPoint,
        (temporality, monotonic): (i32, bool),
    ) {
        let head = Head {
            attributes: &point.attributes,
            start_ms: millis(point.start_time_unix_nano),
            t_ms: millis(point.time_unix_nano),
            flags: point.flags,
            exemplars: &point.exemplars,
        };
        let Some(labels) = self.labels(shared, name, head) else { return };
        let ended = head.flags & NO_RECORDED_VALUE != 0;
        let value = point.value.map_or(0.0, super::messages::Number::value);
        let (value, created) = if ended {
            (STALE_NAN, None)
        } else if temporality == DELTA {
            match self.add(&labels, Amount::Number(value), head) {
                Ok((Amount::Number(sum), start)) => (sum, Some(start).filter(|start| monotonic && *start > 0)),
                Ok(_) => return,
                Err(wrong) => return self.refuse(wrong.reason(), metric, &wrong.to_string()),
            }
        } else if temporality == CUMULATIVE {
            (value, Some(head.start_ms).filter(|start| monotonic && *start > 0))
        } else {
            return self.refuse("temporality", metric, "it says neither that it is a delta nor that it is cumulative");
        };
        self.put(labels, vec![Point::new(head.t_ms, value)], created);
        self.exemplars(head);
    }

    fn add(
        &mut self,
        labels: &BTreeMap<String, String>,
        delta: Amount,
        head: Head<'_>,
    ) -> Result<(Amount, i64), super::delta::DeltaError> {
        let key: Vec<_> = labels.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        self.deltas.add(&key, delta, (head.start_ms, head.t_ms), self.now_ms)
    }

    /// The labels, the histogram since the beginning, and when that was.
    fn histogram(
        &mut self,
        metric: &Metric,
        name: &str,
        shared: &Shared,
        head: Head<'_>,
        made: Result<Histogram, String>,
        temporality: i32,
    ) -> Option<(BTreeMap<String, String>, Histogram, Option<i64>)> {
        let labels = self.labels(shared, name, head)?;
        let h = match made {
            Ok(h) => h,
            Err(wrong) => {
                self.refuse("bad_histogram", metric, &wrong);
                return None;
            }
        };
        if h.is_stale() {
            return Some((labels, h, None));
        }
        match temporality {
            CUMULATIVE => Some((labels, h, Some(head.start_ms).filter(|start| *start > 0))),
            DELTA => match self.add(&labels, Amount::Histogram(h), head) {
                Ok((Amount::Histogram(sum), start)) => Some((labels, sum, Some(start).filter(|start| *start > 0))),
                Ok(_) => None,
                Err(wrong) => {
                    self.refuse(wrong.reason(), metric, &wrong.to_string());
                    None
                }
            },
            _ => {
                self.refuse("temporality", metric, "it says neither that it is a delta nor that it is cumulative");
                None
            }
        }
    }

    fn native(&mut self, labels: BTreeMap<String, String>, h: Histogram, head: Head<'_>, created: Option<i64>) {
        self.put(labels, Vec::new(), created);
        if let Some(out) = self.out.series.last_mut() {
            out.histograms.push(NativePoint { t_ms: head.t_ms, histogram: Arc::new(h) });
        }
        self.exemplars(head);
    }

    /// `_bucket`, `_sum` and `_count`.
    fn classic(
        &mut self,
        labels: &BTreeMap<String, String>,
        h: &Histogram,
        head: Head<'_>,
        created: Option<i64>,
        with_sum: bool,
        bounds: &[f64],
    ) {
        let name = labels.get(Labels::NAME).cloned().unwrap_or_default();
        let named = |suffix: &str| {
            let mut labels = labels.clone();
            labels.insert(Labels::NAME.into(), format!("{name}{suffix}"));
            labels
        };
        let stale = h.is_stale();
        let head = if stale { Head { exemplars: &[], ..head } } else { head };
        let value = |v: f64| vec![Point::new(head.t_ms, if stale { STALE_NAN } else { v })];
        let counts: BTreeMap<i32, f64> = h.positive.indexed().collect();
        let mut below = 0.0;
        for (i, bound) in bounds.iter().enumerate() {
            if self.out.too_much.is_some() {
                return;
            }
            below += counts.get(&(i as i32)).copied().unwrap_or(0.0);
            let mut labels = named("_bucket");
            labels.insert("le".into(), plain_float(*bound));
            self.put_more(labels, value(below), created);
            let from = if i == 0 { f64::NEG_INFINITY } else { bounds[i - 1] };
            self.exemplars_within(head, from, *bound);
        }
        let mut last = named("_bucket");
        last.insert("le".into(), "+Inf".into());
        self.put_more(last, value(h.count), created);
        self.exemplars_within(head, bounds.last().copied().unwrap_or(f64::NEG_INFINITY), f64::INFINITY);
        if with_sum || stale {
            self.put_more(named("_sum"), value(h.sum), created);
        }
        self.put_more(named("_count"), value(h.count), created);
    }

    fn summary(&mut self, name: &str, shared: &Shared, point: &SummaryPoint) {
        let head = Head {
            attributes: &point.attributes,
            start_ms: millis(point.start_time_unix_nano),
            t_ms: millis(point.time_unix_nano),
            flags: point.flags,
            exemplars: &[],
        };
        let Some(labels) = self.labels(shared, name, head) else { return };
        let stale = head.flags & NO_RECORDED_VALUE != 0;
        let value = |v: f64| vec![Point::new(head.t_ms, if stale { STALE_NAN } else { v })];
        let created = Some(head.start_ms).filter(|start| *start > 0 && !stale);
        for (suffix, v) in [("_sum", point.sum), ("_count", point.count as f64)] {
            let mut labels = labels.clone();
            labels.insert(Labels::NAME.into(), format!("{name}{suffix}"));
            self.put_more(labels, value(v), created);
        }
        for q in &point.quantile_values {
            if self.out.too_much.is_some() {
                return;
            }
            let mut labels = labels.clone();
            labels.insert("quantile".into(), plain_float(q.quantile));
            self.put_more(labels, value(q.value), None);
        }
    }

    /// All exemplars of a point, on the series that was put last.
    fn exemplars(&mut self, head: Head<'_>) {
        self.exemplars_within(head, f64::NEG_INFINITY, f64::INFINITY);
    }

    fn exemplars_within(&mut self, head: Head<'_>, above: f64, to: f64) {
        let Some(out) = self.out.series.last_mut() else { return };
        for e in head.exemplars {
            let value = match e.value {
                Some(ExemplarNumber::AsDouble(value)) => value,
                Some(ExemplarNumber::AsInt(value)) => value as f64,
                None => continue,
            };
            if !(value > above || above == f64::NEG_INFINITY) || value > to {
                continue;
            }
            let mut labels = BTreeMap::new();
            add_attributes(&e.filtered_attributes, self.rules.naming, &mut labels);
            let ids = [("trace_id", &e.trace_id), ("span_id", &e.span_id)];
            let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
            let of_ids: usize = ids.iter().map(|(name, id)| name.len() + 2 * id.len()).sum();
            // The way to its trace is worth more than what else is told.
            if !e.trace_id.is_empty() && bytes + of_ids > EXEMPLAR_BYTES_MAX {
                labels.clear();
            }
            for (name, id) in ids {
                if !id.is_empty() {
                    labels.insert(name.into(), hex::encode(id));
                }
            }
            let t_ms = if e.time_unix_nano == 0 { head.t_ms } else { millis(e.time_unix_nano) };
            out.exemplars.push(OutExemplar { labels: labels.into_iter().collect(), value, t_ms });
        }
    }
}
