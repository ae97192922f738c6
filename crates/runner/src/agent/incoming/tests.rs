use tenfold_protocols::{agent::BlobDigest, inflate::gzip};

use super::*;

#[test]
fn only_the_right_content_gets_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let incoming = Incoming::new(dir.path());
    let digest = Digest::of(b"hello");
    let (mut waiter, first) = incoming.expect(digest, 5, None).unwrap();
    assert!(first);
    incoming.chunk(digest, b"hel").unwrap();
    assert!(waiter.try_recv().is_err());
    incoming.chunk(digest, b"lo").unwrap();
    assert_eq!(waiter.try_recv().unwrap(), Ok(()));
    assert!(incoming.verify(digest, 5, false));

    let other = Digest::of(b"other");
    let (mut waiter, _) = incoming.expect(other, 5, None).unwrap();
    incoming.chunk(other, b"wrong").unwrap();
    assert!(waiter.try_recv().unwrap().unwrap_err().contains("digest"));
    assert!(!incoming.path(other, false).exists());
    let (mut waiter, _) = incoming.expect(other, 5, None).unwrap();
    incoming.chunk(other, b"too long").unwrap();
    assert!(waiter.try_recv().unwrap().is_err());
}

#[test]
fn damage_is_found_and_empty_blobs_need_no_server() {
    let dir = tempfile::tempdir().unwrap();
    let incoming = Incoming::new(dir.path());
    let empty = Digest::of(b"");
    let (mut waiter, ask) = incoming.expect(empty, 0, None).unwrap();
    assert!(!ask && waiter.try_recv().unwrap().is_ok());
    let path = incoming.path(empty, false);
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"x").unwrap();
    assert!(!incoming.verify(empty, 0, false));
    assert!(!path.exists());
}

#[test]
fn a_delta_makes_the_blob_or_the_blob_is_asked_for() {
    use tenfold_deploys::delta::make;
    let dir = tempfile::tempdir().unwrap();
    let incoming = Incoming::new(dir.path());
    let old: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut new = old.clone();
    new.splice(70_000..70_000, *b"sixty-four bytes, more or less");
    let place = dir.path().join("old");
    fs::write(&place, &old).unwrap();
    let (base, blob) = (Digest::of(&old), Digest::of(&new));
    let bytes = make(&old, &new).unwrap();
    let delta = Digest::of(&bytes);
    let expect = || incoming.expect(blob, new.len() as u64, Some((base, place.clone()))).unwrap().0;

    let mut waiter = expect();
    incoming.delta(blob, base, delta, bytes.len() as u64);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert_eq!((incoming.chunk(delta, first), waiter.try_recv().is_err()), (Ok(Came::Nothing), true));
    assert_eq!((incoming.chunk(delta, second), waiter.try_recv().unwrap()), (Ok(Came::Nothing), Ok(())));
    assert!(incoming.verify(blob, new.len() as u64, false));

    // the base was changed since: what came of it is not kept, and the blob itself still may come
    fs::remove_file(incoming.path(blob, false)).unwrap();
    fs::write(&place, old.iter().map(|b| b ^ 1).collect::<Vec<u8>>()).unwrap();
    let mut waiter = expect();
    incoming.delta(blob, base, delta, bytes.len() as u64);
    assert_eq!(incoming.chunk(delta, &bytes), Ok(Came::Again(vec![blob])));
    assert!(waiter.try_recv().is_err());
    assert_eq!((incoming.chunk(blob, &new), waiter.try_recv().unwrap()), (Ok(Came::Nothing), Ok(())));

    // more than was announced, and a base that was never named
    fs::remove_file(incoming.path(blob, false)).unwrap();
    let _waiter = expect();
    incoming.delta(blob, base, delta, 5);
    assert_eq!(incoming.chunk(delta, &bytes), Ok(Came::Again(vec![blob])));
    incoming.delta(blob, Digest::of(b"other"), delta, bytes.len() as u64);
    assert_eq!(incoming.chunk(delta, &bytes), Ok(Came::Nothing), "nobody waits for it");
}

/// A pack of these pieces: its digest, its bytes, its parts.
fn packed(pieces: &[(Digest, &[u8], Option<Digest>)]) -> (Digest, Vec<u8>, Vec<PackPart>) {
    let blob = |digest: Digest| BlobDigest(*digest.bytes());
    let content: Vec<u8> = pieces.iter().flat_map(|(_, bytes, _)| bytes.iter().copied()).collect();
    let part = |(digest, bytes, base): &(Digest, &[u8], Option<Digest>)| PackPart {
        blob: blob(*digest),
        bytes: bytes.len() as u64,
        base: base.map(blob),
    };
    let bytes = gzip(&content);
    (Digest::of(&bytes), bytes, pieces.iter().map(part).collect())
}

