//! Twenty kinds of change to a planned roll, none of which leaves it safe.

use patchcore::plan::roll::{
    Action, BreachKind, Cluster, Ha, HostLeftOut, Reason, Roll, Rule, Step, WhyNotRolled,
};

use crate::clusters::Dice;

/// Which steps are sure to be over before a step begins.
fn before(roll: &Roll, at: usize) -> Vec<bool> {
    let mut sure = vec![false; at];
    let mut open = vec![at];
    while let Some(step) = open.pop() {
        for need in &roll.steps[step].needs {
            let need = *need as usize;
            if !sure[need] {
                sure[need] = true;
                open.push(need);
            }
        }
    }
    sure
}

fn without(roll: &Roll, gone: impl Fn(&Step) -> bool) -> Roll {
    let mut roll = roll.clone();
    let mut number = Vec::new();
    let mut kept = 0;
    for step in &roll.steps {
        number.push((!gone(step)).then_some(kept));
        kept += u32::from(!gone(step));
    }
    // Who waited for a step that is gone waits for what that waited for.
    let mut steps: Vec<Step> = Vec::new();
    for (at, step) in roll.steps.iter().enumerate() {
        if number[at].is_some() {
            let mut step = step.clone();
            let sure = before(&roll, at);
            let needs = (0..at)
                .filter(|need| sure[*need])
                .filter_map(|need| number[need]);
            step.needs = needs.collect();
            steps.push(step);
        }
    }
    roll.steps = steps;
    roll
}

fn host_of<'r>(step: &'r Step, cycle: &str) -> Option<&'r str> {
    match (&step.action, cycle) {
        (Action::Close { host }, "close")
        | (Action::Patch { host }, "patch")
        | (Action::Reopen { host }, "reopen") => Some(host.as_str()),
        _ => None,
    }
}

fn find(roll: &Roll, dice: &mut Dice, wanted: impl Fn(usize, &Step) -> bool) -> Option<usize> {
    let all: Vec<usize> = (0..roll.steps.len())
        .filter(|at| wanted(*at, &roll.steps[*at]))
        .collect();
    (!all.is_empty()).then(|| *dice.pick(&all))
}

fn is_move(step: &Step) -> bool {
    matches!(step.action, Action::Migrate { .. })
}

fn step_of(roll: &Roll, cycle: &str, host: &str) -> Option<usize> {
    roll.steps
        .iter()
        .position(|step| host_of(step, cycle) == Some(host))
}

pub(crate) type Mutation = fn(&Cluster, &Roll, &mut Dice) -> Option<Roll>;

/// Each kind of change, none of which leaves a roll safe: what it is, how it is made where it can be, and what may be
/// found of it.
pub(crate) const KINDS: &[(&str, Mutation, &[BreachKind])] = &[
    (
        "a move dropped",
        move_dropped,
        &[BreachKind::NotEmpty, BreachKind::WrongPlace],
    ),
    (
        "a move to a host that is closed then",
        into_closed,
        &[BreachKind::IntoClosed],
    ),
    (
        "a machine moved from where it is not",
        wrong_place,
        &[BreachKind::WrongPlace],
    ),
    (
        "a machine moved twice",
        moved_twice,
        &[BreachKind::WrongPlace, BreachKind::Unordered],
    ),
    (
        "a host patched twice",
        patched_twice,
        &[BreachKind::PatchedAmiss],
    ),
    (
        "a host left out silently",
        silently_out,
        &[BreachKind::NotPatched],
    ),
    (
        "a host left out without a reason",
        falsely_out,
        &[BreachKind::LeftOutAmiss],
    ),
    (
        "a host that never opens again",
        never_open,
        &[BreachKind::PatchedAmiss],
    ),
    (
        "a host patched without need",
        without_need,
        &[BreachKind::PatchedAmiss],
    ),
    ("a fence broken", fence_broken, &[BreachKind::Fence]),
    (
        "more hosts down than the limit",
        limit_broken,
        &[BreachKind::TooManyDown],
    ),
    (
        "the HA reserve taken",
        reserve_taken,
        &[BreachKind::HaReserve],
    ),
    (
        "a patch that does not wait for a move",
        edge_to_patch,
        &[BreachKind::NotEmpty],
    ),
    (
        "a move that does not wait for its new host",
        edge_to_open,
        &[BreachKind::IntoClosed],
    ),
    (
        "an order of hosts broken",
        order_broken,
        &[BreachKind::Order],
    ),
    (
        "a stopped machine never started",
        never_started,
        &[BreachKind::Lost],
    ),
    (
        "a pinned machine moved",
        pinned_moved,
        &[BreachKind::NotAllowed],
    ),
    (
        "machines that keep apart brought together",
        brought_together,
        &[BreachKind::AntiAffinity],
    ),
    ("too much on one host", too_full, &[BreachKind::TooFull]),
    (
        "a machine moved before its notice is over",
        notice_cut,
        &[BreachKind::TooEarly],
    ),
];

