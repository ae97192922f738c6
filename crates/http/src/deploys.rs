//! Services, hosts, deploys with their live logs, and locks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tenfold_app::deploys::views::{
    Deploy, DeployFilter, Host, Lock, LogLine, NewDeploy, NewLock, NextDeploy, Service, ServiceUpdate, TrainGraphs,
    TrainView, TrainWord,
};
use tenfold_app::deploys::{Answer, RollForward, RunLog};
use tenfold_app::{App, Caller, Role};
use tokio::sync::broadcast;
use utoipa_axum::routes;

use crate::auth::Who;
use crate::standing::Standing;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("deploys")
        .add(Policy::Viewer, routes!(services))
        .add(Policy::Viewer, routes!(service))
        .add(Policy::Role(Role::Admin), routes!(service_put))
        .add(Policy::Role(Role::Admin), routes!(service_delete))
        .add(Policy::Viewer, routes!(next))
        .add(Policy::Viewer, routes!(hosts))
        .add(Policy::Role(Role::Admin), routes!(host_delete))
        .add(Policy::Viewer, routes!(list))
        .add(Policy::Role(Role::Deployer), routes!(start))
        .add(Policy::Viewer, routes!(one))
        .add(Policy::Role(Role::Deployer), routes!(rollback))
        .add(Policy::Role(Role::Deployer), routes!(forward))
        .add(Policy::Role(Role::Deployer), routes!(cancel))
        .add(Policy::Role(Role::Deployer), routes!(retry))
        .add(Policy::Role(Role::Deployer), routes!(hold))
        .add(Policy::Role(Role::Deployer), routes!(promote))
        .add(Policy::Role(Role::Deployer), routes!(abort))
        .add(Policy::Role(Role::Responder), routes!(approve))
        .add(Policy::Viewer, routes!(log))
        .add(Policy::Viewer, routes!(trains))
        .add(Policy::Role(Role::Deployer), routes!(train_say))
        .add(Policy::Viewer, routes!(train_declared))
        .add(Policy::Person, routes!(train_graphs))
        .add(Policy::Viewer, routes!(locks))
        .add(Policy::Role(Role::Deployer), routes!(lock))
        .add(Policy::Role(Role::Deployer), routes!(unlock))
}

