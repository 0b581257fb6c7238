//! Faults that a simulated estate has when it is told to.

use std::{cell::Cell, collections::BTreeSet, fmt, time::Duration};

use jiff::Timestamp;

use super::chance::draw;
use crate::id::{ComponentId, PatchId, Version};

/// One fault, on one component, some, or all; see the constructors for what there is.
///
/// ```
/// use patchcore::sim::Script;
/// let on_one = Script::postinst_fails("nginx", "1.22.1-10").on("web-01");
/// let on_some = Script::lies_success("openssl").on_each(["web-02", "web-03"]);
/// let on_five_in_a_hundred = Script::health_breaks("openssl", "3.0.15-1").in_percent(5);
/// # let _ = (on_one, on_some, on_five_in_a_hundred);
/// ```
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) fault: Fault,
    pub(super) only_on: Option<BTreeSet<ComponentId>>,
    percent: Option<u8>,
    happened: Cell<u32>,
}

#[derive(Debug, Clone)]
pub(super) enum Fault {
    PostinstFails {
        patch: PatchId,
        version: Version,
    },
    HealthBreaks {
        patch: PatchId,
        version: Version,
    },
    LeavesOldCode {
        patch: PatchId,
        version: Version,
        service: String,
    },
    LiesSuccess {
        patch: PatchId,
    },
    RollBackFails,
    Unreachable {
        from: Timestamp,
        until: Timestamp,
    },
    LockHeld {
        by: String,
        from: Timestamp,
        until: Timestamp,
    },
    LosesReply {
        verb: String,
        nth: u32,
    },
    LosesRequest {
        verb: String,
        nth: u32,
    },
    RestartNeverReturns,
    RestartsUnasked {
        at: Timestamp,
    },
    Slow {
        verb: String,
        factor: f64,
    },
}

impl Script {
    fn of(fault: Fault) -> Self {
        Self {
            fault,
            only_on: None,
            percent: None,
            happened: Cell::new(0),
        }
    }

    /// The package's own script fails: it is left half-configured, and the rest of its transaction goes in.
    pub fn postinst_fails(patch: impl Into<PatchId>, version: impl Into<Version>) -> Self {
        Self::of(Fault::PostinstFails {
            patch: patch.into(),
            version: version.into(),
        })
    }

    /// Checks fail as long as this version is installed.
    pub fn health_breaks(patch: impl Into<PatchId>, version: impl Into<Version>) -> Self {
        Self::of(Fault::HealthBreaks {
            patch: patch.into(),
            version: version.into(),
        })
    }

    /// A service goes on with the old code after this version went in, until the component restarts.
    pub fn leaves_old_code(
        patch: impl Into<PatchId>,
        version: impl Into<Version>,
        service: impl Into<String>,
    ) -> Self {
        Self::of(Fault::LeavesOldCode {
            patch: patch.into(),
            version: version.into(),
            service: service.into(),
        })
    }

    /// The tool says that it is done with this patch, and installs nothing.
    pub fn lies_success(patch: impl Into<PatchId>) -> Self {
        Self::of(Fault::LiesSuccess {
            patch: patch.into(),
        })
    }

    /// Every way back fails: the kept packages turn out to be damaged.
    #[must_use]
    pub fn roll_back_fails() -> Self {
        Self::of(Fault::RollBackFails)
    }

    /// Nobody reaches the component from `from` (included) to `until` (excluded); what runs there goes on.
    #[must_use]
    pub fn unreachable(from: Timestamp, until: Timestamp) -> Self {
        Self::of(Fault::Unreachable { from, until })
    }

    /// Somebody else holds the package lock from `from` (included) to `until` (excluded).
    pub fn lock_held(by: impl Into<String>, from: Timestamp, until: Timestamp) -> Self {
        Self::of(Fault::LockHeld {
            by: by.into(),
            from,
            until,
        })
    }

    /// The `nth` call of `begin` with this verb (counted from 1 over the components of the script) does its
    /// work, and its answer gets lost.
    pub fn loses_reply(verb: impl Into<String>, nth: u32) -> Self {
        Self::of(Fault::LosesReply {
            verb: verb.into(),
            nth,
        })
    }

