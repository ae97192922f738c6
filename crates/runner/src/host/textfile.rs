//! What programs of the host wrote down for node_exporter's collector `textfile`, where Debian has it look.

use std::io;

use tenfold_protocols::prom_text::{self, Format};

use super::{FILE_BYTES_MAX, Host, Page, odd, optional};

const FOLDER: &str = "var/lib/prometheus/node-exporter";
const FILES_MAX: usize = 100;

/// Files that end in `.prom`. One that is wrong is left out as a whole, said in `node_textfile_scrape_error`, and ends nothing.
pub(super) fn collect(host: &Host, page: &mut Page) -> io::Result<()> {
    let Some(entries) = optional(std::fs::read_dir(host.path(FOLDER)))? else { return Ok(()) };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| std::path::Path::new(name).extension().is_some_and(|end| end == "prom"));
    names.sort();
    let mut wrong = false;
    for name in names.iter().take(FILES_MAX) {
        let below = format!("{FOLDER}/{name}");
        if let Err(error) = file(host, &below, page) {
            tracing::debug!(%error, file = %below, "a file of metrics on the host cannot be read");
            wrong = true;
        }
    }
    page.put("node_textfile_scrape_error", &[], f64::from(u8::from(wrong)));
    Ok(())
}

fn file(host: &Host, below: &str, page: &mut Page) -> io::Result<()> {
    let path = host.path(below);
    let meta = std::fs::metadata(&path)?;
    // Opening a pipe would wait for whoever writes; a part of a file would be told as the whole.
    if !meta.is_file() || meta.len() > FILE_BYTES_MAX {
        return Err(odd(&format!("a file of at most {FILE_BYTES_MAX} bytes")));
    }
    let changed = meta.modified()?.duration_since(std::time::UNIX_EPOCH);
    let read = prom_text::parse(&host.read(below)?, Format::default())
        .map_err(|error| odd(&format!("a page of metrics (line {}: {})", error.line, error.message)))?;
    // Samples of the past would be drawn as if they were of now.
    if read.samples.iter().any(|sample| sample.t_ms.is_some()) {
        return Err(odd("samples without timestamps"));
    }
    for sample in read.samples {
        page.put_series(sample.labels, sample.value);
    }
    let seconds = changed.map_or(0.0, |since| since.as_secs_f64());
    page.put("node_textfile_mtime_seconds", &[("file", &format!("/{below}"))], seconds);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_whole_or_not_at_all() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join(FOLDER);
        std::fs::create_dir_all(&folder).expect("it is made");
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("it is written");
        write("backup.prom", "# TYPE backup_age_seconds gauge\nbackup_age_seconds{job_name=\"nightly\"} 12.5\n");
        write("notes.txt", "not_read 1\n");
        let host = Host::at(root.path());
        let mut page = Page::default();
        collect(&host, &mut page).expect("it is read");
        assert_eq!(page.get("backup_age_seconds", &[("job_name", "nightly")]), Some(12.5));
        assert_eq!(page.get("not_read", &[]), None);
        assert_eq!(page.get("node_textfile_scrape_error", &[]), Some(0.0));
        let changed = page.get("node_textfile_mtime_seconds", &[("file", &format!("/{FOLDER}/backup.prom"))]);
        assert!(changed.is_some_and(|seconds| seconds > 1e9), "{changed:?}");

        write("wrong.prom", "good 1\nbad{ 2\n");
        write("old.prom", "past 1 1700000000000\n");
        let mut page = Page::default();
        collect(&host, &mut page).expect("it is read");
        assert_eq!(page.get("node_textfile_scrape_error", &[]), Some(1.0));
        assert_eq!((page.get("good", &[]), page.get("past", &[])), (None, None));
        assert_eq!(page.get("backup_age_seconds", &[("job_name", "nightly")]), Some(12.5));
    }

    #[test]
    fn a_host_without_the_folder_tells_nothing() {
        let root = tempfile::tempdir().expect("a folder");
        let mut page = Page::default();
        collect(&Host::at(root.path()), &mut page).expect("it is no fault");
        assert_eq!(page.series().count(), 0);
    }
}
