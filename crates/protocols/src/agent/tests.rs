use proptest::prelude::*;

use super::*;

fn order() -> OrderRef {
    OrderRef { service: "photos".into(), environment: "production".into(), deploy: 3, epoch: 7 }
}
fn release() -> Release {
    Release {
        service: "photos".into(),
        environment: "production".into(),
        digest: BlobDigest([7; 32]),
        sha: "4f2c91a".into(),
        deploy: 3,
        state: ReleaseState::Running,
        address: Some("127.0.0.1:4100".into()),
        metrics_path: Some("/metrics".into()),
        limits: Some(LimitsReport { in_force: vec!["up to 64 files".into()], missing: Vec::new() }),
        since: Timestamp(1_000),
    }
}
fn hello(name: &str) -> FromAgent {
    FromAgent::Hello {
        protocol: PROTOCOL,
        name: name.into(),
        environment: "production".into(),
        labels: BTreeMap::from([("role".into(), "web".into())]),
        version: "0.1.0".into(),
        releases: vec![release()],
        packs: true,
        prepares: true,
        beside: vec![order()],
    }
}

#[test]
fn every_message_survives_the_way() {
    let failed = FromAgent::Failed {
        order: order(),
        digest: Some(BlobDigest([1; 32])),
        error: "exited with code 1".into(),
        log_tail: "boom".into(),
        running: Some(release()),
    };
    for message in [
        hello("host-1"),
        failed,
        FromAgent::Need {
            blobs: vec![BlobDigest([2; 32])],
            bases: BTreeMap::from([(BlobDigest([2; 32]), BlobDigest([3; 32]))]),
        },
        FromAgent::Activated { order: order(), release: release() },
        FromAgent::Refused { order: order(), highest_epoch: 9 },
        FromAgent::Prepared { order: order(), digest: BlobDigest([3; 32]) },
    ] {
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(decode_from_agent(&text).unwrap(), message);
    }
    let stage =
        ToAgent::Stage { order: order(), digest: BlobDigest([3; 32]), manifest: serde_json::json!({"entries": []}) };
    let part = PackPart { blob: BlobDigest([4; 32]), bytes: 7, base: Some(BlobDigest([5; 32])) };
    let pack = ToAgent::Pack { pack: BlobDigest([6; 32]), size: 9, parts: vec![part] };
    let long = ToAgent::Long { pack: BlobDigest([6; 32]), size: 9, bytes: 90, base: Some(BlobDigest([7; 32])) };
    let flip = ToAgent::Flip { order: order(), digest: BlobDigest([3; 32]), keep_warm: true };
    let discard = ToAgent::Discard { order: order(), after_ms: 60_000 };
    for message in [stage, pack, long, flip, discard] {
        assert_eq!(decode_to_agent(&serde_json::to_string(&message).unwrap()).unwrap(), message);
    }
}

