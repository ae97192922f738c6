//! Where a forge shows what lies between two commits. An address is built of parts that were checked, or there is none: what
//! people wrote down as a repository reaches a page as a link.
//!
//! - GitHub: `/OWNER/REPOSITORY/compare/BASE...HEAD` ("Comparing commits");
//! - Gitea, Forgejo: the same path;
//! - GitLab: `/GROUP/.../PROJECT/-/compare/BASE...HEAD`.

use super::Forge;

/// GitLab nests groups twenty deep.
const PARTS_MAX: usize = 22;
const PART_BYTES_MAX: usize = 255;
const HOST_BYTES_MAX: usize = 253;
/// Shortest abbreviation of a commit that git takes; the longest is a SHA-256.
const SHA_BYTES_MIN: usize = 7;
const SHA_BYTES_MAX: usize = 64;

/// Forges that everybody knows need not be set up.
pub fn known_forge(host: &str) -> Option<Forge> {
    Some(match host.to_ascii_lowercase().as_str() {
        "github.com" => Forge::Github,
        "gitlab.com" => Forge::Gitlab,
        "gitea.com" | "codeberg.org" => Forge::Gitea,
        _ => return None,
    })
}

/// The page that compares `base` with `head`: the commits that only `head` has. `web` is the base of the forge's pages where
/// that is not `https://` and the host of the repository's address. `None` where the address, or a commit, is not plain.
pub fn compare_url(forge: Forge, web: Option<&str>, repository: &str, base: &str, head: &str) -> Option<String> {
    if base == head || !is_sha(base) || !is_sha(head) {
        return None;
    }
    let place = Place::of(repository)?;
    let parts = place.path.split('/').count();
    let (fits, compare) = match forge {
        Forge::Github | Forge::Gitea => (parts == 2, "compare"),
        Forge::Gitlab => ((2..=PARTS_MAX).contains(&parts), "-/compare"),
    };
    let web = match web {
        Some(web) => is_web_base(web).then(|| web.trim_end_matches('/').to_owned())?,
        None => place.web,
    };
    fits.then(|| format!("{web}/{}/{compare}/{base}...{head}", place.path))
}

/// The base of a forge's pages is an address without anything that would be more than a place.
pub fn is_web_base(web: &str) -> bool {
    let Some((scheme, rest)) = web.split_once("://") else { return false };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    matches!(scheme, "http" | "https") && is_authority(authority) && (path.is_empty() || path.split('/').all(is_part))
}

/// A repository's address, taken apart.
struct Place {
    /// `https://git.example`.
    web: String,
    /// `ana/photos`.
    path: String,
}

impl Place {
    fn of(repository: &str) -> Option<Self> {
        let url = repository.trim();
        let (scheme, authority, path) = if let Some((scheme, rest)) = url.split_once("://") {
            let (authority, path) = rest.split_once('/')?;
            (scheme.to_ascii_lowercase(), authority, path)
        } else {
            // scp's form
            let (authority, path) = url.split_once(':').filter(|(host, _)| !host.contains('/'))?;
            ("ssh".to_owned(), authority, path)
        };
        // whoever signs in to the repository is nobody's business on a page
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let web = match scheme.as_str() {
            "http" | "https" => format!("{scheme}://{authority}"),
            // its port is that of another service
            "ssh" | "git" | "git+ssh" => format!("https://{}", authority.split(':').next().unwrap_or(authority)),
            _ => return None,
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        (is_authority(authority) && path.split('/').all(is_part)).then(|| Self { web, path: path.to_owned() })
    }
}

fn is_authority(authority: &str) -> bool {
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let of_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    !host.is_empty()
        && host.len() <= HOST_BYTES_MAX
        && !host.starts_with(['.', '-'])
        && host.bytes().all(of_host)
        && port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

fn is_part(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~');
    !matches!(part, "" | "." | ".." | "-") && part.len() <= PART_BYTES_MAX && part.bytes().all(plain)
}

fn is_sha(sha: &str) -> bool {
    (SHA_BYTES_MIN..=SHA_BYTES_MAX).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(forge: Forge, repository: &str) -> Option<String> {
        compare_url(forge, None, repository, "0a1b2c3", "4f2a91c")
    }

    #[test]
    fn each_forge_has_its_page() {
        for (forge, repository, page) in [
            (Forge::Github, "https://github.com/ana/photos.git", "https://github.com/ana/photos/compare"),
            (Forge::Github, "git@github.com:ana/photos.git", "https://github.com/ana/photos/compare"),
            (Forge::Gitea, "ssh://git@git.example:2222/ana/photos", "https://git.example/ana/photos/compare"),
            (Forge::Gitea, "http://127.0.0.1:3000/ana/photos.git", "http://127.0.0.1:3000/ana/photos/compare"),
            (Forge::Gitlab, "https://ana:pass@git.example/a/b/c.git/", "https://git.example/a/b/c/-/compare"),
        ] {
            assert_eq!(link(forge, repository), Some(format!("{page}/0a1b2c3...4f2a91c")), "{repository}");
        }
        let web = |web| compare_url(Forge::Gitea, Some(web), "git@git.example:ana/photos", "0a1b2c3", "4f2a91c");
        let page = "https://example.org/git/ana/photos/compare/0a1b2c3...4f2a91c";
        assert_eq!(web("https://example.org/git/").as_deref(), Some(page));
        for wrong in ["javascript:alert(1)", "ftp://example.org", "https://", "https://a b", "https://a/?x", "//a"] {
            assert_eq!(web(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_plain_has_no_page() {
        for repository in [
            "/srv/git/photos",
            "file:///srv/git/photos",
            "https://git.example/ana",
            "https://git.example/ana/photos/more",
            "https://git.example/ana/../photos",
            "https://git.example/ana/pho tos",
            "https://git.example/ana/photos?x=1",
            "https://git.example/ana/%2e%2e",
            "https://git.example/\"><script>/x",
            "https://git.example:99999/ana/photos",
            "https://[::1]/ana/photos",
            "javascript://git.example/ana/photos",
            "git@git.example",
            "",
        ] {
            assert_eq!(link(Forge::Github, repository), None, "{repository}");
        }
        let commits = |base, head| compare_url(Forge::Github, None, "https://github.com/a/b", base, head);
        assert!(commits("0a1b2c3", "4f2a91c").is_some());
        for (base, head) in [("0a1b2c3", "0a1b2c3"), ("main", "4f2a91c"), ("0a1b2c3", "../../x"), ("", "4f2a91c")] {
            assert_eq!(commits(base, head), None, "{base} {head}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_down_a_link_stays_a_link(repository in ".{0,80}", web in ".{0,40}") {
            for forge in [Forge::Github, Forge::Gitlab, Forge::Gitea] {
                let links = [link(forge, &repository), compare_url(forge, Some(&web), &repository, "0a1b2c3", "4f2a91c")];
                for link in links.into_iter().flatten() {
                    prop_assert!(link.starts_with("https://") || link.starts_with("http://"));
                    prop_assert!(link.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'?' | b'#' | b'@')));
                }
            }
        }

        #[test]
        fn a_path_of_plain_parts_is_kept(owner in "[a-z][a-z0-9-]{0,8}", name in "[a-z][a-z0-9_]{0,8}") {
            let link = link(Forge::Gitea, &format!("git@git.example:{owner}/{name}.git"));
            prop_assert_eq!(link, Some(format!("https://git.example/{owner}/{name}/compare/0a1b2c3...4f2a91c")));
        }
    }
}
