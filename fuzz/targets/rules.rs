//! Prometheus rule files and the templates in them.
#![no_main]
use libfuzzer_sys::fuzz_target;

use tenfold_alerting::{Notification, NotificationAlert, RuleWorld, Template, TemplateContext, TemplateSet};
use tenfold_types::{Labels, Timestamp};

fuzz_target!(|text: &str| {
    let labels = Labels::from_pairs([("job", "photos"), ("instance", "host:80")]);
    if let Ok(template) = Template::parse(text) {
        let ask = |expr: &str| Ok(vec![(Labels::from_pairs([("__name__", expr)]), 1.0)]);
        let world = RuleWorld { external_labels: &labels, external_url: "http://a/b", ask: Some(&ask), at: Timestamp(0) };
        let _ = template.expand(&TemplateContext { labels: &labels, value: 0.25, world });
    }
    let alert = NotificationAlert {
        firing: true,
        labels: labels.clone(),
        annotations: labels.clone(),
        starts_at: Timestamp(0),
        ends_at: None,
        generator_url: String::new(),
        fingerprint: String::new(),
    };
    let about = Notification {
        receiver: "r".to_owned(),
        alerts: vec![alert],
        group_labels: labels,
        external_url: String::new(),
    };
    let _ = TemplateSet::default().render(text, &about, Timestamp(0));
    let _ = tenfold_alerting::parse_rules(text);
    let _ = tenfold_alerting::parse_matchers(text);
    let _ = tenfold_alerting::read_matchers(text);
});
