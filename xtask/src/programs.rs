//! Test programs, several at once.
//!
//! cargo runs them one after the other, and most of their time is waiting: for guests, for timers, for a process that is
//! to be killed. So cargo builds them and says which there are, and they are run here. What is kept of each is what it
//! printed, in the form that cargo gives it.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Mutex,
    thread,
    time::Duration,
};

use crate::{
    outcome::Outcome,
    shell::{self, Finished},
    step::{now, seconds},
    workspace::Workspace,
};

/// The word by which cargo starts this program in place of a test program.
pub(crate) const NOTE: &str = "note-test-program";

/// What takes longest begins first, so that nothing long is left at the end. By their names; the order of others is
/// cargo's.
const LONG: &[&str] = &[
    "conformance",
    "vcsim",
    "vsphere_roll_kills",
    "linux_fleet_kills",
    "vsphere_roll",
    "run",
    "golden_journals",
    "vsphere_roll_trouble",
    "crash_disk",
    "ssh",
    "this_machine",
    "roll",
    "rollrun",
    "lab",
];

/// A test program as cargo would start it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    /// The folder of its package.
    folder: PathBuf,
}

impl Program {
    /// Its name without what cargo adds to make it unique.
    fn name(&self) -> String {
        let whole = self.path.file_name().unwrap_or_default().to_string_lossy();
        whole
            .rsplit_once('-')
            .map_or_else(|| whole.to_string(), |(name, _)| name.to_owned())
    }

    /// One line: the folder, the path and its words, with tabs between them.
    fn line(&self) -> String {
        let mut line = format!("{}\t{}", self.folder.display(), self.path.display());
        for argument in &self.arguments {
            line.push('\t');
            line.push_str(argument);
        }
        line.push('\n');
        line
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split('\t');
        Some(Self {
            folder: words.next()?.into(),
            path: words.next()?.into(),
            arguments: words.map(str::to_owned).collect(),
        })
    }
}

/// A program that was run, and how long it took.
struct Ran {
    name: String,
    finished: Result<Finished, Outcome>,
    time: Duration,
}

/// Writes down how a test program would be started: `FILE PROGRAM WORDS…`. cargo runs this in its place.
pub(crate) fn note(words: &[String]) -> ExitCode {
    let [file, path, arguments @ ..] = words else {
        eprintln!("expected a file and a program, but found {words:?}");
        return ExitCode::from(crate::BAD_INPUT);
    };
    let written = std::env::current_dir().and_then(|folder| {
        let program = Program {
            path: path.into(),
            arguments: arguments.to_vec(),
            folder,
        };
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        file.write_all(program.line().as_bytes())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{file} cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where all that the tests of the last run printed is kept, one program after the other.
pub(crate) fn log(workspace: &Workspace) -> PathBuf {
    workspace.target().join("xtask/tests.log")
}

/// Builds the test programs of the workspace and runs them, so many side by side. `words` go to cargo, `env` to the
/// programs.
///
/// Gives whether all ended well, and what cargo and all of them printed.
pub(crate) fn run(
    workspace: &Workspace,
    words: &[&str],
    env: &[(&str, &str)],
    at_once: usize,
) -> Result<(bool, String), Outcome> {
    let (programs, mut output) = match find(workspace, words)? {
        Found::Programs(programs, said) => (programs, said),
        Found::NotBuilt(said) => return Ok((false, said)),
    };
    let folder = workspace.target().join("xtask/tests");
    // What programs of an earlier build printed is not there any more.
    let _ = fs::remove_dir_all(&folder);
    let queue = Mutex::new(longest_first(programs).into_iter());
    let next = || queue.lock().ok()?.next();
    let ran = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            scope.spawn(|| {
                while let Some(program) = next() {
                    let one = start(workspace, &program, env);
                    if let Ok(mut ran) = ran.lock() {
                        ran.push(one);
                    }
                }
            });
        }
    });
    let mut well = true;
    for one in ran.into_inner().unwrap_or_default() {
        well &= tell(&one, &mut output);
    }
    Ok((well, output))
}

enum Found {
    Programs(Vec<Program>, String),
    /// What the compiler said.
    NotBuilt(String),
}

