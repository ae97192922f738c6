//! What a host shares between releases and how it says that all is well, with a pipeline file that starts nothing.

use crate::world::{World, mei};

const PIPELINE: &str = "service: photos\nartifact:\n  exclude: [\".tenfold/**\"]\nhealth: {within_s: 15}\n\
                        targets:\n  production:\n    hosts: {role: web}\n    canary: {hosts: 0}\n    batch: 100%\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_file_has_to_be_there_and_the_host_says_what_is_well() {
    let world = World::with(&["web-1"], |host| {
        host.linked_files = vec!["config/master.key".into()];
        host.health = ["sh", "-c", "! grep -q bad version.txt && ! test -e sick"].map(str::to_owned).to_vec();
    });
    let Some(mut world) = world.await else { return };
    world.connected(1).await;
    std::fs::write(world.repository().join(".tenfold/deploy.yaml"), PIPELINE).unwrap();
    // the repository has a file of its own there
    std::fs::create_dir_all(world.repository().join("config")).unwrap();
    std::fs::write(world.repository().join("config/master.key"), "of the repository").unwrap();
    world.commit("one");
    let early = world.deploy().await;
    world.state(early.number, &["failed", "rolled_back"]).await;
    world.app().unlock(&mei(), "photos", "production").await.unwrap();
    let log = world.log_text(early.number);
    assert!(log.contains("config/master.key of linked_files is not in"), "{log}");
    assert!(!world.root("web-1").join("current").exists());

    let shared = world.root("web-1").join("shared/config/master.key");
    std::fs::create_dir_all(shared.parent().unwrap()).unwrap();
    std::fs::write(&shared, "of the host").unwrap();
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    assert_eq!(world.file("web-1", "config/master.key"), "of the host");
    assert_eq!(std::fs::read_link(world.root("web-1").join("current/config/master.key")).unwrap(), shared);

    // and the next one, which is built on it, has the link as well
    world.commit("two");
    let second = world.deploy().await;
    world.state(second.number, &["succeeded"]).await;
    assert_eq!(world.file("web-1", "config/master.key"), "of the host");

    world.commit("bad");
    let third = world.deploy().await;
    world.state(third.number, &["failed", "rolled_back"]).await;
    assert_eq!(world.file("web-1", "version.txt"), "two", "what the host finds unwell goes back");
    let log = world.log_text(third.number);
    assert!(log.contains("was not healthy within 15 s"), "{log}");

    std::fs::write(world.root("web-1").join("current/sick"), "").unwrap();
    world.until("it counts as unhealthy", |w| w.state_of("web-1").as_deref() == Some("unhealthy")).await;
    std::fs::remove_file(world.root("web-1").join("current/sick")).unwrap();
    world.until("it counts as healthy", |w| w.state_of("web-1").as_deref() == Some("running")).await;
    world.end().await;
}
