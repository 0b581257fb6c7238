//! What vLCM's own check refuses is told before anything is done to a machine.

use std::{sync::Arc, time::Duration};

use patchcore::{
    ClusterRoll, ErrorKind, Estate, Failure, Journal, Policy, Standing, SystemClock,
    clock::Clock as _,
    execute::kernel::RunVerdict,
    plan::roll::{Answer, Objective, RollPlan, Wish, plan},
    provider::{
        CancelToken, ClusterSetting, Deployer, DrainRequest, OpContext, Operations, Readiness,
    },
};
use patchcore_vsphere::VsphereCluster;
use serde_json::json;

use crate::{
    conformance::{CLUSTER, host},
    deployer::{cluster, ctx},
    image::{NEW_IMAGE, commit, quick},
    peer::Peer,
};

const POLICY: &str = r#"
policy = 1
name = "hosts"
approval = { needs = 1, from = ["maria"] }

[patches]
take = ["other"]

[[window]]
name = "always"
when = "any time"

[[ring]]
name = "cluster"
select = "kind = host"
at_once = "1"
soak = "1s"
"#;

/// Hosts that run the old image, some machines, and the new image.
pub(crate) fn stand(hosts: u32, machines: u32) -> Option<Peer> {
    let peer = Peer::start(hosts, machines)?;
    quick(&peer);
    commit(&peer, NEW_IMAGE);
    Some(peer)
}

fn finds(peer: &Peer, what: &serde_json::Value) {
    peer.tell("image", &json!({"cluster": CLUSTER, "unfit": what}));
}

/// What stands against hosts.
async fn stands(on: &VsphereCluster, hosts: &[u32]) -> Vec<Failure> {
    let hosts: Vec<_> = hosts.iter().map(|n| host(*n)).collect();
    let blockers = on.check(&ctx(), &hosts).await.unwrap();
    blockers.into_iter().map(|b| b.failure).collect()
}

fn told(failures: &[Failure]) -> Vec<(ErrorKind, String)> {
    let each = failures.iter();
    each.map(|f| (f.kind, f.message.clone())).collect()
}

#[tokio::test]
async fn all_that_a_check_refuses_is_told_at_once_with_its_remedy() {
    let Some(peer) = stand(4, 6) else { return };
    let full = json!({"check": "Boot bank", "what": "It has 2 MB left.", "remedy": "Free 200 MB."});
    let slow = json!({"check": "vSAN", "what": "It does not answer.", "status": "TIMEOUT"});
    let warned = json!({"check": "Time", "what": "It is off by 1 s.", "status": "WARNING"});
    finds(
        &peer,
        &json!({host(0).as_str(): [full, slow], host(1).as_str(): [warned], CLUSTER: [{"check": "Depot", "what": "A component is missing."}]}),
    );
    let on = cluster(&peer).await;
    let all = stands(&on, &[0, 1, 2]).await;
    let expect = [
        (
            ErrorKind::Unhealthy,
            format!("vLCM's check refuses {CLUSTER}: Depot: A component is missing."),
        ),
        (
            ErrorKind::Unhealthy,
            format!(
                "vLCM's check refuses {}: Boot bank: It has 2 MB left.",
                host(0)
            ),
        ),
        (
            ErrorKind::Timeout,
            format!(
                "vLCM's check of {} did not come to an end: vSAN: It does not answer.",
                host(0)
            ),
        ),
    ];
    assert_eq!(told(&all), expect);
    assert_eq!(all[1].hint.as_deref(), Some("Free 200 MB."));
    assert!(all[0].hint.is_some() && all[2].hint.is_some(), "{all:?}");
    // Of those that are fine nothing is said, and who is not asked about stands in nobody's way.
    finds(&peer, &json!({CLUSTER: []}));
    assert_eq!(stands(&on, &[1, 2]).await, []);
}