#[derive(Serialize, utoipa::ToSchema)]
struct ServiceList {
    items: Vec<Service>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct HostList {
    items: Vec<Host>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct DeployList {
    items: Vec<Deploy>,
    /// `before` of the next page; absent on the last.
    next: Option<i64>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct LockList {
    items: Vec<Lock>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct LogLines {
    items: Vec<LogLine>,
}

/// All services, with what runs where.
#[utoipa::path(get, path = "/api/services", responses((status = 200, body = ServiceList)))]
async fn services(State(app): State<App>) -> Result<Json<ServiceList>, ApiError> {
    Ok(Json(ServiceList { items: app.services().await? }))
}

/// One service.
#[utoipa::path(get, path = "/api/services/{name}", responses((status = 200, body = Service)))]
async fn service(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<Service>, ApiError> {
    Ok(Json(app.service(&name).await?))
}

/// Adds or changes a service.
#[utoipa::path(put, path = "/api/services/{name}", request_body = ServiceUpdate, responses((status = 200, body = Service)))]
async fn service_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(update): Body<ServiceUpdate>,
) -> Result<Json<Service>, ApiError> {
    Ok(Json(app.service_put(&who, &name, update).await?))
}

/// Forgets a service; what runs of it goes on running.
#[utoipa::path(delete, path = "/api/services/{name}", responses((status = 204)))]
async fn service_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<StatusCode, ApiError> {
    app.service_delete(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NextQuery {
    /// `production` unless given.
    environment: Option<String>,
    /// Branch, tag or commit; the service's branch unless given.
    #[serde(rename = "ref")]
    reference: Option<String>,
}

/// What a deploy would ship: from what the hosts run to the commit that is next; and what keeps whoever asks from it.
#[utoipa::path(get, path = "/api/services/{name}/next", params(NextQuery), responses((status = 200, body = NextDeploy)))]
async fn next(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    QueryOf(q): QueryOf<NextQuery>,
) -> Result<Json<NextDeploy>, ApiError> {
    let environment = q.environment.as_deref().unwrap_or("production");
    Ok(Json(app.deploy_next_for(&who, &name, environment, q.reference.as_deref()).await?))
}

/// All hosts, with what each runs and where it takes traffic.
#[utoipa::path(get, path = "/api/hosts", responses((status = 200, body = HostList)))]
async fn hosts(State(app): State<App>) -> Json<HostList> {
    Json(HostList { items: app.hosts() })
}

/// Forgets a host that is gone for good.
#[utoipa::path(delete, path = "/api/hosts/{name}", responses((status = 204)))]
async fn host_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<StatusCode, ApiError> {
    app.host_delete(&who, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deploys and rollbacks, newest first. At most 5,000 are read for one answer: `next` may be there with few items, or none.
#[utoipa::path(get, path = "/api/deploys", params(DeployFilter), responses((status = 200, body = DeployList)))]
async fn list(State(app): State<App>, QueryOf(filter): QueryOf<DeployFilter>) -> Result<Json<DeployList>, ApiError> {
    let listed = app.deploys_listed(filter).await?;
    Ok(Json(DeployList { items: listed.items, next: listed.next }))
}

/// Starts a deploy.
#[utoipa::path(post, path = "/api/deploys", request_body = NewDeploy, responses((status = 202, body = Deploy)))]
async fn start(
    State(app): State<App>,
    Who(who): Who,
    Body(new): Body<NewDeploy>,
) -> Result<(StatusCode, Json<Deploy>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(app.deploy_start(&who, new).await?)))
}

/// One deploy with its steps and hosts.
#[utoipa::path(get, path = "/api/deploys/{number}", responses((status = 200, body = Deploy)))]
async fn one(State(app): State<App>, PathOf(number): PathOf<i64>) -> Result<Json<Deploy>, ApiError> {
    Ok(Json(app.deploy(number).await?))
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
struct RollbackBody {
    reason: Option<String>,
}

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
struct AnswerBody {
    /// Stands in the record behind the name of who said it.
    reason: Option<String>,
}

/// The body is optional: a bare POST is the fastest way.
fn body_or_none<T: Default + serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let fits = serde_json::from_slice::<Option<T>>(body)
        .map_err(|e| tenfold_types::Fault::invalid(format!("the request body does not fit: {e}")))?;
    Ok(fits.unwrap_or_default())
}

/// What a person says to a deploy, with a reason if they like.
async fn answered(app: &App, who: &Caller, number: i64, answer: Answer, body: &[u8]) -> Result<Json<Deploy>, ApiError> {
    let AnswerBody { reason } = body_or_none(body)?;
    Ok(Json(app.deploy_answer(who, number, answer, reason).await?))
}

/// Takes a deploy back: flips to the release that was healthy before it. A running deploy is cancelled instead.
#[utoipa::path(post, path = "/api/deploys/{number}/rollback", request_body = Option<RollbackBody>,
    responses((status = 202, body = Deploy)))]
async fn rollback(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
    body: axum::body::Bytes,
) -> Result<(StatusCode, Json<Deploy>), ApiError> {
    let body: RollbackBody = body_or_none(&body)?;
    Ok((StatusCode::ACCEPTED, Json(app.deploy_rollback(&who, number, body.reason).await?)))
}

/// Deploys the fix over the deploy that was taken back last; the same commits once more only with `again`.
#[utoipa::path(post, path = "/api/services/{name}/forward", request_body = RollForward,
    responses((status = 202, body = Deploy)))]
async fn forward(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(asked): Body<RollForward>,
) -> Result<(StatusCode, Json<Deploy>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(app.deploy_forward(&who, &name, asked).await?)))
}

/// Stops a running deploy; hosts that flipped go back.
#[utoipa::path(post, path = "/api/deploys/{number}/cancel", request_body = Option<AnswerBody>,
    responses((status = 200, body = Deploy)))]
async fn cancel(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
    body: axum::body::Bytes,
) -> Result<Json<Deploy>, ApiError> {
    answered(&app, &who, number, Answer::Cancel, &body).await
}

/// The same deploy again, as a new one.
#[utoipa::path(post, path = "/api/deploys/{number}/retry", responses((status = 202, body = Deploy)))]
async fn retry(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
) -> Result<(StatusCode, Json<Deploy>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(app.deploy_retry(&who, number).await?)))
}

/// Holds a deploy that is a canary or goes to the rest: no host is ordered to flip until somebody promotes or aborts it. The
/// judge watches a held canary on. A cluster on its way is paused; what agents were told already ends first.
#[utoipa::path(post, path = "/api/deploys/{number}/hold", request_body = Option<AnswerBody>,
    responses((status = 200, body = Deploy)))]
