//! Checks of [`Bracket`](patchcore::provider::Bracket).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use patchcore::{
    ErrorKind,
    id::{ComponentId, OpKey},
    provider::{
        Begun, Bracket, BracketKind, BracketRequest, Guarantee, Holding, Located, Observed, Op,
        PortRequest, Readiness, Settled, SubjectResult, Undo,
    },
};

use crate::{
    bench::{Bench, Connection},
    check::{Checked, Verdict, demand, fault},
    fixture::Trouble,
};

/// For how long everything is taken: longer than any target stays quiet.
const LONG: Duration = Duration::from_secs(24 * 3600);
/// And for how long that one takes it, which waits for almost as long.
const SHORT: Duration = Duration::from_secs(20);
/// Of how many looks an operation is watched before it never settles.
const LOOKS: usize = 100;

const IS_THERE: &str = "bracket_take_is_there_and_read_back";
const IS_GONE: &str = "bracket_given_back_is_gone";

struct Place<'a> {
    bench: &'a Bench,
    component: ComponentId,
    kind: BracketKind,
}

impl<'a> Place<'a> {
    async fn new(bench: &'a Bench) -> Checked<Self> {
        let port = bench.connect().await?.bracket()?;
        let Some(kind) = port.capabilities().kinds.into_iter().next() else {
            return fault("it claims no kind of bracket");
        };
        Ok(Self {
            bench,
            component: bench.change()?.component,
            kind,
        })
    }

    fn take(&self, at_least: Duration) -> Op<BracketRequest> {
        let request = BracketRequest::Take {
            components: vec![self.component.clone()],
            kind: self.kind,
            at_least,
        };
        self.op("take", request)
    }

    fn give_back(&self, taken: &OpKey) -> Op<BracketRequest> {
        let request = BracketRequest::GiveBack {
            components: vec![self.component.clone()],
            kind: self.kind,
            taken: taken.clone(),
        };
        self.op("give-back", request)
    }

    fn op(&self, step: &str, request: BracketRequest) -> Op<BracketRequest> {
        let key = self.bench.key(&self.component, step);
        Op::new(key, request, patchcore::provider::Baseline::empty())
    }

    /// How many hold it in truth.
    async fn in_truth(&self) -> Checked<usize> {
        Ok(self.bench.fixture.held(&self.component, self.kind).await?)
    }

    /// Prepares and does it, and says what came of it.
    async fn done(&self, on: &Connection, op: &mut Op<BracketRequest>) -> Checked<Settled> {
        let port = on.bracket()?;
        let ctx = self.bench.working(on, &op.key);
        match port.prepare(&ctx, &op.request).await {
            Ok(prepared) => op.baseline = prepared.baseline,
            Err(error) => return fault(format!("prepare failed: {}", error.chain())),
        }
        match port.begin(&ctx, op).await {
            Ok(Begun::Settled(settled)) => Ok(settled),
            Ok(Begun::Started(handle)) => {
                for _ in 0..LOOKS {
                    match port.observe(&ctx, op, &handle).await {
                        Ok(Observed::Settled(settled)) => return Ok(settled),
                        Ok(Observed::Running { poll_after, .. }) => {
                            self.bench.sleep(poll_after).await;
                        }
                        other => return fault(format!("observe said {other:?}")),
                    }
                }
                fault("it never settled")
            }
            other => fault(format!("begin said {other:?}")),
        }
    }

    async fn succeeds(&self, on: &Connection, op: &mut Op<BracketRequest>) -> Checked {
        let settled = self.done(on, op).await?;
        match settled.subjects.get(&self.component) {
            Some(SubjectResult::Done(_)) => Ok(()),
            other => fault(format!("{} came out as {other:?}", op.request.verb())),
        }
    }

    /// Something that is held; where taking does not work, its own check shows that.
    async fn taken(&self, on: &Connection, at_least: Duration) -> Checked<Op<BracketRequest>> {
        let before = self.in_truth().await?;
        let mut op = self.take(at_least);
        let unjudged = |why: String| Verdict::Unjudged { see: IS_THERE, why };
        if let Err(Verdict::Fault(why)) = self.succeeds(on, &mut op).await {
            return Err(unjudged(why));
        }
        match self.in_truth().await? {
            now if now > before => Ok(op),
            _ => Err(unjudged("it was taken, and is not there".to_owned())),
        }
    }

    async fn given_back(&self, on: &Connection, taken: &OpKey) -> Checked {
        let before = self.in_truth().await?;
        let unjudged = |why: String| Verdict::Unjudged { see: IS_GONE, why };
        if let Err(Verdict::Fault(why)) = self.succeeds(on, &mut self.give_back(taken)).await {
            return Err(unjudged(why));
        }
        match self.in_truth().await? {
            now if now < before => Ok(()),
            _ => Err(unjudged("it was given back, and is there".to_owned())),
        }
    }

