//! A correct provider with one planted fault: its operations.

use std::{sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Failure, Result,
    provider::{
        Baseline, Begun, CancelToken, DeployRequest, Evidence, Guarantee, Handle, Located,
        Observed, Op, OpContext, Operations, PortRequest, Prepared, Readiness, Settled,
        SubjectResult, Undo,
    },
};

use crate::{
    faulty::{AS_IT_IS, FaultyPorts, NEWER},
    plant::Plant,
};

fn is_apply(request: &DeployRequest) -> bool {
    matches!(request, DeployRequest::Apply { .. })
}

fn is_done(result: &SubjectResult) -> bool {
    matches!(result, SubjectResult::Done(_))
}

/// The same operation with other versions of one package.
fn with_libtls(op: &Op<DeployRequest>, version: &str) -> Op<DeployRequest> {
    let mut op = op.clone();
    if let DeployRequest::Apply { changes, .. } | DeployRequest::RollBack { changes, .. } =
        &mut op.request
    {
        for patch in changes.iter_mut().flat_map(|c| &mut c.patches) {
            if patch.patch == "libtls" {
                patch.to = Some(version.into());
            }
        }
    }
    op
}

/// The same operation from the version that somebody else put in.
fn from_whatever(op: &Op<DeployRequest>) -> Op<DeployRequest> {
    let mut op = op.clone();
    if let DeployRequest::Apply { changes, .. } = &mut op.request {
        for patch in changes.iter_mut().flat_map(|c| &mut c.patches) {
            patch.from = Some("1.0".into());
        }
    }
    op
}

impl FaultyPorts {
    /// The key under which the target knows the operation.
    fn keyed(&self, op: &Op<DeployRequest>) -> Op<DeployRequest> {
        let mut op = op.clone();
        if let Some((_, n)) = self.traces.lock().unwrap().salts.get(&op.key) {
            op.key = format!("{}#{n}", op.key).into();
        }
        op
    }

    /// A key of its own for every begin, or for other content.
    fn salted(&self, op: &Op<DeployRequest>) -> Op<DeployRequest> {
        let mut traces = self.traces.lock().unwrap();
        let begun = traces.salts.get(&op.key).cloned();
        let n = match &begun {
            None => 0,
            Some((request, n)) if (request == &op.request) == self.has(Plant::KeyForgotten) => {
                n + 1
            }
            Some((_, n)) => *n,
        };
        if begun.is_none_or(|(request, _)| request == op.request)
            || self.has(Plant::KeyTakesAnything)
        {
            traces.salts.insert(op.key.clone(), (op.request.clone(), n));
        }
        drop(traces);
        self.keyed(op)
    }

    /// A handle as this provider gives it out.
    fn hand_out(&self, mut handle: Handle) -> Handle {
        match self.plant {
            Plant::HandleOfThisProcess => {
                let handles = &mut self.process.lock().unwrap().handles;
                handles.push(handle);
                Handle::new(1, &(handles.len() - 1)).unwrap()
            }
            Plant::SecretInHandle => {
                handle.body["login"] = "correct-horse-battery".into();
                handle
            }
            _ => handle,
        }
    }

    /// A result as this provider gives it out.
    fn report(&self, op: &Op<DeployRequest>, mut settled: Settled) -> Settled {
        if !is_apply(&op.request) {
            return settled;
        }
        if self.has(Plant::SubjectNotSettled) && settled.subjects.len() > 1 {
            settled.subjects.pop_last();
        }
        let many = settled.subjects.len() > 1;
        let failed = settled.subjects.values().find(|r| !is_done(r)).cloned();
        let done = settled.subjects.values().find(|r| is_done(r)).cloned();
        for result in settled.subjects.values_mut() {
            let believed = || {
                let at = patchcore::Timestamp::MAX;
                SubjectResult::Done(Evidence::observed(at, "exit 0"))
            };
            match (self.plant, &mut *result) {
                (Plant::ExitCodeBelieved, SubjectResult::Failed(failure))
                    if failure.kind == ErrorKind::VerifyFailed =>
                {
                    *result = believed();
                }
                (Plant::FailureCalledDone, SubjectResult::Failed(failure))
                    if failure.kind == ErrorKind::InstallFailed && !many =>
                {
                    *result = believed();
                }
                (Plant::SuccessCalledFailed, SubjectResult::Done(_)) if !many => {
                    let error = Error::new(ErrorKind::InstallFailed, "a warning was printed");
                    *result = SubjectResult::Failed(Failure::from(&error));
                }
                (Plant::FailureSpreads, SubjectResult::Done(_)) => {
                    *result = failed.clone().unwrap_or_else(|| result.clone());
                }
                (Plant::SuccessSpreads, SubjectResult::Failed(_)) => {
                    *result = done.clone().unwrap_or_else(|| result.clone());
                }
                (Plant::NobodyToBlame, SubjectResult::Failed(failure)) => failure.blames.clear(),
                (Plant::OldEvidence, SubjectResult::Done(evidence)) => {
                    evidence.as_of -= Duration::from_secs(24 * 3600);
                }
                _ => {}
            }
        }
        let mut traces = self.traces.lock().unwrap();
        traces.results.push((op.request.clone(), settled.clone()));
        settled
    }

