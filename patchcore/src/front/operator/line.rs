//! The words of `operate`: a journal on disk, read and steered from a command line.
//!
//! Every program that offers them says the same, in whatever language it is written: it hands over what was typed,
//! and prints what comes back.

use std::{collections::VecDeque, fmt::Display, time::Duration};

use super::Operator;
use crate::{
    error::{Error, ErrorKind, Result},
    execute::{
        journal::{Anchor, Journal},
        kernel::{Command, Resolution, Step},
    },
    id::{PersonId, RunId},
};

/// The process that drives a run looks into its inbox every two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Below the line that names the program.
const WORDS: &str = "\
reading:
  list                            every run of the journal
  status [RUN]                    how a run stands, who drives it, and what can be done
  why [COMPONENT]                 why it is where it is, since when, and when it goes on
  ledger                          what the run owes
  report [FILE]                   what was observed; into a .md, .json or .txt file
  audit verify [--anchor FILE]    whether every record is as it was written, and as the anchors saw it
  audit anchor                    where the journal ends, as a line to be kept elsewhere
steering, each with --because TEXT, and --by NAME (by default who is logged in):
  pause                           nothing new starts
  unpause                         a paused run goes on
  pause-before STEP [COMPONENT]   a step does not begin, of one or of all: take, reboot-first, stage, apply or reboot
  unpause-before STEP [COMPONENT] it may begin
  approve RING                    a ring that needs an approval of its own may start (the reason may be left out)
  resolve COMPONENT adopt-done | retry | roll-back | abandon
  lift-halt                       failures so far are forgiven, and a halted run goes on
  end                             a halted run ends; what it owes is given back
  cancel                          any run ends; what is open is finished, what is owed is given back
  lift-denial PATCH [VERSION]     a patch that was rolled back may be planned again
  take-over HOLDER                the journal, from a process that holds it and cannot be ended; HOLDER as status names it
for all: --run NUMBER (by default the open run, else the last), --patience SECONDS for an answer
a run whose process died is resumed by the program that drives it, and by no word here";

/// What a command line came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Said {
    /// What belongs on the standard output; empty, or with an end of line.
    pub out: String,
    /// What belongs on the standard error.
    pub err: String,
    /// With what the program ends: 0, or what came of the run or of the command; 2 for bad input.
    pub exit_status: u8,
}

impl Said {
    fn new(out: impl Display, exit_status: u8) -> Self {
        Self {
            out: format!("{out}\n"),
            err: String::new(),
            exit_status,
        }
    }
}

/// Carries a command line out: the journal's file, a word, and what belongs to it. Without words it says which there
/// are.
///
/// `program` is how people call what they typed, `me` who they are where they do not say it by `--by`.
///
/// ```
/// # #[tokio::main]
/// # async fn main() {
/// let said = patchcore::operate("operate", None, vec![]).await;
/// assert!(said.out.starts_with("operate JOURNAL WORD …"));
/// assert_eq!(said.exit_status, 0);
/// # }
/// ```
pub async fn operate(program: &str, me: Option<String>, words: Vec<String>) -> Said {
    match carry_out(program, me, words).await {
        Ok(said) => said,
        Err(error) => Said {
            out: String::new(),
            err: format!("{error:?}\n"),
            exit_status: 2,
        },
    }
}

