//! Documents and contexts by chance: mostly such as people write, with odd ones strewn in.

use serde_json::{Map, Value, json};
use tenfold_flags::OPERATORS;

use crate::random::Random;

/// Fields that constraints look at; `born` and `until` with dates only.
const FIELDS: [&str; 14] = [
    "userId",
    "sessionId",
    "remoteAddress",
    "environment",
    "appName",
    "plan",
    "email",
    "age",
    "version",
    "näme",
    "a\"b",
    "tail\\",
    "",
    "hostname",
];
const DATE_FIELDS: [&str; 3] = ["currentTime", "born", "until"];
const WORDS: [&str; 24] = [
    "pro",
    "free",
    "Team",
    "ÄÖ",
    "äö",
    "日本",
    "7",
    "8",
    "42",
    "",
    " ",
    "o'brien",
    "say \"hi\"",
    "dir\\",
    "a\\b",
    "\\\"",
    "user-1",
    "user-2",
    "example.com",
    "someone@Example.COM",
    "İstanbul",
    "ß",
    "10.0.0.1",
    "1.2.3",
];
const NUMBERS: [&str; 20] = [
    "0",
    "1",
    "7",
    "18",
    "42",
    "-3",
    "1.5",
    "007",
    "+5",
    "1e3",
    ".5",
    "5.",
    "1e400",
    "NaN",
    "inf",
    "",
    "ten",
    " 5",
    "5 or true",
    "123456789012345678",
];
const VERSIONS: [&str; 16] = [
    "1.2.3",
    "1.2.4",
    "0.0.1",
    "2.0.0-rc.1",
    "2.0.0-rc.2",
    "2.0.0",
    "2.0.0-rc.1+b7",
    "10.0.0",
    "1.2",
    "v1.2.3",
    "1.2.3-",
    "01.2.3",
    "1.2.3-alpha.beta",
    "1.2.3--",
    "latest",
    "",
];
const DATES: [&str; 14] = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.123Z",
    "2031-06-30T12:00:00+02:00",
    "1999-12-31T23:59:59-11:30",
    "2026-01-01T00:00:00.1Z",
    "2026-01-01 00:00:00Z",
    "2026-13-01T00:00:00Z",
    "tomorrow",
    "",
    "2026-01-01",
    "2026-02-30T00:00:00Z",
    "20260101T000000Z",
    "2026-06-30T23:59:60Z",
    "2026-01-01T00:00:00",
];
/// Finer than operands are.
const FINE: &str = "2026-01-01T00:00:00.123456789Z";
const NETWORKS: [&str; 14] = [
    "10.0.0.0/8",
    "10.1.2.3",
    "192.168.0.0/16",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/32",
    "2001:db8::1",
    "10.0.0.0/33",
    "10.0.0.0/255.0.0.0",
    "999.1.1.1",
    "",
    "::ffff:10.0.0.1",
    "10.0.0.7/31",
    "localhost",
];
const ADDRESSES: [&str; 8] =
    ["10.0.0.1", "10.1.2.3", "192.168.7.7", "2001:db8::1", "::1", "::ffff:10.0.0.1", "not an address", "10.0.0.6"];
const PATTERNS: [&str; 12] = [
    "^pro$",
    "(?i)team",
    "[0-9]+",
    "^[^@]+@example\\.com$",
    "(",
    "a\\",
    "\\\"hi\\\"",
    "\\p{Lu}",
    "",
    "ä|ö",
    "^.{3}$",
    "(\\w{100}){50}",
];
const PERCENTAGES: [&str; 18] =
    ["0", "1", "5", "10", "25", "33", "50", "50", "66", "75", "90", "99", "100", "100", "007", "12.5", "200", "+5"];
const GROUPS: [&str; 7] = ["group", "g", "Gruppe-ä", "", "checkout", "日本", "a\"b"];
const STICKINESS: [&str; 8] = ["default", "userId", "sessionId", "random", "plan", "", "a\"b", "default"];
const IDS: [&str; 6] = ["7, 8,user-1", "7", "", " user-2 , ÄÖ", "say \"hi\",7", "dir\\,8"];

