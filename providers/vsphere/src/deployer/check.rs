//! What vLCM's own check says of hosts before an image is put into them: asked before anything leaves a host.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    estate::Unhealthy,
    id::ComponentId,
    provider::{Blocker, OpContext, Progress},
};

use super::{
    now::ImageNow,
    ready::{busy_with, unhealthy},
    scan::{ANEW, compared},
};
use crate::{
    drainer::{VsphereCluster, ready::blocker},
    vlcm::{self, ApiTask, Refusal, TaskEnd, Verdict, Word},
};

/// The last check of this process: when it was over, of which hosts, and what it came to.
#[derive(Debug, Default)]
pub(crate) struct LastCheck(Option<(Timestamp, BTreeSet<ComponentId>, Vec<Blocker>)>);

/// Where no remedy is told.
const LOOK: &str =
    "look at the check in the vSphere client, and have it checked anew when it is put right";

impl VsphereCluster {
    /// Has vLCM check these hosts for the image that is to be put into them, and says all that stands against it;
    /// nothing where nothing does, where each runs it already, and where the cluster has no image.
    ///
    /// A roll asks this before it holds the first setting of its cluster, and so before anything is done to a machine.
    /// What a check found is part of every scan after it, until another one finds otherwise. It changes nothing but
    /// vLCM's own report, takes vLCM minutes where there are many hosts, and ends in the vCenter too where the caller is
    /// asked to stop.
    ///
    /// # Errors
    /// The vCenter could not be asked. What it says against a host is no error, but a blocker.
    pub async fn check(&self, ctx: &OpContext, hosts: &[ComponentId]) -> Result<Vec<Blocker>> {
        ctx.check()?;
        let asked = ctx.now();
        let hosts: BTreeSet<ComponentId> = hosts.iter().cloned().collect();
        let mut last = self.inner.last_check.lock().await;
        if let Some((over, of, blockers)) = &last.0
            && *over >= asked
            && *of == hosts
        {
            // It was under way when this caller asked.
            return Ok(blockers.clone());
        }
        let image = match hosts.is_empty() {
            true => None,
            false => self.image_now().await?,
        };
        let Some(now) = image else {
            return Ok(Vec::new());
        };
        let (seen, _) = self.hosts_now(&hosts, false).await?;
        let mut blockers = Vec::new();
        let mut asks = BTreeMap::new();
        for (id, host) in seen {
            match host {
                Ok(host) if host.version.as_ref() == Some(&now.image.version) => {}
                Ok(host) => {
                    let faults = compared(&host, Some(&now));
                    if faults.is_empty() {
                        asks.insert(host.object.id.to_string(), id);
                    } else {
                        blockers.extend(faults.into_iter().map(|fault| unhealthy(&id, fault)));
                    }
                }
                Err(error) => blockers.push(blocker(error)),
            }
        }
        if !asks.is_empty() {
            blockers.extend(self.checked(ctx, &now, &asks).await?);
        }
        last.0 = Some((ctx.now(), hosts, blockers.clone()));
        Ok(blockers)
    }

    async fn checked(
        &self,
        ctx: &OpContext,
        now: &ImageNow,
        hosts: &BTreeMap<String, ComponentId>,
    ) -> Result<Vec<Blocker>> {
        let (vcenter, object) = (&self.inner.vcenter, &self.inner.object);
        let _turn = self.inner.turn.lock().await;
        let tasks = vcenter.api_tasks(object).await?;
        let user = vcenter.user().await;
        let ours = |task: &&ApiTask| task.verb == "check" && task.may_be_by(&user);
        let mut open = tasks.iter().filter(|task| task.is_open());
        match open.next() {
            // One of an earlier process: of which hosts it is nobody can say.
            Some(task) if ours(&task) => {
                self.followed(ctx, &task.id).await?;
            }
            Some(task) => return Ok(vec![busy_with(task)]),
            None => {}
        }
        let commit = now.compliance.commit.clone().unwrap_or_default();
        let ids: Vec<&str> = hosts.keys().map(|host| &**host).collect();
        let id = match vcenter
            .start_api_task(&vlcm::check(object, &commit, &ids))
            .await?
        {
            Ok(id) => id,
            Err(fault) => {
                let error = fault.into_error("vLCM's check before the image is put in");
                return Ok(vec![blocker(error.consequence("nothing was begun"))]);
            }
        };
        let over = self.followed(ctx, &id).await?;
        Ok(judged(&self.id(), hosts, &commit, over.as_ref()))
    }

