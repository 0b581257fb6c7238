//! `patchcore-lab`: the lab that people use.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use super::{
    Kind, Process, Recipe,
    keeper::{Found, Places, State},
    user_namespace,
};
use crate::peers::{Missing, debian_root};

const USAGE: &str = "\
usage: patchcore-lab up [N]                    starts the demo's guests, or N equal ones, and leaves them up
       patchcore-lab status                    says which guests are there and whether they answer
       patchcore-lab down                      ends them; nothing is left
       patchcore-lab enter [GUEST] [-- CMD…]   runs a command, or a shell, in the lab's network, or as root in a guest";

/// It cannot be done here, or the command line is not understood.
const CANNOT: u8 = 2;

/// How long a keeper may take beside building the base: as long as a busy machine takes for its guests.
const PATIENCE: Duration = Duration::from_secs(120);
const BUILD_PATIENCE: Duration = Duration::from_secs(900);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the program `patchcore-lab` does with its arguments, the name of the program not among them.
///
/// 0: done. 1: it did not work. 2: it cannot work here, with what is missing; or the arguments are not understood.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let target = match debian_root::target_directory() {
        Ok(target) => target,
        Err(missing) => return cannot(&missing),
    };
    let places = Places::under(&target);
    match words.as_slice() {
        ["up"] => up(&places, None),
        ["up", number] => match number.parse() {
            Ok(n @ 1..=200) => up(&places, Some(n)),
            _ => refuse(&format!("expected 1 to 200 guests but found \"{number}\"")),
        },
        ["keep"] => keep(&places, Recipe::demo()),
        ["keep", number] => match number.parse() {
            Ok(n) => keep(&places, Recipe::fleet(n)),
            Err(_) => refuse("expected a number"),
        },
        ["status"] => status(&places),
        ["down"] => down(&places),
        ["answers", addresses @ ..] => answers(addresses),
        ["enter", rest @ ..] => {
            let (guest, command) = match rest {
                ["--", ..] => (None, &arguments[2..]),
                [guest] => (Some(*guest), &[][..]),
                [guest, "--", ..] => (Some(*guest), &arguments[3..]),
                [] => (None, &[][..]),
                [_, wrong, ..] => {
                    return refuse(&format!(
                        "expected \"--\" before the command but found \"{wrong}\""
                    ));
                }
            };
            enter(&places, guest, command)
        }
        [] | ["help" | "--help" | "-h"] => {
            say(USAGE);
            ExitCode::SUCCESS
        }
        _ => refuse(&format!("\"{}\" is not understood", words.join(" "))),
    }
}

/// Prints a line. Who reads no more of it has seen enough.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn refuse(mistake: &str) -> ExitCode {
    eprintln!("{mistake}\n{USAGE}");
    ExitCode::from(CANNOT)
}

fn cannot(missing: &Missing) -> ExitCode {
    eprintln!("{missing}\n   nothing was started");
    ExitCode::from(CANNOT)
}

fn failed(what: &str) -> ExitCode {
    eprintln!("{what}");
    ExitCode::FAILURE
}

