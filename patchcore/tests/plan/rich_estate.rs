//! An estate with one of everything a plan can say.
#![expect(clippy::unwrap_used, reason = "test data")]

use std::{collections::BTreeMap, time::Duration};

use patchcore::{
    Error, ErrorKind, Failure, Timestamp,
    estate::{
        Available, Busy, Component, ComponentKind, Estimate, Finding, Gap, Impact, Inventory,
        KeptBack, KeptBackReason, Patch, PatchClass, RedundancyGroup, Role, Scan, Tool, Unhealthy,
        WayBack, WayBackKind,
    },
    id::RunId,
    plan::{Denial, Plan, PlanInput, Reference, plan},
    policy::Policy,
};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

pub(crate) const NOW: &str = "2026-12-14T12:00:00Z";

pub(crate) const POLICY: &str = r#"
name = "monthly-linux"
[approval]
from = ["maria", "jon", "sam"]
[[window]]
name = "weeknights"
zone = "Europe/Berlin"
when = "mon..thu"
from = "22:00"
until = "04:00"
[[exception]]
match = "mysql-*"
because = "the vendor certifies in January"
risk_owner = "dana"
until = 2027-01-31
[[ring]]
name = "test"
select = "ring = test"
soak = "24h"
[[ring]]
name = "broad"
select = "*"
at_once = "10% of ring"
start_after = { ring = "test", success = "95%", at_least = 2 }
soak = "48h"
[[order]]
within = "app"
steps = ["tier = db", "tier = app", "tier = web"]
[[check]]
select = "tier = web"
command = ["systemctl", "is-active", "nginx"]
"#;

pub(crate) fn twelve() -> Vec<Patch> {
    let patch = |name: &str, from: &str, to: &str, class| {
        Patch::new(name, Some(from.into()), to, class).with_impact(Impact::ServiceRestart)
    };
    let mut patches = vec![
        patch("openssl", "3.0.14-1", "3.0.15-1", PatchClass::Security)
            .with_advisory("CVE-2026-1111"),
        patch(
            "linux-image-amd64",
            "6.12.57-1",
            "6.12.63-1",
            PatchClass::Security,
        )
        .with_impact(Impact::Reboot),
    ];
    for n in 1..=10 {
        patches.push(patch(
            &format!("libfoo{n}"),
            "1.0",
            "1.1",
            PatchClass::Bugfix,
        ));
    }
    patches
}

pub(crate) fn one(name: &str) -> Vec<Patch> {
    vec![
        Patch::new(name, Some("1.0".into()), "1.1", PatchClass::Security)
            .with_impact(Impact::ServiceRestart),
    ]
}

pub(crate) fn add(
    inventory: &mut Inventory,
    name: &str,
    labels: &[(&str, &str)],
    patches: Vec<Patch>,
) {
    let mut component = Component::new(name.into(), ComponentKind::Guest);
    for (key, value) in labels {
        component
            .labels
            .insert((*key).to_owned(), (*value).to_owned());
    }
    let installed = patches
        .iter()
        .filter_map(|p| p.from.clone().map(|from| (p.id.clone(), from)));
    let mut scan = Scan::new(at("2026-12-14T11:58:00Z"), installed.collect());
    scan.reboot_wanted = Some(Vec::new());
    scan.running_old = Some(Vec::new());
    scan.way_back = Some(WayBack::Ready {
        by: WayBackKind::OldPackages,
    });
    scan.takes = Some(Estimate::new(minutes(3), minutes(8)));
    scan.restart_takes = Some(Estimate::new(minutes(1), minutes(3)));
    let mut available = Available::nothing(scan.at);
    available.catalogue_as_of = Some(at("2026-12-14T10:00:00Z"));
    available.patches = patches;
    inventory.findings.insert(
        name.into(),
        vec![Finding {
            tool: "linux".into(),
            known_as: name.into(),
            scan,
            available: Some(available),
        }],
    );
    inventory.components.insert(name.into(), component);
}

pub(crate) fn finding<'a>(inventory: &'a mut Inventory, name: &str) -> &'a mut Finding {
    &mut inventory.findings.get_mut(name).unwrap()[0]
}

pub(crate) fn offer<'a>(inventory: &'a mut Inventory, name: &str) -> &'a mut Available {
    finding(inventory, name).available.as_mut().unwrap()
}

pub(crate) fn empty() -> Inventory {
    let mut inventory = Inventory::empty("dc-north".into(), at("2026-12-14T11:59:00Z"));
    let evidence = [
        ("apply", "run on live systems"),
        ("stage", "run on live systems"),
        ("roll_back", "run against our own fake only"),
    ];
    inventory.tools.insert(
        "linux".into(),
        Tool {
            version: "0.1.0".to_owned(),
            can: ["apply", "stage", "reboot", "roll_back", "refresh"]
                .map(str::to_owned)
                .into(),
            evidence: BTreeMap::from(evidence.map(|(v, e)| (v.to_owned(), e.to_owned()))),
        },
    );
    inventory
        .probes
        .insert("command".to_owned(), "linux".into());
    inventory
}

