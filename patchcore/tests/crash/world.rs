//! The world outside: guests, the jobs on them, and a log of everything that reached them. It outlives every crash, and
//! its log is what runs are judged by.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use patchcore::{
    Error, ErrorKind, Failure, Result, Timestamp,
    execute::step::{Answer, LockCall, Promise, Verb},
    id::{ComponentId, OpKey},
    provider::{
        Baseline, Begun, DeployRequest, DrainRequest, Evidence, Guarantee, Handle, Located, Op,
        PortCall, PortRequest, Prepared, Settled, SubjectResult, Undo,
    },
    sim::Locks,
};
use serde::{Deserialize, Serialize};

use super::{
    brackets::{Asks, Brackets, Held as HeldAround, Wanted, prepared},
    cluster::Drained,
    locks::{LockFault, LockSaid},
};

/// How long a target remembers a finished operation.
pub(crate) const MEMORY: Duration = Duration::from_secs(24 * 3600);
/// How long a started one may stay invisible where it can only be searched for.
pub(crate) const DELAY: Duration = Duration::from_secs(5 * 60);
/// An operation whose caller died has stopped by then, where only the state can be seen.
pub(crate) const QUIET: Duration = Duration::from_secs(30 * 60);

pub(crate) const OLD: &str = "1";
pub(crate) const NEW: &str = "2";
pub(crate) const PATCH: &str = "nginx";

pub(crate) fn guarantee(promise: Promise) -> Guarantee {
    match promise {
        Promise::Keyed => Guarantee::Keyed { memory: MEMORY },
        Promise::Locatable => Guarantee::Locatable {
            consistency_delay: DELAY,
            memory: MEMORY,
        },
        Promise::StateOnly => Guarantee::StateOnly { quiet_after: QUIET },
        Promise::Blind => Guarantee::Blind,
    }
}

/// How `locate` answers once a script is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Locating {
    #[default]
    Honest,
    /// Not found, as long as the promise allows.
    Hides,
    /// The state shows success while the tool still works.
    Early,
    Unknown,
    LeavesOut,
    Fails,
    FailsOnce,
    Hangs,
}

/// How `observe` answers once a script is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Observing {
    #[default]
    Honest,
    Lost,
    LeavesOut,
    Asks,
    FailsOnce,
    Hangs,
}

/// What goes wrong with one operation of a guest, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The tool fails, and the guest is out of service until it is put right.
    Fails,
    /// It works, and breaks its service for good.
    BreaksService,
    /// It works, and breaks its service this long after.
    BreaksLater,
    /// Its result leaves the guest out, and the guest is out of service.
    LeftOut,
    /// It is refused before anything happens.
    Refused,
    /// Its tool says that it is done, and did nothing.
    Lies,
}

/// How the world behaves beside its promises.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub(crate) armed: bool,
    pub(crate) locating: Locating,
    pub(crate) observing: Observing,
    pub(crate) refuses: bool,
    pub(crate) fails: bool,
    /// A tool that promises nothing tells all the same.
    pub(crate) talks: bool,
    pub(crate) takes: Option<Duration>,
    /// How long one verb takes, where it is not the usual.
    pub(crate) takes_of: BTreeMap<Verb, Duration>,
    pub(crate) faults: BTreeMap<(ComponentId, Verb), Vec<Fault>>,
    pub(crate) lock_fault: Option<(LockCall, LockFault)>,
    /// Which lives met a fault that happens once.
    pub(crate) met_lock_fault: BTreeSet<u64>,
    /// Until when somebody else wants the locks for itself.
    pub(crate) rival_until: Option<Timestamp>,
    /// That somebody takes the lock and is never heard of again.
    pub(crate) rival_dies: bool,
    /// What somebody with a copy of the journal begins as soon as it is armed.
    pub(crate) copied: Option<(OpKey, PortCall)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Guest {
    pub(crate) version: String,
    pub(crate) boot: u32,
    pub(crate) refreshed: u32,
    pub(crate) kept: BTreeSet<OpKey>,
    /// What is held around it.
    pub(crate) held: HeldAround,
    /// A tool ended half-way.
    pub(crate) torn: Option<Verb>,
    /// Its service does not answer from this time on.
    pub(crate) broken_from: Option<Timestamp>,
    /// That is no doing of a step: it was in service by then.
    pub(crate) by_itself: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) key: OpKey,
    pub(crate) request: PortCall,
    pub(crate) subject: ComponentId,
    pub(crate) began: Timestamp,
    pub(crate) ends: Timestamp,
    pub(crate) over: bool,
    pub(crate) done: bool,
    pub(crate) left_out: bool,
    fault: Option<Fault>,
}