async fn hold(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
    body: axum::body::Bytes,
) -> Result<Json<Deploy>, ApiError> {
    answered(&app, &who, number, Answer::Hold, &body).await
}

/// Lets a held deploy go on.
#[utoipa::path(post, path = "/api/deploys/{number}/promote", request_body = Option<AnswerBody>,
    responses((status = 200, body = Deploy)))]
async fn promote(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
    body: axum::body::Bytes,
) -> Result<Json<Deploy>, ApiError> {
    answered(&app, &who, number, Answer::Promote, &body).await
}

/// Aborts a deploy, held or not: hosts that flipped go back. Before the first flip it is cancelled.
#[utoipa::path(post, path = "/api/deploys/{number}/abort", request_body = Option<AnswerBody>,
    responses((status = 200, body = Deploy)))]
async fn abort(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
    body: axum::body::Bytes,
) -> Result<Json<Deploy>, ApiError> {
    answered(&app, &who, number, Answer::Abort, &body).await
}

/// Agrees that a deploy which waits for people goes on. Only people approve, those whom the pipeline file asks for; with
/// four eyes whoever started the deploy is not among them.
#[utoipa::path(post, path = "/api/deploys/{number}/approve", responses((status = 200, body = Deploy)))]
async fn approve(State(app): State<App>, Who(who): Who, PathOf(number): PathOf<i64>) -> Result<Json<Deploy>, ApiError> {
    Ok(Json(app.deploy_approve(&who, number).await?))
}

#[derive(Serialize, utoipa::ToSchema)]
struct TrainList {
    items: Vec<TrainView>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TrainBody {
    word: TrainWord,
    /// Why; `uh-oh` and `hold` need it.
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct TrainLeft {
    /// Absent when nobody is left on one.
    train: Option<TrainView>,
}

/// People who ship to a place together, or one after the other.
#[utoipa::path(get, path = "/api/trains", responses((status = 200, body = TrainList)))]
async fn trains(State(app): State<App>) -> Result<Json<TrainList>, ApiError> {
    Ok(Json(TrainList { items: app.trains().await? }))
}

/// Says a word to a train: join, leave, good, uh-oh, clear, hold, unhold, done.
#[utoipa::path(post, path = "/api/trains/{service}/{environment}", request_body = TrainBody,
    responses((status = 200, body = TrainLeft)))]
async fn train_say(
    State(app): State<App>,
    Who(who): Who,
    PathOf((service, environment)): PathOf<(String, String)>,
    Body(body): Body<TrainBody>,
) -> Result<Json<TrainLeft>, ApiError> {
    let train = app.train_say(&who, &service, &environment, body.word, body.reason).await?;
    Ok(Json(TrainLeft { train }))
}

/// What is to be looked at before `good`, for whoever draws it.
#[utoipa::path(get, path = "/api/trains/{service}/{environment}/graphs", responses((status = 200, body = TrainGraphs)))]
async fn train_declared(
    State(app): State<App>,
    PathOf((service, environment)): PathOf<(String, String)>,
) -> Result<Json<TrainGraphs>, ApiError> {
    Ok(Json(app.train_declared(&service, &environment).await?))
}

/// What is to be looked at before `good`. Asking counts as having looked.
#[utoipa::path(post, path = "/api/trains/{service}/{environment}/graphs", responses((status = 200, body = TrainGraphs)))]
async fn train_graphs(
    State(app): State<App>,
    Who(who): Who,
    PathOf((service, environment)): PathOf<(String, String)>,
) -> Result<Json<TrainGraphs>, ApiError> {
    Ok(Json(app.train_graphs(&who, &service, &environment).await?))
}

/// Locks, freezes and pins that hold now, or will.
#[utoipa::path(get, path = "/api/locks", responses((status = 200, body = LockList)))]
async fn locks(State(app): State<App>) -> Result<Json<LockList>, ApiError> {
    Ok(Json(LockList { items: app.locks().await? }))
}

/// Locks a service on an environment, freezes it (or all of them), or pins it to a commit.
#[utoipa::path(post, path = "/api/locks", request_body = NewLock, responses((status = 201, body = Lock)))]
async fn lock(
    State(app): State<App>,
    Who(who): Who,
    Body(new): Body<NewLock>,
) -> Result<(StatusCode, Json<Lock>), ApiError> {
    Ok((StatusCode::CREATED, Json(app.lock_create(&who, new).await?)))
}

