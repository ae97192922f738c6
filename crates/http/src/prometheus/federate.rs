//! `/federate`: the newest sample of each series that is asked for, so that another Prometheus scrapes it from here.
//!
//! As Prometheus' `web/federate.go`: samples no older than the lookback, with their own timestamps, without those that
//! ended; with the labels of this server that a series has none of, and with an empty `instance` where it has none then, so
//! that the scraper does not add its own. Text, or protobuf where the asker wants that before text: only there is a place for
//! native histograms. Those with custom buckets go out as classic ones in either.

use std::borrow::Cow;
use std::fmt::Write;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use tenfold_app::App;
use tenfold_app::metrics::{AnswerMemory, Newest, NewestSamples};
use tenfold_promql::{Sample, format_float};
use tenfold_protocols::exposition::Format;
use tenfold_protocols::prom_page;
use tenfold_protocols::prom_proto::{self, Family, FamilyKind, FamilyValue};
use tenfold_types::{Fault, Labels};

use super::params::PrometheusFederation;
use super::{Answer, Params, bad};

/// The newest samples of matching series in the Prometheus text format, or as protobuf with native histograms where the header
/// `Accept` asks for `application/vnd.google.protobuf` first (`match[]`, several times if wanted).
#[utoipa::path(get, path = "/federate", params(PrometheusFederation), responses((status = 200, content_type = "text/plain")))]
pub(super) async fn federate(State(app): State<App>, headers: HeaderMap, RawQuery(q): RawQuery) -> Answer {
    let selectors = Params::new(q.as_deref(), b"").all("match[]");
    if selectors.is_empty() {
        return Err(bad("at least one `match[]` is needed".into()).into());
    }
    let wanted = Wanted::of(&headers);
    let (found, external) = (app.newest_samples(&selectors).await?, app.settings.alerts.external());
    let written = tokio::task::spawn_blocking(move || page(found, wanted, &external)).await;
    let body = written.map_err(|_| Fault::internal("writing the answer ended in a panic"))??;
    Ok(([(header::CONTENT_TYPE, wanted.content_type())], body).into_response())
}

/// The weight of one kind in a header `Accept`; 1 where it has none.
fn quality(kind: &str) -> f64 {
    let weight = kind.split(';').find_map(|part| part.trim().strip_prefix("q=")?.parse().ok());
    weight.unwrap_or(1.0)
}

/// Text in which names may hold any character, in quotes.
const TEXT_UTF8: &str = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";

/// What is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Text(Names),
    Protobuf(Names),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    AsTheyAre,
    /// With `_` for what older readers do not take.
    Legacy,
}

impl Names {
    fn of(self, labels: &Labels) -> Cow<'_, Labels> {
        match self {
            Self::AsTheyAre => Cow::Borrowed(labels),
            Self::Legacy => prom_page::legacy(labels),
        }
    }
}

impl Wanted {
    /// The first of what the asker takes that is written here, by its weight and then by its place; text when none is.
    fn of(headers: &HeaderMap) -> Self {
        let mut taken: Vec<(f64, &str)> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|kind| (quality(kind), kind.trim()))
            .filter(|(quality, _)| *quality > 0.0)
            .collect();
        taken.sort_by(|a, b| b.0.total_cmp(&a.0));
        let read = |(_, kind): (f64, &str)| {
            let says = |part: &str| part.trim().eq_ignore_ascii_case("escaping=allow-utf-8");
            let names = if kind.split(';').any(says) { Names::AsTheyAre } else { Names::Legacy };
            match Format::from_content_type(kind) {
                Some(Format::Protobuf) => Some(Self::Protobuf(names)),
                Some(Format::Prometheus) => Some(Self::Text(names)),
                _ => (kind.starts_with("*/*") || kind.starts_with("text/*")).then_some(Self::Text(Names::Legacy)),
            }
        };
        taken.into_iter().find_map(read).unwrap_or(Self::Text(Names::Legacy))
    }

    fn names(self) -> Names {
        match self {
            Self::Text(names) | Self::Protobuf(names) => names,
        }
    }

    fn content_type(self) -> String {
        match self {
            Self::Text(Names::Legacy) => prom_page::CONTENT_TYPE.to_owned(),
            Self::Text(Names::AsTheyAre) => TEXT_UTF8.to_owned(),
            Self::Protobuf(names) => {
                let escaping = if names == Names::AsTheyAre { "allow-utf-8" } else { "underscores" };
                format!("{}; escaping={escaping}", prom_proto::CONTENT_TYPE)
            }
        }
    }
}

