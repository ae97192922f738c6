//! The XML of gmond and gmetad: elements that carry everything in attributes.

use std::borrow::Cow;

use tenfold_types::Labels;

use super::{labels, metadata, metric_name};
use crate::exposition::{Page, PageSample, SAMPLES_MAX};
use crate::prom_proto::LABEL_BYTES_MAX;

/// A metric or host that is silent for so many of its own intervals is gone, as gmetad has it.
const SILENT_INTERVALS: f64 = 4.0;
/// Grids within one another.
const GRIDS_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GangliaXmlError {
    #[error("the answer is not Ganglia's XML")]
    Other,
    #[error("the answer ends in the middle of `<{0}`")]
    Short(String),
    #[error("the answer ends without `</GANGLIA_XML>`")]
    Cut,
    #[error("more than {SAMPLES_MAX} samples in one answer")]
    TooMany,
    #[error("the labels of all samples have more than {LABEL_BYTES_MAX} bytes")]
    TooLarge,
    #[error("more than {GRIDS_MAX} grids within one another")]
    TooDeep,
}

/// Reads a whole answer: numbers become samples with the labels `host`, `cluster` and, from gmetad, `grid`.
pub fn parse(body: &[u8]) -> Result<Page, GangliaXmlError> {
    // The head says ISO-8859-1; what hosts write is mostly UTF-8.
    let text = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => body.iter().map(|b| char::from(*b)).collect::<String>().into(),
    };
    let start = text.find("<GANGLIA_XML").ok_or(GangliaXmlError::Other)?;
    let mut reader = Reader::default();
    let mut rest = &text[start..];
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if rest.starts_with("/GANGLIA_XML") {
            return Ok(reader.page);
        }
        let (tag, after) = Tag::read(rest)?;
        reader.tag(&tag)?;
        rest = after;
    }
    Err(GangliaXmlError::Cut)
}

struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Tag<'a> {
    /// What follows a `<`, and what follows the tag.
    fn read(text: &'a str) -> Result<(Self, &'a str), GangliaXmlError> {
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '/'))).unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        let short = || GangliaXmlError::Short(name.chars().take(30).collect());
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>").or_else(|| rest.strip_prefix('>')) {
                return Ok((Self { name, attributes }, after));
            }
            let (key, after) = rest.split_once("=\"").ok_or_else(short)?;
            let (value, after) = after.split_once('"').ok_or_else(short)?;
            attributes.push((key, value));
            rest = after;
        }
    }

    fn get(&self, name: &str) -> Cow<'a, str> {
        let found = self.attributes.iter().find(|(n, _)| *n == name);
        unescape(found.map_or("", |(_, value)| value))
    }

    fn number(&self, name: &str) -> f64 {
        self.get(name).parse().unwrap_or(0.0)
    }

    fn is_silent(&self) -> bool {
        let max = self.number("TMAX");
        max > 0.0 && self.number("TN") > max * SILENT_INTERVALS
    }
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    known.iter().fold(text.to_owned(), |out, (from, to)| out.replace(from, to)).into()
}

#[derive(Default)]
struct Reader {
    page: Page,
    /// Of all samples: each has the names of its host, cluster and grid.
    label_bytes: usize,
    /// From the outermost to the one that is being read.
    grids: Vec<String>,
    cluster: String,
    /// The host's name, unless it is silent.
    host: Option<String>,
    /// The family the next further data belong to.
    metric: Option<String>,
}

impl Reader {
    fn tag(&mut self, tag: &Tag<'_>) -> Result<(), GangliaXmlError> {
        match tag.name {
            "GRID" if self.grids.len() >= GRIDS_MAX => return Err(GangliaXmlError::TooDeep),
            "GRID" => self.grids.push(tag.get("NAME").into_owned()),
            "/GRID" => drop(self.grids.pop()),
            "CLUSTER" => self.cluster = tag.get("NAME").into_owned(),
            "HOST" => self.host = (!tag.is_silent()).then(|| tag.get("NAME").into_owned()),
            "METRIC" => self.metric(tag)?,
            "EXTRA_ELEMENT" => self.extra(tag),
            _ => {}
        }
        Ok(())
    }

    fn metric(&mut self, tag: &Tag<'_>) -> Result<(), GangliaXmlError> {
        self.metric = None;
        let Some(host) = &self.host else { return Ok(()) };
        let value = tag.get("VAL").trim().parse::<f64>();
        let (Ok(value), false, false) = (value, tag.get("TYPE") == "string", tag.is_silent()) else { return Ok(()) };
        if self.page.samples.len() >= SAMPLES_MAX {
            return Err(GangliaXmlError::TooMany);
        }
        let name = tag.get("NAME");
        let grid = self.grids.last().map_or("", String::as_str);
        self.label_bytes += host.len() + name.len() + self.cluster.len() + grid.len();
        if self.label_bytes > LABEL_BYTES_MAX {
            return Err(GangliaXmlError::TooLarge);
        }
        let mut labels: Labels = labels(host, &name);
        labels.set("cluster", self.cluster.as_str());
        labels.set("grid", grid);
        self.page.samples.push(PageSample::new(labels, value, None));
        let family = metric_name(&name);
        let about = metadata(&tag.get("SLOPE"), "", tag.get("UNITS").trim());
        self.page.metadata.entry(family.clone()).or_insert(about);
        self.metric = Some(family);
        Ok(())
    }

