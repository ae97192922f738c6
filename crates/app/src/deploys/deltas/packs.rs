//! Packs: many files, pieces of large ones and deltas together in gzip, so that a fan-out sends what a release takes when it is
//! compressed, and compresses it once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use tenfold_deploys::Digest;
use tenfold_protocols::agent::{PACK_CONTENT_BYTES_MAX, PACK_PARTS_MAX};
use tenfold_protocols::inflate::gzip;

use super::Delta;
use crate::App;
use crate::deploys::Blobs;

/// Larger blobs go in pieces.
const PIECE_BYTES: u64 = PACK_CONTENT_BYTES_MAX / 2;

/// Some bytes of a pack's content: a piece of a blob, or with `base` the whole delta over that.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Part {
    pub blob: Digest,
    pub base: Option<Digest>,
    pub from: u64,
    pub len: u64,
}

/// A pack, compressed, and what it holds.
#[derive(Debug)]
pub struct Pack {
    pub digest: Digest,
    pub bytes: Vec<u8>,
    pub parts: Vec<Part>,
}

/// How blobs that a host asked for go to it.
#[derive(Debug, Default)]
pub struct Plan {
    /// The parts of each pack.
    pub packs: Vec<Vec<Part>>,
    /// Deltas that fill no pack: blob, base, delta.
    pub deltas: Vec<(Digest, Digest, Arc<Delta>)>,
    /// Not here, or not any more.
    pub gone: Vec<Digest>,
}

impl App {
    /// Plans packs of blobs, each with what the host has in its place. The same question gets the same packs.
    pub async fn pack_plan(&self, wanted: Vec<(Digest, Option<Digest>)>) -> Plan {
        let blobs = self.blobs();
        let sizes = move || {
            let size = |(blob, base): (Digest, Option<Digest>)| {
                (
                    blob,
                    base,
                    std::fs::metadata(blobs.path(blob)).ok().filter(std::fs::Metadata::is_file).map(|m| m.len()),
                )
            };
            wanted.into_iter().map(size).collect::<Vec<_>>()
        };
        let sized = tokio::task::spawn_blocking(sizes).await.unwrap_or_default();
        let (mut plan, mut parts) = (Plan::default(), Vec::new());
        for (blob, base, size) in sized {
            let Some(size) = size else {
                plan.gone.push(blob);
                continue;
            };
            let delta = match base {
                Some(base) => self.blob_delta(base, blob).await.map(|delta| (base, delta)),
                None => None,
            };
            match delta {
                Some((base, delta)) if delta.bytes.len() as u64 <= PACK_CONTENT_BYTES_MAX => {
                    parts.push(Part { blob, base: Some(base), from: 0, len: delta.bytes.len() as u64 });
                }
                Some((base, delta)) => plan.deltas.push((blob, base, delta)),
                None => parts.extend(pieces(blob, size)),
            }
        }
        plan.packs = grouped(parts);
        plan
    }

    /// The pack of these parts; nothing when a file of it cannot be read any more.
    pub async fn blob_pack(&self, parts: Vec<Part>) -> Option<Arc<Pack>> {
        let packs = &self.deploys.deltas.packs;
        let cell = packs.cell(parts.clone());
        let made = cell.get_or_init(|| async {
            let _turn = packs.making.acquire().await.ok()?;
            let mut deltas = HashMap::new();
            for part in &parts {
                if let Some(base) = part.base {
                    deltas.insert((base, part.blob), self.blob_delta(base, part.blob).await?);
                }
            }
            let blobs = self.blobs();
            tokio::task::spawn_blocking(move || {
                let content = content(&blobs, &parts, &deltas).ok()?;
                let bytes = gzip(&content);
                Some(Arc::new(Pack { digest: Digest::of(&bytes), bytes, parts }))
            })
            .await
            .ok()
            .flatten()
        });
        made.await.clone()
    }
}

/// A blob in pieces; an empty one has none.
fn pieces(blob: Digest, size: u64) -> impl Iterator<Item = Part> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let len = PIECE_BYTES.min(size - from);
        let part = Part { blob, base: None, from, len };
        from += len;
        (len > 0).then_some(part)
    })
}

/// One pack after the other, each as full as it may be, in the order of the parts.
fn grouped(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let mut packs: Vec<Vec<Part>> = Vec::new();
    let mut room = 0;
    for part in parts {
        if let Some(pack) = packs.last_mut().filter(|pack| part.len <= room && pack.len() < PACK_PARTS_MAX) {
            room -= part.len;
            pack.push(part);
        } else {
            room = PACK_CONTENT_BYTES_MAX.saturating_sub(part.len);
            packs.push(vec![part]);
        }
    }
    packs
}

/// Blocks.
fn content(blobs: &Blobs, parts: &[Part], deltas: &HashMap<(Digest, Digest), Arc<Delta>>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    for part in parts {
        if let Some(base) = part.base {
            let delta = deltas.get(&(base, part.blob)).ok_or(io::ErrorKind::NotFound)?;
            content.extend_from_slice(&delta.bytes);
            continue;
        }
        let mut file = File::open(blobs.path(part.blob))?;
        file.seek(SeekFrom::Start(part.from))?;
        let read = file.take(part.len).read_to_end(&mut content)?;
        if read as u64 != part.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_blob_goes_in_pieces_and_an_empty_one_in_none() {
        let blob = Digest::of(b"large");
        let ends = |size| pieces(blob, size).map(|p| (p.from, p.len)).collect::<Vec<_>>();
        assert!(ends(0).is_empty());
        assert_eq!(ends(5), [(0, 5)]);
        assert_eq!(ends(PIECE_BYTES), [(0, PIECE_BYTES)]);
        assert_eq!(ends(2 * PIECE_BYTES + 1), [(0, PIECE_BYTES), (PIECE_BYTES, PIECE_BYTES), (2 * PIECE_BYTES, 1)]);
    }

    #[test]
    fn packs_are_full_and_keep_the_order() {
        let part = |from, len| Part { blob: Digest::of(b"x"), base: None, from, len };
        let lens =
            |parts| grouped(parts).iter().map(|pack| pack.iter().map(|p| p.len).collect()).collect::<Vec<Vec<_>>>();
        assert!(lens(Vec::new()).is_empty());
        let most = PACK_CONTENT_BYTES_MAX;
        assert_eq!(
            lens(vec![part(0, most - 1), part(0, 1), part(0, 1), part(1, most)]),
            [vec![most - 1, 1], vec![1], vec![most]]
        );
        let many = (0..=PACK_PARTS_MAX as u64).map(|n| part(n, 1)).collect::<Vec<_>>();
        let packs = grouped(many.clone());
        assert_eq!(packs.iter().map(Vec::len).collect::<Vec<_>>(), [PACK_PARTS_MAX, 1]);
        assert_eq!(packs.concat(), many);
    }
}
