//! Compressed bodies from outside, undone within a limit: the only place that decompresses gzip.

use std::io::Read;

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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_cap_holds() {
        assert_eq!(gunzip(&gzip(b"plain"), 5).unwrap(), b"plain");
        assert_eq!(gunzip(&[gzip(b"two "), gzip(b"members")].concat(), 100).unwrap(), b"two members");
        assert_eq!(gunzip(&gzip(&vec![0; 1 << 20]), 1 << 10), Err(InflateError::TooLarge { max: 1 << 10 }));
        assert!(matches!(gunzip(b"plain", 10), Err(InflateError::Broken(_))));
        let whole = gzip(b"cut off");
        assert!(matches!(gunzip(&whole[..whole.len() - 3], 100), Err(InflateError::Broken(_))));
    }
}
