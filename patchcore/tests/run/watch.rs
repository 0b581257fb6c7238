//! Somebody who looks at a run at a moment of its own time.

use std::time::Duration;

use patchcore::{
    Run,
    clock::{AtWork, SharedClock},
    execute::Story,
    sim::Sim,
};

/// How often is looked for what is over within a minute.
pub(crate) const OFTEN: Duration = Duration::from_secs(5);

/// Looks at a run in virtual time, and time stands still while it does. Whoever reacts to an event instead races with the
/// run, for which two days are a few milliseconds. Made before the run begins.
#[must_use = "time goes on when it is dropped"]
pub(crate) struct Watch {
    clock: SharedClock,
    _stands_still: AtWork,
}

impl Watch {
    pub(crate) fn over(sim: &Sim) -> Self {
        let clock = sim.shared_clock();
        Self {
            _stands_still: clock.at_work(),
            clock,
        }
    }

    /// Lets time go on until something holds, looked at in such steps of time; it stands still from then on.
    pub(crate) async fn until(
        &self,
        run: &Run,
        every: Duration,
        mut holds: impl FnMut(&Story) -> bool,
    ) -> Story {
        loop {
            let story = run.story().await.unwrap();
            if holds(&story) {
                return story;
            }
            let standing = run.standing();
            assert!(
                !standing.is_final(),
                "it was never so, and now: {standing:?}"
            );
            self.clock.sleep_until(self.clock.now() + every).await;
        }
    }
}
