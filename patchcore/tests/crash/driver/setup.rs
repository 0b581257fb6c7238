//! What a seed gives: an estate, a policy, what goes wrong outside, what people want, and where each process ends.

use std::{collections::BTreeMap, fmt, time::Duration};

use patchcore::{
    Plan,
    approve::{ApprovedPlan, approve},
    estate::{RedundancyGroup, Role},
    execute::{
        journal::Fault as DiskFault,
        kernel::{Resolution, Step},
        step::{Promise, Verb},
    },
    id::ComponentId,
    plan::RebootRule,
};

use super::chance::Chance;
use crate::{
    cases::plan_of,
    micro::start,
    world::{Fault, Locating, MEMORY, World},
};

/// A call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Call {
    Prepare,
    Begin,
    Locate,
    Observe,
    Scan,
    Probe,
    Take,
    GiveBack,
}

/// What is wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It takes so many seconds longer.
    Slow(u64),
    /// It never arrives.
    RequestLost,
    /// It does its work, and its answer never arrives.
    ReplyLost,
    /// No answer ever.
    Hangs,
    /// It does its work, and gives no answer ever.
    HangsAfter,
    /// The provider panics before anything is done.
    Panics,
    /// It panics when all is done.
    PanicsAfter,
    /// The answer leaves the component out.
    LeavesOut,
}

/// One call that goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) call: Call,
    /// The nth call of its kind, counted from 1 over all lives.
    pub(super) nth: u32,
    pub(super) wrong: Wrong,
}

impl Trouble {
    /// Whether the end of the run must be as without it.
    fn is_borne(self) -> bool {
        match (self.wrong, self.call) {
            (Wrong::Slow(_) | Wrong::RequestLost | Wrong::ReplyLost, _) => true,
            (Wrong::Hangs | Wrong::HangsAfter, call) => call != Call::Begin,
            // Whoever panics in a check answers nothing, and is asked again.
            (Wrong::Panics | Wrong::PanicsAfter, call) => call == Call::Probe,
            (Wrong::LeavesOut, _) => false,
        }
    }
}

/// What a person wants while the run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Pause,
    PauseBefore(Step),
    Cancel,
    /// The process is to be ended at a safe point.
    Park,
}

/// How one process ends before the run is over.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// It dies at this point of its calls, counted from its start.
    pub(super) dies_at: Option<usize>,
    /// What its disk does to which commit.
    pub(super) disk: Vec<(u64, DiskFault)>,
    /// How long nobody is there after it.
    pub(super) away: Duration,
}

/// Everything that a seed gives.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) policy: String,
    pub(super) plan: Plan,
    pub(super) promise: Promise,
    pub(super) promises: BTreeMap<Verb, Promise>,
    pub(super) faults: Vec<(ComponentId, Verb, Fault)>,
    /// How long verbs take, where it is not the usual.
    pub(super) takes: BTreeMap<Verb, Duration>,
    pub(super) locating: Locating,
    pub(super) locks: bool,
    pub(super) troubles: Vec<Trouble>,
    /// Who cannot be reached, from which second of the run on, for how many.
    pub(super) gone: Vec<(ComponentId, u64, u64)>,
    pub(super) wishes: Vec<(usize, Wish)>,
    /// At which point the wall clock is set, by how many seconds.
    pub(super) jumps: Vec<(usize, i64)>,
    pub(super) lives: Vec<Life>,
    pub(super) resolutions: Vec<Resolution>,
}

const GUESTS: [&str; 5] = ["a", "b", "c", "d", "e"];

