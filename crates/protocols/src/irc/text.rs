//! Text that fits: a server cuts what is longer than a line without a word, so it is cut here, where nothing is lost.

use super::{LINE_BODY_BYTES_MAX, Prefix};

/// A line always has room for this much; one whose names leave less is still cut to this.
pub const TEXT_BYTES_MIN: usize = 32;

/// The most bytes of a server's `nick!user@host` when it is not known yet: nick 30, user 11, host 63.
const PREFIX_BYTES_UNKNOWN: usize = 30 + 1 + 11 + 1 + 63;

/// How many bytes of text fit into `COMMAND target :text` as others receive it: the server puts the sender's prefix before
/// it, and the whole has 512 bytes with CR LF.
pub fn text_bytes(me: &Prefix, command: &str, target: &str) -> usize {
    let prefix = if me.is_full() {
        me.nick.len() + me.user.len() + me.host.len() + 2
    } else {
        PREFIX_BYTES_UNKNOWN.max(me.nick.len() + 75)
    };
    let frame = ":".len() + prefix + " ".len() + command.len() + " ".len() + target.len() + " :".len() + "\r\n".len();
    LINE_BODY_BYTES_MAX.saturating_sub(frame).max(TEXT_BYTES_MIN)
}

/// One line's text: NUL goes, other line ends and tabs become spaces, and control characters that others could take for
/// formatting or a client query (CTCP) go. Characters beyond ASCII stay.
pub fn clean_line(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\r' | '\n' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
            c if c.is_control() => None,
            // Marks that turn the direction of writing around would let text lie about itself.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
            c => Some(c),
        })
        .collect()
}

/// Cuts `text` into lines of at most `bytes` bytes each: at line ends, else at the last space of the second half, which goes
/// (servers drop a space at the end of a line anyway), else between two characters. Empty lines go; nothing else is lost.
pub fn split_text(text: &str, bytes: usize) -> Vec<String> {
    let bytes = bytes.max(4);
    let mut pieces = Vec::new();
    for line in text.split(['\n', '\r']) {
        let line = clean_line(line);
        let mut rest = line.trim_end();
        if rest.trim_start().is_empty() {
            continue;
        }
        while rest.len() > bytes {
            let hard = rest.floor_char_boundary(bytes);
            // The space may be the first character that does not fit.
            let last_space = rest[..rest.ceil_char_boundary(hard + 1)].rfind(' ').filter(|at| *at > bytes / 2);
            let (piece, after) = match last_space {
                Some(at) => (&rest[..at], &rest[at + 1..]),
                None => rest.split_at(hard),
            };
            pieces.push(piece.to_owned());
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(rest.to_owned());
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_counts_what_the_server_adds() {
        let me = Prefix::parse("tenfold!~tenfold@127.0.0.1");
        let room = text_bytes(&me, "PRIVMSG", "#ops");
        let line = format!(":{me} PRIVMSG #ops :{}\r\n", "x".repeat(room));
        assert_eq!(line.len(), 512);
        assert!(text_bytes(&Prefix::parse("tenfold"), "PRIVMSG", "#ops") < room);
    }

    #[test]
    fn cuts_at_spaces_and_never_inside_a_character() {
        assert_eq!(split_text("one two three", 8), ["one two", "three"]);
        assert_eq!(split_text("ééééé", 5), ["éé", "éé", "é"]);
        assert_eq!(split_text("a\n\nb\r\nc", 10), ["a", "b", "c"]);
        assert_eq!(split_text("\u{1}VERSION\u{1}", 20), ["VERSION"]);
    }
}
