//! What the calls of a roll are spent on.

use std::collections::BTreeMap;

use patchcore::{
    Standing,
    execute::kernel::RunVerdict,
    provider::{Deployer as _, PerComponent},
};
use serde_json::json;

use crate::{
    check::{rolled, stand},
    conformance::{CLUSTER, host},
    deployer::{cluster, ctx},
    peer::Peer,
};

/// A host that is patched by itself may take so many calls, without its moves and where its tasks are over at once.
const OF_A_HOST: u64 = 32;

fn counted(peer: &Peer) -> BTreeMap<String, u64> {
    serde_json::from_value(peer.ask("calls")).unwrap()
}

/// The calls of a roll of so many hosts, one after the other, with nothing on them.
async fn of_roll(hosts: u32) -> Option<BTreeMap<String, u64>> {
    let peer = stand(hosts, 0)?;
    let on = cluster(&peer).await;
    peer.count_anew();
    let (_, standing, report) = rolled(&on).await;
    let verdict = RunVerdict::Done;
    assert_eq!(standing, Standing::Ended { verdict }, "{report}");
    Some(counted(&peer))
}

#[tokio::test]
async fn a_host_of_a_roll_takes_few_calls() {
    let (Some(two), Some(six)) = (of_roll(2).await, of_roll(6).await) else {
        return;
    };
    let all = |calls: &BTreeMap<String, u64>| calls.values().sum::<u64>();
    let each = six.iter().map(|(method, n)| {
        let before = two.get(method).copied().unwrap_or(0);
        let more = n.cast_signed() - before.cast_signed();
        (method.as_str(), more as f64 / 4.0)
    });
    let each: BTreeMap<&str, f64> = each.collect();
    println!("each host: {each:?}");
    let host = (all(&six) - all(&two)).div_ceil(4);
    assert!(host <= OF_A_HOST, "{host} calls for each host: {each:?}");
}

#[tokio::test]
async fn hosts_that_are_scanned_at_once_are_read_at_once() {
    let Some(peer) = stand(6, 0) else { return };
    let on = cluster(&peer).await;
    on.scan(&ctx(), &[host(0)]).await.unwrap();
    let scan = |n: u32| {
        let on = on.clone();
        async move {
            let scans: PerComponent<_> = on.scan(&ctx(), &[host(n)]).await.unwrap();
            assert_eq!(scans.len(), 1);
            scans[&host(n)].clone().unwrap()
        }
    };
    peer.count_anew();
    let (a, b, c, d, e, f) = tokio::join!(scan(0), scan(1), scan(2), scan(3), scan(4), scan(5));
    for scan in [a, b, c, d, e, f] {
        assert_eq!(scan.available.unwrap().patches.len(), 1);
    }
    let calls = counted(&peer);
    // One by himself, and all others together.
    assert!(calls["RetrievePropertiesEx"] <= 2, "{calls:?}");
    // Of a host that runs what it was compared to nothing else is asked.
    let runs = json!({"name": host(5).as_str(), "set": {"version": "8.0.3", "build": "24280767"}});
    peer.tell("host", &runs);
    peer.tell("image", &json!({"cluster": CLUSTER, "compared": true}));
    peer.count_anew();
    let scan = scan(5).await;
    assert_eq!(scan.unhealthy, []);
    assert_eq!(scan.available.unwrap().patches, []);
    let expect = json!({"RetrievePropertiesEx": 1, "vlcm.compliance": 1});
    assert_eq!(peer.ask("calls"), expect);
}