    async fn held(&self, on: &Connection, taken: &OpKey) -> Checked<Holding> {
        let port: Arc<dyn Bracket> = on.bracket()?;
        let asked = std::slice::from_ref(&self.component);
        let ctx = self.bench.reading();
        let answers = port.held(&ctx, self.kind, taken, asked).await;
        crate::bench::one_answer(
            answers,
            &self.component,
            "bracket_held_answers_every_component_asked",
        )
    }

    /// What `prepare` says of giving something back.
    async fn may_give_back(&self, on: &Connection, taken: &OpKey) -> Checked<Readiness> {
        let op = self.give_back(taken);
        let ctx = self.bench.working(on, &op.key);
        match on.bracket()?.prepare(&ctx, &op.request).await {
            Ok(mut prepared) => match prepared.subjects.remove(&self.component) {
                Some(readiness) => Ok(readiness),
                None => fault("prepare leaves the component out"),
            },
            Err(error) => fault(format!("prepare failed: {}", error.chain())),
        }
    }

    /// Somebody else ends what is held.
    async fn ended_by_others(&self) -> Checked {
        let ended = Trouble::BracketEnded(self.component.clone());
        self.bench.trouble(ended).await?;
        match self.in_truth().await? {
            0 => Ok(()),
            n => Err(Verdict::NotRun(format!(
                "the fixture was to end what is held, and {n} hold it"
            ))),
        }
    }
}

fn is_held(holding: &Holding) -> bool {
    matches!(holding, Holding::Held(_))
}

pub(super) async fn bracket_take_is_there_and_read_back(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let on = bench.connect().await?;
    let before = place.in_truth().await?;
    let mut op = place.take(LONG);
    place.succeeds(&on, &mut op).await?;
    let now = place.in_truth().await?;
    demand(now == before + 1, || {
        format!("taken once, {before} held it before and {now} do now")
    })?;
    let other = bench.connect().await?;
    let read = place.held(&other, &op.key).await?;
    demand(is_held(&read), || {
        format!("it is there, and another process reads {read:?}")
    })
}

pub(super) async fn bracket_held_reads_the_target(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let on = bench.connect().await?;
    let op = place.taken(&on, LONG).await?;
    place.ended_by_others().await?;
    let read = place.held(&on, &op.key).await?;
    demand(!is_held(&read), || {
        format!("somebody else ended it, and it is read as {read:?}")
    })
}

pub(super) async fn bracket_held_answers_every_component_asked(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let on = bench.connect().await?;
    let asked: BTreeSet<ComponentId> = bench.components().into_iter().collect();
    let all: Vec<ComponentId> = asked.iter().cloned().collect();
    let (ctx, taken) = (bench.reading(), bench.key(&place.component, "take"));
    let answers = match on.bracket()?.held(&ctx, place.kind, &taken, &all).await {
        Ok(answers) => answers,
        Err(error) => return fault(format!("held failed: {}", error.chain())),
    };
    let answered: BTreeSet<ComponentId> = answers.into_keys().collect();
    demand(answered == asked, || {
        format!("asked for {asked:?}, and answered for {answered:?}")
    })
}

pub(super) async fn bracket_take_twice_has_one_effect(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let on = bench.connect().await?;
    let op = place.taken(&on, LONG).await?;
    let port = bench.connect().await?.bracket()?;
    if !matches!(port.guarantee(&op), Guarantee::Keyed { .. }) {
        return Err(Verdict::NotClaimed("keys".to_owned()));
    }
    let ctx = bench.working(&on, &op.key);
    let again = port.begin(&ctx, &op).await;
    let now = place.in_truth().await?;
    demand(now == 1, || {
        format!("begun twice under one key ({again:?}), {now} hold it")
    })
}

pub(super) async fn bracket_is_found_again_by_a_new_process(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let op = place.taken(&bench.connect().await?, LONG).await?;
    let on = bench.connect().await?;
    let port = on.bracket()?;
    match port.guarantee(&op) {
        Guarantee::Blind => return Err(Verdict::NotClaimed("finding anything again".to_owned())),
        Guarantee::Locatable {
            consistency_delay, ..
        } => bench.sleep(consistency_delay).await,
        Guarantee::StateOnly { quiet_after } => bench.sleep(quiet_after).await,
        _ => {}
    }
    match port.locate(&bench.working(&on, &op.key), &op).await {
        Ok(Located::Settled(_)) => Ok(()),
        other => fault(format!("it was taken, and locate said {other:?}")),
    }
}

