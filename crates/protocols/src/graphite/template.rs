//! Templates: which part of a dotted path is the metric's name, and which are labels.
//!
//! `FILTER TEMPLATE TAGS`, of which only the template is needed: `servers.* .host.measurement*  role=db` takes
//! `servers.h1.cpu.load` as `cpu_load{host="h1",role="db"}`. Parts of the template are `measurement` (several are joined),
//! `measurement*` (the rest), `field` and `field*` (the same, and behind the measurement), the name of a label, or nothing (left
//! out).

use crate::otlp::label_name;
use crate::statsd::metric_name;

/// Parts a path may have.
const PARTS_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("`{0}`: a template is `[FILTER] TEMPLATE [name=value,...]`")]
    Shape(String),
    #[error("`{0}`: a template names a `measurement` at least once, and `measurement*` or `field*` only at its end")]
    Measurement(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Skip,
    Name,
    /// `measurement*`
    Rest,
    Field,
    /// `field*`
    FieldRest,
    Label(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// A part of the path, or `*` for any; the path may go on.
    filter: Vec<String>,
    parts: Vec<Part>,
    tags: Vec<(String, String)>,
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let wrong = || TemplateError::Shape(text.to_owned());
        let words: Vec<&str> = text.split_whitespace().collect();
        let (filter, template, tags) = match words[..] {
            [template] => ("", template, ""),
            [template, tags] if tags.contains('=') => ("", template, tags),
            [filter, template] => (filter, template, ""),
            [filter, template, tags] if tags.contains('=') => (filter, template, tags),
            _ => return Err(wrong()),
        };
        let tags = tags
            .split(',')
            .filter(|t| !t.is_empty())
            .map(|t| t.split_once('=').map(|(n, v)| (label_name(n), v.to_owned())).ok_or_else(wrong))
            .collect::<Result<_, _>>()?;
        let parts: Vec<Part> = template
            .split('.')
            .map(|part| match part {
                "" => Part::Skip,
                "measurement" => Part::Name,
                "measurement*" => Part::Rest,
                "field" => Part::Field,
                "field*" => Part::FieldRest,
                label => Part::Label(label_name(label)),
            })
            .collect();
        let rest = parts.iter().position(|p| matches!(p, Part::Rest | Part::FieldRest));
        let named = parts.iter().any(|p| matches!(p, Part::Name | Part::Rest));
        if !named || rest.is_some_and(|at| at + 1 != parts.len()) {
            return Err(TemplateError::Measurement(text.to_owned()));
        }
        Ok(Self { filter: filter.split('.').filter(|p| !p.is_empty()).map(str::to_owned).collect(), parts, tags })
    }

    fn fits(&self, path: &[&str]) -> bool {
        self.filter.len() <= path.len() && self.filter.iter().zip(path).all(|(f, p)| f == "*" || f == p)
    }

    fn apply(&self, path: &[&str]) -> Option<(String, Vec<(String, String)>)> {
        let (mut name, mut field): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let mut labels: Vec<(String, String)> = self.tags.clone();
        for (i, part) in self.parts.iter().enumerate() {
            let Some(word) = path.get(i) else { break };
            match part {
                Part::Skip => {}
                Part::Name => name.push(word),
                Part::Rest => name.extend(&path[i..]),
                Part::Field => field.push(word),
                Part::FieldRest => field.extend(&path[i..]),
                Part::Label(label) => match labels.iter_mut().find(|(n, _)| n == label) {
                    Some((_, value)) => *value = format!("{value}.{word}"),
                    None => labels.push((label.clone(), (*word).to_owned())),
                },
            }
        }
        if name.is_empty() {
            return None;
        }
        name.append(&mut field);
        Some((metric_name(&name.join("_")), labels))
    }
}

/// Templates in their order; the first that fits counts. Without one the whole path is the name, its dots as `_`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Templates(Vec<Template>);

impl Templates {
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, TemplateError> {
        texts.into_iter().map(Template::parse).collect::<Result<_, _>>().map(Self)
    }

    /// The metric's name and its labels.
    pub fn apply(&self, path: &str) -> (String, Vec<(String, String)>) {
        let parts: Vec<&str> = path.split('.').filter(|p| !p.is_empty()).take(PARTS_MAX).collect();
        let made = self.0.iter().filter(|t| t.fits(&parts)).find_map(|t| t.apply(&parts));
        made.unwrap_or_else(|| (metric_name(&parts.join("_")), Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_template_that_fits_counts() {
        let templates = Templates::parse([
            "servers.* .host.measurement* role=db,zone=eu",
            "stats.timers.* ..measurement.quantile",
            "app.* .service.region.region.measurement",
            "cpu.* measurement.core.measurement",
            "disk.* field.host.measurement.field",
            "net.* .measurement.field*",
        ])
        .unwrap();
        for (path, wanted) in [
            ("servers.h1.cpu.load", "cpu_load role=db zone=eu host=h1"),
            ("stats.timers.resize.p95", "resize quantile=p95"),
            ("app.photos.eu.west.hits", "hits service=photos region=eu.west"),
            ("cpu.0.idle", "cpu_idle core=0"),
            ("disk.h1.sda.reads", "sda_disk_reads host=h1"),
            ("net.eth0.rx.bytes", "eth0_rx_bytes"),
            ("disk.h1", "disk_h1"),
            ("servers", "servers"),
            ("servers.h1", "servers_h1"),
            ("some.other-path.5xx", "some_other_path_5xx"),
        ] {
            let (name, labels) = templates.apply(path);
            let labels: Vec<String> = labels.iter().map(|(n, v)| format!(" {n}={v}")).collect();
            assert_eq!(format!("{name}{}", labels.concat()), wanted, "{path}");
        }
    }

    #[test]
    fn a_wrong_template_is_named() {
        for (text, message) in [
            ("", "``: a template is `[FILTER] TEMPLATE [name=value,...]`"),
            ("a b c", "`a b c`: a template is `[FILTER] TEMPLATE [name=value,...]`"),
            (
                "host.role",
                "`host.role`: a template names a `measurement` at least once, and `measurement*` or `field*` only at its end",
            ),
            (
                "field*.measurement",
                "`field*.measurement`: a template names a `measurement` at least once, and `measurement*` or `field*` only at its end",
            ),
            (
                "measurement*.host",
                "`measurement*.host`: a template names a `measurement` at least once, and `measurement*` or `field*` only at its end",
            ),
        ] {
            assert_eq!(Template::parse(text).unwrap_err().to_string(), message);
        }
    }
}
