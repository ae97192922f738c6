//! Programs of the repository that put a release somewhere and say what is live there, in the sandbox of builds. One of them
//! runs at a time for a deploy, and what they are asked is told in `TENFOLD_…` variables.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex as Lock;
use tenfold_app::deploys::Blobs;
use tenfold_app::deploys::ports::{ClusterTarget, LineSink, Mark, Stream, Tell, Told};
use tenfold_app::settings::Builds;
use tenfold_deploys::Digest;
use tenfold_deploys::cluster::command::{Known, OUTPUT_BYTES_MAX, lie, observed, release_of, seen, sha_of};
use tenfold_deploys::cluster::{Change, Refusal, Release, Seen, plain};
use tenfold_deploys::pipeline::{Command, OBSERVE_S};
use tenfold_types::Fault;
use tokio::sync::{Mutex, MutexGuard, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Cluster;
use crate::files;
use crate::git::Mirror;
use crate::program::{self, Bad, Folder, Program};
use crate::runner::{BuildParent, COMMANDS};

/// Between two looks at what is live, while nothing is ordered and while a change settles.
const FOLLOW: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_secs(2);
/// A look that is younger answers for another: pages ask often.
const LOOKED: Duration = Duration::from_secs(10);
/// Most services and environments whose last look is kept.
const LOOKED_MAX: usize = 1_000;
/// The program that changes nothing.
const OBSERVE: &str = "observe";
/// Between an `observe` and the program of which it looks what came.
const AFTER: &str = " after ";
/// The artifact, beside the checkout.
const ARTIFACT: &str = "artifact";

/// When, in the checkout of which commit, and what was live.
type Looked = Arc<Mutex<Option<(Instant, String, Option<String>)>>>;

/// What all commands of a server share.
pub(super) struct Commands {
    root: PathBuf,
    blobs: Blobs,
    builds: Builds,
    parent: Option<BuildParent>,
    /// By service and environment; one look at a time.
    looked: Lock<HashMap<(String, String), Looked>>,
}

impl Commands {
    pub fn new(data_dir: &Path, builds: Builds, parent: Option<BuildParent>) -> Self {
        let root = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
        Self { blobs: Blobs::new(&root), root, builds, parent, looked: Lock::default() }
    }

    /// What is live, for whoever plans a deploy.
    pub async fn look(self: &Arc<Self>, target: &ClusterTarget, command: &Command) -> Result<Seen, Fault> {
        let looked = self.looked_of(target);
        let mut last = looked.lock().await;
        let known = &target.ground.known;
        if let Some((at, sha, live)) = &*last
            && at.elapsed() < LOOKED
            && *sha == target.ground.sha
        {
            return Ok(seen(live.as_deref(), None, known));
        }
        *last = None;
        let place = Place::new(self.clone(), target.clone(), Box::new(command.clone()), None);
        let live = place.live().await;
        place.leave().await;
        let live = live.map_err(|error| Fault::unavailable(format!("{}: {error}", target.handed.says())))?;
        let answer = seen(live.as_deref(), None, known);
        *last = Some((Instant::now(), target.ground.sha.clone(), live));
        Ok(answer)
    }

    fn looked_of(&self, target: &ClusterTarget) -> Looked {
        let mut all = self.looked.lock();
        if all.len() >= LOOKED_MAX {
            all.clear();
        }
        all.entry((target.service.clone(), target.environment.clone())).or_default().clone()
    }
}

/// What is known of the place while a deploy is under way.
struct State {
    /// An earlier server stopped in the middle, and what it left has not been looked for.
    stopped: bool,
    /// Which program that was, and how it ended since.
    taken_up: Option<(String, Result<(), Bad>)>,
    /// A program that has ended well, until it is seen what it brought about.
    settles: Option<String>,
    /// Why what was begun has not ended well.
    half: Option<String>,
    /// The checkout is there, with this time.
    commit_seconds: Option<i64>,
    /// The release that is wanted.
    wanted: Option<(String, Digest)>,
    /// What `observe` printed last.
    live: Option<String>,
}

/// The one place of a deploy by commands.
pub(super) struct Place {
    commands: Arc<Commands>,
    target: ClusterTarget,
    command: Box<Command>,
    /// Whoever is told what the programs print.
    tell: Option<Tell>,
    folder: Folder,
    state: Mutex<State>,
    never: CancellationToken,
}

/// One run of a program: which, and what it is told.
struct Run<'a> {
    name: &'static str,
    argv: &'a [String],
    /// The commit to put there; none where nothing was there before.
    sha: Option<&'a str>,
    /// Of which program it looks what came.
    after: Option<&'a str>,
    digest: Option<Digest>,
    within: (u32, u32),
    lines: LineSink,
}

