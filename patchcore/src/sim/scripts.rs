//! All scripts of a world, asked by what could go wrong.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use super::{
    chance::draw,
    script::{Fault, Script},
};
use crate::id::{ComponentId, PatchId, Version};

/// All scripts of a world.
#[derive(Debug, Default)]
pub(super) struct Scripts {
    seed: u64,
    all: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    script: Script,
    begins: u32,
}

/// What becomes of a call of `begin` on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    ReplyLost,
    RequestLost,
}

impl Scripts {
    pub(super) fn seeded(seed: u64) -> Self {
        Self {
            seed,
            all: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, script: Script) {
        self.all.push(Entry { script, begins: 0 });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Script> {
        self.all.iter().map(|e| &e.script)
    }

    /// Scripts whose fault has not happened.
    pub(super) fn idle(&self) -> impl Iterator<Item = &Script> {
        self.iter().filter(|s| !s.happened())
    }

    fn hits(&self, index: usize, script: &Script, component: &ComponentId) -> bool {
        let chosen = script
            .only_on
            .as_ref()
            .is_none_or(|only| only.contains(component));
        chosen
            && script.percent.is_none_or(|percent| {
                let about = ["script", &index.to_string(), component.as_str()];
                draw(self.seed, &about) * 100.0 < f64::from(percent)
            })
    }

    /// The first fault on a component that `wanted` takes; it counts as happened.
    fn first<T>(&self, component: &ComponentId, wanted: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.all.iter().enumerate().find_map(|(i, entry)| {
            let found = wanted(&entry.script.fault)?;
            self.hits(i, &entry.script, component).then(|| {
                entry.script.happens();
                found
            })
        })
    }

    pub(super) fn postinst_fails(
        &self,
        on: &ComponentId,
        patch: &PatchId,
        to: Option<&Version>,
    ) -> bool {
        self.first(on, |f| match f {
            Fault::PostinstFails { patch: p, version } => {
                (p == patch && Some(version) == to).then_some(())
            }
            _ => None,
        })
        .is_some()
    }

    /// The patch and version that break the component's health, of what `has` says is installed.
    pub(super) fn broken_by(
        &self,
        on: &ComponentId,
        has: impl Fn(&PatchId, &Version) -> bool,
    ) -> Option<(PatchId, Version)> {
        self.first(on, |f| match f {
            Fault::HealthBreaks { patch, version } if has(patch, version) => {
                Some((patch.clone(), version.clone()))
            }
            _ => None,
        })
    }

    pub(super) fn old_code(
        &self,
        on: &ComponentId,
        patch: &PatchId,
        to: Option<&Version>,
    ) -> Option<String> {
        self.first(on, |f| match f {
            Fault::LeavesOldCode {
                patch: p,
                version,
                service,
            } if p == patch && Some(version) == to => Some(service.clone()),
            _ => None,
        })
    }

    pub(super) fn lies(&self, on: &ComponentId, patch: &PatchId) -> bool {
        self.first(on, |f| match f {
            Fault::LiesSuccess { patch: p } => (p == patch).then_some(()),
            _ => None,
        })
        .is_some()
    }

    pub(super) fn roll_back_fails(&self, on: &ComponentId) -> bool {
        self.first(on, |f| matches!(f, Fault::RollBackFails).then_some(()))
            .is_some()
    }

    pub(super) fn take_lies(&self, on: &ComponentId) -> bool {
        self.first(on, |f| matches!(f, Fault::TakeLies).then_some(()))
            .is_some()
    }

    /// Counts one move of a machine, and says whether it fails.
    pub(super) fn migration_fails(&mut self, vm: &ComponentId) -> bool {
        for i in 0..self.all.len() {
            let Fault::MigrationFails { times } = self.all[i].script.fault else {
                continue;
            };
            if self.all[i].begins < times && self.hits(i, &self.all[i].script, vm) {
                self.all[i].begins += 1;
                self.all[i].script.happens();
                return true;
            }
        }
        false
    }

    pub(super) fn restart_never_returns(&self, on: &ComponentId) -> bool {
        self.first(on, |f| {
            matches!(f, Fault::RestartNeverReturns).then_some(())
        })
        .is_some()
    }

    pub(super) fn unreachable(&self, on: &ComponentId, now: Timestamp) -> bool {
        self.first(on, |f| match f {
            Fault::Unreachable { from, until } => (*from <= now && now < *until).then_some(()),
            _ => None,
        })
        .is_some()
    }

    /// Who holds the package lock, and since when.
    pub(super) fn lock_held(
        &self,
        on: &ComponentId,
        now: Timestamp,
    ) -> Option<(String, Timestamp)> {
        self.first(on, |f| match f {
            Fault::LockHeld { by, from, until } if *from <= now && now < *until => {
                Some((by.clone(), *from))
            }
            _ => None,
        })
    }

    pub(super) fn slowed(&self, on: &ComponentId, verb: &str, takes: Duration) -> Duration {
        let factor = self.first(on, |f| match f {
            Fault::Slow { verb: v, factor } => (v == verb).then_some(*factor),
            _ => None,
        });
        match factor {
            // A factor that is no sensible number slows nothing, and no virtual time ends after ten years.
            Some(factor) if factor.is_finite() && factor > 0.0 => {
                Duration::from_secs_f64((takes.as_secs_f64() * factor).min(315_360_000.0))
            }
            _ => takes,
        }
    }

    /// Counts one call of `begin`, and says what becomes of it.
    pub(super) fn delivery(&mut self, verb: &str, subjects: &BTreeSet<ComponentId>) -> Delivery {
        let mut delivery = Delivery::Whole;
        for i in 0..self.all.len() {
            let script = &self.all[i].script;
            let (of, nth, lost) = match &script.fault {
                Fault::LosesReply { verb, nth } => (verb, *nth, Delivery::ReplyLost),
                Fault::LosesRequest { verb, nth } => (verb, *nth, Delivery::RequestLost),
                _ => continue,
            };
            if of != verb || !subjects.iter().any(|s| self.hits(i, script, s)) {
                continue;
            }
            self.all[i].begins += 1;
            if self.all[i].begins == nth {
                self.all[i].script.happens();
                delivery = lost;
            }
        }
        delivery
    }

    /// When and for whom the power fails by this script.
    pub(super) fn power_loss(script: &Script) -> Option<Timestamp> {
        match script.fault {
            Fault::RestartsUnasked { at } => Some(at),
            _ => None,
        }
    }

    /// Whether this component loses power at this time; it counts as happened.
    pub(super) fn loses_power(&self, on: &ComponentId, now: Timestamp) -> bool {
        self.first(on, |f| match f {
            Fault::RestartsUnasked { at } => (*at == now).then_some(()),
            _ => None,
        })
        .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_chosen_by_the_seed() {
        let chosen = |seed| -> Vec<usize> {
            let mut scripts = Scripts::seeded(seed);
            scripts.add(Script::roll_back_fails().in_percent(10));
            (0..1_000)
                .filter(|i| scripts.roll_back_fails(&ComponentId::from(format!("c{i}"))))
                .collect()
        };
        assert!((70..130).contains(&chosen(1).len()), "{}", chosen(1).len());
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
    }

    #[test]
    fn only_the_nth_answer_gets_lost() {
        let mut scripts = Scripts::default();
        scripts.add(Script::loses_reply("apply", 2).on("a"));
        let mut begin =
            |verb, on: &str| scripts.delivery(verb, &BTreeSet::from([ComponentId::from(on)]));
        let answers = [
            begin("apply", "a"),
            begin("stage", "a"),
            begin("apply", "b"),
            begin("apply", "a"),
            begin("apply", "a"),
        ];
        use Delivery::{ReplyLost, Whole};
        assert_eq!(answers, [Whole, Whole, Whole, ReplyLost, Whole]);
        assert_eq!(scripts.idle().count(), 0);
    }
}
