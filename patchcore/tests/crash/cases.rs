//! The small estates whose whole runs are hurt at every point.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use patchcore::{
    Plan, Policy, Timestamp,
    discover::{Answers, discover},
    estate::{
        Available, ComponentKind, Estimate, Patch, PatchClass, RedundancyGroup, Scan, Sighting,
        Tool, WayBack, WayBackKind,
    },
    execute::{
        kernel::{Resolution, RollEvent, Step},
        step::{self, ALERTS, LockCall, Occasion, Promise, Verb},
    },
    id::{ComponentId, ProviderName},
    plan::roll::Cluster,
    plan::{GroupFloor, PlanInput, PlannedBracket, PlannedCheck, RebootRule, Target, plan},
    policy::Calendar,
    provider::{BracketKind, Listing, ProbeKind},
};

use super::{
    brackets::{HeldFault, Meddling},
    cluster::{Drained, EIGHT, HOSTS, MOVES, PINNED, of_eight, of_two},
    locks::LockFault,
    micro::start,
    rolling::planned,
    world::{Fault, NEW, OLD, PATCH, World},
};

const POLICY: &str = r#"
policy = 1
name = "crash"
approval = { needs = 1, from = ["maria"] }
[[window]]
name = "always"
when = "any time"
[[ring]]
name = "all"
select = "*"
soak = "1h"
"#;

