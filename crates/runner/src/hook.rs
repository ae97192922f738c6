//! A hook of the pipeline file: a program in a clean checkout of the commit, in the sandbox that builds have.

use std::collections::BTreeMap;

use tenfold_app::{
    deploys::ports::{HookOrder, LineSink, Stream},
    settings::Builds,
};
use tokio_util::sync::CancellationToken;

use crate::{
    git::Mirror,
    program::{self, Bad, Folder, Program},
    runner::BuildParent,
};

/// One run of a hook, with what it takes from the server.
pub(crate) struct Job<'a> {
    pub mirror: &'a Mirror,
    pub folder: &'a Folder,
    pub settings: &'a Builds,
    /// What becomes its keeper.
    pub parent: Option<&'a BuildParent>,
    pub order: HookOrder,
    pub lines: LineSink,
    pub cancel: CancellationToken,
}

/// Runs it to its end, or goes on with the one that an earlier server began. The error is for people. What is left of it stays,
/// with how it ended, until whoever ordered it has written that down; no process of it does.
pub(crate) async fn run(job: Job<'_>) -> Result<(), String> {
    let ended = job.run().await;
    if matches!(ended, Err(Bad::Unknown(_)))
        && let Err(error) = job.folder.step().finish().await
    {
        tracing::warn!(%error, "what is left of a hook may still run");
    } else {
        job.folder.remove_files().await;
    }
    ended.map_err(Bad::into_text)
}

impl Job<'_> {
    async fn run(&self) -> Result<(), Bad> {
        let program = self.program();
        let ended = if program.is_begun() {
            program::take_up(self.folder, "the hook", &self.lines, &self.cancel).await
        } else {
            self.anew(&program).await
        };
        match ended {
            Err(Bad::Unknown(why)) if self.order.hook.idempotent => {
                (self.lines)(
                    Stream::Tenfold,
                    &format!("{}: {why}; it is idempotent and is run again", self.order.at),
                    None,
                );
                self.anew(&program).await
            }
            ended => ended,
        }
    }

    async fn anew(&self, program: &Program<'_>) -> Result<(), Bad> {
        self.folder.check_out(self.mirror, &self.order.sha, program.uid).await.map_err(Bad::Failed)?;
        let (order, hook) = (&self.order, &self.order.hook);
        (self.lines)(Stream::Tenfold, &format!("{}: $ {}", order.at, hook.command.join(" ")), None);
        program.run().await
    }

    fn program(&self) -> Program<'_> {
        let (order, hook) = (&self.order, &self.order.hook);
        let own = [
            ("TENFOLD_HOOK", order.at.clone()),
            ("TENFOLD_SERVICE", order.source.service.clone()),
            ("TENFOLD_ENVIRONMENT", order.environment.clone()),
            ("TENFOLD_DEPLOY", order.deploy.to_string()),
            ("TENFOLD_SHA", order.sha.clone()),
        ];
        // the file cannot make a hook believe that it is for another deploy
        let mut env = hook.env.clone();
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Program {
            what: "it".to_owned(),
            key: format!("hooks.{}", order.at),
            about: format!("{} {}", order.at, order.sha),
            group: format!("hook-{}-{}", order.deploy, order.at),
            service: &order.source.service,
            argv: &hook.command,
            env,
            places: BTreeMap::new(),
            secrets: &hook.secrets,
            network: hook.network,
            timeout_s: hook.timeout_s,
            idle_timeout_s: hook.idle_timeout_s,
            folder: self.folder,
            settings: self.settings,
            parent: self.parent,
            uid: program::uid(self.settings, order.deploy),
            lines: self.lines.clone(),
            cancel: &self.cancel,
        }
    }
}
