//! Where people read what a deploy changes: the forge's page that compares two commits.

use tenfold_protocols::forge::{compare_url, known_forge, repository_key};

use super::views::Current;
use crate::App;
use crate::settings::ForgeSettings;

/// So many characters of a commit stand in a link: enough to be one commit, few enough for a line of chat.
const SHA_CHARS: usize = 12;

impl App {
    /// The page with what `to` has and `from` has not; with `back`, with what is taken out. Only where the repository is one
    /// of a forge that is set up, or that everybody knows.
    pub(super) fn diff_url(&self, repository: &str, from: Option<&str>, to: &str, back: bool) -> Option<String> {
        diff_url(&self.settings.forges, repository, from, to, back)
    }

    /// The same of what would ship.
    pub(super) fn next_diff_url(
        &self,
        repository: &str,
        current: Option<&Current>,
        to: &str,
        (added, removed): (u64, u64),
    ) -> Option<String> {
        let from = current.map(|current| current.sha.as_str());
        self.diff_url(repository, from, to, added == 0 && removed > 0)
    }
}

fn diff_url(forges: &[ForgeSettings], repository: &str, from: Option<&str>, to: &str, back: bool) -> Option<String> {
    let key = repository_key(repository)?;
    let host = key.split('/').next()?;
    let bare = host.split(':').next()?;
    let is_of = |forge: &&ForgeSettings| [host, bare].iter().any(|host| forge.host.eq_ignore_ascii_case(host));
    let forge = forges.iter().find(is_of);
    let kind = forge.map(|forge| forge.kind).or_else(|| known_forge(bare))?;
    let web = forge.map(|forge| forge.web.as_str()).filter(|web| !web.is_empty());
    let (base, head) = if back { (to, from?) } else { (from?, to) };
    compare_url(kind, web, repository, cut(base), cut(head))
}

fn cut(sha: &str) -> &str {
    sha.get(..SHA_CHARS).unwrap_or(sha)
}

#[cfg(test)]
mod tests {
    use tenfold_protocols::forge::Forge;

    use super::*;

    const OLD: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
    const NEW: &str = "4f2a91c4f2a91c4f2a91c4f2a91c4f2a91c4f2a9";

    fn forge(kind: Forge, host: &str, web: &str) -> ForgeSettings {
        let (name, api, web) = ("own".to_owned(), String::new(), web.to_owned());
        let host = host.to_owned();
        ForgeSettings { name, kind, host, api, web, hook_secret_file: None, token_file: None, deploy: Vec::new() }
    }

    #[test]
    fn a_forge_of_the_settings_goes_before_what_everybody_knows() {
        let link = |forges: &[ForgeSettings], repository: &str| diff_url(forges, repository, Some(OLD), NEW, false);
        let hub = "https://github.com/ana/photos/compare/0a1b2c3d4e5f...4f2a91c4f2a9";
        assert_eq!(link(&[], "git@github.com:ana/photos.git").as_deref(), Some(hub));
        assert_eq!(link(&[], "https://git.example/ana/photos.git"), None, "nobody knows what it is");
        let lab = [forge(Forge::Gitlab, "git.example", "")];
        let page = "https://git.example/ana/photos/-/compare/0a1b2c3d4e5f...4f2a91c4f2a9";
        assert_eq!(link(&lab, "ssh://git@git.example:2222/ana/photos.git").as_deref(), Some(page));
        let tea = [forge(Forge::Gitea, "git.example", "http://git.example:3000/")];
        let page = "http://git.example:3000/ana/photos/compare/0a1b2c3d4e5f...4f2a91c4f2a9";
        assert_eq!(link(&tea, "git@git.example:ana/photos.git").as_deref(), Some(page));
        assert_eq!(link(&tea, "/srv/git/photos"), None);
    }

    #[test]
    fn a_way_back_shows_what_is_taken_out_and_a_first_deploy_nothing() {
        let repository = "https://github.com/ana/photos";
        let back = "https://github.com/ana/photos/compare/4f2a91c4f2a9...0a1b2c3d4e5f";
        assert_eq!(diff_url(&[], repository, Some(OLD), NEW, true).as_deref(), Some(back));
        assert_eq!(diff_url(&[], repository, None, NEW, false), None);
        assert_eq!(diff_url(&[], repository, Some(NEW), NEW, false), None);
    }
}