#[test]
fn an_agent_that_does_not_speak_of_packs_takes_none() {
    let text = serde_json::to_string(&hello("host-1")).unwrap().replace(r#","packs":true"#, "");
    assert!(matches!(decode_from_agent(&text), Ok(FromAgent::Hello { packs: false, .. })), "{text}");
}

#[test]
fn an_older_side_is_understood() {
    let hello = r#"{"type":"hello","protocol":2,"name":"host-1","environment":"production","labels":{},"version":"0.1.0","releases":[]}"#;
    let FromAgent::Hello { prepares, beside, .. } = decode_from_agent(hello).unwrap() else { panic!("no hello") };
    assert!(!prepares && beside.is_empty());
    let order = r#"{"service":"photos","environment":"production","deploy":3,"epoch":7}"#;
    let activate = format!(r#"{{"type":"activate","order":{order},"digest":"{}"}}"#, BlobDigest([3; 32]));
    let ToAgent::Activate { run, keep_warm, .. } = decode_to_agent(&activate).unwrap() else { panic!("no order") };
    assert!(run.is_none() && !keep_warm);
}

#[test]
fn packs_have_limits() {
    let part = |bytes| PackPart { blob: BlobDigest([1; 32]), bytes, base: None };
    let pack = |size, parts| ToAgent::Pack { pack: BlobDigest([2; 32]), size, parts };
    let taken = |message: &ToAgent| decode_to_agent(&serde_json::to_string(message).unwrap()).is_ok();
    assert!(taken(&pack(PACK_BYTES_MAX, vec![part(PACK_CONTENT_BYTES_MAX)])));
    assert!(taken(&pack(5, vec![part(1); PACK_PARTS_MAX])));
    for refused in [
        pack(PACK_BYTES_MAX + 1, vec![part(1)]),
        pack(5, vec![]),
        pack(5, vec![part(1); PACK_PARTS_MAX + 1]),
        pack(5, vec![part(PACK_CONTENT_BYTES_MAX), part(1)]),
        pack(5, vec![part(u64::MAX), part(u64::MAX)]),
        ToAgent::Long { pack: BlobDigest([2; 32]), size: 5, bytes: TEXT_FRAME_BYTES_MAX as u64 + 1, base: None },
        ToAgent::Long { pack: BlobDigest([2; 32]), size: TEXT_FRAME_BYTES_MAX as u64 + 1, bytes: 5, base: None },
    ] {
        assert!(!taken(&refused), "{refused:?}");
    }
}

#[test]
fn hostile_values_are_refused() {
    for name in ["", "../x", "a/b", ".hidden", "-rf", "a b", "a\"b", &"a".repeat(300)] {
        let text = serde_json::to_string(&hello(name)).unwrap();
        assert!(matches!(decode_from_agent(&text), Err(FrameError::Field { field: "name", .. })), "{name:?}");
    }
    for address in ["x", "x:0", "x:99999", "a@b:1", "http://x:1", "x/y:1"] {
        let observed = FromAgent::Observed { releases: vec![Release { address: Some(address.into()), ..release() }] };
        assert!(decode_from_agent(&serde_json::to_string(&observed).unwrap()).is_err(), "{address}");
    }
    let many = FromAgent::Need { blobs: vec![BlobDigest([0; 32]); NEED_BLOBS_MAX + 1], bases: BTreeMap::new() };
    assert!(decode_from_agent(&serde_json::to_string(&many).unwrap()).is_err());
    assert!(decode_from_agent(r#"{"type":"need","blobs":["../../etc/passwd"]}"#).is_err());
    assert!(decode_from_agent(r#"{"type":"launch"}"#).is_err());
    let mut many = hello("host-1");
    if let FromAgent::Hello { beside, .. } = &mut many {
        *beside = vec![order(); RELEASES_MAX + 1];
    }
    assert!(decode_from_agent(&serde_json::to_string(&many).unwrap()).is_err());
    for missing in [vec![String::new(); LIMITS_MAX + 1], vec!["x".repeat(LIMIT_BYTES_MAX + 1)]] {
        let limits = Some(LimitsReport { in_force: Vec::new(), missing });
        let observed = FromAgent::Observed { releases: vec![Release { limits, ..release() }] };
        assert!(decode_from_agent(&serde_json::to_string(&observed).unwrap()).is_err());
    }
}

#[test]
fn a_tail_keeps_the_end_and_whole_characters() {
    let long = "ä".repeat(TEXT_BYTES_MAX);
    assert!(tail_of(&long).len() <= TEXT_BYTES_MAX);
    assert_eq!(tail_of("short"), "short");
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(text in ".{0,400}", bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_from_agent(&text);
        let _ = decode_to_agent(&text);
        let _ = decode_chunk(&bytes);
    }
    #[test]
    fn nearly_right_messages_do_not_panic(
        kind in "(hello|need|staged|prepared|activated|failed|observed|refused)",
        key in "(order|digest|releases|blobs|name)", value in "(null|1|\\[\\]|\\{\\}|\"x\")",
    ) {
        let _ = decode_from_agent(&format!(r#"{{"type":"{kind}","{key}":{value}}}"#));
    }
}
