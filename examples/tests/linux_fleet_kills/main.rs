//! The example `linux_fleet` is killed with SIGKILL at moments that are watched for from outside, and run again with
//! the same journal: the outcome is that of a run that nobody disturbed, and nothing was done twice.
//!
//! Each test has a lab of its own. What is seen is read in the guests (the folders of jobs, dpkg, processes, the boot
//! id) and in the journal, never told by the program. Before it is killed the program is stopped, and looked at once
//! more while it stands still: so it is known to have been killed at that moment and no later one. Three moments are
//! tried each time and all with `--full`.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "the functions around the tests are tests too, and other processes know no virtual time"
)]

mod check;
mod moments;
mod stage;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt,
    process::Child,
    sync::{Mutex, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use self::{
    check::{End, done_twice, history},
    moments::{Moment, Stratum},
    stage::{GUESTS, PATIENCE, Stage, WATCHED},
};

/// How often a moment is tried that was over before it could be met.
const TRIES: usize = 3;

/// Moments are met by polling, which another test on the same two processors would disturb.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A test for each moment, and the list of them all.
macro_rules! kills {
    ($($test:ident: $moment:ident,)+) => {
        const MOMENTS: &[&Moment] = &[$(&moments::$moment),+];
        $(#[test] fn $test() { killed(&moments::$moment); })+
    };
}

kills! {
    killed_while_it_connects: CONNECT,
    killed_when_the_plan_is_approved: APPROVED,
    killed_when_the_lock_of_a_guest_is_taken: LOCK,
    killed_at_the_claim_of_stage: STAGE_CLAIM,
    killed_while_apt_fetches: FETCH,
    killed_at_the_claim_of_apply: APPLY_CLAIM,
    killed_when_dpkg_has_unpacked: UNPACK,
    killed_in_a_postinst: POSTINST,
    killed_when_apply_is_over: APPLY_OVER,
    killed_when_apply_is_settled: APPLY_SETTLED,
    killed_in_the_scan_after_apply: VERIFY_APPLIED,
    killed_when_a_restart_is_asked_for: REBOOT_ASKED,
    killed_while_the_guest_is_down: DOWN,
    killed_when_the_guest_is_back: BACK,
    killed_in_the_scan_after_the_restart: VERIFY_REBOOTED,
    killed_in_a_health_check: HEALTH,
    killed_in_the_soak: SOAK,
    killed_in_the_scan_after_the_soak: CONFIRM,
    killed_in_the_health_check_after_the_soak: CONFIRM_HEALTH,
    killed_while_it_gives_back: DISCARD,
    killed_while_the_second_guest_gives_back: SECOND_DISCARD,
    killed_at_the_claim_of_a_roll_back: ROLL_BACK_CLAIM,
    killed_in_a_roll_back: ROLL_BACK,
    killed_when_a_roll_back_is_over: ROLL_BACK_OVER,
    killed_in_the_scan_after_a_roll_back: ROLL_BACK_VERIFIED,
    killed_when_the_restart_of_the_way_back_is_asked_for: REBOOT_BACK_ASKED,
    killed_while_the_guest_is_down_on_the_way_back: DOWN_ON_THE_WAY_BACK,
}

/// Starts the program and kills it at the moment; what was seen there, or nothing where it was over before.
fn kill(stage: &Stage, moment: &Moment) -> Option<String> {
    let mut child = stage.start();
    let end = Instant::now() + PATIENCE;
    let landed = loop {
        // A first look at the running program, and the one that counts while it stands still.
        if look(stage, moment).is_some() {
            stop(&child);
            if let Some(landed) = look(stage, moment) {
                break Some(landed);
            }
            kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
        }
        if child.try_wait().unwrap().is_some() || Instant::now() > end {
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let _ = child.kill();
    let status = child.wait().unwrap();
    assert!(
        landed.is_none() || status.signal() == Some(Signal::KILL.as_raw()),
        "it was not killed but ended with {status}"
    );
    stage.let_go();
    landed
}

/// Lets it stand still, in every thread.
fn stop(child: &Child) {
    kill_process(Pid::from_child(child), Signal::STOP).unwrap();
    let end = Instant::now() + PATIENCE;
    let is_still = || {
        let threads = fs::read_dir(format!("/proc/{}/task", child.id()));
        threads.into_iter().flatten().flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
            // One that is just gone has none.
            matches!(state, None | Some(b'T' | b'Z' | b'X'))
        })
    };
    while !is_still() {
        assert!(Instant::now() < end, "it does not stand still");
        thread::sleep(Duration::from_micros(200));
    }
}

/// What is in flight, where this is the moment.
fn look(stage: &Stage, moment: &Moment) -> Option<String> {
    let seen = stage.seen(moment.guest);
    let what = (moment.seen)(seen)?;
    // The journal last: it is what the program itself goes on with.
    let journal = stage
        .journal(moment.guest)
        .filter(|journal| (moment.journaled)(journal))?;
    let mut jobs: Vec<String> = seen
        .jobs()
        .iter()
        .map(|job| {
            let how = match (job.over, job.claimed) {
                (true, _) => "over",
                (false, true) => "at work",
                (false, false) => "not claimed",
            };
            format!("{} {how}", job.verb)
        })
        .collect();
    jobs.sort_unstable();
    let boot = match seen.boot() {
        None => "down",
        Some(_) if seen.has_first_boot() => "in its first boot",
        Some(_) => "in another boot",
    };
    Some(format!(
        "{what} · {} {boot} · jobs there: {} · the journal's last word of it: {}",
        moment.guest,
        if jobs.is_empty() {
            "none".to_owned()
        } else {
            jobs.join(", ")
        },
        journal.last()
    ))
}

/// What a run comes to that nobody disturbs, as it was seen on a lab of its own; none where there can be no lab.
fn undisturbed(is_bad: bool) -> Option<&'static End> {
    static ENDS: [OnceLock<Option<End>>; 2] = [OnceLock::new(), OnceLock::new()];
    let end = ENDS[usize::from(is_bad)].get_or_init(|| {
        let stage = Stage::new(is_bad)?;
        let code = stage.finish();
        let end = End::of(&stage, code);
        end.check(&stage);
        for name in GUESTS {
            let guest = stage.lab.guest(name);
            println!("undisturbed: {}", history(guest, name).join("\n"));
            assert_eq!(done_twice(&guest.apt_history()), [""; 0], "{name}");
        }
        a_second_run_of_apt_is_noticed(&stage, &end);
        Some(end)
    });
    end.as_ref()
}

/// The judge must see what it is there for: somebody has apt do once more, by hand, what a guest has had already.
fn a_second_run_of_apt_is_noticed(stage: &Stage, end: &End) {
    let guest = stage.lab.guest(GUESTS[1]);
    let back = [
        "apt-get",
        "-y",
        "-q",
        "--allow-downgrades",
        "install",
        "pc-hello=1.0-1",
    ];
    guest.run(back).ok();
    guest
        .run(["apt-get", "-y", "-q", "install", "pc-hello=1.1-1"])
        .ok();
    assert_eq!(
        done_twice(&guest.apt_history()),
        [
            "2 transactions went forward",
            "pc-hello went forward 2 times"
        ]
    );
    assert_ne!(
        End::of(stage, 0),
        *end,
        "two more transactions look like none"
    );
}

fn is_full() -> bool {
    std::env::var_os("PATCHCORE_FULL").is_some_and(|full| full == "1")
}

fn killed(moment: &Moment) {
    let name = moment.name;
    if !moment.is_quick && !is_full() {
        println!("left to --full: killed at {name}");
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(undisturbed) = undisturbed(moment.is_bad) else {
        return;
    };
    for nth in 1..=TRIES {
        let Some(stage) = Stage::new(moment.is_bad) else {
            return;
        };
        let Some(landed) = kill(&stage, moment) else {
            println!("the moment was missed ({nth} of {TRIES})\n{}", stage.said());
            continue;
        };
        println!("killed at {:?}, {name}: {landed}", moment.stratum);
        let code = stage.finish();
        for name in GUESTS {
            let guest = stage.lab.guest(name);
            println!("{}", history(guest, name).join("\n"));
            let twice = done_twice(&guest.apt_history());
            assert!(twice.is_empty(), "{name}: {twice:?}\n{}", stage.said());
        }
        assert_eq!(
            End::of(&stage, code),
            *undisturbed,
            "{name}\n{}",
            stage.said()
        );
        println!(
            "killed at {:?}, {name}: the end of an undisturbed run",
            moment.stratum
        );
        return;
    }
    panic!("{name}: the moment was never met");
}

#[test]
fn what_a_run_comes_to_that_nobody_disturbs() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for is_bad in [false, true] {
        undisturbed(is_bad);
    }
}

/// What the moments are good for: each stratum has at least two, three of all are tried each time, and none is another.
#[test]
fn the_moments_are_spread_over_the_strata() {
    let mut strata: BTreeMap<Stratum, Vec<&str>> = BTreeMap::new();
    for moment in MOMENTS {
        strata.entry(moment.stratum).or_default().push(moment.name);
    }
    for stratum in Stratum::ALL {
        let names = strata.remove(&stratum).unwrap_or_default();
        assert!(names.len() >= 2, "{stratum:?}: {names:?}");
        println!("{stratum:?}: {}", names.join(" · "));
    }
    let mut names: Vec<&str> = MOMENTS.iter().map(|moment| moment.name).collect();
    names.sort_unstable();
    names.dedup();
    assert!(
        names.len() == MOMENTS.len() && names.len() >= 20,
        "{names:?}"
    );
    let quick = MOMENTS.iter().filter(|moment| moment.is_quick);
    assert_eq!(quick.count(), 3);
}

/// A moment that cannot come in a run is told as missed, and the run goes on to its end.
#[test]
fn a_moment_that_does_not_come_is_not_met() {
    if !is_full() {
        println!("left to --full: a moment that does not come");
        return;
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(stage) = Stage::new(false) else {
        return;
    };
    // No package fails, so that nothing is rolled back.
    assert_eq!(kill(&stage, &moments::ROLL_BACK_OVER), None);
    assert!(stage.journal(WATCHED).unwrap().has("settled give_back"));
}
