//! From a request to flagd's answers and events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use serde_json::{Map, Value, json};
use tenfold_app::App;
use tenfold_app::flags::Environment;
use tenfold_app::people::Token;
use tenfold_flags::{Context, Evaluation, Reason, ValueType};
use tenfold_protocols::flagd::{Answer, AnswerKind, Request, Status};
use tenfold_types::{ErrorCode, Fault};

use crate::standing::Standing;

/// Something to say on a stream at least this often, so that nobody on the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What went wrong, in gRPC's terms.
pub(super) struct Problem {
    pub(super) status: Status,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let status = match fault.code {
            ErrorCode::NotFound => Status::NotFound,
            ErrorCode::Unauthenticated | ErrorCode::Forbidden => Status::Unauthenticated,
            ErrorCode::TooMany | ErrorCode::TooLarge => Status::ResourceExhausted,
            ErrorCode::Unavailable | ErrorCode::Timeout => Status::Unavailable,
            ErrorCode::Internal => Status::Internal,
            _ => Status::InvalidArgument,
        };
        Self::new(status, fault.message)
    }
}

/// Answers by key, and the metadata of the whole set.
pub(super) type Everything = (Vec<(String, Answer)>, Map<String, Value>);

/// Who reads, and from what.
pub(super) struct Reader {
    pub(super) environment: Arc<Environment>,
}

impl Reader {
    pub(super) async fn new(app: &App, token: Option<&Arc<Token>>, selected: Option<&str>) -> Result<Self, Problem> {
        let name = super::environment_name(token, selected)?;
        let projects = token.map(|t| t.projects()).unwrap_or_default();
        Ok(Self { environment: app.flag_book(&name, &projects).await? })
    }

    fn context(&self, app: &App, request: &Request) -> Result<(Context, bool), Problem> {
        let names_key = request.context.get("targetingKey").is_some_and(Value::is_string);
        Ok((app.flag_context(&self.environment.name, &request.context)?, names_key))
    }

    pub(super) fn one(&self, app: &App, request: &Request, kind: AnswerKind) -> Result<Answer, Problem> {
        let (context, names_key) = self.context(app, request)?;
        let key = &request.flag_key;
        let found = self.environment.evaluate(key, &context, app.flag_moment());
        // The code in front is what flagd's own providers look for.
        let found = found.ok_or_else(|| {
            Problem::new(
                Status::NotFound,
                format!("FLAG_NOT_FOUND: there is no flag `{key}` in {}", self.environment.name),
            )
        })?;
        if !fits(kind, found.value_type()) {
            let message = format!("TYPE_MISMATCH: `{key}` is of the type {}", found.value_type().name());
            return Err(Problem::new(Status::InvalidArgument, message));
        }
        if found.reason == Reason::Chance && !names_key {
            let message =
                format!("TARGETING_KEY_MISSING: `{key}` is split by person and the context has no targetingKey");
            return Err(Problem::new(Status::FailedPrecondition, message));
        }
        let mut answer = self.answer(&found);
        // A flag's own metadata counts over its set's.
        answer.metadata = self.set().into_iter().chain(answer.metadata).collect();
        let Some(value) = answer.value else { return Ok(answer) };
        let conform = kind.conform(&value).ok_or_else(|| {
            Problem::new(Status::InvalidArgument, format!("TYPE_MISMATCH: {value} of `{key}` is not of that type"))
        })?;
        Ok(Answer { value: Some(conform), ..answer })
    }

    /// Every flag; those that are split by person are left out for a context that names nobody.
    pub(super) fn all(&self, app: &App, request: &Request) -> Result<Everything, Problem> {
        let (context, names_key) = self.context(app, request)?;
        let found = self.environment.evaluate_all(&context, app.flag_moment());
        let told = found.filter(|f| f.reason != Reason::Chance || names_key);
        let answers = told.map(|f| (f.key().to_owned(), self.answer(&f))).collect();
        Ok((answers, self.set()))
    }

    fn metadata(&self, found: &Evaluation<'_>) -> Map<String, Value> {
        let (project, kind) = self.environment.project_and_kind(found);
        Map::from_iter([("kind".to_owned(), Value::from(kind)), ("project".to_owned(), Value::from(project))])
    }

