//! Which deploys a list shows: what the store tells by its columns, and what only the deploy itself says. Reads a bounded
//! number of deploys for one answer, however few of them match.

use tenfold_deploys::machine::{Kind, State};
use tenfold_store::deploys::DeployQuery;
use tenfold_types::Fault;

use super::views::{Deploy, DeployFilter};
use crate::App;

const LIST_DEFAULT: u32 = 50;
pub(super) const LIST_MAX: u32 = 500;
/// Most deploys that are read for one answer.
const READ_MAX: usize = 5_000;
/// How many are read at a time where not every one matches.
const READ_AT_ONCE: u32 = 250;
/// Fewer characters would match by chance.
const COMMIT_CHARS_MIN: usize = 4;
const COMMIT_CHARS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 200;
/// In place of a state: all that are not the end.
const RUNNING: &str = "running";

/// A page of the list, newest first.
#[derive(Debug)]
pub struct Listed {
    pub items: Vec<Deploy>,
    /// `before` of the next page. It may be there with few items, or none: where so many were read that did not match.
    pub next: Option<i64>,
}

impl App {
    /// Deploys that match, and where the next page begins.
    pub async fn deploys_listed(&self, filter: DeployFilter) -> Result<Listed, Fault> {
        let limit = filter.limit.unwrap_or(LIST_DEFAULT).min(LIST_MAX);
        let mut query = columns(&filter)?;
        let wanted = Wanted::of(&filter)?;
        query.limit = if wanted.is_everything() { limit } else { READ_AT_ONCE };
        let (mut items, mut read) = (Vec::new(), 0);
        loop {
            let page = self.deploys_matching(query.clone()).await?;
            let oldest = page.last().map(|deploy| deploy.number).filter(|_| page.len() == query.limit as usize);
            read += page.len();
            for deploy in page.into_iter().filter(|deploy| wanted.is_met_by(deploy)) {
                let number = deploy.number;
                items.push(deploy);
                if items.len() >= limit as usize {
                    return Ok(Listed { items, next: Some(number) });
                }
            }
            if oldest.is_none() || read >= READ_MAX {
                return Ok(Listed { items, next: oldest });
            }
            query.before = oldest;
        }
    }
}

/// What the store can tell.
fn columns(filter: &DeployFilter) -> Result<DeployQuery, Fault> {
    let unfinished = filter.state.as_deref() == Some(RUNNING);
    if let Some(state) = filter.state.as_deref().filter(|_| !unfinished)
        && State::parse(state).is_none()
    {
        let known: Vec<_> = State::ALL.iter().map(|s| s.word()).collect();
        return Err(Fault::invalid(format!("`{state}` is not a state of a deploy"))
            .advice(format!("known are {}, and {RUNNING} for all that are not the end", known.join(", "))));
    }
    if let Some(kind) = filter.kind.as_deref()
        && ![Kind::Deploy.word(), Kind::Rollback.word()].contains(&kind)
    {
        return Err(Fault::invalid(format!("`{kind}` is not a kind of deploy")).advice("known are deploy and rollback"));
    }
    if filter.from.zip(filter.to).is_some_and(|(from, to)| from >= to) {
        return Err(Fault::invalid("`from` is not before `to`"));
    }
    Ok(DeployQuery {
        service: filter.service.clone(),
        environment: filter.environment.clone(),
        state: filter.state.clone().filter(|_| !unfinished),
        kind: filter.kind.clone(),
        before: filter.before,
        unfinished,
        since: filter.from,
        until: filter.to,
        ..DeployQuery::default()
    })
}

/// What the deploy itself has to say.
struct Wanted {
    actor: Option<String>,
    commit: Option<String>,
    /// In small letters.
    words: Vec<String>,
}

impl Wanted {
    fn of(filter: &DeployFilter) -> Result<Self, Fault> {
        let commit = filter.commit.as_ref().map(|commit| commit.trim().to_lowercase());
        if let Some(commit) = &commit
            && (!(COMMIT_CHARS_MIN..=COMMIT_CHARS_MAX).contains(&commit.len())
                || !commit.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err(Fault::invalid(format!("`{commit}` is not the beginning of a commit"))
                .advice(format!("{COMMIT_CHARS_MIN} to {COMMIT_CHARS_MAX} of the digits 0-9 and a-f")));
        }
        let text = filter.q.as_deref().unwrap_or_default();
        if text.len() > TEXT_BYTES_MAX {
            return Err(Fault::invalid(format!("the words to find are longer than {TEXT_BYTES_MAX} bytes")));
        }
        let words = text.split_whitespace().map(str::to_lowercase).collect();
        Ok(Self { actor: filter.actor.clone(), commit, words })
    }

    fn is_everything(&self) -> bool {
        self.actor.is_none() && self.commit.is_none() && self.words.is_empty()
    }

    fn is_met_by(&self, deploy: &Deploy) -> bool {
        let commit = |wanted: &String| {
            // what is taken out is looked for as well: when did it go, and when was it gone
            let moved = deploy.commits.iter().chain(&deploy.removed).map(|c| &c.sha);
            moved.chain([&deploy.to_sha]).any(|sha| sha.starts_with(wanted.as_str()))
        };
        self.actor.as_ref().is_none_or(|actor| deploy.actor.id == *actor)
            && self.commit.as_ref().is_none_or(commit)
            && self.says_all(deploy)
    }

    fn says_all(&self, deploy: &Deploy) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let of_commits = deploy.commits.iter().flat_map(|c| [&c.message, &c.author]);
        let own = [Some(&deploy.actor_name), deploy.reason.as_ref(), deploy.error.as_ref()];
        let said: Vec<_> = of_commits.chain(own.into_iter().flatten()).map(|text| text.to_lowercase()).collect();
        self.words.iter().all(|word| said.iter().any(|text| text.contains(word.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(filter: DeployFilter) -> String {
        let first = columns(&filter).err().or_else(|| Wanted::of(&filter).err());
        first.expect("it is refused").message
    }

    #[test]
    fn running_is_all_that_are_not_the_end() {
        let query = columns(&DeployFilter { state: Some("running".into()), ..DeployFilter::default() }).unwrap();
        assert_eq!((query.state, query.unfinished), (None, true));
        let query = columns(&DeployFilter { state: Some("held".into()), ..DeployFilter::default() }).unwrap();
        assert_eq!((query.state.as_deref(), query.unfinished), (Some("held"), false));
    }

    #[test]
    fn what_is_no_filter_is_refused_by_name() {
        let none = DeployFilter::default;
        for (filter, says) in [
            (DeployFilter { state: Some("gone".into()), ..none() }, "`gone` is not a state"),
            (DeployFilter { kind: Some("canary".into()), ..none() }, "`canary` is not a kind"),
            (DeployFilter { commit: Some("4f2".into()), ..none() }, "`4f2` is not the beginning"),
            (DeployFilter { commit: Some("4f2x9".into()), ..none() }, "`4f2x9` is not the beginning"),
            (DeployFilter { q: Some("x".repeat(TEXT_BYTES_MAX + 1)), ..none() }, "longer than 200 bytes"),
        ] {
            let refusal = refused(filter);
            assert!(refusal.contains(says), "{refusal}");
        }
    }

    #[test]
    fn words_are_split_and_their_case_does_not_matter() {
        let filter = DeployFilter { q: Some("  Thumb  RAJ ".into()), ..DeployFilter::default() };
        let wanted = Wanted::of(&filter).unwrap();
        assert_eq!(wanted.words, ["thumb", "raj"]);
        assert!(!wanted.is_everything());
        assert!(Wanted::of(&DeployFilter::default()).unwrap().is_everything());
    }
}