    fn extra(&mut self, tag: &Tag<'_>) {
        let Some(about) = self.metric.as_ref().and_then(|name| self.page.metadata.get_mut(name)) else { return };
        let key = tag.get("NAME");
        if key == "DESC" || (key == "TITLE" && about.help.is_empty()) {
            about.help = tag.get("VAL").into_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = "<?xml version=\"1.0\"?>\n<!DOCTYPE GANGLIA_XML [\n<!ELEMENT GANGLIA_XML (GRID|CLUSTER)*>\n]>\n\
        <GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"gmetad\">\n<GRID NAME=\"all\" AUTHORITY=\"x\">\n\
        <CLUSTER NAME=\"web & co\" LOCALTIME=\"1\">\n<HOST NAME=\"db1\" IP=\"10.0.0.1\" TN=\"5\" TMAX=\"20\">\n\
        <METRIC NAME=\"load_one\" VAL=\"11.59\" TYPE=\"float\" UNITS=\" \" TN=\"0\" TMAX=\"70\" SLOPE=\"both\">\n<EXTRA_DATA>\n\
        <EXTRA_ELEMENT NAME=\"TITLE\" VAL=\"One\"/>\n<EXTRA_ELEMENT NAME=\"DESC\" VAL=\"Load &lt; 1\"/>\n</EXTRA_DATA>\n</METRIC>\n\
        <METRIC NAME=\"my.metric <x>\" VAL=\"3\" TYPE=\"double\" UNITS=\"req/s\" TN=\"4\" TMAX=\"60\" SLOPE=\"positive\"/>\n\
        <METRIC NAME=\"os_release\" VAL=\"6.1\" TYPE=\"string\" TN=\"0\" TMAX=\"60\"/>\n\
        <METRIC NAME=\"old\" VAL=\"1\" TYPE=\"float\" TN=\"241\" TMAX=\"60\"/>\n</HOST>\n\
        <HOST NAME=\"gone\" TN=\"81\" TMAX=\"20\">\n<METRIC NAME=\"load_one\" VAL=\"1\" TYPE=\"float\"/>\n</HOST>\n</CLUSTER>\n</GRID>\n</GANGLIA_XML>\n";

    #[test]
    fn numbers_of_hosts_that_speak_become_samples() {
        let page = parse(ANSWER.as_bytes()).unwrap();
        let shown: Vec<_> = page.samples.iter().map(|s| format!("{} {}", s.labels, s.value)).collect();
        assert_eq!(
            shown,
            [
                "ganglia_load_one{cluster=\"web & co\",grid=\"all\",host=\"db1\"} 11.59",
                "ganglia_my_metric__x_{cluster=\"web & co\",grid=\"all\",host=\"db1\"} 3",
            ]
        );
        let about = &page.metadata["ganglia_load_one"];
        assert_eq!((about.kind.as_str(), about.help.as_str(), about.unit.as_str()), ("gauge", "Load < 1", ""));
        assert_eq!(page.metadata["ganglia_my_metric__x_"].kind, "counter");
    }

    #[test]
    fn what_grows_is_a_counter() {
        let text = ANSWER.replace("SLOPE=\"positive\"", "SLOPE=\"derivative\"");
        assert_eq!(parse(text.as_bytes()).unwrap().metadata["ganglia_my_metric__x_"].kind, "counter");
    }

    #[test]
    fn a_grid_ends_where_it_ends() {
        let cluster = |name: &str| {
            format!("<CLUSTER NAME=\"c\"><HOST NAME=\"{name}\"><METRIC NAME=\"m\" VAL=\"1\"/></HOST></CLUSTER>")
        };
        let text = format!(
            "<GANGLIA_XML A=\"\"><GRID NAME=\"out\"><GRID NAME=\"in\">{}</GRID>{}</GRID>{}</GANGLIA_XML>",
            cluster("a"),
            cluster("b"),
            cluster("c")
        );
        let page = parse(text.as_bytes()).unwrap();
        let grids: Vec<_> = page.samples.iter().map(|s| s.labels.get("grid")).collect();
        assert_eq!(grids, [Some("in"), Some("out"), None]);
        let deep = format!("<GANGLIA_XML>{}", "<GRID NAME=\"a\">".repeat(GRIDS_MAX + 1));
        assert_eq!(parse(deep.as_bytes()), Err(GangliaXmlError::TooDeep));
    }

    /// A name that stands there once is on each sample.
    #[test]
    fn a_long_name_is_not_on_any_number_of_samples() {
        let text = |metrics: usize| {
            let head = format!("<CLUSTER NAME=\"{}\"><HOST NAME=\"h\">", "c".repeat(LABEL_BYTES_MAX / 16));
            format!("<GANGLIA_XML A=\"\">{head}{}</GANGLIA_XML>", "<METRIC NAME=\"m\" VAL=\"1\"/>".repeat(metrics))
        };
        assert_eq!(parse(text(15).as_bytes()).unwrap().samples.len(), 15);
        assert_eq!(parse(text(16).as_bytes()), Err(GangliaXmlError::TooLarge));
    }

    #[test]
    fn half_an_answer_is_none() {
        assert_eq!(parse(b"hello"), Err(GangliaXmlError::Other));
        let cut = &ANSWER[..ANSWER.find("</CLUSTER>").unwrap()];
        assert_eq!(parse(cut.as_bytes()), Err(GangliaXmlError::Cut));
        let cut = &ANSWER[..ANSWER.find(" TYPE=").unwrap() - 2];
        assert_eq!(parse(cut.as_bytes()), Err(GangliaXmlError::Short("METRIC".into())));
        assert_eq!(parse(&[b"<GANGLIA_XML A=\"\xe4\">".as_slice(), b"</GANGLIA_XML>"].concat()), Ok(Page::default()));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(<GANGLIA_XML>)?[A-Z<>=\"/ &;a1é]*") {
            let _ = parse(text.as_bytes());
        }
    }
}
