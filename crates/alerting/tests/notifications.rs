//! Alertmanager's own default.tmpl, read where Debian installs it, against what `amtool template render` makes of it.

use std::process::Command;

use tenfold_alerting::{Notification, NotificationAlert, TemplateSet};
use tenfold_types::{Labels, Timestamp};

const DEFAULTS: &str = "/usr/share/prometheus/alertmanager/default.tmpl";

fn about() -> Notification {
    let alert = |firing: bool, instance: &str| NotificationAlert {
        firing,
        labels: Labels::from_pairs([("alertname", "Slow"), ("instance", instance), ("job", "photos")]),
        annotations: Labels::from_pairs([("summary", "slow & \"late\""), ("runbook", "https://x/y")]),
        starts_at: Timestamp(1_000),
        ends_at: (!firing).then_some(Timestamp(2_000)),
        generator_url: "http://p/graph?a=b".to_owned(),
        fingerprint: "00ff".to_owned(),
    };
    Notification {
        receiver: "team a/b".to_owned(),
        alerts: vec![alert(true, "a"), alert(true, "b"), alert(false, "c")],
        group_labels: Labels::from_pairs([("alertname", "Slow")]),
        external_url: "http://am.example.org".to_owned(),
    }
}

fn json(about: &Notification) -> serde_json::Value {
    let map = |l: &Labels| l.iter().map(|(n, v)| (n.to_owned(), v.into())).collect::<serde_json::Map<_, _>>();
    let alerts: Vec<_> = about
        .alerts
        .iter()
        .map(|a| {
            serde_json::json!({"status": if a.firing { "firing" } else { "resolved" }, "labels": map(&a.labels),
                "annotations": map(&a.annotations), "startsAt": a.starts_at.to_string(),
                "endsAt": a.ends_at.unwrap_or(Timestamp(0)).to_string(),
                "generatorURL": a.generator_url, "fingerprint": a.fingerprint})
        })
        .collect();
    serde_json::json!({"receiver": about.receiver, "status": "firing", "alerts": alerts,
        "groupLabels": map(&about.group_labels),
        "commonLabels": {"alertname": "Slow", "job": "photos"},
        "commonAnnotations": {"summary": "slow & \"late\"", "runbook": "https://x/y"},
        "externalURL": about.external_url})
}

/// As Alertmanager's `date`, `tz` and `since` have it.
#[test]
fn instants_are_written_as_a_template_asks() {
    let (set, about, now) = (TemplateSet::default(), about(), Timestamp(5_401_250));
    let say = |text: &str| set.render(text, &about, now).unwrap_or_else(|e| panic!("{text}: {e}"));
    for (text, wanted) in [
        ("{{ (index .Alerts 0).StartsAt.Format \"2006-01-02 15:04:05 MST\" }}", "1970-01-01 00:00:01 UTC"),
        ("{{ (index .Alerts 0).StartsAt | tz \"Europe/Berlin\" | date \"15:04 MST\" }}", "01:00 CET"),
        (
            "{{ range .Alerts.Firing }}{{ (tz \"America/New_York\" .StartsAt).Format \"Mon 3PM\" }};{{ end }}",
            "Wed 7PM;Wed 7PM;",
        ),
        ("{{ since (index .Alerts 0).StartsAt }}", "1h30m0.25s"),
        ("{{ (index .Alerts 0).StartsAt | since | humanizeDuration }}", "1h 30m 0s"),
        ("{{ range .Alerts.Resolved }}{{ .EndsAt.Sub .StartsAt }} {{ .StartsAt.Unix }}{{ end }}", "1s 1"),
        ("{{ with index .Alerts 0 }}{{ .EndsAt.IsZero }} {{ .EndsAt.Year }}{{ end }}", "true 1"),
        // How many move an instant to their own clock.
        (
            "{{ range .Alerts.Resolved }}{{ (.StartsAt.Add 28800e9).Format \"01-02 15:04:05\" }}{{ end }}",
            "01-01 08:00:01",
        ),
        ("{{ ((index .Alerts 0).StartsAt.Add 60000000000).Unix }}", "61"),
        (
            "{{ with tz \"Europe/Berlin\" (index .Alerts 0).StartsAt }}{{ (.Add -3600e9).Format \"15:04 MST\" }}{{ end }}",
            "00:00 CET",
        ),
        ("{{ (since (index .Alerts 0).StartsAt).Round 1000000000 }}", "1h30m0s"),
        ("{{ (since (index .Alerts 0).StartsAt).Truncate 3600e9 }}", "1h0m0s"),
    ] {
        assert_eq!(say(text), wanted, "{text}");
    }
    let refused = set.render("{{ (index .Alerts 0).StartsAt | tz \"Nowhere/Land\" }}", &about, now);
    assert!(refused.expect_err("no zone").to_string().contains("Nowhere/Land"));
    set.render("{{ (index .Alerts 0).StartsAt.Add \"8h\" }}", &about, now).expect_err("no duration, as in Go");
}

