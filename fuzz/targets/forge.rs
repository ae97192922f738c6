//! Webhooks of GitHub, GitLab and Gitea: headers and a body, unsigned and signed.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::forge::{Forge, ForgeEvent, compare_url, receive, repository_key};

fuzz_target!(|input: (u8, String, Vec<u8>)| {
    let (forge, header, body) = input;
    let forge = [Forge::Github, Forge::Gitlab, Forge::Gitea][usize::from(forge % 3)];
    // GitLab's plain token is the one check that fuzzing can pass
    let headers = |name: &str| match name {
        "x-gitlab-token" => Some("a secret of some length"),
        "x-gitlab-event" => Some("Push Hook"),
        _ => Some(header.as_str()).filter(|_| forge != Forge::Gitlab),
    };
    if let Ok(delivery) = receive(forge, b"a secret of some length", headers, &body, 0)
        && let ForgeEvent::Push(push) = delivery.event
    {
        assert!(!push.repositories.is_empty() && push.commits.len() <= 100);
    }
    let _ = repository_key(&header);
    // what people wrote down reaches a page as a link
    if let Some(link) = compare_url(forge, None, &header, "0a1b2c3", "4f2a91c") {
        assert!(link.starts_with("https://") || link.starts_with("http://"));
        assert!(link.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\'' | b'?' | b'#')));
    }
});
