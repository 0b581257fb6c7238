//! That nothing of what a vCenter tells is left out: by its pages, and by what was so before anybody listened.

use std::time::Duration;

use patchcore::{
    SystemClock,
    clock::Clock as _,
    provider::{CancelToken, SubjectResult},
};

use crate::{
    conformance::{host, machine, truth},
    peer::Peer,
    updates::{begun, calls, connected, ctx, followed, of, slow, to},
};

#[tokio::test]
async fn what_was_over_before_anybody_listened_is_in_the_first_answer() {
    let Some(peer) = Peer::start(3, 1) else {
        return;
    };
    slow(&peer, "RelocateVM_Task", 50);
    let cluster = connected(&peer).await;
    let (op, handle) = begun(&cluster, "run-1/vm/migrate/1", to(0, 0, 1)).await;
    let waits = ctx("none", &CancelToken::new());
    for _ in 0..200 {
        waits.sleep(Duration::from_millis(300)).await;
        if truth(&peer).view.vms[&machine(0)].host == host(1) {
            break;
        }
    }
    waits.sleep(Duration::from_millis(500)).await;
    assert_eq!(truth(&peer).view.vms[&machine(0)].host, host(1));
    let began = SystemClock.now();
    let result = followed(&cluster, &op, &handle).await;
    assert!(matches!(result, SubjectResult::Done(_)), "{result:?}");
    // Not by the task, which is watched after five seconds only.
    let took = SystemClock.now().duration_since(began).as_secs();
    assert!(took < 3, "{took} s");
    assert_eq!(of(&calls(&peer), "ModifyListView"), 0);
}

#[tokio::test]
async fn an_answer_in_pages_is_taken_whole() {
    // A page has 100 objects at most.
    let Some(peer) = Peer::start(2, 240) else {
        return;
    };
    slow(&peer, "RelocateVM_Task", 200);
    let cluster = connected(&peer).await;
    let (op, handle) = begun(&cluster, "run-1/vm/migrate/1", to(0, 0, 1)).await;
    followed(&cluster, &op, &handle).await;
    // Nobody listens meanwhile, so that all that changes is told at once.
    let lane = async |nth: u32| {
        let mut begun_here = Vec::new();
        for vm in (2 + 2 * nth..220).step_by(8) {
            let key = format!("run-1/vm/migrate/{vm}");
            begun_here.push(begun(&cluster, &key, to(vm, 0, 1)).await);
        }
        begun_here
    };
    let (a, b, c, d) = tokio::join!(lane(0), lane(1), lane(2), lane(3));
    let all: Vec<_> = [a, b, c, d].into_iter().flatten().collect();
    assert!(all.len() > 100);
    calls(&peer);
    for (op, handle) in &all {
        let result = followed(&cluster, op, handle).await;
        assert!(matches!(result, SubjectResult::Done(_)), "{result:?}");
    }
    let calls = calls(&peer);
    assert!(of(&calls, "WaitForUpdatesEx") >= 2, "{calls:?}");
    assert_eq!(of(&calls, "RetrievePropertiesEx"), 0, "{calls:?}");
}
