//! Steering a run from another process: a command goes into the inbox, and its answer is waited for.

use std::{fmt, time::Duration};

use super::{Operator, Pause, RunView};
use crate::{
    clock::SystemClock,
    document::nearest,
    error::{Error, ErrorKind, Result},
    execute::{
        DrivenBy, Told, inbox,
        journal::{CommandFate, CommandId},
        kernel::{Command, Event, RunEvent, Steered},
        words,
    },
    id::{PatchId, PersonId, RunId, Version},
    plan::{Denial, text::duration},
};

/// The answer is looked for this often. The process that drives a run looks into its inbox every two seconds.
const LOOK: Duration = Duration::from_millis(100);

/// What became of a command by the time its sender was answered.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// It took effect.
    Taken {
        /// What the command was, in the words in which it is typed.
        asked: String,
        /// The first event that it led to.
        told: Box<Told>,
    },
    /// It did not, and never will.
    Refused {
        /// What the command was.
        asked: String,
        /// Why.
        why: String,
    },
    /// It lies in the inbox, for the next process that looks.
    Posted {
        /// What the command was.
        asked: String,
        /// Its number in the inbox.
        id: CommandId,
        /// Who drives the run.
        driven: DrivenBy,
        /// How long an answer was waited for.
        waited: Duration,
    },
}

impl Answer {
    /// The exit code of a program that only gave this command: 0 taken, 2 refused, 4 not yet taken.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Taken { .. } => 0,
            Self::Refused { .. } => 2,
            Self::Posted { .. } => 4,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { asked, told } => write!(f, "taken: {asked}\n   {told}"),
            Self::Refused { asked, why } => {
                let why = words::on_one_line(why);
                write!(f, "refused: {asked}: {why}\n   nothing was changed")
            }
            Self::Posted {
                asked,
                id,
                driven,
                waited,
            } => {
                write!(
                    f,
                    "in the inbox, not yet taken: {asked} (command {id})\n   "
                )?;
                match driven {
                    DrivenBy::Nobody { .. } => write!(
                        f,
                        "nobody drives this run now; it is carried out first when a process resumes it"
                    ),
                    DrivenBy::Held(_) => write!(
                        f,
                        "{driven}; it is carried out first when a process takes the run up"
                    ),
                    DrivenBy::Process(_) => write!(
                        f,
                        "{driven}, which has not answered within {}; it is carried out when that process looks \
                         into its inbox again, or first by the one that resumes the run\n   \
                         if it does not answer any more, end that process, or take over from it",
                        duration(*waited)
                    ),
                }
            }
        }
    }
}

impl Operator {
    /// Puts a command into the inbox of the process that drives a run, and waits for the answer no longer than
    /// `patience`. Where nobody drives the run, it lies there for the process that resumes it.
    ///
    /// What cannot be right whatever the run does is refused before anything is posted; the rest is decided, and
    /// journaled with its author and reason, by the process that drives the run.
    ///
    /// # Errors
    /// `InvalidInput`: no reason, or the run is over. `NotFound`: no such run, ring, component or denial. `Busy` if
    /// another program keeps a transaction open, `DiskFull`, `JournalDamaged`, `Io`.
    pub async fn steer(
        &self,
        run: RunId,
        command: Command,
        by: impl Into<PersonId>,
        reason: &str,
        patience: Duration,
    ) -> Result<Answer> {
        let (by, view) = (by.into(), self.run(Some(run)).await?);
        let asked = words::asked(&command);
        self.check(&view, &command, &by, reason).await?;
        if view.driven.is_nobody()
            && let Some(why) = foreseen(&view, &command, &by, reason)
        {
            return Ok(Answer::Refused { asked, why });
        }
        // A denial is the journal's, not one run's: whichever run is driven next takes it.
        let meant_for = match command {
            Command::LiftDenial { .. } => None,
            _ => Some(run),
        };
        let new = inbox::posted(meant_for, self.clock.now(), &by, reason, &command);
        let id = self.reader.post_command(new).await?;
        let mut waited = Duration::ZERO;
        loop {
            if let CommandFate::Answered(event) = self.reader.command(id).await? {
                let told = Told {
                    zone: view.times().zone().clone(),
                    ..Told::read(*event)
                };
                return Ok(match told.event {
                    Event::Run(RunEvent::CommandRefused { why, .. }) => {
                        Answer::Refused { asked, why }
                    }
                    _ => Answer::Taken {
                        asked,
                        told: Box::new(told),
                    },
                });
            }
            let driven = self.driven_by(&view.story).await?;
            if driven.is_nobody() || waited >= patience {
                return Ok(Answer::Posted {
                    asked,
                    id,
                    driven,
                    waited,
                });
            }
            SystemClock.pause(LOOK).await;
            waited += LOOK;
        }
    }

