//! The effects that only look: scans and checks.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{
    ensure::Pause,
    patience::Patience,
    supervise::{Caller, contained},
};
use crate::{
    error::{Error, ErrorKind, Failure, Result, Retry},
    estate::Scan,
    id::{ComponentId, ProviderName},
    judge::CheckResult,
    plan::PlannedCheck,
    provider::{Deployer, HealthProbe, OpContext, ProbeRequest, ProbeVerdict, Progress},
};

/// One try of a scan may take this long; see `ensure`.
const READ_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// A component that does not answer is asked again for this long: it may be restarting services or itself.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Checks are repeated this often: often enough to see a service that flaps, rarely enough not to be its load.
const ROUND: Duration = Duration::from_secs(5);

/// What is there now, read after this call and not before.
pub(super) async fn scan(
    port: &Arc<dyn Deployer>,
    caller: &Caller,
    ctx: &OpContext,
    known_as: &ComponentId,
) -> Result<Box<Scan>, Failure> {
    // By the clock of now, and not by the journal's: that one may have been ahead.
    let mut since = ctx.now();
    let mut patience = Patience::of(ctx, PATIENCE);
    let mut pause = Pause::new();
    loop {
        // Where it was set back meanwhile, by the time of now.
        since = since.min(ctx.now());
        let (asked, scanning) = ([known_as.clone()], Arc::clone(port));
        let what = format!("scan of {known_as}");
        let calling = caller.call(&what, ctx, READ_DEADLINE, |ctx| async move {
            scanning.scan(&ctx, &asked).await
        });
        let answer = contained(calling).await.and_then(|answer| answer);
        let answer = answer.and_then(|mut answers| {
            answers.remove(known_as).unwrap_or_else(|| {
                Err(Error::new(
                    ErrorKind::ProviderFault,
                    format!("the scan leaves {known_as} out of its answer"),
                ))
            })
        });
        match answer {
            // A clock that was set back in the call looks like this too.
            Ok(scan) if scan.at < since && !patience.is_over() => {
                ctx.sleep(pause.next(Retry::After(None))).await;
            }
            Ok(scan) if scan.at < since => {
                let error = Error::new(
                    ErrorKind::ProviderFault,
                    format!("the scan of {known_as} is older than the step it is to verify"),
                )
                .expected(format!("a scan after {since}"))
                .found(scan.at.to_string());
                return Err(Failure::from(&error));
            }
            Ok(scan) => return Ok(Box::new(scan)),
            Err(error) if error.is_retryable() && !patience.is_over() => {
                ctx.progress(Progress::message(error.chain()));
                ctx.sleep(pause.next(error.retry())).await
            }
            Err(error) => return Err(Failure::from(&error)),
        }
    }
}

/// One check while it runs.
struct Running<'a> {
    check: &'a PlannedCheck,
    /// Over when it must be healthy.
    within: Patience,
    /// Over when it has been healthy for long enough; none where it is not healthy.
    steady: Option<Patience>,
    result: CheckResult,
    over: bool,
}

/// Runs checks in rounds until each has been healthy for long enough without a break, or its time is over.
pub(super) async fn checks(
    probes: &BTreeMap<ProviderName, Arc<dyn HealthProbe>>,
    caller_of: &(impl Fn(&ProviderName) -> Caller + Sync),
    ctx: &OpContext,
    component: &ComponentId,
    planned: &[PlannedCheck],
) -> Vec<CheckResult> {
    let mut running: Vec<Running<'_>> = planned
        .iter()
        .map(|check| Running {
            check,
            within: Patience::of(ctx, check.within),
            steady: None,
            result: CheckResult {
                check: check.kind.to_string(),
                verdict: None,
                saw: "not run".to_owned(),
            },
            over: false,
        })
        .collect();
    loop {
        join_all(
            running
                .iter_mut()
                .filter(|r| !r.over)
                .map(|r| round(probes, caller_of, ctx, component, r)),
        )
        .await;
        // Whom nobody waits for any more need not be checked to the end.
        if ctx.is_cancelled() || running.iter().all(|r| r.over) {
            return running.into_iter().map(|r| r.result).collect();
        }
        let bad = running.iter().find(|r| r.steady.is_none());
        if let Some(bad) = bad {
            let (check, saw) = (&bad.result.check, &bad.result.saw);
            ctx.progress(Progress::message(format!("waits for {check}: {saw}")));
        }
        ctx.sleep(ROUND).await;
    }
}

async fn round(
    probes: &BTreeMap<ProviderName, Arc<dyn HealthProbe>>,
    caller_of: &(impl Fn(&ProviderName) -> Caller + Sync),
    ctx: &OpContext,
    component: &ComponentId,
    running: &mut Running<'_>,
) {
    let check = running.check;
    let answer = match probes.get(&check.by) {
        Some(probe) => {
            let request = ProbeRequest::new(component.clone(), check.kind.clone());
            let (probe, limit) = (Arc::clone(probe), request.timeout * 2);
            let what = format!("probe of {component}");
            let caller = caller_of(&check.by);
            let calling = caller.call(&what, ctx, limit, |ctx| async move {
                probe.probe(&ctx, &request).await
            });
            // A panic is this check's answer, and no end of the others.
            contained(calling).await.and_then(|answer| answer)
        }
        None => Err(Error::new(
            ErrorKind::NotFound,
            format!("{} is not part of this estate any more", check.by),
        )),
    };
    match answer {
        Ok(answer) => {
            running.result.verdict = Some(answer.verdict);
            running.result.saw = answer.saw;
            match answer.verdict {
                ProbeVerdict::Healthy => {
                    let begins = || Patience::of(ctx, check.steady);
                    running.over = running.steady.get_or_insert_with(begins).is_over();
                }
                ProbeVerdict::Unhealthy => running.steady = None,
            }
        }
        Err(error) => {
            running.result.verdict = None;
            running.result.saw = error.chain();
            running.steady = None;
        }
    }
    // What is healthy when its time ends may finish being steady; what is not has failed.
    if running.steady.is_none() && running.within.is_over() {
        running.over = true;
    }
}
