//! Scripts arrive whole and once, and connections come and go.

use std::{
    future::Future as _,
    io::{Read as _, Write as _},
    net::TcpListener,
    pin::pin,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use patchcore::ErrorKind;
use patchcore_linux::transport::{
    MAX_STDERR, Script, Transport as _,
    ssh::{Become, HostKeyCheck, Ssh, SshTarget},
};

use crate::stand::{block, plain, run, stand};

#[test]
fn many_scripts_share_one_connection() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        for _ in 0..5 {
            run(&ssh, "true").await.unwrap();
        }
        let twenty = (0..20).map(|_| run(&ssh, "sleep 0.1; id -u"));
        for output in futures_util::future::join_all(twenty).await {
            assert_eq!(output.unwrap().stdout, b"0\n");
        }
        assert_eq!(stand.logins(), 1);
    });
}

#[test]
fn a_host_that_opens_few_channels_is_waited_for() {
    let Some(stand) = stand() else { return };
    stand.configure_sshd("MaxSessions 2\n");
    let ssh = plain().host(stand.target("op"));
    let twelve = (0..12).map(|_| run(&ssh, "sleep 0.1; id -u"));
    for output in block(futures_util::future::join_all(twelve)) {
        assert_eq!(output.unwrap().stdout, b"0\n");
    }
    stand.configure_sshd("MaxSessions 0\n");
    let ssh = plain().host(stand.target("op"));
    let error = block(run(&ssh, "true")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(format!("{error:?}").contains("MaxSessions"), "{error:?}");
}

#[test]
fn a_long_script_and_a_long_answer_come_whole() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    // Longer than what sshd takes before somebody reads: 2 MB in, 8 MB out at the same time.
    let value = "0123456789abcdef".repeat(128 << 10);
    let script = Script::new("t-long")
        .set("V", &value)
        .unwrap()
        .text("printf %s \"$V\"; printf %s \"$V\"; printf %s \"$V\"; printf %s \"$V\"; head -c 2000000 /dev/zero >&2\n");
    let output = block(ssh.run(&script, Duration::from_secs(60))).unwrap();
    assert_eq!(output.stdout.len(), 4 * value.len());
    assert!(output.stdout.ends_with(value.as_bytes()));
    assert_eq!(output.stderr.len(), MAX_STDERR);
}

#[test]
fn an_answer_without_end_is_refused_and_the_connection_lives_on() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        let error = run(&ssh, "yes").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ProviderFault, "{error}");
        assert_eq!(run(&ssh, "echo still").await.unwrap().stdout, b"still\n");
        assert_eq!(stand.logins(), 1);
    });
    assert!(stand.is_soon(|s| !s.runs("yes")));
}

#[test]
fn a_deadline_ends_the_script_and_not_the_connection() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op").with_become(Become::None));
    block(async {
        run(&ssh, "true").await.unwrap();
        let began = Instant::now();
        let script = Script::new("t-slow").text("exec sleep 4711");
        let error = ssh
            .run(&script, Duration::from_millis(700))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.is_retryable());
        assert!(began.elapsed() < Duration::from_secs(3));
        assert!(
            format!("{error:?}").contains("whether it had an effect is unknown"),
            "{error:?}"
        );
        assert_eq!(run(&ssh, "echo still").await.unwrap().stdout, b"still\n");
        assert_eq!(stand.logins(), 1);
    });
    assert!(stand.is_soon(|s| !s.runs("sleep 4711")));
}

#[test]
fn a_dropped_call_closes_its_channel() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op").with_become(Become::None));
    block(async {
        run(&ssh, "true").await.unwrap();
        let call = tokio::time::timeout(Duration::from_millis(500), run(&ssh, "exec sleep 4712"));
        assert!(call.await.is_err());
        run(&ssh, "true").await.unwrap();
    });
    assert!(stand.is_soon(|s| !s.runs("sleep 4712")));
}

#[test]
fn a_connection_that_broke_unused_is_opened_again() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        for _ in 0..3 {
            let output = run(&ssh, "echo x >>/count; wc -l </count").await.unwrap();
            assert_eq!(output.status, 0);
            stand.kill_logins();
            // Its end arrives while nobody listens.
            assert!(stand.is_soon(|s| s.logins() == 0));
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    assert_eq!(stand.sh("wc -l </count").trim(), "3");
}

