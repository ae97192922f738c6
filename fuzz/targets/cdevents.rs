//! CDEvents of other tools, in structured and in binary mode.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::cdevents::read;

fuzz_target!(|input: (bool, String, &[u8])| {
    let (structured, word, body) = input;
    let header = |name: &str| match name {
        "content-type" if structured => Some("application/cloudevents+json"),
        "ce-specversion" if !structured => Some("1.0"),
        "ce-id" | "ce-source" | "ce-type" => Some(word.as_str()),
        _ => None,
    };
    if let Ok(event) = read(header, body) {
        assert!(!event.id.is_empty() && event.content.is_object() && event.kind.split('.').count() == 2);
    }
});
