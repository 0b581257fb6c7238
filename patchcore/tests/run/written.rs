//! That what need not be on the disk at once is there a moment later.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Journal, Result,
    clock::{Clock as _, SystemClock},
    provider::{DeployRequest, Deployer, OpContext, Prepared},
};

use super::{
    estate::{ALL, Folder, policy, sim},
    twist::{self, Twist},
};

/// Waits with each application until the journal has the result of the staging before it; what was there at once, and
/// what after that.
#[derive(Debug)]
struct Waits {
    journal: Journal,
    seen: Mutex<Vec<(bool, bool)>>,
}

impl Waits {
    async fn has_result(&self, component: &str) -> bool {
        let run = self.journal.runs().await.unwrap().pop().unwrap().id;
        let events = self.journal.events(run, 0, 10_000).await.unwrap();
        let stream = format!("component/{component}");
        let mut own = events.iter().filter(|event| event.stream == stream);
        own.any(|event| event.kind == "settled")
    }
}

#[async_trait]
impl Twist for Waits {
    async fn prepare(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        request: &DeployRequest,
    ) -> Result<Prepared> {
        if let DeployRequest::Apply { changes, .. } = request {
            let component = changes[0].component.as_str();
            let at_once = self.has_result(component).await;
            // Virtual time, and far less than until the driver looks for commands.
            ctx.sleep(Duration::from_millis(300)).await;
            let patience = SystemClock.now() + Duration::from_secs(20);
            let mut is_there = self.has_result(component).await;
            while !is_there && SystemClock.now() < patience {
                SystemClock.pause(Duration::from_millis(5)).await;
                is_there = self.has_result(component).await;
            }
            self.seen.lock().unwrap().push((at_once, is_there));
        }
        sim.prepare(ctx, request).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_lost_is_written_a_moment_later_all_the_same() {
    let folder = Folder::new();
    let (sim, policy) = (sim(), policy(&[]));
    let journal = Journal::open(folder.journal()).unwrap();
    let waits = Arc::new(Waits {
        journal: journal.clone(),
        seen: Mutex::default(),
    });
    let run = twist::started(&sim, &waits, &policy, &journal).await;
    run.finished().await.unwrap();
    let seen = waits.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), ALL.len(), "{seen:?}");
    assert!(seen.iter().any(|(at_once, _)| !at_once), "nothing waits");
    assert!(seen.iter().all(|(_, is_there)| *is_there), "{seen:?}");
}
