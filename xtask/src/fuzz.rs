//! `cargo xtask fuzz`: inputs by coverage, for every parser of what comes from outside.
//!
//! The engine is libFuzzer with the stable toolchain: `libfuzzer-sys` builds it with the machine's C++ compiler, and
//! the flags below let the compiler count covered edges. cargo-fuzz would need a nightly toolchain and a tool of its
//! own, and its address sanitizer finds little in a workspace without unsafe code.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use crate::{
    install::{self, prints},
    outcome::Outcome,
    shell,
    step::{now, say, seconds},
    workspace::Workspace,
};

const PAGE: &str = "docs/evidence/fuzz.md";

/// Coverage of edges, with the operands of comparisons, as libFuzzer wants it.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// An input that takes longer than this is a finding: the longest answer of a real machine takes milliseconds.
const SLOWEST_SECONDS: u32 = 10;
/// A parser that needs more memory than this for the longest input is a finding.
const MEMORY_MB: u32 = 512;
/// The answer of a whole scan has some 100 kB; longer inputs only repeat what shorter ones do.
const LONGEST_BYTES: u32 = 64 * 1024;

/// What is asked for on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    /// One target; absent for all.
    pub(crate) target: Option<String>,
    /// For each target.
    pub(crate) minutes: u32,
    /// Whether the figures are written to the page of evidence.
    pub(crate) write: bool,
}

impl Wish {
    /// Reads `[TARGET] [--minutes N] [--write]`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut wish = Self {
            target: None,
            minutes: 10,
            write: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--minutes" => {
                    wish.minutes = words
                        .next()
                        .and_then(|number| number.parse().ok())
                        .filter(|minutes| (1..=24 * 60).contains(minutes))
                        .ok_or("expected a number of minutes from 1 to 1440 after --minutes")?;
                }
                "--write" => wish.write = true,
                name if !name.starts_with('-') && wish.target.is_none() => {
                    wish.target = Some(name.to_owned());
                }
                other => {
                    return Err(format!(
                        "\"{other}\" is not understood after \"cargo xtask fuzz\""
                    ));
                }
            }
        }
        Ok(wish)
    }
}

/// What became of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: u64,
    features: u64,
    /// Inputs for which something did not hold.
    findings: Vec<String>,
    /// The end of what the engine said, where it did not end well.
    said: String,
}

/// Fuzzes the targets, and shows the figures of each.
pub(crate) fn command(workspace: &Workspace, wish: &Wish) -> ExitCode {
    match fuzz(workspace, wish) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(mistake) => {
            eprintln!("{mistake}");
            ExitCode::from(crate::BAD_INPUT)
        }
    }
}

fn fuzz(workspace: &Workspace, wish: &Wish) -> Result<bool, String> {
    let all = targets(workspace)?;
    let chosen: Vec<String> = match &wish.target {
        None => all,
        Some(name) if all.contains(name) => vec![name.clone()],
        Some(name) => {
            return Err(format!(
                "no fuzz target is called \"{name}\"\n   expected one of: {}",
                all.join(", ")
            ));
        }
    };
    let engine = build(workspace)?;
    // Two at a time halve the wait; more would hide that a target is slow.
    let at_once = thread::available_parallelism().map_or(1, |cores| cores.get().min(2));
    say(&format!(
        "{} targets, {} min each, {at_once} at a time",
        chosen.len(),
        wish.minutes
    ));
    let mut results = Vec::new();
    let mut waiting = chosen.into_iter();
    let mut working: Vec<Work> = Vec::new();
    loop {
        while working.len() < at_once {
            let Some(target) = waiting.next() else { break };
            let work = Work::start(workspace, &engine, target, wish.minutes)
                .map_err(|error| format!("the engine cannot be started: {error}"))?;
            working.push(work);
        }
        if working.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(200));
        let mut still = Vec::new();
        for mut work in working {
            match work.child.try_wait() {
                Ok(None) => still.push(work),
                Ok(Some(status)) => {
                    let (target, figures) = work.finish(status);
                    say(&shown(&target, &figures));
                    results.push((target, figures));
                }
                Err(error) => return Err(format!("the engine was lost: {error}")),
            }
        }
        working = still;
    }
    results.sort_by(|a, b| a.0.cmp(&b.0));
    let whole = results
        .iter()
        .all(|(_, figures)| figures.findings.is_empty() && figures.said.is_empty());
    if wish.write {
        write(workspace, wish, &results)?;
    }
    Ok(whole)
}