/// Ends a lock early.
#[utoipa::path(delete, path = "/api/locks/{id}", responses((status = 204)))]
async fn unlock(State(app): State<App>, Who(who): Who, PathOf(id): PathOf<String>) -> Result<StatusCode, ApiError> {
    app.lock_release(&who, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// Stream what comes as server-sent events: `line`, `deploy` (the deploy when it changed), `end`.
    follow: bool,
    /// Only lines after this number.
    after: i64,
}

/// The log of a deploy, whole or live; live it ends with the deploy, or with the session or token that opened it.
#[utoipa::path(get, path = "/api/deploys/{number}/log", params(LogQuery), responses(
    (status = 200, body = LogLines), (status = 200, content_type = "text/event-stream")))]
async fn log(
    State(app): State<App>,
    PathOf(number): PathOf<i64>,
    QueryOf(q): QueryOf<LogQuery>,
    standing: Standing,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    app.deploy(number).await?;
    let log = app.deploy_log(number);
    let resumed = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<i64>().ok());
    let after = resumed.unwrap_or(q.after);
    if !q.follow {
        return Ok(Json(LogLines { items: read(&log, after).await }).into_response());
    }
    let keep_alive =
        KeepAlive::new().interval(Duration::from_secs(15)).event(Event::default().event("ping").data("{}"));
    let ended = Box::pin(standing.ended(app.clone()));
    Ok(Sse::new(follow(app, number, log, after).take_until(ended)).keep_alive(keep_alive).into_response())
}

async fn read(log: &Arc<RunLog>, after: i64) -> Vec<LogLine> {
    let log = log.clone();
    tokio::task::spawn_blocking(move || log.after(after)).await.unwrap_or_default()
}

struct Follow {
    app: App,
    number: i64,
    log: Arc<RunLog>,
    lines: broadcast::Receiver<Arc<LogLine>>,
    changes: broadcast::Receiver<i64>,
    seen: i64,
    ready: VecDeque<LogLine>,
    /// The deploy is to be shown (again).
    show: bool,
    last: Last,
}

/// How far the end is told.
#[derive(PartialEq)]
enum Last {
    Going,
    /// The deploy is final: what the log still holds, then the end.
    Draining,
    Told,
}

fn follow(app: App, number: i64, log: Arc<RunLog>, after: i64) -> impl Stream<Item = Result<Event, Infallible>> {
    // listening starts before reading, so that nothing falls between the two
    let lines = log.follow();
    let changes = app.deploys.changes();
    let start =
        Follow { app, number, log, lines, changes, seen: after, ready: VecDeque::new(), show: true, last: Last::Going };
    futures_util::stream::unfold((start, true), |(mut follow, first)| async move {
        if first {
            follow.ready.extend(read(&follow.log, follow.seen).await);
        }
        let event = follow.next().await?;
        Some((Ok(event), (follow, false)))
    })
}

impl Follow {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                if line.seq <= self.seen {
                    continue;
                }
                self.seen = line.seq;
                return Some(Event::default().event("line").id(line.seq.to_string()).data(json(&line)));
            }
            match self.last {
                Last::Told => return None,
                Last::Draining => {
                    self.last = Last::Told;
                    return Some(Event::default().event("end").data("{}"));
                }
                Last::Going => {}
            }
            if self.show {
                self.show = false;
                // asked before reading: the conductor tells of a change once more when it is done
                let conducted = self.app.deploys.is_conducted(self.number);
                let deploy = self.app.deploy(self.number).await.ok()?;
                if deploy.finished_at.is_some() && !conducted {
                    self.last = Last::Draining;
                    self.ready.extend(read(&self.log, self.seen).await);
                }
                return Some(Event::default().event("deploy").data(json(&deploy)));
            }
            tokio::select! {
                biased;
                line = self.lines.recv() => match line {
                    Ok(line) => self.ready.push_back((*line).clone()),
                    Err(broadcast::error::RecvError::Lagged(_)) => self.ready.extend(read(&self.log, self.seen).await),
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                changed = self.changes.recv() => match changed {
                    Ok(number) => self.show |= number == self.number,
                    Err(broadcast::error::RecvError::Lagged(_)) => self.show = true,
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".into())
}