pub(super) async fn bracket_undo_is_the_give_back_that_names_it(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let port = bench.connect().await?.bracket()?;
    let op = place.take(LONG);
    let expected = Undo::By(place.give_back(&op.key).request);
    let undo = port.undo(&op);
    demand(undo == expected, || {
        format!("expected {expected:?} but found {undo:?}")
    })?;
    let back = place.give_back(&op.key);
    let undo = port.undo(&back);
    demand(undo == Undo::Nothing, || {
        format!("giving back is undone by {undo:?}")
    })
}

pub(super) async fn bracket_given_back_is_gone(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let op = place.taken(&bench.connect().await?, LONG).await?;
    // A later life gives it back, and knows nothing but the key.
    let on = bench.connect().await?;
    let before = place.in_truth().await?;
    place.succeeds(&on, &mut place.give_back(&op.key)).await?;
    let now = place.in_truth().await?;
    demand(now + 1 == before, || {
        format!("given back, {before} held it before and {now} do now")
    })
}

pub(super) async fn bracket_give_back_may_be_repeated(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let on = bench.connect().await?;
    let op = place.taken(&on, LONG).await?;
    place.given_back(&on, &op.key).await?;
    for (taken, what) in [
        (op.key, "given back already"),
        (bench.key(&place.component, "take"), "never taken"),
    ] {
        match place.may_give_back(&on, &taken).await? {
            Readiness::AlreadyHolds(_) => {}
            other => return fault(format!("it was {what}, and prepare says {other:?}")),
        }
    }
    Ok(())
}

pub(super) async fn bracket_of_others_stays(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let on = bench.connect().await?;
    let ours = place.taken(&on, LONG).await?;
    let mut theirs = place.take(LONG);
    let ctx = bench.working(&on, &theirs.key);
    let prepared = on.bracket()?.prepare(&ctx, &theirs.request).await;
    let readiness = prepared.map(|mut p| p.subjects.remove(&place.component));
    if !matches!(readiness, Ok(Some(Readiness::Ready))) {
        // One holding in all: then there is none of others beside it.
        return Err(Verdict::NotClaimed("several holdings at once".to_owned()));
    }
    place.succeeds(&on, &mut theirs).await?;
    place.given_back(&on, &ours.key).await?;
    let read = place.held(&on, &theirs.key).await?;
    demand(is_held(&read), || {
        format!("ours was given back, and that of others is {read:?}")
    })
}

pub(super) async fn bracket_change_by_others_is_a_fight(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let on = bench.connect().await?;
    let op = place.taken(&on, LONG).await?;
    place.ended_by_others().await?;
    match place.may_give_back(&on, &op.key).await? {
        Readiness::ChangedMeanwhile { .. } => Ok(()),
        other => fault(format!(
            "somebody else ended it, and prepare says {other:?}"
        )),
    }
}

pub(super) async fn bracket_unclaimed_kinds_are_unsupported(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let port = on.bracket()?;
    let claimed = port.capabilities().kinds;
    let component = bench.change()?.component;
    let unclaimed = BracketKind::ALL
        .into_iter()
        .filter(|k| !claimed.contains(k));
    let mut tried = 0;
    for kind in unclaimed {
        let place = Place {
            bench,
            component: component.clone(),
            kind,
        };
        let op = place.take(LONG);
        match port
            .prepare(&bench.working(&on, &op.key), &op.request)
            .await
        {
            Err(error) if error.kind() == ErrorKind::Unsupported => tried += 1,
            other => {
                return fault(format!(
                    "{} is not claimed, and prepare says {other:?}",
                    kind.slug()
                ));
            }
        }
    }
    match tried {
        0 => Err(Verdict::NotOffered(
            "a kind that it does not claim".to_owned(),
        )),
        _ => Ok(()),
    }
}

pub(super) async fn bracket_questions_change_nothing(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let on = bench.connect().await?;
    let port = on.bracket()?;
    let op = place.take(LONG);
    let ctx = bench.working(&on, &op.key);
    for _ in 0..2 {
        // What they say is for other checks.
        let _ = port.prepare(&ctx, &op.request).await;
        let _ = port.locate(&ctx, &op).await;
        let _ = place.held(&on, &op.key).await;
        let _ = place.may_give_back(&on, &op.key).await;
    }
    let now = place.in_truth().await?;
    demand(now == 0, || format!("nothing was begun, and {now} hold it"))
}

pub(super) async fn bracket_holds_as_long_as_asked(bench: &Bench) -> Checked {
    let place = Place::new(bench).await?;
    let on = bench.connect().await?;
    let op = place.taken(&on, SHORT).await?;
    bench.sleep(SHORT - Duration::from_secs(2)).await;
    let read = place.held(&on, &op.key).await?;
    demand(is_held(&read), || {
        format!(
            "taken for {} s, and after less it is {read:?}",
            SHORT.as_secs()
        )
    })
}