fn value(row: &Newest) -> FamilyValue<'_> {
    match &row.value {
        Sample::Float(number) => FamilyValue::Float(*number),
        Sample::Histogram(h) => FamilyValue::Histogram(h),
    }
}

/// A row under the names that are told.
struct Told<'r> {
    labels: Cow<'r, Labels>,
    kind: FamilyKind,
    row: &'r Newest,
}

impl Told<'_> {
    fn name(&self) -> &str {
        self.labels.metric_name().unwrap_or_default()
    }

    /// Text has no place for native histograms, but for those that classic buckets tell as well.
    fn is_text(&self) -> bool {
        match &self.row.value {
            Sample::Float(_) => true,
            Sample::Histogram(h) => h.is_custom(),
        }
    }

    /// Those of a series without `instance` have an empty one.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let instance = self.labels.get("instance").is_none().then_some(("instance", ""));
        self.labels.iter().chain(instance)
    }
}

/// Rows by family, with the labels of the server that they have none of. Names that are told alike are one series to whoever
/// reads the page: the first is told.
fn told<'r>(
    rows: &'r [Newest],
    wanted: Wanted,
    external: &Labels,
    memory: &mut AnswerMemory,
) -> Result<Vec<Told<'r>>, Fault> {
    let external = wanted.names().of(external);
    let mut all = Vec::with_capacity(rows.len());
    for row in rows.iter().filter(|row| row.labels.metric_name().is_some()) {
        let own = wanted.names().of(&row.labels);
        let is_whole = external.iter().all(|(name, _)| own.get(name).is_some());
        let labels = if is_whole { own } else { Cow::Owned(own.completed_by(&external)) };
        let told = Told { labels, kind: value(row).kind(), row };
        if matches!(wanted, Wanted::Protobuf(_)) || told.is_text() {
            if let Cow::Owned(made) = &told.labels {
                memory.take_labels(made)?;
            }
            all.push(told);
        }
    }
    all.sort_by(|a, b| (a.name(), a.kind).cmp(&(b.name(), b.kind)).then_with(|| a.labels.cmp(&b.labels)));
    all.dedup_by(|a, b| a.kind == b.kind && a.labels == b.labels);
    Ok(all)
}

/// Bytes of an answer after which they are counted.
const COUNTED_BYTES: usize = 1 << 20;

/// An answer as it grows.
struct Page {
    out: Vec<u8>,
    counted: usize,
    memory: AnswerMemory,
    /// The name whose type was written last. In text it is written once, or many a reader refuses the page: what else is of
    /// that name comes without one.
    typed: String,
}

impl Page {
    /// Counts what was written, with what is about to be.
    fn count(&mut self, more: usize) -> Result<(), Fault> {
        let bytes = self.out.len() + more;
        if bytes > self.counted + COUNTED_BYTES {
            self.memory.take((bytes - self.counted) as u64)?;
            self.counted = bytes;
        }
        Ok(())
    }

