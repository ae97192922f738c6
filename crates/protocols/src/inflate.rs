//! Compressed bodies from outside, undone within a limit: the only place that decompresses gzip. And the way there.

use std::io::{self, Read, Write};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    #[error("the body is more than {max} bytes after decompression; send smaller ones")]
    TooLarge { max: usize },
    #[error("the body is not gzip: {0}")]
    Broken(String),
}

/// Undoes gzip, one member or several.
pub fn gunzip(body: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    let mut capped = flate2::read::MultiGzDecoder::new(body).take(max as u64 + 1);
    capped.read_to_end(&mut out).map_err(|e| InflateError::Broken(e.to_string()))?;
    if out.len() > max { Err(InflateError::TooLarge { max }) } else { Ok(out) }
}

/// Some 20 ms a megabyte.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    // writing into memory does not fail
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// Compresses what is written meanwhile into `to`, and gives that back.
pub fn gzip_to<W: Write>(to: W, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<W> {
    let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::new(6));
    fill(&mut encoder)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_holds() {
        assert_eq!(gunzip(&gzip(b"plain"), 5).unwrap(), b"plain");
        assert_eq!(gunzip(&[gzip(b"two "), gzip(b"members")].concat(), 100).unwrap(), b"two members");
        assert_eq!(gunzip(&gzip(&vec![0; 1 << 20]), 1 << 10), Err(InflateError::TooLarge { max: 1 << 10 }));
        assert!(matches!(gunzip(b"plain", 10), Err(InflateError::Broken(_))));
        let written = gzip_to(Vec::new(), |to| to.write_all(b"written")).unwrap();
        assert_eq!(gunzip(&written, 7).unwrap(), b"written");
        let whole = gzip(b"cut off");
        assert!(matches!(gunzip(&whole[..whole.len() - 3], 100), Err(InflateError::Broken(_))));
    }
}
