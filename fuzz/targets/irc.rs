//! Lines from an IRC server: what parses prints to a line that parses to the same.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::irc::Message;

fuzz_target!(|line: &[u8]| {
    if let Ok(message) = Message::parse_bytes(line)
        && let Ok(printed) = message.to_line()
    {
        assert_eq!(Message::parse(&printed).as_ref(), Ok(&message));
    }
});
