//! Our side of the measuring: what an embedder's program does, and nothing else.
//!
//! - `gather INVENTORY`: every machine is scanned.
//! - `upgrade INVENTORY JOURNAL PACKAGE OTHER…`: the whole way of one patch, with the others as exceptions: discover,
//!   plan, approve, a journaled run with a scan before and after it and a detached job on every machine, the report.
//! - `hold INVENTORY CONNECTIONS`: so many connections to every machine, open all at once.

use std::{collections::BTreeSet, error::Error, time::Duration};

use futures_util::future::join_all;
use patchcore::{Estate, Journal, Policy};
use patchcore_linux::{
    Inventory, Linux,
    transport::{
        Script, Transport,
        ssh::{Become, Connections, HostKeyCheck, SshTarget},
    },
};

/// Everything at once and nobody waited for: the other tools know neither rings nor windows nor soaking.
const POLICY: &str = r#"
approval.from = ["measurer"]

[[window]]
name = "now"
zone = "UTC"
when = "any time"

[patches]
take = ["security", "bugfix", "enhancement", "other"]

[[ring]]
name = "all"
select = "*"
at_once = "all"
soak = "0s"

[reboot]
when = "never"
"#;

/// How long connections are held, so that their memory can be looked at.
const HELD: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["gather", inventory] => gather(inventory).await,
        ["upgrade", inventory, journal, package, others @ ..] => {
            upgrade(inventory, journal, package, others).await
        }
        ["hold", inventory, connections] => hold(inventory, connections.parse()?).await,
        _ => Err("expected gather INVENTORY, upgrade INVENTORY JOURNAL PACKAGE OTHER… or hold INVENTORY CONNECTIONS".into()),
    }
}

async fn gather(inventory: &str) -> Result<(), Box<dyn Error>> {
    let found = Estate::named("bench")
        .with(Linux::from_file(inventory)?)
        .discover()
        .await?;
    let mut offered = 0;
    for finding in found.findings.values().flatten() {
        let available = finding.available.as_ref();
        offered += available
            .ok_or("a machine did not say what is on offer")?
            .patches
            .len();
    }
    if !found.gaps.is_empty() {
        return Err(format!("not everything was learned: {:?}", found.gaps).into());
    }
    println!("{} machines, {offered} patches", found.components.len());
    Ok(())
}

async fn upgrade(
    inventory: &str,
    journal: &str,
    package: &str,
    others: &[&str],
) -> Result<(), Box<dyn Error>> {
    let estate = Estate::named("bench").with(Linux::from_file(inventory)?);
    let journal = Journal::open(journal)?;
    let mut policy = POLICY.to_owned();
    for name in others {
        policy.push_str(&format!(
            "[[exception]]\nmatch = {name:?}\nbecause = \"one package is measured\"\nrisk_owner = \"measurer\"\nuntil = 2099-12-31\n"
        ));
    }
    let policy = Policy::from_toml(&policy, "bench")?;
    let plan = estate
        .plan(&policy)
        .history(&journal)
        .requested_by("embedder")
        .await?;
    let n_targets = plan.envelope.targets.len();
    let planned: BTreeSet<&str> = plan
        .envelope
        .targets
        .iter()
        .flat_map(|target| &target.patches)
        .map(|patch| patch.id.as_str())
        .collect();
    if planned != BTreeSet::from([package]) {
        return Err(format!("expected {package} alone but planned {planned:?}").into());
    }
    let approval = estate.approval(&plan, "measurer")?;
    let run = estate
        .run(estate.approve(plan, [approval])?, &journal)
        .await?;
    run.finished().await?;
    let report = run.report().await?;
    if report.exit_status() != 0 {
        return Err(format!("{n_targets} targets\n{report}").into());
    }
    println!("{n_targets} machines");
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "real connections are held for real time"
)]
async fn hold(inventory: &str, connections: usize) -> Result<(), Box<dyn Error>> {
    // The bound of a program that is polite to small machines would make this a test of patience.
    let shared = Connections::new().with_logins_at_once(64);
    let inventory = Inventory::from_file(inventory)?;
    let mut open = Vec::new();
    for host in inventory.hosts() {
        let address = host.address.as_deref().unwrap_or(host.name.as_str());
        let user = host.user.as_deref().unwrap_or("root");
        let mut target = SshTarget::new(host.name.as_str(), address, user)
            .with_become(Become::None)
            .with_connect_timeout(Duration::from_secs(120));
        if let Some(file) = &host.known_hosts {
            target = target.with_host_key(HostKeyCheck::known_hosts(file));
        }
        if let Some(file) = &host.identity {
            target = target.with_identity(file);
        }
        open.extend((0..connections).map(|_| shared.host(target.clone())));
    }
    // Its parent's id is that of the connection's own sshd, so that a connection opened anew is noticed.
    let ask = |id: &str| -> Result<Script, patchcore::Error> {
        Ok(Script::new(id).text("echo \"$PPID\"\n"))
    };
    let script = ask("hold-1")?;
    let patience = Duration::from_secs(300);
    let first = join_all(open.iter().map(|to| to.run(&script, patience))).await;
    tokio::time::sleep(HELD).await;
    let second = join_all(open.iter().map(|to| to.run(&script, patience))).await;
    let mut held = 0;
    for (before, after) in first.into_iter().zip(second) {
        held += usize::from(before?.stdout == after?.stdout);
    }
    println!("{held} connections held");
    if held != open.len() {
        return Err(format!("{held} of {} connections were held", open.len()).into());
    }
    Ok(())
}