/// The targets by their folders of seeds; a test of patchcore-fuzz holds the two together.
fn targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let folder = workspace.root().join("fuzz/seeds");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn build(workspace: &Workspace) -> Result<PathBuf, String> {
    let compiles = || prints(Command::new("c++").arg("--version")).is_some();
    if !compiles() {
        let brought = install::bring(workspace, &["g++"]);
        if !compiles() {
            let why = match brought {
                Outcome::Failed { output, .. } | Outcome::Skipped(output) => output,
                Outcome::Passed(_) => "g++ is installed, and there is no c++".to_owned(),
            };
            return Err(format!(
                "a C++ compiler is missing: libFuzzer is built with it\n   {why}"
            ));
        }
    }
    let version = prints(workspace.program("rustc").arg("-vV")).unwrap_or_default();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .ok_or("rustc does not say what machine this is")?;
    let started = now();
    let mut cargo = workspace.cargo(["build", "--release", "--manifest-path"]);
    // With a named target the flags stay away from build scripts and macros.
    cargo
        .args(["fuzz/engine/Cargo.toml", "--target", host, "--target-dir"])
        .arg(workspace.target().join("fuzz"))
        .env("RUSTFLAGS", FLAGS);
    match shell::run(workspace, "fuzz-build", &mut cargo, None) {
        Ok(finished) if finished.is_success() => {
            say(&format!("built in {}", seconds(started.elapsed())));
            let folder = workspace.target().join("fuzz").join(host);
            Ok(folder.join("release/patchcore-fuzz-engine"))
        }
        Ok(finished) => Err(finished.output),
        Err(_) => Err("cargo cannot be started".to_owned()),
    }
}

/// One engine at work.
struct Work {
    target: String,
    child: Child,
    log: PathBuf,
    findings: PathBuf,
}

impl Work {
    fn start(
        workspace: &Workspace,
        engine: &Path,
        target: String,
        minutes: u32,
    ) -> io::Result<Self> {
        let folder = workspace.target().join("fuzz");
        let corpus = folder.join("corpus").join(&target);
        let findings = folder.join("findings").join(&target);
        // What was found before is mended or kept as a seed; a finding of this time is told from those.
        if findings.exists() {
            fs::remove_dir_all(&findings)?;
        }
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&findings)?;
        let log = folder.join(format!("{target}.log"));
        let file = File::create(&log)?;
        let child = workspace
            .program(engine)
            .arg(corpus)
            .arg(workspace.root().join("fuzz/seeds").join(&target))
            .arg(format!("-max_total_time={}", minutes * 60))
            .arg(format!("-timeout={SLOWEST_SECONDS}"))
            .arg(format!("-rss_limit_mb={MEMORY_MB}"))
            .arg(format!("-max_len={LONGEST_BYTES}"))
            .arg("-print_final_stats=1")
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .env("PATCHCORE_FUZZ_TARGET", &target)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self {
            target,
            child,
            log,
            findings,
        })
    }

    fn finish(self, status: ExitStatus) -> (String, Figures) {
        let log = fs::read(&self.log).unwrap_or_default();
        let mut figures = Figures::read(&String::from_utf8_lossy(&log), status.success());
        figures.findings = fs::read_dir(&self.findings)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            // An input that is merely slow under the coverage flags is shown by the engine and no finding.
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with("slow-unit"))
            .map(|entry| entry.path().display().to_string())
            .collect();
        (self.target, figures)
    }
}

impl Figures {
    /// Reads lines such as `#4096 DONE cov: 12 ft: 34 corp: …` and `stat::number_of_executed_units: 4096`.
    fn read(log: &str, success: bool) -> Self {
        let mut figures = Self::default();
        for line in log.lines() {
            if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
                figures.executions = number.trim().parse().unwrap_or(0);
            } else if line.starts_with('#') {
                let mut words = line.split_whitespace();
                if words.any(|word| word == "ft:")
                    && let Some(number) = words.next().and_then(|word| word.parse().ok())
                {
                    figures.features = number;
                }
            }
        }
        if !success || figures.executions == 0 {
            let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with('#')).collect();
            // The panic and what it says stand before the engine's own words about it.
            figures.said = match lines.iter().position(|line| line.contains("panicked at")) {
                Some(at) => lines[at..]
                    .iter()
                    .take_while(|line| !line.starts_with("stack backtrace"))
                    .take(6)
                    .copied()
                    .collect::<Vec<_>>()
                    .join("\n"),
                None => lines[lines.len().saturating_sub(12)..].join("\n"),
            };
            if figures.said.is_empty() {
                figures.said = "the engine tried nothing and said nothing".to_owned();
            }
        }
        figures
    }
}