/// Who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Who {
    /// An incarnation of the orchestrator, counted from 1.
    Ours(u64),
    /// One that has a copy of the journal.
    Copy,
}

/// One call that reached the target.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: Timestamp,
    pub(crate) who: Who,
    /// Whether a later incarnation had shown itself to this target when it came in, and when it was set out.
    pub(crate) stale: bool,
    pub(crate) set_out_stale: bool,
    pub(crate) call: &'static str,
    pub(crate) key: OpKey,
    pub(crate) verb: Verb,
    pub(crate) subject: ComponentId,
    pub(crate) content: String,
    /// Whether a job was started by it.
    pub(crate) started: bool,
    /// Whether it came from who has the lock of its target; true where that keeps none.
    pub(crate) locked: bool,
    /// Something that must be held around its target was not.
    pub(crate) bare: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Before {
    pub(crate) boot: u32,
    pub(crate) version: String,
    pub(crate) refreshed: u32,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) guests: BTreeMap<ComponentId, Guest>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) log: Vec<Call>,
    pub(crate) answers: Vec<(Who, Answer)>,
    /// `observe` said at least once that an operation is lost.
    pub(crate) lost: bool,
    pub(crate) script: Script,
    pub(crate) promises: BTreeMap<Verb, Promise>,
    /// Whether targets refuse a fence that is lower than one they have seen.
    pub(crate) checks_fences: bool,
    fence: u64,
    /// The same of other systems than the guests: those that serve brackets or a cluster.
    fences: BTreeMap<ComponentId, u64>,
    /// The newest incarnation that called a target, and the newest that there is.
    shown: BTreeMap<ComponentId, u64>,
    pub(crate) newest: u64,
    /// Who was out of service, from when on.
    pub(crate) out: Vec<(Timestamp, BTreeSet<ComponentId>)>,
    /// The locks of the targets, where they keep some: then these say which fence is stale.
    pub(crate) locks: Option<Locks>,
    pub(crate) lock_says: Vec<LockSaid>,
    pub(crate) brackets: Brackets,
    /// The cluster whose hosts the guests are, where there is one.
    pub(crate) cluster: Drained,
}

impl World {
    pub(crate) fn new(now: Timestamp, names: &[&str], promise: Promise) -> Self {
        let guest = Guest {
            version: OLD.to_owned(),
            boot: 1,
            refreshed: 0,
            kept: BTreeSet::new(),
            held: HeldAround::default(),
            torn: None,
            broken_from: None,
            by_itself: false,
        };
        Self {
            now,
            guests: names
                .iter()
                .map(|n| (ComponentId::from(*n), guest.clone()))
                .collect(),
            jobs: Vec::new(),
            log: Vec::new(),
            answers: Vec::new(),
            lost: false,
            script: Script::default(),
            promises: Verb::ALL.into_iter().map(|v| (v, promise)).collect(),
            checks_fences: true,
            fence: 0,
            fences: BTreeMap::new(),
            shown: BTreeMap::new(),
            newest: 0,
            out: Vec::new(),
            locks: None,
            lock_says: Vec::new(),
            brackets: Brackets::default(),
            cluster: Drained::default(),
        }
    }

    pub(crate) fn promise(&self, request: &impl Asks) -> Promise {
        self.promises[&Verb::of(&request.call())]
    }

    fn takes(&self, verb: Verb) -> Duration {
        let own = self.script.takes_of.get(&verb).copied();
        own.or(self.script.takes).unwrap_or(match verb {
            Verb::Refresh | Verb::Discard | Verb::Take | Verb::GiveBack => Duration::from_secs(5),
            Verb::HoldSetting | Verb::RestoreSetting => Duration::from_secs(5),
            Verb::Stage => Duration::from_secs(40),
            Verb::Apply | Verb::RollBack => Duration::from_secs(90),
            Verb::Reboot | Verb::ShutDown | Verb::Start => Duration::from_secs(60),
            Verb::Migrate => Duration::from_secs(45),
            Verb::EnterMaintenance | Verb::ExitMaintenance => Duration::from_secs(10),
        })
    }

