//! Each machine's way: from where it is, to where it may go, in a manner it allows, and out before its host is patched.

use super::{
    breach::{BreachKind, Found},
    graph::Graph,
    hosts::Cycle,
    view::{Act, View},
};
use crate::plan::roll::{
    cluster::{HostState, Mobility, NonMigratable},
    rule::Rule,
    step::How,
};

/// What a machine takes from one step to another on one host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stay {
    pub(super) vm: usize,
    pub(super) host: usize,
    /// The step that brought it; none: it was there.
    pub(super) from: Option<usize>,
    /// The step whose end frees its room; none: it remains.
    pub(super) until: Option<usize>,
    /// Whether it is there after its host was patched in this roll.
    pub(super) patched: bool,
}

/// What the machines' ways come to.
#[derive(Debug, Default)]
pub(super) struct Trails {
    /// In the order of the machines, and each machine's in the order of time.
    pub(super) stays: Vec<Stay>,
    /// Where the stays of each machine begin.
    pub(super) first: Vec<usize>,
    /// From which step to which each machine is moving or stopped, in the order of the machines.
    pub(super) away: Vec<(usize, usize)>,
    /// Where those of each machine begin.
    first_away: Vec<usize>,
}

impl Trails {
    pub(super) fn of(&self, vm: usize) -> &[Stay] {
        let until = self.first.get(vm + 1).copied().unwrap_or(self.stays.len());
        &self.stays[self.first[vm]..until]
    }

    pub(super) fn away_of(&self, vm: usize) -> &[(usize, usize)] {
        let until = self.first_away.get(vm + 1).copied();
        &self.away[self.first_away[vm]..until.unwrap_or(self.away.len())]
    }
}

/// Where one machine is while its way is followed.
struct Now {
    host: usize,
    from: Option<usize>,
    /// Whether its host was patched already when it came.
    patched: bool,
    level: u32,
    stopped: Option<(usize, bool)>,
    ended: bool,
    last: Option<usize>,
}

pub(super) fn trails(
    view: &View<'_>,
    graph: &mut Graph<'_>,
    cycles: &[Option<Cycle>],
    found: &mut Found,
) -> Trails {
    let vms = view.cluster.vms.len();
    let steps = steps_of(view);
    let barred = Barred::of(view);
    let mut trails = Trails {
        stays: Vec::with_capacity(vms * 2),
        first: Vec::with_capacity(vms),
        away: Vec::with_capacity(vms),
        first_away: Vec::with_capacity(vms),
    };
    for vm in 0..vms {
        trails.first.push(trails.stays.len());
        trails.first_away.push(trails.away.len());
        let home = view.home[vm];
        let host = &view.cluster.hosts[home];
        let mut now = Now {
            host: home,
            from: None,
            patched: false,
            level: view.cluster.vms[vm].cpu_level.unwrap_or(host.cpu_level),
            stopped: None,
            ended: false,
            last: None,
        };
        for step in steps.of(vm) {
            let mut way = Way {
                view,
                graph,
                cycles,
                barred: &barred,
                found,
                vm,
                step: *step,
            };
            way.follow(&mut now, &mut trails);
        }
        remains(view, cycles, found, vm, &now);
        if !now.ended {
            trails.stays.push(Stay {
                vm,
                host: now.host,
                from: now.from,
                until: None,
                patched: now.patched,
            });
        }
    }
    trails
}

/// What holds of a machine when all its steps are over.
fn remains(view: &View<'_>, cycles: &[Option<Cycle>], found: &mut Found, vm: usize, now: &Now) {
    let (name, host) = (view.vm_name(vm), view.host_name(now.host));
    if let Some((step, _)) = now.stopped {
        let message = format!("{name} is stopped on {host} and never started again");
        found.add(BreachKind::Lost, Some(step), message);
    } else if let (false, false, Some(cycle)) = (now.ended, now.patched, cycles[now.host]) {
        let message = format!("{host} is patched while {name} runs on it");
        found.add(BreachKind::NotEmpty, Some(cycle.patch), message);
    }
}

/// The steps of each machine, in the order of the list.
struct StepsOf {
    steps: Vec<usize>,
    first: Vec<usize>,
}

impl StepsOf {
    fn of(&self, vm: usize) -> &[usize] {
        &self.steps[self.first[vm]..self.first[vm + 1]]
    }
}

fn steps_of(view: &View<'_>) -> StepsOf {
    let mut first = vec![0; view.cluster.vms.len() + 1];
    for vm in view.acts.iter().filter_map(|act| act.vm()) {
        first[vm + 1] += 1;
    }
    for vm in 1..first.len() {
        first[vm] += first[vm - 1];
    }
    let mut next = first.clone();
    let mut steps = vec![0; first.last().copied().unwrap_or(0)];
    for (at, act) in view.acts.iter().enumerate() {
        if let Some(vm) = act.vm() {
            steps[next[vm]] = at;
            next[vm] += 1;
        }
    }
    StepsOf { steps, first }
}

