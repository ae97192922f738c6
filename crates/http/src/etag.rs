//! Conditional answers; see [`tenfold_httpkit::etag`].

pub(crate) use tenfold_httpkit::etag::{json, kept, of};