impl Run<'_> {
    /// By which a later server knows it.
    fn about(&self) -> String {
        let about = format!("{} {}", self.name, self.sha.unwrap_or("-"));
        match self.after {
            Some(after) => format!("{about}{AFTER}{after}"),
            None => about,
        }
    }
}

/// Tells the looks at one service and environment from those at others, whose names may all have dashes.
fn looks(service: &str, environment: &str) -> blake3::Hash {
    blake3::hash(format!("{service} {environment}").as_bytes())
}

/// Whose user the programs get. A look is no deploy's: each service and environment has its own, so that programs of different
/// services that run at once cannot reach each other.
fn user_of(deploy: i64, service: &str, environment: &str) -> i64 {
    match deploy {
        0 => {
            let [a, b, c, d, ..] = *looks(service, environment).as_bytes();
            u32::from_be_bytes([a, b, c, d]).into()
        }
        deploy => deploy,
    }
}

impl Place {
    pub fn new(commands: Arc<Commands>, target: ClusterTarget, command: Box<Command>, tell: Option<Tell>) -> Self {
        let name = match target.ground.deploy {
            0 => format!("look-{}", &looks(&target.service, &target.environment).to_hex()[..16]),
            deploy => deploy.to_string(),
        };
        let half = target.ground.half_way.then(|| "the server stopped while a command ran".to_owned());
        let stopped = target.ground.half_way;
        let state =
            State { stopped, taken_up: None, settles: None, half, commit_seconds: None, wanted: None, live: None };
        let folder = Folder::new(&commands.root.join(COMMANDS), &name);
        Self { commands, target, command, tell, folder, state: Mutex::new(state), never: CancellationToken::new() }
    }

    /// Ends what runs there and removes its folder. When the server stops, it is left to the next one.
    pub async fn leave(&self) {
        let _state = self.state.lock().await;
        if !self.target.ground.stops.is_cancelled() {
            self.folder.remove().await;
        }
    }

    async fn live(&self) -> Result<Option<String>, String> {
        let mut state = self.state().await;
        self.observe(&mut state).await
    }

