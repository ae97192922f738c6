use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::hint::black_box;
use tenfold_flags::{Context, Snapshot};
use tenfold_oracle::ask;
fn cpu_ns() -> f64 {
    let t = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    t.tv_sec() as f64 * 1e9 + t.tv_nsec() as f64
}
fn best(n: usize, mut f: impl FnMut(usize)) -> f64 {
    let mut b = f64::MAX;
    for _ in 0..30 {
        let s = cpu_ns();
        for i in 0..n {
            f(i)
        }
        b = b.min((cpu_ns() - s) / n as f64);
    }
    b
}
fn main() {
    let c = Context::new()
        .with("userId", "user-123")
        .with("sessionId", "session-9")
        .with("remoteAddress", "10.0.0.1")
        .with("plan", "pro")
        .with("email", "someone7@example.com")
        .with("version", "1.5.0")
        .with("age", "42")
        .with("country", "NO")
        .with("device", "phone");
    let m = ask::moment(1);
    for (what, cons) in [
        ("none", json!([])),
        ("in", json!([{"contextName": "plan", "operator": "IN", "values": ["pro", "team", "free"]}])),
        (
            "ends",
            json!([{"contextName": "email", "operator": "STR_ENDS_WITH", "values": ["@example.com", "@example.org"]}]),
        ),
        ("semver", json!([{"contextName": "version", "operator": "SEMVER_GTE", "value": "1.4.0"}])),
        ("num", json!([{"contextName": "age", "operator": "NUM_GT", "value": "18"}])),
    ] {
        let f: Vec<Value> = (0..1000).map(|i| { let name = format!("flag-{i:05}"); json!({"name": name, "enabled": true, "strategies": [{"name":"flexibleRollout","parameters":{"rollout":"50","stickiness":"default","groupId":name},"constraints":cons}]})}).collect();
        let s: Snapshot = ask::snapshot(&json!({"version":2,"features":f,"segments":[]}));
        let names: Vec<String> = (0..1000).map(|i| format!("flag-{i:05}")).collect();
        let same = best(20000, |_| {
            black_box(s.evaluate(black_box("flag-00500"), &c, m));
        });
        let find = best(20000, |_| {
            black_box(s.index(black_box("flag-00500")));
        });
        let walk = best(20000, |i| {
            black_box(s.evaluate(&names[i.wrapping_mul(7919) % 1000], &c, m));
        });
        let bulk = best(20, |_| {
            black_box(s.evaluate_all(&c, m).filter(|e| e.enabled).count());
        }) / 1000.0;
        println!("{what:<8} same {same:.1} find {find:.1} random {walk:.1} bulk {bulk:.1}");
    }
}