fn move_dropped(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    // Off a host that is patched after it; another move may be one more than is needed.
    let at = find(roll, dice, |at, step| match &step.action {
        Action::Migrate { from, .. } => step_of(roll, "patch", from.as_str()) > Some(at),
        _ => false,
    })?;
    let gone = roll.steps[at].clone();
    Some(without(roll, |step| *step == gone))
}

fn redirect(roll: &Roll, at: usize, host: &str) -> Roll {
    let mut roll = roll.clone();
    if let Action::Migrate { to, .. } = &mut roll.steps[at].action {
        *to = host.into();
    }
    roll
}

fn into_closed(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    // A move waits for the close of its host, so that is sure to be closed: to itself is no move, to one more is.
    let at = find(roll, dice, |at, step| {
        is_move(step) && closed_then(roll, at).is_some()
    })?;
    Some(redirect(roll, at, &closed_then(roll, at)?))
}

/// Another host that is sure to be closed while a step runs.
fn closed_then(roll: &Roll, at: usize) -> Option<String> {
    let Action::Migrate { from, .. } = &roll.steps[at].action else {
        return None;
    };
    let sure = before(roll, at);
    (0..at).filter(|step| sure[*step]).find_map(|step| {
        let host = host_of(&roll.steps[step], "close").filter(|host| from != *host)?;
        let reopen = step_of(roll, "reopen", host)?;
        (reopen > at || !sure[reopen]).then(|| host.to_owned())
    })
}

fn wrong_place(cluster: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let at = find(roll, dice, |_, step| is_move(step))?;
    let mut roll = roll.clone();
    let Action::Migrate { from, to, .. } = &mut roll.steps[at].action else {
        return None;
    };
    let other = cluster
        .hosts
        .iter()
        .find(|host| host.id != *from && host.id != *to)?;
    *from = other.id.clone();
    Some(roll)
}

fn moved_twice(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let at = find(roll, dice, |_, step| is_move(step))?;
    let mut roll = roll.clone();
    let again = roll.steps[at].clone();
    roll.steps.push(again);
    Some(roll)
}

fn patched_twice(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let at = find(roll, dice, |_, step| host_of(step, "patch").is_some())?;
    let mut roll = roll.clone();
    let mut again = roll.steps[at].clone();
    again.needs = vec![u32::try_from(at).unwrap()];
    roll.steps.push(again);
    Some(roll)
}

fn silently_out(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let at = find(roll, dice, |_, step| host_of(step, "patch").is_some())?;
    Some(without_host(roll, host_of(&roll.steps[at], "patch")?))
}

fn without_host(roll: &Roll, host: &str) -> Roll {
    let cycle = ["close", "patch", "reopen"];
    without(roll, |step| {
        cycle.iter().any(|cycle| host_of(step, cycle) == Some(host))
    })
}

fn falsely_out(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let at = find(roll, dice, |_, step| host_of(step, "patch").is_some())?;
    let host = host_of(&roll.steps[at], "patch")?.to_owned();
    let mut roll = without_host(roll, &host);
    roll.left_out.push(HostLeftOut {
        host: host.as_str().into(),
        why: WhyNotRolled::Down,
    });
    Some(roll)
}

