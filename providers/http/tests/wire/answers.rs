//! What a component does, and what is made of it.

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use patchcore::{
    ErrorKind, SystemClock,
    clock::Clock,
    provider::{CancelToken, HealthProbe, OpContext, ProbeKind, ProbeRequest, ProbeVerdict},
};
use patchcore_http::{HttpConfig, HttpProbe, Redirects};

use crate::server::{Server, ask, ask_with, context, request};

const HEALTHY: ProbeVerdict = ProbeVerdict::Healthy;
const UNHEALTHY: ProbeVerdict = ProbeVerdict::Unhealthy;

#[tokio::test]
async fn a_status_of_200_to_299_is_healthy_and_no_other() {
    let Some(server) = Server::plain("127.0.0.1") else {
        return;
    };
    for (path, verdict, saw) in [
        ("status/200", HEALTHY, "http 200"),
        ("status/204", HEALTHY, "http 204"),
        ("status/299", HEALTHY, "http 299"),
        ("status/300", UNHEALTHY, "http 300"),
        ("status/304", UNHEALTHY, "http 304"),
        ("status/401", UNHEALTHY, "http 401"),
        ("status/404", UNHEALTHY, "http 404"),
        ("status/500", UNHEALTHY, "http 500"),
        ("status/503", UNHEALTHY, "http 503"),
        ("plain-request", HEALTHY, "http 200"),
        ("huge", HEALTHY, "http 200"),
        ("short", UNHEALTHY, "http 200, but the answer broke off"),
        ("garbage", UNHEALTHY, "http: what answers is not HTTP/1.1"),
        ("greeting", UNHEALTHY, "http: what answers is not HTTP/1.1"),
        (
            "nothing",
            UNHEALTHY,
            "http: connection closed before the answer was whole",
        ),
    ] {
        let url = format!("http://127.0.0.1:{}/{path}", server.port);
        let answer = ask(&url).await.unwrap();
        assert_eq!((answer.verdict, &*answer.saw), (verdict, saw), "{path}");
    }
}

#[tokio::test]
async fn redirects_to_elsewhere_are_not_healthy_and_are_named() {
    let Some(server) = Server::plain("127.0.0.1") else {
        return;
    };
    let port = server.port;
    let here = format!("http://127.0.0.1:{port}");
    let same_host = HttpConfig::default().with_redirects(Redirects::SameHost);
    for (config, path, verdict, saw) in [
        (
            HttpConfig::default(),
            "slash".to_owned(),
            HEALTHY,
            format!("http 200 at {here}/slash/"),
        ),
        (
            HttpConfig::default(),
            "to/302?/status/200".to_owned(),
            UNHEALTHY,
            format!("http 302 to {here}/status/200, not followed: another page"),
        ),
        (
            same_host.clone(),
            "to/302?/status/200".to_owned(),
            HEALTHY,
            format!("http 200 at {here}/status/200"),
        ),
        (
            same_host.clone(),
            "to/302?/status/503".to_owned(),
            UNHEALTHY,
            format!("http 503 at {here}/status/503"),
        ),
        (
            same_host.clone(),
            format!("to/307?http://localhost:{port}/status/200?token=s3cret"),
            UNHEALTHY,
            format!("http 307 to http://localhost:{port}/status/200, not followed: another host"),
        ),
        (
            same_host.clone(),
            format!("to/302?http://127.0.0.1:{}/", server.greeting),
            UNHEALTHY,
            format!(
                "http 302 to http://127.0.0.1:{}/, not followed: another port",
                server.greeting
            ),
        ),
        (
            same_host.clone(),
            "hops/3".to_owned(),
            HEALTHY,
            format!("http 200 at {here}/hops/0"),
        ),
        (
            same_host.clone(),
            "hops/4".to_owned(),
            UNHEALTHY,
            format!(
                "http 308 to {here}/hops/0, not followed: more than 3 redirects at {here}/hops/1"
            ),
        ),
        (
            same_host,
            "circle".to_owned(),
            UNHEALTHY,
            format!("http 302 to {here}/circle, not followed: more than 3 redirects"),
        ),
    ] {
        let answer = ask_with(config, &format!("{here}/{path}")).await.unwrap();
        assert_eq!((answer.verdict, answer.saw), (verdict, saw), "{path}");
    }
}