/// A client-features document of a few flags.
pub fn document(random: &mut Random) -> Value {
    let count = 4 + random.below(16);
    let names: Vec<String> = (0..count)
        .map(|i| if i > count / 2 && random.once_in(20) { format!("ä\"{i}\\") } else { format!("flag-{i}") })
        .collect();
    let segments: Vec<Value> =
        (1..4).map(|id| json!({"id": id, "name": "s", "constraints": constraints(random)})).collect();
    // The first third has no parents, so that it can be one.
    let features: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(i, name)| feature(random, name, (i > count / 3).then_some(names.as_slice())))
        .collect();
    json!({"version": 2, "features": features, "segments": segments})
}

fn feature(random: &mut Random, name: &str, parents: Option<&[String]>) -> Value {
    let strategies: Vec<Value> = (0..random.below(4)).map(|_| strategy(random)).collect();
    let mut feature = json!({"name": name, "enabled": !random.once_in(12), "strategies": strategies});
    if random.once_in(3) {
        feature["variants"] = variants(random, true);
    }
    if let Some(names) = parents.filter(|_| random.once_in(3)) {
        let list: Vec<Value> = (0..=random.below(2)).map(|_| dependency(random, names)).collect();
        feature["dependencies"] = list.into();
    }
    feature
}

fn dependency(random: &mut Random, names: &[String]) -> Value {
    let parent = if random.once_in(12) { "nobody" } else { names[random.below(names.len() / 2)].as_str() };
    let mut dependency = json!({"feature": parent});
    if random.once_in(3) {
        dependency["enabled"] = json!(random.once_in(2));
    }
    if random.once_in(4) {
        let wanted: Vec<&str> = (0..random.below(3)).map(|_| random.pick(&["v0", "v1", "v2", "disabled"])).collect();
        dependency["variants"] = json!(wanted);
    }
    dependency
}

fn strategy(random: &mut Random) -> Value {
    let name = match random.below(12) {
        0..5 => "flexibleRollout",
        5 | 6 => "default",
        7 => "userWithId",
        8 => random.pick(&["gradualRolloutUserId", "gradualRolloutSessionId"]),
        9 => random.pick(&["gradualRolloutRandom", "custom"]),
        10 => "remoteAddress",
        _ => "applicationHostname",
    };
    let mut parameters = Map::new();
    let mut put = |random: &mut Random, missing: usize, key: &str, of: &[&str]| {
        if !random.once_in(missing) {
            parameters.insert(key.into(), random.pick(of).into());
        }
    };
    match name {
        "flexibleRollout" => {
            put(random, 40, "rollout", &PERCENTAGES);
            put(random, 5, "groupId", &GROUPS);
            put(random, 5, "stickiness", &STICKINESS);
        }
        "userWithId" => put(random, 20, "userIds", &IDS),
        "gradualRolloutUserId" | "gradualRolloutSessionId" => {
            put(random, 20, "percentage", &PERCENTAGES);
            put(random, 20, "groupId", &GROUPS);
        }
        "gradualRolloutRandom" => put(random, 20, "percentage", &["0", "100", "200", "x"]),
        "remoteAddress" => {
            let list: Vec<&str> = (0..random.below(4)).map(|_| random.pick(&NETWORKS)).collect();
            parameters.insert("IPs".into(), list.join(", ").into());
        }
        "applicationHostname" => put(random, 20, "hostNames", &["web-1,Web-2", "", "web-3", "a\"b,web-1", "tail\\"]),
        _ => {}
    }
    let mut strategy = json!({"name": name, "parameters": parameters, "constraints": constraints(random)});
    if random.once_in(4) {
        let known = if random.once_in(10) { 9 } else { 3 };
        let ids: Vec<usize> = (0..=random.below(2)).map(|_| 1 + random.below(known)).collect();
        strategy["segments"] = json!(ids);
    }
    if random.once_in(4) {
        strategy["variants"] = variants(random, false);
        if name == "flexibleRollout" || !random.once_in(4) {
            strategy["parameters"]["stickiness"] = random.pick(&STICKINESS).into();
        }
        // yggdrasil reads the group of a rollout out of a rule and that of variants as it is: one text cannot be both.
        if strategy["parameters"]["groupId"] == GROUPS[6] {
            strategy["parameters"]["groupId"] = GROUPS[0].into();
        }
    }
    strategy
}

