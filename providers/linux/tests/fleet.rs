//! Several machines over ssh, as one provider: real Debian guests in a network of their own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions around the tests are tests too"
)]

use std::{fs, path::PathBuf};

use patchcore::{
    ErrorKind, Estate, Plan, Policy, estate::IdentityKind, id::ComponentId, plan::WhyLeftOut,
};
use patchcore_linux::Linux;
use patchcore_testkit::peers::{
    lab::{GuestRecipe, Kind, Lab, Recipe},
    need,
};

fn guests(names: &[&str]) -> Recipe {
    names.iter().fold(Recipe::new(), |recipe, name| {
        recipe.with(GuestRecipe::new(*name, Kind::Bare).with_label("tier", "web"))
    })
}

/// A lab whose network this thread is in.
fn enter(recipe: Recipe) -> Option<Lab> {
    let lab = need(Lab::up(recipe))?;
    lab.enter_thread();
    Some(lab)
}

/// The inventory of a lab with more lines.
fn inventory_with(lab: &Lab, more: &str) -> PathBuf {
    let text = fs::read_to_string(lab.inventory()).unwrap();
    let path = lab.inventory().with_file_name("more.toml");
    fs::write(&path, format!("{text}\n{more}\n")).unwrap();
    path
}

fn policy() -> Policy {
    let text = "approval.from = ['maria']\npatches.take = ['security', 'bugfix', 'other']\nwindow = [{ name = 'w', when = 'any time' }]\nreboot = { when = 'never' }\n";
    Policy::from_toml(text, "policy.toml").unwrap()
}

async fn plan(linux: &Linux) -> Plan {
    Estate::named("lab")
        .with(linux.clone())
        .plan(&policy())
        .requested_by("sam")
        .await
        .unwrap()
}

fn planned(plan: &Plan) -> Vec<&str> {
    plan.envelope
        .targets
        .iter()
        .map(|t| t.component.as_str())
        .collect()
}

/// The kind and the words of why a component is blocked.
fn blocked(plan: &Plan, name: &str) -> (ErrorKind, String) {
    let left = plan.left_out.iter().find(|l| l.component == *name);
    match left.map(|l| &l.reason) {
        Some(WhyLeftOut::Blocked { reasons }) => {
            let hints: Vec<String> = reasons
                .iter()
                .map(|r| format!("{}; {}", r.message, r.hint.as_deref().unwrap_or_default()))
                .collect();
            (reasons[0].kind, hints.join("\n"))
        }
        other => panic!("{name}: expected blocked, found {other:?}"),
    }
}

#[tokio::test]
async fn one_that_cannot_be_reached_spoils_nothing_and_is_named() {
    let Some(lab) = enter(guests(&["web-1", "web-2", "web-3"])) else {
        return;
    };
    lab.guest("web-2").power_cut();
    lab.guest("web-2").power_on();
    lab.guest("web-3").power_cut();
    let linux = Linux::from_file(inventory_with(
        &lab,
        "[[host]]\nname = \"stranger\"\naddress = \"10.77.0.1\"\nlabels = { tier = \"db\" }\n",
    ))
    .unwrap();
    let plan = plan(&linux).await;
    println!("{plan}");
    assert_eq!(planned(&plan), ["web-1", "web-2"]);
    for name in ["web-3", "stranger"] {
        let (kind, said) = blocked(&plan, name);
        assert_eq!(kind, ErrorKind::Unreachable, "{said}");
        assert!(said.contains(name), "{said}");
    }
}

#[tokio::test]
async fn labels_of_the_file_stand_before_those_of_the_machine() {
    let Some(lab) = enter(guests(&["web-1"])) else {
        return;
    };
    let text = fs::read_to_string(lab.inventory()).unwrap();
    let path = lab.inventory().with_file_name("labelled.toml");
    assert!(text.contains("tier = \"web\""), "{text}");
    fs::write(
        &path,
        text.replace("tier = \"web\"", "tier = \"web\", release = \"own\""),
    )
    .unwrap();
    let estate = Estate::named("lab").with(Linux::from_file(&path).unwrap());
    let inventory = estate.discover().await.unwrap();
    let web = &inventory.components[&ComponentId::from("web-1")];
    let label = |key: &str| web.labels.get(key).map(String::as_str);
    assert_eq!(
        (label("release"), label("os"), label("tier")),
        (Some("own"), Some("debian"), Some("web"))
    );
    assert_eq!(web.address.as_deref(), Some("10.77.0.11"));
    assert!(
        web.identities
            .iter()
            .any(|i| i.kind == IdentityKind::MachineId)
    );
}

