//! A target of commands as a thing of one place: what `observe` printed, and what that means beside what was done here. Its
//! commits stand for releases; what is half done is no release at all, whatever is live.

use super::{Phase, Seen, Standing, plain};
use crate::manifest::Digest;

/// Most of what `observe` prints that is looked at.
pub const OUTPUT_BYTES_MAX: usize = 4096;

/// A release that was made here before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub sha: String,
    pub digest: Digest,
    pub deploy: i64,
}

/// The commit that is live, by what `observe` printed; none where nothing is.
pub fn observed(output: &str) -> Result<Option<String>, String> {
    let text = output.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let is_sha =
        matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if output.len() <= OUTPUT_BYTES_MAX && is_sha {
        return Ok(Some(text.to_owned()));
    }
    let lines = text.lines().count();
    let shown: String = plain(text.lines().next().unwrap_or_default()).chars().take(80).collect();
    let more = if lines > 1 { format!(" and {} more lines", lines - 1) } else { String::new() };
    Err(format!(
        "`observe` has to print the whole name of the commit that is live (40 hexadecimal digits), or nothing where none is, \
         and printed `{shown}`{more}"
    ))
}

/// The release of a commit: the one made here, or where there is none, what the commit itself names.
pub fn release_of(known: &[Known], sha: &str) -> (Digest, i64) {
    let found = known.iter().find(|k| k.sha == sha);
    found.map_or_else(|| (foreign(sha), 0), |k| (k.digest, k.deploy))
}

