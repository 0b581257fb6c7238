//! One machine, and what is asked of it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use patchcore::{Error, ErrorKind, Result, Timestamp, id::ComponentId, provider::OpContext};

use crate::{
    config::LocalConfig,
    error,
    job::{Job, JobId, JobStatus, Jobs, Poll},
    pm::apt::{
        AptScan, Clocks, Facts, Named, NamedScan, PackageName, WantedScan, facts_script,
        named_script, scan_script_about, wanted_script, with_named,
    },
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

/// How a job stands.
#[derive(Debug)]
pub(crate) struct JobLook {
    pub(crate) status: JobStatus,
    /// How the packages stand that were asked for, read after the job was done; none where it is not, or where that did
    /// not come whole.
    pub(crate) named: Option<NamedScan>,
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
            let (output, asked) = self.scanned(ctx, &script).await?;
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
            return Ok(Look {
                clocks: self.clocks(asked, &facts),
                facts,
                scan,
            });
        }
    }

    /// Its jobs, on behalf of whoever holds its lock by the caller's word.
    fn jobs(&self, ctx: &OpContext) -> Jobs {
        self.config.jobs.clone().with_fence(ctx.fence())
    }

    /// How the packages stand that a change names, without what apt would do.
    pub(crate) async fn named(
        &self,
        ctx: &OpContext,
        packages: &[Named],
    ) -> Result<(NamedScan, Clocks)> {
        let id = self.ask_id("named");
        let (output, asked) = self.scanned(ctx, &named_script(&id, packages)?).await?;
        let read = NamedScan::parse(&id, &output.stdout, packages)?;
        let clocks = self.clocks(asked, &read.facts);
        Ok((read, clocks))
    }

    /// What it takes to judge whether a change can begin. Only where that leaves open what apt would do, apt is asked
    /// for it.
    pub(crate) async fn wanted(
        &self,
        ctx: &OpContext,
        packages: &[Named],
    ) -> Result<(WantedScan, Clocks)> {
        let id = self.ask_id("wanted");
        let (output, asked) = self.scanned(ctx, &wanted_script(&id, packages)?).await?;
        let read = WantedScan::parse(&id, &output.stdout, packages)?;
        if read.is_plain(packages) {
            let clocks = self.clocks(asked, &read.named.facts);
            return Ok((read, clocks));
        }
        let names: Vec<PackageName> = packages.iter().map(|p| p.name.clone()).collect();
        let (read, clocks) = self.scan(ctx, &names).await?;
        Ok((WantedScan::of(read, packages), clocks))
    }

    /// The answer to a script that reads, and when it was asked for and came.
    async fn scanned(
        &self,
        ctx: &OpContext,
        script: &Script,
    ) -> Result<(Output, (Timestamp, Timestamp))> {
        let asked = ctx.now();
        let output = self.run(ctx, script, SCAN_WITHIN).await?;
        Ok((output, (asked, ctx.now())))
    }

    fn clocks(&self, (asked, answered): (Timestamp, Timestamp), facts: &Facts) -> Clocks {
        // Our own machine has no other clock, whatever time the caller plays with.
        match self.is_own {
            true => Clocks::agreed(asked),
            false => Clocks::compared(asked, answered, facts),
        }
    }

    /// Starts a job, or finds the one that was started under its id, and asks how it stands; of one that is done then,
    /// also how these packages stand.
    pub(crate) async fn start(
        &self,
        ctx: &OpContext,
        job: &Job,
        poll: Poll,
        packages: &[Named],
    ) -> Result<JobLook> {
        let script = self.jobs(ctx).start_and_poll(job, ctx.now(), poll)?;
        self.asked_of(ctx, &job.id, script, poll, packages).await
    }

    /// Asks how a job stands, and of one that is done also how these packages stand.
    pub(crate) async fn poll(
        &self,
        ctx: &OpContext,
        id: &JobId,
        poll: Poll,
        packages: &[Named],
    ) -> Result<JobLook> {
        let script = self.jobs(ctx).poll(id, poll)?;
        self.asked_of(ctx, id, script, poll, packages).await
    }

    async fn asked_of(
        &self,
        ctx: &OpContext,
        job: &JobId,
        script: Script,
        poll: Poll,
        packages: &[Named],
    ) -> Result<JobLook> {
        let limit = ASK_WITHIN + poll.wait;
        if packages.is_empty() {
            let output = self.run(ctx, &script, limit).await?;
            let status = JobStatus::parse(job, &output.stdout)?;
            return Ok(JobLook {
                status,
                named: None,
            });
        }
        let id = self.ask_id("named");
        let script = with_named(script, &id, packages)?;
        let output = self.run(ctx, &script, limit).await?;
        let (status, rest) = NamedScan::behind(&id, &output.stdout);
        Ok(JobLook {
            status: JobStatus::parse(job, status)?,
            // What is not understood here is asked for again alone, and told then.
            named: rest.and_then(|rest| NamedScan::parse(&id, rest, packages).ok()),
        })
    }

    /// How a job stands that is over, with its whole log: that of the last answer where it brought all of it.
    pub(crate) async fn read(
        &self,
        ctx: &OpContext,
        id: &JobId,
        status: JobStatus,
    ) -> Result<(JobStatus, String)> {
        if status.has_whole_log() {
            let log = String::from_utf8_lossy(&status.log).into_owned();
            return Ok((status, log));
        }
        let mut log = Vec::new();
        loop {
            let poll = Poll {
                offset: Some(log.len() as u64),
                most: 1 << 20,
                ..Poll::default()
            };
            let status = self.poll(ctx, id, poll, &[]).await?.status;
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
