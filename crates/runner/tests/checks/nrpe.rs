//! A real NRPE daemon: plain, with a certificate of its own, and asking for ours.

use super::*;

#[tokio::test]
async fn a_real_nrpe_daemon_answers_plain_and_with_a_certificate() {
    if !installed("/usr/sbin/nrpe", "nagios-nrpe-server")
        || !installed(&format!("{PLUGINS}/check_dummy"), "monitoring-plugins-basic")
    {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let looker = looker(dir.path());
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let start = |extra: String, plain: bool| {
        let port = free_port();
        let config = dir.path().join(format!("nrpe-{port}.cfg"));
        // The daemon reads no line of its configuration as long as this answer.
        script(dir.path(), "long", &format!("#!/bin/sh\necho '{}|a=5s'\n", "x".repeat(3000)));
        let text = format!(
            "server_port={port}\nserver_address=127.0.0.1\nallowed_hosts=127.0.0.1\nnrpe_user=nagios\nnrpe_group=nagios\n\
             dont_blame_nrpe=1\npid_file={}/pid-{port}\ndebug=0\ncommand_timeout=10\n\
             command[bad]={PLUGINS}/check_dummy 2 broken\ncommand[long]={}/long\n\
             command[args]={PLUGINS}/check_dummy $ARG1$ $ARG2$\n{extra}",
            dir.path().display(),
            dir.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("/usr/sbin/nrpe");
        command.arg("-c").arg(&config).arg("-f").stdout(Stdio::null()).stderr(Stdio::null());
        if plain {
            command.arg("-n");
        }
        let daemon = Running(command.spawn().unwrap());
        wait_for(port);
        (daemon, port)
    };
    let (_plain, port) = start(String::new(), true);
    let ask = |port: u16, command: &str, more: serde_json::Value| {
        let mut nrpe = serde_json::json!({"address": format!("127.0.0.1:{port}"), "command": command});
        for (key, value) in more.as_object().unwrap() {
            nrpe[key] = value.clone();
        }
        serde_json::json!({"nrpe": nrpe})
    };
    for old in [false, true] {
        let version = serde_json::json!({"version_2": old});
        let (status, said) = look(&looker, ask(port, "bad", version.clone())).await;
        assert_eq!((status, said.trim()), (CheckStatus::Critical, "CRITICAL: broken"), "version 2: {old}");
        let more = serde_json::json!({"version_2": old, "arguments": ["1", "hm"]});
        let (status, said) = look(&looker, ask(port, "args", more)).await;
        // Debian's daemon is built without arguments, and hangs up on them; `nrpe_daemon.rs` has one that takes them.
        if said.contains("closed the connection") {
            assert_eq!(status, CheckStatus::Unknown);
        } else {
            assert_eq!((status, said.trim()), (CheckStatus::Warning, "WARNING: hm"));
        }
    }
    let (status, said) = look(&looker, ask(port, "long", serde_json::json!({}))).await;
    assert_eq!((status, read_output(said.as_bytes()).values[0].value), (CheckStatus::Ok, 5.0));
    let (status, said) = look(&looker, ask(port, "gone", serde_json::json!({}))).await;
    assert_eq!(status, CheckStatus::Unknown, "{said}");

    let Some((cert, key)) = certificate(dir.path(), "20") else { return };
    let files =
        format!("ssl_version=TLSv1.2+\nssl_cert_file={}\nssl_privatekey_file={}\n", cert.display(), key.display());
    let (_secret, port) = start(files, false);
    let trusting = serde_json::json!({"ca_file": cert});
    let (status, said) = look(&looker, ask(port, "bad", trusting)).await;
    assert_eq!((status, said.trim()), (CheckStatus::Critical, "CRITICAL: broken"));
    let (status, said) = look(&looker, ask(port, "bad", serde_json::json!({}))).await;
    assert_eq!(status, CheckStatus::Unknown, "plain to one that wants TLS: {said}");

    // One that asks who we are.
    let files = format!(
        "ssl_version=TLSv1.2+\nssl_cert_file={0}\nssl_privatekey_file={1}\nssl_cacert_file={0}\nssl_client_certs=2\n",
        cert.display(),
        key.display()
    );
    let (_asking, port) = start(files, false);
    let secrets = dir.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::copy(&cert, secrets.join("own.pem")).unwrap();
    std::fs::copy(&key, secrets.join("own.key")).unwrap();
    let (status, said) = look(&looker, ask(port, "bad", serde_json::json!({"ca_file": cert}))).await;
    assert_eq!(status, CheckStatus::Unknown, "without a certificate: {said}");
    let own = serde_json::json!({"ca_file": cert, "cert_file": "own.pem", "key_file": "own.key"});
    let (status, said) = look(&looker, ask(port, "bad", own.clone())).await;
    assert!(status == CheckStatus::Unknown && said.contains("`secrets_dir`"), "{said}");
    let looker = looker.with_secrets(Some(secrets));
    let (status, said) = look(&looker, ask(port, "bad", own)).await;
    assert_eq!((status, said.trim()), (CheckStatus::Critical, "CRITICAL: broken"));
}