/// One estate and what goes wrong in it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) plan: Plan,
    pub(crate) calendar: Calendar,
    pub(crate) promise: Promise,
    pub(crate) promises: BTreeMap<Verb, Promise>,
    faults: Vec<(&'static str, Verb, Fault)>,
    pub(crate) resolution: Resolution,
    pub(crate) lifts: bool,
    /// Whether the targets keep locks, and what goes wrong with those.
    pub(crate) locks: bool,
    lock_fault: Option<(LockCall, LockFault)>,
    /// For how long somebody else wants the locks.
    rival: Duration,
    rival_dies: bool,
    /// What goes wrong with looks at what is held, and who else changes that.
    held_fault: Option<(Occasion, HeldFault)>,
    meddled: Option<(Meddling, Duration)>,
    /// How long a verb takes, where it is not the usual.
    slow: Option<(Verb, Duration)>,
    /// Before which steps somebody holds the run, of whom.
    pub(crate) pauses: Vec<(Step, Option<&'static str>)>,
    /// Whether the end must be as without the crash: not where a person had to decide more often.
    pub(crate) same_end: bool,
    /// The cluster whose hosts they are, where one is rolled, and its roll.
    pub(crate) rolls: Option<(Cluster, RollEvent)>,
    /// Each so many of its points are hurt where not all are wanted; pairs of them only where that is every one.
    pub(crate) every: usize,
}

impl Case {
    fn new(name: &'static str, guests: &[&str], promise: Promise) -> Self {
        let plan = plan_of(POLICY, guests, Vec::new());
        Self {
            name,
            calendar: Calendar::new(&plan.envelope.windows, &plan.envelope.blackouts)
                .expect("a calendar"),
            plan,
            promise,
            promises: BTreeMap::new(),
            faults: Vec::new(),
            resolution: Resolution::Retry,
            lifts: false,
            locks: false,
            lock_fault: None,
            rival: Duration::ZERO,
            rival_dies: false,
            held_fault: None,
            meddled: None,
            slow: None,
            pauses: Vec::new(),
            same_end: true,
            rolls: None,
            every: 1,
        }
    }

    fn fault(mut self, guest: &'static str, verb: Verb, fault: Fault) -> Self {
        self.faults.push((guest, verb, fault));
        self
    }

    fn at_once(mut self, n: usize) -> Self {
        self.plan.envelope.rings[0].at_once = n;
        let rings = &mut self.plan.schedule.rings;
        // All in one wave, so that the budget and nothing else holds them back.
        let all = rings[0].waves.drain(..).reduce(|mut all, wave| {
            all.components.extend(wave.components);
            all
        });
        rings[0].waves.extend(all);
        self
    }

    fn group(mut self, keep_up: usize) -> Self {
        let members: Vec<ComponentId> = self
            .plan
            .envelope
            .targets
            .iter()
            .map(|t| t.component.clone())
            .collect();
        for target in &mut self.plan.envelope.targets {
            target.groups.push("g".into());
        }
        self.plan.envelope.groups.push(GroupFloor {
            name: "g".into(),
            keep_up,
            members,
            down_already: Vec::new(),
        });
        self
    }

    /// Two hosts of a cluster that is rolled.
    fn rolled(name: &'static str, promise: Promise) -> Self {
        let mut case = Self::new(name, &HOSTS, promise).at_once(1);
        let cluster = of_two();
        let planned = planned(&cluster, start());
        case.rolls = Some((cluster, planned));
        case
    }

    /// Eight of them, with two machines that are shut down.
    fn rolled_eight(name: &'static str) -> Self {
        let mut case = Self::new(name, &EIGHT, Promise::Keyed).at_once(2);
        let cluster = of_eight();
        let planned = planned(&cluster, start());
        case.rolls = Some((cluster, planned));
        // A prime, so that points of every kind are met.
        case.every = 31;
        case
    }

    fn locked(mut self) -> Self {
        self.locks = true;
        self
    }

    fn lock_fails(mut self, call: LockCall, how: LockFault) -> Self {
        self.lock_fault = Some((call, how));
        self.locked()
    }

    /// Somebody else has the locks for so many minutes.
    fn rival(mut self, minutes: u64) -> Self {
        self.rival = Duration::from_secs(60 * minutes);
        self.locked()
    }

    fn held_before(mut self, step: Step, of: Option<&'static str>) -> Self {
        self.pauses.push((step, of));
        for target in &mut self.plan.envelope.targets {
            target.reboot_first |= step == Step::RebootFirst;
        }
        if step == Step::Take {
            self = self.silenced();
        }
        self
    }

    /// Alerts are silenced around each of them.
    fn silenced(mut self) -> Self {
        for target in &mut self.plan.envelope.targets {
            target.around.push(around(target, BracketKind::Silence));
        }
        self
    }

    /// And whatever works on them by itself is paused.
    fn paused(mut self) -> Self {
        for target in &mut self.plan.envelope.targets {
            target.around.push(around(target, BracketKind::Pause));
        }
        self
    }

    /// What is held ends by itself after so long.
    fn at_least(mut self, at_least: Duration) -> Self {
        for target in &mut self.plan.envelope.targets {
            for around in &mut target.around {
                around.at_least = at_least;
            }
        }
        self
    }

    /// Somebody else does that, so long after something was taken.
    fn meddled(mut self, meddling: Meddling, after: Duration) -> Self {
        self.meddled = Some((meddling, after));
        self
    }

    fn look_fails(mut self, occasion: Occasion, how: HeldFault) -> Self {
        self.held_fault = Some((occasion, how));
        self
    }

    /// A person lets it go on.
    fn lifted(mut self) -> Self {
        self.lifts = true;
        self
    }

    /// After a crash what happens to it may come earlier on its way.
    fn ends_otherwise(mut self) -> Self {
        self.same_end = false;
        self
    }

    fn resolved(mut self, how: Resolution) -> Self {
        self.resolution = how;
        self.same_end = false;
        self
    }

    /// The world at the beginning.
    pub(crate) fn world(&self, now: Timestamp) -> World {
        let names: Vec<&str> = self
            .plan
            .envelope
            .targets
            .iter()
            .map(|t| t.component.as_str())
            .collect();
        let mut world = World::new(now, &names, self.promise);
        world.promises.extend(self.promises.clone());
        world.locks = self.locks.then(Default::default);
        world.script.lock_fault = self.lock_fault;
        world.script.rival_until = (!self.rival.is_zero()).then(|| now + self.rival);
        world.script.rival_dies = self.rival_dies;
        world.brackets.fault = self.held_fault;
        if let Some((cluster, _)) = &self.rolls {
            world.cluster = Drained::of(cluster);
        }
        for target in &self.plan.envelope.targets {
            let component = &target.component;
            let wanted = target.around.len();
            world.brackets.wanted.insert(component.clone(), wanted);
            let meddles = self.meddled.map(|how| (component.clone(), how));
            world.brackets.meddles.extend(meddles);
        }
        world.script.takes_of = self.slow.into_iter().collect();
        for (guest, verb, fault) in &self.faults {
            let faults = &mut world.script.faults;
            let of_verb = faults
                .entry((ComponentId::from(*guest), *verb))
                .or_default();
            of_verb.push(*fault);
        }
        world
    }
}

/// Every case.
pub(crate) fn cases() -> Vec<Case> {
    let two = ["a", "b"];
    let mut cases = vec![
        Case::new("good, with keys", &two, Promise::Keyed),
        Case::new("good, searched for", &two, Promise::Locatable),
        Case::new("good, by state", &two, Promise::StateOnly),
        Case::new("the patch fails", &two, Promise::Keyed).fault("a", Verb::Apply, Fault::Fails),
        Case::new("the patch fails, searched for", &two, Promise::Locatable).fault(
            "a",
            Verb::Apply,
            Fault::Fails,
        ),
        Case::new("the patch breaks its service", &two, Promise::Keyed).fault(
            "a",
            Verb::Apply,
            Fault::BreaksService,
        ),
        Case::new("it breaks in the soak", &two, Promise::Keyed).fault(
            "a",
            Verb::Apply,
            Fault::BreaksLater,
        ),
        Case::new("the patch is refused", &two, Promise::Keyed).fault(
            "a",
            Verb::Apply,
            Fault::Refused,
        ),
        Case::new("staging is unclear, and done again", &two, Promise::Keyed).fault(
            "a",
            Verb::Stage,
            Fault::LeftOut,
        ),
        Case::new(
            "the way back fails, and is done again",
            &two,
            Promise::Keyed,
        )
        .fault("a", Verb::Apply, Fault::Fails)
        .fault("a", Verb::RollBack, Fault::Fails),
        Case::new("three, two at once", &["a", "b", "c"], Promise::Keyed).at_once(2),
        Case::new("three, a floor of two", &["a", "b", "c"], Promise::Keyed)
            .at_once(2)
            .group(2),
    ];
    let mut mixed = Case::new(
        "restarts by state, the rest with keys",
        &two,
        Promise::Keyed,
    );
    mixed.promises.insert(Verb::Reboot, Promise::StateOnly);
    cases.push(mixed);
    cases.extend(of_locks());
    for step in Step::PAUSABLE {
        assert!(step::can_be_paused_before(step), "{step:?}");
        let (all, one) = match step.slug() {
            "reboot-first" => ("held before the first restart", "the same, of one"),
            "stage" => ("held before staging", "the same, of one"),
            "apply" => ("held before applying", "the same, of one"),
            "take" => ("held before it is silenced", "the same, of one"),
            "reboot" => ("held before a restart", "the same, of one"),
            // Nothing is taken around a change in this world.
            _ => continue,
        };
        cases.push(Case::new(all, &two, Promise::Keyed).held_before(step, None));
        cases.push(Case::new(one, &two, Promise::Keyed).held_before(step, Some("b")));
    }
    cases.extend(of_brackets());
    for how in Resolution::ALL {
        let (blind, unclear) = match how {
            Resolution::AdoptDone => ("blind, adopted", "unclear, adopted"),
            Resolution::Retry => ("blind, done again", "unclear, done again"),
            Resolution::RollBack => ("blind, rolled back", "unclear, rolled back"),
            Resolution::Abandon => ("blind, abandoned", "unclear, abandoned"),
        };
        cases.push(Case::new(blind, &two, Promise::Blind).resolved(how));
        cases.push(
            Case::new(unclear, &two, Promise::Keyed)
                .fault("a", Verb::Apply, Fault::LeftOut)
                .at_once(1)
                .resolved(how),
        );
    }
    cases.extend(of_rolls());
    cases
}

/// Targets that keep locks.
fn of_locks() -> Vec<Case> {
    let case = |name| Case::new(name, &["b"], Promise::Keyed).locked();
    let mut slow = case("locked, and applying takes twenty minutes");
    slow.slow = Some((Verb::Apply, Duration::from_secs(20 * 60)));
    let mut lapses = case("locked, and somebody else died with it").rival(1);
    lapses.rival_dies = true;
    let mut slow_fails = case("locked, slow, and taking it again fails once")
        .lock_fails(LockCall::Renew, LockFault::FailsOnce);
    slow_fails.slow = slow.slow;
    let mut slow_refused = case("locked, slow, and taking it again fails")
        .lock_fails(LockCall::Renew, LockFault::Fails)
        .resolved(Resolution::Retry);
    slow_refused.slow = slow.slow;
    vec![
        Case::new("locked", &["a", "b"], Promise::Keyed).locked(),
        Case::new("locked, by state", &["b"], Promise::StateOnly).locked(),
        Case::new("locked, and the patch fails", &["b"], Promise::Keyed)
            .fault("b", Verb::Apply, Fault::Fails)
            .locked(),
        case("locked, and somebody else has it for five minutes").rival(5),
        case("locked, and somebody else keeps it").rival(60 * 24 * 30),
        lapses,
        slow,
        slow_fails,
        slow_refused,
        case("locked, and taking it fails once").lock_fails(LockCall::Take, LockFault::FailsOnce),
        case("locked, and taking it fails").lock_fails(LockCall::Take, LockFault::Fails),
        case("locked, and taking it is never answered")
            .lock_fails(LockCall::Take, LockFault::NeverOnce),
        case("locked, and giving it back fails once")
            .lock_fails(LockCall::GiveBack, LockFault::FailsOnce),
        case("locked, and giving it back fails").lock_fails(LockCall::GiveBack, LockFault::Fails),
        case("locked, and giving it back is never answered")
            .lock_fails(LockCall::GiveBack, LockFault::NeverOnce),
    ]
}

/// Clusters that are rolled.
fn of_rolls() -> Vec<Case> {
    let case = |name| Case::rolled(name, Promise::Keyed);
    let mut slow = Case::rolled("a roll, and moving takes ten minutes", Promise::Locatable);
    slow.slow = Some((Verb::Migrate, Duration::from_secs(10 * 60)));
    vec![
        case("a roll, with keys"),
        Case::rolled("a roll, searched for", Promise::Locatable),
        slow,
        Case::rolled("a roll, by state", Promise::StateOnly),
        case("a roll, and a move fails").fault(MOVES, Verb::Migrate, Fault::Fails),
        case("a roll, and shutting down fails").fault(PINNED, Verb::ShutDown, Fault::Fails),
        case("a roll, and starting fails").fault(PINNED, Verb::Start, Fault::Fails),
        case("a roll, and a host does not close").fault("a", Verb::EnterMaintenance, Fault::Fails),
        case("a roll, and a host does not open").fault("b", Verb::ExitMaintenance, Fault::Fails),
        case("a roll, and the patch fails").fault("b", Verb::Apply, Fault::Fails),
        case("a roll, and nobody can say whether it moved")
            .fault(MOVES, Verb::Migrate, Fault::LeftOut)
            .lifted(),
        Case::rolled_eight("a roll of eight hosts, two of whose machines are shut down"),
    ]
}

/// A plan for guests that all have the same patch; the first of them carries the label `ring = test`.
pub(crate) fn plan_of(policy: &str, guests: &[&str], groups: Vec<RedundancyGroup>) -> Plan {
    let mut tool = Answers {
        tool: Some(Tool {
            version: "1".to_owned(),
            can: ["apply", "stage", "reboot", "roll_back"]
                .map(str::to_owned)
                .into(),
            evidence: BTreeMap::new(),
        }),
        probes: vec!["command".to_owned()],
        ..Answers::default()
    };
    let mut listing = Listing::default();
    listing.groups = groups;
    for (nth, guest) in guests.iter().enumerate() {
        let id = ComponentId::from(*guest);
        let sighting = Sighting::new(id.clone(), ComponentKind::Guest, start());
        let ring = if nth == 0 { "test" } else { "rest" };
        listing.sightings.push(sighting.with_label("ring", ring));
        let installed = BTreeMap::from([(PATCH.into(), OLD.into())]);
        let mut scan = Scan::new(start(), installed);
        scan.reboot_wanted = Some(Vec::new());
        scan.way_back = Some(WayBack::Ready {
            by: WayBackKind::OldPackages,
        });
        let minutes = |n: u64| Duration::from_secs(60 * n);
        scan.takes = Some(Estimate::new(minutes(2), minutes(5)));
        tool.scans.insert(id.clone(), Ok(scan));
        let mut offer = Available::nothing(start());
        let patch = Patch::new(PATCH, Some(OLD.into()), NEW, PatchClass::Security);
        offer.patches.push(patch);
        tool.available.insert(id, Ok(offer));
    }
    tool.listing = Some(Ok(listing));
    let answers = BTreeMap::from([(ProviderName::from("world"), tool)]);
    let inventory = discover("crash".into(), start(), &answers).expect("an inventory");
    let mut plan = plan(&PlanInput {
        inventory: &inventory,
        policy: &Policy::from_toml(policy, "policy.toml").expect("a policy"),
        requested_by: &"sam".into(),
        now: start(),
        denials: &[],
        references: &[],
    })
    .expect("a plan");
    let planned: BTreeSet<&str> = plan
        .envelope
        .targets
        .iter()
        .map(|t| t.component.as_str())
        .collect();
    assert_eq!(planned.len(), guests.len(), "everybody is in the plan");
    for target in &mut plan.envelope.targets {
        target.checks = vec![PlannedCheck {
            kind: ProbeKind::Command {
                argv: vec!["true".to_owned()],
            },
            by: "world".into(),
            within: Duration::from_secs(60),
            steady: Duration::from_secs(10),
        }]
        .into();
        if target.component.as_str() == "b" {
            target.reboot = RebootRule::Always;
        }
    }
    plan
}

/// Alerts are silenced around the changes.
fn of_brackets() -> Vec<Case> {
    let case = |name| Case::new(name, &["a", "b"], Promise::Keyed).silenced();
    let one = |name| Case::new(name, &["b"], Promise::Keyed).silenced();
    let seconds = Duration::from_secs;
    let mut cases = vec![
        case("silenced, with keys"),
        Case::new("silenced, searched for", &["a", "b"], Promise::Locatable).silenced(),
        Case::new("silenced, by state", &["a", "b"], Promise::StateOnly).silenced(),
        case("silenced, and the patch fails").fault("a", Verb::Apply, Fault::Fails),
        case("silenced, and it breaks in the soak").fault("a", Verb::Apply, Fault::BreaksLater),
        case("silenced, and nobody can say whether").fault("a", Verb::Take, Fault::LeftOut),
        case("silenced, and that is refused").fault("a", Verb::Take, Fault::Refused),
        case("silenced, and nobody can say whether it ended").fault(
            "a",
            Verb::GiveBack,
            Fault::LeftOut,
        ),
        case("silenced, and ending it fails").fault("a", Verb::GiveBack, Fault::Fails),
        case("silenced and paused").paused(),
        one("silenced and paused, and the patch fails")
            .paused()
            .fault("b", Verb::Apply, Fault::Fails),
        Case::new("paused, and it breaks in the soak", &["b"], Promise::Keyed)
            .paused()
            .fault("b", Verb::Apply, Fault::BreaksLater),
        one("silenced, under a lock").locked(),
        one("silenced, and that is a lie").fault("b", Verb::Take, Fault::Lies),
        one("silenced, and over before the change").at_least(seconds(30)),
        one("silenced, and somebody else ends it before the change")
            .meddled(Meddling::Ends, seconds(20)),
        one("silenced, and somebody else ends it in the change")
            .meddled(Meddling::Ends, seconds(60))
            .ends_otherwise(),
        one("silenced, and somebody else prolongs it").meddled(Meddling::Changes, seconds(60)),
        Case::new(
            "paused, searched for, and somebody else takes it",
            &["b"],
            Promise::Locatable,
        )
        .paused()
        .meddled(Meddling::Changes, seconds(60)),
    ];
    for occasion in Occasion::ALL {
        let [once, fails, never, leaves_out] = match occasion {
            Occasion::Taken => [
                "silenced, and reading it back fails once",
                "silenced, and reading it back fails",
                "silenced, and reading it back is never answered",
                "silenced, and read back without the guest",
            ],
            Occasion::Changing => [
                "silenced, and looking at it again fails once",
                "silenced, and looking at it again fails",
                "silenced, and looking at it again is never answered",
                "silenced, and looked at again without the guest",
            ],
        };
        cases.extend([
            one(once).look_fails(occasion, HeldFault::FailsOnce),
            one(fails).look_fails(occasion, HeldFault::Fails),
            one(never).look_fails(occasion, HeldFault::NeverOnce),
            one(leaves_out).look_fails(occasion, HeldFault::LeavesOut),
        ]);
    }
    cases
}

fn around(target: &Target, kind: BracketKind) -> PlannedBracket {
    PlannedBracket {
        kind,
        by: ALERTS.into(),
        known_as: target.known_as.clone(),
        at_least: Duration::from_secs(6 * 3600),
    }
}
