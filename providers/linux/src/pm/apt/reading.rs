//! From what apt and dpkg say to what patchcore knows of a component.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use patchcore::{
    Error, ErrorKind, Failure,
    estate::{
        Available, Busy, Estimate, KeptBack, KeptBackReason, Patch, PatchClass, Pin, RunningOld,
        Scan, Unhealthy, WayBack, WayBackKind,
    },
    id::{PatchId, Version},
};

use super::{
    self as apt, AptScan, Architecture, Class, Clocks, Facts, Installed, LockHolder, PackageName,
    Pending, Upgrades, impact::impact,
};

/// What is busy where the lock of dpkg is held.
const DPKG: &str = "dpkg";

/// The name of a package: without its architecture, unless that is a foreign one.
pub(crate) fn patch_id(name: &PackageName, arch: &Architecture, facts: &Facts) -> PatchId {
    if arch.is_all() || *arch == facts.arch {
        PatchId::from(name.as_str())
    } else {
        PatchId::from(format!("{name}:{arch}"))
    }
}

fn version(version: &crate::vercmp::deb::DebVersion) -> Version {
    Version::from(version.as_str())
}

/// Every package whose files are there, by name.
fn installed(scan: &AptScan) -> BTreeMap<PatchId, (&Architecture, &Installed)> {
    scan.installed
        .iter()
        .filter(|(_, package)| package.is_there())
        .map(|((name, arch), package)| (patch_id(name, arch, &scan.facts), (arch, package)))
        .collect()
}

/// Everything that one scan says.
pub(crate) fn scan(read: &AptScan, clocks: &Clocks) -> Scan {
    let there = installed(read);
    let versions = there
        .iter()
        .filter_map(|(id, (_, package))| Some((id.clone(), version(package.version.as_ref()?))))
        .collect();
    let mut scan = Scan::new(clocks.at, versions);
    scan.busy = busy(&read.locks, clocks);
    scan.unhealthy = unhealthy(&read.unhealthy, scan.busy.as_ref(), clocks);
    scan.boot_id = Some(read.facts.boot_id.clone());
    scan.reboot_wanted = Some(reboot_wanted(read));
    // An ordinary user sees only their own processes, and one that is not seen may be the one that matters.
    scan.running_old = read.facts.is_root.then(|| running_old(read));
    if read.unattended.enabled {
        scan.other_patchers = vec!["unattended-upgrades".to_owned()];
    }
    scan.available = offer(read, clocks).ok();
    if let Some(offer) = &scan.available {
        scan.takes = Some(takes(&offer.patches));
        scan.way_back = Some(way_back(read, &there, offer));
    }
    scan
}

/// What apt would put in, and what it keeps back.
pub(crate) fn offer(read: &AptScan, clocks: &Clocks) -> Result<Available, Failure> {
    let upgrades = read.upgrades.as_ref().map_err(Clone::clone)?;
    let mut offer = Available::nothing(clocks.at);
    // When the repository published them is by its own clocks.
    let refreshed = read.lists.refreshed.map(|at| clocks.ours(at));
    offer.catalogue_as_of = refreshed.or(read.lists.published);
    let removes: Vec<PatchId> = upgrades
        .removals
        .iter()
        .map(|r| {
            let arch = r.arch.as_ref().unwrap_or(&read.facts.arch);
            patch_id(&r.name, arch, &read.facts)
        })
        .collect();
    for pending in &upgrades.pending {
        let id = patch_id(&pending.name, &pending.arch, &read.facts);
        // Jobs never remove a package for another one, so that what may need that is not on offer.
        if !removes.is_empty() && (pending.needs_others || pending.new_dependency) {
            offer.kept_back.push(KeptBack {
                patch: id,
                from: pending.from.as_ref().map(version),
                to: Some(version(&pending.to)),
                reason: KeptBackReason::WouldRemove {
                    removes: removes.clone(),
                },
            });
            continue;
        }
        let mut patch = Patch::new(
            id,
            pending.from.as_ref().map(version),
            version(&pending.to),
            class(pending, upgrades),
        );
        patch.impact = impact(pending.name.as_str());
        patch.size = pending.size;
        if let Some(sha256) = &pending.sha256 {
            patch.pin = Pin::Artifact {
                sha256: sha256.clone(),
            };
        }
        offer.patches.push(patch);
    }
    offer.kept_back.extend(upgrades.kept_back.iter().map(|k| {
        let arch = k.arch.as_ref().unwrap_or(&read.facts.arch);
        KeptBack {
            patch: patch_id(&k.name, arch, &read.facts),
            from: k.from.as_ref().map(version),
            to: k.to.as_ref().map(version),
            reason: match k.reason {
                apt::KeptBackReason::Held => KeptBackReason::Held,
                // Where apt does not tell the share, none is the share that promises nothing.
                apt::KeptBackReason::Phased { percent } => KeptBackReason::Phased {
                    percent: percent.unwrap_or(0),
                },
                apt::KeptBackReason::Dependency => KeptBackReason::Dependency,
            },
        }
    }));
    offer.patches.sort_by(|a, b| a.id.cmp(&b.id));
    offer.kept_back.sort_by(|a, b| a.patch.cmp(&b.patch));
    Ok(offer)
}

