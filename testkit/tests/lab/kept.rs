//! The lab that stays up: `patchcore-lab`.

use std::{
    fs,
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    thread,
    time::Duration,
};

use patchcore_testkit::peers::{
    debian_root::{DebianRoot, Output},
    need,
};

use super::leftovers::{assert_nothing_is_left, own, traces};

/// A cargo target directory of its own with the program in it, so that nobody's lab is touched; the base is the real one.
struct Program {
    folder: PathBuf,
}

impl Program {
    fn new(name: &str) -> Option<Self> {
        let base = need(DebianRoot::base())?;
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-{}-{name}", process::id()));
        let peers = folder.join("peers");
        fs::create_dir_all(&peers).unwrap();
        fs::write(folder.join("CACHEDIR.TAG"), "").unwrap();
        // A copy could still be open for writing in a process that another test is starting just now.
        let program = env!("CARGO_BIN_EXE_patchcore-lab");
        fs::hard_link(program, folder.join("patchcore-lab")).unwrap();
        let name = base.tree().file_name().unwrap();
        symlink(base.tree(), peers.join(name)).unwrap();
        Some(Self { folder })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("patchcore-lab"));
        command.args(words);
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap().into()
    }

    fn keeper(&self) -> Option<u32> {
        let text = fs::read_to_string(self.folder.join("peers/lab.keeper")).ok()?;
        text.split_once('-')?.0.parse().ok()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).output();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(super) fn kill(signal: &str, who: &str) {
    let kill = Command::new("sh")
        .args(["-c", "kill -\"$1\" \"$2\"", "sh", signal, who])
        .status();
    assert!(kill.unwrap().success());
}

#[test]
fn a_lab_stays_up_until_it_is_ended_and_leaves_nothing() {
    let Some(program) = Program::new("stays") else {
        return;
    };
    let before = own();
    assert!(program.run(&["status"]).ok().contains("no lab is up"));
    let said = program.run(&["up"]).ok();
    let keeper = program.keeper().unwrap();
    assert_eq!(said.matches(" answers").count(), 7, "{said}");
    assert_eq!(said.matches(" systemd ").count(), 2, "{said}");
    assert!(traces(keeper).len() > 40);
    let again = program.run(&["up"]).ok();
    assert!(again.starts_with("the lab is up already\n"), "{again}");
    assert_eq!(program.keeper(), Some(keeper));

    // The line that is printed for people, without the part that builds the program.
    let config = program.folder.join("lab/ssh_config");
    let config = config.to_str().unwrap();
    let entered = program.run(&[
        "enter",
        "--",
        "ssh",
        "-F",
        config,
        "db-1",
        "hostname; systemctl is-system-running",
    ]);
    assert_eq!(entered.ok(), "db-1\nrunning\n");
    assert_eq!(
        program
            .run(&["enter", "web-1", "--", "sh", "-c", "hostname; id -un"])
            .ok(),
        "web-1\nroot\n"
    );
    assert_eq!(
        program
            .run(&["enter", "web-1", "--", "sh", "-c", "exit 7"])
            .code(),
        Some(7)
    );
    let unknown = program.run(&["enter", "web-9"]);
    assert_eq!(unknown.code(), Some(1));
    assert!(
        unknown.stderr.contains("expected one of: web-t1, db-t1"),
        "{unknown:?}"
    );

    program.run(&["enter", "--", "ssh", "-F", config, "web-1", "sudo poweroff"]);
    let is_off = |line: &str| line.starts_with("web-1 ") && line.contains(" off ");
    let seen = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(100));
        program.run(&["status"]).ok().lines().any(is_off)
    });
    assert!(seen);

    assert!(
        program
            .run(&["down"])
            .ok()
            .contains("nothing of it is left")
    );
    assert_eq!(traces(keeper), [].into());
    assert_eq!(own(), before);
    assert!(!program.folder.join("lab").exists());
    assert_eq!(program.run(&["down"]).ok(), "no lab is up\n");
}

#[test]
fn a_lab_survives_being_interrupted_at_any_moment() {
    let Some(program) = Program::new("interrupted") else {
        return;
    };
    let before = own();
    // The one who waits is interrupted, with all of his terminal: the keeper goes on, and the next one waits for it.
    let mut up = program
        .command(&["up"])
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(200));
    kill("INT", &format!("-{}", up.id()));
    up.wait().unwrap();
    let interrupted = program.keeper().unwrap();
    program.run(&["up", "3"]).ok();
    let mut keeper = program.keeper().unwrap();
    assert_eq!(keeper, interrupted);
    // The keeper is killed while it is up, and then while it starts.
    for milliseconds in [0, 20, 150, 400] {
        kill("KILL", &keeper.to_string());
        let status = (0..100).find_map(|_| {
            // A process dies soon and not at once.
            thread::sleep(Duration::from_millis(20));
            Some(program.run(&["status"])).filter(|status| status.code() == Some(1))
        });
        assert!(
            status.unwrap().stderr.contains("cargo xtask lab down"),
            "{milliseconds}"
        );
        let mut up = program
            .command(&["up", "3"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let found = (0..500).find_map(|_| {
            thread::sleep(Duration::from_millis(10));
            program.keeper().filter(|pid| *pid != keeper)
        });
        assert_nothing_is_left(keeper);
        keeper = found.unwrap();
        thread::sleep(Duration::from_millis(milliseconds));
        kill("KILL", &up.id().to_string());
        up.wait().unwrap();
    }
    kill("KILL", &keeper.to_string());
    assert!(
        program
            .run(&["down"])
            .ok()
            .contains("nothing of it is left")
    );
    assert_nothing_is_left(keeper);
    assert_eq!(own(), before);

    let said = program.run(&["up", "2"]).ok();
    assert_eq!(said.matches(" answers").count(), 2, "{said}");
}

#[test]
fn a_stale_record_ends_nobody() {
    let Some(program) = Program::new("stale") else {
        return;
    };
    // A process that has the keeper's id and another start.
    let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
    let peers = program.folder.join("peers");
    fs::write(peers.join("lab.keeper"), format!("{}-1", other.id())).unwrap();
    assert_eq!(program.run(&["status"]).code(), Some(1));
    program.run(&["down"]).ok();
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(program.run(&["down"]).ok(), "no lab is up\n");
}

#[test]
fn what_is_not_understood_is_answered_with_what_is() {
    let Some(program) = Program::new("words") else {
        return;
    };
    for (words, said) in [
        (&["up", "0"][..], "expected 1 to 200 guests but found \"0\""),
        (
            &["enter", "a", "b"],
            "expected \"--\" before the command but found \"b\"",
        ),
        (&["sideways"], "\"sideways\" is not understood"),
    ] {
        let output = program.run(words);
        assert_eq!(output.code(), Some(2), "{output:?}");
        assert!(output.stderr.contains(said), "{output:?}");
        assert!(output.stderr.contains("usage: patchcore-lab"), "{output:?}");
    }
    // Nor is a reader complained about who goes before the end, as `head` does.
    let mut status = program
        .command(&["status"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(status.stdout.take());
    let output = status.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
