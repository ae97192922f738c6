//! Calendars at addresses that answer well, badly, slowly and not at all.

#[path = "common/request.rs"]
mod request;

use std::time::Duration;

use tenfold_app::oncall::{CalendarAnswer, CalendarClient, CalendarKnown, ICS_BYTES_MAX};
use tenfold_ingest::Calendars;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use request::request;

const ICS: &str = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n";

/// What is said to one request after the other; an empty one takes the request and says nothing.
struct Site {
    address: String,
    heads: mpsc::UnboundedReceiver<String>,
}

impl Site {
    async fn serve(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (tell, heads) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut held = Vec::new();
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let Some((head, _)) = request(&mut stream).await else { return };
                let _ = tell.send(head.to_lowercase());
                if answer.is_empty() {
                    held.push(stream);
                } else {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
            // Whoever was not answered waits on.
            std::future::pending::<()>().await;
        });
        Self { address, heads }
    }

    fn url(&self) -> String {
        format!("http://{}/private-s3cret/basic.ics", self.address)
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
}

fn client(within: Duration) -> Calendars {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Calendars::new(within).expect("a client")
}

async fn ask(url: &str) -> Result<CalendarAnswer, String> {
    client(Duration::from_secs(20)).ask(url, &CalendarKnown::default()).await
}

#[tokio::test]
async fn what_a_good_answer_said_of_itself_is_asked_with() {
    let headers = "ETag: \"v1\"\r\nLast-Modified: Fri, 27 Nov 2026 09:00:00 GMT\r\n";
    let mut site = Site::serve(vec![answer("200 OK", headers, ICS), answer("304 Not Modified", "", "")]).await;
    let client = client(Duration::from_secs(20));
    let first = client.ask(&site.url(), &CalendarKnown::default()).await.expect("an answer");
    let CalendarAnswer::Text { ics, known } = first else { panic!("it is new") };
    assert_eq!(ics, ICS);
    assert_eq!((known.etag.as_str(), known.last_modified.as_str()), ("\"v1\"", "Fri, 27 Nov 2026 09:00:00 GMT"));
    assert_eq!(client.ask(&site.url(), &known).await, Ok(CalendarAnswer::Unchanged));
    let (plain, conditional) = (site.heads.recv().await.expect("one"), site.heads.recv().await.expect("another"));
    assert!(plain.contains("text/calendar") && !plain.contains("if-none-match"), "{plain}");
    assert!(conditional.contains("if-none-match: \"v1\""), "{conditional}");
    assert!(conditional.contains("if-modified-since: fri, 27 nov 2026 09:00:00 gmt"), "{conditional}");
}

#[tokio::test]
async fn what_is_no_answer_is_told_without_the_address() {
    let large = "x".repeat(ICS_BYTES_MAX + 1);
    for (said, wanted) in [
        (answer("500 Internal Server Error", "", "no"), "it answers 500"),
        (answer("404 Not Found", "", ""), "it answers 404"),
        (answer("200 OK", "", &large), "larger than 1000000 bytes"),
        (answer("200 OK", "Content-Encoding: gzip\r\n", ICS), "which was not asked for"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nBEGIN".to_owned(), ""),
        ("nothing of HTTP\r\n\r\n".to_owned(), ""),
    ] {
        let site = Site::serve(vec![said]).await;
        let wrong = ask(&site.url()).await.expect_err("it is no calendar");
        assert!(wrong.contains(wanted) && !wrong.contains("s3cret"), "{wanted}: {wrong}");
    }
    let free = format!("http://127.0.0.1:{}/private-s3cret", tenfold_testkit::free_port());
    let wrong = ask(&free).await.expect_err("nobody listens");
    assert!(!wrong.is_empty() && !wrong.contains("s3cret"), "{wrong}");
    for url in ["file:///etc/s3cret", "ftp://127.0.0.1/s3cret", "s3cret"] {
        let wrong = ask(url).await.expect_err("it is no address of the web");
        assert!(wrong.contains("its address is") && !wrong.contains("s3cret"), "{wrong}");
    }
}

#[tokio::test]
async fn one_that_hangs_is_waited_for_no_longer_than_is_said() {
    let site = Site::serve(vec![String::new()]).await;
    let wrong = client(Duration::from_millis(200)).ask(&site.url(), &CalendarKnown::default()).await;
    assert_eq!(wrong, Err("it did not answer in time".to_owned()));
    // The head comes, and the rest does not.
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", ICS.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/x.ics", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("somebody asks");
        // What comes before it was asked for is no answer.
        stream.read_u8().await.expect("a question");
        stream.write_all(head.as_bytes()).await.expect("the head is sent");
        std::future::pending::<()>().await;
    });
    let wrong = client(Duration::from_millis(200)).ask(&url, &CalendarKnown::default()).await;
    assert_eq!(wrong, Err("it did not answer in time".to_owned()));
}

#[tokio::test]
async fn a_few_redirects_are_followed_and_nobody_learns_where_they_came_from() {
    let mut there = Site::serve(vec![answer("200 OK", "", ICS)]).await;
    let leads = format!("Location: {}\r\n", there.url().replace("private-s3cret", "moved"));
    let site = Site::serve(vec![answer("302 Found", &leads, "")]).await;
    assert!(matches!(ask(&site.url()).await, Ok(CalendarAnswer::Text { .. })));
    let head = there.heads.recv().await.expect("a request");
    assert!(head.starts_with("get /moved/") && !head.contains("s3cret"), "{head}");

    let circle = "Location: /private-s3cret/again\r\n";
    let site = Site::serve(vec![answer("302 Found", circle, ""); 20]).await;
    let wrong = ask(&site.url()).await.expect_err("it never ends");
    assert!(wrong.contains("more than 5 times") && !wrong.contains("s3cret"), "{wrong}");
    let away = "Location: file:///etc/passwd\r\n";
    let site = Site::serve(vec![answer("302 Found", away, "")]).await;
    assert!(ask(&site.url()).await.is_err(), "only the web is asked");
}