#[tokio::test]
async fn what_a_check_does_not_say_counts_against_the_image() {
    let Some(peer) = stand(3, 6) else { return };
    let on = cluster(&peer).await;
    let image = |set: serde_json::Value| {
        let mut image = set;
        image["cluster"] = CLUSTER.into();
        peer.tell("image", &image);
    };
    image(json!({"unchecked": host(1).as_str()}));
    let all = stands(&on, &[0, 1]).await;
    let expect = format!("vLCM's check says nothing of {}", host(1));
    assert_eq!(told(&all), [(ErrorKind::Unhealthy, expect)]);
    // It fails as a whole.
    peer.tell(
        "rules",
        &json!({"method": "vlcm.check", "fault": "ERROR", "stage": "task", "count": 1}),
    );
    image(json!({}));
    let all = stands(&on, &[0, 1]).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].message.contains("planted"), "{all:?}");
    // Somebody else is at work.
    image(json!({"busy": "maria"}));
    let busy = on.check(&ctx(), &[host(0)]).await.unwrap();
    assert!(busy[0].passes, "{busy:?}");
    assert_eq!(busy[0].failure.kind, ErrorKind::Busy);
    image(json!({"busy": ""}));
    // An image that the hosts were not compared to, and a host that vLCM calls incompatible: no check is needed.
    image(json!({"incompatible": {host(2).as_str(): "The CPU is too old."}}));
    let all = stands(&on, &[0, 2]).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].message.contains("The CPU is too old."), "{all:?}");
    image(json!({"version": "8.0.3-0.40.24414501"}));
    let all = stands(&on, &[0]).await;
    assert!(all[0].message.contains("24414501"), "{all:?}");
}

#[tokio::test]
async fn a_check_ends_in_the_vcenter_with_who_waits_for_it() {
    let Some(peer) = stand(2, 6) else { return };
    peer.tell("rules", &json!({"method": "vlcm.check", "task_ms": 60_000}));
    let on = cluster(&peer).await;
    let stop = CancelToken::new();
    let until = SystemClock.now() + Duration::from_secs(120);
    let stopped = OpContext::reading(Arc::new(SystemClock), until, stop.clone());
    let hosts = [host(0)];
    let (answer, ()) = tokio::join!(on.check(&stopped, &hosts), async {
        ctx().sleep(Duration::from_millis(300)).await;
        stop.cancel();
    });
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Cancelled);
    peer.behave();
    // Nothing of it is left at work.
    assert_eq!(peer.ask("calls")["cis.cancel"], 1);
    assert_eq!(stands(&on, &[0]).await, []);
}

#[tokio::test]
async fn one_of_an_earlier_process_is_waited_for_and_its_answer_is_nobodys() {
    let Some(peer) = stand(2, 6) else { return };
    peer.tell(
        "rules",
        &json!({"method": "vlcm.check", "task_ms": 1500, "lose_reply": true, "count": 1}),
    );
    let lost = cluster(&peer).await.check(&ctx(), &[host(0)]).await;
    assert!(lost.unwrap_err().is_retryable());
    peer.behave();
    let found = json!([{"check": "Boot bank", "what": "It is full."}]);
    finds(&peer, &json!({host(1).as_str(): found}));
    let on = cluster(&peer).await;
    let all = stands(&on, &[1]).await;
    assert_eq!(all.len(), 1, "{all:?}");
    let calls = peer.ask("calls");
    assert_eq!(calls["vlcm.check"], 2, "{calls}");
}

#[tokio::test]
async fn two_who_hold_settings_at_once_share_a_check() {
    let Some(peer) = stand(2, 6) else { return };
    let on = cluster(&peer).await;
    let hold = |setting| DrainRequest::HoldSetting {
        cluster: CLUSTER.into(),
        setting,
        hosts: vec![host(0), host(1)],
    };
    let found = json!([{"check": "Boot bank", "what": "It is full."}]);
    finds(&peer, &json!({host(1).as_str(): found}));
    let (ctx, [one, two]) = (ctx(), ClusterSetting::ALL.map(hold));
    let (one, two) = tokio::join!(on.prepare(&ctx, &one), on.prepare(&ctx, &two));
    for prepared in [one.unwrap(), two.unwrap()] {
        let stands: Vec<_> = prepared.subjects.values().collect();
        let [Readiness::Blocked(blockers)] = &stands[..] else {
            panic!("{stands:?}");
        };
        assert!(blockers[0].failure.message.contains("It is full."));
    }
    assert_eq!(peer.ask("calls")["vlcm.check"], 1);
}

