use tenfold_protocols::exposition::{Format, Histograms, read};
use tenfold_scrape::{Limits, parse_config};

use super::*;

const AT: i64 = 1_800_000_000_000;

struct World {
    memory: Memory,
    job: Arc<Job>,
    at_ms: i64,
    started_after: i64,
}

fn world(yaml: &str) -> World {
    let text = format!("scrape_configs:\n- job_name: a\n{yaml}\n");
    let job = parse_config(&text).unwrap_or_else(|e| panic!("{e}")).jobs.swap_remove(0);
    World { memory: Memory::default(), job: Arc::new(job), at_ms: AT, started_after: i64::MIN }
}

impl World {
    /// One scrape of an OpenMetrics page; the series that ended come last.
    fn scrape(&mut self, page: &str) -> (Taken, Result<(), String>, Vec<String>) {
        let format = if page.ends_with("# EOF") { Format::OpenMetrics } else { Format::Prometheus };
        let page = read(page.as_bytes(), format, Histograms::default(), 0).unwrap();
        let target = Labels::from_pairs([("job", "photos"), ("instance", "h:1")]);
        let mut taken = Taken::default();
        let done = self.memory.take(page, &target, &self.job, self.at_ms, self.started_after, &mut taken);
        if done.is_err() {
            taken.fail();
        }
        let ended = self.memory.ended(&mut taken).iter().map(|(labels, _)| labels.to_string()).collect();
        self.at_ms += 15_000;
        (taken, done, ended)
    }
}

fn shown(taken: &Taken) -> Vec<String> {
    let one = |w: &Write| {
        let point = w.point.expect("a float");
        let exemplars: Vec<_> = w.exemplars.iter().map(|e| format!(" # {} {}", e.labels, e.value)).collect();
        format!("{} {} @{}{}", w.labels, point.value, point.t_ms - AT, exemplars.concat())
    };
    taken.writes.iter().map(one).collect()
}

const OF_TARGET: &str = "instance=\"h:1\",job=\"photos\"";

#[test]
fn the_targets_labels_win_and_hide_nothing() {
    let (taken, ..) = world("").scrape("x{job=\"mine\",exported_job=\"older\",code=\"200\"} 1\n");
    let labels = "code=\"200\",exported_exported_job=\"mine\",exported_job=\"older\",instance=\"h:1\",job=\"photos\"";
    assert_eq!(shown(&taken), [format!("x{{{labels}}} 1 @0")]);
    let (taken, ..) = world("  honor_labels: true").scrape("x{job=\"mine\"} 1\n");
    assert_eq!(shown(&taken), ["x{instance=\"h:1\",job=\"mine\"} 1 @0"]);
    let (taken, ..) = world("  honor_labels: true").scrape("x{instance=\"\",job=\"mine\"} 1\n");
    assert_eq!(shown(&taken), ["x{job=\"mine\"} 1 @0"], "the page says that it is of no instance");
    let (taken, ..) = world("").scrape("x{instance=\"\"} 1\n");
    assert_eq!(shown(&taken), [format!("x{{{OF_TARGET}}} 1 @0")]);
}

#[test]
fn names_of_other_letters_fail_a_page_where_they_are_not_wanted() {
    let legacy = "  metric_name_validation_scheme: legacy\n  metric_relabel_configs: [{regex: c.d, action: labeldrop}]";
    let (_, done, _) = world(legacy).scrape("a:b 1\n{\"a.b\"} 1\n");
    let reason = done.unwrap_err();
    assert!(reason.starts_with("invalid metric name or label names: {\"a.b\","), "{reason}");
    assert!(world(legacy).scrape("a{\"e.f\"=\"1\"} 1\n").1.is_err());
    assert_eq!(world(legacy).scrape("a{\"c.d\"=\"1\"} 1\n").1, Ok(()), "what a rule drops does not count");
    assert_eq!(world("").scrape("{\"a.b\",\"e.f\"=\"1\"} 1\n").1, Ok(()));
}