fn never_open(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let at = find(roll, dice, |_, step| host_of(step, "reopen").is_some())?;
    let gone = roll.steps[at].clone();
    Some(without(roll, |step| *step == gone))
}

fn without_need(cluster: &Cluster, roll: &Roll, _: &mut Dice) -> Option<Roll> {
    let host = cluster
        .hosts
        .iter()
        .find(|host| !host.needs_patch)?
        .id
        .clone();
    let mut roll = roll.clone();
    for action in [
        Action::Close { host: host.clone() },
        Action::Patch { host: host.clone() },
        Action::Reopen { host },
    ] {
        roll.steps.push(Step {
            action,
            needs: (0..u32::try_from(roll.steps.len()).unwrap()).collect(),
            not_before_ms: None,
            reason: Reason::Follows,
        });
    }
    Some(roll)
}

/// Whether a rule keeps a machine from a host.
fn fenced(cluster: &Cluster, vm: &str, host: &str) -> bool {
    cluster.rules.iter().any(|rule| match rule {
        Rule::Fence { vms, hosts } => {
            vms.iter().any(|id| *id == *vm) && !hosts.iter().any(|id| *id == *host)
        }
        Rule::Avoid { vms, hosts } => {
            vms.iter().any(|id| *id == *vm) && hosts.iter().any(|id| *id == *host)
        }
        _ => false,
    })
}

fn fence_broken(cluster: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let outside = |step: &Step| match &step.action {
        Action::Migrate { vm, .. } => {
            let mut hosts = cluster.hosts.iter();
            hosts.find(|host| fenced(cluster, vm.as_str(), host.id.as_str()))
        }
        _ => None,
    };
    let at = find(roll, dice, |_, step| outside(step).is_some())?;
    Some(redirect(roll, at, outside(&roll.steps[at])?.id.as_str()))
}

/// Every host may close at once.
fn closes_at_once(roll: &Roll) -> Roll {
    let mut roll = roll.clone();
    for step in &mut roll.steps {
        if matches!(step.action, Action::Close { .. }) {
            step.needs.clear();
        }
    }
    roll
}

fn limit_broken(cluster: &Cluster, roll: &Roll, _: &mut Dice) -> Option<Roll> {
    let most = cluster.limits.max_hosts_down? as usize;
    let closes = roll
        .steps
        .iter()
        .filter(|step| host_of(step, "close").is_some());
    (closes.count() > most).then(|| closes_at_once(roll))
}

fn reserve_taken(cluster: &Cluster, roll: &Roll, _: &mut Dice) -> Option<Roll> {
    let reserved = !matches!(cluster.limits.ha, Ha::None | Ha::Dedicated { .. });
    let open = cluster.hosts.iter().any(|host| !host.needs_patch) || !roll.left_out.is_empty();
    // With every host closed nothing is left for anybody.
    let taken = cluster.vms.iter().any(|vm| vm.demand[0].unwrap() > 0);
    (reserved && taken && !open && !roll.steps.is_empty()).then(|| closes_at_once(roll))
}

/// One need taken away by which alone a step is sure to come after another.
fn edge(roll: &Roll, dice: &mut Dice, matters: impl Fn(&Step, &Step) -> bool) -> Option<Roll> {
    let mut all = Vec::new();
    for (at, step) in roll.steps.iter().enumerate() {
        for need in &step.needs {
            if matters(step, &roll.steps[*need as usize]) {
                all.push((at, *need));
            }
        }
    }
    if all.is_empty() {
        return None;
    }
    let (at, need) = *dice.pick(&all);
    let mut roll = roll.clone();
    roll.steps[at].needs.retain(|other| *other != need);
    (!before(&roll, at)[need as usize]).then_some(roll)
}

fn edge_to_patch(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    edge(
        roll,
        dice,
        |step, need| matches!((&step.action, &need.action), (Action::Patch { host }, Action::Migrate { from, .. }) if host == from),
    )
}

fn edge_to_open(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    edge(
        roll,
        dice,
        |step, need| matches!((&step.action, &need.action), (Action::Migrate { to, .. }, Action::Reopen { host }) if host == to),
    )
}

