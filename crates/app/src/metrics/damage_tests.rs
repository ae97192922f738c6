//! A block whose bytes change under a running store, and one that is found so at the start.

use std::sync::Arc;

use tenfold_store::events::EventQuery;
use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};
use tenfold_tsdb::Sample;
use tenfold_types::{Labels, Matcher};

use super::*;
use crate::Settings;
use crate::metrics::tidy;

const STEP_MS: i64 = 15_000;
const STEPS: i64 = 2_000;
const SERIES: usize = 4;

async fn app(dir: &Path, db: &TempDb) -> App {
    let settings = Settings { data_dir: dir.to_owned(), ..Settings::default() };
    let metrics = State::open(&settings).unwrap();
    let entropy = Arc::new(TestEntropy::default());
    let app = App::new((**db).clone(), Arc::new(TestClock::default()), entropy, settings, metrics);
    crate::load(&app).await.unwrap();
    app
}

/// Texts and whether each was found at the start, oldest first.
async fn told(app: &App) -> Vec<(String, Severity, bool)> {
    let query = EventQuery {
        kinds: vec!["metrics.damaged".into()],
        ascending: true,
        limit: 100,
        include_admin: true,
        ..EventQuery::default()
    };
    let events = app.events(query).await.unwrap();
    events.into_iter().map(|e| (e.text, e.severity, e.data["at_start"] == true)).collect()
}

fn blocks(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("metrics/blocks")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// How many samples can be read, or why they cannot.
fn readable(app: &App) -> Result<usize, String> {
    let mut count = 0;
    let (matchers, external) = ([Matcher::equal(Labels::NAME, "m")], Labels::new());
    let read = app.metrics.read_series(&matchers, i64::MIN, i64::MAX, &external, &mut |_, floats, _| {
        count += floats.len();
        Ok(true)
    });
    read.map(|()| count).map_err(|fault| fault.message)
}

#[tokio::test]
async fn a_block_that_is_damaged_is_said_everywhere() {
    let (dir, db) = (tempfile::tempdir().unwrap(), temp_db().await);
    let first = app(dir.path(), &db).await;
    let start = first.now().millis() - 24 * 3_600_000;
    for n in 0..STEPS {
        let sample = |series: usize| {
            let labels = Labels::from_pairs([(Labels::NAME, "m")]).with("n", series.to_string());
            Sample::new(labels, start + n * STEP_MS, ((n + 1) as f64).sqrt())
        };
        first.metrics.append(&(0..SERIES).map(sample).collect::<Vec<_>>()).unwrap();
    }
    let written = SERIES * STEPS as usize;
    tidy(&first).await;
    assert_eq!((told(&first).await, first.metrics.corruption_count()), (vec![], 0), "nothing is damaged yet");
    assert_eq!(readable(&first), Ok(written));

    let path = blocks(dir.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = readable(&first).unwrap_err();
    assert!(error.contains("damaged"), "{error}");
    tidy(&first).await;
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let events = told(&first).await;
    assert_eq!((events.len(), events[0].1, events[0].2), (1, Severity::Critical, false), "{events:?}");
    assert!(events[0].0.contains(&name) && events[0].0.contains("was kept"), "{events:?}");
    assert_eq!(first.metrics.corruption_count(), 1);
    let view = first.store_view().await.unwrap();
    let [file] = &view.quarantined[..] else { panic!("{view:?}") };
    assert_eq!((file.name.as_str(), file.bytes, view.quarantined_count), (&*name, bytes.len() as u64, 1));
    assert!(file.moved_at.is_some() && view.quarantine_advice.is_some());
    let kept = readable(&first).expect("the store answers again");
    assert!(kept < written && kept >= written / SERIES * (SERIES - 1), "{kept} of {written}");
    tidy(&first).await;
    assert_eq!((told(&first).await.len(), first.metrics.corruption_count()), (1, 1), "it is said once");

    drop(first);
    let path = blocks(dir.path()).remove(0);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let second = app(dir.path(), &db).await;
    assert_eq!(second.metrics.corruption_count(), 1, "that of before was another process'");
    tidy(&second).await;
    let events = told(&second).await;
    assert_eq!((events.len(), events[1].2), (2, true), "{events:?}");
    assert_eq!(second.store_view().await.unwrap().quarantined_count, 2);
    for file in second.store_view().await.unwrap().quarantined {
        std::fs::remove_file(file.path).unwrap();
    }
    let view = second.store_view().await.unwrap();
    assert_eq!((view.quarantined_count, view.quarantine_advice), (0, None), "what was removed is no longer shown");
}
