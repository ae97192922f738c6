//! Dashboards as they were before Grafana 5: panels lie in rows, each so many twelfths wide.

use serde::Deserialize;
use serde_json::Value;

use super::{GridPos, RawPanel, look};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawRow {
    #[serde(default)]
    title: String,
    #[serde(default)]
    show_title: Value,
    #[serde(default)]
    collapse: Value,
    #[serde(default)]
    repeat: Option<String>,
    #[serde(default)]
    panels: Vec<RawPanel>,
}

/// Rows and their panels below each other, as they have been written since.
pub(super) fn panels(rows: Vec<RawRow>) -> Vec<RawPanel> {
    let mut all = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let y = at as f64 * 2.0;
        // A row that is folded shows its title, whatever else it says.
        let named = row.show_title.as_bool() == Some(true) || row.collapse.as_bool() == Some(true);
        all.push(RawPanel {
            kind: "row".to_owned(),
            title: if named { row.title } else { String::new() },
            collapsed: row.collapse,
            repeat: row.repeat,
            grid_pos: GridPos { w: 24.0, x: 0.0, y },
            ..RawPanel::default()
        });
        for (place, mut panel) in row.panels.into_iter().enumerate() {
            let twelfths = look::number(&panel.span).unwrap_or(12.0);
            panel.grid_pos = GridPos { w: twelfths * 2.0, x: place as f64, y: y + 1.0 };
            all.push(panel);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::grafana::read;

    #[test]
    fn rows_are_read_as_they_were() {
        let panel = |title: &str, span: u8| json!({"type": "graph", "title": title, "span": span, "nullPointMode": "connected", "targets": [{"expr": "up"}]});
        let file = json!({"title": "Old", "rows": [
            {"title": "Unsaid", "showTitle": false, "panels": [panel("Second", 6), panel("Third", 3)]},
            {"title": "Memory", "showTitle": true, "panels": [panel("Fourth", 12)]},
            {"title": "Disks", "collapse": true, "repeat": "disk", "panels": [panel("Fifth", 4)]},
        ]});
        let read = read(file).unwrap();
        let told: Vec<_> =
            read.panels.iter().map(|p| (p.title.as_str(), p.row.as_deref(), p.width, p.repeat.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("Second", None, 2, None),
                ("Third", None, 1, None),
                ("Fourth", Some("Memory"), 3, None),
                ("Fifth", Some("Disks"), 1, Some("disk")),
            ]
        );
        assert_eq!(read.folded, ["Disks"]);
        assert_eq!(read.report.len(), 1, "{:?}", read.report);
    }
}
