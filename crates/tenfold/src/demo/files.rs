//! The files of the demo (the folder demo/ of the repository), carried inside the program.

/// Paths below demo/ with their text; a test compares the list with the folder.
macro_rules! files {
    ($($path:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] = &[
            $(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo/", $path)))),*
        ];
    };
}

files![
    "config/dashboards/photos.yaml",
    "config/flags/new_uploader.yaml",
    "config/flags/resize_uploads.yaml",
    "config/permits/resize-old.yaml",
    "config/policies/photos.yaml",
    "config/ramp-plans/uploads.yaml",
    "config/rules/photos.yaml",
    "config/schedules/photos-primary.yaml",
    "config/services/photos.yaml",
    "photos/base/.gitignore",
    "photos/base/.tenfold/deploy.yaml",
    "photos/base/README.md",
    "photos/base/build.mjs",
    "photos/base/lib/flags.mjs",
    "photos/base/lib/metrics.mjs",
    "photos/base/lib/photos.mjs",
    "photos/base/lib/statsd.mjs",
    "photos/base/lib/uploads.mjs",
    "photos/base/server.mjs",
    "photos/base/settings.json",
    "photos/base/test/photos.test.mjs",
    "photos/changes/0001-newest-first.patch",
    "photos/changes/0002-say-the-total.patch",
    "photos/changes/0003-longer-pages.patch",
    "photos/changes/0004-refuse-odd-pages.patch",
    "photos/changes/0005-camera-names.patch",
    "photos/changes/0006-scanned-photos.patch",
];

/// The files below `folder` (which ends in `/`), in the order of their names, with paths from there.
pub fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().filter_map(move |(path, text)| Some((path.strip_prefix(folder)?, *text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_list_is_the_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
        let mut found = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.retain(|path| path.contains('/'));
        found.sort();
        let listed: Vec<_> = FILES.iter().map(|(path, _)| (*path).to_string()).collect();
        assert_eq!(listed, found);
    }
}
