//! The live block on a terminal that is not ours: tmux, which breaks long lines anew when it becomes narrower.
//!
//! Evidence: `IndependentPeer` for the escape sequences that the block uses.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, also in its helpers"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use patchcore_examples::live::{Line, Screen, Style};
use patchcore_testkit::peers::{Missing, need};

/// What the program below shows: two lines of a block that fill 70 columns, or what there is.
fn block(step: usize, columns: usize) -> Vec<Line> {
    let line = |n| {
        Line::default()
            .with(Style::Bold, format!("block {step}.{n} "))
            .with(Style::Busy, "=".repeat(60))
    };
    (1..=2).map(|n| line(n).cut(columns - 1)).collect()
}

/// Not a test of its own: the program that runs in tmux. It draws anew for every file `step-N` that appears.
#[test]
#[ignore = "started by a_narrower_terminal_keeps_one_block"]
fn draw_when_told() {
    let Some(folder) = env::var_os("PATCHCORE_TEST_STEPS").map(PathBuf::from) else {
        return;
    };
    let mut screen = Screen::standard();
    for step in 1..=4 {
        // A terminal tells its new size when it comes to it.
        let told = || fs::read_to_string(folder.join(format!("step-{step}"))).unwrap_or_default();
        if !wait_until(|| told() == screen.size().columns.to_string()) {
            return;
        }
        let block = block(step, screen.size().columns);
        screen
            .draw(&[format!("said in step {step}")], &block)
            .unwrap();
    }
    wait_until(|| folder.join("step-5").exists());
    drop(screen);
    fs::write(folder.join("closed"), "").unwrap();
    wait_until(|| folder.join("step-6").exists());
}

fn wait_until(holds: impl Fn() -> bool) -> bool {
    (0..1000).any(|_| {
        thread::sleep(Duration::from_millis(20));
        holds()
    })
}

/// A tmux of this test's own, ended with the value.
struct Tmux(String);

impl Tmux {
    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.0, "-f", "/dev/null"])
            .args(arguments)
            .env_remove("TMUX")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn shows(&self) -> Vec<String> {
        let text = self.run(&["capture-pane", "-p", "-t", "it"]);
        let lines = text.lines().map(|l| l.trim_end().to_owned());
        lines
            .filter(|l| l.contains("said") || l.contains('=') || l.contains("block"))
            .collect()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

fn tmux() -> Result<(), Missing> {
    let version = Command::new("tmux").arg("-V").stdin(Stdio::null()).output();
    match version {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(Missing::new("tmux", "apt-get install tmux")),
    }
}

#[test]
fn a_narrower_terminal_keeps_one_block() {
    if need(tmux()).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tell = |step: usize, text: &str| {
        let (made, file) = (folder.path().join("new"), format!("step-{step}"));
        fs::write(&made, text).unwrap();
        fs::rename(made, folder.path().join(file)).unwrap();
    };
    let tmux = Tmux(format!("patchcore-{}", std::process::id()));
    let this = env::current_exe().unwrap();
    let program = format!(
        "env -u NO_COLOR TERM=screen PATCHCORE_TEST_STEPS={} {} --exact draw_when_told --ignored --nocapture",
        quoted(folder.path()),
        quoted(&this),
    );
    tmux.run(&["new", "-d", "-s", "it", "-x", "80", "-y", "24", &program]);

    let mut seen = Vec::new();
    for (step, columns) in [(1, 80), (2, 80), (3, 40), (4, 100)] {
        let size = columns.to_string();
        tmux.run(&["resize-window", "-t", "it", "-x", &size, "-y", "24"]);
        tell(step, &size);
        let sign = format!("block {step}.2");
        wait_until(|| tmux.shows().iter().any(|line| line.starts_with(&sign)));
        let mut expect: Vec<String> = (1..=step).map(|n| format!("said in step {n}")).collect();
        expect.extend(block(step, columns).iter().map(Line::plain));
        assert_eq!(
            tmux.shows(),
            expect,
            "in step {step}, {columns} columns wide"
        );
        seen.push(tmux.run(&["display-message", "-p", "-t", "it", "#{cursor_flag}"]));
    }
    tell(5, "");
    wait_until(|| folder.path().join("closed").exists());
    wait_until(|| tmux.shows().len() == 4);
    let expect: Vec<String> = (1..=4).map(|n| format!("said in step {n}")).collect();
    assert_eq!(tmux.shows(), expect);
    seen.push(tmux.run(&["display-message", "-p", "-t", "it", "#{cursor_flag}"]));
    assert_eq!(
        seen,
        ["0\n", "0\n", "0\n", "0\n", "1\n"],
        "whether the cursor is shown"
    );
    tell(6, "");
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}
