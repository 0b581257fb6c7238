//! A cluster is read and looked through before anything is decided from it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    cluster::{Amounts, Cluster, Migration, PatchTime},
    fault::{Fault, FaultKind, Faults, Found},
    limits::{Ha, Limits},
    names::Names,
    rule::{Level, Rule},
    standing,
};
use crate::id::ComponentId;

/// Sums of amounts stay below this, so that no sum of sums overflows.
const MOST: u64 = 1 << 60;
/// All memory of a cluster together in MiB: 2^64 bytes.
const MOST_MIB: u64 = 1 << 44;
/// The longest time that a host may take: 30 years.
const LONGEST_S: u64 = 1_000_000_000;
/// More thousandths than this are a mistake of units.
const MOST_PERMILLE: u64 = 10_000;
const MOST_HOSTS: usize = 1 << 20;
const MOST_VMS: usize = 1 << 22;
const MOST_RESOURCES: usize = 16;

impl Cluster {
    /// Reads a cluster and looks it through.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place and its remedy.
    pub fn from_json(text: &str) -> Result<Self, Faults> {
        let cluster: Self = serde_json::from_str(text).map_err(|error| {
            Faults::one(Fault {
                kind: FaultKind::NotReadable,
                place: format!("line {} column {}", error.line(), error.column()),
                message: format!("this is not a cluster: {error}"),
                remedy: "amounts are integers from 0; docs/schema/cluster.json says what may stand where"
                    .to_owned(),
            })
        })?;
        cluster.looked_through()?;
        Ok(cluster)
    }

    /// Looks through a cluster that was put together by a program.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place and its remedy.
    pub fn looked_through(&self) -> Result<(), Faults> {
        let mut found = Found::default();
        if self.schema != Self::SCHEMA {
            found.add(
                FaultKind::OtherSchema,
                "schema",
                format!("expected {:?} but found {:?}", Self::SCHEMA, self.schema),
                "read it with the version of patchcore that wrote it, or write it anew",
            );
        }
        let names = Names::of(self);
        resources(self, &mut found);
        hosts(self, &mut found);
        vms(self, &names, &mut found);
        limits(self, &names, &mut found);
        rules(self, &names, &mut found);
        if found.is_empty() {
            standing::broken_now(self, &names, &mut found);
        }
        found.into_result()
    }
}

fn resources(cluster: &Cluster, found: &mut Found) {
    let count = cluster.resources.len();
    if count == 0 || count > MOST_RESOURCES {
        found.add(
            FaultKind::Missing,
            "resources",
            format!("expected 1 to {MOST_RESOURCES} resources but found {count}"),
            "name what capacities and demands are of, such as [\"memory_mib\", \"vcpu\"]",
        );
    }
    let mut seen = BTreeSet::new();
    for (at, name) in cluster.resources.iter().enumerate() {
        if !seen.insert(name) {
            let message = format!("a second resource is called {name:?}");
            let remedy = "give each resource its own name";
            found.add(
                FaultKind::Twice,
                format!("resources[{at}]"),
                message,
                remedy,
            );
        }
    }
    let costs = &cluster.costs;
    let ranges = [
        (
            "overhead_permille",
            costs.overhead_permille,
            0,
            MOST_PERMILLE,
        ),
        ("p95_permille", costs.p95_permille, 1000, MOST_PERMILLE),
        ("fixed_ms", costs.fixed_ms, 0, LONGEST_S),
        ("stop_s", costs.stop_s, 0, LONGEST_S / 1000),
        ("start_s", costs.start_s, 0, LONGEST_S / 1000),
    ];
    for (name, value, least, most) in ranges {
        in_range(found, &format!("costs.{name}"), value, least, most);
    }
}

fn in_range(found: &mut Found, place: &str, value: u64, least: u64, most: u64) {
    if !(least..=most).contains(&value) {
        found.add(
            FaultKind::OutOfRange,
            place,
            format!("expected {least} to {most} but found {value}"),
            "look at the unit of this number",
        );
    }
}

