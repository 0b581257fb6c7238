//! A month's patches in three rings on a simulated estate, in virtual time.
//!
//! `cargo run --example rolling_patch`: the first run meets a bad patch in its second ring, rolls it back and
//! halts; the second plan leaves it out and says why; the second run finishes; the third plan is empty. The
//! exit code is the verdict of the last run.

use std::process::ExitCode;

use patchcore::{
    Estate, Journal, Plan, Policy, Report,
    estate::{Impact, Patch, PatchClass, RedundancyGroup, Role},
    sim::{Script, Sim},
};

#[tokio::main]
pub(crate) async fn main() -> patchcore::Result<ExitCode> {
    let sim = small_datacenter()?;
    let estate = Estate::named("dc-north")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let policy = Policy::from_toml(
        include_str!("../policies/monthly-linux.toml"),
        "monthly-linux.toml",
    )?;
    let journal = Journal::in_memory()?;

    let plan = estate
        .plan(&policy)
        .history(&journal)
        .requested_by("sam")
        .await?;
    println!("{plan}\n");
    let report = carry_out(&estate, plan, &journal).await?;
    println!("\n{report}\n");

    let plan = estate
        .plan(&policy)
        .history(&journal)
        .requested_by("sam")
        .await?;
    println!("{plan}\n");
    let report = carry_out(&estate, plan, &journal).await?;
    println!("\n{report}\n");

    let plan = estate
        .plan(&policy)
        .history(&journal)
        .requested_by("sam")
        .await?;
    println!("{plan}");
    Ok(if plan.is_empty() {
        report.exit_code()
    } else {
        ExitCode::from(3)
    })
}

/// Approves a plan, runs it to its end, and shows what happens as it becomes known.
async fn carry_out(estate: &Estate, plan: Plan, journal: &Journal) -> patchcore::Result<Report> {
    let approval = estate.approval(&plan, "maria")?;
    let run = estate
        .run(estate.approve(plan, [approval])?, journal)
        .await?;
    let mut lines = run.lines();
    while let Some(line) = lines.next().await {
        println!("{line}");
    }
    if run.standing().is_halted() {
        // A halted run waits for a person: this one looks at it and plans again.
        run.end(
            "maria",
            "rolled back as it should; planning again without the bad patch",
        )
        .await?;
        while let Some(line) = lines.next().await {
            println!("{line}");
        }
    }
    run.report().await
}

/// Two test guests, two canaries, eight more, two name servers of which one is always up, and a small shop.
pub(crate) fn small_datacenter() -> patchcore::Result<Sim> {
    let patch =
        |name: &str, to: &str, class, impact| Patch::new(name, None, to, class).with_impact(impact);
    let sim = Sim::starting(start()?, 7)
        .guests(["web-t1", "web-t2"], |g| web(g).label("ring", "test"))
        .guests(["web-c1", "web-c2"], |g| web(g).label("ring", "canary"))
        .guests((1..=6).map(|n| format!("web-{n:02}")), web)
        .guests(["dns-1", "dns-2"], |g| {
            g.label("tier", "dns")
                .package("bind9", "9.18.28-1")
                .package("openssl", "3.0.14-1")
        })
        .guest("db-1", |g| {
            shop(g, "db").package("mysql-server", "8.0.36-1")
        })
        .guest("app-1", |g| shop(g, "app"))
        .group(RedundancyGroup::all_but_one(
            "dns",
            Role::Dns,
            ["dns-1", "dns-2"],
        ))
        .publish(
            patch(
                "openssl",
                "3.0.15-1",
                PatchClass::Security,
                Impact::ServiceRestart,
            )
            .with_advisory("CVE-2026-1111"),
        )
        .publish(patch(
            "nginx",
            "1.22.1-10",
            PatchClass::Bugfix,
            Impact::ServiceRestart,
        ))
        .publish(patch(
            "linux-image-amd64",
            "6.1.115-1",
            PatchClass::Security,
            Impact::Reboot,
        ))
        .publish(patch(
            "bind9",
            "9.18.29-1",
            PatchClass::Security,
            Impact::ServiceRestart,
        ))
        .publish(patch(
            "mysql-server",
            "8.0.39-1",
            PatchClass::Security,
            Impact::ServiceRestart,
        ))
        .script(Script::postinst_fails("nginx", "1.22.1-10").on("web-c2"));
    Ok(sim)
}

fn web(guest: patchcore::sim::GuestSpec) -> patchcore::sim::GuestSpec {
    let address = format!("{}.dc-north.example", guest.name());
    guest
        .label("tier", "web")
        .address(address)
        .package("openssl", "3.0.14-1")
        .package("nginx", "1.22.1-9")
        .package("linux-image-amd64", "6.1.112-1")
}

fn shop(guest: patchcore::sim::GuestSpec, tier: &str) -> patchcore::sim::GuestSpec {
    guest
        .label("app", "shop")
        .label("tier", tier)
        .package("openssl", "3.0.14-1")
}

/// The afternoon before the first window.
fn start() -> patchcore::Result<patchcore::Timestamp> {
    "2026-12-07T14:00:00Z".parse().map_err(|e: jiff::Error| {
        patchcore::Error::new(
            patchcore::ErrorKind::InvalidInput,
            "the start cannot be read",
        )
        .source_error(e)
    })
}
