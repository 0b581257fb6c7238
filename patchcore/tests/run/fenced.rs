//! A run that was taken over by another process begins nothing any more.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    ErrorKind, Journal, Result,
    clock::Clock as _,
    provider::{Begun, DeployRequest, Deployer, Guarantee, Located, Op, OpContext},
    sim::Script,
};

use super::{
    estate::{Folder, policy, sim},
    twist::{self, Twist},
};

/// When somebody takes the journal away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Right before the first begin of the patch: nothing is written between the look and the begin.
    BeforeTheFirst,
    /// Right before it would be begun again.
    BeforeTheSecond,
}

#[derive(Debug)]
struct TakenAway {
    journal: PathBuf,
    when: When,
    located: AtomicU32,
    begins: AtomicU32,
    /// What a call of this run was given.
    seen: Mutex<Option<OpContext>>,
}

#[async_trait]
impl Twist for TakenAway {
    async fn locate(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Located> {
        *self.seen.lock().unwrap() = Some(ctx.clone());
        let found = sim.locate(ctx, op).await;
        if matches!(op.request, DeployRequest::Apply { .. }) {
            let nth = self.located.fetch_add(1, Ordering::SeqCst);
            let now = match self.when {
                When::BeforeTheFirst => nth == 0,
                When::BeforeTheSecond => nth == 1,
            };
            if now {
                let raw = rusqlite::Connection::open(&self.journal).unwrap();
                raw.execute("UPDATE meta SET epoch = epoch + 1", [])
                    .unwrap();
            }
        }
        found
    }

    async fn begin(
        &self,
        sim: &dyn Deployer,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
    ) -> Result<Begun> {
        if matches!(op.request, DeployRequest::Apply { .. }) {
            self.begins.fetch_add(1, Ordering::SeqCst);
        }
        sim.begin(ctx, op).await
    }
}

#[tokio::test]
async fn whoever_was_replaced_begins_nothing() {
    for (when, begins) in [(When::BeforeTheFirst, 0), (When::BeforeTheSecond, 1)] {
        let folder = Folder::new();
        let sim = sim()
            .with_guarantee_for(
                "apply",
                Guarantee::StateOnly {
                    quiet_after: Duration::from_secs(1800),
                },
            )
            .script(Script::loses_request("apply", 1).on("t-1"));
        let journal = Journal::open(folder.journal()).unwrap();
        let taken = Arc::new(TakenAway {
            journal: folder.journal(),
            when,
            located: AtomicU32::new(0),
            begins: AtomicU32::new(0),
            seen: Mutex::default(),
        });
        let run = twist::started(&sim, &taken, &policy(&[]), &journal).await;
        let error = run.finished().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::JournalInUse, "{when:?}: {error:?}");
        let seen = taken.seen.lock().unwrap().clone().unwrap();
        assert!(
            seen.is_cancelled(),
            "{when:?}: nobody told its tool to stop"
        );
        // Time goes on for whoever is left over.
        let later = sim.clock().now() + Duration::from_secs(86_400);
        sim.clock().advance_to(later);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(taken.begins.load(Ordering::SeqCst), begins, "{when:?}");
        let installed = sim.history("t-1").unwrap();
        assert_eq!(installed.times_installed("nginx", "1.1-1"), 0, "{when:?}");
    }
}
