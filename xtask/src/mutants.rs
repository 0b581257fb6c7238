//! `cargo xtask mutants`: small faults all over the code that may not be wrong, each of which a test must catch.
//!
//! cargo-mutants makes them: a comparison turned round, a function that answers with nothing, an arm that is gone.
//! There are over a thousand, each costs a build and a run of the tests, so a sample is taken. It is the same for the
//! same seed, and changes little when the code does: each mutant is drawn by its own name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::ExitCode,
};

use crate::{
    install, shell,
    step::{now, say, seconds},
    workspace::Workspace,
};

/// Where a survivor stands with the reason why it may.
const PAGE: &str = "docs/evidence/mutants.md";

/// Code that the same tests judge. To add some: what it is called, its parts, its tests.
#[derive(Debug, PartialEq, Eq)]
struct Code {
    word: &'static str,
    /// The parts that a sample is shared out to, alike: the name and the files of each.
    parts: &'static [(&'static str, &'static [&'static str])],
    /// What cargo is told beside the tests.
    also: &'static [&'static str],
    /// The tests that judge, cheapest first.
    tests: &'static [&'static str],
}

const ENGINE: Code = Code {
    word: "engine",
    parts: &[
        ("kernels", &["patchcore/src/execute/kernel/**"]),
        (
            "ensure",
            &[
                "patchcore/src/execute/ensure.rs",
                "patchcore/src/execute/lock.rs",
                "patchcore/src/execute/looks.rs",
                "patchcore/src/execute/stall.rs",
            ],
        ),
        ("journal", &["patchcore/src/execute/journal/**"]),
    ],
    also: &["--features", "crash"],
    tests: &[
        "golden_journals",
        "report",
        "kernel_props",
        "run",
        "journal",
        "crash",
        "crash_disk",
    ],
};

/// The checker of rolls, by which alone one runs.
const CHECKER: Code = Code {
    word: "checker",
    parts: &[("checker", &["patchcore/src/plan/roll/check/**"])],
    also: &[],
    tests: &["roll"],
};

const ALL: [&Code; 2] = [&ENGINE, &CHECKER];

/// What only plants faults for other tests.
const LEFT_OUT: &str = "patchcore/src/execute/journal/fault.rs";

/// A mutant may make a run wait for ever. The slowest of the tests takes a minute.
const PATIENCE_SECONDS: &str = "300";

/// What is asked for on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    code: &'static Code,
    seed: u64,
    /// How many, of all parts together.
    sample: usize,
    /// Whether they are only named.
    list: bool,
}

impl Wish {
    /// Reads `[engine|checker] [--seed N] [--sample N] [--list]`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut wish = Self {
            code: &ENGINE,
            seed: 1,
            sample: 60,
            list: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let number = |next: Option<&&str>| {
                next.and_then(|number| number.parse::<u32>().ok())
                    .filter(|number| *number > 0)
                    .ok_or_else(|| format!("expected a number above 0 after {word}"))
            };
            match *word {
                "--seed" => wish.seed = number(words.next())?.into(),
                "--sample" => {
                    wish.sample = usize::try_from(number(words.next())?).unwrap_or(usize::MAX);
                }
                "--list" => wish.list = true,
                other => {
                    let code = ALL.into_iter().find(|code| code.word == other);
                    wish.code = code.ok_or_else(|| {
                        format!("\"{other}\" is not understood after \"cargo xtask mutants\"")
                    })?;
                }
            }
        }
        Ok(wish)
    }
}

/// Plants a sample of mutants, one after another, and says which no test caught.
pub(crate) fn command(workspace: &Workspace, wish: Wish) -> ExitCode {
    match plant(workspace, wish) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(mistake) => {
            eprintln!("{mistake}");
            ExitCode::from(crate::BAD_INPUT)
        }
    }
}

