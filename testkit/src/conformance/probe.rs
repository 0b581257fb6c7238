//! Checks of [`HealthProbe`](patchcore::provider::HealthProbe).

use patchcore::{
    ErrorKind,
    provider::{ProbeAnswer, ProbeKind, ProbeRequest, ProbeVerdict},
};

use crate::{
    bench::Bench,
    check::{Checked, Verdict, demand, fault},
};

/// One request of every kind there is, to ask for those that are not claimed.
fn every_kind() -> [ProbeKind; 2] {
    [
        ProbeKind::Http {
            url: "http://127.0.0.1:9/".to_owned(),
        },
        ProbeKind::Command {
            argv: vec!["true".to_owned()],
        },
    ]
}

async fn run(bench: &Bench, request: &ProbeRequest) -> Checked<patchcore::Result<ProbeAnswer>> {
    let on = bench.connect().await?;
    let answer = on.probe()?.probe(&bench.reading(), request).await;
    if answer.is_ok() {
        bench.carried_out(&on, "probe");
    }
    Ok(answer)
}

async fn demand_verdict(bench: &Bench, request: &ProbeRequest, wanted: ProbeVerdict) -> Checked {
    match run(bench, request).await? {
        Ok(answer) => demand(answer.verdict == wanted, || {
            format!(
                "{} of {} is {wanted:?} and was called {:?}: {}",
                request.kind, request.component, answer.verdict, answer.saw
            )
        }),
        Err(error) => fault(format!("{} failed: {}", request.kind, error.chain())),
    }
}

pub(super) async fn probe_every_claimed_kind_has_a_case(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let kinds = on.probe()?.kinds();
    demand(!kinds.is_empty(), || {
        "a probe that claims no kind".to_owned()
    })?;
    for kind in kinds {
        let case = bench
            .stock
            .probes
            .iter()
            .find(|c| c.healthy.kind.slug() == *kind);
        let Some(case) = case else {
            return fault(format!(
                "{kind} is claimed, and the fixture's stock has no case of it"
            ));
        };
        let others = [&case.unhealthy, &case.cannot_run];
        demand(others.iter().all(|r| r.kind.slug() == *kind), || {
            format!("the fixture's case of {kind} asks for other kinds")
        })?;
    }
    Ok(())
}

pub(super) async fn probe_unclaimed_kind_is_unsupported(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let probe = on.probe()?;
    let component = bench.change()?.component;
    let mut asked = 0;
    for kind in every_kind() {
        if probe.kinds().contains(&kind.slug()) {
            continue;
        }
        asked += 1;
        let request = ProbeRequest::new(component.clone(), kind);
        match probe.probe(&bench.reading(), &request).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => {
                return fault(format!(
                    "{} is not claimed and was answered by {}: {}",
                    request.kind,
                    error.kind(),
                    error.chain()
                ));
            }
            Ok(answer) => {
                return fault(format!(
                    "{} is not claimed and was called {:?}",
                    request.kind, answer.verdict
                ));
            }
        }
    }
    if asked == 0 {
        return Err(Verdict::NotOffered(
            "a kind that is not claimed: all of them are".to_owned(),
        ));
    }
    Ok(())
}

pub(super) async fn probe_healthy_is_healthy(bench: &Bench) -> Checked {
    for case in &bench.stock.probes {
        demand_verdict(bench, &case.healthy, ProbeVerdict::Healthy).await?;
    }
    Ok(())
}

pub(super) async fn probe_unhealthy_is_unhealthy(bench: &Bench) -> Checked {
    for case in &bench.stock.probes {
        demand_verdict(bench, &case.unhealthy, ProbeVerdict::Unhealthy).await?;
    }
    Ok(())
}

pub(super) async fn probe_that_cannot_run_is_an_error(bench: &Bench) -> Checked {
    for case in &bench.stock.probes {
        if let Ok(answer) = run(bench, &case.cannot_run).await? {
            return fault(format!(
                "{} cannot be run and was called {:?}: {}",
                case.cannot_run.kind, answer.verdict, answer.saw
            ));
        }
    }
    Ok(())
}

pub(super) async fn probe_of_nobody_is_an_error(bench: &Bench) -> Checked {
    for case in &bench.stock.probes {
        // Who asks a URL reaches it without the component; only what runs on it can miss it.
        if case.healthy.kind.slug() == "http" {
            continue;
        }
        let request = ProbeRequest::new(bench.nobody(), case.healthy.kind.clone());
        if let Ok(answer) = run(bench, &request).await? {
            return fault(format!(
                "a component that does not exist was called {:?}: {}",
                answer.verdict, answer.saw
            ));
        }
    }
    Ok(())
}

pub(super) async fn probe_changes_nothing(bench: &Bench) -> Checked {
    let on = bench.connect().await?;
    let probe = on.probe()?;
    let before = bench.look_at_all().await?;
    for case in &bench.stock.probes {
        for request in [&case.healthy, &case.unhealthy, &case.cannot_run] {
            // The verdict is another check's matter.
            drop(probe.probe(&bench.reading(), request).await);
        }
    }
    bench.untouched_since(&before, "probe").await
}
