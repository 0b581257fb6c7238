//! `kill -9` keeps what the kernel was given, so it cannot show that an intent is on the disk. The order of the system calls
//! can: between the write of an intent into the log and the begin that it permits, a sync of that log has returned.

use std::{path::Path, process::Stdio};

use super::{
    child,
    kills::Folder,
    world::{Job, World},
};

/// A system call, by the lines of the trace at which it began and returned.
struct Call<'a> {
    pid: &'a str,
    began: usize,
    returned: usize,
    /// Name and arguments.
    text: &'a str,
    result: &'a str,
}

/// Reads a trace of `strace -f -o`; a call that another thread's came between stands on two lines.
fn calls(trace: &str) -> Vec<Call<'_>> {
    let mut calls: Vec<Call<'_>> = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let open = calls
                .iter_mut()
                .rev()
                .find(|call| call.pid == pid && call.returned == usize::MAX);
            if let (Some(call), Some((_, result))) = (open, resumed.rsplit_once(" = ")) {
                (call.returned, call.result) = (number, result);
            }
        } else if let Some(text) = rest.strip_suffix(" <unfinished ...>") {
            calls.push(Call {
                pid,
                began: number,
                returned: usize::MAX,
                text,
                result: "",
            });
        } else if let Some((text, result)) = rest.rsplit_once(" = ") {
            calls.push(Call {
                pid,
                began: number,
                returned: number,
                text,
                result,
            });
        }
    }
    calls
}

/// What a trace shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    /// Begins.
    begins: usize,
    /// The keys of those whose intent was written before, but not synced.
    unsynced: Vec<String>,
    /// The keys of those whose intent was not even written.
    unwritten: Vec<String>,
}

fn order(trace: &str) -> Order {
    let calls = calls(trace);
    let of = |name: &'static str, what: &'static str| {
        calls
            .iter()
            .filter(move |call| call.text.starts_with(name) && call.text.contains(what))
    };
    let syncs: Vec<&Call<'_>> = of("fsync(", "-wal>")
        .chain(of("fdatasync(", "-wal>"))
        .filter(|call| call.result == "0")
        .collect();
    let mut order = Order::default();
    for begin in of("mkdir", "/world/jobs/").filter(|call| call.result == "0") {
        order.begins += 1;
        let name = begin
            .text
            .split('"')
            .nth(1)
            .and_then(|path| path.rsplit('/').next())
            .unwrap();
        let key = Job::of(name).key;
        let intent = format!(r#"\"key\":\"{key}\""#);
        // The first write of it: the page is written again whenever another event comes to stand on it.
        let written = of("pwrite64(", "-wal>")
            .filter(|write| write.text.contains(&intent) && write.returned < begin.began)
            .map(|write| write.returned)
            .min();
        match written {
            None => order.unwritten.push(key),
            Some(written)
                if syncs
                    .iter()
                    .any(|s| s.began > written && s.returned < begin.began) => {}
            Some(_) => order.unsynced.push(key),
        }
    }
    order
}

/// Traces an undisturbed run. None where nothing can be traced.
fn traced(folder: &Path, mutant: &str) -> Option<String> {
    let file = folder.join("trace");
    let tracer = [
        "strace",
        "-f",
        "-y",
        "-s",
        "65536",
        "-e",
        "trace=pwrite64,fsync,fdatasync,mkdir,mkdirat",
        "-o",
        file.to_str().unwrap(),
    ];
    let finished = child::command(folder, &tracer)
        .env(child::MUTANT, mutant)
        .stderr(Stdio::piped())
        .output();
    let why = match finished {
        Ok(output) if output.status.success() => {
            return Some(std::fs::read_to_string(file).unwrap());
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("ptrace") || said.contains("PTRACE"), "{said}");
            said
        }
        Err(error) => format!("strace cannot be started: {error}"),
    };
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{why}"
    );
    eprintln!("skipped: {why}");
    None
}

#[test]
fn every_intent_is_on_the_disk_before_its_begin() {
    let folder = Folder::new("order");
    let Some(trace) = traced(&folder.0, "") else {
        return;
    };
    let order = order(&trace);
    let starts = World::at(&folder.0)
        .log()
        .iter()
        .filter(|line| !line.ended)
        .count();
    println!(
        "{} begins, each after a returned sync of its intent: {order:?}",
        order.begins
    );
    assert_eq!(
        order,
        Order {
            begins: starts,
            ..Order::default()
        }
    );
    assert!(starts > 20, "only {starts} jobs were started");
}

/// A database that waits for no disk looks the same to every other test. This one must tell.
#[test]
#[cfg(feature = "crash")]
fn a_journal_that_does_not_wait_for_its_disk_is_seen() {
    for mutant in ["SynchronousNormal", "SynchronousOff"] {
        let folder = Folder::new(mutant);
        let Some(trace) = traced(&folder.0, mutant) else {
            return;
        };
        let order = order(&trace);
        println!(
            "{mutant}: {} of {} begins before a sync of their intent",
            order.unsynced.len(),
            order.begins
        );
        assert!(order.unwritten.is_empty(), "{order:?}");
        assert!(
            order.begins > 20 && order.unsynced.len() == order.begins,
            "{mutant} was not seen: {order:?}"
        );
    }
}

#[test]
fn a_trace_is_read_as_it_was_written() {
    let intent = r#"7 pwrite64(5</j/run.db-wal>, "..\"key\":\"u/1/a/apply/1\"..", 4096, 0) = 4096"#;
    let begin = r#"8 mkdir("/w/world/jobs/u,1,a,apply,1;apply;a;1.1;1", 0777) = 0"#;
    let sync = "7 fsync(5</j/run.db-wal>) = 0";
    let read = |lines: &[&str]| {
        let Order {
            begins,
            unsynced,
            unwritten,
        } = order(&lines.join("\n"));
        (begins, unsynced.len(), unwritten.len())
    };
    assert_eq!(read(&[intent, sync, begin]), (1, 0, 0));
    assert_eq!(read(&[sync, intent, begin]), (1, 1, 0));
    assert_eq!(read(&[begin, intent, sync]), (1, 0, 1));
    assert_eq!(
        read(&[intent, "7 fsync(5</j/run.db>) = 0", begin]),
        (1, 1, 0)
    );
    // A sync that has not returned, has failed, or began before the write is none.
    let (began, returned) = (
        "7 fsync(5</j/run.db-wal> <unfinished ...>",
        "7 <... fsync resumed>) = 0",
    );
    assert_eq!(read(&[intent, began, begin, returned]), (1, 1, 0));
    assert_eq!(read(&[intent, began, returned, begin]), (1, 0, 0));
    assert_eq!(
        read(&[
            intent,
            began,
            "7 <... fsync resumed>) = -1 EIO (Input/output error)",
            begin
        ]),
        (1, 1, 0)
    );
    assert_eq!(
        read(&[began, &intent.replace('7', "9"), returned, begin]),
        (1, 1, 0)
    );
    // A begin that was refused is none.
    assert_eq!(
        read(&[&begin.replace("= 0", "= -1 EEXIST (File exists)")]),
        (0, 0, 0)
    );
}
