//! Whether an image can be staged or put in now: decided from what was read, and from nothing else.

use patchcore::{
    Error, ErrorKind,
    estate::Unhealthy,
    id::{ComponentId, Version},
    provider::{Blocker, Change, DeployRequest, Evidence, Readiness},
};

use super::{
    now::{HostNow, Look},
    scan::{compared, no_image},
};
use crate::{
    drainer::ready::{all, blocker},
    vlcm::{ApiTask, PATCH},
};

/// The answer for one subject of a request.
pub(super) fn readiness(request: &DeployRequest, subject: &ComponentId, look: &Look) -> Readiness {
    let host = match look.hosts.get(subject) {
        Some(Ok(host)) => host,
        Some(Err(error)) => return Readiness::Blocked(vec![Blocker::from_error(error)]),
        None => {
            return stands(Error::new(
                ErrorKind::NotFound,
                format!("{subject} was not read"),
            ));
        }
    };
    match request {
        DeployRequest::Refresh { .. } => all(managed(subject, look).into_iter().chain(busy(look))),
        // vLCM drops what it staged by itself.
        DeployRequest::Discard { .. } => Readiness::AlreadyHolds(Evidence::observed(
            look.at,
            format!("nothing of ours is kept on {subject}"),
        )),
        DeployRequest::Stage { changes } | DeployRequest::Apply { changes, .. } => {
            let change = changes.iter().find(|change| change.component == *subject);
            match change.map(wanted) {
                Some(Ok((from, to))) => image(request, subject, host, (from, to), look),
                Some(Err(error)) => stands(error),
                None => stands(Error::new(
                    ErrorKind::ProviderFault,
                    format!("{subject} has no change"),
                )),
            }
        }
        other => stands(super::unsupported(other)),
    }
}

/// From which version to which; a host has one patch, its image.
pub(super) fn wanted(change: &Change) -> Result<(Option<&Version>, &Version), Error> {
    let refused = |what: String| {
        Error::new(ErrorKind::InvalidInput, what)
            .expected(format!("one change of {PATCH}, to a version"))
            .consequence("nothing was begun")
    };
    let [patch] = &change.patches[..] else {
        return Err(refused(format!(
            "{} has {} changes",
            change.component,
            change.patches.len()
        )));
    };
    match (patch.patch.as_str(), &patch.to) {
        (PATCH, Some(to)) => Ok((patch.from.as_ref(), to)),
        (PATCH, None) => Err(refused(format!("{} cannot be removed", patch.patch))),
        (other, _) => Err(
            refused(format!("{} has no patch {other}", change.component))
                .blame(patch.patch.clone()),
        ),
    }
}

fn image(
    request: &DeployRequest,
    subject: &ComponentId,
    host: &HostNow,
    (from, to): (Option<&Version>, &Version),
    look: &Look,
) -> Readiness {
    let applies = matches!(request, DeployRequest::Apply { .. });
    if host.version.as_ref() == Some(to) && host.connected {
        return Readiness::AlreadyHolds(Evidence::observed(
            look.at,
            format!("{subject} runs {to}"),
        ));
    }
    let staged = look
        .compliance(host)
        .is_some_and(|c| c.staged && c.target == *to);
    if !applies && staged {
        return Readiness::AlreadyHolds(Evidence::observed(
            look.at,
            format!("{to} is staged on {subject}"),
        ));
    }
    let mut blockers: Vec<Blocker> = managed(subject, look).into_iter().collect();
    if let Some(now) = &look.image {
        if now.image.version != *to {
            blockers.push(drift(
                format!("the image of the cluster is another than the approved one for {subject}"),
                to,
                Some(&now.image.version),
            ));
        }
        if now.compliance.commit.is_none() {
            blockers.push(blocker(
                Error::new(
                    ErrorKind::Unhealthy,
                    "vLCM does not say which state of the image the hosts were compared to",
                )
                .hint("have the cluster's compliance checked, and plan again"),
            ));
        }
        let faults = compared(host, Some(now)).into_iter();
        blockers.extend(faults.map(|fault| unhealthy(subject, fault)));
    }
    if from.is_some() && host.version.as_ref() != from {
        let expected = from.unwrap_or(to);
        blockers.push(drift(
            format!("{subject} runs another version than the approved one"),
            expected,
            host.version.as_ref(),
        ));
    }
    if applies {
        blockers.extend(drained(subject, host));
    }
    blockers.extend(busy(look));
    all(blockers.into_iter())
}

pub(super) fn unhealthy(subject: &ComponentId, fault: Unhealthy) -> Blocker {
    blocker(
        Error::new(ErrorKind::Unhealthy, format!("{subject}: {}", fault.what))
            .consequence("nothing was begun")
            .hint(fault.remedy),
    )
}

/// vLCM would drain a host itself, by rules of its own: who empties hosts is the roll.
fn drained(subject: &ComponentId, host: &HostNow) -> Vec<Blocker> {
    let mut all = Vec::new();
    if !host.maintenance {
        all.push(blocker(
            Error::new(
                ErrorKind::Unhealthy,
                format!("{subject} is not in maintenance mode"),
            )
            .consequence("nothing was begun")
            .hint("patch it in a roll of its cluster, which empties it first"),
        ));
    }
    let runs = host.running.iter().map(|vm| {
        blocker(
            Error::new(ErrorKind::PlanDrift, format!("{vm} runs on {subject}"))
                .consequence("nothing was begun")
                .hint("look at the cluster as it is now, and plan again"),
        )
    });
    all.extend(runs);
    all
}

fn managed(subject: &ComponentId, look: &Look) -> Option<Blocker> {
    look.image.is_none().then(|| {
        blocker(no_image(&format!("the cluster of {subject}")).consequence("nothing was begun"))
    })
}

/// An operation of vLCM that works on the cluster: there is one at a time.
fn busy(look: &Look) -> Option<Blocker> {
    look.tasks.iter().find(|task| task.is_open()).map(busy_with)
}

pub(super) fn busy_with(task: &ApiTask) -> Blocker {
    let mut error = Error::new(
        ErrorKind::Busy,
        format!("vLCM works on the cluster ({})", task.verb),
    )
    .context("holder", task.id.clone());
    if let Some(user) = &task.user {
        error = error.context("user", user.clone());
    }
    blocker(error.retryable(None))
}

fn drift(what: String, expected: &Version, found: Option<&Version>) -> Blocker {
    blocker(
        Error::new(ErrorKind::PlanDrift, what)
            .expected(expected.to_string())
            .found(found.map_or_else(|| "nobody says".to_owned(), ToString::to_string))
            .consequence("nothing was begun")
            .hint("look at the cluster's image, and plan again")
            .blame(PATCH.into()),
    )
}

fn stands(error: Error) -> Readiness {
    Readiness::Blocked(vec![blocker(error)])
}