#[test]
fn rules_rewrite_and_drop_series() {
    let mut world = world(
        "  metric_relabel_configs:\n  - {source_labels: [__name__], regex: 'go_.*', action: drop}\n  \
         - {source_labels: [code], regex: '(.)..', target_label: class, replacement: '${1}xx'}\n  \
         - {regex: code, action: labeldrop}",
    );
    let (taken, done, _) = world.scrape("go_threads 7\nr{code=\"204\"} 1\n");
    assert_eq!((done, taken.scraped, taken.kept, taken.added), (Ok(()), 2, 1, 1));
    assert_eq!(shown(&taken), [format!("r{{class=\"2xx\",{OF_TARGET}}} 1 @0")]);
    let (taken, _, ended) = world.scrape("go_threads 7\nr{code=\"204\"} 1\nr{code=\"500\"} 1\n");
    assert_eq!((taken.scraped, taken.kept, taken.added, ended.len()), (3, 2, 1, 0));
    let (taken, _, ended) = world.scrape("go_threads 7\nr{code=\"500\"} 1\n");
    assert_eq!((taken.added, ended), (0, vec![format!("r{{class=\"2xx\",{OF_TARGET}}}")]));
    // New rules apply to series that are known.
    world.job = Arc::new(Job::new("a", 1, 1));
    let (taken, ..) = world.scrape("r{code=\"500\"} 1\n");
    assert_eq!(shown(&taken), [format!("r{{code=\"500\",{OF_TARGET}}} 1 @45000")]);
    let nothing = "  metric_relabel_configs: [{regex: none, action: labelkeep}]";
    let (taken, done, _) = super::tests::world(nothing).scrape("r 1\ns 1\n");
    assert_eq!((done, taken.scraped, taken.kept), (Ok(()), 2, 0));
    let nameless = "  metric_relabel_configs: [{regex: __name__, action: labeldrop}]";
    let (_, done, _) = super::tests::world(nameless).scrape("r 1\n");
    assert_eq!(done, Err("relabelling leaves r without a metric name".to_owned()));
}

#[test]
fn a_limit_fails_the_whole_page() {
    let page = "one{label=\"value\"} 1\ntwo 2\nthree 3\n";
    for (yaml, message, scraped) in [
        ("  sample_limit: 2", "sample_limit exceeded (number of samples: 3, limit: 2)", 3),
        ("  label_limit: 3", "label_limit exceeded (metric: one, number of labels: 4, limit: 3)", 1),
        (
            "  label_name_length_limit: 7",
            "label_name_length_limit exceeded (metric: one, label name: __name__, length: 8, limit: 7)",
            1,
        ),
        (
            "  label_value_length_limit: 5",
            "label_value_length_limit exceeded (metric: one, label name: job, value: photos, length: 6, limit: 5)",
            1,
        ),
    ] {
        let mut world = world(yaml);
        let job = std::mem::replace(&mut world.job, Arc::new(Job::new("a", 1, 1)));
        assert_eq!(world.scrape(page).1, Ok(()));
        world.job = job;
        let (taken, done, ended) = world.scrape(page);
        assert_eq!((done, taken.scraped, taken.writes.len(), ended.len()), (Err(message.to_owned()), scraped, 0, 3));
    }
    let mut world =
        world("  sample_limit: 1\n  metric_relabel_configs: [{source_labels: [__name__], regex: one, action: keep}]");
    assert_eq!(world.scrape(page).1, Ok(()), "what a rule drops does not count");
    assert_eq!(world.job.limits, Limits { samples_max: 1, ..Limits::default() });
}

#[test]
fn native_histograms_are_made_coarser_until_they_fit() {
    use tenfold_types::histogram::Buckets;
    let fine = Arc::new(Histogram {
        schema: 2,
        count: 8.0,
        positive: Buckets::single(1, vec![1.0; 8]),
        reset_hint: ResetHint::Gauge,
        ..Histogram::default()
    });
    let made = |limits: Limits| -> Result<(i32, Vec<f64>), usize> {
        let h = within(fine.clone(), &limits)?;
        assert_eq!((h.count, h.reset_hint), (8.0, ResetHint::Gauge));
        Ok((h.schema, h.positive.counts.clone()))
    };
    let at_most = |n| Limits { histogram_buckets_max: n, ..Limits::default() };
    assert_eq!(made(Limits::default()), Ok((2, vec![1.0; 8])));
    assert_eq!(made(at_most(8)), Ok((2, vec![1.0; 8])));
    assert_eq!(made(at_most(3)), Ok((0, vec![4.0; 2])));
    let coarse = Limits { histogram_schema_max: Some(1), ..Limits::default() };
    assert_eq!(made(coarse), Ok((1, vec![2.0; 4])));
    let bounds: Vec<f64> = (0..7).map(f64::from).collect();
    let custom = Histogram {
        schema: tenfold_types::histogram::CUSTOM_SCHEMA,
        bounds: bounds.as_slice().into(),
        positive: Buckets::single(0, vec![1.0; 8]),
        ..Histogram::default()
    };
    assert_eq!(within(custom.into(), &at_most(7)), Err(8), "there is no coarser one");
}