async fn carry_out(program: &str, me: Option<String>, words: Vec<String>) -> Result<Said> {
    let mut line = Line::of(words, me)?;
    let (Some(journal), Some(word)) = (line.words.pop_front(), line.words.pop_front()) else {
        let words = format!("{program} JOURNAL WORD …\n{WORDS}");
        return Ok(Said::new(words, u8::from(line.any) * 2));
    };
    let operator = Operator::open(&journal)?;
    match &*word {
        "list" => {
            line.end()?;
            list(&operator).await
        }
        "status" => {
            if let Some(run) = line.words.pop_front() {
                line.run = Some(number("a run", &run)?);
            }
            line.end()?;
            let run = operator.run(line.run()).await?;
            Ok(Said::new(&run, run.report().exit_status()))
        }
        "why" => {
            let component = line.words.pop_front();
            line.end()?;
            let run = operator.run(line.run()).await?;
            let why = match component {
                Some(component) => run.why(component)?,
                None => run.why_not_over()?,
            };
            Ok(Said::new(why, 0))
        }
        "ledger" => {
            line.end()?;
            let owed = operator.run(line.run()).await?.ledger();
            let said = match owed.is_empty() {
                true => "nothing is owed".to_owned(),
                false => owed.join("\n"),
            };
            Ok(Said::new(said, 0))
        }
        "report" => {
            let file = line.words.pop_front();
            line.end()?;
            let report = operator.run(line.run()).await?.report();
            let mut said = Said::new(&report, report.exit_status());
            if let Some(file) = file {
                report.save(file)?;
                said.out.clear();
            }
            Ok(said)
        }
        "audit" => {
            let what = line.next("verify or anchor")?;
            line.end()?;
            match &*what {
                "verify" => {}
                "anchor" => {
                    let anchor = operator.anchor().await?;
                    let anchor = anchor.ok_or_else(|| bad("there is no event to anchor yet"))?;
                    return Ok(Said::new(anchor, 0));
                }
                _ => {
                    return Err(bad("another word was expected")
                        .expected("verify or anchor")
                        .found(what));
                }
            }
            let chains = operator.verify_against(&line.anchors()?).await?;
            let mut said = Said::new(&chains, 0);
            if let Err(error) = chains.into_result() {
                said.err = format!("{error:?}\n");
                said.exit_status = 3;
            }
            Ok(said)
        }
        "take-over" => take_over(&operator, &journal, line).await,
        _ => steer(program, &operator, &word, line).await,
    }
}

async fn list(operator: &Operator) -> Result<Said> {
    let runs = operator.runs().await?;
    if runs.is_empty() {
        return Ok(Said::new("no run yet", 0));
    }
    let mut lines = Vec::new();
    for run in runs {
        // One run that cannot be read hides no other.
        lines.push(match operator.run(Some(run)).await {
            Ok(run) => run.line(),
            Err(error) => format!("run {run} cannot be read: {error}"),
        });
    }
    Ok(Said::new(lines.join("\n"), 0))
}

/// Takes the journal over from who holds it, if that is who was named. It drives nothing: that is for the program that
/// resumes the run.
async fn take_over(operator: &Operator, journal: &str, mut line: Line) -> Result<Said> {
    let named = line.words.pop_front();
    line.end()?;
    let Some(holder) = operator.holder().await? else {
        return Err(
            bad("nobody holds this journal, so there is nobody to take it over from")
                .hint("start the program that drives its run: it goes on from its journal"),
        );
    };
    let look = format!(
        "look at that process first, and end it where that can be done; where it cannot: \
         take-over \"{holder}\" --because TEXT"
    );
    match named {
        None => {
            return Err(bad("take-over needs to be told from whom")
                .expected("who holds the journal, as status names it")
                .found(format!("that {holder} holds it"))
                .hint(look));
        }
        Some(named) if named != holder.to_string() => {
            return Err(bad("another process holds this journal than was named")
                .expected(named)
                .found(holder.to_string())
                .hint(look));
        }
        Some(_) => {}
    }
    let reason = line.because.take();
    let reason =
        reason.ok_or_else(|| bad("take-over needs a reason").hint("say --because TEXT"))?;
    let taken = Journal::take_over(journal, &holder, line.by()?, &reason)?;
    let said = format!(
        "taken over from {holder}: opening {} of this journal\n   \
         if that process goes on, it records nothing and begins nothing any more\n   \
         next: start the program that drives the run: it goes on from its journal",
        taken.epoch()
    );
    taken.close().await?;
    Ok(Said::new(said, 0))
}

