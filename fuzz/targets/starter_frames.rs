//! Frames between the server and the process that starts plugins, both ways. The module stands alone: its crate is large.
#![no_main]
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/runner/src/checks/starter/frames.rs"]
mod frames;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(Some(body)) = frames::next_body(&mut rest, frames::REQUEST_BYTES_MAX) {
        let mut again = Vec::new();
        match frames::read_request(body) {
            Ok(frames::Request::Start { id, timeout_ms, argv }) => {
                let argv: Vec<&[u8]> = argv.iter().map(|argument| argument.as_bytes()).collect();
                frames::write_start(&mut again, id, timeout_ms, &argv).expect("what is read can be written");
            }
            Ok(frames::Request::End { id }) => frames::write_end(&mut again, id),
            Err(_) => continue,
        }
        assert_eq!(again[4..], *body);
    }
    if let Ok(answer) = frames::read_answer(bytes) {
        let mut again = Vec::new();
        frames::write_answer(&mut again, answer.id, &answer.end);
        assert_eq!(again[4..], *bytes);
    }
});
