//! What a job does to the world: when it begins, and when its time has come.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    chance::{draw, duration},
    guest::{Guest, Power, Stage, ToolUse},
    history::{Boot, Transaction},
    job::{Job, Task},
    readiness::{changes_for, is_at},
    world::{Due, World},
};
use crate::{
    clock::later,
    error::{Error, ErrorKind, Failure},
    estate::{PatchChange, RunningOld},
    id::{ComponentId, OpKey, PatchId},
    provider::{DeployRequest, Evidence, Op, PortRequest, SubjectResult},
};

/// How long a tool waits for a component to come back from a restart: far beyond what a healthy one needs.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30 * 60);

type Outcome = Result<Evidence, Failure>;

impl World {
    /// Begins an operation that is ready on all its components. Returns the job.
    pub(super) fn start(&mut self, op: &Op<DeployRequest>) -> u64 {
        let subjects = op.request.subjects();
        let tasks: BTreeMap<ComponentId, Task> = subjects
            .iter()
            .map(|s| {
                let ends = later(self.now, self.takes(&op.request, s));
                (s.clone(), Task { ends, result: None })
            })
            .collect();
        let job = self.jobs.add(Job {
            key: op.key.clone(),
            request: op.request.clone(),
            began: self.now,
            tasks: tasks.clone(),
        });
        for (component, task) in tasks {
            self.occupy(job, &op.request, &component);
            if task.ends <= self.now {
                self.task_ends(job, &component);
            } else {
                self.when(task.ends, Due::TaskEnds { job, component });
            }
        }
        job
    }

    pub(super) fn takes(
        &self,
        request: &DeployRequest,
        component: &ComponentId,
    ) -> std::time::Duration {
        let verb = request.verb();
        let Some(guest) = self.guests.get(component) else {
            return std::time::Duration::ZERO;
        };
        match request {
            DeployRequest::Discard { .. } => return std::time::Duration::ZERO,
            DeployRequest::Reboot { .. } if self.scripts.restart_never_returns(component) => {
                return PATIENCE;
            }
            _ => {}
        }
        let changes = changes_for(request, component);
        let mut about = vec![verb.to_owned(), component.to_string()];
        about.extend(changes.iter().map(ToString::to_string));
        if verb == "reboot" {
            // Every restart of one component has a duration of its own.
            about.push(guest.boots.to_string());
        }
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        let drawn = duration(
            self.estimate(guest, verb, &changes),
            draw(self.seed, &about),
        );
        self.scripts.slowed(component, verb, drawn)
    }

    /// Takes what the job needs for as long as it runs.
    fn occupy(&mut self, job: u64, request: &DeployRequest, component: &ComponentId) {
        let changes = changes_for(request, component);
        let now = self.now;
        let Some(guest) = self.guests.get(component) else {
            return;
        };
        let open: Vec<PatchChange> = changes
            .into_iter()
            .filter(|c| !is_at(guest, &c.patch, c.to.as_ref()))
            .collect();
        let disruptive = self.disturbs(guest, &open);
        if let Some(guest) = self.guests.get_mut(component) {
            match request {
                DeployRequest::Apply { .. } | DeployRequest::RollBack { .. } => {
                    guest.tool = Some(ToolUse {
                        job,
                        since: now,
                        disruptive,
                    });
                }
                DeployRequest::Reboot { .. } => guest.power = Power::Restarting,
                _ => {}
            }
        }
        self.account(component);
    }

    /// A job ends on one of its components.
    pub(super) fn task_ends(&mut self, job: u64, component: &ComponentId) {
        let Some((key, request, began)) = self
            .jobs
            .get(job)
            .filter(|j| j.tasks.get(component).is_some_and(|t| t.result.is_none()))
            .map(|j| (j.key.clone(), j.request.clone(), j.began))
        else {
            // Whoever took the power away has settled it already.
            return;
        };
        let changes = changes_for(&request, component);
        let outcome = match &request {
            DeployRequest::Refresh { .. } => self.refreshed(component),
            DeployRequest::Stage { .. } => self.staged(component, &key, &changes),
            DeployRequest::Apply { .. } => self.applied(component, &key, began, &changes),
            DeployRequest::RollBack { staged, .. } => {
                self.rolled_back(component, &key, began, &changes, staged)
            }
            DeployRequest::Reboot { .. } => self.restarted(component, &key),
            DeployRequest::Discard { staged, .. } => self.discarded(component, staged),
        };
        self.settle(job, component, outcome);
        if let Some(guest) = self.guests.get_mut(component) {
            guest.tool = guest.tool.filter(|t| t.job != job);
        }
        self.account(component);
    }

