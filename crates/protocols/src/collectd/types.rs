//! How the values of a list are called: collectd's `types.db`. A datagram says their number and kinds, not their names.

use std::collections::HashMap;

/// Largest file of types, in bytes.
pub const TYPES_BYTES_MAX: usize = 1 << 20;
/// Types of all files.
const TYPES_MAX: usize = 10_000;

/// Those of collectd 5 that have several values.
const USUAL: &str = "
arc_counts demand_data demand_metadata prefetch_data prefetch_metadata
arc_l2_bytes read write
arc_size current target minlimit maxlimit
compression uncompressed compressed
df used free
disk_io_time io_time weighted_io_time
disk_latency read write
disk_merged read write
disk_octets read write
disk_ops read write
disk_time read write
dns_octets queries responses
domain_state state reason
if_dropped rx tx
if_errors rx tx
if_octets rx tx
if_packets rx tx
io_octets rx tx
io_ops read write
io_packets rx tx
load shortterm midterm longterm
memcached_octets rx tx
mysql_octets rx tx
mysql_qcache hits inserts not_cached lowmem_prunes queries_in_cache
mysql_threads running connected cached created
node_octets rx tx
ps_count processes threads
ps_cputime user syst
ps_disk_octets read write
ps_disk_ops read write
ps_pagefaults minflt majflt
serial_octets rx tx
smart_attribute current worst threshold pretty
vf_bytes vf_rx vf_tx
vf_dropped vf_rx vf_tx
vf_packets vf_rx vf_tx
vmpage_faults minflt majflt
vmpage_io in out
voltage_threshold value threshold
";

/// Why a file holds no types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypesError {
    #[error("line {0} is not `TYPE NAME:KIND:MIN:MAX, ...`")]
    Line(usize),
    #[error("it has more than {TYPES_BYTES_MAX} bytes")]
    TooLarge,
    #[error("there are more than {TYPES_MAX} types")]
    TooMany,
}

/// The names of the values of each type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types(HashMap<String, Vec<String>>);

impl Default for Types {
    fn default() -> Self {
        let lines = USUAL.lines().filter_map(|line| line.split_once(' '));
        Self(lines.map(|(kind, names)| (kind.to_owned(), names.split(' ').map(str::to_owned).collect())).collect())
    }
}

impl Types {
    /// Adds those of a file; what it names again counts from now on.
    pub fn add(&mut self, text: &str) -> Result<(), TypesError> {
        if text.len() > TYPES_BYTES_MAX {
            return Err(TypesError::TooLarge);
        }
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split([' ', '\t', ',', '\r']).filter(|word| !word.is_empty());
            let Some(kind) = words.next() else { continue };
            let names: Option<Vec<String>> = words.map(name).collect();
            let names = names.filter(|names| !names.is_empty()).ok_or(TypesError::Line(at + 1))?;
            self.0.insert(kind.to_owned(), names);
        }
        if self.0.len() > TYPES_MAX { Err(TypesError::TooMany) } else { Ok(()) }
    }

    /// Of an unknown type none.
    pub fn names(&self, kind: &str) -> &[String] {
        self.0.get(kind).map(Vec::as_slice).unwrap_or_default()
    }
}

/// `NAME:KIND:MIN:MAX`.
fn name(word: &str) -> Option<String> {
    let mut parts = word.split(':');
    let name = parts.next().filter(|name| !name.is_empty())?;
    (parts.count() == 3).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_adds_to_the_usual_types() {
        let mut types = Types::default();
        assert_eq!(types.names("load"), ["shortterm", "midterm", "longterm"]);
        assert!(types.names("mine").is_empty());
        types.add("# mine\nmine\ta:GAUGE:0:U, b:DERIVE:0:U # two\n\nload value:GAUGE:0:5000\r\n").unwrap();
        assert_eq!(
            (types.names("mine"), types.names("load")),
            (&["a".to_owned(), "b".into()][..], &["value".to_owned()][..])
        );
        for (text, line) in [("a", 1), ("a b", 1), ("x y:GAUGE:0:U\na b:GAUGE:0", 2), ("a :GAUGE:0:U", 1)] {
            assert_eq!(types.add(text), Err(TypesError::Line(line)), "{text}");
        }
        assert_eq!(types.add(&"#".repeat(TYPES_BYTES_MAX + 1)), Err(TypesError::TooLarge));
        let many: Vec<String> = (0..=TYPES_MAX).map(|n| format!("t{n} v:GAUGE:0:U\n")).collect();
        assert_eq!(types.add(&many.concat()), Err(TypesError::TooMany));
    }
}