fn shown(target: &str, figures: &Figures) -> String {
    let mut text = format!(
        "{target:<14} {:>10} executions {:>6} features {} crashes",
        figures.executions,
        figures.features,
        figures.findings.len()
    );
    for finding in &figures.findings {
        text.push_str(&format!(
            "\n   found by {finding}\n   mend it, and keep it as fuzz/seeds/{target}/finding-WHAT"
        ));
    }
    for line in figures.said.lines() {
        text.push_str(&format!("\n   {line}"));
    }
    text
}

/// Writes the rows of these targets, and keeps those of the others as long as they are targets.
fn write(workspace: &Workspace, wish: &Wish, results: &[(String, Figures)]) -> Result<(), String> {
    let ask = |program: &str, arguments: &[&str]| {
        prints(workspace.program(program).args(arguments))
            .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    let when = format!(
        "{} | `{}`",
        ask("date", &["-u", "+%Y-%m-%d"]),
        ask("git", &["rev-parse", "--short=12", "HEAD"])
    );
    let path = workspace.root().join(PAGE);
    let mut rows = rows(&fs::read_to_string(&path).unwrap_or_default());
    let targets = targets(workspace)?;
    rows.retain(|target, _| targets.contains(target));
    for (target, figures) in results {
        rows.insert(target.clone(), row(target, wish.minutes, figures, &when));
    }
    fs::write(path, page(&rows)).map_err(|error| format!("{PAGE} cannot be written: {error}"))?;
    say(&format!("written to {PAGE}"));
    Ok(())
}

/// The rows of a page that was written before, by target.
fn rows(page: &str) -> BTreeMap<String, String> {
    page.lines()
        .filter_map(|line| {
            let target = line.strip_prefix("| ")?.split(" |").next()?;
            (target != "target").then(|| (target.to_owned(), line.to_owned()))
        })
        .collect()
}

fn row(target: &str, minutes: u32, figures: &Figures, when: &str) -> String {
    format!(
        "| {target} | {minutes} | {} | {} | {} | {when} |",
        figures.executions,
        figures.features,
        figures.findings.len()
    )
}

fn page(rows: &BTreeMap<String, String>) -> String {
    let mut page = format!(
        "# The last fuzzing\n\nWritten by `cargo xtask fuzz --write`; do not edit.\n\n\
         Each input has at most {LONGEST_BYTES} bytes, {SLOWEST_SECONDS} s and {MEMORY_MB} MB.\n\
         What must hold for each target stands in `fuzz/src/`.\n\
         A feature is a covered edge together with how often it was passed.\n\n\
         | target | minutes | executions | features | crashes | day | commit |\n|---|---|---|---|---|---|---|\n"
    );
    for row in rows.values() {
        page.push_str(row);
        page.push('\n');
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        fn check(line: &str, expect: Option<(Option<&str>, u32, bool)>) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let found = Wish::parse(&words).ok();
            let expect = expect.map(|(target, minutes, write)| Wish {
                target: target.map(str::to_owned),
                minutes,
                write,
            });
            assert_eq!(found, expect, "{line}");
        }
        check("", Some((None, 10, false)));
        check("scan", Some((Some("scan"), 10, false)));
        check("scan --minutes 2 --write", Some((Some("scan"), 2, true)));
        check("--minutes", None);
        check("--minutes 0", None);
        check("scan plan", None);
        check("--seconds 3", None);
    }

    #[test]
    fn figures_are_read_and_a_crash_is_no_success() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                   #9\tNEW    cov: 7 ft: 8 corp: 2/2b lim: 4 exec/s: 0 rss: 30Mb\n\
                   stat::number_of_executed_units: 4096\n";
        let figures = Figures::read(log, true);
        assert_eq!((figures.executions, figures.features), (4096, 8));
        assert_eq!(figures.said, "");

        let crashed = format!("#1\n\nthread '<unnamed>' panicked at src/a.rs:1:\nno hint\n{log}");
        let figures = Figures::read(&crashed, false);
        assert!(figures.said.contains("no hint"), "{figures:?}");
        // An engine that ends at once has proven nothing.
        assert_ne!(Figures::read("", true).said, "");
    }

    #[test]
    fn the_page_keeps_the_rows_of_other_targets() {
        let figures = Figures {
            executions: 5,
            features: 6,
            findings: vec!["x".to_owned()],
            said: String::new(),
        };
        let line = row("scan", 10, &figures, "2026-12-14 | `abc`");
        assert_eq!(line, "| scan | 10 | 5 | 6 | 1 | 2026-12-14 | `abc` |");
        let kept = BTreeMap::from([("scan".to_owned(), line)]);
        assert_eq!(rows(&page(&kept)), kept);
    }
}
