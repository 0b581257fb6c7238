//! Guests that are patched by the run that rolls their cluster: a redundancy group never has two members away, judged by
//! the world's own log. Away is who is out of service, stopped, or on the move.

use std::collections::BTreeMap;

use std::sync::Arc;

use async_trait::async_trait;
use patchcore::{
    ClusterRoll, Journal, Result, Timestamp,
    estate::{
        ComponentKind, IdentityKind, Impact, Patch, PatchClass, RedundancyGroup, RelationKind,
        Role, Sighting,
    },
    id::ComponentId,
    provider::{InventorySource, Listing, OpContext, Ports, Provider, ProviderInfo},
    sim::{ClusterChange, Script, Sim},
};

use super::cluster::{
    Setup, all_are_patched, all_is_back, estate, is_done, rolled, start, started, started_in, told,
};

/// Two members of a group on two hosts.
type Pair = [&'static str; 2];

/// As guests with a patch that restarts them.
const DNS: Pair = ["h01-vm1", "h02-vm1"];

/// Every two hosts of six: some of them are down at once.
fn pairs() -> Vec<Pair> {
    let vms = [
        "h01-vm1", "h02-vm1", "h03-vm1", "h04-vm1", "h05-vm1", "h06-vm1",
    ];
    let each = |at: usize| (0..at).map(move |other| [vms[other], vms[at]]);
    (0..vms.len()).flat_map(each).collect()
}

fn with_guests(sim: Sim, dns: Pair, guests: &[&str]) -> Sim {
    sim.guests(guests.iter().copied(), |guest| {
        guest.package("bind9", "9.18-1")
    })
    .group(RedundancyGroup::all_but_one("dns", Role::Dns, dns))
    .publish(Patch::new("bind9", None, "9.18-2", PatchClass::Security).with_impact(Impact::Reboot))
}

/// From when until when each was away, and why.
fn away(sim: &Sim, vms: &[&str]) -> BTreeMap<String, Vec<(Timestamp, Timestamp, String)>> {
    let mut found = BTreeMap::new();
    for vm in vms {
        let mut spans = Vec::new();
        for outage in sim.history(vm).unwrap().outages {
            let until = outage.until.unwrap_or(Timestamp::MAX);
            spans.push((outage.from, until, format!("{:?}", outage.why)));
        }
        sim.world(|world| {
            let mut since = None;
            for entry in world.cluster_log("c1").unwrap() {
                match &entry.change {
                    ClusterChange::Moving { vm: of, .. } | ClusterChange::Stopped { vm: of }
                        if of == *vm =>
                    {
                        since = Some((entry.at, format!("{:?}", entry.change)));
                    }
                    ClusterChange::Moved { vm: of, .. }
                    | ClusterChange::MoveFailed { vm: of, .. }
                    | ClusterChange::Started { vm: of }
                        if of == *vm =>
                    {
                        let (from, why) = since.take().unwrap();
                        spans.push((from, entry.at, why));
                    }
                    _ => {}
                }
            }
            assert_eq!(since, None, "{vm} is still away");
        });
        found.insert((*vm).to_owned(), spans);
    }
    found
}

/// Moments at which both were away.
fn clashes(sim: &Sim, dns: Pair) -> Vec<String> {
    let away = away(sim, &dns);
    let mut clashes = Vec::new();
    for (from, until, why) in &away[dns[0]] {
        for (other_from, other_until, other_why) in &away[dns[1]] {
            if from < other_until && other_from < until {
                clashes.push(format!(
                    "{} {from}..{until}: {why}, and {} {other_from}..{other_until}: {other_why}",
                    dns[0], dns[1]
                ));
            }
        }
    }
    clashes
}

async fn a_group_is_kept(setup: Setup, dns: Pair, guests: &[&str]) {
    let what = format!("{dns:?}, {:?} cannot move", setup.pinned);
    let sim = with_guests(setup.sim(), dns, guests);
    let (standing, story, run) = rolled(&sim, setup.roll()).await;
    let lines = told(&run).await;
    assert!(is_done(&standing), "{what}: {standing:?}\n{lines}");
    all_is_back(&sim, &story, &lines);
    all_are_patched(&sim, &setup, &lines);
    for guest in guests {
        assert_eq!(
            sim.version(guest, "bind9"),
            Some("9.18-2".into()),
            "{lines}"
        );
    }
    assert_eq!(clashes(&sim, dns), Vec::<String>::new(), "{what}\n{lines}");
    let away = away(&sim, &dns);
    // Each was away for its host and for its own patch, so that there was something to keep apart.
    assert!(away.values().all(|spans| spans.len() >= 2), "{away:?}");
}

#[tokio::test]
async fn one_plan_patches_hosts_and_guests_and_never_has_a_whole_group_away() {
    for dns in pairs() {
        for pinned in [&[][..], &dns[..1], &dns[..]] {
            a_group_is_kept(Setup::of(6).pinned(pinned), dns, &dns).await;
        }
    }
}

#[tokio::test]
async fn other_guests_go_on_meanwhile() {
    let guests = [DNS[0], DNS[1], "h03-vm1", "h03-vm2", "h04-vm1"];
    a_group_is_kept(Setup::of(6).pinned(&DNS), DNS, &guests).await;
}

/// Members that have no patch themselves, on hosts that have one.
fn without_patches(sim: Sim, dns: Pair) -> Sim {
    let sim = sim
        .guests(dns, |guest| guest.package("bind9", "9.18-2"))
        .group(RedundancyGroup::all_but_one("dns", Role::Dns, dns));
    let on = |vm: &'static str| vm.split_once('-').unwrap().0;
    dns.into_iter().fold(sim, |sim, vm| {
        sim.relation(vm, RelationKind::RunsOn, on(vm))
    })
}

#[tokio::test]
async fn a_group_is_kept_although_none_of_it_has_a_patch() {
    for dns in pairs() {
        let setup = Setup::of(6).pinned(&dns);
        let sim = without_patches(setup.sim(), dns);
        let (standing, _, run) = rolled(&sim, setup.roll()).await;
        let lines = told(&run).await;
        assert!(is_done(&standing), "{standing:?}\n{lines}");
        all_are_patched(&sim, &setup, &lines);
        assert_eq!(clashes(&sim, dns), Vec::<String>::new(), "{lines}");
    }
}

/// A member that was down before the run does not keep its cluster from being rolled: the other one moves, and stays up.
#[tokio::test]
async fn a_machine_moves_although_another_was_down_before() {
    let setup = Setup::of(6);
    let gone = Script::unreachable(start(), Timestamp::MAX).on(DNS[1]);
    let sim = without_patches(setup.sim(), DNS).script(gone);
    let (standing, story, run) = rolled(&sim, setup.roll()).await;
    let lines = told(&run).await;
    assert!(is_done(&standing), "{standing:?}\n{lines}");
    assert_eq!(story.plan.envelope.groups[0].down_already, [DNS[1]]);
    all_are_patched(&sim, &setup, &lines);
}

/// Who opens the run anew in its middle keeps the group as well.
#[tokio::test]
async fn a_group_is_kept_over_a_restart() {
    for stops in [3_u64, 8, 15, 25] {
        let setup = Setup::of(6).pinned(&DNS);
        let sim = with_guests(setup.sim(), DNS, &DNS);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        let roll: ClusterRoll = setup.roll();
        {
            let journal = Journal::open(&path).unwrap();
            let run = started(&sim, roll, &journal).await;
            let mut events = run.events();
            for _ in 0..stops {
                events.next().await;
            }
            run.park().await.unwrap();
            journal.close().await.unwrap();
        }
        let journal = Journal::open(&path).unwrap();
        let run = estate(&sim).reopen(&journal).await.unwrap().unwrap();
        let standing = run.finished().await.unwrap();
        let lines = told(&run).await;
        assert!(is_done(&standing), "{stops}: {standing:?}\n{lines}");
        assert_eq!(clashes(&sim, DNS), Vec::<String>::new(), "{stops}\n{lines}");
    }
}

/// Who knows the machines by names of their own, which are smaller, and by the UUID of their firmware.
#[derive(Debug)]
struct OtherNames(ProviderInfo);

/// The name that a machine has elsewhere.
fn elsewhere(vm: &str) -> String {
    format!("a-{vm}")
}

#[async_trait]
impl InventorySource for OtherNames {
    async fn list(&self, ctx: &OpContext) -> Result<Listing> {
        let seen = |vm: &str| {
            Sighting::new(elsewhere(vm), ComponentKind::Guest, ctx.now())
                .with_identity(IdentityKind::BiosUuid, vm)
        };
        let mut listing = Listing::of(DNS.map(seen).to_vec());
        listing.seen_only = DNS.map(|vm| elsewhere(vm).into()).into();
        Ok(listing)
    }
}

impl Provider for OtherNames {
    fn info(&self) -> &ProviderInfo {
        &self.0
    }

    fn ports(&self) -> Ports {
        let same = Self(self.0.clone());
        Ports::none().with_inventory(Arc::new(same))
    }
}

/// A machine that another provider knows by another name is one component by its UUID, and counts for its group whether its
/// own patch takes it away or the roll, which calls it by the cluster's name.
#[tokio::test]
async fn a_group_is_kept_although_its_members_have_other_names_elsewhere() {
    for pinned in [&[][..], &DNS[..1], &DNS[..]] {
        let setup = Setup::of(6).pinned(pinned);
        let sim = DNS.into_iter().fold(setup.sim(), |sim, vm| {
            sim.guests([vm], |guest| {
                guest
                    .package("bind9", "9.18-1")
                    .identity(IdentityKind::BiosUuid, vm)
            })
        });
        let bind9 = Patch::new("bind9", None, "9.18-2", PatchClass::Security);
        let sim = sim
            .group(RedundancyGroup::all_but_one("dns", Role::Dns, DNS))
            .publish(bind9.with_impact(Impact::Reboot));
        let both = estate(&sim).with(OtherNames(ProviderInfo::new("elsewhere", "1")));
        let journal = Journal::in_memory().unwrap();
        let run = started_in(&both, setup.roll(), &journal).await;
        let standing = run.finished().await.unwrap();
        let lines = told(&run).await;
        assert!(is_done(&standing), "{standing:?}\n{lines}");
        let envelope = run.story().await.unwrap().plan.envelope.clone();
        let members = DNS.map(|vm| ComponentId::from(elsewhere(vm)));
        assert_eq!(envelope.groups[0].members, members);
        for vm in DNS {
            assert_eq!(*envelope.named(&vm.into()), *elsewhere(vm));
            assert_eq!(sim.version(vm, "bind9"), Some("9.18-2".into()), "{lines}");
        }
        assert_eq!(
            clashes(&sim, DNS),
            Vec::<String>::new(),
            "{pinned:?}\n{lines}"
        );
        let away = away(&sim, &DNS);
        assert!(away.values().all(|spans| spans.len() >= 2), "{away:?}");
    }
}