#[tokio::test]
async fn the_time_of_a_check_is_kept() {
    let Some(server) = Server::plain("127.0.0.1") else {
        return;
    };
    let probe = HttpProbe::new(HttpConfig::default()).unwrap();
    for (path, port, saw) in [
        ("slow", server.port, "http: no answer within 300 ms"),
        (
            "drip",
            server.port,
            "http 200, but no whole answer within 300 ms",
        ),
    ] {
        let mut request = request(&format!("http://127.0.0.1:{port}/{path}"));
        request.timeout = Duration::from_millis(300);
        let started = now();
        let answer = probe.probe(&context(), &request).await.unwrap();
        assert_eq!((answer.verdict, &*answer.saw), (UNHEALTHY, saw), "{path}");
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(290), "{took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[tokio::test]
async fn a_check_that_the_caller_cuts_short_is_not_known() {
    let Some(server) = Server::plain("127.0.0.1") else {
        return;
    };
    let probe = HttpProbe::new(HttpConfig::default()).unwrap();
    let request = request(&format!("http://127.0.0.1:{}/slow", server.port));
    for left in [0, 300] {
        let soon = SystemClock.now() + Duration::from_millis(left);
        let error = probe
            .probe(&context().with_deadline(soon), &request)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
        assert!(error.is_retryable());
    }
}

#[tokio::test]
async fn what_speaks_first_is_not_http() {
    let Some(server) = Server::plain("127.0.0.1") else {
        return;
    };
    // Whether the greeting or our request is first is a race, and both orders must end alike.
    for _ in 0..30 {
        let answer = ask(&format!("http://127.0.0.1:{}/", server.greeting))
            .await
            .unwrap();
        assert_eq!(answer.verdict, UNHEALTHY);
        assert_eq!(answer.saw, "http: what answers is not HTTP/1.1");
    }
}

#[tokio::test]
async fn a_connection_closed_at_once_is_not_healthy() {
    let Some(server) = Server::plain("127.0.0.1") else {
        return;
    };
    for scheme in ["http", "https"] {
        for _ in 0..30 {
            let answer = ask(&format!("{scheme}://127.0.0.1:{}/", server.closing))
                .await
                .unwrap();
            assert_eq!(answer.verdict, UNHEALTHY);
            let saw = &*answer.saw;
            assert!(saw.starts_with("http: connection "), "{saw}");
        }
    }
}

#[tokio::test]
async fn a_refused_connection_is_not_healthy() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let answer = ask(&format!("http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(answer.verdict, UNHEALTHY);
    assert_eq!(answer.saw, "http: connection refused");
}

#[tokio::test]
async fn an_ipv6_address_is_asked() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let Some(server) = Server::plain("::1") else {
        return;
    };
    let answer = ask(&format!("http://[::1]:{}/slash", server.port))
        .await
        .unwrap();
    assert_eq!(answer.verdict, HEALTHY, "{}", answer.saw);
}

#[tokio::test]
async fn a_check_that_cannot_be_run_is_an_error() {
    let probe = HttpProbe::new(HttpConfig::default()).unwrap();
    let mut no_time = request("http://127.0.0.1/");
    no_time.timeout = Duration::ZERO;
    let command = ProbeKind::Command {
        argv: vec!["true".to_owned()],
    };
    for (request, kind) in [
        (request("http://web-1.invalid/"), ErrorKind::Unreachable),
        (request("http://{address}/"), ErrorKind::InvalidInput),
        (
            request("http://user:pw@127.0.0.1/"),
            ErrorKind::InvalidInput,
        ),
        (no_time, ErrorKind::InvalidInput),
        (ProbeRequest::new("web-1", command), ErrorKind::Unsupported),
    ] {
        let error = probe.probe(&context(), &request).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.remedy().is_some(), "{error:?}");
        assert!(
            error.facts().contains(&("component", "web-1".to_owned())),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_caller_who_asked_to_stop_gets_no_verdict() {
    let cancel = CancelToken::new();
    cancel.cancel();
    let deadline = SystemClock.now() + Duration::from_secs(60);
    let ctx = OpContext::reading(std::sync::Arc::new(SystemClock), deadline, cancel);
    let error = HttpProbe::new(HttpConfig::default())
        .unwrap()
        .probe(&ctx, &request("http://127.0.0.1/"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

/// Set for the copy of this test that runs with proxies in its environment.
const INNER: &str = "PATCHCORE_HTTP_INNER";

#[tokio::test]
async fn no_proxy_is_taken_from_the_environment() {
    let Some(server) = Server::plain("127.0.0.1") else {
        return;
    };
    if std::env::var_os(INNER).is_some() {
        let answer = ask(&format!("http://127.0.0.1:{}/plain-request", server.port))
            .await
            .unwrap();
        assert_eq!(answer.verdict, HEALTHY, "{}", answer.saw);
        return;
    }
    // Nobody listens on port 9: whoever used these would be refused.
    let mut copy = Command::new(std::env::current_exe().unwrap());
    copy.args(["--exact", "answers::no_proxy_is_taken_from_the_environment"]);
    copy.env(INNER, "1")
        .env_remove("no_proxy")
        .env_remove("NO_PROXY");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        copy.env(name, "http://127.0.0.1:9");
    }
    let output = copy.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test measures how long a call really takes"
)]
fn now() -> Instant {
    Instant::now()
}
