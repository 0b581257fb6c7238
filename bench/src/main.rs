//! What patchcore costs on a fleet of real guests, beside ansible-core, pyinfra and `xargs ssh`.
//!
//! `cargo xtask bench linux` starts it, and `cargo xtask bench python` with a Python program as our side. All tools do the same two works on the same guests in turn, inside the lab's own
//! network: *gather*, what `apt-get -s dist-upgrade` says of every guest, and *upgrade*, one package on every guest,
//! which is taken back before the next tool's turn. Only what the machine that patches spends is measured: the work
//! inside the guests is the same for all, and not of any of these tools.

mod figures;
mod guests;
mod page;
#[cfg(target_os = "linux")]
mod stage;

use std::{path::PathBuf, process::ExitCode};

use figures::{Comparison, Judged, Results};

/// What is asked for on the command line; `cargo xtask bench linux` fills the paths in.
#[derive(Debug)]
struct Wish {
    /// Where `ansible-playbook` and `pyinfra` are.
    peers: PathBuf,
    /// The program of our side; where Python is measured, an interpreter that has the package.
    ours: PathBuf,
    is_python: bool,
    guests: usize,
    rounds: usize,
    /// Guests and connections to each, for the holding.
    hold: (usize, usize),
    json: Option<PathBuf>,
    page: Option<PathBuf>,
}

impl Wish {
    fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut wish = Self {
            peers: PathBuf::new(),
            ours: PathBuf::new(),
            is_python: false,
            guests: 20,
            rounds: 3,
            hold: (50, 20),
            json: None,
            page: None,
        };
        let mut words = words.into_iter();
        while let Some(key) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("expected a value after {key}"))?;
            let number = || {
                value
                    .parse()
                    .ok()
                    .filter(|number| (1..=200).contains(number))
                    .ok_or_else(|| {
                        format!("expected a number from 1 to 200 after {key} but found {value:?}")
                    })
            };
            match key.as_str() {
                "--peers" => wish.peers = value.into(),
                "--ours" => wish.ours = value.into(),
                "--python" => (wish.ours, wish.is_python) = (value.into(), true),
                "--guests" => wish.guests = number()?,
                "--rounds" => wish.rounds = number()?,
                "--hold-guests" => wish.hold.0 = number()?,
                "--hold-each" => wish.hold.1 = number()?,
                "--json" => wish.json = Some(value.into()),
                "--page" => wish.page = Some(value.into()),
                _ => {
                    return Err(format!(
                        "\"{key}\" is not understood\n   expected --guests N, --rounds N, --hold-guests N, --hold-each N or --json FILE"
                    ));
                }
            }
        }
        Ok(wish)
    }

    const fn comparison(&self) -> Comparison {
        if self.is_python {
            Comparison::Python
        } else {
            Comparison::Rust
        }
    }
}

/// What is written for programs.
#[derive(serde::Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    results: &'a Results,
    judged: Vec<Judged>,
}

fn main() -> ExitCode {
    let wish = match Wish::parse(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(mistake) => {
            eprintln!("{mistake}\n   nothing was measured");
            return ExitCode::from(2);
        }
    };
    match measure(&wish) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
fn measure(wish: &Wish) -> Result<bool, String> {
    let results = stage::all(wish)?;
    println!("{}", guests::table(&results));
    if let Some(path) = &wish.json {
        let told = Told {
            results: &results,
            judged: results.judged(),
        };
        let text = serde_json::to_string_pretty(&told).map_err(|e| e.to_string())?;
        std::fs::write(path, text + "\n").map_err(|e| format!("{}: {e}", path.display()))?;
    }
    if let Some(path) = &wish.page {
        std::fs::write(path, guests::page(&results))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        println!("written to {}", path.display());
    }
    Ok(results.judged().iter().all(|judged| judged.holds))
}

#[cfg(not(target_os = "linux"))]
fn measure(_wish: &Wish) -> Result<bool, String> {
    Err("the lab of real guests needs Linux".to_owned())
}
