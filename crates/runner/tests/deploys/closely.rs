//! Whose metrics pages are asked each second: those of the place a deploy is at, through its steps, while it waits for a
//! person, and after the server was started again.

use tenfold_app::App;
use tenfold_app::metrics::{BURST_INTERVAL_MS, Target};
use tenfold_types::Labels;

use crate::world::{World, mei, ready};

const USUAL_MS: u64 = 60_000;

fn interval_ms(app: &App, environment: &str) -> u64 {
    let labels = Labels::from_pairs([("job", "photos"), ("service", "photos"), ("environment", environment)]);
    app.metrics.interval_ms(&Target::reported("http://127.0.0.1:1/metrics".into(), labels, "host-1"), USUAL_MS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_is_looked_at_closely_where_it_is_and_as_long_as_it_waits() {
    if !ready() {
        return;
    }
    let mut world = World::new(3).await;
    world.write_pipeline(
        "canary: {hold_s: 0, steps: [{hosts: 1}, {hosts: 2, check: {query: nobody_counts_this, max: 0.5}}]}",
    );
    world.commit("two");
    assert_eq!(interval_ms(world.app(), "production"), USUAL_MS);
    let deploy = world.deploy().await;
    let held = world.state(deploy.number, &["held"]).await;
    assert_eq!((held.canary_steps, held.canary_steps_passed), (2, 1), "it waits at the second step");
    let near = |app: &App| interval_ms(app, "production") == BURST_INTERVAL_MS;
    world.until("its hosts to be asked each second", near).await;
    assert_eq!(interval_ms(world.app(), "staging"), USUAL_MS, "another environment goes on as usual");

    // Nothing is said of the deploy any more; what is known comes from its state.
    world.restart_server().await;
    world.until("the new server to look closely as well", near).await;
    assert_eq!(world.app().deploy(deploy.number).await.unwrap().state, "held");
    world.connected(3).await;
    world.app().deploy_abort(&mei(), deploy.number).await.unwrap();
    world.state(deploy.number, &["rolled_back"]).await;
    world.restart_server().await;
    world.until("errors that come late to be seen closely", near).await;
    world.end().await;
}