    /// The denial that these words mean. Where no version is named, the patch must have one denial only.
    ///
    /// # Errors
    /// `NotFound`: there is none. `InvalidInput`: there are several.
    pub async fn denial(&self, patch: &PatchId, version: Option<&Version>) -> Result<Denial> {
        let all = self.denials().await?;
        let mut found = all
            .iter()
            .filter(|d| d.patch == *patch && version.is_none_or(|v| d.version == *v));
        let said = |d: &Denial| format!("{} {}", d.patch, d.version);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.clone()),
            (Some(_), Some(_)) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{patch} is on the deny-list more than once"),
            )
            .expected(one_of(all.iter().filter(|d| d.patch == *patch).map(said)))
            .hint("name the version too")),
            (None, _) => Err(unknown(
                "the deny-list of this journal",
                &version.map_or_else(|| patch.to_string(), |v| format!("{patch} {v}")),
                all.iter().map(said).collect(),
            )),
        }
    }

    /// Refuses what cannot be right whatever the run does meanwhile.
    async fn check(
        &self,
        view: &RunView,
        command: &Command,
        by: &PersonId,
        reason: &str,
    ) -> Result<()> {
        let missing = |what: &str| {
            Error::new(ErrorKind::InvalidInput, what)
                .consequence("nothing was changed")
                .hint("the journal keeps who said it and why, for those who read it later")
        };
        if reason.trim().is_empty() {
            return Err(missing("a command needs a reason"));
        }
        if by.as_str().trim().is_empty() {
            return Err(missing("a command needs somebody who gives it"));
        }
        let envelope = &view.story.plan.envelope;
        match command {
            Command::LiftDenial { patch, version, .. } => {
                self.denial(patch, Some(version)).await.map(drop)
            }
            _ if view.is_over() => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("run {} is over", view.id()),
            )
            .consequence("nothing was changed")
            .hint("report shows what came of it")),
            Command::ApproveRing { ring } if !envelope.rings.iter().any(|r| r.name == *ring) => {
                let known = envelope.rings.iter().map(|r| r.name.to_string());
                Err(unknown("this plan's rings", ring.as_str(), known.collect()))
            }
            Command::Resolve { component, .. } if envelope.target(component).is_none() => {
                let known = envelope.targets.iter().map(|t| t.component.to_string());
                Err(unknown(
                    "this plan's components",
                    component.as_str(),
                    known.collect(),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// Why a command will be refused, where nobody drives the run: then its journal, and what lies in the inbox before,
/// decide already.
fn foreseen(view: &RunView, command: &Command, by: &PersonId, reason: &str) -> Option<String> {
    let mut story = view.story.clone();
    for row in &view.inbox {
        let Ok((earlier, reason)) = inbox::read(row) else {
            continue;
        };
        let Ok(Steered { run, components }) = story.steer(&row.by, &reason, &earlier) else {
            continue;
        };
        run.iter().for_each(|event| story.state.evolve(event));
        for (component, event) in components {
            let state = story.components.entry(component).or_default();
            state.evolve(&event, view.now);
        }
    }
    story.steer(by, reason, command).err()
}

/// A name that does not stand where it must.
fn unknown(place: &str, name: &str, known: Vec<String>) -> Error {
    const SHOWN: usize = 12;
    let error = Error::new(ErrorKind::NotFound, format!("{name} is not one of {place}"))
        .found(name)
        .consequence("nothing was changed");
    let error = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("status, report and ledger show the names that there are"),
    };
    match known.len() {
        0 => error.expected("nothing: there are none"),
        n if n > SHOWN => error.expected(format!(
            "one of {} and {} more",
            known[..SHOWN].join(", "),
            n - SHOWN
        )),
        _ => error.expected(one_of(known)),
    }
}

fn one_of(known: impl IntoIterator<Item = String>) -> String {
    let known: Vec<String> = known.into_iter().collect();
    format!("one of {}", known.join(", "))
}
