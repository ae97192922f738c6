use serde_json::json;

use super::*;
use crate::signature::{TIME_OFF_MS_MAX, mac};

const NOW: i64 = 1_795_424_400_000;
const SECRET: &[u8] = b"a secret of some length";

fn check(headers: &[(&str, &str)], body: &[u8], now: i64) -> Result<String, HookError> {
    verify(SECRET, |name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v), body, now)
}

#[test]
fn a_signature_over_time_and_body_lets_in() {
    let time = (NOW / 1000).to_string();
    let good = hex::encode(mac(SECRET, &[time.as_bytes(), b":", b"{}"]));
    for (signature, timestamp) in
        [("x-signature", "x-timestamp"), ("x-grafana-alerting-signature", "x-grafana-alerting-timestamp")]
    {
        let headers = [(signature, good.as_str()), (timestamp, time.as_str())];
        assert!(check(&headers, b"{}", NOW).is_ok());
        assert_eq!(check(&headers, b"{ }", NOW), Err(SignatureError::Signature.into()));
        assert_eq!(check(&headers, b"{}", NOW + TIME_OFF_MS_MAX + 1), Err(SignatureError::Time.into()));
        assert_eq!(check(&headers, b"{}", NOW - TIME_OFF_MS_MAX - 1), Err(SignatureError::Time.into()));
        let later = (NOW / 1000 + 1).to_string();
        assert_eq!(
            check(&[(signature, &good), (timestamp, &later)], b"{}", NOW),
            Err(SignatureError::Signature.into()),
            "the time is signed"
        );
        assert!(matches!(check(&headers[..1], b"{}", NOW), Err(HookError::NoHeader(_))), "no time, no entry");
    }
    // A signature over the body alone could be sent again at any time.
    let bare = hex::encode(mac(SECRET, &[b"{}"]));
    assert!(check(&[("x-signature", &bare), ("x-timestamp", &time)], b"{}", NOW).is_err());
    assert!(matches!(check(&[], b"{}", NOW), Err(HookError::NoHeader(_))));
}

#[test]
fn standard_webhooks_let_in_and_are_known_again_by_their_id() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let sign = |id: &str, time: &str| {
        format!("v1,{}", STANDARD.encode(mac(SECRET, &[id.as_bytes(), b".", time.as_bytes(), b".", b"{}"])))
    };
    let (one, two) = ((NOW / 1000).to_string(), (NOW / 1000 + 60).to_string());
    let take = |id: &str, time: &str| {
        let signature = sign(id, time);
        check(&[("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", &signature)], b"{}", NOW)
    };
    assert_eq!(take("m1", &one).unwrap(), take("m1", &two).unwrap(), "tried again");
    assert_ne!(take("m1", &one).unwrap(), take("m2", &one).unwrap());
    assert_eq!(take(&"x".repeat(129), &one), Err(HookError::Id));
}

#[test]
fn what_cannot_fit_is_refused_before_its_body_is_read() {
    let time = (NOW / 1000).to_string();
    let asked = |headers: &[(&str, &str)], now: i64| {
        may_fit(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v), now)
    };
    let grafana = [("x-signature", "any"), ("x-timestamp", time.as_str())];
    let standard = [("webhook-signature", "v1,any"), ("webhook-timestamp", time.as_str()), ("webhook-id", "m1")];
    for headers in [&grafana[..], &standard[..]] {
        assert_eq!(asked(headers, NOW), Ok(()));
        assert_eq!(asked(headers, NOW + TIME_OFF_MS_MAX + 1), Err(SignatureError::Time.into()));
        assert!(matches!(asked(&headers[..1], NOW), Err(HookError::NoHeader(_))));
    }
    assert!(matches!(asked(&[], NOW), Err(HookError::NoHeader(_))));
}

fn mapping() -> Mapping {
    serde_json::from_value(json!({
        "alerts": "/items", "key": ["/host", "/check"], "title": "/message", "description": "/long",
        "severity": "/prio", "severities": {"P1": "critical"}, "starts_at": "/at", "url": "/link",
        "resolved": {"path": "/state", "values": ["ok"]}, "labels": {"host": "/host", "rack": "/meta/rack"},
    }))
    .unwrap()
}

