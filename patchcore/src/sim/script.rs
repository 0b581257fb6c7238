//! Faults that a simulated estate has when it is told to.

use std::{cell::Cell, collections::BTreeSet, fmt};

use jiff::Timestamp;

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
    pub(super) percent: Option<u8>,
    happened: Cell<bool>,
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
    TakeLies,
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
    MigrationFails {
        times: u32,
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
            happened: Cell::new(false),
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

    /// What is to be taken around the component is said to be taken, and is not.
    #[must_use]
    pub fn take_lies() -> Self {
        Self::of(Fault::TakeLies)
    }

    /// The first moves of the machine fail, so many of them.
    #[must_use]
    pub fn migration_fails(times: u32) -> Self {
        Self::of(Fault::MigrationFails { times })
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

    /// Whether its fault has happened.
    pub(super) fn happened(&self) -> bool {
        self.happened.get()
    }

    /// Notes that its fault happens.
    pub(super) fn happens(&self) {
        self.happened.set(true);
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
            Fault::TakeLies => f.write_str("what is taken is not taken"),
            Fault::Unreachable { from, until } => write!(f, "unreachable {from} to {until}"),
            Fault::LockHeld { by, from, until } => {
                write!(f, "package lock held by {by} {from} to {until}")
            }
            Fault::LosesReply { verb, nth } => write!(f, "reply {nth} of {verb} lost"),
            Fault::LosesRequest { verb, nth } => write!(f, "request {nth} of {verb} lost"),
            Fault::MigrationFails { times } => write!(f, "{times} moves fail"),
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

#[cfg(test)]
mod tests {
    use super::*;

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
