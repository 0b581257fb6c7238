//! Many machines at once.

use std::{fs, time::Instant};

use futures_util::future::join_all;
use patchcore_linux::transport::ssh::Become;

use crate::stand::{block, plain, run, stand};

#[test]
fn two_hundred_at_once() {
    let Some(stand) = stand() else { return };
    // As sshd comes: it drops connections at random from ten that have not logged in yet.
    stand.configure_sshd("MaxStartups 10:30:100\n");
    let shared = plain();
    let hosts: Vec<_> = (0..200).map(|_| shared.host(stand.target("op"))).collect();
    let began = Instant::now();
    block(async {
        for output in join_all(hosts.iter().map(|ssh| run(ssh, "id -u"))).await {
            assert_eq!(output.unwrap().stdout, b"0\n");
        }
    });
    eprintln!(
        "200 connections and scripts in {:.1} s",
        began.elapsed().as_secs_f64()
    );
}

/// The memory of this process, in kB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_thousand_open_connections_fit_into_120_mb() {
    if std::env::var_os("PATCHCORE_FULL").is_none_or(|v| v != "1") {
        eprintln!("left to --full: a thousand connections at once");
        return;
    }
    let Some(stand) = stand() else { return };
    stand.configure_sshd("MaxStartups 100:30:200\n");
    let shared = plain();
    let target = stand.target("op").with_become(Become::None);
    let hosts: Vec<_> = (0..1000).map(|_| shared.host(target.clone())).collect();
    let before = resident();
    let began = Instant::now();
    block(async {
        for output in join_all(hosts.iter().map(|ssh| run(ssh, "true"))).await {
            output.unwrap();
        }
        assert_eq!(stand.logins(), 1000);
        let all = resident();
        eprintln!(
            "1,000 connections in {:.1} s, {all} kB in all, {} kB of them for these",
            began.elapsed().as_secs_f64(),
            all - before
        );
        assert!(all <= 120 << 10, "{all} kB");
        // Open, and still of use.
        for output in join_all(hosts.iter().step_by(10).map(|ssh| run(ssh, "true"))).await {
            output.unwrap();
        }
    });
}