fn plant(workspace: &Workspace, wish: Wish) -> Result<bool, String> {
    let (program, how) = install::tool(workspace, install::CARGO_MUTANTS)
        .map_err(|_| "cargo-mutants cannot be installed".to_owned())?;
    if !how.is_empty() {
        say(&how);
    }
    let mut sample = Vec::new();
    let code = wish.code;
    for (part, files) in code.parts {
        let mut list = workspace.program(&program);
        list.args(["mutants", "--list", "--package", "patchcore"]);
        list.args(["--exclude", LEFT_OUT]);
        list.args(files.iter().flat_map(|file| ["--file", file]));
        let finished = shell::run(workspace, "mutants-list", &mut list, None)
            .map_err(|_| "cargo-mutants cannot be started".to_owned())?;
        if !finished.is_success() {
            return Err(finished.output);
        }
        let all: Vec<&str> = finished.output.lines().collect();
        let drawn = drawn(&all, wish.seed, wish.sample.div_ceil(code.parts.len()));
        say(&format!("{part}: {} of {}", drawn.len(), all.len()));
        sample.extend(drawn);
    }
    if wish.list {
        sample.iter().for_each(|mutant| say(&mutant.name));
        return Ok(true);
    }
    let started = now();
    let folder = workspace.target().join("mutants");
    fs::create_dir_all(&folder)
        .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let mut command = workspace.program(&program);
    command
        .args(["mutants", "--package", "patchcore"])
        .args(code.also)
        .args(["--profile", "crash", "--timeout", PATIENCE_SECONDS])
        .args(["--caught", "--unviable", "--output"])
        .arg(&folder);
    // The tool makes mutants that delete a field whatever the pattern says; at least none of other files.
    let files: BTreeSet<&str> = sample.iter().map(Mutant::file).collect();
    command.args(files.iter().flat_map(|file| ["--file", file]));
    for mutant in &sample {
        command.args(["--re", &format!("^{}$", literal(&mutant.name))]);
    }
    command.args(["--", "--lib"]);
    command.args(code.tests.iter().flat_map(|test| ["--test", test]));
    say("the baseline, then each mutant: watch target/xtask/mutants.log");
    shell::run(workspace, "mutants", &mut command, None)
        .map_err(|_| "cargo-mutants cannot be started".to_owned())?;
    let outcome = |file: &str| -> Result<BTreeSet<String>, String> {
        let path = folder.join("mutants.out").join(file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        Ok(text.lines().map(str::to_owned).collect())
    };
    let page = fs::read_to_string(workspace.root().join(PAGE))
        .map_err(|error| format!("{PAGE} cannot be read: {error}"))?;
    let (caught, hung) = (outcome("caught.txt")?, outcome("timeout.txt")?);
    let (missed, unviable) = (outcome("missed.txt")?, outcome("unviable.txt")?);
    let verdict = Verdict::of(&sample, &missed, &caught, &explained(&page));
    say(&format!(
        "{} caught · {} hung, which counts as caught · {} do not compile · {} survive with a reason · {} survive · {}",
        caught.len(),
        hung.len(),
        unviable.len(),
        verdict.explained.len(),
        verdict.survivors.len(),
        seconds(started.elapsed())
    ));
    for name in &verdict.survivors {
        say(&format!("survives: {name}"));
    }
    for key in &verdict.outlived {
        say(&format!("{PAGE} explains a survivor that is caught: {key}"));
    }
    let judged = caught.len() + hung.len() + missed.len() + unviable.len();
    if judged < sample.len() {
        say(&format!(
            "{} were never judged, see target/xtask/mutants.log",
            sample.len() - judged
        ));
    }
    Ok(verdict.survivors.is_empty() && verdict.outlived.is_empty() && judged == sample.len())
}

/// One mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mutant {
    /// As the tool calls it, with line and column.
    name: String,
    /// Without them, so that it is the same one when something above it changes.
    key: String,
}

impl Mutant {
    /// Where it is planted.
    fn file(&self) -> &str {
        self.name.split(':').next().unwrap_or_default()
    }
}

/// Those that a seed draws.
fn drawn(names: &[&str], seed: u64, number: usize) -> Vec<Mutant> {
    let mut seen = BTreeMap::new();
    let mut all: Vec<(u64, Mutant)> = names
        .iter()
        .map(|name| {
            let place_less = without_place(name);
            let nth: &mut u32 = seen.entry(place_less.clone()).or_default();
            *nth += 1;
            let key = format!("{place_less} #{nth}");
            let name = (*name).to_owned();
            (hash(&format!("{seed} {key}")), Mutant { name, key })
        })
        .collect();
    all.sort_by_key(|(hash, _)| *hash);
    all.into_iter().take(number).map(|(_, m)| m).collect()
}

/// `a/b.rs:12:5: replace …` as `a/b.rs: replace …`.
fn without_place(name: &str) -> String {
    let Some((place, what)) = name.split_once(": ") else {
        return name.to_owned();
    };
    let file = place.split(':').next().unwrap_or(place);
    format!("{file}: {what}")
}

/// FNV-1a, with its bits mixed once more: of names that are nearly alike it alone gives numbers that are, too.
fn hash(text: &str) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let once = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