/// As in Alertmanager: lists in lists, over and over, would be of any size when they are printed.
#[test]
fn lists_that_templates_make_hold_texts_alone() {
    let (set, about) = (TemplateSet::default(), about());
    let say = |text: &str| set.render(text, &about, Timestamp(0));
    let kept = "{{ (index .Alerts 0).Labels.Remove (stringSlice \"job\" \"instance\") }}";
    assert_eq!(say(kept).expect("labels"), "alertname=Slow");
    let nested =
        "{{ $x := stringSlice \"a\" }}{{ range 10000 }}{{ $x = stringSlice $x $x }}{{ end }}{{ len (toJson $x) }}";
    assert!(say(nested).expect_err("a list").to_string().contains("takes a text"), "{nested}");
}

#[test]
fn labels_are_written_whole_as_pairs() {
    let (set, about) = (TemplateSet::default(), about());
    for (text, wanted) in [
        ("{{ .GroupLabels }}", "alertname=Slow"),
        ("{{ (index .Alerts 0).Labels }}", "alertname=Slow, instance=a, job=photos"),
        ("{{ .CommonLabels.SortedPairs }}", "alertname=Slow, job=photos"),
        ("{{ .CommonLabels.Names }}", "[alertname job]"),
    ] {
        assert_eq!(set.render(text, &about, Timestamp(0)).unwrap_or_else(|e| panic!("{text}: {e}")), wanted, "{text}");
    }
}

#[test]
fn the_templates_of_alertmanager_render_as_its_own_tool_renders_them() {
    let Ok(source) = std::fs::read_to_string(DEFAULTS) else {
        println!("left out: {DEFAULTS} is not installed (Debian: prometheus-alertmanager)");
        return;
    };
    let mut set = TemplateSet::default();
    set.add(&source).expect("the templates are read");
    let names: Vec<String> = set.names().map(str::to_owned).collect();
    assert!(names.len() > 30, "{names:?}");
    let about = about();
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data.json");
    std::fs::write(&data, json(&about).to_string()).expect("written");
    let mut compared = 0;
    for name in &names {
        let of_alerts = ["__text_alert_list", "pagerduty.default.instances"].contains(&name.as_str());
        let argument = if of_alerts { ".Alerts.Firing" } else { "." };
        let text = format!("{{{{ template \"{name}\" {argument} }}}}");
        let ours = set.render(&text, &about, Timestamp(0)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let told = Command::new("amtool")
            .args(["template", "render", "--template.glob", DEFAULTS, "--template.text", &text, "--template.data"])
            .arg(&data)
            .output();
        let Ok(told) = told else {
            println!("not compared: amtool is not installed");
            return;
        };
        if !told.status.success() {
            println!("{name}: amtool: {}", String::from_utf8_lossy(&told.stderr));
            continue;
        }
        let theirs = String::from_utf8_lossy(&told.stdout);
        assert_eq!(ours.trim_end(), theirs.trim_end(), "{name}");
        compared += 1;
    }
    assert!(compared > 30, "only {compared} of {} were compared", names.len());
}
