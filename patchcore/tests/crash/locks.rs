//! The locks of the world's targets: who takes them, and who else has them.

use patchcore::{
    execute::step::{LockAnswer, LockCall},
    id::ComponentId,
    provider::{Claim, Held, Taken},
};

use super::world::{Who, World};

/// What is wrong with one call of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LockFault {
    FailsOnce,
    Fails,
    NeverOnce,
}

/// One call of a lock and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LockSaid {
    pub(crate) who: Who,
    /// Whether there was a later incarnation by then.
    pub(crate) stale: bool,
    pub(crate) call: LockCall,
    pub(crate) answer: LockAnswer,
}

/// The journal of somebody else who patches the same targets.
const RIVAL: &str = "k";

impl World {
    /// Takes the lock of a target.
    pub(crate) fn take_lock(
        &mut self,
        number: u64,
        component: &ComponentId,
        claim: &Claim,
    ) -> Taken {
        self.shows(number, component);
        self.rival(component);
        let now = self.now;
        self.locks
            .get_or_insert_default()
            .take(component, claim, now)
    }

    /// Somebody else takes the lock where it is free, shows that it lives, and gives it back when its time is over.
    fn rival(&mut self, component: &ComponentId) {
        let (now, until) = (self.now, self.script.rival_until);
        let has_it = self
            .lock_of(component)
            .filter(|held| held.claim.journal == RIVAL);
        let Some(locks) = &mut self.locks else { return };
        match (until, has_it) {
            _ if self.script.rival_dies && locks.look(component, now).is_some() => {}
            (Some(until), _) if now < until => {
                let claim = Claim::new(RIVAL, "o", 1, "process 2 on elsewhere");
                locks.take(component, &claim, now);
            }
            (_, Some(held)) => locks.give_back(component, held.fence),
            _ => {}
        }
    }

    /// Whether we hold the lock of a target.
    pub(crate) fn ours(&self, component: &ComponentId) -> Option<Held> {
        self.lock_of(component)
            .filter(|held| held.claim.journal != RIVAL)
    }

    /// Notes what the lock of a target said.
    pub(crate) fn lock_said(&mut self, number: u64, call: LockCall, answer: LockAnswer) {
        self.lock_says.push(LockSaid {
            who: Who::Ours(number),
            stale: number < self.newest,
            call,
            answer,
        });
    }

    pub(crate) fn give_lock_back(&mut self, component: &ComponentId, fence: u64) {
        if let Some(locks) = &mut self.locks {
            locks.give_back(component, fence);
        }
    }

    /// Who has the lock of a target.
    pub(crate) fn lock_of(&self, component: &ComponentId) -> Option<Held> {
        self.locks.as_ref()?.look(component, self.now)
    }
}
