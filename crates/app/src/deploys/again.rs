//! An artifact that is made again: its files are on the disk of the server that built it, and a server that takes the deploy
//! over has not got them. It builds the same commit by the same recipe, and what comes of it goes to hosts only where it is the
//! same artifact by its digest: no deploy brings two different releases to its hosts.

use tenfold_deploys::machine::{Input, Running};
use tenfold_deploys::{Digest, Target};
use tokio_util::sync::CancellationToken;

use super::{
    conductor::{Conductor, Signal},
    effects::{build_order, keep_manifest},
    ports::{LineSink, Step, StepKind, Stream},
    stored::Stored,
};
use crate::App;

/// How far it is with that. How often it was begun, and who waits, stands in the run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Again {
    /// There was no need.
    #[default]
    No,
    /// It is being built.
    Making,
    /// It could not be made, for this reason. It is not tried a second time.
    Failed(String),
}

impl Again {
    /// Something ended: perhaps this.
    pub(super) fn take(&mut self, ended: &Input) {
        if *self == Self::Making
            && let Input::BuiltAgain { error } = ended
        {
            *self = error.clone().map_or(Self::No, Self::Failed);
        }
    }

    /// Nobody waits for it any more, or its time is over.
    pub(super) fn stop(&mut self) {
        if *self == Self::Making {
            *self = Self::Failed("the artifact is not on this server, and building it again was stopped".to_owned());
        }
    }
}

impl App {
    /// An artifact that is not on this server may be on the disk of another, and is then made again for hosts. What goes to a
    /// cluster or to a command is not.
    pub(super) fn may_make_again(&self, target: &Target) -> bool {
        !self.settings.database_url.is_empty() && target.handed_over().is_none()
    }
}

impl Conductor {
    /// A host is to hold an artifact that is not here. The step that takes this in says whether it is built again, and counts it.
    pub(super) fn is_missing(&self, host: &str, digest: Digest) {
        let host = host.to_owned();
        let input = if let Again::Failed(error) = &self.again {
            let running = self.running(&host).unwrap_or(Running::Unknown);
            Input::HostFailed { host, digest: Some(digest), error: error.clone(), running }
        } else {
            Input::Missing { host, digest }
        };
        let _ = self.tx.send(Signal::Input(input));
    }

    /// Builds it once for all hosts that wait; it is counted and written by now.
    pub(super) fn make_again(&mut self, digest: Digest) {
        let error = if let Again::Failed(error) = &self.again { Some(error.clone()) } else { None };
        // a host missed it before that was known
        if error.is_some() || self.manifest(digest).is_some() {
            let _ = self.tx.send(Signal::Input(Input::BuiltAgain { error }));
            return;
        }
        self.again = Again::Making;
        let text = "the files of the artifact are not on this server: it is built again, and used if it is the same";
        self.log.say(Stream::Tenfold, None, text);
        let cancel = CancellationToken::new();
        self.build = Some(cancel.clone());
        let (app, stored, lines) = (self.app.clone(), self.stored.clone(), self.lines());
        let run = {
            let cancel = cancel.clone();
            async move { made(&app, &stored, digest, lines, cancel).await }
        };
        self.begin(StepKind::Build, cancel, run, |made: Result<(), String>| Input::BuiltAgain { error: made.err() });
    }
}

fn build_step(deploy: i64) -> Step {
    Step { deploy, kind: StepKind::Build }
}

/// What an earlier server of this machine may have begun of it, of deploys that are not over. It is gone on with: a second one
/// beside it would share its control group, and would end with it.
pub(super) fn begun_before(app: &App, unfinished: &[Stored]) -> Vec<Step> {
    let is_missing = |stored: &&Stored| stored.run.digest.is_some_and(|digest| app.blobs().manifest(digest).is_none());
    unfinished.iter().filter(is_missing).map(|stored| build_step(stored.number)).collect()
}

/// The same artifact once more, on this server's disk.
async fn made(
    app: &App,
    stored: &Stored,
    wanted: Digest,
    lines: LineSink,
    cancel: CancellationToken,
) -> Result<(), String> {
    let not = |why: &str| format!("the artifact is not on this server, and {why}; deploy its commit anew");
    let runner = app.deploys.runner().map_err(|f| f.message)?;
    // one that was ended in the middle is cleared away, and not followed to that end
    runner.kept(&build_step(stored.number)).await;
    let built = runner.build(build_order(stored), lines.clone(), cancel).await;
    let manifest = built.map_err(|error| not(&format!("it could not be built again: {error}")))?;
    let digest = manifest.digest();
    if digest != wanted {
        let (wanted, digest) = (wanted.short(), digest.short());
        return Err(not(&format!("its build gives another one here ({digest}, not {wanted})")));
    }
    keep_manifest(app, manifest).await?;
    lines(Stream::Tenfold, &format!("the artifact {} was built again, and is the same", digest.short()), None);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_failed_or_was_stopped_is_not_tried_again() {
        let ended = |error: Option<&str>| Input::BuiltAgain { error: error.map(str::to_owned) };
        let mut again = Again::Making;
        again.take(&Input::Tick);
        assert_eq!(again, Again::Making, "something else ended");
        again.take(&ended(None));
        assert_eq!(again, Again::No, "it is here then, unless somebody takes it away");
        again.stop();
        assert_eq!(again, Again::No, "another build was stopped");
        again = Again::Making;
        again.take(&ended(Some("exit 2")));
        assert_eq!(again, Again::Failed("exit 2".to_owned()));

        let mut again = Again::Making;
        again.stop();
        // its own end comes later, and says nothing more
        again.take(&ended(None));
        assert!(matches!(again, Again::Failed(why) if why.contains("was stopped")));
    }
}
