//! Binary frames: pieces of blobs.

use super::{BINARY_FRAME_BYTES_MAX, BlobDigest, FrameError};

/// A binary frame: the blob's digest, then a chunk. Chunks of one blob come in order.
pub fn encode_chunk(digest: BlobDigest, chunk: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(32 + chunk.len());
    frame.extend_from_slice(&digest.0);
    frame.extend_from_slice(chunk);
    frame
}

/// Reads a binary frame.
pub fn decode_chunk(frame: &[u8]) -> Result<(BlobDigest, &[u8]), FrameError> {
    if frame.len() <= 32 || frame.len() > BINARY_FRAME_BYTES_MAX {
        return Err(FrameError::BinarySize(frame.len()));
    }
    let (head, chunk) = frame.split_at(32);
    let mut digest = [0; 32];
    digest.copy_from_slice(head);
    Ok((BlobDigest(digest), chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_carry_their_digest() {
        let frame = encode_chunk(BlobDigest([9; 32]), b"abc");
        assert_eq!(decode_chunk(&frame).unwrap(), (BlobDigest([9; 32]), &b"abc"[..]));
        assert!(decode_chunk(&frame[..32]).is_err());
        assert!(decode_chunk(&vec![0; BINARY_FRAME_BYTES_MAX + 1]).is_err());
    }
}
