//! A restart that was asked for, as it looks from here until the machine is back.
//!
//! Only another boot id says that it restarted. Until then no answer is the answer that is expected, and no word of
//! the machine is taken for more than it is: sshd refuses logins while the system goes down and while it comes up.

use std::{collections::BTreeSet, time::Duration};

use patchcore::{
    Error, ErrorKind, Failure, Result, Timestamp,
    provider::{
        DeployRequest, Evidence, Handle, Located, Observed, Op, OpContext, Progress, Settled,
    },
};

use super::{
    JobHandle,
    readiness::{Before, V},
    unseen,
};
use crate::{
    client::Machine,
    job::{JobId, Phase, Poll},
    pm::apt::Facts,
};

/// How a restart stands.
enum Restart {
    /// It goes on, or it is not seen to be over.
    Open(String),
    /// It is over.
    Settled(Settled),
    /// The machine knows nothing of it.
    Unknown,
}

impl Machine {
    /// Finds a restart again. Of a machine that does not answer nobody can tell whether it was ever asked to.
    pub(super) async fn located_restart(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        id: JobId,
    ) -> Result<Located> {
        let before: Before = op.baseline.read(V)?;
        let facts = self.facts(ctx).await?;
        let begun = ctx.now();
        Ok(match self.seen(ctx, op, &id, &before, &facts).await? {
            Restart::Open(_) => Located::Running(Handle::new(V, &JobHandle::begun(id, begun))?),
            Restart::Settled(settled) => Located::Settled(settled),
            Restart::Unknown => Located::NotFound,
        })
    }

    /// Looks how far a restart is that was begun at some time by our clock.
    pub(super) async fn observed_restart(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        id: &JobId,
        begun: Timestamp,
    ) -> Result<Observed> {
        let before: Before = op.baseline.read(V)?;
        let since = || Duration::try_from(ctx.now().duration_since(begun)).unwrap_or_default();
        let is_overdue = || since() > self.config.restart_within;
        let look = async {
            let facts = self.facts(ctx).await?;
            let restart = self.seen(ctx, op, id, &before, &facts).await?;
            Ok::<_, Error>((restart, facts))
        };
        let message = match look.await {
            Ok((Restart::Settled(settled), _)) => return Ok(Observed::Settled(settled)),
            Ok((Restart::Unknown, _)) => {
                return Ok(Observed::Lost {
                    why: format!("the machine does not know job {id} any more"),
                });
            }
            Ok((Restart::Open(said), facts)) => {
                if is_overdue() {
                    return Ok(failed(&before, self.not_restarted(&before, &facts, begun)));
                }
                said
            }
            Err(error) if !is_away(&error) => return Err(error),
            Err(error) => {
                if is_overdue() {
                    return Ok(failed(&before, self.not_back(&before, begun, error)));
                }
                format!("is away for its restart, for {} s", since().as_secs())
            }
        };
        // A guest is back within a second or two, a large server after a quarter of an hour.
        let poll_after = (since() / 10).clamp(Duration::from_millis(500), Duration::from_secs(10));
        Ok(Observed::Running {
            progress: Progress::message(message),
            poll_after,
        })
    }

    /// What a machine that answers says of its restart.
    async fn seen(
        &self,
        ctx: &OpContext,
        op: &Op<DeployRequest>,
        id: &JobId,
        before: &Before,
        facts: &Facts,
    ) -> Result<Restart> {
        if facts.boot_id != before.boot_id {
            return Ok(match facts.is_starting() {
                true => Restart::Open("is back, and systemd is still starting".to_owned()),
                false => Restart::Settled(back(before, facts, ctx.now())),
            });
        }
        let poll = Poll {
            most: 0,
            ..Poll::default()
        };
        let look = self.poll(ctx, id, poll, &[]).await?;
        let status = &look.status;
        Ok(match status.phase {
            Phase::Absent | Phase::Prepared => Restart::Unknown,
            Phase::Refused => return Err(unseen(id, status)),
            Phase::Done if status.status == Some(0) => {
                Restart::Open("waits for the restart".to_owned())
            }
            // A runner that died in the middle of going down has asked for the restart all the same.
            Phase::Claimed | Phase::Running => Restart::Open("asks for the restart".to_owned()),
            Phase::LostDied if status.ran => Restart::Open("goes down".to_owned()),
            _ => Restart::Settled(self.settled(ctx, op, id, look).await?),
        })
    }

    fn not_restarted(&self, before: &Before, facts: &Facts, begun: Timestamp) -> Error {
        let name = &before.component;
        let within = self.config.restart_within.as_secs() / 60;
        Error::new(
            ErrorKind::Timeout,
            format!("{name} did not restart within {within} min"),
        )
        .expected(format!("another boot id than {}", before.boot_id))
        .found(match facts.boot_id == before.boot_id {
            true => format!("the same, and the machine at work; asked to restart at {begun}"),
            false => format!("{}, and systemd still starting", facts.boot_id),
        })
        .hint("look with `systemctl list-jobs` at what holds it up, restart it by hand, then resolve the step")
    }

    fn not_back(&self, before: &Before, begun: Timestamp, last: Error) -> Error {
        let name = &before.component;
        let within = self.config.restart_within.as_secs() / 60;
        Error::new(
            ErrorKind::Unreachable,
            format!("{name} did not come back from its restart within {within} min"),
        )
        .expected(format!("another boot id than {}", before.boot_id))
        .found(format!(
            "no answer; last seen when it was asked to restart, at {begun}"
        ))
        .consequence("it may be down")
        .hint("look at its console; when it is up again, resolve the step")
        .source_error(last)
    }
}

/// Whether an error is what a machine answers with that goes down or comes up. A host key that changed is not, and
/// neither is an answer that nobody understands.
fn is_away(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unreachable
            | ErrorKind::Timeout
            | ErrorKind::AuthzDenied
            | ErrorKind::Busy
            | ErrorKind::Io
    )
}

fn failed(before: &Before, error: Error) -> Observed {
    Observed::Settled(Settled::failed(
        before.component.clone(),
        Failure::from(&error),
    ))
}

/// The result of a restart that is over. That systemd is degraded is no fault of the restart where it was so before.
fn back(before: &Before, facts: &Facts, at: Timestamp) -> Settled {
    let name = before.component.clone();
    let none = BTreeSet::new();
    let known = before.failed_units.as_ref().unwrap_or(&facts.failed_units);
    let new: Vec<&str> = facts
        .failed_units
        .difference(known)
        .map(String::as_str)
        .collect();
    let saw = format!("boot id was {}, is {}", before.boot_id, facts.boot_id);
    if new.is_empty() {
        let old = before.failed_units.as_ref().unwrap_or(&none);
        let saw = match old.intersection(&facts.failed_units).count() {
            0 => saw,
            n => format!("{saw}; {n} failed as before"),
        };
        return Settled::done(name, Evidence::observed(at, saw));
    }
    let units = new.join(", ");
    let error = Error::new(
        ErrorKind::Unhealthy,
        format!("{name} restarted, and what ran before failed to start: {units}"),
    )
    .expected("no failed unit beside those of before")
    .found(units.clone())
    .consequence(format!("it did restart: {saw}"))
    .hint(format!(
        "read `systemctl status {}`, mend it, then resolve the step",
        new.join(" ")
    ));
    Settled::failed(name, Failure::from(&error))
}
