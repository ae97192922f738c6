//! Files of templates that a configuration of Alertmanager names: a server reads no files for whoever puts a configuration, so
//! their texts go along with it.

use std::path::Path;

use tenfold_app::alerts::{template_files, with_template_texts};

use super::files::text_of;
use super::out::Failure;

/// The configuration with the texts of the files that it names, which are sought from where it stands. What is no
/// configuration is left to the server to refuse.
pub(super) fn with_templates(file: &Path, yaml: String) -> Result<String, Failure> {
    let names = template_files(&yaml).unwrap_or_default();
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut texts = Vec::new();
    for name in &names {
        texts.extend(texts_of(&folder.join(name))?);
    }
    if texts.is_empty() {
        return Ok(yaml);
    }
    with_template_texts(&yaml, &texts).map_err(|e| Failure::misuse(format!("the routing: {e}")))
}

/// As in Alertmanager, a pattern that fits nothing is no mistake.
fn texts_of(pattern: &Path) -> Result<Vec<String>, Failure> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((start, end)) = name.split_once('*') else { return Ok(vec![text_of(pattern)?]) };
    let folder = pattern.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unreadable = |e: std::io::Error| Failure::misuse(format!("{} cannot be listed: {e}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)) {
            found.push(path);
        }
    }
    found.sort();
    found.iter().map(|path| text_of(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_files_go_along() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("alertmanager.yml");
        for (name, text) in [("b.tmpl", "B"), ("a.tmpl", "A \"quoted\"\n"), ("a.txt", "no")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let yaml = |names: &str| format!("# ours\ntemplates: [{names}]\nroute: {{receiver: r}}\n");
        let sent = with_templates(&file, yaml("'*.tmpl'")).unwrap();
        assert!(sent.starts_with("# ours\n"), "{sent}");
        assert!(sent.ends_with("template_texts:\n- \"A \\\"quoted\\\"\\n\"\n- \"B\"\n"), "{sent}");
        assert_eq!(with_templates(&file, sent.clone()).unwrap(), sent, "they are in it already");
        let nothing = yaml("'*.none'");
        assert_eq!(with_templates(&file, nothing.clone()).unwrap(), nothing);
        let missing = with_templates(&file, yaml("gone.tmpl")).unwrap_err();
        assert!(missing.message.contains("gone.tmpl"), "{}", missing.message);
    }
}
