//! What a job that is over came to: read back from the machine, never taken from its exit status.

use patchcore::{
    Error, ErrorKind, Failure, Result,
    id::{ComponentId, PatchId},
    provider::{DeployRequest, Evidence, Op, OpContext, PortRequest, Settled, SubjectResult},
};

use super::readiness::{Before, V, changes_for, holds, named};
use crate::{
    client::{JobLook, Machine},
    job::{JobId, JobStatus, Phase},
    pm::{
        apt::{AptScan, PackageName, reading},
        classify::{failed_job, kept_configuration, marked},
    },
};

impl Machine {
    /// The result of a job that is over.
    ///
    /// # Errors
    /// `Busy` while something that the job started is still at work; whatever keeps the machine from being read.
    pub(crate) async fn settled(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        id: &JobId,
        look: JobLook,
    ) -> Result<Settled> {
        let JobLook {
            status,
            named: told,
        } = look;
        let (status, log) = self.read(ctx, id, status).await?;
        let component = match op.baseline.read::<Before>(V) {
            Ok(before) => before.component,
            Err(_) => op.request.subjects().into_iter().next().ok_or_else(|| {
                Error::new(ErrorKind::ProviderFault, "the request has no subject")
            })?,
        };
        let failed = failed_job(op.request.verb(), id, &status, &log);
        let claim = claim(&status);
        let as_of = ctx.now();
        let done = match &op.request {
            DeployRequest::Apply { .. } | DeployRequest::RollBack { .. } => {
                let read = match told {
                    Some(read) => read,
                    None => {
                        let (read, clocks) = self.named(ctx, &named(&op.request)?).await?;
                        if status.phase == Phase::LostDied
                            && status.ran
                            && let Some(busy) = reading::busy(&read.locks, &clocks)
                        {
                            // dpkg is never killed: what the dead runner started goes on, and is waited for.
                            return Err(reading::held(&component, &busy));
                        }
                        read
                    }
                };
                let changes = changes_for(&op.request, &component);
                match holds(&read, &changes, as_of)? {
                    Some(evidence) if status.ran => Ok(with_kept(evidence, &log)),
                    _ => {
                        let (read, _) = self.scan(ctx, &[]).await?;
                        let error = failed.unwrap_or_else(|| not_in(&component, op));
                        Err(blamed(error, &read, op, &component, &log))
                    }
                }
            }
            DeployRequest::Refresh { .. } => match failed {
                Some(error) => Err(error),
                None => {
                    let (read, clocks) = self.scan(ctx, &[]).await?;
                    let as_said = read.lists.refreshed.map(|at| clocks.ours(at));
                    Ok(Evidence::observed(
                        as_of,
                        match as_said {
                            Some(at) => format!("package lists brought up to date at {at}"),
                            None => "package lists brought up to date".to_owned(),
                        },
                    ))
                }
            },
            // The job itself looked at each file that it fetched and kept, and wrote down what it saw.
            DeployRequest::Stage { .. } => match failed {
                Some(error) => Err(error),
                None => staged(&log, id, as_of),
            },
            DeployRequest::Discard { .. } => match failed {
                Some(error) => Err(error),
                None => Ok(Evidence::observed(as_of, "what was kept is given back")),
            },
            // That its job ended well says nothing of a restart; see `restart`.
            other => Err(failed.unwrap_or_else(|| {
                let verb = other.verb();
                Error::new(
                    ErrorKind::ProviderFault,
                    format!("{verb} is not settled by its job"),
                )
            })),
        };
        let result = match done {
            Ok(evidence) => SubjectResult::Done(evidence.with_claim(claim)),
            Err(error) => SubjectResult::Failed(Failure::from(&error)),
        };
        Ok(Settled {
            subjects: [(component, result)].into(),
        })
    }
}

/// Tells which configuration files somebody had edited: they stay, and may lack what the new version needs.
fn with_kept(mut evidence: Evidence, log: &str) -> Evidence {
    let kept = kept_configuration(log);
    if !kept.is_empty() {
        evidence.saw += &format!(
            " · kept as edited: {} (the package's own lies beside, .dpkg-dist)",
            kept.join(", ")
        );
    }
    evidence
}

fn claim(status: &JobStatus) -> String {
    match (status.phase, status.status) {
        (Phase::Done, Some(code)) => format!("exit status {code}"),
        (Phase::LostReboot, _) => "interrupted by a restart".to_owned(),
        (Phase::LostDied, _) => "its runner ended without a result".to_owned(),
        _ => "no result".to_owned(),
    }
}

