//! A journal on disk, read and steered at three in the morning, while another process drives its run or none does.
//!
//! `cargo run --example operate run.db WORD …`; without a word it shows those that there are. Reading needs the file
//! alone: no network, no provider, no lock. Steering puts a command into the inbox of the process that drives the
//! run and waits for its answer; where nobody drives it, the command waits for the process that resumes it.
//! Everything that is printed is made by the library, so that a program of your own says the same.

use std::{collections::VecDeque, process::ExitCode, time::Duration};

use patchcore::{
    Error, ErrorKind, Operator, Result,
    execute::{
        journal::Anchor,
        kernel::{Command, Resolution, Step},
    },
    id::{PersonId, RunId},
};

/// The process that drives a run looks into its inbox every two seconds.
const PATIENCE: Duration = Duration::from_secs(10);

const WORDS: &str = "\
operate JOURNAL WORD …
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
for all: --run NUMBER (by default the open run, else the last), --patience SECONDS for an answer
a run whose process died is resumed by the program that drives it, and by no word here";

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let words = std::env::args().skip(1).collect();
    match operate(words).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::from(2)
        }
    }
}

async fn operate(words: Vec<String>) -> Result<ExitCode> {
    let mut line = Line::of(words)?;
    let (Some(journal), Some(word)) = (line.words.pop_front(), line.words.pop_front()) else {
        println!("{WORDS}");
        return Ok(ExitCode::from(u8::from(line.any) * 2));
    };
    let operator = Operator::open(journal)?;
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
            println!("{run}");
            Ok(run.report().exit_code())
        }
        "why" => {
            let component = line.words.pop_front();
            line.end()?;
            let run = operator.run(line.run()).await?;
            match component {
                Some(component) => println!("{}", run.why(component)?),
                None => println!("{}", run.why_not_over()?),
            }
            Ok(ExitCode::SUCCESS)
        }
        "ledger" => {
            line.end()?;
            let owed = operator.run(line.run()).await?.ledger();
            match owed.is_empty() {
                true => println!("nothing is owed"),
                false => println!("{}", owed.join("\n")),
            }
            Ok(ExitCode::SUCCESS)
        }
        "report" => {
            let file = line.words.pop_front();
            line.end()?;
            let report = operator.run(line.run()).await?.report();
            match file {
                Some(file) => report.save(file)?,
                None => println!("{report}"),
            }
            Ok(report.exit_code())
        }
        "audit" => {
            let what = line.next("verify or anchor")?;
            line.end()?;
            match &*what {
                "verify" => {}
                "anchor" => {
                    let anchor = operator.anchor().await?;
                    println!(
                        "{}",
                        anchor.ok_or_else(|| bad("there is no event to anchor yet"))?
                    );
                    return Ok(ExitCode::SUCCESS);
                }
                _ => {
                    return Err(bad("another word was expected")
                        .expected("verify or anchor")
                        .found(what));
                }
            }
            let chains = operator.verify_against(&line.anchors()?).await?;
            println!("{chains}");
            match chains.into_result() {
                Ok(_) => Ok(ExitCode::SUCCESS),
                Err(error) => {
                    eprintln!("{error:?}");
                    Ok(ExitCode::from(3))
                }
            }
        }
        _ => steer(&operator, &word, line).await,
    }
}

async fn list(operator: &Operator) -> Result<ExitCode> {
    let runs = operator.runs().await?;
    if runs.is_empty() {
        println!("no run yet");
    }
    for run in runs {
        // One run that cannot be read hides no other.
        match operator.run(Some(run)).await {
            Ok(run) => println!("{}", run.line()),
            Err(error) => println!("run {run} cannot be read: {error}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn steer(operator: &Operator, word: &str, mut line: Line) -> Result<ExitCode> {
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
            return Err(bad(format!("{word} is no word of operate"))
                .expected(
                    "list, status, why, ledger, report, audit verify, audit anchor, pause, unpause, pause-before, \
                     unpause-before, approve, resolve, lift-halt, end, cancel or lift-denial",
                )
                .hint("operate without a word shows what each is for"));
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
    println!("{answer}");
    Ok(ExitCode::from(answer.exit_status()))
}

/// What was typed.
struct Line {
    /// Whether anything was.
    any: bool,
    words: VecDeque<String>,
    run: Option<u64>,
    by: Option<String>,
    because: Option<String>,
    anchors: Option<String>,
    patience: Duration,
}

impl Line {
    fn of(typed: Vec<String>) -> Result<Self> {
        let mut line = Self {
            any: !typed.is_empty(),
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
        let named = self.by.take();
        let by = named.or_else(|| {
            ["USER", "LOGNAME"]
                .iter()
                .find_map(|v| std::env::var(v).ok())
        });
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
