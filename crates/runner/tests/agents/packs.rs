//! What the server sends of the blobs that an agent asks for: packs to one that takes them, to an older one blob by blob.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use tenfold_deploys::Digest;
use tenfold_protocols::agent::{BlobDigest, FromAgent, ToAgent, decode_chunk, decode_to_agent};
use tenfold_protocols::inflate::gunzip;
use tokio_tungstenite::tungstenite::Message;

use crate::world::{Socket, World, line, tls_of};

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a few of them, in a test")]
enum Heard {
    Word(ToAgent),
    Chunk(BlobDigest, Vec<u8>),
    Closed,
}

async fn hear(line: &mut Socket) -> Heard {
    loop {
        match line.next().await {
            Some(Ok(Message::Text(text))) => return Heard::Word(decode_to_agent(&text).unwrap()),
            Some(Ok(Message::Binary(frame))) => {
                let (digest, chunk) = decode_chunk(&frame).unwrap();
                return Heard::Chunk(digest, chunk.to_vec());
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Heard::Closed,
        }
    }
}

async fn need(line: &mut Socket, blobs: Vec<BlobDigest>, bases: BTreeMap<BlobDigest, BlobDigest>) {
    let text = serde_json::to_string(&FromAgent::Need { blobs, bases }).unwrap();
    line.send(Message::text(text)).await.unwrap();
}

/// Takes a file into the server's store.
fn put(world: &World, dir: &tempfile::TempDir, content: &[u8]) -> BlobDigest {
    let file = dir.path().join("content");
    std::fs::write(&file, content).unwrap();
    BlobDigest(*world.app.blobs().put_file(&file).unwrap().0.bytes())
}

/// The bytes that follow under a digest.
async fn bytes(line: &mut Socket, wanted: BlobDigest, size: u64) -> Vec<u8> {
    let mut all = Vec::new();
    while (all.len() as u64) < size {
        match hear(line).await {
            Heard::Chunk(digest, chunk) if digest == wanted => all.extend(chunk),
            other => panic!("a chunk of {wanted} was to come: {other:?}"),
        }
    }
    all
}

#[tokio::test]
async fn an_agent_that_takes_packs_gets_many_blobs_in_one() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    world.let_in("web-1").await.stop().await;
    let mut host = line(&world, tls_of(&world.identity("web-1")), "web-1", true).await;
    let old: Vec<u8> = (0..9_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let new = [&old[..20_000], b"a line more\n", &old[20_000..]].concat();
    let text = b"a line of text\n".repeat(2_000);
    let [old, changed, text_blob] = [&old[..], &new[..], &text[..]].map(|content| put(&world, &dir, content));
    let gone = BlobDigest([7; 32]);
    need(&mut host, vec![text_blob, gone, changed], BTreeMap::from([(changed, old)])).await;

    // what is here and needs no comparing comes first
    let mut packs = Vec::new();
    let mut refused = Vec::new();
    while packs.len() < 2 {
        match hear(&mut host).await {
            Heard::Word(ToAgent::NoBlob { digest }) => refused.push(digest),
            Heard::Word(ToAgent::Pack { pack, size, parts }) => {
                let packed = bytes(&mut host, pack, size).await;
                assert_eq!(Digest::of(&packed).bytes(), &pack.0);
                let content: u64 = parts.iter().map(|part| part.bytes).sum();
                packs.push((parts, gunzip(&packed, usize::try_from(content).unwrap()).unwrap(), size));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused, [gone]);
    let (parts, content, size) = &packs[0];
    assert_eq!((parts.len(), parts[0].blob, parts[0].base), (1, text_blob, None));
    assert_eq!(content, &text);
    assert!(*size < 1_000, "{size} bytes for {}", text.len());
    let (parts, _, size) = &packs[1];
    assert_eq!((parts.len(), parts[0].blob, parts[0].base), (1, changed, Some(old)));
    assert!(*size < 1_000, "{size} bytes for a line in {}", new.len());
    world.end().await;
}

#[tokio::test]
async fn an_older_agent_gets_blobs_and_deltas_one_by_one() {
    let (world, dir) = (World::new().await, tempfile::tempdir().unwrap());
    world.let_in("web-1").await.stop().await;
    let mut host = line(&world, tls_of(&world.identity("web-1")), "web-1", false).await;
    let old: Vec<u8> = (0..9_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let new = [&old[..20_000], b"a line more\n", &old[20_000..]].concat();
    let (old_blob, changed) = (put(&world, &dir, &old), put(&world, &dir, &new));
    need(&mut host, vec![old_blob, changed], BTreeMap::from([(changed, old_blob)])).await;
    assert_eq!(bytes(&mut host, old_blob, old.len() as u64).await, old);
    match hear(&mut host).await {
        Heard::Word(ToAgent::Delta { blob, base, delta, size }) => {
            assert_eq!((blob, base), (changed, old_blob));
            let delta = bytes(&mut host, delta, size).await;
            assert!(delta.len() < 1_000, "{} bytes for a line in {}", delta.len(), new.len());
        }
        other => panic!("{other:?}"),
    }
    world.end().await;
}
