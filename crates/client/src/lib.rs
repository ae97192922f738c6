//! Feature flags from tenfold, evaluated inside the process.
//!
//! A background thread fetches the definitions (by stream, by polling where no stream gets through) and swaps them in;
//! an evaluation reads the snapshot that is there. It never waits, never fails and never panics: when the server is
//! gone, the last definitions stand. They are also kept in a file, so that a process that starts while the server is
//! away has them; without a file a bootstrap from the code serves, and without that the defaults of each call.
//!
//! This crate must never block a caller of an evaluation, keep global state, or log: what happens is told to the one
//! listener that the builder takes.
//!
//! ```
//! use std::time::Duration;
//! use tenfold_client::{Client, Context};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("tenfold-client-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let (url, token, file) = ("http://127.0.0.1:9", "token", folder.join("flags.state"));
//! let flags = Client::builder(url, token)
//!     .app_name("photos")
//!     .state_file(file)
//!     .bootstrap(r#"{"version": 2, "features": [{"name": "new_uploader", "enabled": true}]}"#)
//!     .on_event(|event| eprintln!("flags: {event}"))
//!     .start()?;
//! flags.wait_for_definitions(Duration::from_millis(200)); // optional; what is there is used meanwhile
//!
//! let person = Context::new().with("userId", "4711").with("plan", "pro");
//! assert!(flags.bool("new_uploader", &person, false));
//! assert_eq!(flags.int("upload_limit", &person, 10), 10, "no such flag: the default of the call");
//! # drop(flags);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

mod builder;
mod client;
mod counts;
mod event;
mod http;
mod keeper;
mod pace;
mod shared;
mod sse;
mod state_file;
mod sync;
mod table;

pub use builder::{Builder, Mode, StartError};
pub use client::{Client, Details, Variant};
pub use event::{Event, Origin};
pub use tenfold_flags::{Context, FlagKey, FlagRef, Reason, ValueType};

/// The guide's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/flag-clients.md")]
struct Guide;