fn staged(log: &str, id: &JobId, as_of: patchcore::Timestamp) -> Result<Evidence> {
    let marks = marked(id, log);
    let count = |word: &str| marks.iter().filter(|m| m.word == word).count();
    if count("staged") == 0 {
        return Err(Error::new(
            ErrorKind::InstallFailed,
            "stage ended with 0 and did not say that everything is fetched",
        )
        .hint("read the job's log"));
    }
    let (armed, lost) = (count("armed"), count("not_armed"));
    let saw = match lost {
        0 => format!("fetched; {armed} old packages kept"),
        lost => format!(
            "fetched; {armed} of {} old packages kept, the others are no longer served",
            armed + lost
        ),
    };
    let facts: Vec<&str> = marks
        .iter()
        .filter(|m| m.word == "not_armed")
        .map(|m| m.text.as_str())
        .collect();
    Ok(Evidence::observed(as_of, saw).with_facts(serde_json::json!({ "not_armed": facts })))
}

fn not_in(component: &ComponentId, op: &Op<DeployRequest>) -> Error {
    Error::new(
        ErrorKind::InstallFailed,
        format!(
            "{component}: {} ended with 0, and not everything is at the planned version",
            op.request.verb()
        ),
    )
    .hint("read the job's log in its folder")
}

/// The error with the patches that are known to be its cause.
fn blamed(
    error: Error,
    read: &AptScan,
    op: &Op<DeployRequest>,
    component: &ComponentId,
    log: &str,
) -> Error {
    if error.kind() != ErrorKind::InstallFailed {
        return error;
    }
    let changes = changes_for(&op.request, component);
    let mut error = match culprits(log).first() {
        Some((name, why)) => Error::new(
            ErrorKind::InstallFailed,
            format!("{component}: {name} failed"),
        )
        .found(format!("{why:?}"))
        .hint("read the job's log in its folder; mend the package, or leave it out"),
        None => error,
    };
    for (culprit, _) in culprits(log) {
        let id = read
            .installed
            .keys()
            .find(|(name, _)| *name == culprit)
            .map_or_else(
                || PatchId::from(culprit.as_str()),
                |(name, arch)| reading::patch_id(name, arch, &read.facts),
            );
        if changes.iter().any(|c| c.patch == id) {
            error = error.blame(id);
        }
    }
    error
}

/// The packages whose own files or scripts failed, with dpkg's words; not those that only wait for such a one.
fn culprits(log: &str) -> Vec<(PackageName, &str)> {
    let mut found: Vec<(PackageName, &str)> = Vec::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("dpkg: error processing ") else {
            continue;
        };
        let why = lines.peek().copied().unwrap_or_default();
        if why.contains("dependency problems") {
            continue;
        }
        let word = rest.split(' ').nth(1).unwrap_or_default();
        let name = if rest.starts_with("archive ") {
            let file = word.rsplit('/').next().unwrap_or_default();
            // apt numbers the files of one call: `003-name_1.0_all.deb`.
            let file = file
                .split_once('-')
                .filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()))
                .map_or(file, |(_, rest)| rest);
            file.split('_').next().unwrap_or_default()
        } else {
            word.split(':').next().unwrap_or_default()
        };
        if let Ok(name) = PackageName::parse(name)
            && !found.iter().any(|(other, _)| *other == name)
        {
            found.push((name, why.trim()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_configuration_file_that_was_kept_is_told() {
        let seen = |log| {
            with_kept(
                Evidence::observed(patchcore::Timestamp::UNIX_EPOCH, "1 of 1"),
                log,
            )
            .saw
        };
        let log = "Configuration file '/etc/pc.conf'\n ==> Modified (by you or by a script) since installation.\n \
            ==> Package distributor has shipped an updated version.\n ==> Keeping old config file as default.\n";
        assert_eq!(
            seen(log),
            "1 of 1 · kept as edited: /etc/pc.conf (the package's own lies beside, .dpkg-dist)"
        );
        assert_eq!(seen("all is well\n"), "1 of 1");
    }

    #[test]
    fn the_one_that_failed_is_blamed_and_not_those_that_wait_for_it() {
        let log = "dpkg: error processing package pc-badpost (--configure):\n installed pc-badpost package post-installation script subprocess returned error exit status 1\n\
            dpkg: dependency problems prevent configuration of pc-web:\n pc-web depends on pc-badpost; however:\n\
            dpkg: error processing package pc-web (--configure):\n dependency problems - leaving unconfigured\n\
            dpkg: error processing archive /tmp/apt-dpkg-install-x/003-lib1_1.0_amd64.deb (--unpack):\n trying to overwrite '/x'\n\
            dpkg: error processing package libc6:i386 (--configure):\n it is broken\n";
        let names: Vec<String> = culprits(log)
            .iter()
            .map(|(name, _)| name.to_string())
            .collect();
        assert_eq!(names, ["pc-badpost", "lib1", "libc6"]);
        assert!(culprits("all is well\n").is_empty());
    }
}
