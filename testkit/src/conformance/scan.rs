//! Checks of [`Deployer::scan`](patchcore::provider::Deployer::scan).

use patchcore::{Timestamp, estate::Scan, id::ComponentId, provider::PerComponent};

use crate::{
    bench::{Bench, Connection},
    check::{Checked, Verdict, demand, fault},
};

async fn scan_all(
    bench: &Bench,
    on: &Connection,
    components: &[ComponentId],
) -> Checked<PerComponent<Scan>> {
    match on.deployer()?.scan(&bench.reading(), components).await {
        Ok(answers) => Ok(answers),
        Err(error) => fault(format!("scan failed: {}", error.chain())),
    }
}

pub(super) async fn deployer_scan_answers_every_component_asked(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let asked = bench.components();
    let answers = scan_all(bench, &on, &asked).await?;
    for component in &asked {
        match answers.get(component) {
            None => return fault(format!("{component} was asked and is not in the answer")),
            Some(Err(error)) => return fault(format!("{component}: {}", error.chain())),
            Some(Ok(_)) => {}
        }
    }
    match answers.keys().find(|c| !asked.contains(c)) {
        Some(extra) => fault(format!("{extra} was not asked and is in the answer")),
        None => Ok(()),
    }
}

pub(super) async fn deployer_scan_does_not_know_nobody(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let nobody = bench.nobody();
    let answers = on
        .deployer()?
        .scan(&bench.reading(), std::slice::from_ref(&nobody))
        .await;
    match answers.map(|mut a| a.remove(&nobody)) {
        Ok(Some(Ok(scan))) => fault(format!(
            "a component that does not exist was answered by a scan of {} patches",
            scan.installed.len()
        )),
        _ => Ok(()),
    }
}

pub(super) async fn deployer_scan_shows_what_is_there(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    for component in bench.components() {
        let seen = bench.look(&component).await?;
        let scan = bench.scan(&on, &component).await?;
        for (patch, version) in &seen.versions {
            demand(scan.installed.get(patch) == Some(version), || {
                format!(
                    "{component}: {patch} {version} is there, and the scan says {}",
                    scan.installed
                        .get(patch)
                        .map_or("nothing of it".to_owned(), ToString::to_string)
                )
            })?;
        }
    }
    Ok(())
}

pub(super) async fn deployer_scan_is_fresh(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    let component = &change.component;
    let early = bench.scan(&on, component).await?;
    bench.drift().await?;
    let drifted = bench.now();
    let seen = bench.look(component).await?;
    let late = bench.scan(&on, component).await?;
    let Some(patch) = change.patches.first().map(|p| &p.patch) else {
        return Ok(());
    };
    // A scan that never shows the version is the matter of the check of what is there.
    let shown_before = early.installed.contains_key(patch);
    demand(
        !shown_before || late.installed.get(patch) == seen.versions.get(patch),
        || {
            format!(
                "{component}: somebody changed {patch} to {}, and the scan still says {}",
                seen.versions
                    .get(patch)
                    .map_or("nothing".to_owned(), ToString::to_string),
                late.installed
                    .get(patch)
                    .map_or("nothing".to_owned(), ToString::to_string)
            )
        },
    )?;
    demand(late.at >= drifted, || {
        format!(
            "{component}: a scan asked for at {drifted} is dated {}",
            late.at
        )
    })
}

pub(super) async fn deployer_scan_shows_what_waits_for_a_restart(bench: &Bench) -> Checked {
    let Some(change) = bench.stock.after_restart.clone() else {
        return Err(Verdict::NotOffered(
            "a change that waits for a restart".to_owned(),
        ));
    };
    let on = bench.connect().await?;
    let component = change.component.clone();
    bench.apply(&on, vec![change.clone()]).await?.succeeded()?;
    let scan = bench.scan(&on, &component).await?;
    for patch in &change.patches {
        demand(
            scan.pending_activation.get(&patch.patch) == patch.to.as_ref(),
            || format!("{component}: {patch} waits for a restart, and the scan does not show it"),
        )?;
        demand(
            scan.installed.get(&patch.patch) == patch.from.as_ref(),
            || format!("{component}: {patch} waits for a restart, and the scan says that it runs"),
        )?;
    }
    demand(scan.reboot_wanted.is_none_or(|why| !why.is_empty()), || {
        format!("{component}: something waits for a restart, and the scan says that none is wanted")
    })
}

pub(super) async fn deployer_scan_says_the_same_twice(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    for component in bench.components() {
        let undated = |mut scan: Scan| {
            scan.at = Timestamp::UNIX_EPOCH;
            if let Some(offer) = &mut scan.available {
                offer.at = Timestamp::UNIX_EPOCH;
            }
            scan
        };
        let first = undated(bench.scan(&on, &component).await?);
        let second = undated(bench.scan(&on, &component).await?);
        demand(first == second, || {
            format!("{component}: nothing happened in between: first {first:?}, then {second:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn deployer_scan_changes_nothing(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let before = bench.look_at_all().await?;
    scan_all(bench, &on, &bench.components()).await?;
    bench.untouched_since(&before, "scan").await
}