/// A new dependency is of the most important class among those who need it: without it they cannot come.
fn class(pending: &Pending, upgrades: &Upgrades) -> PatchClass {
    let mut seen = BTreeSet::from([&pending.name]);
    let mut open = vec![pending];
    let mut best = PatchClass::Other;
    while let Some(one) = open.pop() {
        best = best.min(match one.class {
            Class::Security => PatchClass::Security,
            Class::Bugfix => PatchClass::Bugfix,
            Class::Other => PatchClass::Other,
        });
        open.extend(
            upgrades
                .pending
                .iter()
                .filter(|p| one.pulled_in_by.contains(&p.name) && seen.insert(&p.name)),
        );
    }
    best
}

/// What was broken before we came.
pub(crate) fn unhealthy(
    broken: &[apt::Unhealthy],
    busy: Option<&Busy>,
    clocks: &Clocks,
) -> Vec<Unhealthy> {
    // Whoever holds the lock of dpkg is in the middle of it: what is not whole yet is that work, which a repair would
    // spoil. It is read again when the lock is free.
    let broken = match busy {
        Some(busy) if busy.what == DPKG => &[],
        _ => broken,
    };
    broken
        .iter()
        .map(|fault| Unhealthy {
            what: match fault.package.as_str() {
                "dpkg" => fault.what.clone(),
                package => format!("{package} is {}", fault.what),
            },
            remedy: match fault.package.as_str() {
                "dpkg" => "run `dpkg --configure -a` and `apt-get --fix-broken install`, then plan again".to_owned(),
                package => format!(
                    "run `dpkg --configure {package}` and read what it says, or `apt-get --fix-broken install`; then plan again"
                ),
            },
        })
        .chain(clocks.fault())
        .collect()
}

/// Who holds a lock that we need.
pub(crate) fn busy(locks: &[LockHolder], clocks: &Clocks) -> Option<Busy> {
    let LockHolder {
        path,
        pid,
        command,
        since,
    } = locks.first()?;
    let name = match command.as_deref() {
        // The kernel keeps fifteen characters of a name.
        Some("unattended-upgr") => "unattended-upgrade",
        Some(name) => name,
        None => "another process",
    };
    Some(Busy {
        what: if path.contains("/dpkg/") { DPKG } else { "apt" }.to_owned(),
        holder: match pid {
            Some(pid) => format!("{name} (pid {pid})"),
            None => name.to_owned(),
        },
        since: since.map(|since| clocks.ours(since)),
    })
}

fn reboot_wanted(read: &AptScan) -> Vec<String> {
    let mut why = Vec::new();
    if read.reboot.required {
        why.push(match read.reboot.packages.as_slice() {
            [] => "a package asks for it".to_owned(),
            packages => format!("asked for by {}", packages.join(", ")),
        });
    }
    if let Some(kernel) = &read.reboot.newer_kernel {
        why.push(format!(
            "kernel {kernel} is installed and {} runs",
            read.facts.kernel
        ));
    }
    why
}

