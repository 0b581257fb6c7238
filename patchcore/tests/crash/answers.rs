//! What the world answers when it is asked about an operation.

use std::time::Duration;

use patchcore::{
    Error, ErrorKind, Result,
    execute::step::{Promise, Verb},
    id::OpKey,
    provider::{
        BracketRequest, DeployRequest, Handle, Located, Observed, Op, PortCall, Progress, Settled,
    },
};

use super::{
    brackets::Wanted,
    world::{
        Before, DELAY, Job, Locating, NEW, OLD, Observing, World, done, failed, subject, unknown,
    },
};

impl World {
    /// How `locate` answers, at this moment.
    pub(crate) fn locate(&mut self, op: &Op<impl Wanted>) -> Result<Located> {
        let request = &op.request.call();
        let subject = subject(request);
        let promise = self.promise(request);
        match self.script.armed.then_some(self.script.locating) {
            Some(Locating::Unknown) => return Ok(unknown()),
            Some(Locating::LeavesOut) => return Ok(Located::Settled(Settled::default())),
            Some(Locating::Fails) => return Err(Error::new(ErrorKind::ProviderFault, "broken")),
            Some(Locating::FailsOnce) => {
                self.script.locating = Locating::Honest;
                return Err(Error::new(ErrorKind::Unreachable, "no answer").retryable(None));
            }
            Some(Locating::Early) if self.at_work(&op.key) => {
                return Ok(Located::Settled(done(&subject, self.now)));
            }
            Some(Locating::Hides) if self.hides(&op.key, promise) => return Ok(Located::NotFound),
            _ => {}
        }
        let visible = |job: &Job| match promise {
            Promise::Locatable => self.since(job.began) >= DELAY || job.over,
            _ => true,
        };
        let found = self.remembered(&op.key).filter(|(_, job)| visible(job));
        let restart = promise == Promise::Locatable && Verb::of(request) == Verb::Reboot;
        match (promise, found) {
            (Promise::Blind, _) if !self.script.talks => Ok(unknown()),
            // A restart leaves no job behind that could be searched for: it is found by the boot id.
            (Promise::Locatable, Some((_, job))) if restart && job.over => self.by_state(op),
            (Promise::Keyed | Promise::Locatable | Promise::Blind, Some((at, job))) => {
                Ok(match self.settled(job) {
                    Some(settled) => Located::Settled(settled),
                    None => Located::Running(Handle::new(1, &at)?),
                })
            }
            (Promise::StateOnly, _) => self.by_state(op),
            _ if restart => self.by_state(op),
            _ => Ok(Located::NotFound),
        }
    }

    /// Whether a begun operation may still be invisible under its promise.
    fn hides(&self, key: &OpKey, promise: Promise) -> bool {
        match (promise, self.job(key)) {
            (Promise::Keyed | Promise::Blind, _) => true,
            (Promise::Locatable, Some(job)) => self.since(job.began) < DELAY,
            (Promise::StateOnly, Some(job)) => !job.over,
            (_, None) => false,
        }
    }

    fn by_state(&self, op: &Op<impl Wanted>) -> Result<Located> {
        let request = &op.request.call();
        let subject = subject(request);
        if self.at_work(&op.key) && self.script.locating != Locating::Early {
            // Somebody sees a tool at work, where that can be seen; otherwise the state is as it was.
            if self.script.talks
                && let Some((at, _)) = self.remembered(&op.key)
            {
                return Ok(Located::Running(Handle::new(1, &at)?));
            }
            return Ok(Located::NotFound);
        }
        if let PortCall::Drain { request, .. } = request {
            return Ok(match self.is_torn(request) {
                true => Located::Settled(failed(&subject)),
                false if self.cluster.holds(request) => Located::Settled(done(&subject, self.now)),
                false => Located::NotFound,
            });
        }
        let guest = self.guest(&subject)?;
        if guest.torn == Some(Verb::of(request)) {
            return Ok(Located::Settled(failed(&subject)));
        }
        let before: Before = op.baseline.read(1)?;
        let holds = match request {
            PortCall::Deploy(DeployRequest::Stage { .. }) => guest.kept.contains(&op.key),
            PortCall::Deploy(DeployRequest::Apply { .. }) => guest.version == NEW,
            PortCall::Deploy(DeployRequest::RollBack { .. }) => {
                guest.version == OLD && guest.broken_from.is_none()
            }
            PortCall::Deploy(DeployRequest::Discard { staged, .. }) => !guest.kept.contains(staged),
            PortCall::Deploy(DeployRequest::Reboot { .. }) => guest.boot != before.boot,
            PortCall::Bracket {
                request: BracketRequest::Take { .. },
                ..
            } => guest.held.has(&op.key),
            PortCall::Bracket {
                request: BracketRequest::GiveBack { taken, .. },
                ..
            } => !guest.held.has(taken),
            _ => guest.refreshed != before.refreshed,
        };
        Ok(if holds {
            Located::Settled(done(&subject, self.now))
        } else {
            Located::NotFound
        })
    }

    /// How `observe` answers, at this moment.
    pub(crate) fn observe(&mut self, op: &Op<impl Wanted>, handle: &Handle) -> Result<Observed> {
        let at: usize = handle.read(1)?;
        match self.script.armed.then_some(self.script.observing) {
            Some(Observing::Lost) => {
                self.lost = true;
                return Ok(Observed::Lost {
                    why: "there is no such job".to_owned(),
                });
            }
            Some(Observing::LeavesOut) => return Ok(Observed::Settled(Settled::default())),
            Some(Observing::Asks) => {
                return Ok(Observed::NeedsPerson(patchcore::provider::Question {
                    id: "1".to_owned(),
                    text: "sure?".to_owned(),
                    choices: Vec::new(),
                }));
            }
            Some(Observing::FailsOnce) => {
                self.script.observing = Observing::Honest;
                return Err(Error::new(ErrorKind::Unreachable, "no answer").retryable(None));
            }
            _ => {}
        }
        let Some(job) = self.jobs.get(at).filter(|j| j.key == op.key) else {
            self.lost = true;
            return Ok(Observed::Lost {
                why: "there is no such job".to_owned(),
            });
        };
        Ok(match self.settled(job) {
            Some(settled) => Observed::Settled(settled),
            None => {
                let left = Duration::try_from(job.ends.duration_since(self.now));
                Observed::Running {
                    progress: Progress::default(),
                    poll_after: left.unwrap_or_default().min(Duration::from_secs(300)),
                }
            }
        })
    }
}