    pub(super) fn settle(&mut self, job: u64, component: &ComponentId, outcome: Outcome) {
        let now = self.now;
        let task = self
            .jobs
            .get_mut(job)
            .and_then(|j| j.tasks.get_mut(component));
        if let Some(task) = task {
            task.ends = now;
            task.result = Some(match outcome {
                Ok(evidence) => SubjectResult::Done(evidence),
                Err(failure) => SubjectResult::Failed(failure),
            });
        }
    }

    fn refreshed(&mut self, component: &ComponentId) -> Outcome {
        let now = self.now;
        let guest = self.guest_mut(component).map_err(|e| Failure::from(&e))?;
        guest.refreshed = now;
        Ok(Evidence::observed(now, format!("catalogue as of {now}")))
    }

    fn staged(&mut self, component: &ComponentId, key: &OpKey, changes: &[PatchChange]) -> Outcome {
        let now = self.now;
        let guest = self.guest(component).map_err(|e| Failure::from(&e))?;
        let mut stage = Stage::default();
        for change in changes {
            if let Some(to) = &change.to {
                stage.fetched.insert((change.patch.clone(), to.clone()));
            }
            if let Some(from) = &change.from
                && self.has_old(guest, &change.patch, from)
            {
                stage.kept.insert((change.patch.clone(), from.clone()));
            }
        }
        let saw = format!(
            "{} of {} fetched, {} old kept",
            stage.fetched.len(),
            changes.len(),
            stage.kept.len()
        );
        let guest = self.guest_mut(component).map_err(|e| Failure::from(&e))?;
        guest.stages.insert(key.clone(), stage);
        Ok(Evidence::observed(now, saw))
    }

    fn applied(
        &mut self,
        component: &ComponentId,
        key: &OpKey,
        began: Timestamp,
        changes: &[PatchChange],
    ) -> Outcome {
        let mut went_in = Vec::new();
        let mut failed = BTreeSet::new();
        let mut lied = false;
        for change in changes {
            let guest = self.guest(component).map_err(|e| Failure::from(&e))?;
            if is_at(guest, &change.patch, change.to.as_ref()) {
                continue;
            }
            if self.scripts.lies(component, &change.patch) {
                lied = true;
                continue;
            }
            let to = change.to.as_ref();
            let breaks = self.scripts.postinst_fails(component, &change.patch, to);
            self.put(component, change);
            if breaks {
                failed.insert(change.patch.clone());
            }
            went_in.push(change.clone());
        }
        let guest = self.guest_mut(component).map_err(|e| Failure::from(&e))?;
        guest.half_configured.extend(failed.iter().cloned());
        self.record(component, key, "apply", began, went_in, &failed);
        if !failed.is_empty() {
            return Err(postinst_failed(component, changes, &failed));
        }
        if lied {
            let evidence = Evidence::observed(self.now, "the tool says that it is done");
            return Ok(evidence.with_claim("exit status 0"));
        }
        self.read_back(component, changes)
    }

    fn rolled_back(
        &mut self,
        component: &ComponentId,
        key: &OpKey,
        began: Timestamp,
        changes: &[PatchChange],
        staged: &OpKey,
    ) -> Outcome {
        let mut went_back = Vec::new();
        let damaged = self.scripts.roll_back_fails(component);
        for change in changes {
            let guest = self.guest(component).map_err(|e| Failure::from(&e))?;
            if damaged || is_at(guest, &change.patch, change.to.as_ref()) {
                continue;
            }
            let to = change.to.as_ref();
            if to.is_none_or(|to| self.can_get_old(guest, &change.patch, to, staged)) {
                self.put(component, change);
                went_back.push(change.clone());
            }
        }
        self.record(
            component,
            key,
            "roll_back",
            began,
            went_back,
            &BTreeSet::new(),
        );
        self.read_back(component, changes)
    }

    /// Brings one package to where a change wants it, with what that means for what runs.
    pub(super) fn put(&mut self, component: &ComponentId, change: &PatchChange) {
        let Some(guest) = self.guests.get(component) else {
            return;
        };
        let runs = guest.installed.get(&change.patch).cloned();
        let impact = self.catalogue.impact(component, change);
        let old_code = self
            .scripts
            .old_code(component, &change.patch, change.to.as_ref());
        let now_maps = change
            .to
            .as_ref()
            .map(|to| format!("{} {to}", change.patch));
        let Some(guest) = self.guests.get_mut(component) else {
            return;
        };
        if impact >= crate::estate::Impact::Reboot {
            guest
                .still_runs
                .entry(change.patch.clone())
                .or_insert_with(|| runs.clone());
        }
        guest.put(&change.patch, change.to.as_ref());
        if let Some(running_old) = &mut guest.running_old {
            running_old.retain(|r| Some(&r.maps) != now_maps.as_ref());
            if let (Some(who), Some(runs)) = (old_code, runs) {
                running_old.push(RunningOld {
                    who,
                    maps: format!("{} {runs}", change.patch),
                });
            }
        }
    }