    /// The task when it is over; none where the vCenter forgot it. It ends with who waits for it.
    async fn followed(&self, ctx: &OpContext, id: &str) -> Result<Option<ApiTask>> {
        self.inner.asked.begins(id);
        let mut pause = self.inner.asked.began(id).unwrap_or_default();
        loop {
            ctx.sleep(pause).await;
            if let Err(stopped) = ctx.check() {
                self.inner.asked.over(id);
                // Whether it can be stopped is the vCenter's business.
                let _ = self.inner.vcenter.cancel_api_task(id).await;
                return Err(stopped);
            }
            let task = self.inner.vcenter.api_task(id).await?;
            match task {
                Some(task) if task.is_open() => {
                    ctx.progress(Progress {
                        percent: task.percent,
                        message: Some("vLCM checks the hosts".to_owned()),
                    });
                    pause = self.inner.asked.next(id);
                }
                over => {
                    self.inner.asked.over(id);
                    return Ok(over);
                }
            }
        }
    }
}

/// What the last check, of the image as it is now, has against a host that does not run it yet.
pub(super) fn refusals(now: &ImageNow, host: &str) -> Vec<Unhealthy> {
    let Some(checked) = &now.checked else {
        return Vec::new();
    };
    if now.compliance.commit.as_ref() != Some(&checked.commit) {
        return Vec::new();
    }
    // What may pass is asked again before a roll; and of the cluster only that says how it is then.
    let refused = checked.hosts.get(host);
    let refused = refused.filter(|verdict| verdict.word == Word::Refused);
    let refused = refused.map_or_else(Vec::new, reasons).into_iter();
    refused
        .filter(|refusal| refusal.word == Word::Refused)
        .map(|refusal| Unhealthy {
            what: format!(
                "vLCM's check at {} refuses it: {}",
                checked.at, refusal.what
            ),
            remedy: refusal.remedy.unwrap_or_else(|| LOOK.to_owned()),
        })
        .collect()
}

/// At least one, where it does not pass.
fn reasons(verdict: &Verdict) -> Vec<Refusal> {
    if verdict.word == Word::Passes || !verdict.why.is_empty() {
        return verdict.why.clone();
    }
    vec![Refusal {
        word: verdict.word,
        what: "it gives no reason".to_owned(),
        remedy: None,
    }]
}

/// Everything that stands against the hosts of a check. What it does not say counts against them.
fn judged(
    cluster: &ComponentId,
    names: &BTreeMap<String, ComponentId>,
    commit: &str,
    task: Option<&ApiTask>,
) -> Vec<Blocker> {
    let nothing = |error: Error| vec![blocker(error.consequence("nothing was begun"))];
    let checked = match task.map(|task| (&task.end, &task.checked)) {
        Some((TaskEnd::Failed(fault), _)) => {
            let what = format!("vLCM's check of {cluster}");
            return nothing(fault.clone().into_error(&what));
        }
        Some((_, Some(checked))) => checked,
        _ => {
            return nothing(
                Error::new(
                    ErrorKind::Unhealthy,
                    format!("vLCM does not say what its check of {cluster} came to"),
                )
                .hint(LOOK)
                .retryable(None),
            );
        }
    };
    if checked.commit != commit {
        return nothing(
            Error::new(
                ErrorKind::PlanDrift,
                format!("vLCM checked the hosts of {cluster} for another state of the image"),
            )
            .expected(format!("commit {commit}"))
            .found(format!("commit {}", checked.commit))
            .hint(ANEW),
        );
    }
    let mut all = Vec::new();
    let whole = checked
        .cluster
        .as_ref()
        .map(|verdict| (cluster, Some(verdict)));
    let each = names.iter().map(|(id, name)| (name, checked.hosts.get(id)));
    for (subject, verdict) in whole.into_iter().chain(each) {
        match verdict {
            Some(verdict) => {
                let reasons = reasons(verdict).into_iter();
                all.extend(reasons.map(|refusal| blocker(refused(subject, refusal))));
            }
            None => all.push(blocker(
                Error::new(
                    ErrorKind::Unhealthy,
                    format!("vLCM's check says nothing of {subject}"),
                )
                .consequence("nothing was begun")
                .hint(LOOK),
            )),
        }
    }
    if all.is_empty() && checked.word != Word::Passes {
        let refusal = Refusal {
            word: checked.word,
            what: "it says neither of which host nor why".to_owned(),
            remedy: None,
        };
        all.push(blocker(refused(cluster, refusal)));
    }
    all
}

fn refused(subject: &ComponentId, refusal: Refusal) -> Error {
    let Refusal { word, what, remedy } = refusal;
    let error = match word {
        Word::Again => Error::new(
            ErrorKind::Busy,
            format!("vLCM's check of {subject} did not work this time: {what}"),
        )
        .retryable(None),
        Word::Timeout => Error::new(
            ErrorKind::Timeout,
            format!("vLCM's check of {subject} did not come to an end: {what}"),
        ),
        Word::Passes | Word::Refused => Error::new(
            ErrorKind::Unhealthy,
            format!("vLCM's check refuses {subject}: {what}"),
        ),
    };
    error
        .consequence("nothing was begun")
        .hint(remedy.unwrap_or_else(|| LOOK.to_owned()))
}
