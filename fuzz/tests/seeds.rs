//! The seeds of stored forms are made by the code that stores them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use patchcore::{
    Estate, Journal, Policy,
    estate::{Patch, PatchClass, RedundancyGroup, Role},
    sim::{Script, Sim},
};

const POLICY: &str = r#"
policy = 1
approval.from = ["maria"]

[[window]]
name = "nights"
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
name = "first"
select = "ring = test"

[[ring]]
name = "rest"
select = "*"
start_after = { ring = "first", success = "100%", at_least = 1 }
"#;

/// A plan, an inventory, and one event of every kind that a run with a bad patch writes.
async fn stored() -> Result<BTreeMap<String, String>, Box<dyn std::error::Error>> {
    let start = "2026-12-07T14:00:00Z".parse()?;
    let sim = Sim::starting(start, 7)
        .guests(["web-1", "web-2"], |guest| {
            guest.label("ring", "test").package("nginx", "1.22.1-9")
        })
        .guests(["dns-1", "dns-2"], |guest| {
            guest.package("bind9", "9.18.28-1")
        })
        .guest("db-1", |guest| guest.package("mysql-server", "8.0.36-1"))
        .group(RedundancyGroup::all_but_one(
            "dns",
            Role::Dns,
            ["dns-1", "dns-2"],
        ))
        .publish(Patch::new("nginx", None, "1.22.1-10", PatchClass::Security))
        .publish(Patch::new("bind9", None, "9.18.29-1", PatchClass::Security))
        .publish(Patch::new(
            "mysql-server",
            None,
            "8.0.39-1",
            PatchClass::Security,
        ))
        .script(Script::postinst_fails("nginx", "1.22.1-10").on("web-2"));
    let estate = Estate::named("lab")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let policy = Policy::from_toml(POLICY, "policy.toml")?;
    let journal = Journal::in_memory()?;
    let mut seeds = BTreeMap::new();
    let inventory = serde_json::to_string(&estate.discover().await?)?;
    seeds.insert("stored/good-inventory".to_owned(), inventory);
    let plan = estate.plan(&policy).requested_by("sam").await?;
    seeds.insert("stored/good-plan".to_owned(), plan.to_json()?);
    let approval = estate.approval(&plan, "maria")?;
    let run = estate
        .run(estate.approve(plan, [approval])?, &journal)
        .await?;
    run.finished().await?;
    for event in journal.events(run.id(), 0, 10_000).await? {
        // The shortest of each kind: the fuzzer adds length by itself.
        let text = event.body.to_string();
        let seed = seeds
            .entry(format!("stored/good-event-{}", event.kind))
            .or_insert_with(|| text.clone());
        if text.len() < seed.len() {
            *seed = text;
        }
    }
    Ok(seeds)
}

#[tokio::test]
async fn stored_forms_have_seeds() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let seeds = stored().await.unwrap();
    for (name, text) in &seeds {
        let path = folder.join(name);
        if std::env::var_os("PATCHCORE_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        }
        assert!(
            path.is_file(),
            "{name} is missing; PATCHCORE_BLESS=1 writes the seeds anew"
        );
    }
    // Of both kinds of event, those of a run and those of a component.
    assert!(seeds.len() > 12, "{:?}", seeds.keys());
}