    fn put_protobuf(&mut self, name: &str, kind: FamilyKind, rows: &[Told<'_>]) -> Result<(), Fault> {
        let mut family = Family::new(name, kind);
        for told in rows {
            family.put(told.pairs(), told.row.t_ms, value(told.row));
            self.count(family.len())?;
        }
        family.end(&mut self.out);
        Ok(())
    }

    fn put_text(&mut self, name: &str, kind: FamilyKind, rows: &[Told<'_>]) -> Result<(), Fault> {
        if self.typed != name {
            let kind = if kind == FamilyKind::Untyped { "untyped" } else { "histogram" };
            // Labels of nothing but a name are that name, in braces where it stands in quotes.
            let bare = Labels::from_pairs([(Labels::NAME, name)]).to_string();
            let shown = bare.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(&bare);
            self.out.extend_from_slice(format!("# TYPE {shown} {kind}\n").as_bytes());
            name.clone_into(&mut self.typed);
        }
        for told in rows {
            let t_ms = told.row.t_ms;
            match &told.row.value {
                Sample::Float(number) => self.put_line(&told.labels, *number, t_ms)?,
                Sample::Histogram(h) => {
                    let part = |of: &str| (*told.labels).clone().with(Labels::NAME, format!("{name}{of}"));
                    for (bound, count) in prom_proto::classic(h) {
                        self.put_line(&part("_bucket").with("le", format_float(bound)), count, t_ms)?;
                    }
                    self.put_line(&part("_sum"), h.sum, t_ms)?;
                    self.put_line(&part("_count"), h.count, t_ms)?;
                }
            }
        }
        Ok(())
    }

    fn put_line(&mut self, labels: &Labels, number: f64, t_ms: i64) -> Result<(), Fault> {
        let mut text = labels.to_string();
        if labels.get("instance").is_none() {
            match text.pop() {
                Some('}') => text.push_str(",instance=\"\"}"),
                last => text.extend(last.into_iter().chain("{instance=\"\"}".chars())),
            }
        }
        // Writing into a string does not fail.
        let _ = writeln!(text, " {} {t_ms}", format_float(number));
        self.out.extend_from_slice(text.as_bytes());
        self.count(0)
    }
}

fn page(found: NewestSamples, wanted: Wanted, external: &Labels) -> Result<Vec<u8>, Fault> {
    let NewestSamples { rows, mut memory } = found;
    memory.take((rows.len() * size_of::<Told<'_>>()) as u64)?;
    let mut page = Page { out: Vec::new(), counted: 0, memory, typed: String::new() };
    let told = told(&rows, wanted, external, &mut page.memory)?;
    for family in told.chunk_by(|a, b| (a.name(), a.kind) == (b.name(), b.kind)) {
        let Some(first) = family.first() else { continue };
        match wanted {
            Wanted::Text(_) => page.put_text(first.name(), first.kind, family)?,
            Wanted::Protobuf(_) => page.put_protobuf(first.name(), first.kind, family)?,
        }
    }
    Ok(page.out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &[&'static str]) -> Wanted {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, axum::http::HeaderValue::from_static(value));
        }
        Wanted::of(&headers)
    }

    #[test]
    fn protobuf_is_written_for_those_who_want_it_first() {
        const PROTO: &str =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        const TEXT: &str = "text/plain;version=0.0.4;q=0.5";
        let text = Wanted::Text(Names::Legacy);
        assert_eq!(wanted(&[]), text);
        assert_eq!(wanted(&["*/*"]), text);
        assert_eq!(wanted(&[PROTO, TEXT]), Wanted::Protobuf(Names::Legacy));
        assert_eq!(wanted(&[TEXT, PROTO]), Wanted::Protobuf(Names::Legacy), "by weight");
        let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                          escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";
        assert_eq!(wanted(&[prometheus]), Wanted::Protobuf(Names::AsTheyAre));
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                            application/openmetrics-text;version=0.0.1;q=0.4,\
                            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(wanted(&[prometheus_3]), Wanted::Text(Names::AsTheyAre));
        let text_first = "application/openmetrics-text;q=0.9,text/plain;q=0.8,application/vnd.google.protobuf;\
                          proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7";
        assert_eq!(wanted(&[text_first]), text);
        assert_eq!(wanted(&["application/vnd.google.protobuf;encoding=text", "text/*"]), text);
    }
}
