//! The people beside a seed's processes: what they want, what they do at rest, and what the journal has of their words.

use std::{collections::BTreeSet, time::Duration};

use patchcore::{
    Error, ErrorKind, Run,
    clock::Clock as _,
    execute::{
        Told,
        journal::ReadJournal,
        kernel::{ComponentEvent, Event, Phase, Resolution, RunStatus, Wait},
    },
    id::{ComponentId, RunId},
};

use super::{
    outside::Process,
    seeded::{One, said},
    setup::Wish,
};

/// So often a person lifts a halt.
const LIFTS: usize = 6;

/// Why a person decides what becomes of a component on which nothing works any more.
const LOOKED: &str = "looked at it";

/// What the journal has of the words of people. It alone knows them: a word whose answer was lost may be durable, and one
/// that was not durable is said again.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// How often a person decided about a component in quarantine.
    pub(super) resolved: usize,
    /// Whose state a person vouched for, or left as it is.
    pub(super) attested: BTreeSet<ComponentId>,
    /// Whom a person had done again or rolled back, whatever the budget says.
    pub(super) sent_back: BTreeSet<ComponentId>,
}

impl Words {
    pub(super) async fn read(journal: &impl ReadJournal) -> Self {
        let stored = journal.events(RunId(1), 0, 100_000).await;
        let mut words = Self::default();
        for told in stored.unwrap_or_default().into_iter().map(Told::read) {
            let Event::Component(ComponentEvent::Resolved { how, reason, .. }) = &told.event else {
                continue;
            };
            let component = told.component.expect("it is about a component");
            match how.parse().expect("it is a word of ours") {
                Resolution::Abandon | Resolution::AdoptDone => words.attested.insert(component),
                Resolution::Retry | Resolution::RollBack => words.sent_back.insert(component),
            };
            words.resolved += usize::from(reason == LOOKED);
        }
        words
    }
}

impl One {
    pub(super) async fn wants(&mut self, process: &Process, run: &Run, wish: Wish) {
        let told = match wish {
            Wish::Pause => run.pause("maria", "lunch").await,
            Wish::PauseBefore(step) => run.pause_before(step, None, "maria", "to look first").await,
            Wish::Cancel => run.cancel("maria", "enough").await,
            Wish::Park => Ok(()),
        };
        self.counts.commands += 1;
        self.is_theirs |= wish == Wish::Cancel;
        self.note(process, format!("maria: {wish:?}: {}", said(&told)));
    }

    /// At rest: somebody does what the run waits for; false if there is nothing.
    pub(super) async fn somebody_steers(
        &mut self,
        process: &Process,
        run: &Run,
        waits: &[Wait],
    ) -> Result<bool, Error> {
        let story = run.story().await?;
        self.counts.commands += 1;
        let (by, because) = ("maria", "seen to it");
        if story.state.paused.is_some() {
            let told = run.unpause(by, because).await;
            self.note(process, format!("maria: unpause: {}", said(&told)));
            return told.map(|()| true);
        }
        if let Some(point) = story.state.pause_points.first() {
            let told = run
                .unpause_before(point.step, point.component.clone(), by, because)
                .await;
            self.note(process, format!("maria: unpause before: {}", said(&told)));
            return told.map(|()| true);
        }
        let ring = waits.iter().find_map(|wait| match wait {
            Wait::RingApproval { ring } => Some(ring.clone()),
            _ => None,
        });
        if let Some(ring) = ring {
            let told = run.approve_ring(ring, by, because).await;
            self.note(process, format!("maria: approve: {}", said(&told)));
            return told.map(|()| true);
        }
        let find = |phase: Phase| {
            let mut found = story.components.iter().filter(|(_, s)| s.phase == phase);
            found.next().map(|(c, _)| c.clone())
        };
        if let Some(component) = find(Phase::Quarantined) {
            return self.resolve(process, run, component).await;
        }
        if let Some(component) = find(Phase::AwaitWayBack) {
            return self.send_back(process, run, component).await;
        }
        let told = match story.state.status {
            RunStatus::Halted { .. } if self.lifted < LIFTS => {
                self.lifted += 1;
                run.lift_halt(by, because).await
            }
            RunStatus::Halted { .. } => {
                self.is_theirs = true;
                run.end(by, because).await
            }
            // Somebody who is left as it is holds the slot that the others wait for.
            RunStatus::Open => {
                self.is_theirs = true;
                run.cancel(by, because).await
            }
            _ => return Ok(false),
        };
        let was = &story.state.status;
        self.note(process, format!("maria: it was {was:?}: {}", said(&told)));
        told.map(|()| true)
    }

    /// Whoever holds the slots may never give them back: a person goes beyond the budget, and not below a floor.
    async fn send_back(
        &mut self,
        process: &Process,
        run: &Run,
        component: ComponentId,
    ) -> Result<bool, Error> {
        self.is_theirs = true;
        for how in [Resolution::RollBack, Resolution::Abandon] {
            let told = run
                .resolve(component.clone(), how, "maria", "seen to it")
                .await;
            self.note(
                process,
                format!("maria: {component} {how:?}: {}", said(&told)),
            );
            match told {
                Ok(()) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// A person decides, when nothing works on it any more.
    async fn resolve(
        &mut self,
        process: &Process,
        run: &Run,
        component: ComponentId,
    ) -> Result<bool, Error> {
        let over = {
            let world = self.outside.world();
            let of_it = world.jobs.iter().filter(|j| j.subject == component);
            of_it.map(|j| j.ends).max()
        };
        if let Some(over) = over {
            process
                .clock
                .truly
                .advance_to(over + Duration::from_secs(60));
            self.outside.world().move_to(process.clock.truly.now());
        }
        self.is_theirs = true;
        // Read anew from the journal when the next process starts: here no time must pass.
        let resolutions = &self.outside.setup.resolutions;
        let how = resolutions.get(self.words.resolved).copied();
        self.words.resolved += 1;
        for how in [how.unwrap_or(Resolution::Abandon), Resolution::Abandon] {
            let told = run.resolve(component.clone(), how, "maria", LOOKED).await;
            self.note(
                process,
                format!("maria: {component} {how:?}: {}", said(&told)),
            );
            match told {
                Ok(()) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::InvalidInput => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
