//! One machine, and what is asked of it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use patchcore::{Error, ErrorKind, Result, id::ComponentId, provider::OpContext};

use crate::{
    config::LocalConfig,
    error,
    job::{Job, JobId, JobStatus, Jobs, Poll},
    pm::apt::{AptScan, Clocks, Facts, PackageName, facts_script, scan_script_about},
    transport::{Output, Script, Transport},
};

/// A scan takes seconds; a machine under full load with 5,000 packages took half a minute.
const SCAN_WITHIN: Duration = Duration::from_secs(300);

/// Starting and asking are done in a moment; a start waits up to five seconds for its runner.
const ASK_WITHIN: Duration = Duration::from_secs(60);

/// How often a scan is repeated when packages changed while it read them: an upgrade changes them for minutes,
/// and the engine asks again later.
const SCANS: u32 = 3;

/// The most of a job's log that is read, in bytes: a hundred times what an upgrade of a release writes.
const LONGEST_LOG: u64 = 16 << 20;

/// One machine.
pub(crate) struct Machine {
    pub(crate) config: LocalConfig,
    /// Where it is reached, as far as somebody said so.
    pub(crate) address: Option<String>,
    transport: Arc<dyn Transport>,
    /// Whether it is the one that we run on.
    pub(crate) is_own: bool,
    /// Whether it is restarted when asked.
    pub(crate) restarts: bool,
    asked: AtomicU64,
}

/// What one script read.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) facts: Facts,
    pub(crate) clocks: Clocks,
    /// The error where only the facts were understood.
    pub(crate) scan: Result<AptScan>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("config", &self.config)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl Machine {
    pub(crate) fn new(config: LocalConfig, transport: Arc<dyn Transport>, is_own: bool) -> Self {
        let config_restarts = config.reboot;
        Self {
            config,
            address: is_own.then(|| "127.0.0.1".to_owned()),
            transport,
            restarts: config_restarts && !is_own,
            is_own,
            asked: AtomicU64::new(0),
        }
    }

    /// Its name in the estate.
    pub(crate) fn name(&self, facts: &Facts) -> ComponentId {
        self.config
            .name
            .clone()
            .unwrap_or_else(|| ComponentId::from(facts.node.as_str()))
    }

    /// What the machine is; a moment's work.
    pub(crate) async fn facts(&self, ctx: &OpContext) -> Result<Facts> {
        let id = self.ask_id("facts");
        let output = self.run(ctx, &facts_script(&id)?, ASK_WITHIN).await?;
        AptScan::parse_facts(&id, &output.stdout)
    }

    /// Where it is reached.
    pub(crate) fn at(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// An error where a component is not this machine. One that has a name was found by it.
    pub(crate) fn is_meant(&self, component: &ComponentId, facts: &Facts) -> Result<()> {
        let own = self.name(facts);
        match *component == own {
            true => Ok(()),
            false => Err(error::unknown(component, [&own])),
        }
    }

    /// All that apt, dpkg and the system say; also which versions of these packages can be had.
    pub(crate) async fn scan(
        &self,
        ctx: &OpContext,
        about: &[PackageName],
    ) -> Result<(AptScan, Clocks)> {
        let look = self.look(ctx, about).await?;
        Ok((look.scan?, look.clocks))
    }

    /// The same, where what the machine is can be known though what apt says is not understood.
    pub(crate) async fn look(&self, ctx: &OpContext, about: &[PackageName]) -> Result<Look> {
        let mut nth = 1;
        loop {
            ctx.check()?;
            let id = self.ask_id("scan");
            let script = scan_script_about(&id, self.config.jobs.base(), about)?;
            let asked = ctx.now();
            let output = self.run(ctx, &script, SCAN_WITHIN).await?;
            let answered = ctx.now();
            let scan = match AptScan::parse(&id, &output.stdout) {
                Err(error) if error.kind() == ErrorKind::Busy && nth < SCANS => {
                    nth += 1;
                    ctx.sleep(Duration::from_secs(1)).await;
                    continue;
                }
                answer => answer,
            };
            let facts = match &scan {
                Ok(scan) => scan.facts.clone(),
                Err(_) => AptScan::parse_facts(&id, &output.stdout)?,
            };
            // Our own machine has no other clock, whatever time the caller plays with.
            let clocks = match self.is_own {
                true => Clocks::agreed(asked),
                false => Clocks::compared(asked, answered, &facts),
            };
            return Ok(Look {
                facts,
                clocks,
                scan,
            });
        }
    }

    /// Its jobs, on behalf of whoever holds its lock by the caller's word.
    fn jobs(&self, ctx: &OpContext) -> Jobs {
        self.config.jobs.clone().with_fence(ctx.fence())
    }

    /// Starts a job, or finds the one that was started under its id.
    pub(crate) async fn start(&self, ctx: &OpContext, job: &Job) -> Result<JobStatus> {
        let script = self.jobs(ctx).start(job, ctx.now())?;
        let output = self.run(ctx, &script, ASK_WITHIN).await?;
        JobStatus::parse(&job.id, &output.stdout)
    }

    /// Asks how a job stands.
    pub(crate) async fn poll(&self, ctx: &OpContext, id: &JobId, poll: Poll) -> Result<JobStatus> {
        let script = self.jobs(ctx).poll(id, poll)?;
        let output = self.run(ctx, &script, ASK_WITHIN + poll.wait).await?;
        JobStatus::parse(id, &output.stdout)
    }

    /// How a job stands, with its whole log.
    pub(crate) async fn read(&self, ctx: &OpContext, id: &JobId) -> Result<(JobStatus, String)> {
        let mut log = Vec::new();
        loop {
            let poll = Poll {
                offset: Some(log.len() as u64),
                most: 1 << 20,
                wait: Duration::ZERO,
            };
            let status = self.poll(ctx, id, poll).await?;
            log.extend_from_slice(&status.log);
            let read = log.len() as u64;
            if status.log.is_empty() || read >= status.log_size || read >= LONGEST_LOG {
                return Ok((status, String::from_utf8_lossy(&log).into_owned()));
            }
        }
    }

    /// Runs a script that is through in a moment.
    pub(crate) async fn run_briefly(&self, ctx: &OpContext, script: &Script) -> Result<Output> {
        self.run(ctx, script, ASK_WITHIN).await
    }

    /// Runs a script within its limit and the caller's deadline.
    pub(crate) async fn run(
        &self,
        ctx: &OpContext,
        script: &Script,
        limit: Duration,
    ) -> Result<Output> {
        let left = ctx.time_left().min(limit);
        if left.is_zero() {
            return Err(Error::new(
                ErrorKind::Timeout,
                "the deadline passed before it was asked",
            )
            .retryable(None));
        }
        self.transport.run(script, left).await
    }

    /// Marks of one answer differ from those of every other, also where output is mixed up.
    pub(crate) fn ask_id(&self, what: &str) -> String {
        let nth = self.asked.fetch_add(1, Ordering::Relaxed);
        format!("{what}-{}-{nth}", std::process::id())
    }
}