impl Setup {
    pub(super) fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed);
        let guests = &GUESTS[..2 + chance.place(4)];
        let policy = policy(&mut chance, guests.len());
        let groups = groups(&mut chance, guests);
        let mut plan = plan_of(&policy, guests, groups);
        for target in &mut plan.envelope.targets {
            for check in target.checks.iter_mut() {
                // Longer than anybody is gone for.
                check.within = Duration::from_secs(30 * 60);
            }
            target.reboot = chance.one_of(&[
                RebootRule::WhenNeeded,
                RebootRule::WhenNeeded,
                RebootRule::Always,
            ]);
            target.reboot_first = chance.percent(15);
            target.stages |= chance.percent(80);
        }
        if chance.percent(50) {
            // All of a ring in one wave, so that the budget and nothing else holds them back.
            for ring in &mut plan.schedule.rings {
                let all = ring.waves.drain(..).reduce(|mut all, wave| {
                    all.components.extend(wave.components);
                    all
                });
                ring.waves.extend(all);
            }
        }
        let (promise, promises) = promises(&mut chance);
        let locating = match promise {
            // Only a promise that allows it.
            _ if !promises.is_empty() => Locating::Honest,
            Promise::StateOnly if chance.percent(40) => Locating::Early,
            Promise::Locatable if chance.percent(40) => Locating::Hides,
            _ => Locating::Honest,
        };
        Self {
            seed,
            policy,
            faults: faults(&mut chance, guests),
            takes: BTreeMap::new(),
            locks: chance.percent(50),
            troubles: troubles(&mut chance),
            gone: gone(&mut chance, guests),
            wishes: wishes(&mut chance),
            jumps: jumps(&mut chance),
            lives: lives(&mut chance),
            resolutions: (0..12).map(|_| chance.one_of(&Resolution::ALL)).collect(),
            plan,
            promise,
            promises,
            locating,
        }
    }

    /// An estate where nothing goes wrong.
    pub(super) fn plain(window: &str, ring: &str, guests: &[&str], promise: Promise) -> Self {
        let policy = format!(
            "policy = 1\nname = \"plain\"\napproval = {{ needs = 1, from = [\"maria\"] }}\n\
             [[window]]\nname = \"w\"\n{window}\n[[ring]]\nname = \"all\"\nselect = \"*\"\n{ring}\n"
        );
        Self {
            seed: 0,
            plan: plan_of(&policy, guests, Vec::new()),
            policy,
            promise,
            promises: BTreeMap::new(),
            faults: Vec::new(),
            takes: BTreeMap::new(),
            locating: Locating::Honest,
            locks: false,
            troubles: Vec::new(),
            gone: Vec::new(),
            wishes: Vec::new(),
            jumps: Vec::new(),
            lives: Vec::new(),
            resolutions: Vec::new(),
        }
    }

    /// The same estate, where nothing disturbs whoever drives the run.
    pub(super) fn undisturbed(&self) -> Self {
        Self {
            troubles: Vec::new(),
            gone: Vec::new(),
            wishes: Vec::new(),
            jumps: Vec::new(),
            lives: Vec::new(),
            locating: Locating::Honest,
            ..Self::of(self.seed)
        }
    }

    /// Whether the end must be as without what disturbs: not where it adds up to more than anybody waits for, and not where
    /// the clock is set while somebody is waited for.
    pub(super) fn is_borne(&self) -> bool {
        let hang = |t: &&Trouble| matches!(t.wrong, Wrong::Hangs | Wrong::HangsAfter);
        let hangs = self.troubles.iter().filter(hang).count();
        let waits = hangs + self.gone.len();
        let is_set = !self.jumps.is_empty();
        let mut wishes = self.wishes.iter();
        let mut faults = self.faults.iter();
        self.troubles.iter().all(|t| t.is_borne())
            && waits <= 1
            && !(is_set && (waits > 0 || !self.troubles.is_empty()))
            // Nobody knows what a target forgot.
            && self.lives.iter().all(|life| life.away < MEMORY)
            && wishes.all(|(_, wish)| *wish != Wish::Cancel)
            && faults.all(|(_, verb, fault)| match fault {
                // What breaks by itself is found sooner or later than it was undisturbed.
                Fault::BreaksLater => false,
                // A tool that lies once does its work when it is begun again, and then the end is better.
                Fault::Lies => self.promise_of(*verb) != Promise::StateOnly,
                _ => true,
            })
    }

    /// How often its process is to be ended at a safe point.
    pub(super) fn parks(&self) -> usize {
        let wishes = self.wishes.iter();
        wishes.filter(|(_, wish)| *wish == Wish::Park).count()
    }

    /// Whether a person may have to say what nobody else can know.
    pub(super) fn is_knowable(&self) -> bool {
        self.promise != Promise::Blind && self.is_borne()
    }

    pub(super) fn promise_of(&self, verb: Verb) -> Promise {
        *self.promises.get(&verb).unwrap_or(&self.promise)
    }

    pub(super) fn approved(&self) -> ApprovedPlan {
        let approval = self.plan.approval("maria", start()).expect("she may");
        approve(self.plan.clone(), [approval], start()).expect("it is enough")
    }

    pub(super) fn world(&self) -> World {
        let targets = self.plan.envelope.targets.iter();
        let names: Vec<&str> = targets.map(|t| t.component.as_str()).collect();
        let mut world = World::new(start(), &names, self.promise);
        world.promises.extend(self.promises.clone());
        world.script.takes_of = self.takes.clone();
        world.locks = self.locks.then(Default::default);
        world.script.locating = self.locating;
        world.script.armed = self.locating != Locating::Honest;
        for (guest, verb, fault) in &self.faults {
            let of_verb = world.script.faults.entry((guest.clone(), *verb));
            of_verb.or_default().push(*fault);
        }
        world
    }
}

