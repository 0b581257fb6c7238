//! What a journal records.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    phase::{End, Phase, RunVerdict, Step},
    roll::RollEvent,
    run::PausePoint,
};
use crate::{
    error::Failure,
    id::{ComponentId, OpKey, PatchId, PersonId, RingName, RunId, Version, WindowName},
    judge::{Answer, RingCount},
    plan::Denial,
    provider::{Baseline, Evidence, Guarantee, Handle, PortCall, Undo},
};

/// A decision about one component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum ComponentEvent {
    /// It has a slot and begins.
    Admitted {
        /// In which ring.
        ring: RingName,
        /// In which wave, counted from 1.
        wave: usize,
        /// Where it goes.
        next: Phase,
    },
    /// An operation is about to begin. Durable before anything happens.
    Intended {
        /// Which step.
        step: Step,
        /// Under which key.
        key: OpKey,
        /// What.
        request: PortCall,
        /// From where.
        baseline: Baseline,
        /// What the target promises.
        guarantee: Guarantee,
        /// How it is undone.
        undo: Undo<PortCall>,
        /// What is owed from now on, as a sentence; none where nothing is borrowed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owes: Option<String>,
        /// When that should have been given back; later it is overdue.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        give_back_by: Option<Timestamp>,
    },
    /// The target took it.
    Begun {
        /// By what it is found again.
        handle: Handle,
    },
    /// The operation is over.
    Settled {
        /// Which step.
        step: Step,
        /// What was seen.
        evidence: Evidence,
        /// Whether it was so before we began.
        held_already: bool,
        /// The operation whose loan is given back by this; none where it gives everything back that is owed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gives: Option<OpKey>,
        /// Where it goes.
        next: Phase,
    },
    /// The operation failed, or could not begin.
    Failed {
        /// Which step.
        step: Step,
        /// Every reason.
        failures: Vec<Failure>,
        /// Where it goes.
        next: Phase,
    },
    /// What is there was read.
    Scanned {
        /// In which phase.
        at: Phase,
        /// Whether everything is at the planned version; after rolling back: as before.
        patched: Answer,
        /// Whether the patched code runs.
        in_effect: Answer,
        /// Whether it restarted.
        rebooted: Answer,
        /// Its boot identity at this moment: a later restart is judged against it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        boot_id: Option<String>,
        /// Where it goes.
        next: Phase,
    },
    /// Its checks were run.
    Checked {
        /// In which phase.
        at: Phase,
        /// Whether they hold.
        healthy: Answer,
        /// Where it goes.
        next: Phase,
    },
    /// Its soak is over.
    SoakOver {
        /// Where it goes.
        next: Phase,
    },
    /// It has a slot to be rolled back in.
    WayBackOpened {
        /// Where it goes.
        next: Phase,
    },
    /// It does not get its turn.
    Skipped {
        /// Why.
        why: String,
    },
    /// A person lifted the halt that its failure led to.
    Forgiven,
    /// The run ends before its soak does.
    CutShort {
        /// Where it goes.
        next: Phase,
    },
    /// Nobody but a person can say what happened.
    Quarantined {
        /// Why.
        why: String,
    },
    /// A person decided.
    Resolved {
        /// Who.
        by: PersonId,
        /// Why.
        reason: String,
        /// What, as a word.
        how: String,
        /// What is still owed and will not be given back by us.
        waives: bool,
        /// The operation whose loan alone is waived; none where all are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<OpKey>,
        /// The operation whose loan this takes for given back; none where it does so with everything that is owed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gives: Option<OpKey>,
        /// Where it goes.
        next: Phase,
    },
    /// What is in flight does not get on. It goes on being waited for.
    Stalled {
        /// Which call: `observe`, `begin`, `prepare`.
        call: String,
        /// Since when nothing moved.
        since: Timestamp,
        /// What keeps it, as a sentence.
        why: String,
        /// Who holds what it waits for, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holder: Option<String>,
    },
    /// What stalled gets on again.
    Moved,
    /// Something borrowed was changed by somebody else meanwhile, so it is not given back by us.
    Fought {
        /// The operation that borrowed it.
        taken_by: OpKey,
        /// What was left there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// We hold the lock of the target from now on.
    Locked {
        /// What the target counts our holding as: it refuses whoever comes with a lower one.
        fence: u64,
        /// From whom it was taken over, and how old that holding was; none where nobody held it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        took_over: Option<String>,
    },
    /// The lock of the target is given back.
    Unlocked {
        /// Which holding ended.
        fence: u64,
        /// Why the target could not be told, where it could not: there the holding lapses by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lapses: Option<String>,
    },
}

