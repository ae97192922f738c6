use super::*;

fn mail(subject: &str) -> Mail {
    read(format!("From: a@b.example\r\nSubject: {subject}\r\n\r\nx\r\n").as_bytes(), &[]).unwrap()
}

#[test]
fn a_problem_and_its_end_are_one_alert() {
    for (problem, end) in [
        ("disk full on db1", "RESOLVED: disk full on db1"),
        ("disk full on db1", "Re: Resolved: disk full on db1"),
        ("[FIRING:1] HighErrors photos", "[RESOLVED] HighErrors photos"),
        ("** PROBLEM Service Alert: db1/disk is CRITICAL **", "** RECOVERY Service Alert: db1/disk is OK **"),
        ("** PROBLEM Host Alert: db1 is DOWN **", "** RECOVERY Host Alert: db1 is UP **"),
        ("ALARM: \"cpu\" in EU (Ireland)", "OK: \"cpu\" in EU (Ireland)"),
        ("Problem: no free space", "Resolved in 1h 5m: no free space"),
        ("backup WARNING", "backup OK"),
        ("db1 is NOT OK", "db1 is OK"),
    ] {
        let (problem, end) = (mail(problem), mail(end));
        assert_eq!((problem.state, end.state), (SaidState::Firing, SaidState::Resolved), "{}", end.subject);
        let numbered = problem.key.trim_start_matches("1 ").to_owned();
        assert_eq!(numbered, end.key, "{} / {}", problem.subject, end.subject);
    }
}

/// What is not surely over goes on.
#[test]
fn doubt_is_never_the_end() {
    for subject in [
        "db1 is NOT OK",
        "UNKNOWN -> OK -> CRITICAL: db1",
        "state changed from OK to CRITICAL",
        "is it ok to restart db1?",
        "backup is up to date? no",
        "Service UP/DOWN flaps",
        "could not be resolved: db1.example",
        "UP to 90 % of the disk is used",
    ] {
        assert_eq!(mail(subject).state, SaidState::Firing, "{subject}");
    }
}

#[test]
fn words_give_the_severity() {
    assert_eq!(mail("db1 is CRITICAL").severity, Some("critical"));
    assert_eq!(mail("db1 WARNING").severity, Some("warning"));
    assert_eq!(mail("db1").severity, None);
    let urgent = read(b"Subject: db1\r\nX-Priority: 1 (Highest)\r\n\r\n", &[]).unwrap();
    assert_eq!(urgent.severity, Some("critical"));
}

#[test]
fn answers_name_what_they_answer() {
    let text = "Subject: Re: db1\r\nMessage-ID: <c@x>\r\nIn-Reply-To: <b@x>\r\nReferences: <a@x> <b@x>\r\n\r\nresolved.\r\n> db1 is bad\r\n";
    let answer = read(text.as_bytes(), &[]).unwrap();
    assert_eq!((answer.key.as_str(), answer.message_id.as_str()), ("db1", "c@x"));
    assert_eq!(answer.answers, ["b@x", "a@x"]);
    assert_eq!(answer.state, SaidState::Resolved);
    let doubt = read(text.replace("resolved.", "not resolved").as_bytes(), &[]).unwrap();
    assert_eq!(doubt.state, SaidState::Firing);
}

#[test]
fn mime_and_further_words_are_understood() {
    let text = "Subject: =?utf-8?B?RGllIFBsYXR0ZSBpc3Qgdm9sbA==?=\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\n\r\n<p>F=FCnf <b>Prozent</b></p>\r\n";
    let read_ = read(text.as_bytes(), &[]).unwrap();
    assert_eq!((read_.subject.as_str(), read_.text.as_str()), ("Die Platte ist voll", "Fünf Prozent"));
    assert_eq!(read_.sent_at, Timestamp::parse_rfc3339("2026-11-23T09:00:00Z"));
    let behoben = read(b"Subject: Behoben: Platte\r\n\r\n", &["behoben".into()]).unwrap();
    assert_eq!((behoben.state, behoben.key.as_str()), (SaidState::Resolved, "platte"));
}

#[test]
fn machines_that_answer_are_known() {
    for header in [
        "Auto-Submitted: auto-replied",
        "Content-Type: multipart/report; boundary=b",
        "X-Autoreply: yes",
        "Auto-Submitted: auto-generated\r\nX-Tenfold-Incident: 7",
    ] {
        assert!(read(format!("Subject: away\r\n{header}\r\n\r\n").as_bytes(), &[]).unwrap().automatic, "{header}");
    }
    assert!(!read(b"Subject: x\r\nAuto-Submitted: auto-generated\r\n\r\n", &[]).unwrap().automatic, "cron's mails");
    assert_eq!(read(b"From: a@b\r\n\r\nx", &[]), Err(MailError::NoSubject));
}