fn policy(chance: &mut Chance, guests: usize) -> String {
    let mut policy = "policy = 1\nname = \"seed\"\n\
        approval = { needs = 1, from = [\"maria\"] }\n"
        .to_owned();
    policy += match chance.below(4) {
        0 => {
            "[[window]]\nname = \"nights\"\nzone = \"UTC\"\nwhen = \"daily\"\nfrom = \"22:00\"\nuntil = \"04:00\"\n"
        }
        _ => "[[window]]\nname = \"always\"\nwhen = \"any time\"\n",
    };
    let soak = chance.one_of(&["0h", "1h", "24h"]);
    let at_once = 1 + chance.place(guests.min(3));
    if chance.percent(40) {
        let approval = chance.percent(30);
        let after = match chance.percent(50) {
            true => "start_after = { ring = \"test\", success = \"100%\" }\n",
            false => "",
        };
        policy += &format!(
            "[[ring]]\nname = \"test\"\nselect = \"ring = test\"\nsoak = \"{soak}\"\n\
             [[ring]]\nname = \"rest\"\nselect = \"*\"\nsoak = \"{soak}\"\nat_once = \"{at_once}\"\n\
             needs_approval = {approval}\n{after}"
        );
    } else {
        policy += &format!(
            "[[ring]]\nname = \"all\"\nselect = \"*\"\nsoak = \"{soak}\"\nat_once = \"{at_once}\"\n"
        );
    }
    let component = chance.one_of(&["roll_back", "roll_back", "roll_back", "skip", "stop"]);
    let tolerate = chance.below(3);
    policy += &format!("[on_fail]\ncomponent = \"{component}\"\ntolerate = \"{tolerate}\"\n");
    if chance.percent(20) {
        policy += "in_a_row = 2\n";
    }
    if chance.percent(20) {
        policy += "tolerate_in_run = \"1\"\n";
    }
    policy
}

fn groups(chance: &mut Chance, guests: &[&str]) -> Vec<RedundancyGroup> {
    if chance.percent(60) {
        return Vec::new();
    }
    let role = Role::Other("app".to_owned());
    vec![RedundancyGroup::all_but_one(
        "g",
        role,
        guests.iter().copied(),
    )]
}

fn promises(chance: &mut Chance) -> (Promise, BTreeMap<Verb, Promise>) {
    let all = [
        Promise::Keyed,
        Promise::Locatable,
        Promise::StateOnly,
        Promise::Keyed,
        Promise::Locatable,
        Promise::StateOnly,
        Promise::Blind,
    ];
    let promise = chance.one_of(&all);
    let mut promises = BTreeMap::new();
    if promise != Promise::Blind && chance.percent(30) {
        let other = chance.one_of(&all[..3]);
        promises.insert(chance.one_of(&[Verb::Reboot, Verb::Apply]), other);
    }
    (promise, promises)
}

fn faults(chance: &mut Chance, guests: &[&str]) -> Vec<(ComponentId, Verb, Fault)> {
    let mut faults = Vec::new();
    for guest in guests {
        if !chance.percent(25) {
            continue;
        }
        let (verb, fault) = chance.one_of(&[
            (Verb::Apply, Fault::Fails),
            (Verb::Apply, Fault::Fails),
            (Verb::Apply, Fault::BreaksService),
            (Verb::Apply, Fault::BreaksLater),
            (Verb::Apply, Fault::Refused),
            (Verb::Apply, Fault::Lies),
            (Verb::Apply, Fault::LeftOut),
            (Verb::Stage, Fault::Fails),
            (Verb::Stage, Fault::LeftOut),
            (Verb::Discard, Fault::Fails),
        ]);
        faults.push((ComponentId::from(*guest), verb, fault));
        if fault == Fault::Fails && verb == Verb::Apply && chance.percent(20) {
            faults.push((ComponentId::from(*guest), Verb::RollBack, Fault::Fails));
        }
    }
    faults
}

