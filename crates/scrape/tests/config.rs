//! Configuration files of Prometheus: what they become, and how it is said what is wrong with one.

use tenfold_scrape::{
    Auth, DnsSd, Escaping, FileSd, Group, Header, HttpSd, Job, Oauth2, Protocol, Proxy, RecordType, ScrapeConfigs,
    Secret, Tls, TlsVersion, apply, parse_config, parse_further, parse_http_config,
};
use tenfold_types::Labels;

const WHOLE: &str = r#"
global:
  scrape_interval: 30s
  evaluation_interval: 30s
  external_labels: {cluster: a}
  sample_limit: 1000
rule_files: [rules/*.yml]
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ["localhost:9090", 'localhost:9091']
        labels: {role: 1}
  - job_name: everything
    scrape_interval: 1m
    scrape_timeout: 5s
    metrics_path: /probe
    scheme: https
    params: {module: [http]}
    honor_labels: true
    honor_timestamps: false
    track_timestamps_staleness: true
    enable_compression: false
    scrape_native_histograms: true
    always_scrape_classic_histograms: true
    fallback_scrape_protocol: OpenMetricsText1.0.0
    body_size_limit: 10MB
    sample_limit: 50
    label_limit: 30
    label_name_length_limit: 20
    label_value_length_limit: 200
    native_histogram_bucket_limit: 160
    native_histogram_min_bucket_factor: 1.1
    scrape_failure_log_file: failures.log
    target_limit: 7
    keep_dropped_targets: 3
    basic_auth: {username: ana, password_file: /etc/secret}
    tls_config: {ca_file: ca.pem, server_name: inside, insecure_skip_verify: true}
    follow_redirects: false
    file_sd_configs: [{files: [targets/*.json, more.yml], refresh_interval: 10s}]
    http_sd_configs: [{url: "http://sd/targets", authorization: {credentials: token}}]
    dns_sd_configs: [{names: [_web._tcp.example.org]}, {names: [web.example.org], type: AAAA, port: 80, refresh_interval: 5s}]
    relabel_configs:
      - source_labels: [__address__]
        regex: '(.*):\d+'
        target_label: host
        replacement: $1
    metric_relabel_configs: [{regex: tmp_.*, action: labeldrop}]
"#;

fn job(yaml: &str) -> Job {
    let text = format!("scrape_configs:\n- job_name: a\n{yaml}");
    parse_config(&text).unwrap_or_else(|e| panic!("{e}\n{text}")).jobs.swap_remove(0)
}

#[test]
fn a_whole_file_is_read() {
    let config = parse_config(WHOLE).unwrap();
    let notes: Vec<&str> = config.notes.iter().map(|n| n.split(" is not").next().unwrap()).collect();
    assert_eq!(
        notes,
        [
            "line 5: `global.external_labels`",
            "line 4: `global.evaluation_interval`",
            "line 7: `rule_files`",
            "line 33: `scrape_failure_log_file`",
        ]
    );
    let [first, all] = &config.jobs[..] else { panic!("two jobs") };
    assert_eq!((first.name.as_str(), first.interval_ms, first.timeout_ms), ("prometheus", 30_000, 10_000));
    assert_eq!((first.scheme.as_str(), first.metrics_path.as_str(), first.line), ("http", "/metrics", 9));
    assert_eq!((first.honor_labels, first.honor_timestamps, first.compression), (false, true, true));
    assert_eq!((first.limits.samples_max, &first.protocols[..]), (1000, &Protocol::USUAL[..]));
    assert_eq!(first.static_groups[0].targets.len(), 2);
    assert_eq!(first.static_groups[0].labels.get("role"), Some("1"), "a number may stand for a text");

    assert_eq!((all.interval_ms, all.timeout_ms, all.params["module"][0].as_str()), (60_000, 5_000, "http"));
    assert!(all.honor_labels && !all.honor_timestamps && all.track_timestamps_staleness && !all.compression);
    assert!(all.native_histograms && all.classic_histograms);
    assert_eq!((first.fallback, all.fallback), (None, Some(Protocol::OpenMetrics1_0_0)));
    assert_eq!(all.protocols, Protocol::NATIVE);
    let l = all.limits;
    assert_eq!((l.body_bytes_max, l.samples_max, l.labels_max), (10 << 20, 50, 30));
    assert_eq!((l.label_name_bytes_max, l.label_value_bytes_max, l.targets_max), (20, 200, 7));
    // Buckets of schema 2 are each 1.19 times as wide as the one before, those of schema 3 only 1.09 times.
    assert_eq!((l.histogram_buckets_max, l.histogram_schema_max), (160, Some(2)));
    assert_eq!(all.keep_dropped_max, 3);
    let (username, password) = (Secret::Text("ana".into()), Secret::File("/etc/secret".into()));
    assert_eq!(all.client.auth, Some(Auth::Basic { username, password }));
    assert_eq!(all.client.tls.server_name.as_deref(), Some("inside"));
    assert!(all.client.tls.insecure_skip_verify && !all.client.follow_redirects);
    let files = vec!["targets/*.json".to_owned(), "more.yml".to_owned()];
    assert_eq!(all.file_sd, [FileSd { files, refresh_ms: 10_000 }]);
    let HttpSd { url, refresh_ms, client } = &all.http_sd[0];
    assert_eq!((url.as_str(), *refresh_ms), ("http://sd/targets", 60_000));
    let credentials = Secret::Text("token".into());
    assert_eq!(client.auth, Some(Auth::Credentials { kind: "Bearer".into(), credentials }));
    let srv = DnsSd { names: vec!["_web._tcp.example.org".into()], kind: RecordType::Srv, port: 0, refresh_ms: 30_000 };
    let addresses =
        DnsSd { names: vec!["web.example.org".into()], kind: RecordType::Aaaa, port: 80, refresh_ms: 5_000 };
    assert_eq!(all.dns_sd, [srv, addresses]);
    assert_eq!((all.relabel.len(), all.metric_relabel.len()), (1, 1));
}

#[test]
fn files_are_meant_from_the_configurations_folder() {
    let mut config = parse_config(WHOLE).unwrap();
    config.relative_to("/etc/prometheus");
    let job = &config.jobs[1];
    assert_eq!(job.file_sd[0].files[0], "/etc/prometheus/targets/*.json");
    assert_eq!(job.client.tls.ca_file.as_deref(), Some("/etc/prometheus/ca.pem"));
    let Some(Auth::Basic { password, .. }) = &job.client.auth else { panic!("{:?}", job.client) };
    assert_eq!(*password, Secret::File("/etc/secret".into()), "a whole path stays");
}

#[test]
fn further_files_have_jobs_alone() {
    let main = "global: {scrape_interval: 7s, sample_limit: 5}\nscrape_config_files: [conf.d/*.yml, /other.yml]\n";
    let mut config = parse_config(main).unwrap();
    config.relative_to("/etc/prometheus");
    assert_eq!(config.files, ["/etc/prometheus/conf.d/*.yml", "/other.yml"]);
    assert_eq!((config.jobs.len(), config.notes.len()), (0, 0));
    let globals = &config.globals;
    let further =
        parse_further("scrape_configs: [{job_name: a}, {job_name: b, scrape_interval: 9s}]", globals).unwrap();
    let jobs: Vec<_> = further.jobs.iter().map(|j| (j.name.as_str(), j.interval_ms, j.limits.samples_max)).collect();
    assert_eq!(jobs, [("a", 7_000, 5), ("b", 9_000, 5)]);
    for (yaml, wanted) in [
        ("scrape_configs: []\nglobal: {scrape_interval: 1s}", "line 2: `global` is not supported here"),
        ("scrape_configs:\n- {job_name: a}\n- {job_name: a}", "line 3: the job `a` is there twice"),
    ] {
        assert_eq!(parse_further(yaml, globals).unwrap_err().to_string(), wanted);
    }
    let named = |path: &str| parse_config(&format!("scrape_config_files: ['{path}']"));
    for path in ["a/*/b.yml", "a/[b.yml", "a/"] {
        let wanted = "*, ? and [a-z] stand in the last part of a path alone, and a bracket is closed";
        assert_eq!(named(path).unwrap_err().to_string(), format!("line 1: `{path}`: {wanted}"));
    }
    for path in ["*.*", "a/[^.]*-?.yml"] {
        assert_eq!(named(path).unwrap().files, [path]);
    }
}