fn running_old(read: &AptScan) -> Vec<RunningOld> {
    let old: BTreeSet<RunningOld> = read
        .stale
        .iter()
        .map(|stale| RunningOld {
            who: stale
                .unit
                .clone()
                .unwrap_or_else(|| format!("{} (pid {})", stale.command, stale.pid)),
            maps: stale.path.clone(),
        })
        .collect();
    old.into_iter().collect()
}

/// Whether the versions that would be replaced can be had again; `there` is what [`installed`] says.
fn way_back(
    read: &AptScan,
    there: &BTreeMap<PatchId, (&Architecture, &Installed)>,
    offer: &Available,
) -> WayBack {
    let can_return = |patch: &&Patch| {
        let Some(from) = &patch.from else {
            // What comes in newly goes out again.
            return true;
        };
        let Some((arch, package)) = there.get(&patch.id) else {
            return false;
        };
        let name = patch.id.as_str().split(':').next().unwrap_or_default();
        match (PackageName::parse(name), &package.version) {
            (Ok(name), Some(version)) => {
                version.as_str() == from.as_str() && read.can_get(&name, arch, version)
            }
            _ => false,
        }
    };
    let missing: Vec<PatchId> = offer
        .patches
        .iter()
        .filter(|p| !can_return(p))
        .map(|p| p.id.clone())
        .collect();
    let why = "the installed version is neither served any more nor kept by apt".to_owned();
    if missing.is_empty() {
        WayBack::Ready {
            by: WayBackKind::OldPackages,
        }
    } else if missing.len() == offer.patches.len() {
        WayBack::None { why }
    } else {
        WayBack::Partial {
            by: WayBackKind::OldPackages,
            missing,
            why,
        }
    }
}

/// apt starts in about 10 s, takes about 4 s for a package, and unpacks about 10 MB/s on a slow disk.
fn takes(patches: &[Patch]) -> Estimate {
    let bytes: u64 = patches.iter().filter_map(|p| p.size).sum();
    let seconds = 10 + 4 * patches.len() as u64 + bytes / 10_000_000;
    let p50 = Duration::from_secs(seconds);
    Estimate::new(p50, p50.mul_f64(2.5))
}

/// The lock as a reason to wait.
pub(crate) fn held(component: &patchcore::id::ComponentId, busy: &Busy) -> Error {
    let since = busy
        .since
        .map_or_else(String::new, |since| format!(" since {since}"));
    Error::new(ErrorKind::Busy, format!("{component}: {busy}{since}"))
        .consequence("nothing was changed")
        .hint(format!("wait for it, or stop {}", busy.holder))
        .retryable(None)
}

#[cfg(test)]
mod tests {
    use patchcore::Timestamp;

    use super::*;

    const STATES: &str = include_str!("../../../tests/fixtures/scan-states.txt");

    fn now() -> Clocks {
        Clocks::agreed(Timestamp::UNIX_EPOCH)
    }

    fn read(change: &[(&str, &str)]) -> AptScan {
        let text = change.iter().fold(STATES.to_owned(), |text, (from, to)| {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            changed
        });
        AptScan::parse("fixture", text.as_bytes()).unwrap()
    }

    fn names(patches: &[Patch]) -> Vec<&str> {
        patches.iter().map(|p| p.id.as_str()).collect()
    }

    #[test]
    fn an_offer_names_all_that_would_come_and_why_the_rest_does_not() {
        let offer = offer(&read(&[]), &now()).unwrap();
        let all = [
            "pc-badpost",
            "pc-conf",
            "pc-hello",
            "pc-lib",
            "pc-newdep",
            "pc-removed",
        ];
        assert_eq!(names(&offer.patches), all);
        let kept: Vec<_> = offer
            .kept_back
            .iter()
            .map(|k| (k.patch.as_str(), k.reason.clone()))
            .collect();
        let phased = KeptBackReason::Phased { percent: 0 };
        assert_eq!(
            kept,
            [("pc-held", KeptBackReason::Held), ("pc-phased", phased)]
        );
        assert!(
            offer
                .patches
                .iter()
                .all(|p| matches!(p.pin, Pin::Artifact { .. }))
        );
    }