pub(crate) fn rich() -> Inventory {
    let mut inventory = empty();
    let web = [("ring", "test"), ("tier", "web")];
    add(&mut inventory, "web-t1", &web, twelve());
    add(&mut inventory, "web-t2", &web, twelve());
    finding(&mut inventory, "web-t2").scan.way_back = Some(WayBack::Partial {
        by: WayBackKind::OldPackages,
        missing: vec!["libfoo1".into(), "libfoo2".into()],
        why: "no longer served".to_owned(),
    });
    for n in 1..=28 {
        add(&mut inventory, &format!("web-{n:02}"), &web[1..], twelve());
    }
    finding(&mut inventory, "web-27")
        .scan
        .unhealthy
        .push(Unhealthy {
            what: "pc-badpost is half-configured".to_owned(),
            remedy: "dpkg --configure -a on it, then plan again".to_owned(),
        });
    finding(&mut inventory, "web-28").scan.busy = Some(Busy {
        what: "dpkg".to_owned(),
        holder: "unattended-upgrade (pid 412)".to_owned(),
        since: Some(at("2026-12-14T11:57:00Z")),
    });
    for name in ["dns-1", "dns-2"] {
        add(&mut inventory, name, &[], one("bind9"));
        let component = inventory.components.get_mut(name).unwrap();
        component.groups.insert("dns".into());
    }
    let group = RedundancyGroup::all_but_one("dns", Role::Dns, ["dns-1", "dns-2"]);
    inventory.groups.insert("dns".into(), group);
    let shop = [("app", "shop"), ("tier", "db")];
    add(&mut inventory, "db-1", &shop, one("postgresql-17"));
    finding(&mut inventory, "db-1").scan.way_back = None;
    let shop = [("app", "shop"), ("tier", "app")];
    add(&mut inventory, "app-1", &shop, one("openjdk-21-jre"));
    add(&mut inventory, "db-2", &[], one("mysql-server"));
    let vim = Patch::new("vim", Some("9.1".into()), "9.2", PatchClass::Enhancement);
    for name in ["web-01", "web-02", "web-03"] {
        offer(&mut inventory, name).patches.push(vim.clone());
        offer(&mut inventory, name).kept_back.push(KeptBack {
            patch: "gnupg".into(),
            from: Some("2.4.7".into()),
            to: Some("2.4.8".into()),
            reason: KeptBackReason::Phased { percent: 30 },
        });
        let scan = &mut finding(&mut inventory, name).scan;
        scan.installed.insert("vim".into(), "9.1".into());
    }
    for name in ["log-1", "log-2", "log-3"] {
        add(&mut inventory, name, &[], Vec::new());
    }
    add(&mut inventory, "ldap-1", &[], one("slapd"));
    let mut recalled = one("grub-pc");
    recalled[0].recalled = Some("machines do not boot".to_owned());
    add(&mut inventory, "mx-1", &[], recalled);
    add(&mut inventory, "pbx-1", &[], Vec::new());
    inventory.findings.remove("pbx-1");
    add(&mut inventory, "gone-1", &[], Vec::new());
    inventory.findings.remove("gone-1");
    inventory.gaps.push(Gap {
        provider: "linux".into(),
        component: Some("gone-1".into()),
        call: "scan".to_owned(),
        failure: Failure::from(
            &Error::new(ErrorKind::Unreachable, "gone-1 does not answer on port 22")
                .hint("start it, or take it out of the inventory"),
        ),
    });
    inventory
}

pub(crate) fn denials() -> Vec<Denial> {
    vec![Denial {
        patch: "slapd".into(),
        version: "1.1".into(),
        component: "ldap-0".into(),
        run: RunId(40),
        at: at("2026-12-10T21:40:00Z"),
        why: "health check: expected slapd active but found slapd failed".to_owned(),
    }]
}

pub(crate) fn planned(inventory: &Inventory, policy: &str) -> Plan {
    let policy = Policy::from_toml(policy, "policy.toml").unwrap();
    let references = [Reference {
        system: "servicenow".to_owned(),
        id: "CHG-4711".to_owned(),
        state: None,
        digest: None,
    }];
    plan(&PlanInput {
        inventory,
        policy: &policy,
        requested_by: &"sam".into(),
        now: at(NOW),
        denials: &denials(),
        references: &references,
    })
    .unwrap()
}
