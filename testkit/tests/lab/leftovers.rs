//! Nothing of a lab outlives its owner.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use patchcore_testkit::peers::lab::{GuestRecipe, Kind, Recipe};

use super::{kept::kill, lab};

fn both_kinds() -> Recipe {
    Recipe::new()
        .with(GuestRecipe::new("bare", Kind::Bare))
        .with(GuestRecipe::new("unit", Kind::Systemd))
}

/// Everything of this machine in whose name a mark of a guest stands: processes that see its mounts, cgroups, and
/// network namespaces with a cable of a lab.
pub(super) fn traces(owner: u32) -> BTreeSet<String> {
    let mark = format!("guest-{owner}-");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().into_string().unwrap().parse::<u32>() else {
            continue;
        };
        for file in ["mountinfo", "cgroup", "cmdline"] {
            let text = fs::read(entry.path().join(file)).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(&mark) {
                found.insert(format!("process {pid} by {file}"));
            }
        }
    }
    for hierarchy in ["", "systemd", "unified"] {
        for entry in fs::read_dir(Path::new("/sys/fs/cgroup").join(hierarchy))
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_name().to_string_lossy().starts_with(&mark) {
                found.insert(format!("cgroup {}", entry.path().display()));
            }
        }
    }
    found
}

/// What this process itself sees.
pub(super) fn own() -> (BTreeSet<String>, BTreeSet<String>) {
    let lines = |path: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let names = |path: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path().display().to_string())
            .collect()
    };
    let mut files = names("/run/netns");
    files.extend(names("/run/systemd/nspawn"));
    files.extend(names("/run/systemd/machines"));
    (lines("/proc/self/mounts"), files)
}

/// Not a test of its own: the process that the next tests end.
#[test]
#[ignore = "started by the tests beside it"]
fn hold_a_lab_until_killed() {
    if env::var_os("PATCHCORE_HOLD_A_LAB").is_none() {
        return;
    }
    let lab = lab(both_kinds()).unwrap();
    let _sleep = lab.guest("unit").spawn(["sleep", "1000"]);
    let _sleep = lab.guest("bare").spawn(["sleep", "1000"]);
    eprintln!("holding {}", lab.inventory().display());
    loop {
        thread::park();
    }
}

/// A process that has a lab, and the lab's folder.
fn holder() -> (Child, String) {
    let mut holder = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "leftovers::hold_a_lab_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("PATCHCORE_HOLD_A_LAB", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let said = BufReader::new(holder.stderr.take().unwrap()).lines();
    let folder = said
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("holding ").map(str::to_owned))
        .unwrap();
    (holder, folder)
}

/// The kernel ends guests by itself, soon and not at once.
pub(super) fn assert_nothing_is_left(owner: u32) {
    for _ in 0..500 {
        if traces(owner).is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(traces(owner), BTreeSet::new());
}

#[test]
fn nothing_is_left_however_the_owner_ends() {
    // The first also builds the base where it is missing.
    let Some(first) = lab(Recipe::new()) else {
        return;
    };
    drop(first);
    let before = own();
    let itself = |pid: u32| pid.to_string();
    // As a terminal does it: everything that was started from there.
    let its_group = |pid: u32| format!("-{pid}");
    let ways: [(&str, &dyn Fn(u32) -> String); 2] = [("INT", &its_group), ("KILL", &itself)];
    for (signal, whom) in ways {
        let (mut holder, folder) = holder();
        let found = traces(holder.id());
        assert!(
            found.iter().any(|trace| trace.starts_with("cgroup")),
            "{found:?}"
        );
        assert!(found.len() > 20, "{found:?}");
        assert!(Path::new(&folder).exists());
        kill(signal, &whom(holder.id()));
        holder.wait().unwrap();
        assert_nothing_is_left(holder.id());
        assert_eq!(own(), before, "after SIG{signal}");
        // Its folder is removed by whoever comes next.
        drop(lab(Recipe::new()).unwrap());
        assert!(!Path::new(&folder).exists());
    }
}
