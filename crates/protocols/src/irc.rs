//! IRC on the wire: messages, text that fits a line, names and masks. Bytes and strings in, values out.
//!
//! Parameters stay raw: nothing is interpreted that would have to be written back differently. A line made here never
//! holds CR, LF or NUL, whatever it was made from, so text from outside cannot become a second command.
//! Sources: RFC 1459, RFC 2812, <https://modern.ircdocs.horse>, the IRCv3 message-tags specification.

mod message;
mod names;
mod text;

pub use message::{LINE_BODY_BYTES_MAX, LINE_TAGS_BYTES_MAX, LineError, Message, Tags};
pub use names::{CaseMap, Prefix, is_hostname, mask_matches};
pub use text::{TEXT_BYTES_MIN, clean_line, split_text, text_bytes};
