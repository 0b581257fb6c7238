//! Checks of [`TargetLock`](patchcore::provider::TargetLock).

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use patchcore::{
    ErrorKind,
    id::ComponentId,
    provider::{Begun, Claim, Held, Taken, TargetLock},
};

use crate::{
    bench::{Bench, Connection},
    check::{Checked, Verdict, demand, fault},
};

/// How many ask at once. A lock that is no compare-and-set was given to two of eight within three tries.
const RIVALS: usize = 8;
const TRIES: usize = 3;

/// A lease that is short enough to be waited for, in whole seconds because a target may count in those.
const SHORT: Duration = Duration::from_secs(8);

fn claim(journal: &str, opening: &str, epoch: u64) -> Claim {
    let holder = format!("process 4711 of {journal} on a test's host");
    Claim::new(journal, opening, epoch, holder)
}

struct Place<'a> {
    bench: &'a Bench,
    component: ComponentId,
}

impl<'a> Place<'a> {
    fn new(bench: &'a Bench) -> Checked<Self> {
        Ok(Self {
            bench,
            component: bench.change()?.component,
        })
    }

    /// The lock as a new process has it.
    async fn lock(&self) -> Checked<Arc<dyn TargetLock>> {
        self.bench.connect().await?.lock()
    }

    async fn take(&self, claim: &Claim) -> Checked<Taken> {
        let on = self.bench.connect().await?;
        match on
            .lock()?
            .take(&self.bench.reading(), &self.component, claim)
            .await
        {
            Ok(taken) => {
                self.bench.carried_out(&on, "lock");
                Ok(taken)
            }
            Err(error) => fault(format!("take failed: {}", error.chain())),
        }
    }

    /// Takes what must be to be had.
    async fn fence(&self, claim: &Claim) -> Checked<u64> {
        match self.take(claim).await? {
            Taken::Ours { fence } | Taken::TakenOver { fence, .. } => Ok(fence),
            other => fault(format!(
                "{} was to have it, and take said {other:?}",
                claim.journal
            )),
        }
    }

    async fn give_back(&self, fence: u64) -> Checked {
        let lock = self.lock().await?;
        let ctx = self.bench.reading();
        match lock.give_back(&ctx, &self.component, fence).await {
            Ok(()) => Ok(()),
            Err(error) => fault(format!("give_back failed: {}", error.chain())),
        }
    }

    async fn look(&self) -> Checked<Option<Held>> {
        let lock = self.lock().await?;
        match lock.look(&self.bench.reading(), &self.component).await {
            Ok(held) => Ok(held),
            Err(error) => fault(format!("look failed: {}", error.chain())),
        }
    }

    /// A fault unless it stays with its holder.
    async fn stays_from(&self, asks: &Claim, who: &str) -> Checked {
        match self.take(asks).await? {
            Taken::HeldBy(_) => Ok(()),
            other => fault(format!("{who} took it from a holder that lives: {other:?}")),
        }
    }

    /// Gives it back, where another check shows that this works.
    async fn freed(&self, fence: u64) -> Checked {
        self.give_back(fence).await?;
        match self.look().await? {
            None => Ok(()),
            Some(_) => Err(Verdict::Unjudged {
                see: "lock_given_back_is_free_and_counts_on",
                why: "given back, and look sees a holder".to_owned(),
            }),
        }
    }

    /// Takes it from an earlier opening of the same journal, where another check shows that this works.
    async fn taken_over(&self, claim: &Claim) -> Checked<u64> {
        match self.take(claim).await? {
            Taken::Ours { fence } | Taken::TakenOver { fence, .. } => Ok(fence),
            other => Err(Verdict::Unjudged {
                see: "lock_goes_to_a_later_opening_at_once",
                why: format!("{other:?}"),
            }),
        }
    }
}

/// Whether a holding is told as it was taken.
fn told(held: &Held, holder: &Claim, fence: u64) -> Checked {
    demand(held.claim == *holder && held.fence == fence, || {
        format!("held by {holder:?} with fence {fence}, and told as {held:?}")
    })
}

pub(super) async fn lock_is_given_to_one_of_many(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    for nth in 0..TRIES {
        let rivals: Vec<Claim> = (0..RIVALS)
            .map(|n| claim(&format!("j{nth}-{n}"), &format!("o{n}"), 1))
            .collect();
        let locks = join_all(rivals.iter().map(|_| place.lock())).await;
        let locks: Vec<_> = locks.into_iter().collect::<Checked<_>>()?;
        let ctx = bench.reading();
        let asked = locks
            .iter()
            .zip(&rivals)
            .map(|(lock, claim)| lock.take(&ctx, &place.component, claim));
        let mut fences = Vec::new();
        for answer in join_all(asked).await {
            match answer {
                Ok(Taken::HeldBy(_)) => {}
                Ok(Taken::Ours { fence } | Taken::TakenOver { fence, .. }) => fences.push(fence),
                Ok(other) => return fault(format!("an answer that nobody knows: {other:?}")),
                Err(error) => return fault(format!("take failed: {}", error.chain())),
            }
        }
        demand(fences.len() == 1, || {
            format!("{} of {RIVALS} have it at once", fences.len())
        })?;
        for fence in fences {
            place.freed(fence).await?;
        }
    }
    Ok(())
}

pub(super) async fn lock_taken_again_is_the_same(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let claim = claim("aaaa", "o1", 1);
    let first = place.fence(&claim).await?;
    match place.take(&claim).await? {
        Taken::Ours { fence } if fence == first => Ok(()),
        other => fault(format!(
            "taken with fence {first}, and again it is {other:?}"
        )),
    }
}

