//! Hands the linker the order that `make release` found, in which the functions that a running server calls lie side by side
//! (docs/adr/0057-what-runs-lies-together.md).

use std::env::{var, var_os};
use std::path::Path;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, wanted: &str| var(name).is_ok_and(|value| value == wanted);
    // The linker that comes with the compiler there. One that somebody chose may not know the option.
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_chosen = flags.contains("linker") || flags.contains("fuse-ld") || var_os("RUSTC_LINKER").is_some();
    if is_chosen || !is("TARGET", "x86_64-unknown-linux-gnu") || !is("PROFILE", "release") {
        return Ok(());
    }
    // target/release/build/tenfold-HASH/out
    let Some(release) = var_os("OUT_DIR").and_then(|out| Some(Path::new(&out).ancestors().nth(3)?.to_owned())) else {
        return Ok(());
    };
    let order = release.join("order.txt");
    if !order.exists() {
        // A file that is not there counts as changed with every build.
        std::fs::write(&order, "")?;
    }
    println!("cargo::rerun-if-changed={}", order.display());
    println!("cargo::rustc-link-arg-bin=tenfold=-Wl,--symbol-ordering-file={}", order.display());
    // The list may be of an older build. What is no longer there is passed over.
    println!("cargo::rustc-link-arg-bin=tenfold=-Wl,--no-warn-symbol-ordering");
    Ok(())
}
