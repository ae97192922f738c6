//! Label sets and matchers of the Prometheus data model.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

/// A label set: names unique and sorted, empty values absent. The metric name is the label `__name__`. Copies share their texts
/// until one is changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Arc<Vec<(String, String)>>);

impl Labels {
    pub const NAME: &'static str = "__name__";

    pub fn new() -> Self {
        Self::default()
    }
    /// From pairs in any order; the last of a repeated name wins, empty values are dropped.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let pairs = pairs.into_iter();
        let mut out: Vec<(String, String)> = Vec::with_capacity(pairs.size_hint().0);
        for (n, v) in pairs {
            let (name, value) = (n.into(), v.into());
            // Most come in order.
            if !value.is_empty() && out.last().is_none_or(|(last, _)| *last < name) {
                out.push((name, value));
            } else {
                put(&mut out, name, value);
            }
        }
        Self(Arc::new(out))
    }
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok().map(|i| self.0[i].1.as_str())
    }
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        put(Arc::make_mut(&mut self.0), name.into(), value.into());
    }
    pub fn remove(&mut self, name: &str) {
        if let Ok(i) = self.0.binary_search_by(|(n, _)| n.as_str().cmp(name)) {
            Arc::make_mut(&mut self.0).remove(i);
        }
    }
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }
    /// With those of `others` for whose names there is nothing here.
    pub fn completed_by(&self, others: &Self) -> Self {
        let mut all = self.clone();
        for (name, value) in others.iter().filter(|(name, _)| self.get(name).is_none()) {
            all.set(name, value);
        }
        all
    }
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
    pub fn metric_name(&self) -> Option<&str> {
        self.get(Self::NAME)
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Sets a label among others that are sorted; an empty value removes it.
fn put(pairs: &mut Vec<(String, String)>, name: String, value: String) {
    match pairs.binary_search_by(|(n, _)| n.cmp(&name)) {
        Ok(i) if value.is_empty() => {
            pairs.remove(i);
        }
        Ok(i) => pairs[i].1 = value,
        Err(_) if value.is_empty() => {}
        Err(i) => pairs.insert(i, (name, value)),
    }
}

/// As PromQL and the text format write a series: `http_requests_total{code="200",job="web"}`. Names that are none of
/// Prometheus' old ones stand in quotes: `{"http.requests",job="web"}`.
impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.metric_name();
        let in_front = name.filter(|n| is_legacy_name(n, ":_"));
        f.write_str(in_front.unwrap_or_default())?;
        let mut separator = "{";
        if let (Some(name), None) = (name, in_front) {
            write!(f, "{separator}{}", Quoted(name))?;
            separator = ",";
        }
        for (n, v) in self.iter().filter(|(n, _)| *n != Self::NAME) {
            write!(f, "{separator}{}={}", LabelName(n), Quoted(v))?;
            separator = ",";
        }
        match (separator, in_front) {
            (",", _) => f.write_str("}"),
            (_, Some(_)) => Ok(()),
            (_, None) => f.write_str("{}"),
        }
    }
}

/// Whether Prometheus knew such names before it took all of UTF-8: ASCII letters, digits that do not come first, and
/// the characters of `more`.
pub fn is_legacy_name(name: &str, more: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || more.contains(c))
        && chars.all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

struct LabelName<'a>(&'a str);

impl std::fmt::Display for LabelName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if is_legacy_name(self.0, "_") { f.write_str(self.0) } else { Quoted(self.0).fmt(f) }
    }
}

/// A text in double quotes with the three escapes that PromQL and the text format share.
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"")?;
        for piece in self.0.split_inclusive(['\\', '"', '\n']) {
            let plain = piece.strip_suffix(['\\', '"', '\n']);
            f.write_str(plain.unwrap_or(piece))?;
            match piece.as_bytes().last() {
                Some(b'\n') => f.write_str("\\n")?,
                Some(b'"') => f.write_str("\\\"")?,
                Some(b'\\') => f.write_str("\\\\")?,
                _ => {}
            }
        }
        f.write_str("\"")
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.0.len()))?;
        for (n, v) in self.iter() {
            map.serialize_entry(n, v)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<String, String>::deserialize(d)?;
        Ok(Self::from_pairs(map))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MatcherOp {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    /// Anchored at both ends, as in PromQL.
    #[serde(rename = "=~")]
    Regex,
    #[serde(rename = "!~")]
    NotRegex,
}

/// One condition on one label; a missing label counts as the empty string.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Matcher {
    pub name: String,
    pub op: MatcherOp,
    pub value: String,
}

impl Matcher {
    pub fn new(name: impl Into<String>, op: MatcherOp, value: impl Into<String>) -> Self {
        Self { name: name.into(), op, value: value.into() }
    }
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(name, MatcherOp::Equal, value)
    }
    /// That the label has this value, or that there is none.
    pub fn equal_or_none(name: impl Into<String>, value: &str) -> Self {
        Self::new(name, MatcherOp::Regex, format!("|{}", regex::escape(value)))
    }

    /// Whether its value is a pattern to compile. A list of texts is none.
    pub fn is_compiled(&self) -> bool {
        matches!(self.op, MatcherOp::Regex | MatcherOp::NotRegex) && crate::pattern::listed(&self.value).is_none()
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let op = match self.op {
            MatcherOp::Equal => "=",
            MatcherOp::NotEqual => "!=",
            MatcherOp::Regex => "=~",
            MatcherOp::NotRegex => "!~",
        };
        write!(f, "{}{op}{}", LabelName(&self.name), Quoted(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_unique_without_empty_values() {
        let l = Labels::from_pairs([("job", "web"), ("__name__", "up"), ("empty", ""), ("job", "api")]);
        assert_eq!(l.to_string(), "up{job=\"api\"}");
        assert_eq!(Labels::new().to_string(), "{}");
        assert_eq!(Labels::new().with("a", "x\"y\\z\nw\u{7f}").to_string(), "{a=\"x\\\"y\\\\z\\nw\u{7f}\"}");
        let foreign = Labels::from_pairs([("__name__", "a{b} 1\nc"), ("d e", "f")]);
        assert_eq!(foreign.to_string(), "{\"a{b} 1\\nc\",\"d e\"=\"f\"}");
        assert_eq!(serde_json::from_str::<Labels>(&serde_json::to_string(&l).unwrap()).unwrap(), l);
        let mut copy = l.clone().with("job", "web");
        copy.remove("__name__");
        assert_eq!((l.to_string(), copy.to_string()), ("up{job=\"api\"}".to_owned(), "{job=\"web\"}".to_owned()));
        let whole = l.completed_by(&Labels::from_pairs([("zone", "b"), ("job", "web"), ("a", "1")]));
        assert_eq!(whole.to_string(), "up{a=\"1\",job=\"api\",zone=\"b\"}");
        assert_eq!((l.completed_by(&Labels::new()), l.completed_by(&l)), (l.clone(), l));
    }
}