    /// The newest result of the same subjects, whosever it is.
    fn stale(&self, op: &Op<DeployRequest>) -> Option<Settled> {
        let traces = self.traces.lock().unwrap();
        let subjects = op.request.subjects();
        let same = |request: &DeployRequest| request.subjects() == subjects;
        let newest = traces.results.iter().rev().find(|(r, _)| same(r));
        newest
            .filter(|_| is_apply(&op.request))
            .map(|(_, s)| s.clone())
    }

    fn readiness(&self, request: &DeployRequest, is: Readiness, ctx: &OpContext) -> Readiness {
        match (self.plant, is) {
            (Plant::AlwaysHolds, Readiness::Ready) if is_apply(request) => {
                Readiness::AlreadyHolds(Evidence::observed(ctx.now(), "probably"))
            }
            (Plant::NeverHolds, Readiness::AlreadyHolds(_)) if is_apply(request) => {
                Readiness::Ready
            }
            (Plant::DriftIgnored, Readiness::Blocked(reasons))
                if reasons
                    .iter()
                    .all(|b| b.failure.kind == ErrorKind::PlanDrift) =>
            {
                Readiness::Ready
            }
            (Plant::DriftMisnamed, Readiness::Blocked(mut reasons)) => {
                for blocker in &mut reasons {
                    if blocker.failure.kind == ErrorKind::PlanDrift {
                        blocker.failure.kind = ErrorKind::Unhealthy;
                    }
                }
                Readiness::Blocked(reasons)
            }
            (Plant::LockIsFinal, Readiness::Blocked(mut reasons)) => {
                reasons.iter_mut().for_each(|b| b.passes = false);
                Readiness::Blocked(reasons)
            }
            (_, is) => is,
        }
    }
}

#[async_trait]
impl Operations<DeployRequest> for FaultyPorts {
    fn guarantee(&self, op: &Op<DeployRequest>) -> Guarantee {
        if self.has(Plant::StateOnlyOfMany) {
            let quiet_after = Duration::from_secs(600);
            return Guarantee::StateOnly { quiet_after };
        }
        self.inner().guarantee(op)
    }