/// Which rules name a machine and keep it from hosts.
struct Barred<'r> {
    view: &'r View<'r>,
    of_vm: Vec<Vec<usize>>,
    /// For each rule, whether it names the host; empty for rules that keep nobody from hosts.
    named: Vec<Vec<bool>>,
}

impl<'r> Barred<'r> {
    fn of(view: &'r View<'r>) -> Self {
        let mut of_vm = vec![Vec::new(); view.cluster.vms.len()];
        let mut named = vec![Vec::new(); view.cluster.rules.len()];
        for (at, rule) in view.cluster.rules.iter().enumerate() {
            if let Rule::Fence { vms, hosts } | Rule::Avoid { vms, hosts } = rule {
                named[at] = vec![false; view.cluster.hosts.len()];
                for host in hosts.iter().filter_map(|h| view.names.host(h.as_str())) {
                    named[at][host] = true;
                }
                for vm in vms.iter().filter_map(|v| view.names.vm(v.as_str())) {
                    of_vm[vm].push(at);
                }
            }
        }
        Self { view, of_vm, named }
    }

    fn from(&self, vm: usize, host: usize) -> Option<usize> {
        self.of_vm[vm].iter().copied().find(|rule| {
            let inside = matches!(self.view.cluster.rules[*rule], Rule::Fence { .. });
            self.named[*rule][host] != inside
        })
    }
}

/// One step of one machine.
struct Way<'w, 'r, 'g> {
    view: &'w View<'r>,
    graph: &'w mut Graph<'g>,
    cycles: &'w [Option<Cycle>],
    barred: &'w Barred<'w>,
    found: &'w mut Found,
    vm: usize,
    step: usize,
}

