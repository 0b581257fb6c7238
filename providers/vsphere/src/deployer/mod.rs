//! The image of the cluster, put into its hosts by vSphere Lifecycle Manager.

mod asked;
mod check;
mod doing;
pub(crate) mod now;
mod over;
mod ready;
pub(crate) mod scan;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    estate::Scan,
    id::ComponentId,
    provider::{
        Baseline, Begun, DeployRequest, Deployer, DeployerCapabilities, Guarantee, Handle, Located,
        Observed, Op, OpContext, Operations, PerComponent, PortRequest, Prepared, Readiness,
        Settled, SubjectResult, Undo,
    },
};

pub(crate) use self::{asked::Asked, check::LastCheck};
use self::{
    doing::{Before, V},
    now::{HostNow, ImageNow},
};
use crate::drainer::{VsphereCluster, together::Together};

/// A call that was sent is a task within this time, or never one.
const CONSISTENCY: Duration = Duration::from_secs(10);

/// How long a vCenter surely knows a task of vLCM. It is not documented; what a host runs tells the same afterwards.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// From which version of the API an image can be staged.
const STAGES: &str = "8.0.0.1";

fn unsupported(request: &DeployRequest) -> Error {
    let what = match request {
        DeployRequest::Reboot { .. } => "a restart without an image",
        DeployRequest::RollBack { .. } => "a way back",
        _ => "this request",
    };
    Error::new(
        ErrorKind::Unsupported,
        format!("{what} is not offered for hosts of a vCenter"),
    )
    .consequence("nothing was begun")
}

/// Hosts that are scanned at the same time, and what was read for all of them.
pub(crate) type Scans = Together<BTreeSet<ComponentId>, Scanned>;

/// What is read for scans.
#[derive(Debug)]
pub(crate) struct Scanned {
    hosts: BTreeMap<ComponentId, Result<HostNow>>,
    image: Option<ImageNow>,
    at: Timestamp,
    /// The vCenter's clock then.
    clock: Timestamp,
}

impl VsphereCluster {
    async fn scanned(&self, ctx: &OpContext, asked: &BTreeSet<ComponentId>) -> Result<Scanned> {
        let (hosts, clock) = self.hosts_now(asked, false).await?;
        let image = self.image_for_scan(&hosts).await?;
        let at = ctx.now();
        Ok(Scanned {
            hosts,
            image,
            at,
            clock,
        })
    }

    fn can(&self) -> DeployerCapabilities {
        let mut can = DeployerCapabilities::default();
        can.refresh = true;
        can.stage = at_least(self.inner.vcenter.api_version(), STAGES);
        can.restarts_with_apply = true;
        can
    }
}

/// Whether a version such as `8.0.3.0` is this one or a later one; one that cannot be read is not.
fn at_least(version: &str, least: &str) -> bool {
    let parts = |text: &str| {
        let parts = text.split('.').map(|part| part.parse::<u32>().ok());
        parts.collect::<Option<Vec<u32>>>()
    };
    parts(version).is_some_and(|version| Some(version) >= parts(least))
}

#[async_trait]
impl Deployer for VsphereCluster {
    fn capabilities(&self) -> DeployerCapabilities {
        self.can()
    }

    async fn scan(
        &self,
        ctx: &OpContext,
        components: &[ComponentId],
    ) -> Result<PerComponent<Scan>> {
        ctx.check()?;
        let asked: BTreeSet<ComponentId> = components.iter().cloned().collect();
        let read = |asked: Vec<BTreeSet<ComponentId>>| async move {
            let all = asked.into_iter().flatten().collect();
            self.scanned(ctx, &all).await.map(Some)
        };
        let read = match self.inner.scans.look(asked.clone(), read).await? {
            Some(read) => read,
            None => Arc::new(self.scanned(ctx, &asked).await?),
        };
        let mut scans = PerComponent::new();
        for id in asked {
            let Some(host) = read.hosts.get(&id).cloned() else {
                continue;
            };
            let scan = host.and_then(|host| {
                let scan = scan::scan(&id, &host, read.image.as_ref(), read.at)?;
                Ok((host, scan))
            });
            let scan = match scan {
                Ok((host, mut scan)) => {
                    self.foreseen(&mut scan, &id, &host, read.clock).await?;
                    Ok(scan)
                }
                Err(error) => Err(error.operation("scan")),
            };
            scans.insert(id, scan);
        }
        Ok(scans)
    }
}

#[async_trait]
impl Operations<DeployRequest> for VsphereCluster {
    fn guarantee(&self, _: &Op<DeployRequest>) -> Guarantee {
        Guarantee::Locatable {
            consistency_delay: CONSISTENCY,
            memory: MEMORY,
        }
    }

    fn undo(&self, op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        match op.request {
            DeployRequest::Apply { .. } => Undo::Unavailable {
                why: scan::NO_WAY_BACK.to_owned(),
            },
            _ => Undo::Nothing,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        ctx.check()?;
        if !self.can().claims(request) {
            return Err(unsupported(request).operation("prepare"));
        }
        let subjects = request.subjects();
        let look = self.look_at(request).await?;
        let answers = subjects.into_iter().map(|subject| {
            let readiness = ready::readiness(request, &subject, &look);
            (subject, readiness)
        });
        let answers: BTreeMap<ComponentId, Readiness> = answers.collect();
        if answers.values().all(|answer| *answer == Readiness::Ready) {
            self.inner.fresh.prepared(ctx);
        }
        let first = answers.keys().next().cloned().unwrap_or_else(|| self.id());
        let mut prepared = Prepared::ready(first, Baseline::new(V, &Before::of(&look))?);
        prepared.subjects = answers;
        Ok(prepared)
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        if let DeployRequest::Discard { .. } = op.request {
            let look = self.look_at(&op.request).await?;
            let mut settled = Settled::default();
            for subject in op.request.subjects() {
                if let Readiness::AlreadyHolds(saw) = ready::readiness(&op.request, &subject, &look)
                {
                    settled.subjects.insert(subject, SubjectResult::Done(saw));
                }
            }
            return Ok(Begun::Settled(settled));
        }
        self.begin_in_turn(ctx, op).await
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        ctx.check()?;
        if self.inner.fresh.is(ctx, &op.key) {
            return Ok(Located::NotFound);
        }
        let before: Before = op.baseline.read(V)?;
        if let Some(task) = self.api_task_of(op, &before).await? {
            return Ok(match task.is_open() {
                true => Located::Running(Self::handle_of(&task)?),
                false => Located::Settled(self.judged(op, &before, Some(&task)).await?),
            });
        }
        Ok(match self.holds(op, &before).await? {
            Some(settled) => Located::Settled(settled),
            None => Located::NotFound,
        })
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        ctx.check()?;
        self.observed(ctx, op, handle).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, stages) in [
            ("8.0.0.1", true),
            ("8.0.10.0", true),
            ("9.0", true),
            ("8.0.0.0", false),
            ("7.0.3.0", false),
            ("next", false),
        ] {
            assert_eq!(at_least(version, STAGES), stages, "{version}");
        }
    }
}