/// A takeover from a process that still held the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forced {
    /// Who.
    pub by: PersonId,
    /// Why.
    pub reason: String,
    /// How long that process had held it.
    #[serde(with = "crate::clock::iso")]
    pub held_for: std::time::Duration,
}

/// A decision about the run as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum RunEvent {
    /// It begins.
    Started {
        /// What people call the plan.
        plan: String,
        /// How many components.
        components: usize,
        /// Who asked.
        requested_by: PersonId,
        /// Who approved, with the standing: `maria (asserted)`.
        approved_by: Vec<String>,
    },
    /// Another process took it over.
    TakenOver {
        /// How often the journal changed hands.
        epoch: u64,
        /// Which process of which host had opened it before, and when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Who took it from a process that still held it, and why; none where nobody held it any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forced: Option<Forced>,
    },
    /// A ring may start.
    RingOpened {
        /// Which.
        ring: RingName,
        /// How many of it are in the plan.
        of: usize,
        /// How many may be down at once.
        at_once: usize,
        /// In which window.
        window: WindowName,
        /// Until when that is open.
        until: Option<Timestamp>,
    },
    /// All of a ring are back in service, and it is watched.
    SoakStarted {
        /// Which.
        ring: RingName,
        /// Until when.
        until: Timestamp,
    },
    /// The soak is over, and everything is looked at once more.
    SoakEnded {
        /// Which.
        ring: RingName,
    },
    /// A ring is through.
    RingPassed {
        /// Which.
        ring: RingName,
        /// How it stands.
        count: RingCount,
    },
    /// A person approved a ring.
    RingApproved {
        /// Which.
        ring: RingName,
        /// Who.
        by: PersonId,
        /// What the person wrote.
        reason: String,
    },
    /// Nothing new starts.
    Halted {
        /// Why.
        why: String,
        /// In which ring.
        ring: Option<RingName>,
    },
    /// A person lets it go on.
    HaltLifted {
        /// Who.
        by: PersonId,
        /// Why.
        reason: String,
        /// Failures that are forgiven by this.
        forgiven: usize,
        /// The ring that may start although what it waited for does not hold.
        ring: Option<RingName>,
    },
    /// Nothing new starts until somebody lets it go on.
    Paused {
        /// Who.
        by: PersonId,
        /// Why.
        reason: String,
    },
    /// It goes on.
    Unpaused {
        /// Who.
        by: PersonId,
        /// Why.
        reason: String,
    },
    /// Somebody wants a step not to begin until they say so.
    PausePointSet {
        /// Where, by whom and why.
        point: PausePoint,
    },
    /// The step may begin.
    PausePointCleared {
        /// Whose step; every component's where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        component: Option<ComponentId>,
        /// Which step.
        step: Step,
        /// Who says so.
        by: PersonId,
        /// Why.
        reason: String,
    },
    /// It is brought to an end: nothing new starts, what is open is finished, what is owed is given back.
    Ending {
        /// With which verdict.
        verdict: RunVerdict,
        /// Who.
        by: PersonId,
        /// Why.
        reason: String,
    },
    /// A patch is on the deny-list from now on.
    Denied {
        /// Which, and why.
        denial: Denial,
    },
    /// A person takes a patch off the deny-list.
    DenialLifted {
        /// Which.
        patch: PatchId,
        /// At which version.
        version: Version,
        /// Of which run.
        run: RunId,
        /// Who.
        by: PersonId,
        /// Why.
        reason: String,
    },
    /// A command could not be carried out.
    CommandRefused {
        /// Who sent it.
        by: PersonId,
        /// Which.
        verb: String,
        /// Why not.
        why: String,
    },
    /// About the roll of a cluster.
    Roll {
        /// Which cluster.
        cluster: ComponentId,
        /// What.
        event: Box<RollEvent>,
    },
    /// It is over.
    Ended {
        /// How.
        verdict: RunVerdict,
        /// How many ended in which way.
        ends: Vec<(End, usize)>,
    },
}

/// Either of the two, or one that this version cannot make use of.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are of components, so a place of its own for each would save nothing"
)]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// About the run.
    Run(RunEvent),
    /// About one component.
    Component(ComponentEvent),
    /// Written by a newer version: its kind and its body.
    Other(String, Value),
    /// Of a kind that is known, with a body that cannot be read: its kind, and why.
    Damaged(String, String),
}
