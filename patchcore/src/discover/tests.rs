use super::*;
use crate::estate::{
    ComponentKind, IdentityKind, RedundancyGroup, Relation, RelationKind, Role, Sighting,
};

fn sighting(name: &str, kind: IdentityKind, value: &str) -> Sighting {
    Sighting::new(name, ComponentKind::Guest, Timestamp::UNIX_EPOCH).with_identity(kind, value)
}

fn listed(listing: Listing) -> Answers {
    Answers {
        listing: Some(Ok(listing)),
        ..Answers::default()
    }
}

fn run(answers: &[(&str, Answers)]) -> Result<Inventory> {
    let answers = answers
        .iter()
        .map(|(n, a)| (ProviderName::from(*n), a.clone()))
        .collect();
    discover("test".into(), Timestamp::UNIX_EPOCH, &answers)
}

#[test]
fn one_machine_seen_twice_is_one_component() {
    let linux = sighting("web-1", IdentityKind::MachineId, "AB12")
        .with_identity(IdentityKind::BiosUuid, "4C4C-1")
        .with_label("tier", "web");
    let vsphere =
        sighting("vm-web-1", IdentityKind::BiosUuid, "4c4c-1").with_label("cluster", "c1");
    let inventory = run(&[
        ("linux", listed(Listing::of(vec![linux]))),
        ("vsphere", listed(Listing::of(vec![vsphere]))),
    ])
    .unwrap();
    assert_eq!(inventory.components.len(), 1);
    let component = inventory.components.values().next().unwrap();
    assert_eq!(component.id, "vm-web-1");
    assert_eq!(component.seen_by.len(), 2);
    assert_eq!(component.labels["tier"], "web");
    assert_eq!(component.labels["cluster"], "c1");
}

#[test]
fn one_name_for_two_machines_is_refused() {
    let error = run(&[
        (
            "linux",
            listed(Listing::of(vec![sighting(
                "db-1",
                IdentityKind::MachineId,
                "aa",
            )])),
        ),
        (
            "other",
            listed(Listing::of(vec![sighting(
                "db-1",
                IdentityKind::MachineId,
                "bb",
            )])),
        ),
    ])
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AmbiguousIdentity);
    assert_eq!(
        error.to_string(),
        "db-1 is the name of two different machines: expected machine id aa (seen by linux) but found machine id bb (seen by other)"
    );
}

#[test]
fn a_chain_of_identities_must_not_contradict_itself() {
    let a =
        sighting("a", IdentityKind::MachineId, "1").with_identity(IdentityKind::Fqdn, "x.example");
    let b =
        sighting("b", IdentityKind::MachineId, "2").with_identity(IdentityKind::Fqdn, "x.example.");
    let error = run(&[("p", listed(Listing::of(vec![a, b])))]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AmbiguousIdentity);
}

#[test]
fn what_could_not_be_learned_is_kept() {
    let failure = Failure::from(&Error::new(ErrorKind::Unreachable, "web-1 does not answer"));
    let mut answers = listed(Listing::of(vec![sighting(
        "web-1",
        IdentityKind::MachineId,
        "1",
    )]));
    answers.scans.insert("web-1".into(), Err(failure.clone()));
    let broken = Answers {
        listing: Some(Err(failure.clone())),
        ..Answers::default()
    };
    let inventory = run(&[("linux", answers), ("vsphere", broken)]).unwrap();
    let gaps: Vec<_> = inventory
        .gaps
        .iter()
        .map(|g| (g.provider.as_str(), g.call.as_str()))
        .collect();
    assert_eq!(gaps, [("linux", "scan"), ("vsphere", "list")]);
    assert!(inventory.findings.is_empty());
}

#[test]
fn groups_join_and_the_stricter_floor_holds() {
    let names = ["dns-1", "dns-2", "dns-3"];
    let all = names
        .iter()
        .map(|n| sighting(n, IdentityKind::Serial, n))
        .collect();
    let mut one = Listing::of(all);
    one.groups.push(RedundancyGroup::all_but_one(
        "dns",
        Role::Dns,
        ["dns-1", "dns-2"],
    ));
    let mut two = Listing::of(vec![]);
    two.groups.push(RedundancyGroup {
        keep_up: 2,
        ..RedundancyGroup::all_but_one("dns", Role::Dns, ["dns-3"])
    });
    let inventory = run(&[("a", listed(one)), ("b", listed(two))]).unwrap();
    let group = &inventory.groups["dns"];
    assert_eq!(
        (group.members.len(), group.keep_up, group.may_be_down()),
        (3, 2, 1)
    );
    assert!(inventory.components["dns-3"].groups.contains("dns"));
}

#[test]
fn a_relation_to_nobody_is_refused() {
    let mut listing = Listing::of(vec![sighting("app-1", IdentityKind::Serial, "1")]);
    listing
        .relations
        .push(Relation::new("app-1", RelationKind::DependsOn, "db-9"));
    let error = run(&[("cmdb", listed(listing))]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("db-9"));
}
