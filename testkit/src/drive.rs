//! Drives an operation as the engine does, by the fixture's clock.

use std::{collections::BTreeSet, time::Duration};

use patchcore::{
    Error, Failure,
    id::{ComponentId, OpKey},
    provider::{
        Baseline, Begun, Blocker, Change, DeployRequest, Evidence, Guarantee, Handle, Located,
        Observed, Op, Operations, PortRequest, Readiness, Settled, SubjectResult,
    },
};

use crate::{
    bench::{Bench, Connection, READING},
    check::{Checked, Verdict, fault},
};

/// Nothing in a stock runs longer than this.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// How long to wait where a provider does not say: a tenth of what the shortest real job takes.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Over, with a result per subject.
    Settled(Op<DeployRequest>, Settled),
    /// What was wanted was so already.
    AlreadyHolds,
    /// It could not begin.
    Blocked(Vec<Blocker>),
    /// The target refused.
    Refused(Failure),
    /// Gone without a result.
    Lost(String),
    /// A call failed.
    Failed(&'static str, Error),
}

const PREPARE: &str = "operations_prepare_is_ready_when_it_can_begin";
const SETTLES: &str = "operations_a_begun_operation_settles";

impl Outcome {
    /// The result, where this check is not about how it came to be.
    pub(crate) fn settled(self) -> Checked<(Op<DeployRequest>, Settled)> {
        let (see, why) = match self {
            Self::Settled(op, settled) => return Ok((op, settled)),
            Self::AlreadyHolds => (PREPARE, "prepare says that it holds already".to_owned()),
            Self::Blocked(blockers) => (PREPARE, blocked(&blockers)),
            Self::Refused(failure) => (SETTLES, format!("begin refused: {failure}")),
            Self::Lost(why) => (SETTLES, format!("it was lost: {why}")),
            Self::Failed("prepare", error) => (PREPARE, error.chain()),
            Self::Failed(call, error) => (SETTLES, format!("{call} failed: {}", error.chain())),
        };
        Err(Verdict::Unjudged { see, why })
    }

    /// The result where it is a success on every subject that it names.
    pub(crate) fn succeeded(self) -> Checked<(Op<DeployRequest>, Settled)> {
        let (op, settled) = self.settled()?;
        let failed = results(&settled).find_map(|(c, told)| told.err().map(|f| (c, f)));
        match failed {
            None => Ok((op, settled)),
            Some((component, failure)) => Err(Verdict::Unjudged {
                see: SETTLES,
                why: format!("{} of {component} failed: {failure}", op.request.verb()),
            }),
        }
    }
}

/// The reasons in one line.
pub(crate) fn blocked(blockers: &[Blocker]) -> String {
    let reasons: Vec<&str> = blockers
        .iter()
        .map(|b| b.failure.message.as_str())
        .collect();
    format!("prepare is blocked: {}", reasons.join("; "))
}

/// An operation that was begun and is not over.
pub(crate) struct Started {
    pub(crate) op: Op<DeployRequest>,
    pub(crate) handle: Handle,
}

impl Bench {
    /// Prepares a request and expects that it can begin.
    pub(crate) async fn prepare(
        &self,
        on: &Connection,
        key: OpKey,
        request: DeployRequest,
    ) -> Result<Op<DeployRequest>, Outcome> {
        let ops = on.deployer().map_err(|v| Outcome::Lost(v.to_string()))?;
        let prepared = ops
            .prepare(&self.working(on, &key), &request)
            .await
            .map_err(|e| Outcome::Failed("prepare", e))?;
        let mut ready = BTreeSet::new();
        let mut blockers = Vec::new();
        for (component, readiness) in prepared.subjects {
            match readiness {
                Readiness::Ready => {
                    ready.insert(component);
                }
                Readiness::Blocked(reasons) => blockers.extend(reasons),
                _ => {}
            }
        }
        if !blockers.is_empty() {
            return Err(Outcome::Blocked(blockers));
        }
        if ready.is_empty() {
            return Err(Outcome::AlreadyHolds);
        }
        Ok(Op::new(key, request, prepared.baseline))
    }

