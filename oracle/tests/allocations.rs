//! What an evaluation takes from the heap: nothing for one flag, the same few pieces for ten flags and for ten thousand.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use serde_json::{Value, json};
use tenfold_flags::{Context, Moment};
use tenfold_oracle::ask;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// Safety: everything is left to the system's allocator; only a number goes up beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn counted(f: impl FnOnce() -> usize) -> (u64, usize) {
    let before = COUNT.with(Cell::get);
    let result = f();
    (COUNT.with(Cell::get) - before, result)
}

/// Every operator that compares without changing letters' case, each flag with a field of its own as well.
fn document(flags: usize) -> Value {
    let features: Vec<Value> = (0..flags)
        .map(|i| {
            let constraints = json!([
                {"contextName": "plan", "operator": "IN", "values": ["pro"]},
                {"contextName": format!("own-{i}"), "operator": "NOT_IN", "values": ["x"]},
                {"contextName": "age", "operator": "NUM_GT", "value": "18"},
                {"contextName": "version", "operator": "SEMVER_GTE", "value": "1.4.0"},
                {"contextName": "currentTime", "operator": "DATE_AFTER", "value": "2020-01-01T00:00:00Z"},
                {"contextName": "remoteAddress", "operator": "IN_CIDR", "values": ["10.0.0.0/8"]},
            ]);
            json!({"name": format!("flag-{i}"), "enabled": true, "variants": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
                   "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": "100"}, "constraints": constraints}]})
        })
        .collect();
    json!({"version": 2, "features": features, "segments": []})
}

#[test]
fn the_heap_does_not_follow_the_document() {
    let context = Context::new()
        .with("userId", "7")
        .with("plan", "pro")
        .with("age", "42")
        .with("version", "1.5.0")
        .with("remoteAddress", "10.1.2.3");
    let moment: Moment = ask::moment(7);
    let mut bulk = Vec::new();
    for flags in [10, 100, 10_000] {
        let snapshot = ask::snapshot(&document(flags));
        let (pieces, on) = counted(|| snapshot.evaluate_all(&context, moment).filter(|e| e.enabled).count());
        assert_eq!(on, flags);
        bulk.push(pieces);
        let (pieces, on) = counted(|| snapshot.evaluate("flag-7", &context, moment).map_or(0, |e| e.variant().len()));
        assert_eq!((pieces, on), (0, 1));
    }
    println!("pieces of heap in bulk: {bulk:?}");
    assert!(bulk.iter().all(|pieces| *pieces <= 1), "{bulk:?}");
}