    pub(super) fn record(
        &mut self,
        component: &ComponentId,
        key: &OpKey,
        verb: &'static str,
        began: Timestamp,
        changes: Vec<PatchChange>,
        failed: &BTreeSet<PatchId>,
    ) {
        let ended = self.now;
        if let Some(guest) = self.guests.get_mut(component) {
            guest.history.transactions.push(Transaction {
                key: key.clone(),
                verb,
                began,
                ended,
                changes,
                failed: failed.clone(),
            });
        }
    }

    /// The result as it is read from the component, whatever the tool says of itself.
    fn read_back(&self, component: &ComponentId, changes: &[PatchChange]) -> Outcome {
        let guest = self.guest(component).map_err(|e| Failure::from(&e))?;
        if let Some(evidence) = self.holds(guest, changes) {
            return Ok(evidence);
        }
        let open: Vec<&PatchChange> = changes
            .iter()
            .filter(|c| !is_at(guest, &c.patch, c.to.as_ref()))
            .collect();
        let names: Vec<String> = open.iter().map(|c| c.to_string()).collect();
        let error = Error::new(
            ErrorKind::InstallFailed,
            format!("{component}: {} did not go through", names.join(", ")),
        )
        .found(there(guest, &open))
        .hint(format!("read /var/log/apt/term.log on {component}"));
        let error = open.iter().fold(error, |e, c| e.blame(c.patch.clone()));
        Err(Failure::from(&error))
    }

    fn restarted(&mut self, component: &ComponentId, key: &OpKey) -> Outcome {
        let before = self
            .guest(component)
            .map_err(|e| Failure::from(&e))?
            .boot_id
            .clone();
        self.started(component, Some(key));
        let guest = self.guest(component).map_err(|e| Failure::from(&e))?;
        if guest.power == Power::Gone {
            let error = Error::new(
                ErrorKind::Unreachable,
                format!("{component} did not come back within 30 minutes of its restart"),
            )
            .hint(format!("look at the console of {component}"));
            return Err(Failure::from(&error));
        }
        let facts = serde_json::json!({"boot_id_before": before, "boot_id": guest.boot_id});
        Ok(Evidence::observed(self.now, "boot id changed").with_facts(facts))
    }

    /// A restart comes to its end, whoever wanted it.
    pub(super) fn started(&mut self, component: &ComponentId, asked_by: Option<&OpKey>) {
        let (now, seed) = (self.now, self.seed);
        let gone = self.scripts.restart_never_returns(component);
        if let Some(guest) = self.guests.get_mut(component) {
            if gone {
                guest.power = Power::Gone;
            } else {
                guest.started(seed);
                let boot = Boot {
                    id: guest.boot_id.clone(),
                    at: now,
                    asked_by: asked_by.cloned(),
                };
                guest.history.boots.push(boot);
            }
        }
        self.account(component);
    }

    fn discarded(&mut self, component: &ComponentId, staged: &OpKey) -> Outcome {
        let now = self.now;
        let guest = self.guest_mut(component).map_err(|e| Failure::from(&e))?;
        let saw = match guest.stages.remove(staged) {
            Some(_) => "what was kept is gone",
            None => "nothing was kept",
        };
        Ok(Evidence::observed(now, saw))
    }
}

/// What is there of these: `nginx 1.1-1, no curl`.
fn there(guest: &Guest, changes: &[&PatchChange]) -> String {
    let said = changes.iter().map(|c| match guest.installed.get(&c.patch) {
        Some(version) => format!("{} {version}", c.patch),
        None => format!("no {}", c.patch),
    });
    said.collect::<Vec<_>>().join(", ")
}

fn postinst_failed(
    component: &ComponentId,
    changes: &[PatchChange],
    failed: &BTreeSet<PatchId>,
) -> Failure {
    let names: Vec<&str> = failed.iter().map(PatchId::as_str).collect();
    let error = Error::new(
        ErrorKind::InstallFailed,
        format!(
            "{component}: the postinst script of {} failed",
            names.join(" and of ")
        ),
    )
    .consequence(format!(
        "{} of {} packages went in",
        changes.len() - failed.len(),
        changes.len()
    ))
    .hint(format!("read /var/log/apt/term.log on {component}"));
    let error = failed.iter().fold(error, |e, p| e.blame(p.clone()));
    Failure::from(&error)
}
