//! Peer: `dpkg` itself orders and judges the same versions.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests too"
)]

mod peer;

use std::{
    cmp::Ordering,
    io::Write,
    process::{Command, Stdio},
};

use patchcore_linux::vercmp::deb::DebVersion;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

/// Pieces that meet every rule of the order: equal numbers with zeros, `~`, letters, signs.
fn version() -> impl Strategy<Value = String> {
    let upstream = proptest::string::string_regex(
        "[0-9]{1,2}([.+~a-zA-Z0-9-]{0,2}(0|00|1|01|2|10)){0,3}[~+.a]?",
    )
    .unwrap();
    let revision =
        proptest::option::of(proptest::string::string_regex("[0-9a-z~+.]{0,4}").unwrap());
    let epoch = proptest::option::of(prop_oneof![
        Just("0"),
        Just("1"),
        Just("00"),
        Just("x"),
        Just("")
    ]);
    (epoch, upstream, revision).prop_map(|(epoch, upstream, revision)| {
        let mut text = epoch.map(|e| format!("{e}:")).unwrap_or_default();
        text.push_str(&upstream);
        if let Some(revision) = revision {
            text.push('-');
            text.push_str(&revision);
        }
        text
    })
}

/// One `sh` asks dpkg about every pair, so that the test pays one start of a shell and not 1,500.
const ASK: &str = r#"
while read -r a b; do
    va=0; dpkg --validate-version "$a" >/dev/null 2>&1 || va=1
    vb=0; dpkg --validate-version "$b" >/dev/null 2>&1 || vb=1
    o=-
    if [ "$va$vb" = 00 ]; then
        if dpkg --compare-versions "$a" lt "$b"; then o=lt
        elif dpkg --compare-versions "$a" eq "$b"; then o=eq
        else o=gt; fi
    fi
    echo "$va $vb $o"
done
"#;

#[test]
fn dpkg_orders_1500_random_pairs_the_same() {
    if peer::find("dpkg").is_none() {
        return;
    }
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let pairs: Vec<(String, String)> = (0..1500)
        .map(|n| {
            let left = version().new_tree(&mut runner).unwrap().current();
            // Every other pair differs in one place only, because far-apart versions test little.
            let right = if n % 2 == 0 {
                version().new_tree(&mut runner).unwrap().current()
            } else {
                let mut near = left.clone();
                let ends = ["~", "0", "+", ".0", "a", "~1"];
                near.push_str(ends[n % ends.len()]);
                near
            };
            (left, right)
        })
        .collect();

    let mut child = Command::new("/bin/sh")
        .args(["-c", ASK])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text: String = pairs.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(text.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    let answers = String::from_utf8(output.stdout).unwrap();

    let (mut compared, mut refused) = (0, 0);
    assert_eq!(answers.lines().count(), pairs.len());
    for ((left, right), answer) in pairs.iter().zip(answers.lines()) {
        let mut words = answer.split(' ');
        for text in [left, right] {
            let accepted = words.next() == Some("0");
            assert_eq!(
                DebVersion::parse(text).is_ok(),
                accepted,
                "validity of {text:?}"
            );
        }
        match words.next() {
            Some("-") => refused += 1,
            Some(order) => {
                let expect = match order {
                    "lt" => Ordering::Less,
                    "eq" => Ordering::Equal,
                    _ => Ordering::Greater,
                };
                let found = DebVersion::parse(left)
                    .unwrap()
                    .cmp(&DebVersion::parse(right).unwrap());
                assert_eq!(found, expect, "{left} against {right}");
                compared += 1;
            }
            None => panic!("dpkg answered {answer:?}"),
        }
    }
    // A generator that makes only refused versions would prove nothing.
    assert!(
        compared > 500 && refused > 100,
        "{compared} compared, {refused} refused"
    );
}