    /// As flagd's schema of definitions names them.
    fn set(&self) -> Map<String, Value> {
        let version = self.environment.etag.trim_matches('"');
        Map::from_iter([
            ("flagSetId".to_owned(), Value::from(self.environment.name.as_str())),
            ("version".to_owned(), Value::from(version)),
        ])
    }

    /// A flag that is off answers what was set for that. A switch that is off is `false` in any case; of another type the
    /// caller's default counts while nobody set one, which flagd says by leaving value and variant out.
    fn answer(&self, found: &Evaluation<'_>) -> Answer {
        let callers_own =
            !found.enabled && found.value_type() != ValueType::Bool && !self.environment.has_off_value(found);
        let reason = match found.reason {
            Reason::Disabled => "DISABLED",
            _ if callers_own => "DEFAULT",
            // Everybody else's answer may also be a variant that the rule names, which is no default.
            Reason::Targeting if found.fell_through && self.environment.is_off_value(found) => "DEFAULT",
            other => other.name(),
        };
        Answer {
            value: (!callers_own).then(|| found.value().clone()),
            reason: reason.to_owned(),
            variant: (!callers_own).then(|| found.variant().to_owned()),
            metadata: self.metadata(found),
        }
    }
}

/// Numbers of either kind may be asked for as the other; whether that loses something is decided by the value.
fn fits(kind: AnswerKind, value_type: ValueType) -> bool {
    matches!(
        (kind, value_type),
        (AnswerKind::Boolean, ValueType::Bool)
            | (AnswerKind::String, ValueType::String)
            | (AnswerKind::Int | AnswerKind::Float, ValueType::Int | ValueType::Float)
            | (AnswerKind::Object, ValueType::Object)
    )
}

/// An event of the stream; the last one says why it ends.
pub(super) enum Told {
    Event(&'static str, Map<String, Value>),
    End(Status, String),
}

struct Following {
    app: App,
    watch: tokio::sync::watch::Receiver<Arc<Environment>>,
    etag: String,
    standing: Standing,
    state: State,
}

#[derive(PartialEq)]
enum State {
    New,
    Open,
    Ended,
}

/// `provider_ready`, then `configuration_change` with the names of what changed. Ends when the token or the session does.
pub(super) fn events(
    app: App,
    environment: Arc<Environment>,
    standing: Standing,
) -> Result<impl Stream<Item = Result<Told, Infallible>> + Send + 'static, Problem> {
    let watch = app.flags.watch_book(&environment.name, &environment.projects);
    let watch = watch.ok_or_else(|| Problem::new(Status::NotFound, "the environment is gone"))?;
    let following = Following { app, watch, etag: environment.etag.clone(), standing, state: State::New };
    Ok(futures_util::stream::unfold(following, next))
}

async fn next(mut f: Following) -> Option<(Result<Told, Infallible>, Following)> {
    if f.state == State::New {
        f.state = State::Open;
        return Some((Ok(Told::Event("provider_ready", Map::new())), f));
    }
    if f.state == State::Ended {
        return None;
    }
    loop {
        let current = f.watch.borrow_and_update().clone();
        if current.etag != f.etag {
            let changed = current.flags_since(&f.etag);
            // When too much happened to know: everything.
            let names = changed.unwrap_or_else(|| current.snapshot.names().collect());
            let flags = names.into_iter().map(|name| (name.to_owned(), json!({"type": "update", "flagKey": name})));
            let data = Map::from_iter([("flags".to_owned(), Value::Object(flags.collect()))]);
            f.etag.clone_from(&current.etag);
            return Some((Ok(Told::Event("configuration_change", data)), f));
        }
        let ended = f.standing.clone().ended(f.app.clone());
        tokio::select! {
            changed = f.watch.changed() => if changed.is_err() { return None },
            () = ended => {
                f.state = State::Ended;
                return Some((Ok(Told::End(Status::Unauthenticated, "the token was revoked or has expired, or the session ended".into())), f));
            }
            () = tokio::time::sleep(KEEP_ALIVE) => return Some((Ok(Told::Event("keep_alive", Map::new())), f)),
        }
    }
}
