//! A correct provider with one planted fault: its drainer.

use async_trait::async_trait;
use patchcore::{
    Result,
    id::{ComponentId, OpKey},
    provider::{
        Baseline, Begun, Blocker, ClusterDrainer, ClusterView, DrainRequest, DrainerCapabilities,
        Evidence, Guarantee, Handle, Located, Observed, Op, OpContext, Operations, Prepared,
        Readiness, Settled, SubjectResult, Undo,
    },
};

use crate::{faulty::FaultyPorts, plant::Plant};

impl FaultyPorts {
    fn drainer(&self) -> &dyn ClusterDrainer {
        &**self.inner.drainer.as_ref().unwrap()
    }

    /// The host that a machine is on.
    async fn host_of(&self, ctx: &OpContext, vm: &ComponentId) -> Result<ComponentId> {
        let view = self.drainer().view(ctx, &"cluster-1".into()).await?;
        Ok(view.vms[vm].host.clone())
    }
}

#[async_trait]
impl ClusterDrainer for FaultyPorts {
    fn capabilities(&self) -> DrainerCapabilities {
        self.drainer().capabilities()
    }

    async fn view(&self, ctx: &OpContext, cluster: &ComponentId) -> Result<ClusterView> {
        let mut view = self.drainer().view(ctx, cluster).await?;
        if self.has(Plant::HostLeftOut) {
            view.hosts.pop_last();
        }
        if self.has(Plant::ViewFromCache) {
            let mut process = self.process.lock().unwrap();
            return Ok(process.view.get_or_insert(view).clone());
        }
        Ok(view)
    }
}

#[async_trait]
impl Operations<DrainRequest> for FaultyPorts {
    fn guarantee(&self, op: &Op<DrainRequest>) -> Guarantee {
        self.drainer().guarantee(op)
    }

    fn undo(&self, op: &Op<DrainRequest>) -> Undo<DrainRequest> {
        match (self.plant, &op.request, self.drainer().undo(op)) {
            (Plant::MaintenanceWithoutUndo, DrainRequest::EnterMaintenance { .. }, _) => {
                Undo::Nothing
            }
            (Plant::MoveIsALoan, DrainRequest::Migrate { vm, from, to, how }, _) => {
                Undo::By(DrainRequest::Migrate {
                    vm: vm.clone(),
                    from: to.clone(),
                    to: from.clone(),
                    how: *how,
                })
            }
            (_, _, undo) => undo,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DrainRequest) -> Result<Prepared> {
        let mut request = request.clone();
        let mut at_home = false;
        if let DrainRequest::Migrate { vm, from, .. } = &mut request {
            let now = self.host_of(ctx, vm).await?;
            at_home = *from == now;
            if self.has(Plant::MoveFromAnywhere) {
                *from = now;
            }
        }
        let mut prepared = self.drainer().prepare(ctx, &request).await?;
        let answer = prepared.subjects.get_mut(request.subject()).unwrap();
        let seen = Evidence::observed(ctx.now(), "so it is");
        match (self.plant, &request, &*answer) {
            (Plant::MoveAnywhere, DrainRequest::Migrate { .. }, Readiness::Blocked(_))
                if at_home =>
            {
                *answer = Readiness::Ready;
            }
            (
                Plant::MaintenanceUnderMachines,
                DrainRequest::EnterMaintenance { .. },
                Readiness::Blocked(_),
            ) => *answer = Readiness::Ready,
            (Plant::SettingFightPassedOver, _, Readiness::ChangedMeanwhile { .. }) => {
                *answer = Readiness::AlreadyHolds(seen);
            }
            (Plant::ExitOnce, DrainRequest::ExitMaintenance { .. }, Readiness::AlreadyHolds(_)) => {
                let error = patchcore::Error::new(patchcore::ErrorKind::NotFound, "not there");
                *answer = Readiness::Blocked(vec![Blocker::from_error(&error)]);
            }
            _ => {}
        }
        Ok(prepared)
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DrainRequest>) -> Result<Begun> {
        let only_said = match (self.plant, &op.request) {
            // The host that nothing runs on.
            (Plant::MaintenanceOnlySaid, DrainRequest::EnterMaintenance { host }) => {
                *host == "host-2"
            }
            (Plant::MoveOnlySaid, DrainRequest::Migrate { .. })
            | (Plant::StartOnlySaid, DrainRequest::Start { .. })
            | (Plant::RestoreOnlySaid, DrainRequest::RestoreSetting { .. }) => true,
            _ => false,
        };
        if only_said {
            let said = SubjectResult::Done(Evidence::observed(ctx.now(), "done"));
            let subject = op.request.subject().clone();
            return Ok(Begun::Settled(Settled {
                subjects: [(subject, said)].into(),
            }));
        }
        let mut op = op.clone();
        let again = {
            let mut traces = self.traces.lock().unwrap();
            let again = traces.drains.contains(&op.key);
            traces.drains.push(op.key.clone());
            again
        };
        if self.has(Plant::MovedAnew) && again {
            op.key = OpKey::from(format!("{}/again", op.key));
        }
        self.drainer().begin(ctx, &op).await
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DrainRequest>) -> Result<Located> {
        if self.has(Plant::MoveNotFound) {
            return Ok(Located::NotFound);
        }
        let found = self.drainer().locate(ctx, op).await?;
        let moves = matches!(op.request, DrainRequest::Migrate { .. });
        if self.has(Plant::LocateMoves) && moves && found == Located::NotFound {
            let op = Op::new(op.key.clone(), op.request.clone(), Baseline::empty());
            self.drainer().begin(ctx, &op).await?;
        }
        Ok(found)
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DrainRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        self.drainer().observe(ctx, op, handle).await
    }
}
