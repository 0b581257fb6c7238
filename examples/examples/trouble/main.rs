//! Things that go wrong, and what patchcore says about each.
//!
//! `cargo xtask test trouble`, or `cargo run -p patchcore-examples --example trouble [WORDS]`, where words choose
//! the cases whose title holds them. Every case provokes one line of trouble, prints what a user sees of it, and
//! proves that nothing was changed that should not be; a wrong answer makes the program fail. The files are meant
//! to be read: each holds the trouble of one area, with the answer that is expected.

mod approvals;
mod child;
mod guests;
mod journals;
mod machine;
mod packages;
mod plan_files;
mod planning;
mod policies;
mod seen;
mod stage;
mod tools;
mod vcenter;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    process::ExitCode,
    task::Poll,
};

use seen::Seen;

/// What a case does: it provokes trouble and tells what was seen. An error means that it could not be provoked.
type Provoked = Pin<Box<dyn Future<Output = patchcore::Result<Seen>>>>;

/// One line of trouble.
struct Case {
    title: &'static str,
    provoke: fn() -> Provoked,
}

/// The cases of an area: `title => function`.
macro_rules! cases {
    ($($title:literal => $function:path,)*) => {
        [$(Case { title: $title, provoke: || Box::pin($function()) },)*]
    };
}

fn cases() -> impl Iterator<Item = Case> {
    let approving = cases! {
        "no approval" => approvals::none,
        "an approval of another plan" => approvals::of_another_plan,
        "a plan that is too old to be approved" => approvals::too_late,
        "an approval that has expired when the run is to start" => approvals::expired_at_the_start,
        "an approval by the requester" => approvals::by_the_requester,
        "an approval by somebody who may not" => approvals::by_somebody_else,
    };
    let rules = cases! {
        "a policy file with several mistakes" => policies::mistakes,
        "a policy that selects nothing" => policies::selects_nothing,
        "a ring that can never start" => policies::ring_that_never_starts,
        "an order that is a circle" => policies::order_in_a_circle,
        "an order against the rings" => policies::order_against_the_rings,
    };
    let planning = cases! {
        "two machines with one name" => planning::one_name_two_machines,
        "dependencies that are a circle" => planning::dependencies_in_a_circle,
        "two tools that could act" => planning::two_tools,
        "a component that cannot be reached" => planning::unreachable,
        "a check that nobody can run" => planning::check_that_nobody_runs,
        "a group at its floor" => planning::group_at_its_floor,
        "a provider that panics while it is asked" => planning::provider_that_panics,
    };
    let journals = cases! {
        "a journal of another estate" => journals::of_another_estate,
        "a journal of a newer version" => journals::newer,
        "a file that is no journal any more" => journals::damaged,
        "a journal whose record was changed" => journals::tampered,
        "a journal on a full disk" => journals::full_disk,
        "a journal that another process holds" => journals::in_use,
        "a journal with an open run" => journals::run_open,
        "a plan with a patch that was rolled back" => journals::denied,
    };
    let packages = cases! {
        "packages that are on hold or phased" => packages::kept_back,
        "a package that was left half-configured" => packages::half_configured,
        "a package lock that becomes free" => packages::lock_that_becomes_free,
        "a package lock that never becomes free" => packages::lock_that_never_becomes_free,
        "a repository that changed after the approval" => packages::drift,
    };
    let tools = cases! {
        "a provider of the plan that is missing" => tools::missing,
        "a tool that lies" => tools::lies,
        "a tool that panics while it works" => tools::panics,
    };
    let files = cases! {
        "a plan file of a newer version" => plan_files::newer,
        "a plan file that is damaged" => plan_files::damaged,
        "a plan of another estate" => plan_files::of_another_estate,
    };
    let machine = cases! {
        "Debian: packages that are on hold or phased" => machine::kept_back,
        "Debian: a package that was left half-configured" => machine::half_configured,
        "Debian: dpkg's lock is held" => machine::lock,
        "Debian: no right to change the machine" => machine::no_root,
        "Debian: the repository changed after the approval" => machine::drift,
    };
    let guests = cases! {
        "Guests: a guest that cannot be reached" => guests::reaching::unreachable,
        "Guests: a host key that changed" => guests::reaching::host_key,
        "Guests: no right to use sudo" => guests::reaching::no_sudo_right,
        "Guests: sudo that asks for a password" => guests::reaching::sudo_asks,
        "Guests: an inventory with three mistakes" => guests::reaching::inventory_mistakes,
        "Guests: a clock that is years ahead" => guests::reaching::clock,
        "Guests: a full disk" => guests::packages::full_disk,
        "Guests: dpkg's lock is held for a while" => guests::packages::lock,
        "Guests: a package that was left half-configured" => guests::packages::half_configured,
        "Guests: a broken mirror" => guests::packages::mirror,
        "Guests: other bytes under an approved version" => guests::packages::content_changed,
        "Guests: an edited configuration file" => guests::packages::conffile,
        "Guests: an upgrade that would remove another package" => guests::packages::removal,
        "Guests: unattended-upgrades at work" => guests::others::unattended,
        "Guests: a power cut in the middle of dpkg" => guests::others::power_cut,
    };
    let vcenter = cases! {
        "vCenter: a wrong password" => vcenter::reaching::wrong_password,
        "vCenter: rights that are missing" => vcenter::reaching::missing_rights,
        "vCenter: no right even to read" => vcenter::reaching::nothing_may_be_read,
        "vCenter: a login that ended" => vcenter::reaching::login_that_ended,
        "vCenter: a login that ended and cannot be renewed" => vcenter::reaching::login_that_cannot_be_renewed,
        "vCenter: hosts that do not respond" => vcenter::reaching::host_that_does_not_respond,
        "vCenter: hosts that somebody else put into maintenance mode" => vcenter::reaching::held_by_another,
        "vCenter: machines that wait for the answer to a question" => vcenter::cluster::question,
        "vCenter: a datastore that is not shared" => vcenter::cluster::datastore,
        "vCenter: no network for migrations" => vcenter::cluster::no_vmotion,
        "vCenter: a cluster that is not managed by an image" => vcenter::cluster::no_image,
        "vCenter: a cluster that VMware Cloud Foundation manages" => vcenter::cluster::cloud_foundation,
        "vCenter: everything at once" => vcenter::cluster::all_at_once,
    };
    approving
        .into_iter()
        .chain(rules)
        .chain(planning)
        .chain(journals)
        .chain(packages)
        .chain(tools)
        .chain(files)
        .chain(machine)
        .chain(vcenter)
        .chain(guests)
}

