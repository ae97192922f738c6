//! Two browsers watch one deploy over HTTP.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use serde_json::Value;
use tenfold_app::{
    Caller, Role,
    people::{NewToken, TokenKind},
};

use crate::world::{PATIENCE, World, ready};

/// The events of a stream until `end`, as `(name, data)`.
async fn watch(url: String, token: String) -> Vec<(String, Value)> {
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    let mut bytes = answer.bytes_stream();
    let (mut text, mut events) = (String::new(), Vec::new());
    while let Some(chunk) = bytes.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk.unwrap()));
        while let Some(end) = text.find("\n\n") {
            let block: String = text.drain(..end + 2).collect();
            let field = |name: &str| block.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("").trim().to_owned();
            let (name, data) = (field("event:"), field("data:"));
            events.push((name.clone(), serde_json::from_str(&data).unwrap_or(Value::Null)));
            if name == "end" {
                return events;
            }
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_see_every_line_and_the_end() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let new = NewToken {
        name: "reader".into(),
        kind: TokenKind::Robot,
        role: Some(Role::Viewer),
        service: None,
        environment: None,
        projects: Vec::new(),
        expires_at: None,
    };
    let token = world.app().token_create(&Caller::system(), new).await.unwrap().secret;
    let deploy = world.deploy().await;
    let url = format!("{}/api/deploys/{}/log?follow=true", world.url(), deploy.number);
    let both = async { tokio::join!(watch(url.clone(), token.clone()), watch(url.clone(), token.clone())) };
    let (one, two) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    let lines = |events: &[(String, Value)]| -> BTreeMap<i64, String> {
        events
            .iter()
            .filter(|(name, _)| name == "line")
            .map(|(_, data)| (data["seq"].as_i64().unwrap(), data["text"].as_str().unwrap().to_owned()))
            .collect()
    };
    assert_eq!(lines(&one), lines(&two));
    let numbers: Vec<i64> = lines(&one).into_keys().collect();
    assert_eq!(numbers, (1..=i64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>(), "no line is missing");
    assert!(lines(&one).values().any(|l| l == "building one"));
    let states: Vec<_> = one.iter().filter(|(n, _)| n == "deploy").map(|(_, d)| d["state"].clone()).collect();
    assert_eq!(states.last(), Some(&Value::from("succeeded")), "{states:?}");
    assert_eq!(one.last().map(|(name, _)| name.as_str()), Some("end"));

    // whoever comes late reads the same
    let late = watch(url, token).await;
    assert_eq!(lines(&late), lines(&one));
    world.end().await;
}
