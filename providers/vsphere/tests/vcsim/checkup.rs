//! A vCenter looked through.

use patchcore::{ErrorKind, id::ComponentId};
use patchcore_vsphere::{Checkup, MayLose, SupportKind, Transcript, VCenter};
use serde_json::json;

use crate::peer::{PASSWORD, Peer, USER};

const MISSING: [&str; 2] = ["Host.Config.Maintenance", "Resource.HotMigrate"];

/// What one meets in estates.
fn trouble(peer: &Peer) {
    peer.tell(
        "machine",
        &json!({"name": "DC0_C0-vm0003", "cpu_affinity": true}),
    );
    peer.tell(
        "around",
        &json!({
            "host": host(0), "dns": ["10.0.0.2", "10.0.0.3"], "ntp": ["TIME.example.org"], "domain": "example.org",
            "paths": [["active", "standby"], ["active", "dead"], ["off", "dead"], ["active"]],
        }),
    );
    for n in [1, 2] {
        peer.tell("around", &json!({"host": host(n), "dns": ["10.0.0.2"]}));
    }
    peer.tell(
        "snapshots",
        &json!({"machine": "DC0_C0-vm0001", "hours": [500, 73, 71], "address": "10.0.0.2", "guest": "time.example.org"}),
    );
    peer.tell(
        "scheduled",
        &json!({"name": "nightly", "enabled": true, "calls": "RebootGuest"}),
    );
    peer.tell(
        "scheduled",
        &json!({"name": "never", "enabled": false, "calls": "PowerOffVM_Task"}),
    );
    peer.tell("rights", &json!({"missing": MISSING}));
}

async fn checkup(peer: &Peer) -> Checkup {
    peer.connect().await.checkup().await.unwrap()
}

fn host(n: u32) -> String {
    format!("DC0_C0_H{n}")
}