async fn steer(program: &str, operator: &Operator, word: &str, mut line: Line) -> Result<Said> {
    let command = match word {
        "pause" => Command::Pause,
        "unpause" => Command::Unpause,
        "pause-before" | "unpause-before" => {
            let step = line
                .next(&Step::PAUSABLE.map(Step::slug).join(", "))?
                .parse()?;
            let component = line.words.pop_front().map(Into::into);
            match word {
                "pause-before" => Command::PauseBefore { step, component },
                _ => Command::UnpauseBefore { step, component },
            }
        }
        "cancel" => Command::Cancel,
        "lift-halt" => Command::LiftHalt,
        "end" => Command::End,
        "approve" => Command::ApproveRing {
            ring: line.next("a ring")?.into(),
        },
        "resolve" => Command::Resolve {
            component: line.next("a component")?.into(),
            how: line
                .next(&Resolution::ALL.map(Resolution::word).join(", "))?
                .parse()?,
        },
        "lift-denial" => {
            let patch = line.next("a patch")?.into();
            let version = line.words.pop_front().map(Into::into);
            let denial = operator.denial(&patch, version.as_ref()).await?;
            Command::LiftDenial {
                patch: denial.patch,
                version: denial.version,
                run: denial.run,
            }
        }
        "resume" => {
            return Err(bad("no word resumes a run")
                .hint("a paused run: unpause; one whose process died: start the program that drives it, which goes on from the journal"));
        }
        _ => {
            return Err(bad(format!("{word} is no word of {program}"))
                .expected(
                    "list, status, why, ledger, report, audit verify, audit anchor, pause, unpause, pause-before, \
                     unpause-before, approve, resolve, lift-halt, end, cancel, lift-denial or take-over",
                )
                .hint(format!("{program} without a word shows what each is for")));
        }
    };
    line.end()?;
    let reason = match (line.because.take(), word) {
        (Some(reason), _) => reason,
        (None, "approve") => "without a comment".to_owned(),
        (None, _) => return Err(bad(format!("{word} needs a reason")).hint("say --because TEXT")),
    };
    let run = operator.run(line.run()).await?.id();
    let answer = operator
        .steer(run, command, line.by()?, &reason, line.patience)
        .await?;
    Ok(Said::new(&answer, answer.exit_status()))
}

/// What was typed.
struct Line {
    /// Whether anything was.
    any: bool,
    /// Who typed it, as far as the program knows.
    me: Option<String>,
    words: VecDeque<String>,
    run: Option<u64>,
    by: Option<String>,
    because: Option<String>,
    anchors: Option<String>,
    patience: Duration,
}

impl Line {
    fn of(typed: Vec<String>, me: Option<String>) -> Result<Self> {
        let mut line = Self {
            any: !typed.is_empty(),
            me,
            words: VecDeque::new(),
            run: None,
            by: None,
            because: None,
            anchors: None,
            patience: PATIENCE,
        };
        let mut typed = typed.into_iter();
        while let Some(word) = typed.next() {
            let mut value = || {
                typed
                    .next()
                    .filter(|value| !value.starts_with("--"))
                    .ok_or_else(|| bad(format!("{word} says nothing")).expected("a value after it"))
            };
            match &*word {
                "--run" => line.run = Some(number("--run", &value()?)?),
                "--by" => line.by = Some(value()?),
                "--because" => line.because = Some(value()?),
                "--anchor" => line.anchors = Some(value()?),
                "--patience" => {
                    line.patience = Duration::from_secs(number("--patience", &value()?)?);
                }
                flag if flag.starts_with("--") => {
                    return Err(bad(format!("{flag} is not known"))
                        .expected("--run, --by, --because, --anchor or --patience"));
                }
                _ => line.words.push_back(word),
            }
        }
        Ok(line)
    }

    fn run(&self) -> Option<RunId> {
        self.run.map(RunId)
    }

    /// Who is meant where nobody is named. Whoever can write the journal could write any name into it.
    fn by(&mut self) -> Result<PersonId> {
        let by = self.by.take().or_else(|| self.me.take());
        by.filter(|by| !by.trim().is_empty())
            .map(PersonId::from)
            .ok_or_else(|| bad("nobody knows who says this").hint("say --by NAME"))
    }

    /// The anchors that were kept, one to a line.
    fn anchors(&self) -> Result<Vec<Anchor>> {
        let Some(file) = &self.anchors else {
            return Ok(Vec::new());
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| bad(format!("{file} cannot be read")).source_error(error))?;
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(str::parse)
            .collect()
    }

    fn next(&mut self, expected: &str) -> Result<String> {
        self.words
            .pop_front()
            .ok_or_else(|| bad("a word is missing").expected(expected))
    }

    fn end(&self) -> Result<()> {
        match self.words.front() {
            None => Ok(()),
            Some(word) => Err(bad("there is a word too many")
                .found(word)
                .hint("a reason with blanks stands in quotes: --because \"…\"")),
        }
    }
}

fn number(what: &str, word: &str) -> Result<u64> {
    word.parse().map_err(|_| {
        bad(format!("{what} is named by its number"))
            .expected("such as 1")
            .found(word)
    })
}

fn bad(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, what).consequence("nothing was changed")
}
