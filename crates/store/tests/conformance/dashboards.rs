//! Dashboards.

use tenfold_store::Db;
use tenfold_store::dashboards::{self, DashboardRow};

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
}
