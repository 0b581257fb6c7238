//! Every piece of shell is held against `shellcheck`, and parsed and quoted by the shells that targets have.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests too"
)]

mod peer;

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use patchcore_linux::transport::quote;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// The shells of Debian, of small images, and of everything else.
fn shells() -> Vec<Vec<PathBuf>> {
    [
        ("dash", None),
        ("busybox", Some("ash")),
        ("bash", Some("--posix")),
    ]
    .into_iter()
    .filter_map(|(program, argument)| {
        Some(
            std::iter::once(peer::find(program)?)
                .chain(argument.map(PathBuf::from))
                .collect(),
        )
    })
    .collect()
}

/// Each whole script as it runs on a target: pieces that belong together, in their order.
fn pieces() -> Vec<(&'static str, String)> {
    const LOCK: &str = include_str!("../src/job/lock.sh");
    const LIB: &str = concat!(
        include_str!("../src/job/lock.sh"),
        include_str!("../src/job/lib.sh")
    );
    const PROLOGUE: &str = include_str!("../src/pm/apt/jobs/prologue.sh");
    let exact = |tail: &str| {
        format!(
            "{PROLOGUE}{}{tail}",
            include_str!("../src/pm/apt/jobs/exact.sh")
        )
    };
    let with = |head: &str, tail: &str| format!("{head}{tail}");
    vec![
        (
            "job/runner.sh",
            with(LOCK, include_str!("../src/job/runner.sh")),
        ),
        (
            "job/start.sh",
            with(
                LIB,
                &with(
                    include_str!("../src/job/start.sh"),
                    include_str!("../src/job/forget.sh"),
                ),
            ),
        ),
        ("job/poll.sh", with(LIB, include_str!("../src/job/poll.sh"))),
        (
            "job/cancel.sh",
            with(LIB, include_str!("../src/job/cancel.sh")),
        ),
        (
            "job/take.sh",
            with(LOCK, include_str!("../src/job/take.sh")),
        ),
        (
            "job/look.sh",
            with(LOCK, include_str!("../src/job/look.sh")),
        ),
        (
            "job/give_back.sh",
            with(LOCK, include_str!("../src/job/give_back.sh")),
        ),
        (
            "pm/apt/scan.sh",
            include_str!("../src/pm/apt/scan.sh").to_owned(),
        ),
        ("stage", exact(include_str!("../src/pm/apt/jobs/stage.sh"))),
        ("apply", exact(include_str!("../src/pm/apt/jobs/apply.sh"))),
        (
            "roll_back",
            exact(include_str!("../src/pm/apt/jobs/roll_back.sh")),
        ),
        (
            "repair",
            with(PROLOGUE, include_str!("../src/pm/apt/jobs/repair.sh")),
        ),
        (
            "refresh",
            with(PROLOGUE, include_str!("../src/pm/apt/jobs/refresh.sh")),
        ),
        (
            "discard",
            with(PROLOGUE, include_str!("../src/pm/apt/jobs/discard.sh")),
        ),
        (
            "reboot",
            with(PROLOGUE, include_str!("../src/pm/apt/jobs/reboot.sh")),
        ),
    ]
}

fn feed(command: &mut Command, text: &str) -> (bool, Vec<u8>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = stdin.write_all(text.as_bytes());
        });
        child.wait_with_output().unwrap()
    });
    (
        output.status.success(),
        [output.stdout, output.stderr].concat(),
    )
}

#[test]
fn shellcheck_finds_nothing() {
    let Some(shellcheck) = peer::find("shellcheck") else {
        return;
    };
    for (name, text) in pieces() {
        // SC2034 and SC2154 are about variables that the other part of a script sets or reads, SC2317 is
        // about its functions.
        let (ok, said) = feed(
            Command::new(&shellcheck).args([
                "-s",
                "sh",
                "-S",
                "style",
                "-e",
                "SC2034,SC2154,SC2317",
                "-",
            ]),
            &text,
        );
        assert!(ok, "{name}:\n{}", String::from_utf8_lossy(&said));
    }
    let (ok, _) = feed(
        Command::new(&shellcheck).args(["-s", "sh", "-"]),
        "rm $1/*\n",
    );
    assert!(!ok, "shellcheck must find the fault of a bad script");
}

#[test]
fn every_shell_can_parse_every_piece() {
    for shell in shells() {
        for (name, text) in pieces() {
            let (ok, said) = feed(
                Command::new(&shell[0]).args(&shell[1..]).args(["-n", "-s"]),
                &text,
            );
            assert!(ok, "{shell:?} {name}: {}", String::from_utf8_lossy(&said));
        }
    }
}

#[test]
fn no_text_escapes_its_quotes() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let nasty =
        proptest::string::string_regex("['\"\\\\$`;&|<>(){}*?~#! \n\t\r\u{1}-\u{1f}a-zü=-]{0,40}")
            .unwrap();
    let any = any::<String>().prop_filter("no shell word holds a NUL byte", |s| !s.contains('\0'));
    let strategy = prop_oneof![nasty, any];
    let mut texts: Vec<String> = (0..600)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect();
    texts.extend(
        [
            "", "'", "''", "'\\''", "\\", "$(id)", "`id`", "\n", "-n", "a'b'c",
        ]
        .map(str::to_owned),
    );
    let script: String = texts
        .iter()
        .map(|t| format!("printf '%s\\0' {}\n", quote(t).unwrap()))
        .collect();
    let expect: Vec<u8> = texts.iter().flat_map(|t| t.bytes().chain([0])).collect();
    let shells = shells();
    assert!(!shells.is_empty());
    for shell in shells {
        let (ok, found) = feed(Command::new(&shell[0]).args(&shell[1..]).arg("-s"), &script);
        assert!(ok && found == expect, "{shell:?}");
    }
    assert!(quote("a\0b").is_err());
}
