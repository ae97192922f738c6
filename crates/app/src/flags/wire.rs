//! Bodies put together from fragments.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::book::Environment;
use super::fragment::{Fragment, SegmentFragment};

/// A tag over definitions; the same definitions have the same tag everywhere.
pub(super) fn tag<'a>(
    environment: &str,
    fragments: impl Iterator<Item = &'a Arc<Fragment>>,
    segments: &[Arc<SegmentFragment>],
) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut digests = Vec::new();
    fragments.for_each(|f| digests.extend_from_slice(&f.digest));
    hasher.update(&(digests.len() as u64).to_le_bytes()).update(&digests);
    for segment in segments {
        hasher.update(&segment.digest);
    }
    format!("\"{environment}:{}\"", &hasher.finalize().to_hex()[..16])
}

fn list<'a>(out: &mut Vec<u8>, name: &str, items: impl Iterator<Item = &'a [u8]>) {
    out.extend_from_slice(b"\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":[");
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
    out.push(b']');
}

/// The client-features document.
pub(super) fn document<'a>(
    version: u32,
    fragments: impl Iterator<Item = &'a Arc<Fragment>>,
    segments: &[Arc<SegmentFragment>],
) -> Vec<u8> {
    let mut out = format!("{{\"version\":{version},").into_bytes();
    list(&mut out, "features", fragments.map(|f| &*f.json));
    out.push(b',');
    list(&mut out, "segments", segments.iter().map(|s| &*s.json));
    out.push(b'}');
    out
}

/// Everything as one event.
pub(super) fn hydration(revision: u32, fragments: &[Arc<Fragment>], segments: &[Arc<SegmentFragment>]) -> Vec<u8> {
    let mut out = format!("{{\"events\":[{{\"type\":\"hydration\",\"eventId\":{revision},").into_bytes();
    list(&mut out, "features", fragments.iter().map(|f| &*f.json));
    out.push(b',');
    list(&mut out, "segments", segments.iter().map(|s| &*s.json));
    out.extend_from_slice(b"}]}");
    out
}

/// The events that bring these flags and segments to what they are now; segments first, since flags name them.
pub(super) fn delta(book: &Environment, flags: &BTreeSet<(&str, &str)>, segments: &BTreeSet<i64>) -> Vec<u8> {
    let mut events: Vec<Vec<u8>> = Vec::new();
    let revision = book.number();
    let with = |kind: &str, field: &str, json: &[u8]| {
        let mut event = format!("{{\"type\":\"{kind}\",\"eventId\":{revision},\"{field}\":").into_bytes();
        event.extend_from_slice(json);
        event.push(b'}');
        event
    };
    for id in segments {
        events.push(match book.segment(*id) {
            Some(segment) => with("segment-updated", "segment", &segment.json),
            None => with("segment-removed", "segmentId", id.to_string().as_bytes()),
        });
    }
    // A flag that moved between projects stands here twice; one event tells what it is now.
    let mut told = "";
    for (name, project) in flags {
        if std::mem::replace(&mut told, name) == *name {
            continue;
        }
        events.push(match book.fragment(name) {
            Some(fragment) => with("feature-updated", "feature", &fragment.json),
            None => serde_json::json!({
                "type": "feature-removed", "eventId": revision, "featureName": name, "project": project,
            })
            .to_string()
            .into_bytes(),
        });
    }
    let mut out = b"{".to_vec();
    list(&mut out, "events", events.iter().map(Vec::as_slice));
    out.push(b'}');
    out
}
