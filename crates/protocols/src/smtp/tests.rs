use super::*;

/// Plays a conversation: lines in, answers' codes out. `known@` is the one address there is.
fn play(session: &mut Session, lines: &[&str]) -> (Vec<String>, Vec<Envelope>) {
    let (mut said, mut mails) = (Vec::new(), Vec::new());
    for line in lines {
        let mut step = session.step(line.as_bytes());
        if let Step::Recipient(to) = &step {
            step = session.recipient(to.starts_with("known@"));
        }
        if let Step::Mail(mail) = step {
            mails.push(mail);
            step = session.delivered(Delivered::Taken);
        }
        match step {
            Step::Say(text) => said.push(text[..3].to_owned()),
            Step::SayAndClose(text) => said.push(format!("{}!", &text[..3])),
            Step::Quiet => {}
            other => panic!("{other:?}"),
        }
    }
    (said, mails)
}

#[test]
fn a_mail_is_taken() {
    let mut session = Session::new("tenfold.example");
    let (said, mails) = play(
        &mut session,
        &[
            "EHLO a",
            "MAIL FROM:<x@y> SIZE=100 BODY=8BITMIME",
            "RCPT TO:<other@z>",
            "rcpt to:<known@z>",
            "DATA",
            "Subject: x",
            "",
            "..dot",
            ".",
            "MAIL FROM:<>",
            "RSET",
            "QUIT",
        ],
    );
    assert_eq!(said, ["250", "250", "550", "250", "354", "250", "250", "250", "221!"]);
    let data = b"Subject: x\r\n\r\n.dot\r\n".to_vec();
    assert_eq!(mails, [Envelope { from: "x@y".into(), to: vec!["known@z".into()], data }]);
}

#[test]
fn commands_keep_their_order_and_their_limits() {
    for (lines, codes) in [
        (&["MAIL FROM:<a@b>"][..], &["503"][..]),
        (&["EHLO a", "RCPT TO:<known@z>"], &["250", "503"]),
        (&["EHLO a", "MAIL FROM:<a@b>", "DATA"], &["250", "250", "503"]),
        (&["EHLO a", "MAIL FROM:<a@b>", "RCPT TO:<other@z>", "DATA"], &["250", "250", "550", "503"]),
        (&["EHLO a", "MAIL FROM:<a@b>", "MAIL FROM:<a@b>"], &["250", "250", "503"]),
        (&["EHLO a", "MAIL FROM:a@b"], &["250", "501"]),
        (&["EHLO a", "MAIL FROM:<a b>"], &["250", "501"]),
        (&["EHLO a", "MAIL FROM:<a@b>AUTH=x"], &["250", "501"]),
        (&["EHLO a", "MAIL FROM:<a@b> SIZE=99999999"], &["250", "552"]),
        (&["EHLO a", "MAIL FROM:<a@b> NOTIFY=NEVER"], &["250", "555"]),
        (&["AUTH PLAIN x", "STARTTLS", "odd"], &["502", "502", "500"]),
        (&["a\nMAIL FROM:<b@c>"], &["554!"]),
    ] {
        assert_eq!(play(&mut Session::new("t"), lines).0, codes, "{lines:?}");
    }
    let many: Vec<&str> = ["EHLO a", "MAIL FROM:<a@b>"].into_iter().chain(["RCPT TO:<known@z>"; 21]).collect();
    assert_eq!(play(&mut Session::new("t"), &many).0.last().unwrap(), "452");
    assert_eq!(play(&mut Session::new("t"), &["x"; 11]).0.last().unwrap(), "421!");
    assert_eq!(play(&mut Session::new("t"), &[&"x".repeat(LINE_BYTES_MAX + 1)]).0, ["500!"]);
    assert_eq!(play(&mut Session::new("t"), &["NOOP"; 1_001]).0.last().unwrap(), "421!");
}

#[test]
fn a_mail_that_is_too_large_is_passed_over() {
    let mut session = Session::new("t");
    play(&mut session, &["EHLO a", "MAIL FROM:<a@b>", "RCPT TO:<known@z>", "DATA"]);
    let line = "x".repeat(10_000);
    let lines: Vec<&str> = std::iter::repeat_n(line.as_str(), MAIL_BYTES_MAX / 10_000 + 1).chain(["."]).collect();
    let (said, mails) = play(&mut session, &lines);
    assert_eq!((said, mails.len()), (vec!["552".to_owned()], 0));
    assert_eq!(play(&mut session, &["MAIL FROM:<a@b>"]).0, ["250"], "the conversation goes on");
}

#[test]
fn lines_end_in_cr_lf() {
    let mut buffer = b"a\r\nb\nc\r\nd".to_vec();
    assert_eq!(take_line(&mut buffer).unwrap(), b"a");
    assert_eq!(take_line(&mut buffer).unwrap(), b"b\nc");
    assert_eq!(take_line(&mut buffer), None);
    assert_eq!(buffer, b"d");
    // The end of a mail that another server would see.
    let mut session = Session::new("t");
    play(&mut session, &["EHLO a", "MAIL FROM:<a@b>", "RCPT TO:<known@z>", "DATA"]);
    assert_eq!(play(&mut session, &["x\n.\nMAIL FROM:<c@d>"]).0, ["554!"]);
}