/// Amounts of one thing: as many as resources, each known.
fn amounts(found: &mut Found, cluster: &Cluster, place: &str, name: &ComponentId, of: &Amounts) {
    let count = cluster.resources.len();
    if of.len() != count {
        found.add(
            FaultKind::WrongLength,
            place,
            format!(
                "{name}: expected {count} amounts, one for each of {}, but found {}",
                cluster.resources.join(", "),
                of.len()
            ),
            "write one amount for each resource, in their order; 0 where it has or takes none",
        );
        return;
    }
    for (at, amount) in of.iter().enumerate() {
        let place = format!("{place}[{at}]");
        match amount {
            None => found.add(
                FaultKind::Unknown,
                place,
                format!("{name}: nobody knows its {}", cluster.resources[at]),
                "measure it or write what is sure: an unknown amount is neither nothing nor infinity",
            ),
            Some(amount) if *amount >= MOST => found.add(
                FaultKind::OutOfRange,
                place,
                format!("{name}: {amount} {} is too large", cluster.resources[at]),
                "count in a larger unit, such as MiB instead of bytes",
            ),
            Some(_) => {}
        }
    }
}

fn too_many(found: &mut Found, place: &str, count: usize, most: usize) {
    if count > most {
        let message = format!("expected at most {most} but found {count}");
        let remedy = "plan one cluster at a time";
        found.add(FaultKind::OutOfRange, place, message, remedy);
    }
}

/// Adds up what may not overflow anywhere later.
fn sums<'a>(
    found: &mut Found,
    cluster: &Cluster,
    place: &str,
    all: impl Iterator<Item = &'a Amounts>,
) {
    let mut sums = vec![0_u64; cluster.resources.len()];
    for amounts in all {
        for (sum, amount) in sums.iter_mut().zip(amounts) {
            *sum = sum.saturating_add(amount.unwrap_or(0));
        }
    }
    for (sum, name) in sums.iter().zip(&cluster.resources) {
        if *sum >= MOST {
            found.add(
                FaultKind::OutOfRange,
                place,
                format!("all {name} together is 2^60 or more"),
                "count in a larger unit, such as MiB instead of bytes",
            );
        }
    }
}

fn hosts(cluster: &Cluster, found: &mut Found) {
    if cluster.hosts.is_empty() {
        found.add(
            FaultKind::Missing,
            "hosts",
            "there is no host",
            "list the cluster's hosts with their capacities",
        );
    }
    too_many(found, "hosts", cluster.hosts.len(), MOST_HOSTS);
    let mut seen = BTreeMap::new();
    for (at, host) in cluster.hosts.iter().enumerate() {
        let place = format!("hosts[{at}]");
        if let Some(first) = seen.insert(host.id.as_str(), at) {
            found.add(
                FaultKind::Twice,
                format!("{place}.id"),
                format!("host {} is hosts[{first}] already", host.id),
                "give each host its own name",
            );
        }
        amounts(
            found,
            cluster,
            &format!("{place}.capacity"),
            &host.id,
            &host.capacity,
        );
        if !host.reserve.is_empty() {
            amounts(
                found,
                cluster,
                &format!("{place}.reserve"),
                &host.id,
                &host.reserve,
            );
            for (r, (own, all)) in host.reserve.iter().zip(&host.capacity).enumerate() {
                if own > all {
                    found.add(
                        FaultKind::OutOfRange,
                        format!("{place}.reserve[{r}]"),
                        format!("{}: more is reserved than there is", host.id),
                        "reserve at most the capacity",
                    );
                }
            }
        }
        match host.patch_time.or(cluster.patch_time) {
            None => found.add(
                FaultKind::Unknown,
                format!("{place}.patch_time"),
                format!("{}: nobody knows how long it takes to patch", host.id),
                "write {\"p50_s\": …, \"p95_s\": …} there, or once as the cluster's patch_time",
            ),
            Some(time) => patch_time(found, &format!("{place}.patch_time"), time),
        }
        match host.migration.or(cluster.migration) {
            None => found.add(
                FaultKind::Unknown,
                format!("{place}.migration"),
                format!("{}: nobody knows what it can move at once", host.id),
                "write {\"in_slots\": …, \"out_slots\": …, \"mib_per_s\": …} there, or once as the cluster's migration",
            ),
            Some(migration) => slots(found, &format!("{place}.migration"), migration),
        }
    }
    sums(
        found,
        cluster,
        "hosts",
        cluster.hosts.iter().map(|h| &h.capacity),
    );
}

fn patch_time(found: &mut Found, place: &str, time: PatchTime) {
    in_range(found, &format!("{place}.p50_s"), time.p50_s, 0, LONGEST_S);
    in_range(
        found,
        &format!("{place}.p95_s"),
        time.p95_s,
        time.p50_s.min(LONGEST_S),
        LONGEST_S,
    );
}