#[tokio::test]
async fn an_estate_in_order_says_little() {
    let Some(peer) = Peer::start(4, 24) else {
        return;
    };
    let found = checkup(&peer).await;
    println!("{found}");
    let [cluster] = &found.clusters[..] else {
        panic!("one cluster: {found:?}");
    };
    assert_eq!((cluster.hosts.len(), cluster.running), (4, 24));
    assert!(
        matches!(cluster.may_lose, MayLose::Each { .. }),
        "{cluster:?}"
    );
    assert_eq!(cluster.pinned, []);
    assert_eq!(cluster.old_snapshots, []);
    assert_eq!(cluster.missing_rights, Vec::<String>::new());
    assert_eq!(cluster.acts_itself, ["DRS moves machines"]);
    for host in &cluster.hosts {
        assert!(host.connected && !host.in_maintenance, "{host:?}");
        assert!(
            host.version.as_deref().unwrap().starts_with("VMware ESXi"),
            "{host:?}"
        );
        // The simulator's own: two devices with a path each.
        let paths = host.paths.as_ref().unwrap();
        assert_eq!(
            (paths.all, &*paths.down, paths.single),
            (2, &[] as &[String], 0)
        );
    }
    assert_eq!(
        (&*found.scheduled, &*found.not_seen),
        (&[] as &[_], &[] as &[String])
    );

    peer.tell("scheduled", &json!({"none": true}));
    let found = checkup(&peer).await;
    assert_eq!(found.not_seen.len(), 1, "{:?}", found.not_seen);
    let start = "tasks that the vCenter begins by itself: ";
    assert!(found.not_seen[0].starts_with(start), "{:?}", found.not_seen);
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_roll_is_named() {
    let Some(peer) = Peer::start(3, 12) else {
        return;
    };
    trouble(&peer);
    let found = checkup(&peer).await;
    println!("{found}");
    let cluster = &found.clusters[0];

    let MayLose::NotAll { hosts, .. } = &cluster.may_lose else {
        panic!("{:?}", cluster.may_lose);
    };
    let stays = &cluster.pinned[0];
    assert_eq!(stays.vm, "DC0_C0-vm0003");
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    assert_eq!(hosts[0].0, stays.host);
    assert!(hosts[0].1.contains("DC0_C0-vm0003"), "{hosts:?}");

    let paths = cluster.hosts[0].paths.as_ref().unwrap();
    assert_eq!((paths.all, paths.single), (7, 2));
    assert_eq!(
        paths.down,
        ["vmhba0:C0:T0:L2", "vmhba1:C0:T0:L1", "vmhba1:C0:T0:L2"]
    );

    let old: Vec<(&str, i64)> = cluster
        .old_snapshots
        .iter()
        .map(|snapshot| (&*snapshot.name, snapshot.hours))
        .collect();
    assert_eq!(old, [("500 hours old", 500), ("73 hours old", 73)]);

    assert_eq!(cluster.missing_rights, MISSING);
    assert_eq!(found.scheduled.len(), 1);
    assert_eq!(
        (&*found.scheduled[0].name, &*found.scheduled[0].calls),
        ("nightly", "RebootGuest")
    );
    assert_eq!(found.not_seen, Vec::<String>::new());

    // One of the two name servers is a machine of this vCenter, and so is the time server, by the name it has of itself.
    let machine = Some(ComponentId::from("DC0_C0-vm0001"));
    let supports: Vec<_> = found
        .supports
        .iter()
        .map(|support| {
            (
                support.kind,
                &*support.name,
                support.hosts.len(),
                &support.machine,
            )
        })
        .collect();
    assert_eq!(
        supports,
        [
            (SupportKind::Dns, "10.0.0.2", 3, &machine),
            (SupportKind::Dns, "10.0.0.3", 1, &None),
            (SupportKind::Ntp, "TIME.example.org", 1, &machine),
            (SupportKind::Domain, "example.org", 1, &None),
        ]
    );

    let text = found.to_string();
    for line in [
        "cannot do without DC0_C0_H",
        "DC0_C0_H0: paths to storage down: 3 of 7 (vmhba0:C0:T0:L2, vmhba1:C0:T0:L1, vmhba1:C0:T0:L2), devices with one path left: 2",
        "DC0_C0-vm0001 has a snapshot of 500 h: 500 hours old",
        "missing right: Host.Config.Maintenance",
        "DNS server 10.0.0.2 of DC0_C0_H0, DC0_C0_H1, DC0_C0_H2: the machine DC0_C0-vm0001",
        "DNS server 10.0.0.3 of DC0_C0_H0: no machine that is seen here; say who patches it",
        "nightly: RebootGuest",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn looking_changes_nothing() {
    let Some(peer) = Peer::start(3, 12) else {
        return;
    };
    let before = peer.ask("truth");
    checkup(&peer).await;
    assert_eq!(peer.ask("truth"), before);
    assert_eq!(peer.ask("journal"), json!([]));
}

#[tokio::test]
async fn a_transcript_says_nothing_of_the_estate_and_is_read_once_more() {
    let Some(peer) = Peer::start(3, 12) else {
        return;
    };
    trouble(&peer);
    let transcript = Transcript::new();
    let config = peer.config().with_transcript(transcript.clone());
    let vcenter = VCenter::connect(config).await.unwrap();
    // The session ends in the middle: the second login is not noted either.
    peer.tell(
        "rules",
        &json!({"method": "CurrentTime", "fault": "NotAuthenticated", "count": 1}),
    );
    let live = vcenter.checkup().await.unwrap();

    let text = transcript.to_string();
    for own in [
        "DC0",
        "vm0001",
        "example.org",
        "10.0.0",
        "nightly",
        "hours old",
        "administrator",
        USER,
        PASSWORD,
        peer.server(),
        "vmhba",
        "session[",
        vcenter.instance_uuid(),
    ] {
        assert!(!text.contains(own), "{own}");
    }

    let replayed = VCenter::replayed(Transcript::from_lines(&text).unwrap()).unwrap();
    let replayed = replayed.checkup().await.unwrap();
    println!("{replayed}");
    assert_eq!(counts(&replayed), counts(&live));
    assert_eq!(replayed.vcenter, live.vcenter);

    // It answers what it was written of, in that order, and nothing else.
    let other = VCenter::replayed(Transcript::from_lines(&text).unwrap()).unwrap();
    let refused = other.cluster_named("text-1").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused:?}");
    let empty = VCenter::replayed(Transcript::new()).unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::InvalidInput, "{empty:?}");
}

/// All of a look that is no name; the order of names is another one among stand-ins.
fn counts(found: &Checkup) -> String {
    fn sorted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<T> {
        let mut all: Vec<T> = all.collect();
        all.sort();
        all
    }
    let cluster = &found.clusters[0];
    let paths = cluster.hosts.iter().map(|host| {
        let paths = host.paths.as_ref();
        paths.map(|paths| (paths.all, paths.down.len(), paths.single))
    });
    let hours = cluster.old_snapshots.iter().map(|snapshot| snapshot.hours);
    let supports = found.supports.iter();
    let supports = supports.map(|on| (on.kind, on.hosts.len(), on.machine.is_some()));
    let MayLose::NotAll { hosts, .. } = &cluster.may_lose else {
        panic!("{:?}", cluster.may_lose);
    };
    format!(
        "{} run, {} stay, {} not lost, {} begin, paths {:?}, hours {:?}, rights {:?}, supports {:?}",
        cluster.running,
        cluster.pinned.len(),
        hosts.len(),
        found.scheduled.len(),
        sorted(paths),
        sorted(hours),
        cluster.missing_rights,
        sorted(supports),
    )
}