    /// Waits for a program that runs, also for one that an earlier server began.
    async fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().await;
        if !state.stopped {
            return state;
        }
        let step = self.folder.step();
        let about = step.about().map(|about| about.what).unwrap_or_default();
        if let Some((_, ended)) = about.split_once(AFTER) {
            state.taken_up = Some((ended.to_owned(), Ok(())));
            state.settles = Some(ended.to_owned());
        } else if step.is_kept() && !about.starts_with(OBSERVE) {
            let what = format!("`{}`", about.split(' ').next().unwrap_or_default());
            let ended = program::take_up(&self.folder, &what, &self.sink(), &self.never).await;
            state.settles = ended.is_ok().then(|| about.clone());
            state.taken_up = Some((about, ended));
        }
        state.stopped = false;
        state
    }

    fn uid(&self) -> Option<u32> {
        let target = &self.target;
        let user = user_of(target.ground.deploy, &target.service, &target.environment);
        program::uid(&self.commands.builds, user)
    }

    async fn check_out(&self, state: &mut State) -> Result<i64, String> {
        let ground = &self.target.ground;
        let mirror = Mirror::new(&self.commands.root.join("git"), &ground.source);
        state.commit_seconds = None;
        let seconds = self.folder.check_out(&mirror, &ground.sha, self.uid()).await?;
        state.commit_seconds = Some(seconds);
        Ok(seconds)
    }

    /// A clean checkout with the artifact beside it, as far as the server has that.
    async fn lay_out(&self, state: &mut State, digest: Option<Digest>) -> Result<(), String> {
        let seconds = self.check_out(state).await?;
        let Some(digest) = digest else { return Ok(()) };
        let (blobs, into) = (self.commands.blobs.clone(), self.folder.dir().join(ARTIFACT));
        program::blocking(move || files::lay_out(&blobs, digest, &into)).await??;
        self.folder.hand_over(seconds, self.uid()).await
    }

    async fn run(&self, run: Run<'_>, live: Option<&str>) -> Result<(), String> {
        let about = run.about();
        let (target, command) = (&self.target, &self.command);
        let mut env = command.env.clone();
        let told = [
            ("TENFOLD_COMMAND", run.name.to_owned()),
            ("TENFOLD_SERVICE", target.service.clone()),
            ("TENFOLD_ENVIRONMENT", target.environment.clone()),
            ("TENFOLD_DEPLOY", target.ground.deploy.to_string()),
            ("TENFOLD_EPOCH", target.epoch.to_string()),
            ("TENFOLD_SHA", run.sha.unwrap_or_default().to_owned()),
            ("TENFOLD_PREVIOUS_SHA", live.unwrap_or_default().to_owned()),
            ("TENFOLD_DIGEST", run.digest.map(|digest| digest.to_string()).unwrap_or_default()),
        ];
        env.extend(told.map(|(name, value)| (name.to_owned(), value)));
        let mut places = BTreeMap::new();
        if self.folder.dir().join(ARTIFACT).is_dir() {
            places.insert("TENFOLD_ARTIFACT".to_owned(), ARTIFACT.to_owned());
        }
        let (timeout_s, idle_timeout_s) = run.within;
        let program = Program {
            what: format!("`{}`", run.name),
            key: format!("targets.{}.command", target.environment),
            about,
            group: format!("command-{}", target.ground.deploy),
            service: &target.service,
            argv: run.argv,
            env,
            places,
            secrets: &command.secrets,
            network: command.network,
            timeout_s,
            idle_timeout_s,
            folder: &self.folder,
            settings: &self.commands.builds,
            parent: self.commands.parent.as_ref(),
            uid: self.uid(),
            lines: run.lines,
            cancel: &self.never,
        };
        program.run().await.map_err(Bad::into_text)
    }

    /// What `observe` says is live.
    async fn observe(&self, state: &mut State) -> Result<Option<String>, String> {
        if state.commit_seconds.is_none() {
            self.check_out(state).await?;
        }
        let heard = Arc::new(Lock::new((String::new(), String::new())));
        let (hear, tell) = (heard.clone(), self.tell.clone());
        let lines: LineSink = Arc::new(move |stream: Stream, line: &str, mark: Option<&Mark>| match stream {
            Stream::Out => {
                let mut heard = hear.lock();
                // one line more than is looked at shows that there was too much
                if heard.0.len() <= OUTPUT_BYTES_MAX {
                    heard.0.push_str(line);
                    heard.0.push('\n');
                }
            }
            Stream::Err => {
                hear.lock().1 = plain(line);
                if let Some(tell) = &tell {
                    tell(Told::Line(Stream::Err, line.to_owned(), mark.cloned()));
                }
            }
            // that it is in a sandbox is said with what changes something
            Stream::Tenfold => {}
        });
        let (wanted, settles) = (state.wanted.clone(), state.settles.clone());
        let run = Run {
            name: OBSERVE,
            after: settles.as_deref(),
            argv: &self.command.observe,
            sha: Some(wanted.as_ref().map_or(self.target.ground.sha.as_str(), |(sha, _)| sha.as_str())),
            digest: wanted.as_ref().map(|(_, digest)| *digest),
            within: (2 * OBSERVE_S, 2 * OBSERVE_S),
            lines,
        };
        let within = Duration::from_secs(OBSERVE_S.into());
        let ended = tokio::time::timeout(within, self.run(run, state.live.as_deref())).await;
        if ended.is_err() {
            self.folder.step().finish().await?;
        }
        let ended = ended.unwrap_or_else(|_| Err(format!("`observe` did not end within {OBSERVE_S} s")));
        let (out, last) = heard.lock().clone();
        if let Err(error) = ended {
            return Err(if last.is_empty() { error } else { format!("{error}: {last}") });
        }
        let live = observed(&out)?;
        state.live.clone_from(&live);
        Ok(live)
    }

    fn known(&self, state: &State) -> Vec<Known> {
        let (mut known, deploy) = (self.target.ground.known.clone(), self.target.ground.deploy);
        if let Some((sha, digest)) = state.wanted.clone() {
            known.insert(0, Known { sha, digest, deploy });
        }
        known
    }

    /// Runs a program that changes what is live, and waits until that is seen. One that an earlier server began and that has
    /// come to its end is not run again.
    async fn change(&self, state: &mut State, run: Run<'_>) -> Result<(), String> {
        let (name, sha, about) = (run.name, run.sha.map(str::to_owned), run.about());
        let ended = match state.taken_up.take() {
            Some((what, Ok(()))) if what == about => Ok(()),
            Some((what, Err(Bad::Failed(error)))) if what == about => Err(error),
            _ => self.run_anew(state, run).await,
        };
        let ended = match ended {
            Ok(()) => {
                state.settles = Some(about);
                self.settled(state, name, sha.as_deref()).await
            }
            Err(error) => Err(error),
        };
        state.settles = None;
        state.half = ended.as_ref().err().cloned();
        *self.commands.looked_of(&self.target).lock().await = None;
        ended
    }

    async fn run_anew(&self, state: &mut State, run: Run<'_>) -> Result<(), String> {
        state.settles = None;
        let before = match self.observe(state).await {
            Ok(live) => live,
            // a way back is tried all the same
            Err(error) => {
                self.say(&format!("what is live is not known: {error}"));
                self.target.ground.from_sha.clone()
            }
        };
        let shown = run.sha.map_or("nothing", |sha| sha.get(..7).unwrap_or(sha));
        self.say(&format!("{} of {shown}: $ {}", run.name, run.argv.join(" ")));
        state.half = Some(format!("`{}` has not ended", run.name));
        self.lay_out(state, run.digest).await?;
        self.run(run, before.as_deref()).await
    }

    /// Waits until `observe` says what the command was to bring about.
    async fn settled(&self, state: &mut State, name: &str, wanted: Option<&str>) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(self.command.settle_s.into());
        loop {
            let live = self.observe(state).await;
            if live.as_ref().is_ok_and(|live| live.as_deref() == wanted) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(lie(name, wanted, &live, self.command.settle_s));
            }
            tokio::time::sleep_until(until.min(Instant::now() + SETTLE)).await;
        }
    }

    fn sink(&self) -> LineSink {
        let tell = self.tell.clone();
        Arc::new(move |stream: Stream, line: &str, mark: Option<&Mark>| {
            if let Some(tell) = &tell {
                tell(Told::Line(stream, line.to_owned(), mark.cloned()));
            }
        })
    }

    fn say(&self, text: &str) {
        if let Some(tell) = &self.tell {
            tell(Told::Say(text.to_owned()));
        }
    }

    async fn back(&self, state: &mut State, sha: Option<&str>, digest: Option<Digest>) -> Result<(), String> {
        let (argv, name) = self.command.back();
        if sha.is_none() && self.command.rollback.is_empty() {
            return Err("nothing was live before, and the target names no `rollback` that takes it out".to_owned());
        }
        let within = (self.command.timeout_s, self.command.idle_timeout_s);
        self.change(state, Run { name, argv, sha, after: None, digest, within, lines: self.sink() }).await
    }

    async fn forward(&self, state: &mut State, release: &Release) -> Result<(), String> {
        state.wanted = Some((release.sha.clone(), release.digest));
        if self.target.ground.is_rollback {
            return self.back(state, Some(&release.sha), Some(release.digest)).await;
        }
        let run = Run {
            name: "deploy",
            argv: &self.command.deploy,
            sha: Some(&release.sha),
            after: None,
            digest: Some(release.digest),
            within: (self.command.timeout_s, self.command.idle_timeout_s),
            lines: self.sink(),
        };
        self.change(state, run).await
    }

    async fn undo(&self, state: &mut State, digest: Digest) -> Result<(), String> {
        let live: Vec<&str> = self.target.ground.from_sha.as_deref().into_iter().collect();
        let sha = sha_of(&self.target.ground.known, &live, digest).map(str::to_owned);
        let sha =
            sha.ok_or("which commit was live before is not known any more; deploy one that is known to be good")?;
        let own = release_of(&self.target.ground.known, &sha).1 > 0;
        self.back(state, Some(&sha), own.then_some(digest)).await
    }
}

