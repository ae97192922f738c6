//! Dashboards.

use tenfold_store::Db;
use tenfold_store::dashboards::{self, DashboardRow, SaveRow};
use tenfold_types::Timestamp;

use crate::{read, write};

pub async fn run(db: &Db) {
    let web = DashboardRow { name: "web".into(), service: Some("web".into()), body: "{}".into() };
    let row = web.clone();
    write(db, move |tx| dashboards::put(tx, &row)).await;
    let changed = DashboardRow { service: None, body: "[]".into(), ..web };
    let row = changed.clone();
    write(db, move |tx| dashboards::put(tx, &row)).await;
    assert_eq!(read(db, |tx| dashboards::get(tx, "web")).await, Some(changed.clone()));
    assert_eq!(read(db, dashboards::list).await, [changed]);
    assert!(write(db, |tx| dashboards::delete(tx, "web")).await);
    assert!(!write(db, |tx| dashboards::delete(tx, "web")).await);
    saves(db).await;
}

async fn saves(db: &Db) {
    assert_eq!(read(db, |tx| dashboards::last_save(tx, "web")).await, None);
    let first = SaveRow { name: "web".into(), version: 1, by: "mei".into(), at: Timestamp(1_000) };
    let second = SaveRow { version: 2, by: "raj".into(), at: Timestamp(2_000), ..first.clone() };
    for row in [first, second.clone()] {
        write(db, move |tx| dashboards::put_save(tx, &row)).await;
    }
    assert_eq!(read(db, |tx| dashboards::last_save(tx, "web")).await, Some(second.clone()));
    assert_eq!(read(db, dashboards::saves).await, [second]);
}
