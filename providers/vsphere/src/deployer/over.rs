//! What came of an operation that is over: what a host runs counts, and what vLCM says is only a claim.

use patchcore::{
    Error, ErrorKind, Timestamp,
    error::Failure,
    id::{ComponentId, Version},
    provider::{Evidence, SubjectResult},
};
use serde_json::json;

use super::{doing::HostBefore, now::HostNow};
use crate::vlcm::{ApiTask, PATCH, TaskEnd};

/// Of a host into which the image was to be put. `commit` is the state of the image that was approved.
pub(super) fn applied(
    subject: &ComponentId,
    before: &HostBefore,
    to: &Version,
    host: &HostNow,
    commit: Option<&str>,
    task: Option<&ApiTask>,
    at: Timestamp,
) -> SubjectResult {
    if !host.connected {
        return failed(
            Error::new(
                ErrorKind::Unreachable,
                format!("{subject} does not respond after the image was put in"),
            )
            .context("claimed", claim(before, task))
            .hint("look at its console; it stays in maintenance mode"),
        );
    }
    let other = task
        .and_then(|task| task.commit.as_deref())
        .filter(|taken| commit.is_some_and(|commit| commit != *taken));
    if let Some(taken) = other {
        return failed(
            Error::new(
                ErrorKind::PlanDrift,
                format!("vLCM put a later state of the image into {subject} than the approved one"),
            )
            .expected(format!("commit {}", commit.unwrap_or_default()))
            .found(format!(
                "commit {taken}; it runs {}",
                version(host).unwrap_or("what nobody says")
            ))
            .hint("somebody committed an image meanwhile: look at it, and plan again")
            .blame(PATCH.into()),
        );
    }
    if host.version.as_ref() == Some(to) {
        if before.restarts && host.boot == before.boot {
            return failed(
                Error::new(
                    ErrorKind::VerifyFailed,
                    format!("{subject} says that it runs {to}, and was not restarted"),
                )
                .expected("another boot time than before")
                .found(host.boot.clone().unwrap_or_else(|| "none".to_owned()))
                .blame(PATCH.into()),
            );
        }
        let how = match host.boot == before.boot {
            true => "without a restart",
            false => "restarted",
        };
        return SubjectResult::Done(
            Evidence::observed(at, format!("{subject} runs {to}, {how}"))
                .with_claim(claim(before, task))
                .with_facts(json!({"boot": host.boot, "commit": commit})),
        );
    }
    let said = task.and_then(|task| task.said.get(&before.id));
    let why = said.map(|said| said.why.join("; ")).unwrap_or_default();
    let skipped = said.is_some_and(|said| said.word == "SKIPPED");
    let what = match (task.map(|task| &task.end), &*why) {
        (_, why) if !why.is_empty() => format!("vLCM did not patch {subject}: {why}"),
        (Some(TaskEnd::Failed(fault)), _) => format!("vLCM did not patch {subject}: {fault}"),
        _ => format!("vLCM says that it patched {subject}, and it did not"),
    };
    let kind = match skipped {
        true => ErrorKind::Unhealthy,
        false => ErrorKind::InstallFailed,
    };
    failed(
        Error::new(kind, what)
            .expected(to.to_string())
            .found(version(host).unwrap_or("what nobody says"))
            .context("claimed", claim(before, task))
            .hint("look at the task in the vSphere client")
            .blame(PATCH.into()),
    )
}

/// Of a host onto which the image was to be brought: nothing but vLCM's word and its compliance tell.
pub(super) fn staged(
    subject: &ComponentId,
    before: &HostBefore,
    to: &Version,
    is_staged: bool,
    task: Option<&ApiTask>,
    at: Timestamp,
) -> SubjectResult {
    let claim = claim(before, task);
    if is_staged {
        return SubjectResult::Done(
            Evidence::observed(at, format!("{to} is staged on {subject}")).with_claim(claim),
        );
    }
    failed(
        Error::new(
            ErrorKind::InstallFailed,
            format!("{to} is not staged on {subject}"),
        )
        .context("claimed", claim)
        .hint("look at the task in the vSphere client")
        .blame(PATCH.into()),
    )
}

/// Of a host that was to be compared to the image: when that was done last tells.
pub(super) fn compared(
    subject: &ComponentId,
    compared: Option<Timestamp>,
    since: Timestamp,
    task: Option<&ApiTask>,
    at: Timestamp,
) -> SubjectResult {
    match (compared, task.map(|task| &task.end)) {
        (Some(when), _) if when >= since => SubjectResult::Done(Evidence::observed(
            at,
            format!("{subject} was compared to the image at {when}"),
        )),
        (_, Some(TaskEnd::Failed(fault))) => failed(
            fault
                .clone()
                .into_error(&format!("comparing {subject} to the image")),
        ),
        (when, _) => failed(
            Error::new(
                ErrorKind::Unhealthy,
                format!("{subject} was not compared to the image"),
            )
            .expected(format!("after {since}"))
            .found(when.map_or_else(|| "never".to_owned(), |when| when.to_string())),
        ),
    }
}

fn version(host: &HostNow) -> Option<&str> {
    host.version.as_ref().map(Version::as_str)
}

/// What vLCM says of a host, or of the whole.
fn claim(before: &HostBefore, task: Option<&ApiTask>) -> String {
    let Some(task) = task else {
        return "nothing: the task is gone".to_owned();
    };
    match (task.said.get(&before.id), &task.end) {
        (Some(said), _) if said.why.is_empty() => said.word.clone(),
        (Some(said), _) => format!("{}: {}", said.word, said.why.join("; ")),
        (None, TaskEnd::Failed(fault)) => fault.to_string(),
        (None, _) => "success".to_owned(),
    }
}

fn failed(error: Error) -> SubjectResult {
    SubjectResult::Failed(Failure::from(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::soap::MoRef;

    const NEW: &str = "8.0.3-24280767";

    /// A host that runs the new version, restarted or not.
    fn judged(boot: &str, restarts: bool, connected: bool) -> SubjectResult {
        let before = HostBefore {
            id: "host-9".to_owned(),
            boot: Some("monday".to_owned()),
            restarts,
        };
        let host = HostNow {
            object: MoRef::new("HostSystem", "host-9"),
            connected,
            maintenance: true,
            version: Some(NEW.into()),
            boot: Some(boot.to_owned()),
            wants_restart: None,
            uuid: None,
            running: Vec::new(),
        };
        let at = Timestamp::UNIX_EPOCH;
        applied(
            &"a".into(),
            &before,
            &NEW.into(),
            &host,
            Some("7"),
            None,
            at,
        )
    }

    fn kind(result: &SubjectResult) -> Option<ErrorKind> {
        match result {
            SubjectResult::Done(_) => None,
            SubjectResult::Failed(failure) => Some(failure.kind),
        }
    }

    #[test]
    fn a_version_without_the_restart_that_it_takes_is_not_in_effect() {
        assert_eq!(kind(&judged("tuesday", true, true)), None);
        assert_eq!(
            kind(&judged("monday", true, true)),
            Some(ErrorKind::VerifyFailed)
        );
        // A live patch.
        assert_eq!(kind(&judged("monday", false, true)), None);
        assert_eq!(
            kind(&judged("tuesday", true, false)),
            Some(ErrorKind::Unreachable)
        );
    }
}