#[test]
fn a_pack_brings_blobs_pieces_and_deltas() {
    let dir = tempfile::tempdir().unwrap();
    let incoming = Incoming::new(dir.path());
    let old: Vec<u8> = (0..4_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let new = [&old[..9_000], b"more", &old[9_000..]].concat();
    let place = dir.path().join("old");
    fs::write(&place, &old).unwrap();
    let [small, large, changed, lost] =
        [Digest::of(b"small"), Digest::of(b"large"), Digest::of(&new), Digest::of(b"lost")];
    let base = Digest::of(&old);
    let delta = tenfold_deploys::delta::make(&old, &new).unwrap();
    let mut waiters = [
        incoming.expect(small, 5, None).unwrap().0,
        incoming.expect(large, 5, None).unwrap().0,
        incoming.expect(changed, new.len() as u64, Some((base, place))).unwrap().0,
        incoming.expect(lost, 4, None).unwrap().0,
    ];
    // the second half of the large one comes with the next; the last names a base that this host never named
    let (first, bytes, parts) = packed(&[
        (small, b"small".as_slice(), None),
        (large, b"la".as_slice(), None),
        (changed, delta.as_slice(), Some(base)),
        (lost, b"x".as_slice(), Some(base)),
    ]);
    incoming.pack(first, bytes.len() as u64, parts);
    assert_eq!(incoming.chunk(first, &bytes[..20]), Ok(Came::Nothing));
    assert_eq!(incoming.chunk(first, &bytes[20..]), Ok(Came::Again(vec![lost])));
    assert_eq!(waiters[0].try_recv().unwrap(), Ok(()));
    assert!(waiters[1].try_recv().is_err() && waiters[3].try_recv().is_err());
    assert_eq!(waiters[2].try_recv().unwrap(), Ok(()));
    assert!(incoming.verify(changed, new.len() as u64, false));
    let (second, bytes, parts) = packed(&[(large, b"rge".as_slice(), None)]);
    incoming.pack(second, bytes.len() as u64, parts);
    assert_eq!(incoming.chunk(second, &bytes), Ok(Came::Nothing));
    assert_eq!(waiters[1].try_recv().unwrap(), Ok(()));
}

#[test]
fn a_pack_that_is_not_what_was_said_brings_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let incoming = Incoming::new(dir.path());
    let blob = Digest::of(b"blob");
    let (pack, bytes, parts) = packed(&[(blob, b"blob".as_slice(), None)]);
    let said = |bytes: &[u8], pack, parts: &[PackPart]| {
        let mut waiter = incoming.expect(blob, 4, None).unwrap().0;
        incoming.pack(pack, bytes.len() as u64, parts.to_vec());
        assert_eq!(incoming.chunk(pack, bytes), Ok(Came::Nothing));
        waiter.try_recv().unwrap().unwrap_err()
    };
    let other = [&bytes[..bytes.len() - 1], b"x"].concat();
    assert!(said(&other, pack, &parts).contains("another digest"));
    // a bomb, and less than was said
    let bomb = gzip(&vec![0; 50 << 20]);
    assert!(said(&bomb, Digest::of(&bomb), &parts).contains("more than 4 bytes"));
    let more = [PackPart { bytes: 9, ..parts[0].clone() }];
    assert!(said(&bytes, pack, &more).contains("4 bytes, not 9"));
    // more bytes than were announced
    let mut waiter = incoming.expect(blob, 4, None).unwrap().0;
    incoming.pack(pack, 5, parts);
    assert_eq!(incoming.chunk(pack, &bytes), Ok(Came::Nothing));
    assert!(waiter.try_recv().unwrap().is_err());
}

#[test]
fn a_long_message_is_undone_within_what_was_said() {
    let dir = tempfile::tempdir().unwrap();
    let incoming = Incoming::new(dir.path());
    let bytes = gzip(b"a message");
    let digest = Digest::of(&bytes);
    incoming.text(digest, bytes.len() as u64, 9, None);
    assert_eq!(incoming.chunk(digest, &bytes), Ok(Came::Text("a message".into())));
    incoming.text(digest, bytes.len() as u64, 8, None);
    assert!(incoming.chunk(digest, &bytes).is_err());
    let bytes = gzip(&[0xff, 0xfe]);
    let digest = Digest::of(&bytes);
    incoming.text(digest, bytes.len() as u64, 2, None);
    assert!(incoming.chunk(digest, &bytes).unwrap_err().contains("no text"));
}
#[test]
fn a_long_message_may_be_the_difference_to_the_one_that_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let incoming = Incoming::new(dir.path());
    let before = (0..2_000).fold(String::new(), |text, n| text + &n.to_string() + " of a list\n");
    let after = before.replace("1000 of", "a thousand of");
    let base = Digest::of(before.as_bytes());
    let bytes = gzip(&tenfold_deploys::delta::make(before.as_bytes(), after.as_bytes()).unwrap());
    let (digest, size) = (Digest::of(&bytes), after.len() as u64);
    let came = || {
        incoming.text(digest, bytes.len() as u64, size, Some(base));
        incoming.chunk(digest, &bytes)
    };
    assert!(came().unwrap_err().contains("not kept"));
    incoming.keep(before.clone());
    assert_eq!(came(), Ok(Came::Text(after.clone())));
    incoming.keep("another".into());
    assert!(came().unwrap_err().contains("not kept"));
    // the other side forgets it with the connection as well
    incoming.keep(before);
    incoming.refuse_all("the connection is lost");
    assert!(came().unwrap_err().contains("not kept"));
}
