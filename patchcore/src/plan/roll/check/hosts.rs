//! Each host that needs the patch closes once, is patched once and opens once, or is left out with a reason.

use super::{
    breach::{BreachKind, Found},
    graph::Graph,
    view::{Act, View},
};
use crate::plan::roll::{
    cluster::{HostState, Mobility, NonMigratable},
    step::WhyNotRolled,
};

/// The steps of one host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cycle {
    pub(super) close: usize,
    pub(super) patch: usize,
    pub(super) reopen: usize,
}

/// The cycle of each host that is patched.
pub(super) fn cycles(
    view: &View<'_>,
    graph: &mut Graph<'_>,
    found: &mut Found,
) -> Vec<Option<Cycle>> {
    let hosts = view.cluster.hosts.len();
    let mut close = vec![Vec::new(); hosts];
    let mut patch = vec![Vec::new(); hosts];
    let mut reopen = vec![Vec::new(); hosts];
    for (at, act) in view.acts.iter().enumerate() {
        match act {
            Act::Close(host) => close[*host].push(at),
            Act::Patch(host) => patch[*host].push(at),
            Act::Reopen(host) => reopen[*host].push(at),
            _ => {}
        }
    }
    let left_out = left_out(view, found);
    let mut cycles = vec![None; hosts];
    for host in 0..hosts {
        let name = view.host_name(host);
        let steps = (&close[host][..], &patch[host][..], &reopen[host][..]);
        let wanted = view.wants_patch(host) && !left_out[host];
        match (wanted, steps) {
            (true, ([close], [patch], [reopen])) => {
                let cycle = Cycle {
                    close: *close,
                    patch: *patch,
                    reopen: *reopen,
                };
                if !graph.before(*close, *patch) || !graph.before(*patch, *reopen) {
                    let message =
                        format!("{name} could open, be patched and close in another order");
                    found.add(BreachKind::Unordered, Some(*patch), message);
                    continue;
                }
                graph.ends_before_reopening(*close, host);
                graph.ends_before_reopening(*patch, host);
                cycles[host] = Some(cycle);
            }
            (true, (_, [], _)) => {
                let message =
                    format!("{name} needs the patch, and neither gets it nor is left out");
                found.add(BreachKind::NotPatched, None, message);
            }
            (false, ([], [], [])) => {}
            _ => {
                let message = format!(
                    "{name} closes {} times, is patched {} times and opens {} times, where each must be {}",
                    close[host].len(),
                    patch[host].len(),
                    reopen[host].len(),
                    i32::from(wanted)
                );
                found.add(BreachKind::PatchedAmiss, None, message);
            }
        }
    }
    cycles
}

/// Which hosts are left out, each for a reason that holds.
fn left_out(view: &View<'_>, found: &mut Found) -> Vec<bool> {
    let mut out = vec![false; view.cluster.hosts.len()];
    for left in &view.roll.left_out {
        let Some(host) = view.names.host(left.host.as_str()) else {
            let message = format!("{} is left out and is no host", left.host);
            found.add(BreachKind::Malformed, None, message);
            continue;
        };
        let policy_of = |vm: &str| {
            let vm = view.names.vm(vm).filter(|vm| view.home[*vm] == host)?;
            let vm = &view.cluster.vms[vm];
            let is_pinned = matches!(vm.mobility, Mobility::Pinned(_));
            is_pinned.then(|| view.policy(vm))
        };
        let holds = match &left.why {
            WhyNotRolled::Down => view.state(host) == HostState::Down,
            WhyNotRolled::SkipHost { vm } => {
                policy_of(vm.as_str()) == Some(Some(NonMigratable::SkipHost))
            }
            WhyNotRolled::NobodyDecides { vm } => {
                view.roll.partial
                    && matches!(
                        policy_of(vm.as_str()),
                        Some(None | Some(NonMigratable::AskOwner))
                    )
            }
            WhyNotRolled::NotEmptied => view.roll.partial,
        };
        if !holds || out[host] || !view.wants_patch(host) {
            let message = format!(
                "{} is left out without a reason that holds, or twice",
                left.host
            );
            found.add(BreachKind::LeftOutAmiss, None, message);
        }
        out[host] = true;
    }
    out
}