/// Cases on guests or a vCenter of their own mostly wait for them; more at once would wait for the processors of a small
/// machine.
const AT_ONCE: usize = 4;

/// Provokes these cases at once; the answers in their order.
async fn together(cases: &[Case]) -> Vec<patchcore::Result<Seen>> {
    let mut open: Vec<Provoked> = cases.iter().map(|case| (case.provoke)()).collect();
    let mut answers: Vec<Option<patchcore::Result<Seen>>> = open.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (case, answer) in open.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(seen) = case.as_mut().poll(context)
            {
                *answer = Some(seen);
            }
        }
        match answers.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("child", rest)) = arguments.split_first().map(|(a, rest)| (a.as_str(), rest)) {
        return child::act(rest).await;
    }
    let wanted = arguments.join(" ");
    let skipping_fails = std::env::var("CI").is_ok_and(|ci| !matches!(&*ci, "" | "0" | "false"));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let chosen: Vec<Case> = cases().filter(|c| c.title.contains(&wanted)).collect();
    let waits = |case: &Case| {
        ["Guests:", "vCenter:"]
            .iter()
            .any(|own| case.title.starts_with(own))
    };
    let (waiting, alone): (Vec<Case>, Vec<Case>) = chosen.into_iter().partition(waits);
    let turns = alone.chunks(1).chain(waiting.chunks(AT_ONCE));
    for cases in turns {
        for (case, answer) in cases.iter().zip(together(cases).await) {
            println!("── {}", case.title);
            match answer {
                Ok(seen) => match seen.why_skipped() {
                    Some(why) => {
                        println!("skipped: {why}\n");
                        skipped += 1;
                        failed += usize::from(skipping_fails);
                    }
                    None => {
                        println!("{seen}\n");
                        passed += usize::from(seen.is_right());
                        failed += usize::from(!seen.is_right());
                    }
                },
                Err(error) => {
                    println!("{error:?}\n   WRONG: this trouble could not be provoked\n");
                    failed += 1;
                }
            }
        }
    }
    let left_out = if skipped == 0 {
        String::new()
    } else {
        format!(", {skipped} skipped")
    };
    println!("{passed} passed, {failed} failed{left_out}");
    // Words that choose nothing must not look like a success.
    ExitCode::from(u8::from(failed > 0 || passed + skipped == 0))
}