#[test]
fn times_on_the_page_count_or_do_not() {
    let page = format!("x 1 {}\ny 2\n", AT - 5_000);
    let mut own = world("");
    let (taken, ..) = own.scrape(&page);
    assert_eq!(shown(&taken), [format!("x{{{OF_TARGET}}} 1 @-5000"), format!("y{{{OF_TARGET}}} 2 @0")]);
    let ends: Vec<String> = own.scrape("z 1\n").2;
    assert_eq!(ends, [format!("y{{{OF_TARGET}}}")], "a series with times of its own does not end");
    let mut tracked = world("  track_timestamps_staleness: true");
    assert_eq!(tracked.scrape(&page).1, Ok(()));
    assert_eq!(tracked.scrape("z 1\n").2.len(), 2);
    let (taken, ..) = world("  honor_timestamps: false").scrape(&page);
    assert_eq!(shown(&taken)[0], format!("x{{{OF_TARGET}}} 1 @0"));
    let (taken, done, _) = world("").scrape(&format!("x 1 {}\n", AT + 3_600_000));
    assert_eq!((done, taken.ahead, taken.writes.len()), (Ok(()), 1, 0));
}

fn counter(value: u32, created_s: i64, exemplar: &str) -> String {
    format!("# TYPE c counter\nc_total {value}{exemplar}\nc_created {created_s}\n# EOF")
}

#[test]
fn a_counter_begins_at_zero_once() {
    let now_s = AT / 1_000;
    let zero = |at: i64| format!("c_total{{{OF_TARGET}}} 0 @{at}");
    let mut world = world("");
    let (taken, ..) = world.scrape(&counter(5, now_s - 60, ""));
    assert_eq!(shown(&taken), [zero(-60_000), format!("c_total{{{OF_TARGET}}} 5 @0")]);
    assert_eq!(world.scrape(&counter(6, now_s - 60, "")).0.writes.len(), 1, "it is in the store");
    // The process began anew after the last scrape.
    world.started_after = AT + 15_000;
    let (taken, ..) = world.scrape(&counter(1, now_s + 20, ""));
    assert_eq!(shown(&taken)[0], zero(20_000));
    // It began while its predecessor was being scraped: a zero there would look like two resets.
    assert_eq!(world.scrape(&counter(1, now_s + 10, "")).0.writes.len(), 1);
    let (taken, ..) = super::tests::world("").scrape(&counter(9, now_s - 7_200, ""));
    assert_eq!(taken.writes.len(), 1, "long ago is of no use");
}

#[test]
fn an_exemplar_is_kept_once() {
    let mut world = world("");
    let with = |text: &str| counter(1, 1, text);
    let exemplars = |taken: &Taken| taken.writes[0].exemplars.clone();
    let kept = exemplars(&world.scrape(&with(" # {trace_id=\"a\"} 0.5")).0);
    assert_eq!((kept.len(), kept[0].t_ms), (1, AT), "without a time of its own it has the sample's");
    assert!(exemplars(&world.scrape(&with(" # {trace_id=\"a\"} 0.5")).0).is_empty());
    assert_eq!(exemplars(&world.scrape(&with(" # {trace_id=\"b\"} 0.5")).0).len(), 1);
    let timed = with(&format!(" # {{trace_id=\"c\"}} 0.5 {}", AT / 1_000 + 40));
    assert_eq!(exemplars(&world.scrape(&timed).0).len(), 1);
    assert!(exemplars(&world.scrape(&timed).0).is_empty());
    let long = with(&format!(" # {{trace_id=\"{}\"}} 0.5", "x".repeat(121)));
    let (taken, ..) = world.scrape(&long);
    assert_eq!((exemplars(&taken).len(), taken.long_exemplars), (0, 1));
}

#[test]
fn pages_that_are_refused_are_not_remembered_without_end() {
    let mut world = world("  sample_limit: 10");
    for round in 0..50 {
        let lines: Vec<String> = (0..200).map(|n| format!("m{{n=\"{round}-{n}\"}} 1\n")).collect();
        let page = lines.concat();
        let (_, done, _) = world.scrape(&page);
        assert!(done.is_err());
    }
    assert!(world.memory.known.len() <= KNOWN_SLACK + 200, "{}", world.memory.known.len());
}
