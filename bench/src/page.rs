//! The head of every page of evidence: what wrote it, when, of which commit, where, and how busy that was.

use std::{error::Error, fmt::Write as _, fs, path::Path, process::Command, thread};

/// The first line that a program says of itself.
pub(crate) fn said(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    // ssh says its version on standard error.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The day, the commit, the machine and the compiler.
pub(crate) fn about() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1))
        .unwrap_or("an unknown processor");
    let processors = thread::available_parallelism()?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next())
        .ok_or("no memory is told of")?
        .parse()?;
    // A tree that was changed is told from its commit.
    let commit = [
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ];
    let about = [
        ("day", said(Path::new("date"), &["-u", "+%Y-%m-%d"])?),
        ("commit", format!("`{}`", said(Path::new("git"), &commit)?)),
        (
            "machine",
            format!(
                "{processors} processors ({model}), {} GB",
                memory / 1_000_000
            ),
        ),
        ("kernel", said(Path::new("uname"), &["-sr"])?),
        ("compiler", said(Path::new("rustc"), &["--version"])?),
    ];
    let owned = |(key, value): (&str, String)| (key.to_owned(), value);
    Ok(about.into_iter().map(owned).collect())
}

/// How many programs want a processor now, over a minute.
pub(crate) fn load() -> Result<f64, Box<dyn Error>> {
    let load = fs::read_to_string("/proc/loadavg")?;
    let now = load.split_whitespace().next().ok_or("no load is told of")?;
    Ok(now.parse()?)
}

/// What stands above what was found. `command` is what writes the page.
pub(crate) fn head(
    title: &str,
    command: &str,
    about: &[(String, String)],
    loads: &[f64],
) -> String {
    let mut head =
        format!("# {title}\n\nWritten by `cargo xtask {command} --write`; do not edit.\n\n");
    for (key, value) in about {
        let _ = writeln!(head, "- {key}: {value}");
    }
    if let Some(most) = loads.iter().copied().max_by(f64::total_cmp) {
        let least = loads.iter().copied().fold(most, f64::min);
        let _ = writeln!(head, "- load of the machine: {least:.1} to {most:.1}");
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_when_where_and_how_busy() {
        let about = about().unwrap();
        let keys: Vec<&str> = about.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["day", "commit", "machine", "kernel", "compiler"]);
        assert!(about.iter().all(|(_, value)| value.len() > 4), "{about:?}");
        let head = head("A page", "bench x", &about, &[2.0, load().unwrap(), 1.5]);
        for expect in [
            "# A page\n\nWritten by `cargo xtask bench x --write`; do not edit.\n\n- day: 2",
            "\n- compiler: rustc 1.",
            "\n- load of the machine: ",
        ] {
            assert!(head.contains(expect), "{head}");
        }
    }
}
