//! Asking all providers, so that discovery can merge their answers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;

use crate::{
    clock::{SharedClock, later},
    discover::Answers,
    error::{Error, ErrorKind, Failure, Result},
    estate::Tool,
    execute::{
        supervise::{self, Caller},
        workers::Workers,
    },
    id::{ComponentId, ProviderName},
    provider::{
        CancelToken, DeployRequest, Deployer, OpContext, PerComponent, Ports, ProviderInfo,
    },
};

/// All of one provider's answers may take this long: scans of thousands of guests go in parallel inside a
/// provider, so a quarter of an hour means that it hangs.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// So many components are worked on before others get a turn: a millisecond or less.
const AT_ONCE: usize = 256;

/// Asks every provider at once.
pub(super) async fn all(
    providers: &[(ProviderInfo, Ports)],
    clock: &SharedClock,
) -> BTreeMap<ProviderName, Answers> {
    // Where nothing can block, no thread is needed.
    let some = providers.iter().any(|(_, ports)| !ports.never_block);
    let workers = &some.then(Workers::start_in_this_runtime);
    let asked = providers.iter().map(|(info, ports)| async move {
        let answers = one(info, ports, clock, workers).await;
        (info.name.clone(), answers)
    });
    join_all(asked).await.into_iter().collect()
}

async fn one(
    info: &ProviderInfo,
    ports: &Ports,
    clock: &SharedClock,
    workers: &Option<Workers>,
) -> Answers {
    let ctx = OpContext::reading(
        Arc::clone(clock),
        later(clock.now(), DEADLINE),
        CancelToken::new(),
    );
    let mut answers = Answers {
        probes: ports
            .probe
            .iter()
            .flat_map(|p| p.kinds())
            .map(|k| (*k).to_owned())
            .collect(),
        brackets: ports
            .bracket
            .iter()
            .flat_map(|b| b.capabilities().kinds)
            .collect(),
        tool: ports.deployer.as_ref().map(|d| tool(info, &**d)),
        ..Answers::default()
    };
    let Some(inventory) = &ports.inventory else {
        return answers;
    };
    let caller = match workers {
        Some(workers) if !ports.never_block => Caller::on_threads(workers, &info.name),
        _ => Caller::in_place(&info.name),
    };
    let asked = Arc::clone(inventory);
    let mut listing = within(&caller, "the listing", &ctx, |ctx| async move {
        asked.list(&ctx).await
    })
    .await;
    if listing.as_ref().is_ok_and(|l| l.sightings.len() > AT_ONCE) {
        // Whoever waits may have other things to do, and what is in memory never waits by itself.
        tokio::task::yield_now().await;
    }
    let names: Vec<ComponentId> = listing
        .iter()
        .flat_map(|l| l.sightings.iter().map(move |s| (l, &s.component)))
        .filter(|(l, component)| !l.seen_only.contains(*component))
        .map(|(_, component)| component.clone())
        .collect();
    // What was read together with the list is not read a second time.
    if let Ok(listing) = &mut listing {
        answers.scans = std::mem::take(&mut listing.scans);
        answers.scans.retain(|name, _| names.contains(name));
    }
    answers.listing = Some(listing.map_err(|e| Failure::from(&e)));
    let open: Vec<ComponentId> = names
        .iter()
        .filter(|name| !answers.scans.contains_key(*name))
        .cloned()
        .collect();
    if let (Some(deployer), false) = (&ports.deployer, open.is_empty()) {
        answers.scans.extend(spread(
            &open,
            {
                let (asked, open) = (Arc::clone(deployer), open.clone());
                within(&caller, "the scan", &ctx, |ctx| async move {
                    asked.scan(&ctx, &open).await
                })
                .await
            },
            "scan",
        ));
    }
    // Where the scan learned what is on offer too, nobody is asked a second time.
    let open: Vec<ComponentId> = names
        .into_iter()
        .filter(|n| !matches!(answers.scans.get(n), Some(Ok(scan)) if scan.available.is_some()))
        .filter(|n| !matches!(answers.scans.get(n), Some(Err(_))))
        .collect();
    if let (Some(source), false) = (&ports.source, open.is_empty()) {
        answers.available = spread(
            &open,
            {
                let (asked, open) = (Arc::clone(source), open.clone());
                within(&caller, "what is available", &ctx, |ctx| async move {
                    asked.available(&ctx, &open).await
                })
                .await
            },
            "available",
        );
    }
    answers
}

/// A call within the deadline of all; a panic of the provider fails only this.
async fn within<T: Send + 'static, F>(
    caller: &Caller,
    what: &str,
    ctx: &OpContext,
    call: impl FnOnce(OpContext) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>> + Send + 'static,
{
    supervise::contained(caller.call(what, ctx, ctx.time_left(), call)).await?
}

/// One answer per component asked: a failed call failed for each, and who is left out was not answered.
fn spread<T>(
    asked: &[ComponentId],
    answer: Result<PerComponent<T>>,
    call: &str,
) -> BTreeMap<ComponentId, std::result::Result<T, Failure>> {
    let each = |component: &ComponentId, result: Result<T>| {
        (component.clone(), result.map_err(|e| Failure::from(&e)))
    };
    match answer {
        Ok(mut answers) => asked
            .iter()
            .map(|c| {
                let left_out = || {
                    Error::new(
                        ErrorKind::ProviderFault,
                        format!("{call} leaves {c} out of its answer"),
                    )
                };
                let answer = answers.remove(c).unwrap_or_else(|| Err(left_out()));
                each(c, answer)
            })
            .collect(),
        Err(error) => asked.iter().map(|c| each(c, Err(error.clone()))).collect(),
    }
}

fn tool(info: &ProviderInfo, deployer: &dyn Deployer) -> Tool {
    let can = deployer.capabilities();
    let claims = [
        ("apply", true),
        ("refresh", can.refresh),
        ("stage", can.stage),
        ("reboot", can.reboot),
        ("roll_back", can.roll_back),
        ("restart_with_apply", can.restarts_with_apply),
    ];
    Tool {
        version: info.version.clone(),
        can: claims
            .into_iter()
            .filter(|(_, can)| *can)
            .map(|(verb, _)| verb.to_owned())
            .collect(),
        evidence: info
            .evidence
            .iter()
            .map(|(verb, label)| (verb.clone(), label.words().to_owned()))
            .collect(),
    }
}

// `DeployRequest` names the verbs that the table above claims; a new verb must be added there.
const _: fn(&DeployRequest) = |request| match request {
    DeployRequest::Refresh { .. }
    | DeployRequest::Stage { .. }
    | DeployRequest::Apply { .. }
    | DeployRequest::Reboot { .. }
    | DeployRequest::RollBack { .. }
    | DeployRequest::Discard { .. } => {}
};