/// Plans and carries out the roll of all hosts that the plan has.
pub(crate) async fn rolled(on: &VsphereCluster) -> (String, Standing, String) {
    let estate = Estate::named("dc-south").with(on.clone());
    let journal = Journal::in_memory().unwrap();
    let policy = Policy::from_toml(POLICY, "hosts.toml").unwrap();
    let planned = estate.plan(&policy).requested_by("sam").await.unwrap();
    let shown = planned.to_string();
    let mut read = on.read().await.unwrap().cluster.for_plan(&planned);
    read.limits.max_hosts_down = Some(1);
    let wish = Wish::new(Objective::FewestMoves);
    let Answer::Planned(best) = plan(&read, &wish, &|| false).unwrap() else {
        panic!("no roll");
    };
    let roll = RollPlan::of(read, wish.objective, *best).unwrap();
    let approval = estate.approval(&planned, "maria").unwrap();
    let approved = estate.approve(planned, [approval]).unwrap();
    let (cluster, roll) = (roll.cluster().clone(), roll.roll().clone());
    let roll = ClusterRoll::new(on.id(), "vsphere", cluster, roll).holding(ClusterSetting::ALL);
    let run = estate
        .run_rolling(approved, [roll], &journal)
        .await
        .unwrap();
    let patience = Duration::from_secs(120);
    let standing = run.finished_or_parked(patience).await.unwrap();
    let report = run.report().await.unwrap().to_string();
    (shown, standing, report)
}

#[tokio::test]
async fn a_refused_host_stops_the_roll_before_any_machine_and_is_left_out_of_the_next_plan() {
    let Some(peer) = stand(3, 6) else { return };
    let bank = json!([{"check": "Boot bank", "what": "It is full.", "remedy": "Free 200 MB."}]);
    let cpu = json!([{"check": "Hardware", "what": "The controller is not certified."}]);
    finds(
        &peer,
        &json!({host(0).as_str(): bank, host(2).as_str(): cpu}),
    );
    let on = cluster(&peer).await;
    let before = peer.ask("truth");
    let (_, standing, report) = rolled(&on).await;
    assert!(standing.is_halted(), "{standing:?}\n{report}");
    for what in ["It is full.", "The controller is not certified."] {
        assert!(report.contains(what), "{report}");
    }
    // Nothing at all was done: no move, no host closed, no setting held.
    assert_eq!(peer.ask("truth"), before);
    assert_eq!(peer.ask("journal"), json!([]));

    let (shown, standing, report) = rolled(&on).await;
    assert!(
        shown.contains("Boot bank: It is full.") && shown.contains("Free 200 MB."),
        "{shown}"
    );
    let done = Standing::Ended {
        verdict: RunVerdict::Done,
    };
    assert_eq!(standing, done, "{report}");
    let after = peer.ask("truth");
    let build = |n| after["hosts"][host(n).as_str()]["build"].clone();
    let builds = [build(0), build(1), build(2)];
    assert_eq!(builds, ["22380479", "24280767", "22380479"], "{report}");
    assert_eq!(peer.ask("violations"), json!([]));

    // Put right and checked anew, they are patched.
    finds(&peer, &json!({host(0).as_str(): [], host(2).as_str(): []}));
    assert_eq!(stands(&on, &[0, 2]).await, []);
    let scans = on.scan(&ctx(), &[host(0), host(2)]).await.unwrap();
    for (_, scan) in scans {
        assert_eq!(scan.unwrap().unhealthy, []);
    }
}