impl Way<'_, '_, '_> {
    fn add(&mut self, kind: BreachKind, message: impl Into<String>) {
        self.found.add(kind, Some(self.step), message);
    }

    fn follow(&mut self, now: &mut Now, trails: &mut Trails) {
        let (vm, step) = (self.vm, self.step);
        let view = self.view;
        if let Some(last) = now.last
            && !self.graph.before(last, step)
        {
            let name = view.vm_name(vm);
            self.add(
                BreachKind::Unordered,
                format!("it does not wait for step {last}, which concerns {name} too"),
            );
        }
        if now.last.is_none() {
            self.notice();
        }
        now.last = Some(step);
        let at = match self.view.acts[step] {
            Act::Move { from, .. } => from,
            Act::AwaitEnd { host, .. } | Act::Stop { host, .. } | Act::Start { host, .. } => host,
            Act::Close(_) | Act::Patch(_) | Act::Reopen(_) => return,
        };
        let starts = matches!(self.view.acts[step], Act::Start { .. });
        if at != now.host || now.ended || now.stopped.is_some() != starts {
            let name = view.vm_name(vm);
            let message = format!("{name} does not run on {} then", view.host_name(at));
            self.add(BreachKind::WrongPlace, message);
            return;
        }
        match self.view.acts[step] {
            Act::Move { to, how, .. } => self.moves(now, trails, to, how),
            Act::AwaitEnd { .. } => self.ends(now, trails),
            Act::Stop { suspend, .. } => self.stops(now, suspend),
            Act::Start { .. } => self.starts(now, trails),
            Act::Close(_) | Act::Patch(_) | Act::Reopen(_) => {}
        }
    }

    /// Whoever is told beforehand has the promised time.
    fn notice(&mut self) {
        let vm = &self.view.cluster.vms[self.vm];
        let ends = matches!(self.view.acts[self.step], Act::AwaitEnd { .. });
        let from = self.view.roll.steps[self.step].not_before_ms.unwrap_or(0);
        if !ends && from < vm.notice_s * 1000 {
            let message = format!(
                "{} is told {} s before, and this begins sooner",
                vm.id, vm.notice_s
            );
            self.add(BreachKind::TooEarly, message);
        }
    }

    /// It is gone from its host before that is patched.
    fn leaves(&mut self, now: &Now, trails: &mut Trails) {
        if let (false, Some(cycle)) = (now.patched, self.cycles[now.host]) {
            if self.graph.before(self.step, cycle.patch) {
                self.graph.ends_before_reopening(self.step, now.host);
            } else {
                let name = self.view.vm_name(self.vm);
                let host = self.view.host_name(now.host);
                let message = format!("{host} could be patched while {name} is still on it");
                self.add(BreachKind::NotEmpty, message);
            }
        }
        trails.stays.push(Stay {
            vm: self.vm,
            host: now.host,
            from: now.from,
            until: Some(self.step),
            patched: now.patched,
        });
    }

    fn moves(&mut self, now: &mut Now, trails: &mut Trails, to: usize, how: How) {
        let vm = &self.view.cluster.vms[self.vm];
        let right = match (&vm.mobility, self.view.policy(vm)) {
            (Mobility::Live, _) if vm.disk_mib > 0 => How::Storage,
            (Mobility::Live, _) => How::Live,
            (Mobility::Cold, _) => How::Cold,
            (Mobility::Pinned(_), Some(NonMigratable::StorageMigrate)) => How::Storage,
            (Mobility::Pinned(pin), _) => {
                let message = format!("{} cannot move: {}", vm.id, pin.reason);
                self.add(BreachKind::NotAllowed, message);
                how
            }
        };
        if how != right {
            let message = format!("{} moves {right:?}, not {how:?}", vm.id);
            self.add(BreachKind::NotAllowed, message);
        }
        trails.away.push((self.step, self.step));
        self.leaves(now, trails);
        let patched = self.arrives(to);
        let level = self.level(to, patched);
        if how == How::Cold {
            now.level = level;
        } else if level < now.level {
            let host = self.view.host_name(to);
            let message = format!(
                "{} was started at CPU level {}, and {host} has {level} then",
                vm.id, now.level
            );
            self.add(BreachKind::CpuLevel, message);
        }
        if let Some(rule) = self.barred.from(self.vm, to) {
            let host = self.view.host_name(to);
            let message = format!("rules[{rule}] keeps {} from {host}", vm.id);
            self.add(BreachKind::Fence, message);
        }
        now.host = to;
        now.from = Some(self.step);
        now.patched = patched;
    }

    fn level(&self, host: usize, patched: bool) -> u32 {
        let host = &self.view.cluster.hosts[host];
        match patched {
            true => host.cpu_level_patched.unwrap_or(host.cpu_level),
            false => host.cpu_level,
        }
    }

    /// Whether the destination is patched when the machine comes. It is open then, in whatever order the steps run.
    fn arrives(&mut self, to: usize) -> bool {
        let view = self.view;
        let never = view.dedicated[to] || view.state(to) == HostState::Down;
        let name = view.host_name(to);
        let Some(cycle) = self.cycles[to] else {
            if never || view.state(to) == HostState::Closed {
                let message =
                    format!("{name} takes no machine: it is closed, down or kept for failures");
                self.add(BreachKind::IntoClosed, message);
            }
            return false;
        };
        if never {
            let message = format!("{name} takes no machine: it is down or kept for failures");
            self.add(BreachKind::IntoClosed, message);
        }
        if self.graph.before(cycle.reopen, self.step) {
            return true;
        }
        let early = self.graph.before(self.step, cycle.close);
        if early {
            self.graph.ends_before_reopening(self.step, to);
        }
        if !early || view.state(to) == HostState::Closed {
            let message = format!(
                "{name} could be closed when {} arrives",
                view.vm_name(self.vm)
            );
            self.add(BreachKind::IntoClosed, message);
        }
        false
    }

    fn ends(&mut self, now: &mut Now, trails: &mut Trails) {
        let vm = &self.view.cluster.vms[self.vm];
        let from = self.view.roll.steps[self.step].not_before_ms.unwrap_or(0);
        match vm.ends_in_s {
            Some(ends) if from >= ends * 1000 => {}
            Some(ends) => {
                let message = format!(
                    "{} may run for {ends} s, and is taken for ended before",
                    vm.id
                );
                self.add(BreachKind::TooEarly, message);
            }
            None => {
                let message = format!("nobody says that {} ends by itself", vm.id);
                self.add(BreachKind::NotAllowed, message);
            }
        }
        self.leaves(now, trails);
        now.ended = true;
    }

    fn stops(&mut self, now: &mut Now, suspend: bool) {
        let vm = &self.view.cluster.vms[self.vm];
        let right = match suspend {
            true => NonMigratable::Suspend,
            false => NonMigratable::ShutdownRestart,
        };
        if self.view.policy(vm) != Some(right) {
            let message = format!("no policy allows that {} is stopped like this", vm.id);
            self.add(BreachKind::NotAllowed, message);
        }
        let cycle = self.cycles[now.host].filter(|_| !now.patched);
        let before = cycle.is_some_and(|cycle| self.graph.before(self.step, cycle.patch));
        if before {
            self.graph.ends_before_reopening(self.step, now.host);
        } else {
            let host = self.view.host_name(now.host);
            let message = format!("{} is stopped, and {host} is not patched after it", vm.id);
            self.add(BreachKind::NotEmpty, message);
        }
        now.stopped = Some((self.step, suspend));
    }

    fn starts(&mut self, now: &mut Now, trails: &mut Trails) {
        let Some((stop, suspended)) = now.stopped.take() else {
            return;
        };
        let name = self.view.vm_name(self.vm);
        let host = self.view.host_name(now.host);
        let reopen = self.cycles[now.host].map(|cycle| cycle.reopen);
        if !reopen.is_some_and(|reopen| self.graph.before(reopen, self.step)) {
            let message = format!("{name} could start before {host} is open again");
            self.add(BreachKind::IntoClosed, message);
        }
        let level = self.level(now.host, true);
        if suspended && level < now.level {
            let message = format!(
                "{name} was suspended at CPU level {}, and {host} has {level} then",
                now.level
            );
            self.add(BreachKind::CpuLevel, message);
        }
        if !suspended {
            now.level = level;
        }
        trails.away.push((stop, self.step));
        // It keeps its room: before the patch until its stop, after it from then on.
        trails.stays.push(Stay {
            vm: self.vm,
            host: now.host,
            from: now.from,
            until: Some(stop),
            patched: false,
        });
        now.from = Some(stop);
        now.patched = true;
    }
}
