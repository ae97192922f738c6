//! Targets out of files and addresses, what is sent to them, and a configuration that changes.

use std::io::Write;

use tenfold_app::metrics::Health;

use crate::site::Site;
use crate::world::{World, replace};

const TEXT: &str = "text/plain; version=0.0.4";

#[tokio::test]
async fn files_of_targets_are_followed() {
    let world = World::new(
        "scrape_configs:\n- job_name: files\n  file_sd_configs: [{files: ['targets/*.json', one.yml]}]\n  \
         relabel_configs: [{source_labels: [__meta_filepath], regex: '.*/', target_label: x}]\n",
        |_| {},
    )
    .await;
    let folder = world.dir.path().join("targets");
    std::fs::create_dir(&folder).unwrap();
    replace(&folder.join("a.json"), r#"[{"targets": ["h1:1", "h2:1"], "labels": {"zone": "a"}}]"#);
    let world = world.start().await;
    world.targets("one file", &["http://h1:1/metrics", "http://h2:1/metrics"]).await;
    let status = world.app.metrics.target_statuses().swap_remove(0);
    let path = folder.join("a.json").display().to_string();
    assert_eq!(status.discovered.get("__meta_filepath"), Some(path.as_str()));
    assert_eq!(status.labels.get("zone"), Some("a"));
    replace(&folder.join("b.json"), r#"[{"targets": ["h3:1"]}]"#);
    replace(&world.dir.path().join("one.yml"), "- targets: [h4:1]\n");
    world
        .targets(
            "new files",
            &["h1:1", "h2:1", "h3:1", "h4:1"].map(|h| format!("http://{h}/metrics")).each_ref().map(String::as_str),
        )
        .await;
    // One that cannot be read keeps what it said; one that is gone takes its targets with it.
    replace(&folder.join("a.json"), r#"[{"targets": ["h1:1", "#);
    let failures = [("job", "files"), ("kind", "file_sd")];
    world
        .until("the failure is counted", |app| {
            (app.metrics.own.get("tenfold_discovery_failures_total", &failures) > 0.0).then_some(())
        })
        .await;
    std::fs::remove_file(folder.join("b.json")).unwrap();
    std::fs::remove_file(world.dir.path().join("one.yml")).unwrap();
    world.targets("files gone", &["http://h1:1/metrics", "http://h2:1/metrics"]).await;
    replace(&folder.join("a.json"), "[]");
    world.targets("an empty list", &[]).await;
}

#[tokio::test]
async fn a_token_is_had_first_and_a_proxy_stands_in_between() {
    let site = Site::start().await;
    let page = "http://db.example.org:9100/metrics";
    site.page(page, TEXT, "a 1\n");
    site.page("/token", "application/json", r#"{"access_token": "t1", "token_type": "bearer", "expires_in": 3600}"#);
    let yaml = format!(
        "scrape_configs:\n- job_name: far\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  proxy_url: 'http://{0}'\n  \
         static_configs: [{{targets: ['db.example.org:9100']}}]\n  \
         oauth2: {{client_id: me, client_secret: 's e', token_url: 'http://{0}/token', scopes: [read, write]}}\n",
        site.address
    );
    let world = World::new(&yaml, |_| {}).await.start().await;
    let up = |app: &tenfold_app::App| {
        app.metrics.target_statuses().iter().any(|target| target.health == Health::Up).then_some(())
    };
    world.until("it is up through the proxy", up).await;
    let request = site.request(page);
    assert!(request.contains("authorization: bearer t1\r\n"), "{request}");
    let asked = site.request("/token");
    // `me:s+e`, in small letters as all that the site heard.
    assert!(asked.contains("authorization: basic bwu6cytl\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\ngrant_type=client_credentials&scope=read+write"), "{asked}");
    // A token that is no longer taken is asked for anew.
    site.page("/token", "application/json", r#"{"access_token": "t2"}"#);
    site.set(page, "401 Unauthorized", "");
    world.until("another token", |_| site.request(page).contains("authorization: bearer t2\r\n").then_some(())).await;
}

#[tokio::test]
async fn a_list_behind_an_address_is_followed() {
    let site = Site::start().await;
    site.page("/sd", "application/json", r#"[{"targets": ["h1:1"], "labels": {"__meta_rack": "7"}}]"#);
    let yaml = format!(
        "scrape_configs:\n- job_name: lists\n  http_sd_configs:\n  - {{url: 'http://{}/sd', refresh_interval: 1s, \
         basic_auth: {{username: u, password: p}}}}\n  relabel_configs: [{{source_labels: [__meta_rack], target_label: rack}}]\n",
        site.address
    );
    let world = World::new(&yaml, |_| {}).await.start().await;
    world.targets("the list", &["http://h1:1/metrics"]).await;
    let status = world.status("lists");
    assert_eq!(status.labels.get("rack"), Some("7"));
    let url = format!("http://{}/sd", site.address);
    assert_eq!(status.discovered.get("__meta_url"), Some(url.as_str()));
    let request = site.request("/sd");
    assert!(request.contains("x-prometheus-refresh-interval-seconds: 1\r\n"), "{request}");
    assert!(request.contains("authorization: basic dtpw\r\n"), "{request}");
    // A server that errs, or answers something else, is no reason to forget the targets.
    let failures = |app: &tenfold_app::App| {
        app.metrics.own.get("tenfold_discovery_failures_total", &[("job", "lists"), ("kind", "http_sd")])
    };
    for (head, body) in [
        ("500 Oops", "[]"),
        ("200 OK\r\nContent-Type: text/html", "[]"),
        ("200 OK\r\nContent-Type: application/json", "{}"),
    ] {
        let before = failures(&world.app);
        site.set("/sd", head, body);
        world.until("another failure", |app| (failures(app) > before + 1.0).then_some(())).await;
        assert_eq!(world.app.metrics.targets().len(), 1, "{head}");
    }
    site.page("/sd", "application/json; charset=utf-8", "[]");
    world.targets("an empty list", &[]).await;
}

#[tokio::test]
async fn a_target_is_asked_as_its_job_says() {
    let site = Site::start().await;
    site.page("/metrics", TEXT, "a 1\n");
    site.set("/moved", "302 Found\r\nLocation: /metrics", "");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(&b"# a page\n".repeat(1_000)).unwrap();
    gzip.write_all(b"b 2\n").unwrap();
    site.set("/packed", &format!("200 OK\r\nContent-Type: {TEXT}\r\nContent-Encoding: gzip"), gzip.finish().unwrap());
    site.set("/letters", &format!("200 OK\r\nContent-Type: {TEXT}\r\nContent-Encoding: UTF-8"), "c 3\n");
    site.set("/odd", &format!("200 OK\r\nContent-Type: {TEXT}\r\nContent-Encoding: br"), "c 3\n");
    let job = |name: &str, more: &str| {
        format!(
            "- job_name: {name}\n  scrape_interval: 200ms\n  static_configs: [{{targets: ['{}']}}]\n{more}\n",
            site.address
        )
    };
    let yaml = [
        "scrape_configs:\n".to_owned(),
        job(
            "bearer",
            "  authorization: {credentials_file: token}\n  params: {name: [a b]}\n  scrape_timeout: 100ms\n  http_headers: \
             {X-Tenant: {values: [one], secrets: [two]}, X-More: {files: [token]}}",
        ),
        job("redirected", "  metrics_path: /moved"),
        job("kept", "  metrics_path: /moved\n  follow_redirects: false"),
        job("packed", "  metrics_path: /packed"),
        job("letters", "  metrics_path: /letters"),
        job("odd", "  metrics_path: /odd"),
        job("small", "  metrics_path: /packed\n  body_size_limit: 1KB"),
        job("few", "  target_limit: 1\n  file_sd_configs: [{files: [more.json]}]"),
    ]
    .concat();
    let world = World::new(&yaml, |_| {}).await;
    std::fs::write(world.dir.path().join("token"), "s3cret\n").unwrap();
    std::fs::write(
        world.dir.path().join("more.json"),
        format!(r#"[{{"targets": ["localhost:{}"]}}]"#, site.address.split(':').nth(1).unwrap()),
    )
    .unwrap();
    site.page("/metrics?name=a%20b", TEXT, "a 1\n");
    let world = world.start().await;
    for (pool, error) in [
        ("bearer", None),
        ("redirected", None),
        ("kept", Some("the target answered 302 Found")),
        ("packed", None),
        ("letters", None),
        ("odd", Some("the page came in `br`, which was not asked for")),
        ("small", Some("the page is larger than 1024 bytes")),
        ("few", Some("target_limit exceeded (number of targets: 2, limit: 1)")),
    ] {
        let health = if error.is_none() { Health::Up } else { Health::Down };
        let seen = |app: &tenfold_app::App| {
            let all = app.metrics.target_statuses();
            all.into_iter().find(|t| t.pool == pool && t.health == health).filter(|t| t.error.as_deref() == error)
        };
        world.until(pool, seen).await;
        let up = format!("sum(up{{job=\"{pool}\"}})");
        let wanted = f64::from(u8::from(error.is_none()));
        world.until(&up, |_| world.number(&up).filter(|up| *up == wanted)).await;
    }
    let request = site.request("/metrics?name=a%20b");
    for line in [
        "authorization: bearer s3cret",
        "x-tenant: one",
        "x-tenant: two",
        "x-more: s3cret",
        "accept-encoding: gzip",
        "x-prometheus-scrape-timeout-seconds: 0.1",
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.9,\
         application/openmetrics-text;version=0.0.1;q=0.8,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.7,\
         text/plain;version=0.0.4;q=0.6,*/*;q=0.1",
    ] {
        assert!(request.contains(&format!("{line}\r\n")), "{line} in {request}");
    }
    world.until("what is in the page", |_| world.number("b{job=\"packed\"}").filter(|b| *b == 2.0)).await;
}

#[tokio::test]
async fn a_page_that_does_not_say_what_it_is_needs_a_job_that_does() {
    let site = Site::start().await;
    site.set("/bare", "200 OK", "a 1\n");
    site.set("/empty", "200 OK", "");
    site.page("/html", "text/html; charset=utf-8", "a 1\n");
    site.page("/text", TEXT, "a 1\n");
    let fallback = |protocol: &str| format!("  fallback_scrape_protocol: {protocol}\n");
    let (text, open) = (fallback("PrometheusText0.0.4"), fallback("OpenMetricsText1.0.0"));
    let advice = "and no fallback_scrape_protocol specified for target; if it is a page of metrics, write \
                  `fallback_scrape_protocol: PrometheusText0.0.4` at its job";
    let blank = format!("non-compliant scrape target sending blank Content-Type {advice}");
    let unknown = format!("received unsupported Content-Type \"text/html; charset=utf-8\" {advice}");
    let cases = [
        ("bare", "/bare", "", Some(blank)),
        ("html", "/html", "", Some(unknown)),
        ("empty", "/empty", "", None),
        ("bare_text", "/bare", text.as_str(), None),
        ("html_text", "/html", text.as_str(), None),
        // OpenMetrics ends with `# EOF`, so that it is seen which of both is read.
        ("bare_open", "/bare", open.as_str(), Some("line 2: the page ends without `# EOF`".to_owned())),
        ("text", "/text", open.as_str(), None),
    ];
    let job = |(name, path, more, _): &(&str, &str, &str, Option<String>)| {
        format!(
            "- job_name: {name}\n  scrape_interval: 200ms\n  metrics_path: {path}\n{more}  static_configs: \
             [{{targets: ['{}']}}]\n",
            site.address
        )
    };
    let yaml = format!("scrape_configs:\n{}", cases.iter().map(job).collect::<Vec<_>>().concat());
    let world = World::new(&yaml, |_| {}).await.start().await;
    for (pool, _, _, error) in &cases {
        let health = if error.is_none() { Health::Up } else { Health::Down };
        let seen = |app: &tenfold_app::App| {
            let all = app.metrics.target_statuses();
            all.into_iter().find(|t| t.pool == *pool && t.health == health).filter(|t| t.error == *error)
        };
        world.until(pool, seen).await;
    }
    world.until("what is in the page", |_| world.number("a{job=\"html_text\"}").filter(|a| *a == 1.0)).await;
    assert_eq!(world.number("a{job=\"bare\"}"), None, "nothing of it is kept");
}

#[tokio::test]
async fn a_job_may_tell_of_its_limits() {
    let site = Site::start().await;
    site.page("/metrics", TEXT, "a 1\n");
    site.page("/large", TEXT, "# a page\n".repeat(200));
    site.page("/html", "text/html", "<p>no metrics</p>\n");
    let yaml = |extra: bool| {
        let job = |name: &str, more: &str| {
            format!(
                "- job_name: {name}\n  scrape_interval: 200ms\n  static_configs: [{{targets: ['{}']}}]\n{more}",
                site.address
            )
        };
        [
            format!("global: {{extra_scrape_metrics: {extra}}}\nscrape_configs:\n"),
            job("told", "  scrape_timeout: 100ms\n  sample_limit: 50\n"),
            job("large", "  metrics_path: /large\n  body_size_limit: 1KB\n"),
            job("missing", "  metrics_path: /missing\n"),
            job("html", "  metrics_path: /html\n"),
            job("quiet", "  extra_scrape_metrics: false\n"),
        ]
        .concat()
    };
    let world = World::new(&yaml(true), |_| {}).await.start().await;
    let told = |job: &str| {
        ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"]
            .map(|metric| world.number(&format!("{metric}{{job=\"{job}\"}}")))
    };
    for (job, wanted) in [
        ("told", [0.1, 50.0, 4.0]),
        ("large", [0.2, 0.0, -1.0]),
        ("missing", [0.2, 0.0, 0.0]),
        ("html", [0.2, 0.0, 18.0]),
    ] {
        world.until(job, |_| (told(job) == wanted.map(Some)).then_some(())).await;
    }
    world.until("quiet", |_| world.number("up{job=\"quiet\"}")).await;
    assert_eq!(told("quiet"), [None; 3]);
    replace(&world.config(), &yaml(false));
    world.until("they end with the setting", |_| (told("told") == [None; 3]).then_some(())).await;
}

#[tokio::test]
async fn labels_say_which_histograms_are_taken_of_a_target() {
    let site = Site::start().await;
    let page = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
    site.page("/usual", TEXT, page);
    site.page("/other", TEXT, page);
    let yaml = format!(
        "scrape_configs:\n- job_name: mixed\n  scrape_interval: 200ms\n  static_configs:\n  \
         - {{targets: ['{0}'], labels: {{__metrics_path__: '/usual', kind: usual}}}}\n  \
         - {{targets: ['{0}'], labels: {{__metrics_path__: '/other', kind: other}}}}\n  relabel_configs:\n  \
         - {{source_labels: [kind], regex: other, target_label: __scrape_native_histograms__, replacement: 'true'}}\n  \
         - {{source_labels: [kind], regex: other, target_label: __convert_classic_histograms_to_nhcb__, replacement: 'true'}}\n",
        site.address
    );
    let world = World::new(&yaml, |_| {}).await.start().await;
    world.until("the native one", |_| world.number("histogram_count(h{kind=\"other\"})").filter(|n| *n == 2.0)).await;
    world.until("the classic one", |_| world.number("h_count{kind=\"usual\"}").filter(|n| *n == 2.0)).await;
    assert_eq!(world.number("h_count{kind=\"other\"}"), None);
    assert_eq!(world.number("histogram_count(h{kind=\"usual\"})"), None);
    for (path, first) in [("/other", "application/vnd.google.protobuf"), ("/usual", "application/openmetrics-text")] {
        let request = site.request(path);
        assert!(request.contains(&format!("\r\naccept: {first};")), "{request}");
    }
}

#[tokio::test]
async fn a_redirect_takes_no_secret_to_another_place() {
    let (site, other) = (Site::start().await, Site::start().await);
    site.set("/metrics", &format!("302 Found\r\nLocation: http://{}/there", other.address), "");
    other.page("/there", TEXT, "a 1\n");
    let yaml = format!(
        "scrape_configs:\n- job_name: led\n  scrape_interval: 200ms\n  static_configs: [{{targets: ['{}']}}]\n  \
         basic_auth: {{username: u, password: p}}\n  http_headers: {{X-Key: {{secrets: [very-secret]}}}}\n",
        site.address
    );
    let world = World::new(&yaml, |_| {}).await.start().await;
    world.until("it is led on", |_| world.number("a{job=\"led\"}")).await;
    let (first, second) = (site.request("/metrics"), other.request("/there"));
    for secret in ["authorization: basic dtpw", "x-key: very-secret"] {
        assert!(first.contains(secret), "{first}");
        assert!(!second.contains(secret), "{second}");
    }
    assert!(second.contains("accept: application/openmetrics-text"), "{second}");
}

#[tokio::test]
async fn a_changed_configuration_is_obeyed_if_it_is_right() {
    let yaml =
        |target: &str| format!("scrape_configs:\n- job_name: a\n  static_configs: [{{targets: ['{target}']}}]\n");
    let world = World::new(&yaml("h1:1"), |_| {}).await.start().await;
    world.targets("the first", &["http://h1:1/metrics"]).await;
    replace(&world.config(), &format!("{}  sample_limits: 5\n", yaml("h2:1")));
    let reason = world.until("the trouble is said", |app| app.metrics.config_trouble()).await;
    assert!(
        reason.ends_with("prometheus.yml, line 4: `sample_limits` is not supported; did you mean `sample_limit`?"),
        "{reason}"
    );
    assert_eq!(world.app.metrics.targets()[0].url, "http://h1:1/metrics", "the one before goes on");
    assert_eq!(world.app.metrics.own.get("tenfold_scrape_config_obeyed", &[]), 0.0);
    replace(&world.config(), &format!("{}  sample_limit: 50\n", yaml("h2:1")));
    world.targets("the changed one", &["http://h2:1/metrics"]).await;
    assert_eq!(world.app.metrics.config_trouble(), None);
}

#[tokio::test]
async fn jobs_in_further_files_are_followed() {
    let main = "global: {scrape_interval: 7s}\nscrape_config_files: ['conf.d/*.yml', later.yml]\nscrape_configs:\n\
                - job_name: main\n  static_configs: [{targets: ['h1:1']}]\n";
    let world = World::new(main, |_| {}).await;
    let folder = world.dir.path().join("conf.d");
    std::fs::create_dir(&folder).unwrap();
    let of_host = |job: &str, host: &str| {
        format!("scrape_configs:\n- job_name: {job}\n  static_configs: [{{targets: ['{host}:1']}}]\n")
    };
    // Its own files are meant from its own folder.
    replace(&folder.join("a.json"), r#"[{"targets": ["h2:1"]}]"#);
    let followed = "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [a.json]}]\n";
    replace(&folder.join("a.yml"), followed);
    let world = world.start().await;
    let [h1, h2, h3] = ["http://h1:1/metrics", "http://h2:1/metrics", "http://h3:1/metrics"];
    world.targets("both files", &[h1, h2]).await;
    assert_eq!(world.status("a").interval_ms, 7_000, "the main file's global counts");
    replace(&world.dir.path().join("later.yml"), &of_host("later", "h3"));
    world.targets("a file that came later", &[h1, h2, h3]).await;
    replace(&folder.join("b.yml"), &of_host("a", "h4"));
    let reason = world.until("the trouble is said", |app| app.metrics.config_trouble()).await;
    assert!(reason.ends_with("conf.d/b.yml, line 2: the job `a` stands in another file already"), "{reason}");
    std::fs::remove_file(folder.join("b.yml")).unwrap();
    world.until("it is as before", |app| app.metrics.config_trouble().is_none().then_some(())).await;
    std::fs::remove_file(folder.join("a.yml")).unwrap();
    world.targets("a file is gone", &[h1, h3]).await;
}

#[tokio::test]
async fn a_job_that_did_not_change_goes_on() {
    let yaml = |head: &str, target: &str| {
        format!(
            "{head}scrape_configs:\n- job_name: kept\n  static_configs: [{{targets: ['h1:1']}}]\n  \
             metric_relabel_configs: [{{source_labels: [a], regex: 'x.*', action: drop}}]\n\
             - job_name: changed\n  static_configs: [{{targets: ['{target}']}}]\n"
        )
    };
    let world = World::new(&yaml("", "h2:1"), |_| {}).await.start().await;
    world.targets("the first", &["http://h1:1/metrics", "http://h2:1/metrics"]).await;
    let job = |url: &str| {
        let target = world.app.metrics.targets().into_iter().find(|t| t.url == url).expect("the target");
        world.app.metrics.job_of(&target)
    };
    let before = job("http://h1:1/metrics");
    replace(&world.config(), &yaml("# One line further down.\n", "h3:1"));
    world.targets("the second", &["http://h1:1/metrics", "http://h3:1/metrics"]).await;
    assert!(std::sync::Arc::ptr_eq(&before, &job("http://h1:1/metrics")), "its scrapes are not begun anew");
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_at_the_start() {
    let world = World::new("scrape_configs:\n- job_name: a\n  consul_sd_configs: []\n", |_| {}).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let error = tenfold_ingest::start(&world.app, &stop).await.unwrap_err().to_string();
    assert!(error.starts_with("metrics.scrape_config_files: "), "{error}");
    assert!(error.contains("line 3: `consul_sd_configs` is not supported; targets are found by"), "{error}");
}
