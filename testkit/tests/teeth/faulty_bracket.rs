//! A correct provider with one planted fault: its brackets.

use async_trait::async_trait;
use patchcore::{
    Result,
    id::{ComponentId, OpKey},
    provider::{
        Baseline, Begun, Blocker, Bracket, BracketCapabilities, BracketKind, BracketRequest,
        Evidence, Guarantee, Handle, Holding, Located, Observed, Op, OpContext, Operations,
        PerComponent, PortRequest, Prepared, Readiness, Settled, SubjectResult, Undo,
    },
};

use crate::{faulty::FaultyPorts, plant::Plant};

impl FaultyPorts {
    fn bracket(&self) -> &dyn Bracket {
        &**self.inner.bracket.as_ref().unwrap()
    }

    fn said(ctx: &OpContext, op: &Op<BracketRequest>) -> Begun {
        let subjects = op.request.subjects().into_iter();
        let done = |c| {
            (
                c,
                SubjectResult::Done(Evidence::observed(ctx.now(), "done")),
            )
        };
        let mut settled = Settled::default();
        settled.subjects = subjects.map(done).collect();
        Begun::Settled(settled)
    }

    /// Every one that anybody took by us is given back.
    async fn give_back_all(&self, ctx: &OpContext, op: &Op<BracketRequest>) -> Result<()> {
        let BracketRequest::GiveBack {
            components, kind, ..
        } = &op.request
        else {
            return Ok(());
        };
        let all = self.traces.lock().unwrap().brackets.clone();
        for taken in all {
            let request = BracketRequest::GiveBack {
                components: components.clone(),
                kind: *kind,
                taken: taken.clone(),
            };
            let key = OpKey::from(format!("{}/of/{taken}", op.key));
            let op = Op::new(key, request, Baseline::empty());
            self.bracket().begin(ctx, &op).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Bracket for FaultyPorts {
    fn capabilities(&self) -> BracketCapabilities {
        self.bracket().capabilities()
    }

    async fn held(
        &self,
        ctx: &OpContext,
        kind: BracketKind,
        taken: &OpKey,
        components: &[ComponentId],
    ) -> Result<PerComponent<Holding>> {
        let mut answers = self.bracket().held(ctx, kind, taken, components).await?;
        if self.has(Plant::BracketFromMemory) {
            let ours = self.traces.lock().unwrap().brackets.contains(taken);
            for answer in answers.values_mut().filter(|_| ours) {
                *answer = Ok(Holding::Held(Evidence::observed(ctx.now(), "taken by us")));
            }
        }
        if self.has(Plant::BracketDropsAComponent) && answers.len() > 1 {
            answers.pop_last();
        }
        Ok(answers)
    }
}

#[async_trait]
impl Operations<BracketRequest> for FaultyPorts {
    fn guarantee(&self, op: &Op<BracketRequest>) -> Guarantee {
        self.bracket().guarantee(op)
    }

    fn undo(&self, op: &Op<BracketRequest>) -> Undo<BracketRequest> {
        match self.bracket().undo(op) {
            Undo::By(_) if self.has(Plant::BracketWithoutUndo) => Undo::Unavailable {
                why: "it ends by itself".to_owned(),
            },
            undo => undo,
        }
    }

    async fn prepare(&self, ctx: &OpContext, request: &BracketRequest) -> Result<Prepared> {
        let subject = request.subjects().pop_first().unwrap();
        let takes = matches!(request, BracketRequest::Take { .. });
        if self.has(Plant::BracketAskedIsTaken) && takes {
            let key = OpKey::from("asked");
            let op = Op::new(key, request.clone(), Baseline::empty());
            self.bracket().begin(ctx, &op).await?;
        }
        let claimed = self.bracket().capabilities().kinds;
        if self.has(Plant::BracketUnclaimedTaken) && !claimed.contains(&request.kind()) {
            return Ok(Prepared::ready(subject, Baseline::empty()));
        }
        let mut prepared = self.bracket().prepare(ctx, request).await?;
        let answer = prepared.subjects.get_mut(&subject).unwrap();
        match (self.plant, &*answer) {
            (Plant::BracketFightPassedOver, Readiness::ChangedMeanwhile { .. }) => {
                *answer = Readiness::AlreadyHolds(Evidence::observed(ctx.now(), "gone"));
            }
            (Plant::BracketBackOnce, Readiness::AlreadyHolds(_)) if !takes => {
                let error = patchcore::Error::new(patchcore::ErrorKind::NotFound, "not there");
                *answer = Readiness::Blocked(vec![Blocker::from_error(&error)]);
            }
            _ => {}
        }
        Ok(prepared)
    }

    async fn begin(&self, ctx: &OpContext, op: &Op<BracketRequest>) -> Result<Begun> {
        let takes = matches!(op.request, BracketRequest::Take { .. });
        let only_said = match takes {
            true => Plant::BracketOnlySaid,
            false => Plant::BracketBackOnlySaid,
        };
        if self.has(only_said) {
            return Ok(Self::said(ctx, op));
        }
        let mut op = op.clone();
        let again = {
            let mut traces = self.traces.lock().unwrap();
            let again = traces.brackets.contains(&op.key);
            if takes {
                traces.brackets.push(op.key.clone());
            }
            again
        };
        if self.has(Plant::BracketTakenAnew) && again {
            op.key = OpKey::from(format!("{}/again", op.key));
        }
        if self.has(Plant::BracketOfAll) {
            self.give_back_all(ctx, &op).await?;
        }
        if let (Plant::BracketForHalf, BracketRequest::Take { at_least, .. }) =
            (self.plant, &mut op.request)
        {
            *at_least /= 2;
        }
        self.bracket().begin(ctx, &op).await
    }

    async fn locate(&self, ctx: &OpContext, op: &Op<BracketRequest>) -> Result<Located> {
        if self.has(Plant::BracketNotFound) {
            return Ok(Located::NotFound);
        }
        self.bracket().locate(ctx, op).await
    }

    async fn observe(
        &self,
        ctx: &OpContext,
        op: &Op<BracketRequest>,
        handle: &Handle,
    ) -> Result<Observed> {
        self.bracket().observe(ctx, op, handle).await
    }
}
