//! Secrets in what a build prints, replaced before a line is kept or shown, also where output is cut into pieces.

use std::collections::BTreeSet;

use base64::Engine as _;

/// Shorter values are refused where they are set: they would be found in words.
pub(crate) const SECRET_BYTES_MIN: usize = 8;
const MASK: &[u8] = b"***";

/// What is looked for: the values, their lines, and the forms in which programs commonly print them.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    /// None is empty.
    patterns: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.patterns.len())
    }
}

impl Secrets {
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut patterns = BTreeSet::new();
        for value in values {
            for part in
                std::iter::once(value).chain(value.lines()).map(str::trim).filter(|p| p.len() >= SECRET_BYTES_MIN)
            {
                patterns.extend(forms(part));
            }
        }
        Self { patterns: patterns.into_iter().collect() }
    }

    /// A masker of one stream of bytes.
    pub fn stream(&self) -> Masker {
        Masker { secrets: self.clone(), held: Vec::new() }
    }
}

/// The value itself, in base64 (wherever it starts within a longer text), percent-encoded, in hex, and as JSON writes it.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut forms = vec![bytes.to_vec(), hex(bytes, false), hex(bytes, true), percent(bytes)];
    if let Ok(json) = serde_json::to_string(value) {
        forms.push(json.trim_matches('"').as_bytes().to_vec());
    }
    for engine in [base64::engine::general_purpose::STANDARD_NO_PAD, base64::engine::general_purpose::URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let mut padded = vec![0; before];
            padded.extend_from_slice(bytes);
            // only the digits that depend on the value alone: neighbours share the first and the last of them
            let from = (before * 8).div_ceil(6);
            let to = padded.len() * 8 / 6;
            forms.push(engine.encode(&padded).as_bytes()[from..to].to_vec());
        }
    }
    forms
}

fn hex(bytes: &[u8], upper: bool) -> Vec<u8> {
    let text: String = bytes.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect();
    text.into_bytes()
}

fn percent(bytes: &[u8]) -> Vec<u8> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    let text: String =
        bytes.iter().map(|b| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect();
    text.into_bytes()
}

/// Masks a stream piece by piece. What may be the beginning of a secret is held back until the next piece tells.
pub(crate) struct Masker {
    secrets: Secrets,
    held: Vec<u8>,
}

impl Masker {
    /// What may be shown of everything so far.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        self.take(false)
    }

    /// The rest, at the end of the stream.
    pub fn finish(&mut self) -> Vec<u8> {
        self.take(true)
    }

    /// From the left, the longest secret at each place.
    fn take(&mut self, last: bool) -> Vec<u8> {
        if self.secrets.patterns.is_empty() {
            return std::mem::take(&mut self.held);
        }
        let mut out = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            let mut found = 0;
            let mut open = false;
            for pattern in self.secrets.patterns.iter().filter(|p| p[0] == rest[0]) {
                if rest.starts_with(pattern) {
                    found = found.max(pattern.len());
                } else if pattern.len() > rest.len() && pattern.starts_with(rest) {
                    open = true;
                }
            }
            if open && !last {
                break;
            }
            if found > 0 {
                out.extend_from_slice(MASK);
                at += found;
            } else {
                out.push(rest[0]);
                at += 1;
            }
        }
        self.held.drain(..at);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(secrets: &Secrets, pieces: &[&[u8]]) -> String {
        let mut masker = secrets.stream();
        let mut out: Vec<u8> = pieces.iter().flat_map(|p| masker.push(p)).collect();
        out.extend(masker.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_common_form_is_masked() {
        let secrets = Secrets::new(["hunter2/hunter2=", "-----BEGIN KEY-----\nAAAABBBBCCCC\n"]);
        for (text, expected) in [
            ("token hunter2/hunter2=!", "token ***!"),
            ("aHVudGVyMi9odW50ZXIyPQ", "***Q"),
            ("?t=hunter2%2Fhunter2%3D&x", "?t=***&x"),
            ("68756e746572322f68756e746572323d", "***"),
            ("AAAABBBBCCCC alone", "*** alone"),
            ("hunter2 alone", "hunter2 alone"),
        ] {
            assert_eq!(masked(&secrets, &[text.as_bytes()]), expected, "{text}");
        }
        // `user:SECRET` in base64, as an Authorization header carries it
        for user in ["u:", "me:", "you:"] {
            let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}hunter2/hunter2="));
            let shown = masked(&secrets, &[basic.as_bytes()]);
            assert!(shown.contains("***") && shown.len() <= user.len() * 2 + 8, "{user} {shown}");
        }
    }

    #[test]
    fn a_longer_secret_wins_over_its_beginning() {
        let secrets = Secrets::new(["password", "password-and-more"]);
        assert_eq!(masked(&secrets, &[b"password", b"-and-more."]), "***.");
        assert_eq!(masked(&secrets, &[b"password", b"-and-less."]), "***-and-less.");
    }

    #[test]
    fn nothing_is_held_that_cannot_become_a_secret() {
        let mut masker = Secrets::new(["password"]).stream();
        assert_eq!(masker.push(b"working... pass"), b"working... ");
        assert_eq!(masker.push(b"ed"), b"passed");
    }

    proptest! {
        #[test]
        fn the_cut_into_pieces_changes_nothing(
            text in "[ab]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..6),
        ) {
            let secrets = Secrets { patterns: vec![b"abab".to_vec(), b"ababba".to_vec(), b"bb".to_vec()] };
            let whole = masked(&secrets, &[text.as_bytes()]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(&masked(&secrets, &pieces), &whole);
            prop_assert!(!whole.contains("bb"));
        }
    }
}