    /// Begins an operation.
    pub(crate) async fn begin(
        &self,
        on: &Connection,
        op: Op<DeployRequest>,
    ) -> Result<Started, Outcome> {
        let ops = on.deployer().map_err(|v| Outcome::Lost(v.to_string()))?;
        match ops.begin(&self.working(on, &op.key), &op).await {
            Ok(Begun::Started(handle)) => Ok(Started { op, handle }),
            Ok(Begun::Settled(settled)) => Err(Outcome::Settled(op, settled)),
            Ok(Begun::Refused(failure)) => Err(Outcome::Refused(failure)),
            Ok(other) => Err(Outcome::Lost(format!("begin answered {other:?}"))),
            Err(error) => Err(Outcome::Failed("begin", error)),
        }
    }

    /// Observes an operation until it is over.
    pub(crate) async fn finish(&self, on: &Connection, started: Started) -> Outcome {
        let Started { op, handle } = started;
        let ops = match on.deployer() {
            Ok(ops) => ops,
            Err(verdict) => return Outcome::Lost(verdict.to_string()),
        };
        let give_up = self.now() + LONGEST;
        while self.now() < give_up {
            let ctx = self
                .reading_within(READING)
                .for_operation(op.key.clone(), on.fence);
            match ops.observe(&ctx, &op, &handle).await {
                Ok(Observed::Running { poll_after, .. }) => {
                    self.sleep(poll_after.max(LEAST_WAIT)).await;
                }
                Ok(Observed::Settled(settled)) => return Outcome::Settled(op, settled),
                Ok(Observed::Lost { why }) => return Outcome::Lost(why),
                Ok(other) => return Outcome::Lost(format!("observe answered {other:?}")),
                Err(error) => return Outcome::Failed("observe", error),
            }
        }
        Outcome::Lost(format!(
            "still running after {} h",
            LONGEST.as_secs() / 3600
        ))
    }

    /// Prepares, begins and observes until the end.
    pub(crate) async fn drive(
        &self,
        on: &Connection,
        key: OpKey,
        request: DeployRequest,
    ) -> Outcome {
        match self.prepare(on, key, request).await {
            Ok(op) => self.carry_out(on, op).await,
            Err(outcome) => outcome,
        }
    }

    /// Begins and observes until the end.
    pub(crate) async fn carry_out(&self, on: &Connection, op: Op<DeployRequest>) -> Outcome {
        let outcome = match self.begin(on, op).await {
            Ok(started) => self.finish(on, started).await,
            Err(outcome) => outcome,
        };
        if let Outcome::Settled(op, settled) = &outcome
            && !settled.subjects.is_empty()
            && results(settled).all(|(_, told)| told.is_ok())
        {
            self.carried_out(on, op.request.verb());
        }
        outcome
    }

    /// The request that puts changes in, staged first where the provider stages.
    pub(crate) async fn apply_request(
        &self,
        on: &Connection,
        changes: Vec<Change>,
    ) -> Checked<DeployRequest> {
        let Some(first) = changes.first() else {
            return Err(Verdict::NotRun("an apply needs a change".to_owned()));
        };
        let staged = self.key(&first.component, "stage");
        if on.deployer()?.capabilities().stage {
            let stage = DeployRequest::Stage {
                changes: changes.clone(),
            };
            self.stage_only(on, staged.clone(), stage).await?;
        }
        Ok(DeployRequest::Apply { changes, staged })
    }

