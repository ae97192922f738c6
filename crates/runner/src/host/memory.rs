//! `/proc/meminfo`, every line of it: `Active(anon): 12 kB` is `node_memory_Active_anon_bytes`.

use std::io;

use super::{Host, Page};

pub(super) fn collect(host: &Host, page: &mut Page) -> io::Result<()> {
    for line in host.read("proc/meminfo")?.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let mut fields = rest.split_ascii_whitespace();
        let Some(value) = fields.next().and_then(|v| v.parse::<f64>().ok()) else { continue };
        let name = name.replace('(', "_").replace(')', "");
        match fields.next() {
            Some("kB") => page.put(&format!("node_memory_{name}_bytes"), &[], value * 1024.0),
            _ => page.put(&format!("node_memory_{name}"), &[], value),
        }
    }
    Ok(())
}