#[test]
fn a_mapping_makes_alerts_of_any_json() {
    let body = json!({"items": [
        {"host": "db1", "check": 7, "message": "disk full", "prio": "P1", "at": 1_795_424_400, "state": "bad", "link": "https://m.example/7"},
        {"host": "db2", "check": true, "message": "x", "at": "2026-11-23T09:00:00Z", "state": "OK", "meta": {"rack": "r\u{7}1"}, "link": "javascript:x"},
    ]});
    let read = mapping().read(body.to_string().as_bytes()).unwrap();
    assert_eq!((read[0].key.as_str(), read[0].state), ("db1/7", SaidState::Firing));
    assert_eq!(read[0].labels, BTreeMap::from([("host".into(), "db1".into()), ("severity".into(), "critical".into())]));
    assert_eq!(read[0].annotations["summary"], "disk full");
    assert_eq!((read[0].starts_at, read[1].starts_at), (Some(Timestamp(NOW)), Some(Timestamp(NOW))));
    assert_eq!((read[1].key.as_str(), read[1].state), ("db2/true", SaidState::Resolved));
    assert_eq!((read[1].labels["rack"].as_str(), &read[1].url), ("r1", &None));
    assert_eq!(read[0].url.as_deref(), Some("https://m.example/7"));
}

#[test]
fn what_a_mapping_does_not_find_is_told() {
    for (body, why) in [
        ("[]", "no list of alerts at /items"),
        ("{\"items\": [{}]}", "alert 1: there is no text for the key at /host and /check"),
        ("{\"items\": [{\"host\":\"a\",\"check\":\"b\"}]}", "title"),
        ("{\"items\": [{\"host\":\"a\",\"check\":\"b\",\"message\":\"m\"}]}", "whether it is over"),
        ("{", "cannot be read"),
    ] {
        let error = mapping().read(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{body}: {error}");
    }
    let many = json!({"items": vec![json!({}); ALERTS_MAX + 1]});
    assert!(mapping().read(many.to_string().as_bytes()).unwrap_err().to_string().contains("at most 10000"));
    assert!(mapping().wrong().is_none());
    assert!(Mapping { alerts: Some("items".into()), ..mapping() }.wrong().unwrap().contains("JSON Pointer"));
    assert!(Mapping { title: Paths::Several(vec![]), ..mapping() }.wrong().is_some());
}

/// As Grafana's documentation of the webhook notifier shows it.
#[test]
fn grafanas_own_is_read() {
    let alert = |status: &str, reason: &str| {
        json!({
            "status": status, "labels": {"alertname": "High memory usage", "team": "blue", "zone": "us-1", "__private__": "x"},
            "annotations": {"description": "The system has high memory usage", "runbook_url": "https://myrunbook.com/1", "grafana_state_reason": reason},
            "startsAt": "2021-10-12T09:51:03.157076+02:00", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://play.grafana.org/alerting/1afz29v7z/edit", "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "https://play.grafana.org/alerting/silence/new", "dashboardURL": "", "panelURL": "",
            "values": {"B": 44.23, "C": 1}, "valueString": "[ var='B0' value=44.2 ]",
        })
    };
    let body = |alerts: Vec<serde_json::Value>| {
        json!({"receiver": "My Super Webhook", "status": "firing", "orgId": 1, "alerts": alerts, "version": "1", "title": "x", "state": "alerting", "message": "y", "truncatedAlerts": 0}).to_string()
    };
    let read =
        grafana(body(vec![alert("firing", ""), alert("resolved", ""), alert("resolved", "MissingSeries")]).as_bytes())
            .unwrap();
    assert_eq!(
        read.iter().map(|a| a.state).collect::<Vec<_>>(),
        [SaidState::Firing, SaidState::Resolved, SaidState::Silent]
    );
    assert_eq!(read[0].key, "c6eadffa33fcdf37");
    assert_eq!(read[0].labels.keys().collect::<Vec<_>>(), ["alertname", "team", "zone"]);
    assert_eq!(read[0].annotations["value_string"], "[ var='B0' value=44.2 ]");
    assert_eq!(read[0].starts_at.unwrap().to_string(), "2021-10-12T07:51:03.157Z");
    // All that fires with one group may come in one message.
    assert_eq!(grafana(body(vec![alert("firing", ""); 5_000]).as_bytes()).unwrap().len(), 5_000);
    assert!(grafana(body(vec![alert("odd", "")]).as_bytes()).is_err());
    assert!(grafana(b"{}").is_err());
}