    /// The `nth` call of `begin` with this verb gets lost on its way. The caller sees the same as with
    /// [`Script::loses_reply`], and nothing has begun.
    pub fn loses_request(verb: impl Into<String>, nth: u32) -> Self {
        Self::of(Fault::LosesRequest {
            verb: verb.into(),
            nth,
        })
    }

    /// The component does not come back from a restart.
    #[must_use]
    pub fn restart_never_returns() -> Self {
        Self::of(Fault::RestartNeverReturns)
    }

    /// The component loses power at this time and starts again. A package operation that runs is lost half-way.
    #[must_use]
    pub fn restarts_unasked(at: Timestamp) -> Self {
        Self::of(Fault::RestartsUnasked { at })
    }

    /// A verb takes `factor` times as long as drawn; estimates do not know it.
    pub fn slow(verb: impl Into<String>, factor: f64) -> Self {
        Self::of(Fault::Slow {
            verb: verb.into(),
            factor,
        })
    }

    /// On this component only; called again, on that one too.
    #[must_use]
    pub fn on(mut self, component: impl Into<ComponentId>) -> Self {
        self.only_on
            .get_or_insert_default()
            .insert(component.into());
        self
    }

    /// On these components only.
    #[must_use]
    pub fn on_each<I>(mut self, components: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<ComponentId>,
    {
        self.only_on
            .get_or_insert_default()
            .extend(components.into_iter().map(Into::into));
        self
    }

    /// On about this many in a hundred of its components, chosen by the seed.
    #[must_use]
    pub fn in_percent(mut self, percent: u8) -> Self {
        self.percent = Some(percent);
        self
    }

    /// The patch and version that it names.
    pub(super) fn names(&self) -> Option<(&PatchId, &Version)> {
        match &self.fault {
            Fault::PostinstFails { patch, version }
            | Fault::HealthBreaks { patch, version }
            | Fault::LeavesOldCode { patch, version, .. } => Some((patch, version)),
            _ => None,
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::PostinstFails { patch, version } => {
                write!(f, "postinst of {patch} {version} fails")
            }
            Fault::HealthBreaks { patch, version } => write!(f, "{patch} {version} breaks health"),
            Fault::LeavesOldCode {
                patch,
                version,
                service,
            } => {
                write!(f, "{service} runs old code after {patch} {version}")
            }
            Fault::LiesSuccess { patch } => write!(f, "the tool lies about {patch}"),
            Fault::RollBackFails => f.write_str("roll-back fails"),
            Fault::Unreachable { from, until } => write!(f, "unreachable {from} to {until}"),
            Fault::LockHeld { by, from, until } => {
                write!(f, "package lock held by {by} {from} to {until}")
            }
            Fault::LosesReply { verb, nth } => write!(f, "reply {nth} of {verb} lost"),
            Fault::LosesRequest { verb, nth } => write!(f, "request {nth} of {verb} lost"),
            Fault::RestartNeverReturns => f.write_str("restart never returns"),
            Fault::RestartsUnasked { at } => write!(f, "power lost at {at}"),
            Fault::Slow { verb, factor } => write!(f, "{verb} is {factor} times as slow"),
        }?;
        match &self.only_on {
            None => f.write_str(" on all"),
            Some(only) => {
                let names: Vec<&str> = only.iter().map(ComponentId::as_str).collect();
                write!(f, " on {}", names.join(", "))
            }
        }?;
        self.percent.map_or(Ok(()), |p| write!(f, " ({p} %)"))
    }
}

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
        self.iter().filter(|s| s.happened.get() == 0)
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
                entry.script.happened.set(entry.script.happened.get() + 1);
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
                let happened = &self.all[i].script.happened;
                happened.set(happened.get() + 1);
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

    #[test]
    fn a_script_says_what_it_does() {
        let script = Script::postinst_fails("nginx", "1").on("b").on("a");
        assert_eq!(script.to_string(), "postinst of nginx 1 fails on a, b");
        assert_eq!(
            Script::roll_back_fails().in_percent(5).to_string(),
            "roll-back fails on all (5 %)"
        );
    }
}
