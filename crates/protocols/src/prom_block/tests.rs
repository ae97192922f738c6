//! Blocks that a real promtool made, read and damaged. That Prometheus' own server wrote the same is tested with the importer.

use std::{fmt::Write, process::Command};

use super::*;

fn made() -> Option<(tempfile::TempDir, Vec<u8>, Vec<u8>)> {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("om.txt");
    let mut om = String::from("# TYPE m gauge\n");
    for i in 0..400 {
        let t = 1_700_000_000 + i * 15;
        let _ = write!(om, "m{{a=\"x\"}} {} {t}\nm{{a=\"y\",b=\"ü\"}} {i} {t}\n", f64::from(i).sin());
    }
    om += "# EOF\n";
    std::fs::write(&text, om).expect("written");
    let out = dir.path().join("blocks");
    let Ok(done) =
        Command::new("promtool").args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&text).arg(&out).output()
    else {
        eprintln!("promtool is not installed: blocks of Prometheus are not read");
        return None;
    };
    assert!(done.status.success(), "{done:?}");
    let mut blocks: Vec<_> = std::fs::read_dir(&out).expect("blocks").map(|e| e.expect("an entry").path()).collect();
    blocks.sort();
    let block = &blocks[0];
    let read = |path: &str| std::fs::read(block.join(path)).expect("a file of the block");
    Some((dir, read("index"), read("chunks/000001")))
}

fn samples(index: &[u8], segment: &[u8]) -> Result<Vec<(String, usize, f64)>, BlockError> {
    let mut index = Index::open(index)?;
    let mut out = Vec::new();
    while let Some(series) = index.next_series()? {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for chunk in &series.chunks {
            check_segment(segment)?;
            read_chunk(segment, chunk.offset, &mut floats, &mut histograms)?;
        }
        assert_eq!(series.chunks.first().map(|c| c.min_ms), floats.first().map(|p| p.t_ms));
        assert_eq!(series.chunks.last().map(|c| c.max_ms), floats.last().map(|p| p.t_ms));
        out.push((series.labels.to_string(), floats.len(), floats.iter().map(|p| p.value).sum()));
    }
    Ok(out)
}

#[test]
fn a_real_block_is_read() {
    let Some((_dir, index, segment)) = made() else { return };
    let found = samples(&index, &segment).expect("a whole block");
    let names: Vec<_> = found.iter().map(|f| f.0.as_str()).collect();
    assert_eq!(names, ["m{a=\"x\"}", "m{a=\"y\",b=\"ü\"}"]);
    let n = found[0].1;
    assert!(n > 100 && n == found[1].1);
    assert_eq!(found[1].2, (n * (n - 1) / 2) as f64, "the first block holds the first samples");
}

#[test]
fn damage_is_told_and_never_a_panic() {
    let Some((_dir, index, segment)) = made() else { return };
    let whole = samples(&index, &segment).expect("a whole block");
    for at in 0..index.len() {
        let mut bytes = index.clone();
        bytes[at] ^= 0x55;
        if let Ok(found) = samples(&bytes, &segment) {
            // Postings and paddings are not read.
            assert_eq!(found, whole, "the flip at {at} went unseen");
        }
        let _ = samples(&index[..at], &segment);
    }
    for at in 8..segment.len() {
        let mut bytes = segment.clone();
        bytes[at] ^= 0x55;
        assert!(samples(&index, &bytes).is_err(), "the flip at {at} went unseen");
    }
}
