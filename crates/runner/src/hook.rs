//! A hook of the pipeline file: a program in a clean checkout of the commit, in the sandbox that builds have.

use std::{collections::BTreeMap, path::Path};

use tenfold_app::{
    deploys::ports::{HookOrder, LineSink, Stream},
    settings::Builds,
};
use tokio_util::sync::CancellationToken;

use crate::{
    git::Mirror,
    program::{self, Folder, Program},
    runner::BuildParent,
};

/// One run of a hook, with what it takes from the server.
pub(crate) struct Job<'a> {
    pub mirror: &'a Mirror,
    /// Holds a folder for each hook of a deploy (`12-before_promote`), since one may begin while another still ends.
    pub root: &'a Path,
    pub settings: &'a Builds,
    /// How it is started; directly where there is nothing to fence it with.
    pub parent: Option<&'a BuildParent>,
    pub order: HookOrder,
    pub lines: LineSink,
    pub cancel: CancellationToken,
}

/// Runs it to its end. The error is for people.
pub(crate) async fn run(job: Job<'_>) -> Result<(), String> {
    let folder = Folder::new(job.root, &format!("{}-{}", job.order.deploy, job.order.at));
    let ended = job.run_in(&folder).await;
    folder.remove().await;
    ended
}

impl Job<'_> {
    async fn run_in(&self, folder: &Folder) -> Result<(), String> {
        let (order, hook) = (&self.order, &self.order.hook);
        let uid = program::uid(self.parent, order.deploy);
        folder.check_out(self.mirror, &order.sha, uid).await?;
        (self.lines)(Stream::Tenfold, &format!("{}: $ {}", order.at, hook.command.join(" ")));
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
        let program = Program {
            what: "it",
            key: &format!("hooks.{}", order.at),
            group: &format!("hook-{}-{}", order.deploy, order.at),
            service: &order.source.service,
            argv: &hook.command,
            env,
            places: BTreeMap::new(),
            secrets: &hook.secrets,
            network: hook.network,
            timeout_s: hook.timeout_s,
            idle_timeout_s: hook.idle_timeout_s,
            folder,
            settings: self.settings,
            parent: self.parent,
            uid,
            lines: self.lines.clone(),
            cancel: &self.cancel,
        };
        program.run().await
    }
}