    /// Time moves on, and what ends by then ends in its order.
    pub(crate) fn move_to(&mut self, now: Timestamp) {
        while let Some(at) = self.next_change().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            for i in 0..self.jobs.len() {
                if !self.jobs[i].over && self.jobs[i].ends <= self.now {
                    self.finish(i);
                }
            }
            self.brackets_change();
            self.account();
        }
        self.now = self.now.max(now);
    }

    fn next_change(&self) -> Option<Timestamp> {
        let ends = self.jobs.iter().filter(|j| !j.over).map(|j| j.ends);
        let breaks = self.guests.values().filter_map(|g| g.broken_from);
        let breaks = breaks.filter(|at| *at > self.now);
        ends.chain(breaks).chain(self.next_of_brackets()).min()
    }

    fn finish(&mut self, at: usize) {
        let job = &mut self.jobs[at];
        job.over = true;
        let (verb, fault) = (Verb::of(&job.request), job.fault);
        let fails = self.script.fails || fault == Some(Fault::Fails);
        job.left_out = fault == Some(Fault::LeftOut);
        let (subject, request, key) = (job.subject.clone(), job.request.clone(), job.key.clone());
        if let PortCall::Drain { request, .. } = &request {
            let left_out = fault == Some(Fault::LeftOut);
            self.jobs[at].done = match fault {
                Some(Fault::Lies) => true,
                _ => self.drain_done(&key, request, fails || left_out),
            };
            return;
        }
        let Some(guest) = self.guests.get_mut(&subject) else {
            return;
        };
        // Whether alerts are silenced has nothing to do with the packages.
        if fails || !matches!(verb, Verb::Take | Verb::GiveBack) {
            guest.torn = fails.then_some(verb);
        }
        if fails || fault == Some(Fault::LeftOut) {
            if matches!(verb, Verb::Apply | Verb::RollBack) {
                guest.broken_from = Some(self.now);
            }
            return;
        }
        if let PortCall::Bracket { request, .. } = &request {
            if fault != Some(Fault::Lies) {
                self.bracket_done(&subject, key, request);
            }
            self.jobs[at].done = true;
            return;
        }
        let done = match &request {
            _ if fault == Some(Fault::Lies) => true,
            PortCall::Deploy(DeployRequest::Stage { .. }) => {
                guest.kept.insert(key);
                true
            }
            PortCall::Deploy(DeployRequest::Discard { staged, .. }) => {
                guest.kept.remove(staged);
                true
            }
            PortCall::Deploy(DeployRequest::Apply { .. }) => {
                guest.version = NEW.to_owned();
                true
            }
            PortCall::Deploy(DeployRequest::RollBack { staged, .. }) => {
                let can = guest.kept.contains(staged);
                if can {
                    guest.version = OLD.to_owned();
                    (guest.broken_from, guest.by_itself) = (None, false);
                }
                can
            }
            PortCall::Deploy(DeployRequest::Reboot { .. }) => {
                guest.boot += 1;
                true
            }
            _ => {
                guest.refreshed += 1;
                true
            }
        };
        match fault {
            Some(Fault::BreaksService) => guest.broken_from = Some(self.now),
            Some(Fault::BreaksLater) => {
                guest.by_itself = true;
                guest.broken_from = Some(self.now + Duration::from_secs(1800));
            }
            _ => {}
        }
        self.jobs[at].done = done;
    }

    /// Who is out of service now.
    pub(crate) fn out_now(&self) -> BTreeSet<ComponentId> {
        let working = self.jobs.iter().filter(|j| !j.over).filter(|j| {
            matches!(
                Verb::of(&j.request),
                Verb::Apply | Verb::RollBack | Verb::Reboot
            )
        });
        let broken = self
            .guests
            .iter()
            .filter(|(_, g)| g.broken_from.is_some_and(|at| at <= self.now));
        working
            .map(|j| j.subject.clone())
            .chain(broken.map(|(c, _)| c.clone()))
            .collect()
    }

    fn account(&mut self) {
        self.watch_machines();
        let mut out = self.out_now();
        out.extend(self.closed_now());
        if self.out.last().is_none_or(|(_, last)| *last != out) {
            self.out.push((self.now, out));
        }
    }

    /// The newest job of a key, whoever began it.
    pub(crate) fn job(&self, key: &OpKey) -> Option<&Job> {
        self.jobs.iter().rev().find(|j| j.key == *key)
    }

    pub(crate) fn at_work(&self, key: &OpKey) -> bool {
        self.jobs.iter().any(|j| j.key == *key && !j.over)
    }

    pub(crate) fn remembered(&self, key: &OpKey) -> Option<(usize, &Job)> {
        let at = self.jobs.iter().rposition(|j| j.key == *key)?;
        let job = &self.jobs[at];
        (!job.over || self.since(job.ends) < MEMORY).then_some((at, job))
    }

    pub(crate) fn since(&self, at: Timestamp) -> Duration {
        Duration::try_from(self.now.duration_since(at)).unwrap_or_default()
    }

    pub(crate) fn undo(op: &Op<DeployRequest>) -> Undo<DeployRequest> {
        match &op.request {
            DeployRequest::Stage { .. } => Undo::By(DeployRequest::Discard {
                components: op.request.subjects().into_iter().collect(),
                staged: op.key.clone(),
            }),
            _ => Undo::Nothing,
        }
    }

    pub(crate) fn prepare(&mut self, request: &impl Asks) -> Result<Prepared> {
        let request = &request.call();
        let subject = subject(request);
        if let PortCall::Bracket { request, .. } = request
            && let Some(stands) = self.bracket_stands(&subject, request)
        {
            return Ok(prepared(subject, stands));
        }
        if let PortCall::Drain { request, .. } = request {
            // What is at work is found by its key.
            let busy = self.is_worked_on(request);
            return match self.drain_stands(request).filter(|_| !busy) {
                Some(stands) => Ok(prepared(subject, stands)),
                None => Ok(Prepared::ready(subject, self.drain_before(request)?)),
            };
        }
        let guest = self.guest(&subject)?;
        let before = Before {
            boot: guest.boot,
            version: guest.version.clone(),
            refreshed: guest.refreshed,
            at: self.now,
        };
        let holds = match request {
            PortCall::Deploy(DeployRequest::Apply { .. }) => {
                guest.version == NEW && guest.torn.is_none()
            }
            PortCall::Deploy(DeployRequest::RollBack { .. }) => {
                guest.version == OLD && guest.torn.is_none() && guest.broken_from.is_none()
            }
            PortCall::Deploy(DeployRequest::Discard { staged, .. }) => !guest.kept.contains(staged),
            _ => false,
        };
        let busy = self.jobs.iter().any(|j| j.subject == subject && !j.over);
        if holds && !busy {
            let saw = Evidence::observed(self.now, "it is so already");
            return Ok(Prepared::already_holds(subject, saw));
        }
        Ok(Prepared::ready(subject, Baseline::new(1, &before)?))
    }

    fn is_worked_on(&self, request: &DrainRequest) -> bool {
        let drains = |job: &Job| matches!(&job.request, PortCall::Drain { request: of_it, .. } if of_it.subject() == request.subject());
        self.jobs.iter().any(|job| !job.over && drains(job))
    }

    pub(crate) fn guest(&self, component: &ComponentId) -> Result<&Guest> {
        self.guests
            .get(component)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no {component}")))
    }

    /// A call with a fence; false where the target refuses it.
    fn admits(&mut self, fence: u64) -> bool {
        let stale = fence < self.fence;
        self.fence = self.fence.max(fence);
        !stale || !self.checks_fences
    }

    /// Notes that an incarnation called a target; true where a later one had called before. What keeps locks fences each
    /// target for itself.
    pub(crate) fn shows(&mut self, number: u64, component: &ComponentId) -> bool {
        let all = ComponentId::from("");
        let of = if self.locks.is_some() {
            component
        } else {
            &all
        };
        self.shows_to(number, of)
    }

    fn shows_to(&mut self, number: u64, of: &ComponentId) -> bool {
        let shown = self.shown.entry(of.clone()).or_default();
        let stale = number < *shown;
        *shown = number.max(*shown);
        stale
    }

    /// Notes a call; true if the target takes it.
    pub(crate) fn called(
        &mut self,
        who: Who,
        set_out_stale: bool,
        fence: u64,
        call: &'static str,
        op: &Op<impl Wanted>,
    ) -> bool {
        let request = &op.request.call();
        let subject = subject(&op.request);
        // Whoever serves brackets or a cluster is another system than the targets, with fences of its own and without locks.
        let elsewhere = request.by().map(|by| ComponentId::from(by.as_str()));
        let stale = match (who, &elsewhere) {
            (Who::Ours(n), Some(elsewhere)) => self.shows_to(n, elsewhere),
            (Who::Ours(n), None) => self.shows(n, &subject),
            (Who::Copy, _) => false,
        };
        let taken = match (elsewhere, &mut self.locks) {
            (Some(elsewhere), _) => {
                let seen = self.fences.entry(elsewhere).or_default();
                let stale = fence < *seen;
                *seen = fence.max(*seen);
                !stale || !self.checks_fences
            }
            (None, Some(locks)) => {
                locks.seen(&subject, fence, self.now);
                who == Who::Copy || locks.admits(&subject, fence, self.now).is_ok()
            }
            (None, None) => self.admits(fence),
        };
        let content = format!("{:?} {:?}", op.request, op.baseline);
        self.log.push(Call {
            at: self.now,
            who,
            stale,
            set_out_stale,
            call,
            key: op.key.clone(),
            verb: Verb::of(request),
            content,
            started: false,
            locked: true,
            bare: self.is_bare(&subject),
            subject,
        });
        taken
    }

    /// A `begin` that reached the target.
    pub(crate) fn begin(
        &mut self,
        who: Who,
        set_out_stale: bool,
        fence: u64,
        op: &Op<impl Wanted>,
    ) -> Result<Begun> {
        let request = op.request.call();
        let (verb, subject) = (Verb::of(&request), subject(&request));
        let taken = self.called(who, set_out_stale, fence, "begin", op);
        if !taken {
            return Ok(refused("its fence is stale"));
        }
        if self.promise(&request) == Promise::Keyed
            && let Some((at, job)) = self.remembered(&op.key)
        {
            if job.request != request {
                return Ok(refused("the key belongs to another request"));
            }
            return self.begun(at);
        }
        let fault = self.script.faults.get_mut(&(subject.clone(), verb));
        // What is refused is refused each time; other faults happen once.
        let fault = fault.filter(|f| !f.is_empty()).map(|f| match f[0] {
            Fault::Refused => Fault::Refused,
            _ => f.remove(0),
        });
        if (self.script.armed && self.script.refuses) || fault == Some(Fault::Refused) {
            return Ok(refused("not today"));
        }
        let locked = self.locks.is_none()
            || request.by().is_some()
            || self
                .lock_of(&subject)
                .is_some_and(|held| held.fence == fence);
        if let Some(call) = self.log.last_mut() {
            (call.started, call.locked) = (true, locked);
        }
        self.start(op.key.clone(), request, fault);
        self.begun(self.jobs.len() - 1)
    }

    /// From here on it behaves as its script says.
    pub(crate) fn arm(&mut self) {
        self.script.armed = true;
        if let Some((key, request)) = self.script.copied.take()
            && self.job(&key).is_none()
            && let Ok(prepared) = self.prepare(&request)
        {
            match request {
                PortCall::Deploy(request) => {
                    self.copy_begins(&Op::new(key, request, prepared.baseline));
                }
                PortCall::Bracket { request, .. } => {
                    self.copy_begins(&Op::new(key, request, prepared.baseline));
                }
                PortCall::Drain { request, .. } => {
                    self.copy_begins(&Op::new(key, request, prepared.baseline));
                }
                _ => {}
            }
        }
    }

    fn copy_begins(&mut self, op: &Op<impl Wanted>) {
        self.called(Who::Copy, false, self.fence, "begin", op);
        if let Some(call) = self.log.last_mut() {
            call.started = true;
        }
        self.start(op.key.clone(), op.request.call(), None);
    }

    fn start(&mut self, key: OpKey, request: PortCall, fault: Option<Fault>) {
        self.jobs.push(Job {
            key,
            subject: subject(&request),
            began: self.now,
            ends: self.now + self.takes(Verb::of(&request)),
            request,
            over: false,
            done: false,
            left_out: false,
            fault,
        });
        self.account();
        self.move_to(self.now);
    }

    fn begun(&self, at: usize) -> Result<Begun> {
        let job = &self.jobs[at];
        Ok(match self.settled(job) {
            Some(settled) => Begun::Settled(settled),
            None => Begun::Started(Handle::new(1, &at)?),
        })
    }

    pub(crate) fn settled(&self, job: &Job) -> Option<Settled> {
        job.over.then(|| match (job.left_out, job.done) {
            (true, _) => Settled::default(),
            (_, true) => done(&job.subject, job.ends),
            (_, false) => failed(&job.subject),
        })
    }
}

pub(crate) fn subject(request: &impl Asks) -> ComponentId {
    let mut subjects = request.call().subjects();
    subjects.pop_first().expect("a request has a subject")
}

pub(crate) fn done(subject: &ComponentId, at: Timestamp) -> Settled {
    Settled::done(subject.clone(), Evidence::observed(at, "read back"))
}

pub(crate) fn failed(subject: &ComponentId) -> Settled {
    let error = Error::new(ErrorKind::InstallFailed, "it failed");
    Settled {
        subjects: BTreeMap::from([(
            subject.clone(),
            SubjectResult::Failed(Failure::from(&error)),
        )]),
    }
}

pub(crate) fn unknown() -> Located {
    Located::Unknown {
        why: "the tool keeps no trace".to_owned(),
    }
}

fn refused(why: &str) -> Begun {
    Begun::Refused(Failure::from(&Error::new(ErrorKind::Busy, why)))
}
