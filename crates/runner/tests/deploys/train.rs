//! A train on a real deploy: who is on it, who waits, and that everybody looks before it is over.

use tenfold_app::deploys::views::TrainWord;
use tenfold_app::{Caller, Grant, Role};
use tenfold_types::{Actor, ErrorCode};

use crate::world::{World, mei, new_deploy, ready};

fn raj() -> Caller {
    let mut raj = mei();
    raj.actor = Actor::person("raj");
    raj.name = "raj".into();
    raj.grants = vec![Grant::everywhere(Role::Deployer)];
    raj
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_train_takes_its_people_along_and_ends_when_all_have_looked() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let path = world.repository().join(".tenfold/deploy.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}expects: {{metrics: [{{query: up, should: stay}}], signs: [slow pages]}}\n"))
        .unwrap();
    world.commit("two");
    let app = world.app();
    let say = async |who: &Caller, word| app.train_say(who, "photos", "production", word, None).await;
    assert!(app.trains().await.unwrap().is_empty());
    let alone = say(&mei(), TrainWord::Join).await.unwrap().unwrap();
    assert_eq!((alone.phase.as_str(), alone.members.len()), ("boarding", 1));
    let refused = app.deploy_start(&raj(), new_deploy(None)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Locked);
    assert!(refused.message.contains("the train of mei boards; join it"), "{refused}");
    // who only looks is told the same
    let train = async |who: &Caller| app.deploy_next_for(who, "photos", "production", None).await.unwrap().train;
    assert_eq!(train(&raj()).await.as_deref(), Some("the train of mei boards; join it"));
    assert_eq!(train(&mei()).await, None);
    let robot = say(&Caller::system(), TrainWord::Join).await.unwrap_err();
    assert_eq!(robot.code, ErrorCode::Forbidden);

    let deploy = world.deploy().await;
    let next = say(&raj(), TrainWord::Join).await.unwrap().unwrap();
    assert_eq!((next.deploy, next.waiting.len()), (Some(deploy.number), 1));
    world.state(deploy.number, &["succeeded"]).await;
    let checking = app.train("photos", "production").await.unwrap().unwrap();
    assert_eq!(checking.phase, "checking", "written with the deploy's last step");
    assert!(
        world.text(deploy.number, "train.checking").await.is_empty(),
        "it is of the train, not of the deploy's run"
    );
    let blind = say(&mei(), TrainWord::Good).await.unwrap_err();
    assert!(blind.message.contains("look at the graphs first"), "{blind}");
    let graphs = app.train_graphs(&mei(), "photos", "production").await.unwrap();
    assert_eq!((graphs.deploy, graphs.graphs.len(), graphs.signs.len()), (deploy.number, 1, 1));
    let unsaid = app.train_say(&raj(), "photos", "production", TrainWord::UhOh, None).await.unwrap_err();
    assert_eq!(unsaid.code, ErrorCode::Invalid, "uh-oh needs a reason");
    let trouble = Some("pages are slow".to_owned());
    app.train_say(&raj(), "photos", "production", TrainWord::UhOh, trouble).await.unwrap();
    say(&mei(), TrainWord::Good).await.unwrap();
    let stopped = say(&mei(), TrainWord::Done).await.unwrap_err();
    assert!(stopped.message.contains("raj said uh-oh: pages are slow"), "{stopped}");
    say(&mei(), TrainWord::Clear).await.unwrap();
    let left = say(&mei(), TrainWord::Done).await.unwrap().unwrap();
    assert_eq!((left.phase.as_str(), left.members[0].login.as_str()), ("boarding", "raj"));
    world.commit("three");
    let refused = app.deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert!(refused.message.contains("the train of raj boards"), "{refused}");
    let second = app.deploy_start(&raj(), new_deploy(None)).await.unwrap();
    world.state(second.number, &["succeeded"]).await;
    let worse = Some("errors went up".to_owned());
    app.train_say(&raj(), "photos", "production", TrainWord::UhOh, worse).await.unwrap();
    let back = app.deploy_rollback(&mei(), second.number, None).await.unwrap();
    world.state(back.number, &["succeeded"]).await;
    let again = app.train("photos", "production").await.unwrap().unwrap();
    assert_eq!((again.phase.as_str(), again.deploy), ("boarding", None), "written with the way back's last step");
    assert!(again.trouble.is_none() && again.members[0].login == "raj", "{again:?}");
    assert!(say(&raj(), TrainWord::Leave).await.unwrap().is_none());
    world.end().await;
}