    fn undo(&self, op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        match (self.plant, &op.request) {
            (Plant::UndoForward, DeployRequest::Apply { changes, staged }) => {
                Undo::By(DeployRequest::RollBack {
                    changes: changes.clone(),
                    staged: staged.clone(),
                })
            }
            (Plant::UndoByDiscard, DeployRequest::Apply { staged, .. }) => {
                Undo::By(DeployRequest::Discard {
                    components: op.request.subjects().into_iter().collect(),
                    staged: staged.clone(),
                })
            }
            (Plant::UndoChanges, DeployRequest::Apply { .. }) if self.second_time() => {
                let why = "it was asked already".to_owned();
                Undo::Unavailable { why }
            }
            _ => self.inner().undo(op),
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &DeployRequest) -> Result<Prepared> {
        match (self.plant, request) {
            (Plant::UnclaimedVerbMisnamed, DeployRequest::Reboot { .. }) => {
                return Err(Error::new(ErrorKind::InvalidInput, "what is a restart"));
            }
            (Plant::DiscardOnlyOnce, DeployRequest::Discard { .. })
                if self.calls.fetch_add(1, Ordering::Relaxed) > 0 =>
            {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    "there is nothing to discard",
                ));
            }
            _ => {}
        }
        let mut prepared = self.inner().prepare(ctx, request).await?;
        for readiness in prepared.subjects.values_mut() {
            let is = std::mem::replace(readiness, Readiness::Ready);
            *readiness = self.readiness(request, is, ctx);
        }
        let ready = prepared.subjects.values().all(|r| *r == Readiness::Ready);
        match self.plant {
            Plant::SubjectNotPrepared if prepared.subjects.len() > 1 => {
                prepared.subjects.pop_last();
            }
            Plant::PrepareActs if ready && is_apply(request) => self.touch(AS_IT_IS).await,
            Plant::BaselineOfThisProcess if is_apply(request) => {
                let baselines = &mut self.process.lock().unwrap().baselines;
                baselines.push(prepared.baseline);
                prepared.baseline = Baseline::new(1, &(baselines.len() - 1)).unwrap();
            }
            _ => {}
        }
        Ok(prepared)
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Begun> {
        if is_apply(&op.request) {
            self.traces.lock().unwrap().applied = true;
        }
        let ctx = &self
            .unfenced(ctx, op.request.subjects().pop_first())
            .await?;
        let begun = match (self.plant, &op.request) {
            (Plant::RefreshInstalls, DeployRequest::Refresh { .. })
            | (Plant::StageInstalls, DeployRequest::Stage { .. })
            | (Plant::MoreGoesIn, DeployRequest::Apply { .. }) => {
                let begun = self.inner().begin(ctx, op).await?;
                if matches!(begun, Begun::Started(_)) {
                    self.touch(NEWER).await;
                }
                begun
            }
            (Plant::NewestGoesIn, DeployRequest::Apply { .. }) => {
                self.inner().begin(ctx, &with_libtls(op, "1.3")).await?
            }
            (Plant::RollBackTooFar, DeployRequest::RollBack { .. }) => {
                self.inner().begin(ctx, &with_libtls(op, "1.0")).await?
            }
            (Plant::RestartOnlySaid, DeployRequest::Reboot { components }) => {
                let evidence = Evidence::observed(ctx.now(), "the command was sent");
                Begun::Settled(Settled::done(components[0].clone(), evidence))
            }
            (Plant::KeyForgotten | Plant::KeyTakesAnything, DeployRequest::Apply { .. }) => {
                self.inner().begin(ctx, &self.salted(op)).await?
            }
            (Plant::DriftPassedOver, DeployRequest::Apply { .. }) => {
                let begun = self.inner().begin(ctx, op).await?;
                let drifted = matches!(&begun, Begun::Refused(f) if f.kind == ErrorKind::PlanDrift);
                if drifted {
                    self.inner().begin(ctx, &from_whatever(op)).await?
                } else {
                    begun
                }
            }
            (Plant::StaleBegin, DeployRequest::Apply { .. }) => match self.stale(op) {
                Some(settled) if self.inner().locate(ctx, op).await? == Located::NotFound => {
                    Begun::Settled(settled)
                }
                _ => self.inner().begin(ctx, op).await?,
            },
            (Plant::BaselineOfThisProcess, DeployRequest::Apply { .. }) => {
                let ticket: usize = op.baseline.read(1)?;
                let known = self.process.lock().unwrap().baselines.len() > ticket;
                if !known && self.inner().locate(ctx, op).await? == Located::NotFound {
                    return Err(Error::new(ErrorKind::ProviderFault, "no such baseline"));
                }
                self.inner().begin(ctx, op).await?
            }
            (Plant::RefusesAfterwards, DeployRequest::Apply { .. }) if ctx.is_cancelled() => {
                let clock = ctx.clock().clone();
                let ignores = OpContext::reading(clock, ctx.deadline(), CancelToken::new());
                self.inner().begin(&ignores, op).await?;
                let error = Error::new(ErrorKind::Cancelled, "the caller asked to stop");
                Begun::Refused(Failure::from(&error))
            }
            _ => self.inner().begin(ctx, op).await?,
        };
        Ok(match begun {
            Begun::Started(handle) => Begun::Started(self.hand_out(handle)),
            Begun::Settled(settled) => Begun::Settled(self.report(op, settled)),
            other => other,
        })
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<DeployRequest>) -> Result<Located> {
        let deaf = ctx.clone().with_fence(0);
        let heard = match self.has(Plant::LockDeafToCalls) {
            true => &deaf,
            false => ctx,
        };
        let located = self.inner().locate(heard, &self.keyed(op)).await?;
        let applied = self.traces.lock().unwrap().applied;
        Ok(match (self.plant, located) {
            (Plant::NoTraceIsDone, Located::NotFound) if !applied => {
                let mut settled = Settled::default();
                for subject in op.request.subjects() {
                    let evidence = Evidence::observed(ctx.now(), "no failure found");
                    settled
                        .subjects
                        .insert(subject, SubjectResult::Done(evidence));
                }
                Located::Settled(settled)
            }
            (Plant::StaleLocate, Located::NotFound) => match self.stale(op) {
                Some(settled) => Located::Settled(settled),
                None => Located::NotFound,
            },
            (Plant::RunningNotFound, Located::Running(_))
            | (Plant::SettledNotFound, Located::Settled(_)) => Located::NotFound,
            (_, Located::Running(handle)) => Located::Running(self.hand_out(handle)),
            (_, Located::Settled(settled)) => Located::Settled(self.report(op, settled)),
            (_, other) => other,
        })
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        let mut handle = handle.clone();
        if self.has(Plant::HandleOfThisProcess) {
            let number: usize = handle.read(1)?;
            let known = self.process.lock().unwrap().handles.get(number).cloned();
            let Some(known) = known else {
                let why = format!("no job number {number}");
                return Ok(Observed::Lost { why });
            };
            handle = known;
        }
        if self.has(Plant::ObserveWaits) {
            ctx.sleep(Duration::from_secs(600)).await;
        }
        let mut observed = self.inner().observe(ctx, &self.keyed(op), &handle).await?;
        if let Observed::Running { poll_after, .. } = &mut observed
            && self.has(Plant::NoPause)
        {
            *poll_after = Duration::ZERO;
        }
        Ok(match observed {
            Observed::Settled(settled) => {
                let failed = settled.subjects.values().any(|r| !is_done(r));
                if self.has(Plant::FailureCalledLost) && failed && settled.subjects.len() == 1 {
                    let why = "the tool ended by a status that nobody knows".to_owned();
                    return Ok(Observed::Lost { why });
                }
                Observed::Settled(self.report(op, settled))
            }
            other => other,
        })
    }
}
