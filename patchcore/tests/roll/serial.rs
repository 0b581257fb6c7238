//! One host after the other, one step after the other: the plainest roll there is, for the checker to judge.

use std::collections::BTreeSet;

use patchcore::plan::roll::{
    Action, Cluster, HostState, How, Mobility, NonMigratable, Reason, Roll, Rule, Step, Vm,
};

use crate::world::World;

/// A roll in the making; each step waits for the one before it unless it is told otherwise.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) roll: Roll,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            roll: Roll {
                schema: Roll::SCHEMA.to_owned(),
                steps: Vec::new(),
                left_out: Vec::new(),
                partial: false,
            },
        }
    }

    pub(crate) fn push(&mut self, action: Action, needs: &[u32]) -> u32 {
        self.roll.steps.push(Step {
            action,
            needs: needs.to_vec(),
            not_before_ms: None,
            reason: Reason::Follows,
        });
        u32::try_from(self.roll.steps.len()).unwrap() - 1
    }

    pub(crate) fn then(&mut self, action: Action) -> u32 {
        let last = u32::try_from(self.roll.steps.len()).unwrap().checked_sub(1);
        self.push(action, last.as_slice())
    }
}

pub(crate) fn close(host: &str) -> Action {
    Action::Close { host: host.into() }
}

pub(crate) fn patch(host: &str) -> Action {
    Action::Patch { host: host.into() }
}

pub(crate) fn reopen(host: &str) -> Action {
    Action::Reopen { host: host.into() }
}

pub(crate) fn migrate(vm: &str, from: &str, to: &str) -> Action {
    Action::Migrate {
        vm: vm.into(),
        from: from.into(),
        to: to.into(),
        how: How::Live,
    }
}

/// The steps by which a machine leaves a host, or stays on it without running.
fn how(cluster: &Cluster, vm: &Vm) -> Option<How> {
    match &vm.mobility {
        Mobility::Live if vm.disk_mib > 0 => Some(How::Storage),
        Mobility::Live => Some(How::Live),
        Mobility::Cold => Some(How::Cold),
        Mobility::Pinned(pin) => match pin.policy.or(cluster.non_migratable) {
            Some(NonMigratable::StorageMigrate) => Some(How::Storage),
            _ => None,
        },
    }
}

/// A roll that breaks nothing, or none where this simple way finds none.
pub(crate) fn serial(cluster: &Cluster) -> Option<Roll> {
    let mut script = Script::new();
    let mut world = World::of(cluster);
    let mut left: Vec<&str> = cluster
        .hosts
        .iter()
        .filter(|h| h.needs_patch && h.state != HostState::Down)
        .map(|h| h.id.as_str())
        .collect();
    while !left.is_empty() {
        let may = |host: &str| {
            cluster.rules.iter().all(|rule| match rule {
                Rule::Order { before, after } if after.iter().any(|h| *h == *host) => {
                    !before.iter().any(|h| left.contains(&h.as_str()))
                }
                _ => true,
            })
        };
        let at = left.iter().position(|host| may(host))?;
        let host = left.remove(at);
        one_host(cluster, &mut script, &mut world, host)?;
    }
    Some(script.roll)
}

fn run(world: &mut World<'_>, action: &Action) -> Option<()> {
    // A step of its own, for a world that outlives this call.
    let step: &'static Step = Box::leak(Box::new(Step {
        action: action.clone(),
        needs: Vec::new(),
        not_before_ms: None,
        reason: Reason::Follows,
    }));
    world.begin(step).ok()?;
    world.end(step).ok()
}

fn one_host(
    cluster: &Cluster,
    script: &mut Script,
    world: &mut World<'_>,
    host: &str,
) -> Option<()> {
    let act = |script: &mut Script, world: &mut World<'_>, action: Action| {
        let mut next = world.clone();
        run(&mut next, &action)?;
        *world = next;
        script.then(action);
        Some(())
    };
    act(script, world, close(host))?;
    let there: Vec<Vm> = world.on(host).into_iter().cloned().collect();
    let mut stays = Vec::new();
    let mut done: BTreeSet<String> = BTreeSet::new();
    for vm in &there {
        let Some(how) = how(cluster, vm) else {
            stays.push(vm.clone());
            continue;
        };
        if !done.insert(vm.id.to_string()) {
            continue;
        }
        // Those that belong together go together.
        let mut group = vec![vm.clone()];
        for rule in &cluster.rules {
            if let Rule::Affinity {
                vms, soft: None, ..
            } = rule
                && vms.contains(&vm.id)
            {
                group = there
                    .iter()
                    .filter(|v| vms.contains(&v.id))
                    .cloned()
                    .collect();
            }
        }
        done.extend(group.iter().map(|v| v.id.to_string()));
        let mut to: Vec<&str> = cluster.hosts.iter().map(|h| h.id.as_str()).collect();
        to.sort_by_key(|to| (world.used(to, 0), *to));
        let found = to.into_iter().find_map(|to| {
            let mut next = world.clone();
            let actions: Vec<Action> = group
                .iter()
                .map(|vm| Action::Migrate {
                    vm: vm.id.clone(),
                    from: host.into(),
                    to: to.into(),
                    how,
                })
                .collect();
            for action in &actions {
                run(&mut next, action)?;
            }
            Some((next, actions))
        });
        let (next, actions) = found?;
        *world = next;
        for (action, vm) in actions.into_iter().zip(&group) {
            let at = script.then(action);
            script.roll.steps[at as usize].not_before_ms = Some(vm.notice_s * 1000);
        }
    }
    for vm in &stays {
        let Mobility::Pinned(pin) = &vm.mobility else {
            return None;
        };
        let suspend = pin.policy == Some(NonMigratable::Suspend);
        let action = Action::Stop {
            vm: vm.id.clone(),
            host: host.into(),
            suspend,
        };
        act(script, world, action)?;
        let at = script.roll.steps.len() - 1;
        script.roll.steps[at].not_before_ms = Some(vm.notice_s * 1000);
    }
    act(script, world, patch(host))?;
    act(script, world, reopen(host))?;
    for vm in &stays {
        let action = Action::Start {
            vm: vm.id.clone(),
            host: host.into(),
        };
        act(script, world, action)?;
    }
    Some(())
}
