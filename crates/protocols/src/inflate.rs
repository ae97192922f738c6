//! Compressed bodies from outside, undone within a limit: the only place that decompresses gzip and zstd. And the way to gzip.

use std::io::{self, Read, Write};

use ruzstd::decoding::StreamingDecoder;

/// What a frame of zstd may ask to be kept while it is undone; the RFC wants 8 MiB read by everybody.
const WINDOW_BYTES_MAX: u64 = 16 << 20;
/// Frames of one body of zstd, those without content among them: an empty one has 9 bytes, and undoing it costs what a full one
/// costs to begin.
const FRAMES_MAX: usize = 1_000;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    #[error("the body is more than {max} bytes after decompression; send smaller ones")]
    TooLarge { max: usize },
    #[error("the body is not gzip: {0}")]
    Broken(String),
    #[error("the body is not zstd: {0}")]
    BrokenZstd(String),
    #[error("the body has more than {FRAMES_MAX} frames of zstd; send it as one")]
    TooManyFrames,
}

/// Undoes gzip, one member or several.
pub fn gunzip(body: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    let mut capped = flate2::read::MultiGzDecoder::new(body).take(max as u64 + 1);
    capped.read_to_end(&mut out).map_err(|e| InflateError::Broken(e.to_string()))?;
    if out.len() > max { Err(InflateError::TooLarge { max }) } else { Ok(out) }
}

/// Undoes zstd (RFC 8878), one frame or several.
pub fn unzstd(body: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    let mut rest = body;
    let mut frames = 0;
    if rest.is_empty() {
        return Err(InflateError::BrokenZstd("it is empty".to_owned()));
    }
    while !rest.is_empty() {
        frames += 1;
        if frames > FRAMES_MAX {
            return Err(InflateError::TooManyFrames);
        }
        if let Some(after) = skippable(rest) {
            let (length, after) = after.split_first_chunk::<4>().ok_or_else(cut_short)?;
            rest = after.get(u32::from_le_bytes(*length) as usize..).ok_or_else(cut_short)?;
            continue;
        }
        let mut frame = StreamingDecoder::new_with_max_window_size(rest, WINDOW_BYTES_MAX)
            .map_err(|e| InflateError::BrokenZstd(e.to_string()))?;
        let room = (max - out.len()) as u64 + 1;
        frame.by_ref().take(room).read_to_end(&mut out).map_err(|e| InflateError::BrokenZstd(e.to_string()))?;
        if out.len() > max {
            return Err(InflateError::TooLarge { max });
        }
        rest = frame.into_inner();
    }
    Ok(out)
}

/// A frame that holds nothing of the content, behind its first word: how long it is, and its bytes.
fn skippable(rest: &[u8]) -> Option<&[u8]> {
    let (magic, after) = rest.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*magic) & 0xffff_fff0 == 0x184d_2a50).then_some(after)
}

fn cut_short() -> InflateError {
    InflateError::BrokenZstd("it ends in the middle of a frame".to_owned())
}

/// Some 20 ms a megabyte.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    gzip_at(6, bytes)
}

/// For what is sent once: the quickest there is, and somewhat larger than by [`gzip`].
pub fn gzip_quickly(bytes: &[u8]) -> Vec<u8> {
    gzip_at(1, bytes)
}

fn gzip_at(level: u32, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
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

    /// Made by the program `zstd` 1.5.4: a text, two frames of which the first has a checksum, and a mebibyte of zeros.
    const TEXT: &str = "28b52ffd04689500006068656c6c6f207a737464200a0100fe8a17a9ebdeff";
    const TWO: &str = "28b52ffd045821000074776f2005b8267e28b52ffd00583100006672616d6573";
    const ZEROS: &str = "28b52ffd04585400001000000100fbff39c00202001000020010000200100002001000020010000200100\
                         003001000f13e16e1";

    #[test]
    fn zstd_is_undone_within_the_cap() {
        let bytes = |text: &str| hex::decode(text).unwrap();
        assert_eq!(unzstd(&bytes(TEXT), 33).unwrap(), b"hello zstd hello zstd hello zstd\n");
        assert_eq!(unzstd(&bytes(TEXT), 32), Err(InflateError::TooLarge { max: 32 }));
        assert_eq!(unzstd(&bytes(TWO), 100).unwrap(), b"two frames");
        let skippable = [bytes("502a4d1803000000ffffff"), bytes(TWO)].concat();
        assert_eq!(unzstd(&skippable, 100).unwrap(), b"two frames");
        assert_eq!(
            unzstd(&skippable[..9], 100).unwrap_err().to_string(),
            "the body is not zstd: it ends in the middle of a frame"
        );
        for cut in 1..bytes(TEXT).len() - 4 {
            assert!(unzstd(&bytes(TEXT)[..cut], 100).is_err(), "{cut}");
        }
        assert_eq!(unzstd(&bytes(ZEROS), 1 << 20).unwrap(), vec![0; 1 << 20]);
        assert_eq!(unzstd(&bytes(ZEROS), 1 << 10), Err(InflateError::TooLarge { max: 1 << 10 }));
        let wide = bytes("28b52ffd00a000");
        assert!(unzstd(&wide, 100).unwrap_err().to_string().contains("window"), "1 GiB of window");
        assert!(unzstd(b"", 100).is_err() && unzstd(b"plain text", 100).is_err());
    }

    #[test]
    fn very_many_empty_frames_are_refused() {
        // One last raw block without bytes; a frame to be skipped, without bytes.
        let empty = hex::decode("28b52ffd0058010000").unwrap();
        let skipped = hex::decode("502a4d1800000000").unwrap();
        for frame in [empty, skipped] {
            assert_eq!(unzstd(&frame.repeat(FRAMES_MAX), 100).unwrap(), b"");
            assert_eq!(unzstd(&frame.repeat(FRAMES_MAX + 1), 100), Err(InflateError::TooManyFrames));
        }
    }

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
