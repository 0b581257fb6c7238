//! How often vLCM is asked how far its tasks are: it tells nothing by itself.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Between the beginning and the first look: comparing hosts takes seconds, putting an image in many minutes.
const FIRST: Duration = Duration::from_secs(1);

/// And at the longest: a host that is back is wanted soon.
const LONGEST: Duration = Duration::from_secs(30);

/// The pause before the next look at each task, half as long again each time: what takes long is looked at seldom.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<HashMap<String, Duration>>);

impl Asked {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Duration>> {
        // Each change is one call on the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was begun just now, by this process.
    pub(super) fn begins(&self, task: &str) {
        self.all().insert(task.to_owned(), Duration::ZERO);
    }

    /// How long to wait for the first look at it; none where it was begun some time ago.
    pub(super) fn began(&self, task: &str) -> Option<Duration> {
        let mut all = self.all();
        let pause = all.get_mut(task).filter(|pause| pause.is_zero())?;
        *pause = FIRST;
        Some(FIRST)
    }

    /// It is not over: how long to wait for the next look at it.
    pub(super) fn next(&self, task: &str) -> Duration {
        let mut all = self.all();
        let pause = all.entry(task.to_owned()).or_default();
        *pause = (*pause * 3 / 2).clamp(FIRST, LONGEST);
        *pause
    }

    /// Nobody looks at it any more.
    pub(super) fn over(&self, task: &str) {
        self.all().remove(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rare() {
        let asked = Asked::default();
        asked.begins("a");
        assert_eq!(asked.began("a"), Some(FIRST));
        assert_eq!(asked.began("a"), None);
        let pauses: Vec<u128> = (0..10).map(|_| asked.next("a").as_millis()).collect();
        assert_eq!(pauses[..3], [1500, 2250, 3375]);
        assert_eq!(pauses[9], LONGEST.as_millis());
        asked.over("a");
        // One that another process began is looked at at once.
        assert_eq!(asked.began("a"), None);
        assert_eq!(asked.next("a"), FIRST);
    }
}