    /// Stages, where the check is not about staging.
    pub(crate) async fn stage_only(
        &self,
        on: &Connection,
        key: OpKey,
        stage: DeployRequest,
    ) -> Checked {
        match self.drive(on, key, stage).await {
            Outcome::AlreadyHolds => Ok(()),
            outcome => outcome.succeeded().map(|_| ()).map_err(|v| match v {
                Verdict::Unjudged { why, .. } => Verdict::Unjudged {
                    see: "deployer_stage_puts_nothing_in",
                    why: format!("staging: {why}"),
                },
                other => other,
            }),
        }
    }

    /// A prepared apply of the stock's first change.
    pub(crate) async fn prepared_apply(&self, on: &Connection) -> Checked<Op<DeployRequest>> {
        let change = self.change()?;
        let key = self.key(&change.component, "apply");
        let request = self.apply_request(on, vec![change]).await?;
        match self.prepare(on, key, request).await {
            Ok(op) => Ok(op),
            Err(outcome) => outcome.settled().map(|(op, _)| op),
        }
    }

    /// Applies changes to the end.
    pub(crate) async fn apply(&self, on: &Connection, changes: Vec<Change>) -> Checked<Outcome> {
        let Some(component) = changes.first().map(|c| c.component.clone()) else {
            return Err(Verdict::NotRun("an apply needs a change".to_owned()));
        };
        let key = self.key(&component, "apply");
        let request = self.apply_request(on, changes).await?;
        Ok(self.drive(on, key, request).await)
    }

    /// Begins the stock's first change and keeps it running, or ends the check where it is over at once.
    pub(crate) async fn running_apply(&self, on: &Connection) -> Checked<Started> {
        let op = self.prepared_apply(on).await?;
        match self.begin(on, op).await {
            Ok(started) => Ok(started),
            Err(Outcome::Settled(..)) => Err(Verdict::NotClaimed(
                "work that outlives begin: an apply is over when begin returns".to_owned(),
            )),
            Err(outcome) => outcome.settled().and_then(|_| fault("not reached")),
        }
    }

    /// Locates an operation once its guarantee says that the answer counts.
    pub(crate) async fn locate(
        &self,
        on: &Connection,
        op: &Op<DeployRequest>,
    ) -> Checked<patchcore::Result<Located>> {
        let ops = on.deployer()?;
        match ops.guarantee(op) {
            Guarantee::Locatable {
                consistency_delay: wait,
                ..
            }
            | Guarantee::StateOnly { quiet_after: wait } => self.sleep(wait).await,
            _ => {}
        }
        let ctx = self.reading().for_operation(op.key.clone(), on.fence);
        Ok(ops.locate(&ctx, op).await)
    }
}

/// One subject's result as a `Result`, for checks that ask whether it is a success.
pub(crate) type Told<'a> = Result<&'a Evidence, &'a Failure>;

/// Each subject's result.
pub(crate) fn results(settled: &Settled) -> impl Iterator<Item = (&ComponentId, Told<'_>)> {
    settled.subjects.iter().map(|(component, result)| {
        let told = match result {
            SubjectResult::Done(evidence) => Ok(evidence),
            SubjectResult::Failed(failure) => Err(failure),
        };
        (component, told)
    })
}

/// One subject's result; a subject that is left out is another check's matter.
pub(crate) fn result_of<'a>(settled: &'a Settled, component: &ComponentId) -> Checked<Told<'a>> {
    results(settled)
        .find_map(|(c, told)| (c == component).then_some(told))
        .ok_or_else(|| Verdict::Unjudged {
            see: "operations_settled_covers_every_subject",
            why: format!("no result for {component}"),
        })
}

/// Whether a target knows whose operation it sees.
pub(crate) fn knows_operations(
    ops: &dyn Operations<DeployRequest>,
    op: &Op<DeployRequest>,
) -> bool {
    matches!(
        ops.guarantee(op),
        Guarantee::Keyed { .. } | Guarantee::Locatable { .. }
    )
}

/// A baseline is not needed where nothing is begun.
pub(crate) fn unprepared(key: OpKey, request: DeployRequest) -> Op<DeployRequest> {
    Op::new(key, request, Baseline::empty())
}
