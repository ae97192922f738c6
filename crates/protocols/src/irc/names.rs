//! Names: who sent a line, which names are the same, masks and host names.

/// How a server folds names (its `CASEMAPPING`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaseMap {
    Ascii,
    /// `{}|^` are the small letters of `[]\~`; what a server that says nothing uses.
    #[default]
    Rfc1459,
    /// As [`CaseMap::Rfc1459`] without the pair `^` and `~`.
    Rfc1459Strict,
}

impl CaseMap {
    /// Reads the value of the `CASEMAPPING` token; what is unknown is folded as ASCII.
    pub fn from_token(value: &str) -> Self {
        match value {
            "rfc1459" => Self::Rfc1459,
            "rfc1459-strict" | "strict-rfc1459" => Self::Rfc1459Strict,
            _ => Self::Ascii,
        }
    }
    pub fn fold(self, name: &str) -> String {
        name.chars()
            .map(|c| match (c, self) {
                ('[', Self::Rfc1459 | Self::Rfc1459Strict) => '{',
                (']', Self::Rfc1459 | Self::Rfc1459Strict) => '}',
                ('\\', Self::Rfc1459 | Self::Rfc1459Strict) => '|',
                ('~', Self::Rfc1459) => '^',
                _ => c.to_ascii_lowercase(),
            })
            .collect()
    }
    pub fn same(self, a: &str, b: &str) -> bool {
        self.fold(a) == self.fold(b)
    }
}

/// `nick!user@host`; a part that is absent is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Prefix {
    pub nick: String,
    pub user: String,
    pub host: String,
}

impl Prefix {
    pub fn parse(source: &str) -> Self {
        let (rest, host) = source.split_once('@').unwrap_or((source, ""));
        let (nick, user) = rest.split_once('!').unwrap_or((rest, ""));
        Self { nick: nick.to_owned(), user: user.to_owned(), host: host.to_owned() }
    }
    /// True when all three parts are known: only then does the prefix name one connection.
    pub fn is_full(&self) -> bool {
        !self.nick.is_empty() && !self.user.is_empty() && !self.host.is_empty()
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.nick)?;
        if !self.user.is_empty() {
            write!(f, "!{}", self.user)?;
        }
        if !self.host.is_empty() {
            write!(f, "@{}", self.host)?;
        }
        Ok(())
    }
}

/// `*` is any run of characters, `?` is exactly one; letters match in both cases. Linear in the lengths' product, never
/// exponential.
pub fn mask_matches(mask: &str, name: &str) -> bool {
    let fold = |text: &str| CaseMap::Ascii.fold(text).chars().collect::<Vec<_>>();
    let (mask, name) = (fold(mask), fold(name));
    let (mut m, mut n) = (0, 0);
    // Where to go back to: the place after the last `*`, and how much of the name it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if m < mask.len() && mask[m] == '*' {
            star = Some((m + 1, n));
            m += 1;
        } else if m < mask.len() && (mask[m] == '?' || mask[m] == name[n]) {
            m += 1;
            n += 1;
        } else if let Some((after, swallowed)) = star {
            star = Some((after, swallowed + 1));
            m = after;
            n = swallowed + 1;
        } else {
            return false;
        }
    }
    mask[m..].iter().all(|c| *c == '*')
}

/// A name IRC accepts for a server or a client: at least one dot, labels of letters, digits and inner hyphens.
pub fn is_hostname(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253
        && name.contains('.')
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_follows_the_server() {
        assert!(CaseMap::Rfc1459.same("Ana[x]~", "ana{X}^"));
        assert!(!CaseMap::Rfc1459Strict.same("a~", "a^"));
        assert!(!CaseMap::from_token("ascii").same("a[", "a{"));
    }

    #[test]
    fn a_mask_of_many_stars_is_quick() {
        assert!(!mask_matches(&"*a".repeat(60), &"a".repeat(59)));
        assert!(mask_matches("*", ""));
        assert!(!mask_matches("?", ""));
    }
}
