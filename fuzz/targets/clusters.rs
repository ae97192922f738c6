//! Answers of clusters: lists and watches of Kubernetes, objects of both kinds; and what a command says is live.
#![no_main]
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tenfold_deploys::cluster::{command, kubernetes, nomad, watch};

fuzz_target!(|bytes: &[u8]| {
    let _ = watch::event(bytes);
    let _ = watch::list(bytes);
    let _ = kubernetes::status_message(bytes);
    let _ = std::str::from_utf8(bytes).map(command::observed);
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let some = [value.clone()];
    for kind in [kubernetes::Kind::Deployment, kubernetes::Kind::Rollout] {
        let _ = kubernetes::selector(&value);
        let _ = kubernetes::seen(kind, Some(&value), &some, &some);
    }
    let _ = nomad::seen(Some(&value), Some(&value), &some, &some);
    let _ = nomad::plan_refusal(&value);
});
