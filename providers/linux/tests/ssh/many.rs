//! Many machines at once.

use std::time::Instant;

use futures_util::future::join_all;

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