#[async_trait]
impl Cluster for Place {
    /// Waits for a program that runs, since what is live changes meanwhile.
    async fn look(&self) -> Result<Seen, Refusal> {
        let mut state = self.state().await;
        let live = self.observe(&mut state).await;
        let live = live.map_err(|error| Refusal::Passing { error, retry_after_ms: None })?;
        Ok(seen(live.as_deref(), state.half.as_deref(), &self.known(&state)))
    }

    async fn follow(&self, out: mpsc::Sender<Result<Seen, String>>) {
        loop {
            let looked = self.look().await.map_err(|refusal| match refusal {
                Refusal::Conflict => "it changes at this moment".to_owned(),
                Refusal::Passing { error, .. } | Refusal::Final { error } => error,
            });
            if out.send(looked).await.is_err() {
                return;
            }
            tokio::time::sleep(FOLLOW).await;
        }
    }

    /// Whether programs that are named by a path are in the checkout.
    async fn check(&self, release: &Release) -> Result<String, Refusal> {
        let mut state = self.state().await;
        let last = |error: String| Refusal::Final { error };
        self.check_out(&mut state).await.map_err(last)?;
        state.wanted = Some((release.sha.clone(), release.digest));
        let source = self.folder.source();
        for argv in [&self.command.deploy, &self.command.observe, self.command.back().0] {
            let program = argv.first().map_or("", String::as_str);
            if program.contains('/') && !program.starts_with('/') && !source.join(program).is_file() {
                return Err(last(format!("the commit has no file {program}")));
            }
        }
        Ok("its programs are there".to_owned())
    }

    async fn write(&self, change: &Change, _version: &str) -> Result<u64, Refusal> {
        let mut state = self.state().await;
        let ended = match change {
            Change::Set(release) => self.forward(&mut state, release).await,
            Change::Undo { digest } => self.undo(&mut state, *digest).await,
            Change::Remove => self.back(&mut state, None, None).await,
            Change::Promote | Change::Finish | Change::Retry | Change::Abort | Change::Pause | Change::Resume => {
                Err("a command has no steps".to_owned())
            }
        };
        ended.map(|()| 0).map_err(|error| Refusal::Final { error })
    }
}

#[cfg(test)]
mod tests {
    use super::user_of;
    use crate::sandbox::uid_of;

    #[test]
    fn looks_at_different_services_have_different_users() {
        assert_eq!(user_of(12, "photos", "production"), 12);
        let users = [("photos", "production"), ("photos", "staging"), ("mail", "production")]
            .map(|(service, environment)| uid_of(user_of(0, service, environment)));
        assert!(users[0] != users[1] && users[0] != users[2] && users[1] != users[2], "{users:?}");
        assert_eq!(uid_of(user_of(0, "photos", "production")), users[0], "and each always the same");
    }
}
