//! The moments at which the program is killed, each with what must be seen for it to be that moment.

use std::fs;

use super::{
    check::PATCHED,
    stage::{Journaled, SECOND, Seen, WATCHED},
};

/// A moment at which the program is killed.
pub(crate) struct Moment {
    pub(crate) stratum: Stratum,
    pub(crate) name: &'static str,
    /// Whether CI tries it too, and not only `--full`.
    pub(crate) is_quick: bool,
    /// Whether it only comes where a package fails.
    pub(crate) is_bad: bool,
    /// Which guest it is about.
    pub(crate) guest: &'static str,
    /// Each time that it is looked: brings the guests on the way there, and says what is seen when it is there.
    pub(crate) seen: fn(Seen<'_>) -> Option<String>,
    /// What the journal must say of the guest.
    pub(crate) journaled: fn(&Journaled) -> bool,
}

/// What the program is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stratum {
    Connect,
    Claim,
    Dpkg,
    Reboot,
    Rollback,
    Verify,
    GiveBack,
}

impl Stratum {
    pub(crate) const ALL: [Self; 7] = [
        Self::Connect,
        Self::Claim,
        Self::Dpkg,
        Self::Reboot,
        Self::Rollback,
        Self::Verify,
        Self::GiveBack,
    ];
}

impl Moment {
    const fn new(
        stratum: Stratum,
        name: &'static str,
        seen: fn(Seen<'_>) -> Option<String>,
        journaled: fn(&Journaled) -> bool,
    ) -> Self {
        Self {
            stratum,
            name,
            is_quick: false,
            is_bad: false,
            guest: WATCHED,
            seen,
            journaled,
        }
    }

    const fn in_ci(mut self) -> Self {
        self.is_quick = true;
        self
    }

    const fn where_a_package_fails(mut self) -> Self {
        self.is_bad = true;
        self
    }

    const fn of(mut self, guest: &'static str) -> Self {
        self.guest = guest;
        self
    }
}

pub(crate) const CONNECT: Moment = Moment::new(
    Stratum::Connect,
    "connections open, nothing planned",
    |seen| {
        let open = seen.connections();
        (open > 0).then(|| format!("{open} ssh connection was open to {}", seen.name))
    },
    |journal| journal.runs == 0,
);

pub(crate) const APPROVED: Moment = Moment::new(
    Stratum::Connect,
    "the approved plan in the journal",
    |seen| {
        let none = seen.jobs().is_empty();
        none.then(|| format!("{} had no job", seen.name))
    },
    |journal| journal.runs == 1 && !journal.has("intended stage"),
);

pub(crate) const LOCK: Moment = Moment::new(
    Stratum::Claim,
    "the lock of a guest taken, its answer on the way",
    |seen| {
        let holder = fs::read_to_string(seen.inside("/var/lib/patchcore/lock/1")).ok()?;
        let holder = holder.trim_end();
        let whose = holder.find("process").map(|at| &holder[at..])?;
        Some(format!("the lock of {} was that of {whose}", seen.name))
    },
    |journal| journal.runs == 1 && !journal.has("locked"),
);

pub(crate) const STAGE_CLAIM: Moment = Moment::new(
    Stratum::Claim,
    "the stage job claimed, its answer on the way",
    |seen| claimed(seen, "stage"),
    |journal| journal.asked("stage"),
);

pub(crate) const APPLY_CLAIM: Moment = Moment::new(
    Stratum::Claim,
    "the apply job claimed, its answer on the way",
    |seen| claimed(seen, "apply"),
    |journal| journal.asked("apply"),
);

pub(crate) const ROLL_BACK_CLAIM: Moment = Moment::new(
    Stratum::Claim,
    "the roll back's job claimed, its answer on the way",
    |seen| claimed(seen, "roll_back"),
    |journal| journal.asked("roll_back"),
)
.where_a_package_fails();

pub(crate) const FETCH: Moment = Moment::new(
    Stratum::Dpkg,
    "apt fetching",
    |seen| {
        seen.hold("fetch");
        let pid = seen.process("--download-only")?;
        let running = seen.is_running("stage");
        running.then(|| format!("apt-get (pid {pid}) was fetching on {}", seen.name))
    },
    |journal| journal.taken("stage"),
);

pub(crate) const UNPACK: Moment = Moment::new(
    Stratum::Dpkg,
    "dpkg between unpacking and configuring",
    |seen| {
        seen.hold("unpack");
        unpacked(seen, "apply")
    },
    |journal| journal.taken("apply"),
);

pub(crate) const POSTINST: Moment = Moment::new(
    Stratum::Dpkg,
    "a postinst running",
    |seen| {
        let pid = fs::read_to_string(seen.inside("/run/pc-slow.running")).ok()?;
        seen.is_running("apply").then(|| {
            let pid = pid.trim();
            format!(
                "pc-slow's postinst (pid {pid}) was running on {}",
                seen.name
            )
        })
    },
    |journal| journal.open("apply"),
)
.in_ci();

pub(crate) const APPLY_OVER: Moment = Moment::new(
    Stratum::Dpkg,
    "the apply job over, nobody has heard",
    |seen| {
        let over = seen.is_over("apply");
        over.then(|| format!("the apply job of {} had left its result", seen.name))
    },
    |journal| journal.open("apply"),
);

pub(crate) const REBOOT_ASKED: Moment = Moment::new(
    Stratum::Reboot,
    "a restart asked for",
    restarting,
    |journal| journal.open("reboot"),
);

pub(crate) const DOWN: Moment = Moment::new(
    Stratum::Reboot,
    "the guest down",
    |seen| {
        let down = seen.boot().is_none();
        down.then(|| format!("{} was down: its init was gone", seen.name))
    },
    |journal| journal.open("reboot"),
)
.in_ci();

pub(crate) const BACK: Moment = Moment::new(
    Stratum::Reboot,
    "the guest back, nobody has heard",
    |seen| {
        let id = seen.boot()?;
        let back = !seen.has_first_boot();
        back.then(|| format!("{} was back with the boot id {id}", seen.name))
    },
    |journal| journal.open("reboot"),
);

pub(crate) const REBOOT_BACK_ASKED: Moment = Moment::new(
    Stratum::Reboot,
    "the restart of the way back asked for",
    restarting,
    |journal| journal.open("reboot_back"),
)
.where_a_package_fails();

pub(crate) const DOWN_ON_THE_WAY_BACK: Moment = Moment::new(
    Stratum::Reboot,
    "the guest down on the way back",
    |seen| {
        let down = seen.boot().is_none();
        down.then(|| format!("{} was down: its init was gone", seen.name))
    },
    |journal| journal.open("reboot_back"),
)
.where_a_package_fails();

pub(crate) const ROLL_BACK: Moment = Moment::new(
    Stratum::Rollback,
    "dpkg in the middle of going back",
    |seen| {
        if seen.is_over("apply") {
            seen.hold("unpack");
        }
        unpacked(seen, "roll_back")
    },
    |journal| journal.taken("roll_back"),
)
.where_a_package_fails()
.in_ci();

pub(crate) const ROLL_BACK_OVER: Moment = Moment::new(
    Stratum::Rollback,
    "the roll back's job over, nobody has heard",
    |seen| {
        let over = seen.is_over("roll_back");
        over.then(|| format!("the roll back of {} had left its result", seen.name))
    },
    |journal| journal.open("roll_back"),
)
.where_a_package_fails();

pub(crate) const ROLL_BACK_VERIFIED: Moment = Moment::new(
    Stratum::Rollback,
    "the scan that verifies the way back",
    |seen| held_scan(seen, seen.is_claimed("roll_back")),
    |journal| journal.last() == "settled roll_back",
)
.where_a_package_fails();

pub(crate) const APPLY_SETTLED: Moment = Moment::new(
    Stratum::Verify,
    "the apply settled, not verified yet",
    |seen| {
        let none = seen.of_script().is_none();
        none.then(|| format!("no scan ran on {} yet", seen.name))
    },
    |journal| journal.last() == "settled apply",
);

pub(crate) const VERIFY_APPLIED: Moment = Moment::new(
    Stratum::Verify,
    "the scan that verifies the apply",
    |seen| held_scan(seen, seen.is_claimed("apply")),
    |journal| journal.last() == "settled apply",
);

pub(crate) const VERIFY_REBOOTED: Moment = Moment::new(
    Stratum::Verify,
    "the scan that verifies the restart",
    |seen| held_scan(seen, seen.is_claimed("reboot")),
    |journal| journal.last() == "settled reboot",
);

pub(crate) const HEALTH: Moment = Moment::new(
    Stratum::Verify,
    "a health check",
    |seen| {
        seen.hold("check");
        let pid = seen.process("/usr/local/sbin/apt-get -qq check")?;
        Some(format!(
            "the health check (pid {pid}) was at work on {}",
            seen.name
        ))
    },
    |journal| journal.last() == "scanned" && journal.count("checked") == 0,
);

pub(crate) const SOAK: Moment = Moment::new(
    Stratum::Verify,
    "the soak",
    |seen| {
        let free = seen.inside("/var/lib/patchcore/lock/1.free").exists();
        free.then(|| format!("{} was in service and its lock given back", seen.name))
    },
    |journal| journal.soaks() && journal.has("checked") && !journal.has("soak_over"),
);

pub(crate) const CONFIRM: Moment = Moment::new(
    Stratum::Verify,
    "the scan after the soak",
    |seen| held_scan(seen, seen.journal().is_some_and(|journal| journal.soaks())),
    |journal| journal.last() == "soak_over",
);

pub(crate) const CONFIRM_HEALTH: Moment = Moment::new(
    Stratum::Verify,
    "the health check after the soak",
    |seen| {
        if seen.journal().is_some_and(|journal| journal.soaks()) {
            seen.hold("check");
        }
        let pid = seen.process("/usr/local/sbin/apt-get -qq check")?;
        Some(format!(
            "the health check (pid {pid}) was at work on {}",
            seen.name
        ))
    },
    |journal| {
        journal.has("soak_over") && journal.last() == "scanned" && journal.count("checked") == 1
    },
);

pub(crate) const DISCARD: Moment = Moment::new(
    Stratum::GiveBack,
    "what was kept given back, its answer on the way",
    |seen| claimed(seen, "discard"),
    |journal| journal.open("give_back"),
);

pub(crate) const SECOND_DISCARD: Moment = Moment::new(
    Stratum::GiveBack,
    "the second guest giving back after the first is through",
    |seen| {
        let first = seen.stage.journal(WATCHED)?;
        if first.has("settled give_back") {
            seen.let_go();
        } else if first.soaks() {
            seen.hold("scan");
        }
        let through = first.has("settled give_back");
        claimed(seen, "discard")
            .filter(|_| through)
            .map(|text| format!("{WATCHED} had given back; {text}"))
    },
    |journal| journal.open("give_back"),
)
.of(SECOND);

fn claimed(seen: Seen<'_>, verb: &str) -> Option<String> {
    seen.is_claimed(verb)
        .then(|| format!("the {verb} job of {} was claimed", seen.name))
}

/// It is told to restart, and has not done it.
fn restarting(seen: Seen<'_>) -> Option<String> {
    (seen.is_claimed("reboot") && seen.has_first_boot())
        .then(|| format!("{} was told to restart, in its first boot", seen.name))
}

/// A scan is at work, held from when that was wished for.
fn held_scan(seen: Seen<'_>, from_now_on: bool) -> Option<String> {
    if from_now_on {
        seen.hold("scan");
    }
    let pid = seen.process("/usr/local/sbin/apt-get -s ")?;
    Some(format!("the scan (pid {pid}) was at work on {}", seen.name))
}

/// dpkg has unpacked and has not configured yet.
fn unpacked(seen: Seen<'_>, verb: &str) -> Option<String> {
    if !seen.is_running(verb) {
        return None;
    }
    let hook = seen.process("/usr/local/sbin/hold-unpack")?;
    // apt lets dpkg unpack in several calls; the first is where it is held.
    let (package, _) = PATCHED
        .into_iter()
        .find(|(package, _)| seen.guest().dpkg_status(package) == "unpacked")?;
    Some(format!(
        "dpkg had unpacked {package} on {} and was at it (hook pid {hook})",
        seen.name
    ))
}