#[test]
fn a_connection_that_breaks_in_mid_script_leaves_the_effect_unknown() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        let script = run(&ssh, "echo x >>/count; sleep 30");
        let mut script = pin!(script);
        // It is under way as soon as its first effect is seen.
        while stand.sh("[ ! -e /count ] || echo yes").is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(50), &mut script).await;
        }
        stand.kill_logins();
        let error = script.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.is_retryable());
        let text = format!("{error:?}");
        assert!(text.contains("web-t1"), "{text}");
        assert!(
            text.contains("whether the script had an effect is unknown"),
            "{text}"
        );
        // It was not sent again by itself, and the next one goes through.
        run(&ssh, "true").await.unwrap();
    });
    assert_eq!(stand.sh("wc -l </count").trim(), "1");
}

#[test]
fn a_power_cut_in_mid_script_is_noticed() {
    let Some(stand) = stand() else { return };
    let target = stand
        .target("op")
        .with_keepalive(Duration::from_millis(500), 3);
    let ssh = plain().host(target);
    block(async {
        let script = run(&ssh, "touch /began; sleep 60");
        let mut script = pin!(script);
        while stand.sh("[ ! -e /began ] || echo yes").is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(50), &mut script).await;
        }
        stand.guest().power_cut();
        let began = Instant::now();
        let error = script.await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
        stand.guest().power_on();
        // Back on the same disk, and reached by the same transport.
        let mut tries = 0;
        while let Err(error) = run(&ssh, "test -e /began").await {
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
            tries += 1;
            assert!(tries < 100, "{error:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

#[test]
fn a_script_that_is_polled_once_and_dropped_opens_nothing() {
    let Some(stand) = stand() else { return };
    let ssh = plain().host(stand.target("op"));
    block(async {
        let call = run(&ssh, "touch /reached");
        let mut call = Box::pin(call);
        let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(call);
        tokio::time::sleep(Duration::from_millis(300)).await;
    });
    stand.sh("[ ! -e /reached ]");
}

/// Somebody who listens on a port and does this to the first connections.
fn answering(how: impl Fn(std::net::TcpStream) + Send + 'static) -> SshTarget {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(20).flatten() {
            how(stream);
        }
    });
    SshTarget::new("web-t1", "127.0.0.1", "op")
        .with_port(port)
        .with_host_key(HostKeyCheck::known_hosts("/dev/null"))
        .with_connect_timeout(Duration::from_millis(700))
}

fn error_of(target: SshTarget) -> (ErrorKind, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ssh: Ssh = plain().host(target);
    let error = runtime.block_on(run(&ssh, "true")).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    (error.kind(), format!("{error:?}"))
}

#[test]
fn the_ways_in_which_nobody_answers_are_told_apart() {
    fn check(target: SshTarget, part: &str) {
        let (kind, text) = error_of(target);
        assert_eq!(kind, ErrorKind::Unreachable, "{text}");
        assert!(
            text.starts_with("web-t1 could not be reached over ssh: "),
            "{text}"
        );
        assert!(text.contains(part), "{part}: {text}");
        assert!(text.contains("nothing was sent to it"), "{text}");
    }
    check(
        answering(|mut s| {
            let _ = s.write_all(b"Exceeded MaxStartups\r\n");
        }),
        "\"Exceeded MaxStartups\"",
    );
    check(answering(drop), "dropped the connection before the login");
    check(
        answering(|mut s| {
            let _ = s.read(&mut [0; 64]);
            let _ =
                s.write_all(&[b"HTTP/1.1 400 Bad Request\r\n".as_slice(), &[b'x'; 600]].concat());
            std::thread::sleep(Duration::from_secs(1));
        }),
        "no sshd",
    );
    check(
        answering(|s| {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(3));
                drop(s);
            });
        }),
        "its sshd did not answer",
    );
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    check(
        SshTarget::new("web-t1", "127.0.0.1", "op").with_port(closed),
        "connection refused",
    );
    check(
        SshTarget::new("web-t1", "no-such-host.invalid", "op"),
        "the name no-such-host.invalid has no address",
    );
}