    #[test]
    fn what_would_remove_another_package_is_not_on_offer() {
        let removes = [
            (
                "1 newly installed, 0 to remove",
                "1 newly installed, 1 to remove",
            ),
            ("Conf pc-newdep", "Remv pc-lib2 [1.0-1]\nConf pc-newdep"),
        ];
        let offer = offer(&read(&removes), &now()).unwrap();
        assert_eq!(
            names(&offer.patches),
            ["pc-badpost", "pc-conf", "pc-hello", "pc-lib"]
        );
        for name in ["pc-newdep", "pc-removed"] {
            let kept = offer.kept_back.iter().find(|k| k.patch == *name).unwrap();
            let removes = vec![PatchId::from("pc-lib2")];
            assert_eq!(kept.reason, KeptBackReason::WouldRemove { removes });
        }
    }

    #[test]
    fn a_new_dependency_is_of_the_class_of_who_needs_it() {
        let from_main = [(
            "Inst pc-newdep (1.1-1 PatchCore-Security:1/pc-security [all])",
            "Inst pc-newdep (1.1-1 Somebody:1/pc [all])",
        )];
        let class_of = |read: &AptScan| {
            let offer = offer(read, &now()).unwrap();
            offer
                .patches
                .iter()
                .find(|p| p.id == *"pc-newdep")
                .unwrap()
                .class
        };
        assert_eq!(class_of(&read(&from_main)), PatchClass::Security);
        let nobody = [
            from_main[0],
            ("pc-newdep:amd64 Depends pc-removed:amd64\n", ""),
        ];
        assert_eq!(class_of(&read(&nobody)), PatchClass::Other);
    }

    #[test]
    fn a_way_back_is_what_is_served_or_here() {
        // pc-hello is served at its version, and pc-lib lies in the archives.
        let scan = scan(&read(&[]), &now());
        let WayBack::Partial { missing, .. } = scan.way_back.unwrap() else {
            panic!("expected a part");
        };
        let missing: Vec<_> = missing.iter().map(PatchId::as_str).collect();
        assert_eq!(missing, ["pc-badpost", "pc-conf", "pc-removed"]);
    }

    #[test]
    fn what_is_not_whole_while_dpkg_is_at_work_is_no_fault_yet() {
        let broken = (
            "pc-badpost\tall\t1.0-1\tinstall\tinstalled",
            "pc-badpost\tall\t1.0-1\tinstall\thalf-configured",
        );
        let held_by = |path: &str| {
            let lock = format!("begin locks\n{path} 65024 = 6968 100 unattended-upgr\n");
            scan(&read(&[broken, ("begin locks\n", &lock)]), &now())
        };
        let at_work = held_by("/var/lib/dpkg/lock-frontend");
        assert_eq!(at_work.unhealthy, Vec::new());
        assert_eq!(
            at_work.busy.unwrap().holder,
            "unattended-upgrade (pid 6968)"
        );
        // Fetching lists leaves no package half-way, and without a holder nobody is at it.
        assert_eq!(held_by("/var/lib/apt/lists/lock").unhealthy.len(), 1);
        assert_eq!(scan(&read(&[broken]), &now()).unhealthy.len(), 1);
    }

    #[test]
    fn another_patcher_is_named_and_so_is_its_lock() {
        assert!(scan(&read(&[]), &now()).other_patchers.is_empty());
        let on = [
            ("periodic 0", "periodic 1"),
            ("tool no", "tool yes"),
            (
                "begin locks\n",
                "begin locks\n/var/lib/dpkg/lock-frontend 5 = 412 100 unattended-upgr\n",
            ),
        ];
        let scan = scan(&read(&on), &now());
        assert_eq!(scan.other_patchers, ["unattended-upgrades"]);
        let busy = scan.busy.unwrap();
        assert_eq!(
            busy.to_string(),
            "dpkg is locked by unattended-upgrade (pid 412)"
        );
        assert!(busy.since.is_some());
    }

    #[test]
    fn what_an_ordinary_user_cannot_see_is_unknown() {
        let user = scan(&read(&[("uid 0", "uid 1000")]), &now());
        assert_eq!(user.running_old, None);
        let root = scan(&read(&[]), &now());
        assert_eq!(root.running_old, Some(Vec::new()));
        assert_eq!(root.reboot_wanted, Some(Vec::new()));
    }
}
