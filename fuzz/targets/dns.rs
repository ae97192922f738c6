//! Answers of DNS servers, and names to ask for.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::dns::{Answer, Kind, RECORDS_MAX, answer, question};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let kind = [Kind::A, Kind::Aaaa, Kind::Mx, Kind::Ns, Kind::Srv][usize::from(choice % 5)];
    if let Ok(name) = std::str::from_utf8(rest) {
        let _ = question(7, name, kind);
    }
    let Ok(asked) = question(7, "_web._tcp.example", kind) else { return };
    // The head and the question of an answer that is ours, so that the records behind it are reached.
    let mut message = asked.clone();
    message[2] = 0x81;
    message[7] = 4;
    message.extend_from_slice(rest);
    if let Ok(Answer::Records(records)) = answer(&asked, &message, kind) {
        assert!(records.len() <= RECORDS_MAX);
    }
    let _ = answer(&asked, rest, kind);
});