fn slots(found: &mut Found, place: &str, of: Migration) {
    in_range(
        found,
        &format!("{place}.in_slots"),
        of.in_slots.into(),
        1,
        1000,
    );
    in_range(
        found,
        &format!("{place}.out_slots"),
        of.out_slots.into(),
        1,
        1000,
    );
    in_range(
        found,
        &format!("{place}.mib_per_s"),
        of.mib_per_s,
        1,
        1 << 30,
    );
}

fn vms(cluster: &Cluster, names: &Names<'_>, found: &mut Found) {
    too_many(found, "vms", cluster.vms.len(), MOST_VMS);
    let mut mib = 0_u64;
    for (at, vm) in cluster.vms.iter().enumerate() {
        let place = |part: &str| format!("vms[{at}].{part}");
        if let Some(first) = names.vm(vm.id.as_str()).filter(|first| *first != at) {
            found.add(
                FaultKind::Twice,
                place("id"),
                format!("machine {} is vms[{first}] already", vm.id),
                "give each machine its own name",
            );
        }
        if names.host(vm.host.as_str()).is_none() {
            found.add(
                FaultKind::NoSuchName,
                place("host"),
                format!("machine {} runs on {:?}, which is no host", vm.id, vm.host),
                "name the host it runs on, or leave out a machine that does not run",
            );
        }
        amounts(found, cluster, &place("demand"), &vm.id, &vm.demand);
        if vm.mem_mib.is_none() {
            found.add(
                FaultKind::Unknown,
                place("mem_mib"),
                format!(
                    "machine {}: nobody knows how much memory a move copies",
                    vm.id
                ),
                "write its configured memory",
            );
        }
        mib = mib
            .saturating_add(vm.mem_mib.unwrap_or(0))
            .saturating_add(vm.disk_mib);
        in_range(found, &place("notice_s"), vm.notice_s, 0, LONGEST_S);
        in_range(
            found,
            &place("ends_in_s"),
            vm.ends_in_s.unwrap_or(0),
            0,
            LONGEST_S,
        );
    }
    if mib >= MOST_MIB {
        found.add(
            FaultKind::OutOfRange,
            "vms",
            "memory and disk of all machines together are 2^64 bytes or more",
            "mem_mib and disk_mib count MiB, not bytes",
        );
    }
    sums(found, cluster, "vms", cluster.vms.iter().map(|v| &v.demand));
}

fn known_host(found: &mut Found, names: &Names<'_>, place: &str, host: &ComponentId) {
    if names.host(host.as_str()).is_none() {
        let message = format!("{host:?} is no host");
        found.add(
            FaultKind::NoSuchName,
            place,
            message,
            "name a host of this cluster",
        );
    }
}

fn limits(cluster: &Cluster, names: &Names<'_>, found: &mut Found) {
    let Limits {
        max_hosts_down: _,
        max_down_per_rack,
        max_down_per_site,
        ha,
        fill_cap_percent,
        max_migrations,
        windows,
    } = &cluster.limits;
    if max_down_per_rack.is_some() {
        domains(found, cluster, "limits.max_down_per_rack", Level::Rack);
    }
    if max_down_per_site.is_some() {
        domains(found, cluster, "limits.max_down_per_site", Level::Site);
    }
    in_range(
        found,
        "limits.fill_cap_percent",
        (*fill_cap_percent).into(),
        1,
        100,
    );
    in_range(
        found,
        "limits.max_migrations",
        max_migrations.unwrap_or(1).into(),
        1,
        u32::MAX.into(),
    );
    match ha {
        Ha::None | Ha::Failures(_) => {}
        Ha::Percent(percent) => in_range(found, "limits.ha.percent", (*percent).into(), 0, 99),
        Ha::Dedicated { hosts, keep } => {
            for (at, host) in hosts.iter().enumerate() {
                known_host(
                    found,
                    names,
                    &format!("limits.ha.dedicated.hosts[{at}]"),
                    host,
                );
            }
            in_range(
                found,
                "limits.ha.dedicated.keep",
                (*keep).into(),
                0,
                hosts.len() as u64,
            );
        }
    }
    for (at, window) in windows.iter().enumerate() {
        let place = format!("limits.windows[{at}]");
        in_range(
            found,
            &format!("{place}.from_s"),
            window.from_s,
            0,
            LONGEST_S,
        );
        let least = window.from_s.saturating_add(1).min(LONGEST_S);
        in_range(
            found,
            &format!("{place}.until_s"),
            window.until_s,
            least,
            LONGEST_S,
        );
    }
}