fn variants(random: &mut Random, of_flag: bool) -> Value {
    let stickiness = random.pick(&STICKINESS);
    let told = random.once_in(2);
    let list = (0..random.below(4)).map(|i| {
        let weight = match random.below(10) {
            0 => 0,
            1 => 1,
            2 => 2_000_000_000 / 2,
            3..6 => 500,
            _ => random.below(1_000),
        };
        let mut variant = json!({"name": format!("v{i}"), "weight": weight});
        if told {
            variant["stickiness"] = stickiness.into();
        }
        if random.once_in(3) {
            variant["payload"] = json!({"type": "string", "value": random.pick(&WORDS)});
        }
        if random.once_in(4) {
            let field = if random.once_in(10) { "currentTime" } else { random.pick(&FIELDS) };
            let values: Vec<&str> = (0..random.below(3)).map(|_| random.pick(&WORDS)).collect();
            // On a strategy's variants they are read by no SDK.
            variant["overrides"] = if of_flag || random.once_in(4) {
                json!([{"contextName": field, "values": values}])
            } else {
                json!([])
            };
        }
        variant
    });
    list.collect()
}

fn constraints(random: &mut Random) -> Value {
    let count = [0, 0, 0, 1, 1, 1, 2, 3][random.below(8)];
    (0..count).map(|_| constraint(random)).collect()
}

fn constraint(random: &mut Random) -> Value {
    let operator = if random.once_in(60) { "ALMOST" } else { OPERATORS[random.below(OPERATORS.len())] };
    let (good, ignore_case) = (!random.once_in(8), random.once_in(3));
    let of = |random: &mut Random, list: &[&'static str], good_ones: usize| -> &'static str {
        list[random.below(if good { good_ones } else { list.len() })]
    };
    let mut constraint = json!({"contextName": random.pick(&FIELDS), "operator": operator});
    match operator {
        _ if operator.starts_with("NUM_") => constraint["value"] = of(random, &NUMBERS, 10).into(),
        _ if operator.starts_with("SEMVER_") => constraint["value"] = of(random, &VERSIONS, 8).into(),
        _ if operator.starts_with("DATE_") => {
            constraint["contextName"] = random.pick(&DATE_FIELDS).into();
            constraint["value"] = of(random, &DATES, 4).into();
        }
        "REGEX" => constraint["value"] = random.pick(&PATTERNS).into(),
        "IN_CIDR" => {
            let list: Vec<&str> = (0..random.below(4)).map(|_| of(random, &NETWORKS, 7)).collect();
            constraint["contextName"] = if random.once_in(4) { "plan" } else { "remoteAddress" }.into();
            constraint["values"] = json!(list);
        }
        _ => {
            let most = if random.once_in(10) { 30 } else { 5 };
            let mut list: Vec<&str> = (0..random.below(most)).map(|_| random.pick(&WORDS)).collect();
            if ignore_case {
                // How a case-insensitive end in a backslash could be put to yggdrasil, nobody knows.
                list.retain(|word| !word.ends_with('\\'));
            }
            constraint["values"] = json!(list);
            if random.once_in(30) {
                constraint["contextName"] = "currentTime".into();
            }
        }
    }
    if random.once_in(40) {
        constraint.as_object_mut().map(|c| c.shift_remove(random.pick(&["value", "values"])));
    }
    constraint["inverted"] = random.once_in(4).into();
    constraint["caseInsensitive"] = ignore_case.into();
    constraint
}

/// The fields of a context.
pub fn context(random: &mut Random) -> Map<String, Value> {
    let mut context = Map::new();
    let mut put = |random: &mut Random, missing: usize, key: &str, value: String| {
        if !random.once_in(missing) {
            context.insert(key.into(), value.into());
        }
    };
    let id = if random.once_in(4) { random.pick(&WORDS).to_owned() } else { format!("user-{}", random.below(1_000)) };
    put(random, 12, "userId", id);
    let session = if random.once_in(8) { String::new() } else { format!("s{}", random.draw()) };
    put(random, 3, "sessionId", session);
    let address = random.pick(&ADDRESSES).to_owned();
    put(random, 4, "remoteAddress", address);
    let time = if random.once_in(8) { FINE } else { random.pick(&DATES) }.to_owned();
    put(random, 2, "currentTime", time);
    for field in ["environment", "appName", "plan", "email", "näme", "a\"b", "tail\\", ""] {
        let value = random.pick(&WORDS).to_owned();
        put(random, 4, field, value);
    }
    for (field, of) in [("age", &NUMBERS[..]), ("version", &VERSIONS), ("born", &DATES), ("until", &[FINE, DATES[1]])] {
        let value = random.pick(of).to_owned();
        put(random, 4, field, value);
    }
    let host = random.pick(&["web-1", "WEB-2", "web-9", ""]).to_owned();
    put(random, 2, "hostname", host);
    context
}
