//! Following one run to its end, to a safe point, or until somebody has no more patience.

use std::{future::Future, io, pin::Pin, time::Duration};

use patchcore::{Error, ErrorKind, Result, Run, Standing, report::Lines};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{Interrupts, Screen, block::block};

/// The block is drawn so often: seconds are counted smoothly, and a remote terminal is not busy with it.
const DRAWN_EVERY: Duration = Duration::from_millis(250);
/// Without a block, so much silence is broken by how the run stands.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How somebody who followed a run left it.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Left {
    /// Nothing more happens by itself.
    Resting(Standing),
    /// In the middle of it: whoever watched wanted to go. The journal is kept.
    InFlight,
}

/// A run and a screen to show it on.
pub struct Follow<'f, W: io::Write> {
    run: &'f Run,
    screen: &'f mut Screen<W>,
    lines: Lines,
    patience: Option<Duration>,
    said_last: Instant,
    heartbeat: Duration,
}

impl<'f, W: io::Write> Follow<'f, W> {
    /// Shows what is new of a run: all of one that was started here, and what follows its taking over of another.
    pub fn new(run: &'f Run, screen: &'f mut Screen<W>) -> Self {
        Self {
            lines: run.new_lines(),
            run,
            screen,
            patience: None,
            said_last: Instant::now(),
            heartbeat: HEARTBEAT,
        }
    }

    /// Brings the run to a safe point after so long.
    #[must_use]
    pub fn with_patience(mut self, patience: Option<Duration>) -> Self {
        self.patience = patience;
        self
    }

    /// Breaks another length of silence than a minute where there is no block.
    #[must_use]
    pub fn with_heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// Shows it until nothing more happens by itself. An interrupt brings the run to a safe point, a second one leaves
    /// it as it is. May be called again after a person made the run go on.
    ///
    /// # Errors
    /// `Io`: the output is gone. Otherwise as [`Run::finished`].
    pub async fn until_it_rests(&mut self) -> Result<Left> {
        let run = self.run;
        let mut rests: Resting<'_> = match self.patience {
            Some(patience) => Box::pin(run.finished_or_parked(patience)),
            None => Box::pin(run.finished()),
        };
        let mut interrupts = Interrupts::new()?;
        let every = if self.screen.is_live() {
            DRAWN_EVERY
        } else {
            self.heartbeat
        };
        let mut tick = interval_at(Instant::now() + every, every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut rested, mut interrupted) = (None, false);
        loop {
            tokio::select! {
                line = self.lines.next() => match line {
                    Some(line) => self.say(&line).await?,
                    None => break,
                },
                standing = &mut rests, if rested.is_none() => rested = Some(standing?),
                _ = tick.tick() => self.beat().await?,
                () = interrupts.next() => {
                    let in_flight = self.in_flight().await?;
                    if interrupted {
                        self.screen.close().map_err(gone)?;
                        self.screen.say(&format!("left at once · the journal is kept · {in_flight}")).map_err(gone)?;
                        return Ok(Left::InFlight);
                    }
                    interrupted = true;
                    rests = Box::pin(run.finished_or_parked(Duration::ZERO));
                    self.say(&format!("interrupted: nothing new starts · {in_flight} · once more leaves at once")).await?;
                }
            }
        }
        let standing = match rested {
            Some(standing) => standing,
            None => rests.await?,
        };
        self.screen.close().map_err(gone)?;
        Ok(Left::Resting(standing))
    }

    async fn say(&mut self, line: &str) -> Result<()> {
        self.said_last = Instant::now();
        if self.screen.is_live() {
            let block = block(&self.run.progress().await?, self.screen.size());
            self.screen.draw(&[line.to_owned()], &block).map_err(gone)
        } else {
            self.screen.say(line).map_err(gone)
        }
    }

    async fn beat(&mut self) -> Result<()> {
        if self.screen.is_live() {
            let block = block(&self.run.progress().await?, self.screen.size());
            return self.screen.draw(&[], &block).map_err(gone);
        }
        if self.said_last.elapsed() < self.heartbeat {
            return Ok(());
        }
        let progress = self.run.progress().await?;
        let now = progress.now.to_zoned(progress.zone.clone());
        let line = format!("{}  {}", now.strftime("%H:%M:%S"), progress.heartbeat());
        self.say(&line).await
    }

    /// `in flight: web-01 is being patched, web-02 restarts`.
    async fn in_flight(&self) -> Result<String> {
        let progress = self.run.progress().await?;
        let who: Vec<String> = progress
            .at_work
            .iter()
            .map(|c| format!("{} {}", c.component, c.phase))
            .collect();
        Ok(match who.as_slice() {
            [] => "nothing is in flight".to_owned(),
            who => format!("in flight: {}", who.join(", ")),
        })
    }
}

type Resting<'r> = Pin<Box<dyn Future<Output = Result<Standing>> + Send + 'r>>;

fn gone(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "nobody reads the output any more")
        .consequence("the run is left as it is; its journal is kept")
        .source_error(error)
}

impl<W: io::Write> std::fmt::Debug for Follow<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow")
            .field("run", &self.run.id())
            .finish_non_exhaustive()
    }
}