fn order_broken(cluster: &Cluster, roll: &Roll, _: &mut Dice) -> Option<Roll> {
    let ordered = cluster.rules.iter().any(|rule| match rule {
        Rule::Order { before, after } => {
            let patched =
                |host: &patchcore::id::ComponentId| step_of(roll, "close", host.as_str()).is_some();
            before.iter().any(patched) && after.iter().any(patched)
        }
        _ => false,
    });
    ordered.then(|| closes_at_once(roll))
}

fn never_started(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let at = find(roll, dice, |_, step| {
        matches!(step.action, Action::Start { .. })
    })?;
    let gone = roll.steps[at].clone();
    Some(without(roll, |step| *step == gone))
}

fn pinned_moved(cluster: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let at = find(roll, dice, |_, step| {
        matches!(step.action, Action::Stop { .. })
    })?;
    let mut roll = roll.clone();
    let Action::Stop { vm, host, .. } = roll.steps[at].action.clone() else {
        return None;
    };
    let to = cluster
        .hosts
        .iter()
        .find(|other| other.id != host)?
        .id
        .clone();
    roll.steps[at].action = Action::Migrate {
        vm,
        from: host,
        to,
        how: patchcore::plan::roll::How::Live,
    };
    Some(roll)
}

/// Where machines are that never move.
fn rests<'c>(cluster: &'c Cluster, roll: &Roll, vm: &str) -> Option<&'c str> {
    let known = cluster.vms.iter().find(|known| known.id == *vm)?;
    let leaves = roll.steps.iter().any(|step| match &step.action {
        Action::Migrate { vm: other, .. } | Action::AwaitEnd { vm: other, .. } => *other == *vm,
        _ => false,
    });
    (!leaves).then_some(known.host.as_str())
}

fn brought_together(cluster: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    // To the host of a member that stays there all the time.
    let with = |vm: &str| {
        cluster.rules.iter().find_map(|rule| match rule {
            Rule::AntiAffinity {
                vms,
                max_per: 1,
                soft: None,
                ..
            } if vms.iter().any(|id| *id == *vm) => vms
                .iter()
                .filter(|id| **id != *vm)
                .find_map(|id| rests(cluster, roll, id.as_str())),
            _ => None,
        })
    };
    let other = |step: &Step| match &step.action {
        Action::Migrate { vm, .. } => with(vm.as_str()),
        _ => None,
    };
    let at = find(roll, dice, |_, step| other(step).is_some())?;
    Some(redirect(roll, at, other(&roll.steps[at])?))
}

fn too_full(cluster: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    let at = find(roll, dice, |_, step| is_move(step))?;
    let Action::Migrate { vm, from, .. } = &roll.steps[at].action else {
        return None;
    };
    let takes = cluster.vms.iter().find(|known| known.id == *vm)?.demand[0].unwrap();
    // A host whose resting machines leave too little for it all the time.
    let full = cluster.hosts.iter().find(|host| {
        let resting = cluster
            .vms
            .iter()
            .filter(|known| rests(cluster, roll, known.id.as_str()) == Some(host.id.as_str()));
        let used: u64 = resting.map(|known| known.demand[0].unwrap()).sum();
        host.id != *from && takes > 0 && used + takes > host.capacity[0].unwrap()
    })?;
    Some(redirect(roll, at, full.id.as_str()))
}

fn notice_cut(_: &Cluster, roll: &Roll, dice: &mut Dice) -> Option<Roll> {
    // The first step of a machine: who was told once is not told again.
    let vm = |step: &Step| match &step.action {
        Action::Migrate { vm, .. } | Action::Stop { vm, .. } | Action::AwaitEnd { vm, .. } => {
            Some(vm.clone())
        }
        _ => None,
    };
    let at = find(roll, dice, |at, step| {
        step.not_before_ms.is_some() && !roll.steps[..at].iter().any(|other| vm(other) == vm(step))
    })?;
    let mut roll = roll.clone();
    roll.steps[at].not_before_ms = None;
    Some(roll)
}