/// The commit of a release. `live` are commits that were seen live and may not be of here.
pub fn sha_of<'a>(known: &'a [Known], live: &[&'a str], digest: Digest) -> Option<&'a str> {
    // where several commits came to the same artifact, it is the one that was live
    let of = |sha: &&&str| release_of(known, sha).0 == digest;
    live.iter().find(of).copied().or_else(|| known.iter().find(|k| k.digest == digest).map(|k| k.sha.as_str()))
}

fn foreign(sha: &str) -> Digest {
    Digest::of(format!("commit {sha}").as_bytes())
}

/// What there is, with one place. `half` says why what was begun has not ended well.
pub fn seen(live: Option<&str>, half: Option<&str>, known: &[Known]) -> Seen {
    let says = live.map_or_else(|| "nothing is live".to_owned(), |sha| format!("{sha} is live"));
    let (release, phase, said) = if let Some(why) = half {
        // neither the release of before nor the new one, so that both are put there again
        let digest = Digest::of(b"half way");
        let standing = Standing { digest, sha: String::new(), deploy: 0, says: format!("half way: {why}") };
        (Some(standing), Phase::Failed { why: why.to_owned() }, format!("{why}; {says}"))
    } else {
        let release = live.map(|sha| {
            let (digest, deploy) = release_of(known, sha);
            Standing { digest, sha: sha.to_owned(), deploy, says: says.clone() }
        });
        (release, Phase::Done, says)
    };
    let reached = usize::from(half.is_none());
    Seen {
        release,
        stable: None,
        epoch: 0,
        phase,
        pause: super::Pause::None,
        places: 1,
        reached,
        can_abort: false,
        said,
        pods: Vec::new(),
        order: 0,
        version: String::new(),
    }
}

/// Why a command that ended well is taken for failed.
pub fn lie(command: &str, wanted: Option<&str>, live: &Result<Option<String>, String>, settle_s: u32) -> String {
    let wanted = wanted.map_or_else(|| "nothing".to_owned(), short);
    match live {
        Err(why) => format!("`{command}` ended well, but what is live is not known: {why}"),
        Ok(live) => {
            let live = live.as_deref().map_or_else(|| "nothing".to_owned(), short);
            format!("`{command}` ended well, but {settle_s} s later `observe` says that {live} is live, not {wanted}")
        }
    }
}

fn short(sha: &str) -> String {
    sha.chars().take(7).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Change, Effect, Handover, Input, Release, step};
    use super::*;
    use crate::machine::{Input as Told, Running};
    use tenfold_types::Timestamp;

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";

    fn known() -> Vec<Known> {
        [(OLD, 1), (NEW, 2)].map(|(sha, deploy)| Known { sha: sha.into(), digest: digest(sha), deploy }).into()
    }

    fn digest(sha: &str) -> Digest {
        Digest::of(format!("artifact of {sha}").as_bytes())
    }

    #[test]
    fn what_observe_prints_is_a_commit_or_nothing() {
        assert_eq!(observed(""), Ok(None));
        assert_eq!(observed(" \n"), Ok(None));
        assert_eq!(observed(&format!("{OLD}\n")), Ok(Some(OLD.into())));
        assert_eq!(observed(&"a".repeat(64)), Ok(Some("a".repeat(64))));
        let long = format!("{OLD}{}", " ".repeat(OUTPUT_BYTES_MAX));
        for bad in
            ["4f2c91a", "HEAD", &"A".repeat(40), &format!("{OLD} {OLD}"), &format!("{OLD}\nok"), &"g".repeat(40), &long]
        {
            let error = observed(bad).unwrap_err();
            assert!(error.contains("40 hexadecimal digits") && error.len() < 300, "{error}");
        }
        assert!(observed("a\nb\nc").unwrap_err().contains("`a` and 2 more lines"));
        assert!(!observed("a\u{1b}[31m").unwrap_err().contains('\u{1b}'));
    }

    #[test]
    fn a_commit_stands_for_its_release() {
        let (stranger, known) = ("3".repeat(40), known());
        assert_eq!(release_of(&known, NEW), (digest(NEW), 2));
        let (own, deploy) = release_of(&known, &stranger);
        assert!(deploy == 0 && own != digest(OLD) && own != digest(NEW));
        assert_eq!(sha_of(&known, &[], digest(OLD)), Some(OLD));
        assert_eq!(sha_of(&known, &[&stranger], own), Some(stranger.as_str()));
        assert_eq!(sha_of(&known, &[], own), None);
        // two commits with one artifact: back is to the one that was live
        let twins = [Known { digest: digest(OLD), ..known[1].clone() }, known[0].clone()];
        assert_eq!(sha_of(&twins, &[OLD], digest(OLD)), Some(OLD));
    }

    fn release(sha: &str) -> Box<Release> {
        Box::new(Release {
            digest: digest(sha),
            sha: sha.into(),
            deploy: 2,
            images: BTreeMap::new(),
            annotations: BTreeMap::new(),
            job: None,
        })
    }

    fn told(effects: &[Effect]) -> Vec<String> {
        let word = |effect: &Effect| match effect {
            Effect::Write { change: Change::Set(release), .. } => format!("set {}", &release.sha[..1]),
            Effect::Write { change, .. } => format!("{change:?}"),
            Effect::Tell(Told::Activated { .. }) => "activated".to_owned(),
            Effect::Tell(Told::HostFailed { error, .. }) => error.clone(),
            Effect::Tell(Told::Deactivated { .. }) => "deactivated".to_owned(),
            _ => String::new(),
        };
        effects.iter().map(word).filter(|word| !word.is_empty()).collect()
    }

    /// A deploy that failed half way is taken back by the command, also where the commit of before is still the live one.
    #[test]
    fn what_is_half_done_is_done_again_or_taken_back() {
        let now = Timestamp::from_millis(0);
        let at = |state: &Handover, input| step(state, input, now);
        let (places, known) = (vec!["command".to_owned()], known());
        let look = |live, half: Option<&str>| Input::Seen(Box::new(seen(live, half, &known)));
        let reach = |sha| Input::Reach { place: 0, release: release(sha), full: false, within_ms: 1_000 };
        let (state, _) = at(&Handover::new(7, places), look(Some(OLD), None));
        let (state, effects) = at(&state, reach(NEW));
        assert_eq!(told(&effects), ["set 2"]);
        let refusal = super::super::Refusal::Final { error: "`deploy` exited with code 3".into() };
        let (state, effects) = at(&state, Input::Failed(refusal));
        assert_eq!(told(&effects), ["`deploy` exited with code 3"]);
        // what was seen before it failed is no proof that there is nothing to take back
        let restore = Input::Restore { place: 0, digest: digest(OLD), within_ms: 1_000 };
        let (state, effects) = at(&state, restore);
        assert!(told(&effects).is_empty(), "{effects:?}");
        let (state, effects) = at(&state, look(Some(OLD), Some("`deploy` exited with code 3")));
        assert_eq!(told(&effects), [format!("{:?}", Change::Undo { digest: digest(OLD) })]);
        let (state, _) = at(&state, Input::Written { order: 0 });
        let (state, effects) = at(&state, look(Some(OLD), None));
        assert_eq!(told(&effects), ["activated"]);
        // and forward again
        let (state, effects) = at(&state, reach(NEW));
        assert_eq!(told(&effects), ["set 2"]);
        let (state, _) = at(&state, Input::Written { order: 0 });
        let (_, effects) = at(&state, look(Some(NEW), None));
        assert_eq!(told(&effects), ["activated"]);
    }

    #[test]
    fn places_run_what_is_live() {
        let running = |live, half: Option<&str>| Handover::running(&seen(live, half, &known()), 0);
        assert_eq!(running(Some(OLD), None), Running::Release { digest: digest(OLD), healthy: true });
        assert_eq!(running(None, None), Running::Nothing);
        let half = running(Some(NEW), Some("it was interrupted"));
        assert!(matches!(half, Running::Release { healthy: false, .. }) && half.digest() != Some(digest(NEW)));
    }

    #[test]
    fn a_lie_is_said_plainly() {
        let said = lie("deploy", Some(NEW), &Ok(Some(OLD.into())), 5);
        assert_eq!(said, "`deploy` ended well, but 5 s later `observe` says that 1111111 is live, not 2222222");
        assert!(lie("deploy", Some(NEW), &Ok(None), 5).contains("nothing is live, not 2222222"));
        assert!(lie("rollback", None, &Err("it exited with code 1".into()), 5).contains("is not known: it exited"));
    }
}