pub(super) async fn lock_names_its_holder(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let holder = claim("aaaa", "o1", 1);
    let fence = place.fence(&holder).await?;
    match place.take(&claim("bbbb", "o2", 7)).await? {
        Taken::HeldBy(held) => told(&held, &holder, fence)?,
        other => return fault(format!("it is held, and take said {other:?}")),
    }
    match place.look().await? {
        Some(held) => told(&held, &holder, fence),
        None => fault("it is held, and look sees nobody"),
    }
}

pub(super) async fn lock_given_back_is_free_and_counts_on(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let first = place.fence(&claim("aaaa", "o1", 1)).await?;
    place.give_back(first).await?;
    demand(place.look().await?.is_none(), || {
        "given back, and look sees a holder".to_owned()
    })?;
    let second = place.fence(&claim("bbbb", "o2", 1)).await?;
    demand(second > first, || {
        format!("the holding after fence {first} has fence {second}")
    })
}

pub(super) async fn lock_is_given_back_by_its_holder_only(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let first = place.fence(&claim("aaaa", "o1", 1)).await?;
    place.freed(first).await?;
    let holder = claim("bbbb", "o2", 1);
    let fence = place.fence(&holder).await?;
    // Late, and with a fence that never was.
    for stale in [first, fence + 1] {
        place.give_back(stale).await?;
    }
    match place.look().await? {
        Some(held) => told(&held, &holder, fence),
        None => fault("somebody else's fence gave it back"),
    }
}

pub(super) async fn lock_goes_to_a_later_opening_at_once(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let before = claim("aaaa", "o1", 1);
    let first = place.fence(&before).await?;
    match place.take(&claim("aaaa", "o2", 2)).await? {
        Taken::TakenOver { fence, from } if fence > first => told(&from, &before, first),
        other => fault(format!(
            "the next opening of the same journal was to take it over with more than fence {first}: {other:?}"
        )),
    }
}

pub(super) async fn lock_is_not_given_to_a_copy_of_the_journal(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let holder = claim("aaaa", "o1", 2);
    place.fence(&holder).await?;
    for epoch in [1, 2] {
        let copy = claim("aaaa", "o2", epoch);
        place.stays_from(&copy, "a copy of the journal").await?;
    }
    Ok(())
}

pub(super) async fn lock_lapses_after_its_lease(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let holder = claim("aaaa", "o1", 1).with_lease(SHORT);
    let first = place.fence(&holder).await?;
    // The lease is the holder's: whoever asks with a shorter one has to wait all the same.
    let asks = claim("bbbb", "o2", 1).with_lease(Duration::from_secs(1));
    bench.sleep(Duration::from_millis(1500)).await;
    place.stays_from(&asks, "another journal").await?;
    bench.sleep(SHORT).await;
    match place.take(&asks).await? {
        Taken::TakenOver { fence, from } if fence > first => {
            told(&from, &holder, first)?;
            demand(from.silent_for() >= SHORT, || {
                format!("silent for {SHORT:?}, and told as {:?}", from.silent_for())
            })
        }
        other => fault(format!("its lease is over, and take said {other:?}")),
    }
}

pub(super) async fn lock_lives_by_the_calls_of_its_holder(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let mut on = bench.connect().await?;
    on.fence = place
        .fence(&claim("aaaa", "o1", 1).with_lease(SHORT))
        .await?;
    let op = bench.prepared_apply(&on).await?;
    for _ in 0..3 {
        bench.sleep(SHORT / 2).await;
        let ctx = bench.working(&on, &op.key);
        if let Err(error) = on.deployer()?.locate(&ctx, &op).await {
            return Err(Verdict::Unjudged {
                see: "operations_locate_of_what_never_began_finds_nothing",
                why: error.chain(),
            });
        }
    }
    place
        .stays_from(&claim("bbbb", "o2", 1), "another journal")
        .await
}

pub(super) async fn lock_refuses_the_begin_of_who_lost_it(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let mut on = bench.connect().await?;
    on.fence = place.fence(&claim("aaaa", "o1", 1)).await?;
    let old = on.fence;
    let op = bench.prepared_apply(&on).await?;
    let before = bench.look_at_all().await?;
    let new = place.taken_over(&claim("aaaa", "o2", 2)).await?;
    // While somebody else holds it, and after that one gave it back.
    for held in [true, false] {
        if !held {
            place.freed(new).await?;
        }
        refused(bench, &on, &op).await?;
    }
    // The lock itself writes; what is installed must be as it was.
    for (component, was) in &before {
        let is = bench.look(component).await?;
        demand(is.versions == was.versions, || {
            format!(
                "{component}: a begin that was refused had an effect: {}",
                crate::bench::difference(was, &is)
            )
        })?;
    }
    on.fence = place.fence(&claim("aaaa", "o2", 2)).await?;
    match on
        .deployer()?
        .begin(&bench.working(&on, &op.key), &op)
        .await
    {
        Ok(Begun::Refused(failure)) => fault(format!(
            "the begin of who holds it was refused because fence {old} was before: {failure}"
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(Verdict::Unjudged {
            see: "operations_a_begun_operation_settles",
            why: error.chain(),
        }),
    }
}

async fn refused(
    bench: &Bench,
    on: &Connection,
    op: &patchcore::provider::Op<patchcore::provider::DeployRequest>,
) -> Checked {
    match on.deployer()?.begin(&bench.working(on, &op.key), op).await {
        Ok(Begun::Refused(failure)) if failure.kind == ErrorKind::Fenced => Ok(()),
        answer => fault(format!(
            "fence {} is over, and begin with it was not refused as fenced: {answer:?}",
            on.fence
        )),
    }
}
