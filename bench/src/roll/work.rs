//! How much work a plan is.

use std::{error::Error, process::Command};

use patchcore::plan::roll::{Answer, Objective, Wish, check, plan};
use serde::{Deserialize, Serialize};

use super::syn::Instance;

/// One plan of one attempt, in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) hosts: usize,
    pub(crate) vms: usize,
    /// Seconds of processor time: the cluster looked through, planned and checked.
    pub(crate) plan: f64,
    /// The checker's part of that, measured apart, without looking through the cluster.
    pub(crate) check: f64,
    /// Instructions, where they were counted.
    pub(crate) instructions: Option<u64>,
}

/// Processor time of this thread, in seconds.
pub(crate) fn cpu() -> Result<f64, Box<dyn Error>> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: u64 = told.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanos as f64 / 1e9)
}

/// Plans once, and says what that took.
pub(crate) fn once(hosts: usize) -> Result<Work, Box<dyn Error>> {
    let instance = Instance::generate(hosts, 0.7, 0);
    let cluster = instance.cluster(1);
    let wish = Wish {
        attempts: Some(1),
        ..Wish::new(Objective::FewestMoves)
    };
    let began = cpu()?;
    let answer = plan(&cluster, &wish, &|| false)?;
    let planned = cpu()?;
    let Answer::Planned(roll) = answer else {
        return Err(format!("{hosts} hosts were not planned").into());
    };
    let roll = roll.best.into_roll();
    // A plan looks through its cluster once by itself.
    let begins = cpu()?;
    cluster.looked_through()?;
    let before = cpu()?;
    check(&cluster, roll)?;
    let after = cpu()?;
    Ok(Work {
        hosts,
        vms: instance.req.len(),
        plan: planned - began,
        check: (after - before) - (before - begins),
        instructions: None,
    })
}

/// The same in another process; `counted`: under callgrind, from which its instructions are.
pub(crate) fn apart(hosts: usize, counted: bool) -> Result<Work, Box<dyn Error>> {
    let own = std::env::current_exe()?;
    let mut command = match counted {
        true => {
            let mut command = Command::new("valgrind");
            command.args([
                "--tool=callgrind",
                "--callgrind-out-file=/dev/null",
                // The making of the cluster does not count.
                "--toggle-collect=*patchcore*plan*roll*planner*plan*",
            ]);
            command.arg(own);
            command
        }
        false => Command::new(own),
    };
    let output = command
        .args(["once", &hosts.to_string()])
        .output()
        .map_err(|error| format!("{command:?} cannot be started: {error}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{command:?} failed: {error}").into());
    }
    let mut work: Work = serde_json::from_slice(&output.stdout)?;
    if counted {
        let collected = error
            .lines()
            .find_map(|line| line.split_once("Collected : "))
            .and_then(|(_, number)| number.trim().parse().ok());
        work.instructions = Some(collected.ok_or("callgrind does not say what it counted")?);
    }
    Ok(work)
}
