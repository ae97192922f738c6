//! The guide's example is read as it stands.

use tenfold_scrape::{parse_config, resolve};

#[test]
fn the_guides_example_is_understood() {
    let guide = include_str!("../../../docs/guide/scraping.md");
    let example = guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let config = parse_config(example).expect("the example is right");
    let names: Vec<_> = config.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!((names, config.notes.len()), (vec!["node", "web", "probes", "caches"], 0));
    let node = &config.jobs[0];
    let found = resolve(node, &node.static_groups[0]);
    let place = found[0].outcome.clone().expect("it is kept").expect("it is a target");
    assert_eq!((place.url.as_str(), place.labels.get("role")), ("http://db1:9100/metrics", Some("db")));
    let refused = "scrape_configs:\n- job_name: a\n  kubernetes_sd_configs: []\n";
    let message = parse_config(refused).expect_err("no such discovery").to_string();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(guide).contains(&words(&message)), "the guide shows what is said: {message}");
}
