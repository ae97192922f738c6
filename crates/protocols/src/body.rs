//! Bodies that are made once and handed out often: plain, and in gzip for whoever takes that.

use std::sync::OnceLock;

use bytes::Bytes;

/// A smaller body is not worth compressing.
const COMPRESS_BYTES_MIN: usize = 1_024;

/// A body that is made once and then only handed out.
#[derive(Debug, Default)]
pub struct Body {
    plain: OnceLock<Bytes>,
    gzip: OnceLock<Bytes>,
}

impl Body {
    /// Makes it, unless it is made.
    pub fn fill(&self, make: impl FnOnce() -> Vec<u8>) -> &Self {
        self.plain.get_or_init(|| make().into());
        self
    }

    pub fn plain(&self) -> &Bytes {
        static EMPTY: Bytes = Bytes::new();
        self.plain.get().unwrap_or(&EMPTY)
    }

    /// Whether asking for the compressed form costs nothing.
    pub fn is_compressed(&self) -> bool {
        self.gzip.get().is_some() || self.plain().len() < COMPRESS_BYTES_MIN
    }

    /// In gzip; `None` for a body that is too small for it. The first call compresses: a few milliseconds a megabyte.
    pub fn gzip(&self) -> Option<&Bytes> {
        if self.plain().len() < COMPRESS_BYTES_MIN {
            return None;
        }
        let made = self.gzip.get_or_init(|| Bytes::from(crate::inflate::gzip(self.plain())));
        (!made.is_empty()).then_some(made)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_types, reason = "the body is our own and small")]
    fn a_body_is_made_once_and_compressed_when_that_is_worth_it() {
        let small = Body::default();
        assert_eq!(small.fill(|| b"{}".to_vec()).fill(|| unreachable!("it is made")).plain().as_ref(), b"{}");
        assert!(small.is_compressed() && small.gzip().is_none());
        let text = b"{\"enabled\":true}".repeat(1_000);
        let large = Body::default();
        large.fill(|| text.clone());
        assert!(!large.is_compressed());
        let compressed = large.gzip().unwrap();
        assert!(large.is_compressed() && compressed.len() * 10 < text.len());
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, text);
    }
}