fn troubles(chance: &mut Chance) -> Vec<Trouble> {
    let calls = [
        Call::Prepare,
        Call::Begin,
        Call::Begin,
        Call::Locate,
        Call::Observe,
        Call::Scan,
        Call::Probe,
        Call::Take,
        Call::GiveBack,
    ];
    let rude = chance.percent(15);
    (0..chance.below(6))
        .map(|_| {
            let call = chance.one_of(&calls);
            let slow = match call {
                Call::Probe => 5,
                _ => chance.one_of(&[3, 40, 120]),
            };
            let borne = [
                Wrong::Slow(slow),
                Wrong::RequestLost,
                Wrong::ReplyLost,
                Wrong::ReplyLost,
                if call == Call::Begin {
                    Wrong::ReplyLost
                } else {
                    Wrong::Hangs
                },
            ];
            let all = [
                Wrong::Hangs,
                Wrong::HangsAfter,
                Wrong::Panics,
                Wrong::PanicsAfter,
                Wrong::LeavesOut,
            ];
            let wrong = match rude && chance.percent(50) {
                true => chance.one_of(&all),
                false => chance.one_of(&borne),
            };
            let nth = 1 + u32::try_from(chance.below(12)).expect("it is small");
            Trouble { call, nth, wrong }
        })
        .collect()
}

fn gone(chance: &mut Chance, guests: &[&str]) -> Vec<(ComponentId, u64, u64)> {
    let mut gone = Vec::new();
    while chance.percent(25) {
        let guest = ComponentId::from(chance.one_of(guests));
        gone.push((guest, chance.below(3600), 1 + chance.below(600)));
    }
    gone
}

fn wishes(chance: &mut Chance) -> Vec<(usize, Wish)> {
    let mut wishes = Vec::new();
    while chance.percent(30) {
        let wish = match chance.below(8) {
            0 => Wish::Cancel,
            1 | 2 => Wish::Park,
            3 | 4 => Wish::PauseBefore(chance.one_of(&Step::PAUSABLE)),
            _ => Wish::Pause,
        };
        wishes.push((chance.place(250), wish));
    }
    wishes
}

fn jumps(chance: &mut Chance) -> Vec<(usize, i64)> {
    if !chance.percent(20) {
        return Vec::new();
    }
    let hour = chance.one_of(&[3600, -3600]);
    vec![(chance.place(250), hour)]
}

fn lives(chance: &mut Chance) -> Vec<Life> {
    let mut lives = Vec::new();
    while lives.len() < 5 && (lives.is_empty() || chance.percent(50)) {
        let mut disk = Vec::new();
        if chance.percent(60) {
            let fault = match chance.below(8) {
                0 | 1 => DiskFault::BeforeCommit,
                2..5 => DiskFault::AfterCommit,
                5 => DiskFault::Full,
                6 => DiskFault::Busy,
                _ => DiskFault::Delay(Duration::from_millis(1)),
            };
            disk.push((1 + chance.below(90), fault));
        }
        lives.push(Life {
            dies_at: chance.percent(60).then(|| chance.place(220)),
            disk,
            away: Duration::from_secs(chance.one_of(&[0, 20, 20, 120, 120, 420, 2400, 90_000])),
        });
    }
    lives
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for line in self.policy.lines() {
            writeln!(f, "    {line}")?;
        }
        for target in &self.plan.envelope.targets {
            writeln!(
                f,
                "  {}: ring {}, restarts {:?}{}{}",
                target.component,
                target.ring,
                target.reboot,
                if target.reboot_first { ", first" } else { "" },
                if target.stages { "" } else { ", stages not" },
            )?;
        }
        for group in &self.plan.envelope.groups {
            writeln!(f, "  group {} keeps {} up", group.name, group.keep_up)?;
        }
        writeln!(f, "  promises {:?} {:?}", self.promise, self.promises)?;
        writeln!(f, "  locate {:?}, locks {}", self.locating, self.locks)?;
        writeln!(f, "  faults {:?}", self.faults)?;
        writeln!(f, "  troubles {:?}", self.troubles)?;
        writeln!(f, "  out of reach {:?}", self.gone)?;
        writeln!(
            f,
            "  people want {:?}, then {:?}",
            self.wishes, self.resolutions
        )?;
        writeln!(f, "  the clock is set {:?}", self.jumps)?;
        for life in &self.lives {
            writeln!(f, "  {life:?}")?;
        }
        Ok(())
    }
}
