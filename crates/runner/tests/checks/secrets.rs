//! Secrets of requests: in the request, and nowhere else.

use super::*;

#[tokio::test]
async fn a_secret_is_in_the_request_and_goes_to_no_other_place() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = dir.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::write(secrets.join("token"), "Bearer from-file\n").unwrap();
    let url = |port: u16| format!("http://127.0.0.1:{port}/health");
    let (echo, other) = (echo(), serve(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    let head =
        format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", url(other));
    let moved = serve(head.leak().as_bytes());
    let (without, with) = (looker(dir.path()), looker(dir.path()).with_secrets(Some(secrets)));
    let text = serde_json::json!({"Authorization": "Bearer t0k3n", "X-Key": "k3y"});
    let file = |name: &str| serde_json::json!({"Authorization": {"file": name}});
    for (looker, json, status, word) in [
        (
            &without,
            serde_json::json!({"url": url(echo), "secret_headers": text, "contains": "Bearer t0k3n"}),
            CheckStatus::Ok,
            "200",
        ),
        (
            &without,
            serde_json::json!({"url": url(echo), "secret_headers": text, "contains": "k3y"}),
            CheckStatus::Ok,
            "200",
        ),
        (
            &with,
            serde_json::json!({"url": url(echo), "secret_headers": file("token"), "contains": "Bearer from-file"}),
            CheckStatus::Ok,
            "200",
        ),
        (
            &without,
            serde_json::json!({"url": url(echo), "secret_headers": file("token")}),
            CheckStatus::Critical,
            "`secrets_dir`",
        ),
        (
            &with,
            serde_json::json!({"url": url(echo), "secret_headers": file("/etc/hostname")}),
            CheckStatus::Critical,
            "is not in",
        ),
        (&without, serde_json::json!({"url": url(moved)}), CheckStatus::Ok, "200"),
        (
            &without,
            serde_json::json!({"url": url(moved), "secret_headers": text}),
            CheckStatus::Critical,
            "points to another place",
        ),
    ] {
        let (got, said) = look(looker, serde_json::json!({"http": json})).await;
        assert_eq!(got, status, "{json}: {said}");
        assert!(said.contains(word), "{json}: {said}");
        assert!(!said.contains("t0k3n") && !said.contains("from-file"), "{said}");
    }
    assert!(
        with.check(&what(serde_json::json!({"http": {"url": "http://h", "secret_headers": file("token")}})))
            .await
            .is_ok()
    );
    let refused =
        with.check(&what(serde_json::json!({"http": {"url": "http://h", "secret_headers": file("none")}}))).await;
    assert!(refused.unwrap_err().contains("none cannot be read"));
}