/// Lets cargo build, and write down what it would run.
fn find(workspace: &Workspace, words: &[&str]) -> Result<Found, Outcome> {
    let list = workspace.target().join("xtask/tests.list");
    let lost = |what: &str, error: io::Error| {
        Outcome::failed(format!("{} cannot be {what}: {error}", list.display()))
    };
    if let Some(folder) = list.parent() {
        fs::create_dir_all(folder).map_err(|e| lost("made", e))?;
    }
    fs::write(&list, "").map_err(|e| lost("written", e))?;
    let own = std::env::current_exe()
        .map_err(|e| Outcome::failed(format!("this program does not know where it is: {e}")))?;
    let mut command = workspace.cargo(["test", "--workspace", "--lib", "--bins", "--tests"]);
    command.args(words).arg("--config").arg(runner(&own, &list));
    command.args(["--", "--show-output"]);
    let finished = shell::run(workspace, "tests-build", &mut command, None)?;
    if !finished.is_success() {
        return Ok(Found::NotBuilt(finished.output));
    }
    let lines = fs::read_to_string(&list).map_err(|e| lost("read", e))?;
    let programs: Option<Vec<_>> = lines.lines().map(Program::parse).collect();
    match programs {
        Some(programs) if !programs.is_empty() => match unknown(&programs) {
            None => Ok(Found::Programs(programs, finished.output)),
            Some(name) => Err(Outcome::failed(format!(
                "{name} is no test program any more: take it from the list of the long ones"
            ))),
        },
        _ => Err(Outcome::failed(format!(
            "expected a line for each test program in {}, but found {lines:?}",
            list.display()
        ))),
    }
}

/// A name of the long ones that no program has.
fn unknown(programs: &[Program]) -> Option<&'static str> {
    let names: Vec<String> = programs.iter().map(Program::name).collect();
    let is_unknown = |long: &&&str| !names.iter().any(|name| name == **long);
    LONG.iter().find(is_unknown).copied()
}

/// What tells cargo to start this program in place of each test program.
fn runner(own: &Path, list: &Path) -> String {
    let quoted = |path: &Path| format!("{:?}", path.display().to_string());
    format!(
        "target.'cfg(all())'.runner=[{}, \"{NOTE}\", {}]",
        quoted(own),
        quoted(list)
    )
}

fn longest_first(mut programs: Vec<Program>) -> Vec<Program> {
    let place = |program: &Program| {
        let name = program.name();
        LONG.iter()
            .position(|long| *long == name)
            .unwrap_or(LONG.len())
    };
    programs.sort_by_key(place);
    programs
}

fn start(workspace: &Workspace, program: &Program, env: &[(&str, &str)]) -> Ran {
    let started = now();
    let unique = program
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .envs(env.iter().copied())
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .current_dir(&program.folder);
    let finished = shell::run(workspace, &format!("tests/{unique}"), &mut command, None);
    Ran {
        name: program.name(),
        finished,
        time: started.elapsed(),
    }
}

/// Adds what a program printed to the output, and says whether it ended well. A program that ends well without a count
/// of its tests did not run them.
fn tell(ran: &Ran, output: &mut String) -> bool {
    let name = &ran.name;
    let (said, well) = match &ran.finished {
        Ok(finished) => (finished.output.as_str(), finished.is_success()),
        Err(Outcome::Failed { output, .. }) => (output.as_str(), false),
        Err(_) => ("", false),
    };
    let counted = said.lines().any(|line| line.starts_with("test result: "));
    // Writing to a String cannot fail.
    let _ = writeln!(output, "     Running {name}, {}\n{said}", seconds(ran.time));
    match (well, counted) {
        (true, true) => {}
        (true, false) => {
            let _ = writeln!(output, "error: {name} ended without a count of its tests");
        }
        (false, _) => {
            let log = ran.finished.as_ref().map(|finished| finished.log.display());
            let log = log.map_or_else(
                |_| String::new(),
                |log| format!("; the whole output: {log}"),
            );
            let _ = writeln!(output, "error: {name} failed{log}");
        }
    }
    well && counted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &str) -> Program {
        Program {
            path: path.into(),
            arguments: vec!["--show-output".to_owned()],
            folder: "/a b/c".into(),
        }
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let one = program("/t/debug/deps/vcsim-0a1b");
        assert_eq!(Program::parse(one.line().trim_end()), Some(one));
        assert_eq!(Program::parse("only a folder"), None);
    }

    #[test]
    fn the_longest_begins_first_and_others_keep_their_order() {
        let all = ["/t/z-1", "/t/run-1", "/t/a-1", "/t/conformance-1"];
        let ordered = longest_first(all.map(program).into());
        let names: Vec<String> = ordered.iter().map(Program::name).collect();
        assert_eq!(names, ["conformance", "run", "z", "a"]);
    }

    fn told(output: &str, script: &str) -> bool {
        let log = PathBuf::from("none");
        let status = Command::new("sh").args(["-c", script]).status().ok();
        let ran = Ran {
            name: "one".to_owned(),
            finished: Ok(Finished {
                output: output.to_owned(),
                status,
                log,
            }),
            time: Duration::from_secs(1),
        };
        tell(&ran, &mut String::new())
    }

    #[test]
    fn an_exit_code_without_counts_is_not_believed() {
        assert!(told("test result: ok. 1 passed", "exit 0"));
        assert!(!told("test result: ok. 1 passed", "exit 1"));
        assert!(!told("running 3 tests", "exit 0"));
    }

    #[test]
    fn a_path_with_quotes_stays_one_word() {
        let said = runner(Path::new("/a \"b\"/xtask"), Path::new("/l"));
        assert!(
            said.contains(r#"["/a \"b\"/xtask", "note-test-program", "/l"]"#),
            "{said}"
        );
    }
}
