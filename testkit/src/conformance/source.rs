//! Checks of [`PatchSource`](patchcore::provider::PatchSource).

use patchcore::{
    Timestamp,
    estate::{Available, Patch},
    id::ComponentId,
    provider::PerComponent,
};

use crate::{
    bench::{Bench, Connection, one_answer},
    check::{Checked, Verdict, demand, fault},
    fixture::Seen,
};

const ANSWERS: &str = "source_answers_every_component_asked";

async fn ask(
    bench: &Bench,
    on: &Connection,
    components: &[ComponentId],
) -> Checked<PerComponent<Available>> {
    match on.source()?.available(&bench.reading(), components).await {
        Ok(answers) => Ok(answers),
        Err(error) => fault(format!("available failed: {}", error.chain())),
    }
}

async fn offer(bench: &Bench, on: &Connection, component: &ComponentId) -> Checked<Available> {
    let asked = std::slice::from_ref(component);
    let answers = on.source()?.available(&bench.reading(), asked).await;
    one_answer(answers, component, ANSWERS)
}

pub(super) async fn source_answers_every_component_asked(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let asked = bench.components();
    let answers = ask(bench, &on, &asked).await?;
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

pub(super) async fn source_does_not_know_nobody(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let nobody = bench.nobody();
    let answers = on
        .source()?
        .available(&bench.reading(), std::slice::from_ref(&nobody))
        .await;
    match answers.map(|mut a| a.remove(&nobody)) {
        Ok(Some(Ok(offer))) => fault(format!(
            "a component that does not exist was answered by {} patches on offer",
            offer.patches.len()
        )),
        // Left out counts as not answered, and an error says why.
        _ => Ok(()),
    }
}

pub(super) async fn source_hides_nothing(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let answers = ask(bench, &on, &bench.components()).await?;
    let bad = bench.stock.bad.iter().map(|b| &b.change);
    let changes = bench.stock.changes.iter().chain(bad);
    for change in changes.chain(&bench.stock.after_restart) {
        // Who is left out altogether is another check's matter.
        let Some(Ok(offer)) = answers.get(&change.component) else {
            continue;
        };
        for patch in &change.patches {
            let offered = offer.patches.iter().any(|p| p.id == patch.patch);
            let kept_back = offer.kept_back.iter().any(|k| k.patch == patch.patch);
            demand(offered || kept_back, || {
                format!(
                    "{}: {patch} can go in, and the source neither offers it nor keeps it back",
                    change.component
                )
            })?;
        }
    }
    Ok(())
}

pub(super) async fn source_offers_start_from_what_is_there(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    for component in bench.components() {
        let seen = bench.look(&component).await?;
        let answers = ask(bench, &on, std::slice::from_ref(&component)).await?;
        let Some(Ok(offer)) = answers.get(&component) else {
            continue;
        };
        for patch in &offer.patches {
            // The fixture's eyes may be shut for what the stock does not name.
            let Some(there) = seen.versions.get(&patch.id) else {
                continue;
            };
            demand(
                patch.from.as_ref() == Some(there) && &patch.to != there,
                || {
                    format!(
                        "{component}: {} {} is offered from {}, and {there} is there",
                        patch.id,
                        patch.to,
                        patch
                            .from
                            .as_ref()
                            .map_or("nothing".to_owned(), ToString::to_string)
                    )
                },
            )?;
        }
    }
    Ok(())
}

pub(super) async fn source_offer_is_fresh(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let change = bench.change()?;
    let component = &change.component;
    let right = |offer: &Available, seen: &Seen| {
        let known = |p: &&Patch| seen.versions.contains_key(&p.id);
        let starts = |p: &Patch| p.from.as_ref() == seen.versions.get(&p.id);
        let leads = |p: &Patch| seen.versions.get(&p.id) != Some(&p.to);
        offer
            .patches
            .iter()
            .filter(known)
            .all(|p| starts(p) && leads(p))
    };
    let before = offer(bench, &on, component).await?;
    if !right(&before, &bench.look(component).await?) {
        return Err(Verdict::Unjudged {
            see: "source_offers_start_from_what_is_there",
            why: "the offer is wrong before anything changed".to_owned(),
        });
    }
    bench.drift().await?;
    let drifted = bench.now();
    let after = offer(bench, &on, component).await?;
    demand(right(&after, &bench.look(component).await?), || {
        format!("{component}: somebody changed a version, and the offer is as before")
    })?;
    demand(after.at >= drifted, || {
        format!(
            "{component}: an offer asked for at {drifted} is dated {}",
            after.at
        )
    })
}

pub(super) async fn source_says_the_same_twice(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    for component in bench.components() {
        let undated = |mut offer: Available| {
            offer.at = Timestamp::UNIX_EPOCH;
            offer
        };
        let asked = std::slice::from_ref(&component);
        let (Some(Ok(first)), Some(Ok(second))) = (
            ask(bench, &on, asked).await?.remove(&component),
            ask(bench, &on, asked).await?.remove(&component),
        ) else {
            continue;
        };
        demand(undated(first) == undated(second), || {
            format!("{component}: two offers, nothing in between, and they differ")
        })?;
    }
    Ok(())
}

pub(super) async fn source_changes_nothing(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let before = bench.look_at_all().await?;
    ask(bench, &on, &bench.components()).await?;
    bench.untouched_since(&before, "available").await
}