/// A pattern that matches just this text. What means nothing may not be escaped: `\<` is the beginning of a word.
fn literal(text: &str) -> String {
    let mut pattern = String::new();
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// The keys in the first column of the page's tables.
fn explained(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|rest| rest.split_once("` |"))
        .map(|(key, _)| key.replace("\\|", "|"))
        .collect()
}

/// What the sample showed about survivors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    /// No test caught them and nobody wrote why.
    survivors: Vec<String>,
    /// No test caught them, and the page says why not.
    explained: Vec<String>,
    /// The page says why none catches them, and one did.
    outlived: Vec<String>,
}

impl Verdict {
    fn of(
        sample: &[Mutant],
        missed: &BTreeSet<String>,
        caught: &BTreeSet<String>,
        explained: &BTreeSet<String>,
    ) -> Self {
        let mut verdict = Self::default();
        for Mutant { name, key } in sample {
            match (missed.contains(name), explained.contains(key)) {
                (true, false) => verdict.survivors.push(name.clone()),
                (true, true) => verdict.explained.push(name.clone()),
                (false, true) if caught.contains(name) => verdict.outlived.push(key.clone()),
                (false, _) => {}
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = [
        "a.rs:1:5: replace f -> bool with true",
        "a.rs:3:7: replace && with || in f",
        "a.rs:3:9: replace && with || in f",
        "b.rs:9:1: replace == with != in <impl A for B<'_>>::g",
    ];

    #[test]
    fn a_seed_draws_the_same_wherever_the_code_stands() {
        let drawn_keys = |names: &[&str], seed| -> Vec<String> {
            drawn(names, seed, 2).into_iter().map(|m| m.key).collect()
        };
        let moved: Vec<String> = NAMES.iter().map(|n| n.replace(":3:", ":40:")).collect();
        let moved: Vec<&str> = moved.iter().map(String::as_str).collect();
        assert_eq!(drawn_keys(&NAMES, 1), drawn_keys(&moved, 1));
        let seeds: BTreeSet<Vec<String>> = (1..20).map(|seed| drawn_keys(&NAMES, seed)).collect();
        assert!(seeds.len() > 1, "{seeds:?}");
        let all: BTreeSet<String> = drawn(&NAMES, 1, 9).into_iter().map(|m| m.key).collect();
        assert_eq!(all.len(), NAMES.len());
        let drawn = drawn(&NAMES, 1, 9);
        let files: BTreeSet<&str> = drawn.iter().map(Mutant::file).collect();
        assert_eq!(files, ["a.rs", "b.rs"].into());
    }

    #[test]
    fn a_survivor_needs_a_reason_and_a_reason_needs_a_survivor() {
        let sample = drawn(&NAMES, 1, 4);
        let names = |of: &[usize]| of.iter().map(|i| NAMES[*i].to_owned()).collect();
        let page = "| mutant | why |\n|---|---|\n| `a.rs: replace && with \\|\\| in f #2` | alike |\n| `b.rs: replace == with != in <impl A for B<'_>>::g #1` | text |\n";
        let verdict = Verdict::of(&sample, &names(&[1, 2]), &names(&[0, 3]), &explained(page));
        assert_eq!(verdict.survivors, [NAMES[1]]);
        assert_eq!(verdict.explained, [NAMES[2]]);
        assert_eq!(
            verdict.outlived,
            ["b.rs: replace == with != in <impl A for B<'_>>::g #1"]
        );
    }

    #[test]
    fn names_match_themselves_only() {
        assert_eq!(literal("a.rs: <B> Ok(x)"), r"a\.rs: <B> Ok\(x\)");
    }

    #[test]
    fn wishes() {
        let wish = |code, seed, sample, list| Wish {
            code,
            seed,
            sample,
            list,
        };
        assert_eq!(Wish::parse(&[]), Ok(wish(&ENGINE, 1, 60, false)));
        let words = ["--sample", "9", "--list", "--seed", "7"];
        assert_eq!(Wish::parse(&words), Ok(wish(&ENGINE, 7, 9, true)));
        let words = ["checker", "--sample", "900"];
        assert_eq!(Wish::parse(&words), Ok(wish(&CHECKER, 1, 900, false)));
        for words in [
            &["--seed"] as &[&str],
            &["--sample", "0"],
            &["checkers"],
            &["--fast"],
        ] {
            assert!(Wish::parse(words).is_err(), "{words:?}");
        }
    }
}