/// Every host says where it is.
fn domains(found: &mut Found, cluster: &Cluster, place: &str, level: Level) {
    let lacks = |host: &&super::cluster::Host| match level {
        Level::Host => false,
        Level::Rack => host.rack.is_none(),
        Level::Site => host.site.is_none(),
    };
    if let Some(host) = cluster.hosts.iter().find(lacks) {
        let word = level.word();
        found.add(
            FaultKind::Unknown,
            place,
            format!("this counts by {word}, and host {} names none", host.id),
            format!("write the {word} of every host"),
        );
    }
}

fn rules(cluster: &Cluster, names: &Names<'_>, found: &mut Found) {
    for (at, rule) in cluster.rules.iter().enumerate() {
        let place = format!("rules[{at}].{}", rule.word());
        let vms_of = |found: &mut Found, vms: &[ComponentId]| {
            members(found, &place, "vms", vms, |name| names.vm(name).is_some());
        };
        let hosts_of = |found: &mut Found, part: &str, hosts: &[ComponentId]| {
            members(found, &place, part, hosts, |name| {
                names.host(name).is_some()
            });
        };
        match rule {
            Rule::AntiAffinity {
                vms,
                level,
                max_per,
                soft: _,
            } => {
                vms_of(found, vms);
                in_range(
                    found,
                    &format!("{place}.max_per"),
                    (*max_per).into(),
                    1,
                    u32::MAX.into(),
                );
                domains(found, cluster, &place, *level);
            }
            Rule::Affinity {
                vms,
                level,
                soft: _,
            } => {
                vms_of(found, vms);
                domains(found, cluster, &place, *level);
            }
            Rule::Fence { vms, hosts } | Rule::Avoid { vms, hosts } => {
                vms_of(found, vms);
                hosts_of(found, "hosts", hosts);
            }
            Rule::KeepUp { vms, keep } => {
                vms_of(found, vms);
                let most = (vms.len() as u64).saturating_sub(1);
                in_range(found, &format!("{place}.keep"), (*keep).into(), 0, most);
            }
            Rule::Order { before, after } => {
                hosts_of(found, "before", before);
                hosts_of(found, "after", after);
            }
            Rule::Exclusive { hosts } => hosts_of(found, "hosts", hosts),
        }
    }
    if let Some(host) = circle(cluster, names) {
        found.add(
            FaultKind::EmptyRule,
            "rules",
            format!("the orders run in a circle through host {host}: it would go before itself"),
            "take one of the orders away",
        );
    }
}

fn members(
    found: &mut Found,
    place: &str,
    part: &str,
    named: &[ComponentId],
    known: impl Fn(&str) -> bool,
) {
    let place = format!("{place}.{part}");
    if named.is_empty() {
        let remedy = "name at least one, or take the rule away";
        found.add(
            FaultKind::EmptyRule,
            &place,
            "this rule names nobody",
            remedy,
        );
    }
    let mut seen = BTreeSet::new();
    for (at, name) in named.iter().enumerate() {
        if !known(name.as_str()) {
            found.add(
                FaultKind::NoSuchName,
                format!("{place}[{at}]"),
                format!("{name:?} is none of this cluster"),
                "name one that is listed, or take it out of the rule",
            );
        }
        if !seen.insert(name) {
            found.add(
                FaultKind::Twice,
                format!("{place}[{at}]"),
                format!("{name} is named twice"),
                "name it once",
            );
        }
    }
}

/// A host that the orders put before itself.
fn circle<'c>(cluster: &'c Cluster, names: &Names<'_>) -> Option<&'c ComponentId> {
    let hosts = cluster.hosts.len();
    // A node for each host and one for each order: pairs would be too many.
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); hosts + cluster.rules.len()];
    for (at, rule) in cluster.rules.iter().enumerate() {
        if let Rule::Order {
            before,
            after: later,
        } = rule
        {
            for host in before.iter().filter_map(|h| names.host(h.as_str())) {
                after[host].push(hosts + at);
            }
            after[hosts + at].extend(later.iter().filter_map(|h| names.host(h.as_str())));
        }
    }
    let mut waits = vec![0_usize; after.len()];
    for next in after.iter().flatten() {
        waits[*next] += 1;
    }
    let mut free: Vec<usize> = (0..after.len()).filter(|node| waits[*node] == 0).collect();
    while let Some(node) = free.pop() {
        for next in &after[node] {
            waits[*next] -= 1;
            if waits[*next] == 0 {
                free.push(*next);
            }
        }
    }
    (0..hosts)
        .find(|host| waits[*host] > 0)
        .map(|host| &cluster.hosts[host].id)
}
