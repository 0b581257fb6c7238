//! What the demo shows, step by step.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use patchcore_testkit::peers::lab::{Lab, Recipe};
use tokio::{process::Command, time::Instant};

use super::{NOT_HERE, leftovers::Traces, proof};
use crate::live::Interrupts;

/// The columns and rows of the terminal of which a recording is made: wide enough for most lines of a run.
const RECORDED: (u16, u16) = (120, 40);
/// After an interrupt a run needs so long to come to a safe point; then it is ended where it is, and its journal goes
/// with the lab.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let record = match arguments.as_slice() {
        [] => None,
        [flag, file] if flag == "--record" => Some(PathBuf::from(file)),
        _ => {
            eprintln!("usage: fleet-demo [--record FILE]");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.map(|runtime| runtime.block_on(show(record.as_deref()))) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) | Err(error) => {
            eprintln!("the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn show(record: Option<&Path>) -> io::Result<ExitCode> {
    let began = Instant::now();
    // From here on, so that an interrupt never ends this process without its taking the lab down.
    let interrupts = Interrupts::new().map_err(io::Error::other)?;
    caption(
        "a network of Debian guests is made: real apt, dpkg, systemd and sshd; the first time this takes a minute",
    );
    let lab = match Lab::up(Recipe::demo()) {
        Ok(lab) => lab,
        Err(missing) => {
            println!("it cannot be made here: {missing}");
            return if record.is_some() {
                Ok(ExitCode::from(NOT_HERE))
            } else {
                super::simulated()
            };
        }
    };
    let traces = Traces::of(&lab)?;
    let folder = Folder::new()?;
    let told = tell(&lab, &folder.0, record, interrupts).await;
    let proven = match &told {
        Ok(Told::ToTheEnd) => proof::show(&lab),
        _ => true,
    };

    drop(lab);
    drop(folder);
    let left = traces.left();
    if left.is_empty() {
        caption(&format!(
            "the guests are gone; none of their processes, mounts and files is left · {} s in all",
            began.elapsed().as_secs()
        ));
    } else {
        println!("left over: {}", left.join(", "));
    }
    Ok(match told? {
        Told::Interrupted => ExitCode::from(130),
        Told::Otherwise => ExitCode::FAILURE,
        Told::ToTheEnd if proven && left.is_empty() => ExitCode::SUCCESS,
        Told::ToTheEnd => ExitCode::FAILURE,
    })
}

/// How far the demo came.
enum Told {
    ToTheEnd,
    Interrupted,
    /// A step did not end as it should.
    Otherwise,
}

async fn tell(
    lab: &Lab,
    folder: &Path,
    record: Option<&Path>,
    mut interrupts: Interrupts,
) -> io::Result<Told> {
    let stage = Stage { lab, folder };
    for guest in lab.guests() {
        // The package of that name is slow on purpose; in a demo it need not be.
        guest.put("/etc/pc-slow.seconds", "1\n");
    }
    let steps: [(&str, &[&str], i32, bool); 4] = [
        (
            "one package is bad: pc-badpost fails while it is put in. The first guest of ring test meets it, is rolled back, and the run halts",
            &["--approve-as", "maria", "--report", "run-1.md"],
            1,
            false,
        ),
        (
            "somebody has looked at it: the run is ended",
            &[
                "--approve-as",
                "maria",
                "--end-halted",
                "pc-badpost is broken; the others cannot wait for it",
                "--report",
                "run-1.md",
            ],
            1,
            false,
        ),
        (
            "a new plan leaves pc-badpost out and says why. Meanwhile somebody edits a configuration file on web-1, of which a new version comes along",
            &["--approve-as", "maria", "--report", "run-2.md"],
            0,
            true,
        ),
        ("is there anything left to do?", &["--plan-only"], 0, false),
    ];
    for (what, arguments, expected, recorded) in steps {
        caption(what);
        if recorded {
            lab.guest("web-1").put(proof::CONFFILE, proof::EDITED);
        }
        println!("$ linux_fleet {}\n", line(arguments));
        let mut command = match record.filter(|_| recorded) {
            Some(file) => stage.recorded(arguments, file),
            None => stage.linux_fleet(arguments),
        }?;
        match ended(&mut command, &mut interrupts).await? {
            None => return Ok(Told::Interrupted),
            Some(status) if status.code() == Some(expected) => {}
            Some(status) => {
                println!("linux_fleet ended with {status}, expected exit code {expected}");
                return Ok(Told::Otherwise);
            }
        }
    }
    Ok(Told::ToTheEnd)
}

/// Where the example is run.
struct Stage<'s> {
    lab: &'s Lab,
    folder: &'s Path,
}

impl Stage<'_> {
    fn program() -> io::Result<PathBuf> {
        let program = env::current_exe()?.with_file_name("linux-fleet");
        if program.exists() {
            Ok(program)
        } else {
            let missing = format!(
                "{} is not built: cargo build --workspace --bins",
                program.display()
            );
            Err(io::Error::new(io::ErrorKind::NotFound, missing))
        }
    }

    /// What is added to this runs in the lab's network and ends with this process, however that ends.
    fn in_the_lab(&self) -> std::process::Command {
        let mut command = self.lab.command("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command
    }

    /// The example, in the lab's network.
    fn linux_fleet(&self, arguments: &[&str]) -> io::Result<Command> {
        let mut command = self.in_the_lab();
        command
            .arg(Self::program()?)
            .arg("--inventory")
            .arg(self.lab.inventory())
            .args(arguments);
        command.current_dir(self.folder);
        Ok(command.into())
    }

    /// The same on a terminal of its own, everything it writes there in a file.
    fn recorded(&self, arguments: &[&str], file: &Path) -> io::Result<Command> {
        let (columns, rows) = RECORDED;
        let words = [
            Self::program()?.display().to_string(),
            "--inventory".to_owned(),
            self.lab.inventory().display().to_string(),
        ];
        let words = words
            .iter()
            .map(String::as_str)
            .chain(arguments.iter().copied());
        let line: Vec<String> = words.map(quoted).collect();
        let mut command = self.in_the_lab();
        command
            .args(["script", "--quiet", "--return", "--flush", "--command"])
            .arg(format!(
                "stty cols {columns} rows {rows}; exec {}",
                line.join(" ")
            ))
            .arg(std::path::absolute(file)?)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .current_dir(self.folder);
        Ok(command.into())
    }
}

/// How a program ended, or nothing after an interrupt, which the program gets from the terminal too.
async fn ended(
    command: &mut Command,
    interrupts: &mut Interrupts,
) -> io::Result<Option<ExitStatus>> {
    let mut child = command.kill_on_drop(true).spawn()?;
    tokio::select! {
        status = child.wait() => return status.map(Some),
        () = interrupts.next() => {}
    }
    tokio::select! {
        status = child.wait() => drop(status?),
        () = interrupts.next() => child.kill().await?,
        () = tokio::time::sleep_until(Instant::now() + PATIENCE) => child.kill().await?,
    }
    Ok(None)
}

fn caption(text: &str) {
    println!("\n▶ {text}\n");
}

fn line(arguments: &[&str]) -> String {
    let words: Vec<String> = arguments.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Where the journal and the reports are while the demo goes on.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("patchcore-demo-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be taken away lies in a folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
