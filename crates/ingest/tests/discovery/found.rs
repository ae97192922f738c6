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
        assert_eq!(world.number(&up), Some(f64::from(u8::from(error.is_none()))), "{pool}");
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
    assert_eq!(world.number("b{job=\"packed\"}"), Some(2.0));
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
