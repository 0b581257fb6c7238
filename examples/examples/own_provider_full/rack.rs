//! The appliances themselves, in memory and in virtual time. In a house of yours this is an API on the network.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    clock::Clock as _,
    id::{ComponentId, Version},
    sim::VirtualClock,
};

/// So long a flash job takes.
pub(crate) const FLASHING: Duration = Duration::from_secs(100);

/// Some appliances, in memory and in virtual time.
#[derive(Debug, Clone)]
pub(crate) struct Rack {
    clock: VirtualClock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) appliances: BTreeMap<ComponentId, Appliance>,
    jobs: BTreeMap<String, Job>,
}

#[derive(Debug, Clone)]
pub(crate) struct Appliance {
    pub(crate) running: Version,
    /// How often it was flashed.
    pub(crate) flashed: u32,
    /// A firmware with which it does not start; it then runs the bank before.
    pub(crate) cannot_start: Option<Version>,
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) appliance: ComponentId,
    from: Version,
    pub(crate) to: Version,
    pub(crate) ends: Timestamp,
    /// What it ran after its restart, once the job is through.
    pub(crate) runs_after: Option<Version>,
}

impl Rack {
    pub(crate) fn new(clock: &VirtualClock) -> Self {
        Self {
            clock: clock.clone(),
            state: Arc::default(),
        }
    }

    pub(crate) fn with(self, name: &str, running: &str, cannot_start: Option<&str>) -> Self {
        let appliance = Appliance {
            running: running.into(),
            flashed: 0,
            cannot_start: cannot_start.map(Version::from),
        };
        self.state().appliances.insert(name.into(), appliance);
        self
    }

    /// As it is now: jobs whose time has come are through.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let now = self.clock.now();
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { appliances, jobs } = &mut *guard;
        for job in jobs
            .values_mut()
            .filter(|j| j.runs_after.is_none() && j.ends <= now)
        {
            if let Some(appliance) = appliances.get_mut(&job.appliance) {
                appliance.flashed += 1;
                if appliance.cannot_start.as_ref() != Some(&job.to) {
                    appliance.running = job.to.clone();
                }
                job.runs_after = Some(appliance.running.clone());
            }
        }
        guard
    }

    pub(crate) fn appliance(&self, name: &ComponentId) -> Result<Appliance> {
        let unknown = || Error::new(ErrorKind::NotFound, format!("there is no appliance {name}"));
        self.state()
            .appliances
            .get(name)
            .cloned()
            .ok_or_else(unknown)
    }

    pub(crate) fn job(&self, name: &str) -> Option<Job> {
        self.state().jobs.get(name).cloned()
    }

    /// Why a job could not begin now.
    pub(crate) fn in_the_way(&self, name: &ComponentId, from: &Version) -> Option<Error> {
        let at_work = |job: &Job| job.appliance == *name && job.runs_after.is_none();
        if self.state().jobs.values().any(at_work) {
            let busy = format!("{name}: another job is at work");
            return Some(
                Error::new(ErrorKind::Busy, busy)
                    .hint("wait until it is through")
                    .retryable(None),
            );
        }
        let found = match self.appliance(name) {
            Ok(appliance) if appliance.running == *from => return None,
            Ok(appliance) => appliance.running,
            Err(error) => return Some(error),
        };
        let drift = Error::new(
            ErrorKind::PlanDrift,
            format!("{name}: lb-os is not as planned"),
        );
        Some(
            drift
                .expected(from.to_string())
                .found(found.to_string())
                .hint("plan again and have the new plan approved"),
        )
    }

    /// A second start under one name is the first one, or is refused if it asks for something else.
    pub(crate) fn start(
        &self,
        name: &str,
        appliance: &ComponentId,
        from: &Version,
        to: &Version,
    ) -> Result<()> {
        if let Some(job) = self.job(name) {
            return if (&job.appliance, &job.from, &job.to) == (appliance, from, to) {
                Ok(())
            } else {
                Err(Error::new(
                    ErrorKind::ProviderFault,
                    format!("job {name} stands for other work"),
                ))
            };
        }
        if let Some(error) = self.in_the_way(appliance, from) {
            return Err(error);
        }
        let ends = self.clock.now() + FLASHING;
        let job = Job {
            appliance: appliance.clone(),
            from: from.clone(),
            to: to.clone(),
            ends,
            runs_after: None,
        };
        self.state().jobs.insert(name.to_owned(), job);
        Ok(())
    }
}