#[tokio::test]
async fn two_names_for_one_machine_and_a_clone_are_told_apart() {
    let Some(lab) = enter(guests(&["web-1", "web-2", "web-3"])) else {
        return;
    };
    let linux = Linux::from_file(inventory_with(
        &lab,
        "[[host]]\nname = \"www\"\naddress = \"10.77.0.11\"\n",
    ))
    .unwrap();
    let id = lab.guest("web-2").read_text("/etc/machine-id");
    lab.guest("web-3").put("/etc/machine-id", id);
    let plan = plan(&linux).await;
    assert!(plan.envelope.targets.is_empty(), "{plan}");
    for (name, part) in [
        ("web-1", "web-1 and www are the same machine"),
        ("www", "www and web-1 are the same machine"),
        ("web-2", "web-2 and web-3 have the same machine id"),
        ("web-3", "give web-3 or web-2 an id of its own"),
    ] {
        let (kind, said) = blocked(&plan, name);
        assert_eq!(kind, ErrorKind::AmbiguousIdentity);
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_years_is_named_and_ages_are_right() {
    let Some(lab) = enter(guests(&["web-1", "web-2"])) else {
        return;
    };
    // The kernel's clock is that of this machine, so that the program is played that tells the time. Half a day is added,
    // because the days are told whole and the scan takes a moment.
    lab.guest("web-1").put(
        "/usr/local/bin/date",
        "#!/bin/sh\nexec /usr/bin/date -d '-800 days -12 hours' \"$@\"\n",
    );
    lab.guest("web-1")
        .run(["chmod", "755", "/usr/local/bin/date"])
        .ok();
    let plan = plan(&Linux::from_file(lab.inventory()).unwrap()).await;
    assert_eq!(planned(&plan), ["web-2"]);
    let (kind, said) = blocked(&plan, "web-1");
    assert_eq!(kind, ErrorKind::Unhealthy);
    assert!(
        said.contains("web-1: its clock is 2 years 70 days behind") && said.contains("timedatectl"),
        "{said}"
    );
}

/// Takes the lock of dpkg as apt does, under the name that a process of this program has.
const LOCK: &str = "import fcntl,time\nopen('/proc/self/comm','w').write('unattended-upgr')\nf=open('/var/lib/dpkg/lock-frontend','w')\nfcntl.lockf(f,fcntl.LOCK_EX)\nopen('/run/locked','w')\ntime.sleep(3600)\n";

#[tokio::test]
async fn unattended_upgrades_are_named_where_they_are_on_and_where_they_hold_the_lock() {
    let Some(lab) = enter(guests(&["web-1", "web-2"])) else {
        return;
    };
    let guest = lab.guest("web-1");
    // Switched on as its own package does it; the program only has to be there.
    guest.put("/usr/bin/unattended-upgrade", "#!/bin/sh\n");
    guest
        .run(["chmod", "755", "/usr/bin/unattended-upgrade"])
        .ok();
    guest.put(
        "/etc/apt/apt.conf.d/20auto-upgrades",
        "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n",
    );
    let _locked = guest.spawn(["python3", "-c", LOCK]);
    assert!(guest.wait_until(std::time::Duration::from_secs(10), |g| {
        g.exists("/run/locked")
    }));
    let plan = plan(&Linux::from_file(lab.inventory()).unwrap()).await;
    let text = plan.to_string();
    println!("{text}");
    let busy = plan.busy.get("web-1").map(ToString::to_string);
    let busy = busy.unwrap_or_default();
    assert!(
        busy.starts_with("dpkg is locked by unattended-upgrade (pid "),
        "{busy}"
    );
    assert!(
        text.contains(
            "unattended-upgrades is at work too on web-1, and heeds neither windows nor rings"
        ),
        "{text}"
    );
}