fn up(places: &Places, n_guests: Option<usize>) -> ExitCode {
    if let Found::Remains(keeper) = places.look() {
        say("the keeper of an earlier lab is gone; what it left is removed");
        let left = places.end(keeper);
        if !left.is_empty() {
            return failed(&format!("still there: {}", left.join(", ")));
        }
    }
    if let Found::Up(_, state) = places.look() {
        say("the lab is up already");
        return describe(places, &state);
    }
    let mut child = None;
    let mut patience = PATIENCE;
    if matches!(places.look(), Found::Nothing) {
        let number = n_guests.map(|n| n.to_string());
        let arguments: Vec<&str> = ["keep"].into_iter().chain(number.as_deref()).collect();
        let mut words = match user_namespace::entry() {
            Ok(words) => words,
            Err(missing) => return cannot(&missing),
        };
        if words.is_empty() {
            say("starting the lab as root");
        } else {
            say(
                "starting the lab without root, in a user namespace; guests with systemd need root and are bare",
            );
        }
        if !debian_root::is_built() {
            patience += BUILD_PATIENCE;
            say(
                "building the Debian tree of all guests first: half a minute on an idle machine and 290 MB, once",
            );
        }
        let own = match env::current_exe() {
            Ok(own) => own,
            Err(e) => return failed(&format!("the running program cannot be found: {e}")),
        };
        words.push(own.display().to_string());
        words.extend(arguments.into_iter().map(str::to_owned));
        let rest: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        match places.start(words[0].as_ref(), &rest) {
            Ok(started) => child = Some(started),
            Err(e) => return failed(&format!("the keeper cannot be started: {e}")),
        }
    } else {
        // It may be building the tree.
        patience += BUILD_PATIENCE;
        say("the lab is starting already");
    }

    let mut waited = Duration::ZERO;
    while waited < patience {
        if let Found::Up(_, state) = places.look() {
            return describe(places, &state);
        }
        if let Some(status) = child
            .as_mut()
            .and_then(|child| child.try_wait().ok().flatten())
            && !matches!(places.look(), Found::Starting(_))
        {
            let said = fs::read_to_string(&places.log).unwrap_or_default();
            if let Found::Remains(keeper) = places.look() {
                places.end(keeper);
            }
            eprint!("{said}");
            return ExitCode::from(if status.code() == Some(CANNOT.into()) {
                CANNOT
            } else {
                1
            });
        }
        if child.is_none() && matches!(places.look(), Found::Nothing | Found::Remains(_)) {
            return failed(&format!(
                "the keeper ended before the lab was up; see {}",
                places.log.display()
            ));
        }
        thread::sleep(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
    failed(&format!(
        "the lab is not up after {} s; see {}",
        patience.as_secs(),
        places.log.display()
    ))
}

fn keep(places: &Places, recipe: Recipe) -> ExitCode {
    let recipe = if user_namespace::is_in() {
        recipe.all_bare()
    } else {
        recipe
    };
    match places.keep(recipe) {
        Ok(()) => ExitCode::SUCCESS,
        Err(missing) => cannot(&missing),
    }
}

/// Says what there is and how to go on.
fn describe(places: &Places, state: &State) -> ExitCode {
    let code = table(state);
    let folder = relative(&places.folder);
    say(&format!("\ninventory  {folder}/inventory.toml"));
    say(&format!(
        "log in     cargo xtask lab enter -- ssh -F {folder}/ssh_config {}",
        state.guests.first().map_or("GUEST", |guest| &guest.name)
    ));
    say("patch      cargo run --example linux_fleet -- --plan-only");
    say("look       cargo xtask lab status");
    say("end        cargo xtask lab down");
    code
}

/// A path as its reader would type it.
fn relative(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn table(state: &State) -> ExitCode {
    let addresses = state.guests.iter().map(|guest| &*guest.address);
    let answered = in_network(state).and_then(|mut command| {
        command
            .arg(env::current_exe().unwrap_or_default())
            .arg("answers")
            .args(addresses);
        command
            .output()
            .ok()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    });
    let answered = answered.unwrap_or_default();
    let width = state
        .guests
        .iter()
        .map(|guest| guest.name.len())
        .max()
        .unwrap_or(0)
        .max(5);
    say(&format!(
        "{:width$}  {:11}  {:7}  {:9}  ssh",
        "guest", "address", "kind", "up for"
    ));
    for guest in &state.guests {
        let age = guest
            .pid
            .and_then(Process::find)
            .and_then(|process| process.age_seconds());
        let answers = answered.lines().any(|line| line == guest.address);
        say(&format!(
            "{:width$}  {:11}  {:7}  {:9}  {}",
            guest.name,
            guest.address,
            guest.kind,
            age.map_or_else(|| "off".to_owned(), for_people),
            if answers {
                "answers"
            } else {
                "does not answer"
            },
        ));
    }
    ExitCode::SUCCESS
}

fn for_people(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

fn status(places: &Places) -> ExitCode {
    match places.look() {
        Found::Nothing => {
            say("no lab is up; cargo xtask lab up starts one");
            ExitCode::SUCCESS
        }
        Found::Remains(_) => {
            failed("the keeper of the lab is gone; cargo xtask lab down removes what it left")
        }
        Found::Starting(_) => {
            say("the lab is starting");
            ExitCode::SUCCESS
        }
        Found::Up(_, state) => table(&state),
    }
}

fn down(places: &Places) -> ExitCode {
    let (Found::Remains(keeper) | Found::Starting(keeper) | Found::Up(keeper, _)) = places.look()
    else {
        say("no lab is up");
        return ExitCode::SUCCESS;
    };
    let left = places.end(keeper);
    if !left.is_empty() {
        return failed(&format!("still there: {}", left.join(", ")));
    }
    say("the lab is down; nothing of it is left");
    ExitCode::SUCCESS
}

/// Prints the addresses at which an SSH server says its name.
fn answers(addresses: &[&str]) -> ExitCode {
    let answers = |address: &str| -> Option<()> {
        let address: SocketAddr = format!("{address}:22").parse().ok()?;
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(3)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
        let mut banner = [0; 4];
        stream.read_exact(&mut banner).ok()?;
        (&banner == b"SSH-").then_some(())
    };
    thread::scope(|scope| {
        for address in addresses {
            scope.spawn(move || {
                if answers(address).is_some() {
                    say(address);
                }
            });
        }
    });
    ExitCode::SUCCESS
}

fn enter(places: &Places, guest: Option<&str>, command: &[OsString]) -> ExitCode {
    let Found::Up(_, state) = places.look() else {
        return failed("no lab is up; cargo xtask lab up starts one");
    };
    let mut way = match guest {
        None => match in_network(&state) {
            Some(way) => way,
            None => return failed("the lab's network is gone; cargo xtask lab down, and up again"),
        },
        Some(name) => {
            let Some(guest) = state.guests.iter().find(|guest| guest.name == name) else {
                let names: Vec<&str> = state.guests.iter().map(|guest| &*guest.name).collect();
                return failed(&format!(
                    "no guest is called \"{name}\"\n   expected one of: {}",
                    names.join(", ")
                ));
            };
            let Some(pid) = guest.pid else {
                return failed(&format!("\"{name}\" is off"));
            };
            let mut way = user_namespace::way_to(pid);
            way.args([
                "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd",
            ]);
            debian_root::as_user(&mut way, "root");
            // For those who sit before it.
            if let Some(terminal) = env::var_os("TERM") {
                way.env("TERM", terminal);
            }
            way
        }
    };
    if command.is_empty() {
        let shell = env::var_os("SHELL").filter(|_| guest.is_none());
        way.arg(shell.unwrap_or_else(|| "bash".into()));
    } else {
        way.args(command);
    }
    failed(&format!("the command cannot be run: {}", way.exec()))
}

/// The beginning of a command that runs in the lab's network.
fn in_network(state: &State) -> Option<Command> {
    Process::find(state.network)?;
    let mut way = user_namespace::way_to(state.network);
    way.arg("--net").arg("--");
    Some(way)
}

impl Recipe {
    /// The same guests, none of them with systemd.
    fn all_bare(mut self) -> Self {
        for guest in &mut self.guests {
            guest.kind = Kind::Bare;
        }
        self
    }
}