#[test]
fn what_is_asked_for_is_said_in_order() {
    let accept = job("  scrape_protocols: [PrometheusProto, PrometheusText0.0.4]\n").accept();
    assert_eq!(
        accept,
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
         escaping=allow-utf-8;q=0.9,text/plain;version=0.0.4;q=0.8,*/*;q=0.1"
    );
}

#[test]
fn secrets_are_not_shown() {
    for yaml in [
        "  bearer_token: very-secret\n",
        "  proxy_url: http://me:very-secret@proxy:3128\n",
        "  oauth2: {client_id: me, client_secret: very-secret, token_url: 'http://t'}\n",
    ] {
        let job = job(yaml);
        assert!(!format!("{job:?}").contains("very-secret"), "{job:?}");
    }
}

#[test]
fn proxies_and_tokens_are_read() {
    let job = job(
        "  proxy_url: http://proxy:3128\n  no_proxy: 10.0.0.0/8,.local\n  http_sd_configs:\n  - url: http://sd\n    \
                   proxy_from_environment: true\n    oauth2: {client_id: me, client_secret_file: s, token_url: 'https://t/token', \
                   scopes: [read], endpoint_params: {audience: metrics}, tls_config: {ca_file: ca.pem}, \
                   proxy_url: 'http://p'}\n",
    );
    let whole = Proxy::Url { url: "http://proxy:3128".into(), except: "10.0.0.0/8,.local".into() };
    assert_eq!((&job.client.proxy, &job.client.auth), (&whole, &None));
    let mut config = ScrapeConfigs { jobs: vec![job], ..ScrapeConfigs::default() };
    config.relative_to("/etc/prometheus");
    let client = &config.jobs[0].http_sd[0].client;
    assert_eq!(client.proxy, Proxy::Environment);
    let Some(Auth::Oauth2(oauth)) = &client.auth else { panic!("{client:?}") };
    let wanted = Oauth2 {
        client_id: "me".into(),
        client_secret: Secret::File("/etc/prometheus/s".into()),
        scopes: vec!["read".into()],
        token_url: "https://t/token".into(),
        parameters: [("audience".to_owned(), "metrics".to_owned())].into(),
        tls: Tls { ca_file: Some("/etc/prometheus/ca.pem".into()), ..Tls::default() },
        proxy: Proxy::Url { url: "http://p".into(), except: String::new() },
    };
    assert_eq!(**oauth, wanted);
}

#[test]
fn every_place_that_asks_over_http_takes_the_same_keys() {
    let keys = "bearer_token: secret, follow_redirects: false, http_headers: {X-A: {values: [a]}}, tls_config: {server_name: a}";
    let job = job(&format!("  http_sd_configs: [{{url: 'http://sd', {keys}}}]\n  {}\n", keys.replace(", ", "\n  ")));
    assert_eq!(job.http_sd[0].client, job.client);
    assert_eq!(parse_http_config(&format!("{{{keys}}}")).unwrap(), job.client);
    assert!(!job.client.follow_redirects && job.client.auth.is_some(), "{:?}", job.client);
}

#[test]
fn inline_certificates_and_headers_are_read() {
    let job = job(
        "  tls_config: {ca: CA, cert: CERT, key: very-secret, min_version: TLS10, max_version: TLS13}\n  proxy_url: http://p\n  \
         proxy_connect_header: {x-a: [one, very-secret]}\n  http_headers:\n    X-Tenant: {values: [a], secrets: [very-secret], \
         files: [tenant]}\n",
    );
    assert!(!format!("{job:?}").contains("very-secret"), "{job:?}");
    let mut config = ScrapeConfigs { jobs: vec![job], ..ScrapeConfigs::default() };
    config.relative_to("/etc/prometheus");
    let client = &config.jobs[0].client;
    let tls = Tls {
        ca: Some("CA".into()),
        cert: Some("CERT".into()),
        key: Some(Secret::Text("very-secret".into())),
        version_max: Some(TlsVersion::V1_3),
        ..Tls::default()
    };
    assert_eq!(client.tls, tls);
    let header = |name: &str, value| Header { name: name.into(), value };
    let text = |text: &str| Secret::Text(text.into());
    let tenant = [text("a"), text("very-secret"), Secret::File("/etc/prometheus/tenant".into())];
    assert_eq!(client.headers, tenant.map(|value| header("X-Tenant", value)));
    assert_eq!(client.proxy_headers, [text("one"), text("very-secret")].map(|value| header("x-a", value)));
}

#[test]
fn names_follow_both_schemes_in_every_combination() {
    let legacy = "metric_name_validation_scheme: legacy";
    let utf8 = "metric_name_validation_scheme: utf8";
    let dots = "metric_name_escaping_scheme: dots";
    let all = "metric_name_escaping_scheme: allow-utf-8";
    for (global, own, wanted) in [
        ("{}", "", Ok((false, Escaping::None))),
        ("{}", legacy, Ok((true, Escaping::Underscores))),
        ("{}", dots, Ok((false, Escaping::Dots))),
        (dots, "", Ok((false, Escaping::Dots))),
        (dots, legacy, Ok((true, Escaping::Underscores))),
        (dots, utf8, Ok((false, Escaping::None))),
        (dots, all, Ok((false, Escaping::None))),
        (all, legacy, Ok((true, Escaping::Underscores))),
        (legacy, "", Ok((true, Escaping::Underscores))),
        (legacy, dots, Ok((true, Escaping::Dots))),
        (legacy, utf8, Ok((false, Escaping::None))),
        (legacy, all, Err(5)),
    ] {
        let text = format!("global:\n  {global}\nscrape_configs:\n- job_name: a\n  {own}\n");
        let read = parse_config(&text).map(|config| (config.jobs[0].legacy_names, config.jobs[0].escaping));
        assert_eq!(read.map_err(|e| e.line), wanted, "{text}");
    }
    let both = "global:\n  metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: allow-utf-8\n";
    assert_eq!(parse_config(both).unwrap_err().line, 3);
}

#[test]
fn rules_of_a_job_with_legacy_names_make_no_other() {
    let made = |scheme: &str| {
        let rule = "{source_labels: [l], target_label: '$1', replacement: x}";
        let text = format!(
            "scrape_configs:\n- job_name: a\n  metric_name_validation_scheme: {scheme}\n  metric_relabel_configs: [{rule}]\n"
        );
        let job = parse_config(&text).unwrap().jobs.swap_remove(0);
        apply(&job.metric_relabel, Labels::from_pairs([("l", "a.b")])).unwrap()
    };
    assert_eq!(made("legacy"), Labels::from_pairs([("l", "a.b")]), "as in Prometheus nothing is replaced");
    assert_eq!(made("utf8"), Labels::from_pairs([("l", "a.b"), ("a.b", "x")]));
}

/// Where the lines below a key are comments, as in many a file.
#[test]
fn keys_with_nothing_behind_them_say_nothing() {
    let text = "global:\nrule_files:\nscrape_configs:\n- job_name: a\n  params:\n  honor_labels:\n  tls_config:\n  \
                relabel_configs:\n  # - {action: drop}\n  metric_relabel_configs:\n  static_configs:\n  - targets:\n    \
                labels:\n  file_sd_configs: null\n  http_sd_configs: ~\n  dns_sd_configs:\n";
    let job = parse_config(text).unwrap().jobs.swap_remove(0);
    let plain = Job { static_groups: vec![Group::default()], ..Job::new("a", 60_000, 10_000) };
    assert!(job.asks_like(&plain), "{job:?}");
    assert_eq!(parse_config("scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: }]\n").unwrap_err().line, 3);
}

#[test]
fn an_empty_secret_is_none() {
    let read = |keys: &str| {
        let config = parse_config(&format!("scrape_configs:\n- job_name: a\n{keys}")).unwrap();
        config.jobs[0].client.auth.clone()
    };
    let basic = |password| Some(Auth::Basic { username: Secret::Text("u".into()), password });
    let empty_token = "  bearer_token: ''\n  bearer_token_file: ''\n";
    assert_eq!(read(empty_token), None);
    let text = read(&format!("{empty_token}  basic_auth: {{username: u, password: p, password_file: ''}}\n"));
    assert_eq!(text, basic(Secret::Text("p".into())));
    let file = read("  basic_auth: {username: u, username_file: '', password: '', password_file: /p}\n");
    assert_eq!(file, basic(Secret::File("/p".into())));
    let bearer = Auth::Credentials { kind: "Bearer".into(), credentials: Secret::Text("t".into()) };
    assert_eq!(read("  authorization: {type: ' ', credentials: t, credentials_file: ''}\n"), Some(bearer));
    let no_password = read("  basic_auth: {username: u, password_file: ''}\n");
    assert_eq!(no_password, basic(Secret::Text(String::new())));
}

#[test]
fn histograms_are_converted_where_a_job_or_all_say_so() {
    let convert = |global: &str, own: &str| {
        let text = format!("global:\n  {global}\nscrape_configs:\n- job_name: a\n  {own}\n");
        parse_config(&text).unwrap().jobs[0].convert_histograms
    };
    let (on, off) = ("convert_classic_histograms_to_nhcb: true", "convert_classic_histograms_to_nhcb: false");
    assert_eq!([convert("{}", ""), convert("{}", on), convert(on, ""), convert(on, off)], [false, true, true, false]);
}

#[test]
fn names_are_asked_for_as_the_job_wants_them() {
    let usual = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.9,\
                 application/openmetrics-text;version=0.0.1;q=0.8,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.7,\
                 text/plain;version=0.0.4;q=0.6,*/*;q=0.1";
    assert_eq!(job("").accept(), usual);
    let dots = job("  metric_name_escaping_scheme: dots\n").accept();
    assert_eq!(dots, usual.replace("allow-utf-8", "dots"));
}

#[test]
fn what_is_wrong_has_its_line() {
    for (yaml, wanted) in [
        ("  scrape_interval: 5", "line 3: `5` is not a duration; write it like 30s, 5m, 1h30m, 1d or 500ms"),
        ("  scrape_timeout: 2m", "line 3: `scrape_timeout` (2m) is longer than the interval (1m)"),
        (
            "  kubernetes_sd_configs: [{role: pod}]",
            "line 3: `kubernetes_sd_configs` is not supported; targets are found by static_configs, file_sd_configs, \
             http_sd_configs and dns_sd_configs, and by the agents without any configuration",
        ),
        (
            "  static_config: [{targets: [a]}]",
            "line 3: `static_config` is not supported; did you mean `static_configs`?",
        ),
        ("  proxy_url: socks5://p", "line 3: `proxy_url` starts with http:// or https://"),
        ("  no_proxy: example.org", "line 3: `no_proxy` needs a `proxy_url`"),
        (
            "  proxy_url: http://p\n  proxy_from_environment: true",
            "line 4: with `proxy_from_environment` there is no `proxy_url` and no `no_proxy`",
        ),
        ("  proxy_connect_header: {a: [b]}", "line 3: `proxy_connect_header` needs a `proxy_url`"),
        ("  http_headers: {Host: {values: [b]}}", "line 3: `http_headers` cannot set `Host`"),
        ("  http_headers: {'a b': {values: [b]}}", "line 3: `a b` is no name of a header"),
        ("  tls_config: {ca: a, ca_file: b}", "line 3: `tls_config` has one of `ca` and `ca_file` at most"),
        ("  tls_config: {cert_file: a}", "line 3: `tls_config` has a certificate and its key, or neither"),
        ("  tls_config: {max_version: TLS11}", "line 3: `max_version` is TLS12 or TLS13; older ones are not spoken"),
        (
            "  tls_config: {min_version: TLS14}",
            "line 3: `TLS14` is no version of TLS; write TLS10, TLS11, TLS12 or TLS13",
        ),
        ("  tls_config: {min_version: TLS13, max_version: TLS12}", "line 3: `max_version` is older than `min_version`"),
        (
            "  metric_name_escaping_scheme: none",
            "line 3: `metric_name_escaping_scheme` is allow-utf-8, underscores, dots or values, not `none`",
        ),
        ("  oauth2: {client_secret: a, token_url: 'http://t'}", "line 3: `oauth2` needs a `client_id`"),
        (
            "  oauth2: {client_id: a, client_secret: a}",
            "line 3: `oauth2` needs a `token_url`, which starts with http:// or https://",
        ),
        (
            "  oauth2: {client_id: a, token_url: 'http://t'}",
            "line 3: one of `client_secret` and `client_secret_file` is needed, and not both",
        ),
        ("  scheme: ftp", "line 3: `scheme` is http or https, not `ftp`"),
        ("  body_size_limit: 10", "line 3: `10` is not a size; write it like 512KB, 10MB or 1GB"),
        (
            "  static_configs:\n  - targets: ['http://a/metrics']",
            "line 4: \"http://a/metrics\" is not a valid hostname: write host:port without a path",
        ),
        (
            "  relabel_configs:\n  - target_label: a\n  - regex: '('\n    target_label: b",
            "line 5: `regex`: `(`: unclosed group",
        ),
        (
            "  relabel_configs:\n  - action: hashmod\n    target_label: b",
            "line 4: the action hashmod needs a `modulus` above zero",
        ),
        (
            "  basic_auth: {password: a}\n  bearer_token: b",
            "line 4: one of `basic_auth`, `authorization`, `bearer_token` and `oauth2` at most",
        ),
        (
            "  authorization: {type: Bearer}",
            "line 3: one of `credentials` and `credentials_file` is needed, and not both",
        ),
        (
            "  dns_sd_configs:\n  - names: [a]\n    type: NS",
            "line 4: `port` is needed: only records of the type SRV have one",
        ),
        (
            "  dns_sd_configs:\n  - names: [a]\n    type: TXT",
            "line 5: `TXT` records are not asked for; A, AAAA, MX, NS and SRV are",
        ),
        (
            "  file_sd_configs: [{files: ['a/*/b.json']}]",
            "line 3: `a/*/b.json`: a file of targets ends in .json, .yml or .yaml; *, ? and [a-z] stand in the last part of a \
             path alone, and a bracket is closed",
        ),
        ("  http_sd_configs: [{url: a}]", "line 3: `url` starts with http:// or https://, not `a`"),
        (
            "  metric_name_validation_scheme: ascii",
            "line 3: `metric_name_validation_scheme` is utf8 or legacy, not `ascii`",
        ),
        (
            "  metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: allow-utf-8",
            "line 4: `metric_name_escaping_scheme: allow-utf-8` asks for names that `metric_name_validation_scheme: legacy` \
             refuses",
        ),
        (
            "  metric_name_validation_scheme: legacy\n  relabel_configs:\n  - {target_label: a.b}",
            "line 5: `target_label: a.b` is no name of the scheme legacy: letters, digits and _",
        ),
        ("- job_name: a", "line 3: the job `a` is there twice"),
        ("- scheme: http", "line 3: a scrape configuration has a `job_name`"),
    ] {
        let text = format!("scrape_configs:\n- job_name: a\n{yaml}\n");
        assert_eq!(parse_config(&text).unwrap_err().to_string(), wanted, "{text}");
    }
    assert!(parse_config("scrape_configs: [").is_err());
    assert_eq!(parse_config("").unwrap().jobs.len(), 0);
}
