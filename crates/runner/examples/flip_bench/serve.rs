//! The service of the bench: answers everything with 200, on the port it is told.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

pub fn run() {
    let port = std::env::var("PORT").ok().and_then(|p| p.parse::<u16>().ok()).expect("PORT is a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            let mut stream = stream;
            let mut question = [0; 1024];
            while stream.read(&mut question).is_ok_and(|n| n > 0) {
                if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
                    return;
                }
            }
        });
    }
}
