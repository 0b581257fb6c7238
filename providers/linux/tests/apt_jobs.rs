//! Peers: real apt and dpkg, on an installation in a folder.

#![expect(
    clippy::unwrap_used,
    reason = "the functions around the tests are tests too"
)]

mod installation;
mod peer;

use std::fs;

use installation::Installation;
use patchcore::ErrorKind;
use patchcore_linux::pm::{
    apt::{Class, KeptBackReason, Old, RollBack},
    classify::{failed_command, kept_configuration, marked},
};

fn words(end: &installation::End, word: &str) -> Vec<String> {
    marked(&end.id, &end.log)
        .into_iter()
        .filter(|m| m.word == word)
        .map(|m| m.text)
        .collect()
}

fn kind(end: &installation::End) -> ErrorKind {
    failed_command("job", end.status.status.unwrap(), &end.log).kind()
}

#[tokio::test]
async fn a_scan_tells_every_state_apart() {
    let Some(it) = Installation::new().await else {
        return;
    };
    let scan = it.scan().await;
    let upgrades = scan.upgrades.unwrap();
    let kept: Vec<_> = upgrades
        .kept_back
        .iter()
        .map(|k| (k.name.as_str(), k.reason.clone()))
        .collect();
    assert_eq!(
        kept,
        [
            ("pc-held", KeptBackReason::Held),
            ("pc-phased", KeptBackReason::Phased { percent: Some(0) })
        ]
    );
    assert_eq!(upgrades.kept_back[1].to.as_ref().unwrap().as_str(), "1.1-1");
    let pending: Vec<_> = upgrades.pending.iter().map(|p| p.name.as_str()).collect();
    assert!(
        pending.len() == 6 && pending.contains(&"pc-hello"),
        "{pending:?}"
    );
    for p in &upgrades.pending {
        assert_eq!(
            (p.class, p.to.as_str(), p.origins[0].suite.as_str()),
            (Class::Security, "1.1-1", "pc-security"),
            "{p:?}"
        );
        let file = it.path(&format!("repo/pc-security/{}_1.1-1_all.deb", p.name));
        assert_eq!(
            p.sha256.as_deref(),
            Some(it.digest(file.to_str().unwrap()).as_str())
        );
        assert_eq!(p.size, Some(fs::metadata(file).unwrap().len()));
        let new = p.name.as_str() == "pc-newdep";
        assert_eq!((p.new_dependency, p.from.is_none()), (new, new));
        assert_eq!(
            p.pulled_in_by
                .iter()
                .map(|n| n.as_str())
                .collect::<Vec<_>>(),
            if new { vec!["pc-removed"] } else { vec![] }
        );
        assert_eq!(
            p.needs_others,
            p.name.as_str() == "pc-removed",
            "{}",
            p.name
        );
    }
    assert!(scan.unhealthy.is_empty());
    assert!(scan.lists.published.is_some() && scan.lists.refreshed.is_some());
}

#[tokio::test]
async fn approved_versions_go_in_and_back_out_from_the_kept_packages() {
    let Some(it) = Installation::new().await else {
        return;
    };
    fs::write(it.path("etc/pc-conf.conf"), "edited\n").unwrap();
    let changes = it
        .approve(&["pc-hello", "pc-lib", "pc-conf", "pc-removed", "pc-newdep"])
        .await;

    let staged = it.job("op-stage", |apt, id| apt.stage(id, &changes)).await;
    assert_eq!(staged.status.status, Some(0), "{}", staged.log);
    let mut armed: Vec<_> = words(&staged, "armed")
        .iter()
        .map(|t| t.rsplit_once(' ').unwrap().0.to_owned())
        .collect();
    armed.sort();
    assert_eq!(
        armed,
        [
            "pc-conf all 1.0-1",
            "pc-hello all 1.0-1",
            "pc-lib all 1.0-1",
            "pc-removed all 1.0-1"
        ]
    );
    assert_eq!(it.version("pc-hello").await, "1.0-1");

    let applied = it.job("op-apply", |apt, id| apt.apply(id, &changes)).await;
    assert_eq!(applied.status.status, Some(0), "{}", applied.log);
    assert_eq!(
        kept_configuration(&applied.log),
        ["/etc/pc-conf.conf"],
        "{}",
        applied.log
    );
    assert_eq!(
        fs::read_to_string(it.path("etc/pc-conf.conf")).unwrap(),
        "edited\n"
    );
    for name in ["pc-hello", "pc-lib", "pc-conf", "pc-removed", "pc-newdep"] {
        assert_eq!(it.version(name).await, "1.1-1", "{name}");
    }
    assert_eq!(it.version("pc-badpost").await, "1.0-1");
    // What came as a dependency still is one, and what was asked for still is that.
    assert_eq!(it.command("apt-mark", &["showauto"]), "pc-lib\npc-newdep\n");

    // The repository no longer has the old versions.
    it.sources(&["pc-security"]);
    it.command("apt-get", &["-qq", "update"]);
    let old = |name: &str| {
        let change = changes.iter().find(|c| c.name.as_str() == name).unwrap();
        Old {
            name: change.name.clone(),
            arch: change.arch.clone(),
            version: change.from.clone(),
        }
    };
    let to = RollBack {
        packages: vec![
            old("pc-hello"),
            old("pc-lib"),
            old("pc-conf"),
            old("pc-removed"),
        ],
        armed_by: staged.id.clone(),
    };
    let back = it.job("op-back", |apt, id| apt.roll_back(id, &to)).await;
    assert_eq!(back.status.status, Some(0), "{}", back.log);
    for name in ["pc-hello", "pc-lib", "pc-conf", "pc-removed"] {
        assert_eq!(it.version(name).await, "1.0-1", "{name}");
    }
    assert_eq!(it.command("apt-mark", &["showauto"]), "pc-lib\npc-newdep\n");

    let discarded = it
        .job("op-discard", |apt, id| apt.discard(id, &staged.id))
        .await;
    assert_eq!(discarded.status.status, Some(0));
    assert!(!it.path("var/lib/patchcore/rollback/op-stage").exists());
    let again = it
        .job("op-back2", |apt, id| {
            apt.roll_back(
                id,
                &RollBack {
                    packages: vec![old("pc-hello")],
                    armed_by: staged.id.clone(),
                },
            )
        })
        .await;
    assert_eq!(
        again.status.status,
        Some(0),
        "already at the version: {}",
        again.log
    );
}

#[tokio::test]
async fn old_packages_that_nobody_serves_are_reported() {
    let Some(it) = Installation::new().await else {
        return;
    };
    it.sources(&["pc-security"]);
    it.command("apt-get", &["-qq", "update"]);
    let changes = it.approve(&["pc-conf"]).await;
    let staged = it.job("op-stage", |apt, id| apt.stage(id, &changes)).await;
    assert_eq!(staged.status.status, Some(0), "{}", staged.log);
    assert_eq!(words(&staged, "not_armed"), ["pc-conf all 1.0-1"]);
    assert!(words(&staged, "armed").is_empty());
}

#[tokio::test]
async fn whatever_differs_from_the_approval_stops_before_any_effect() {
    let Some(it) = Installation::new().await else {
        return;
    };
    let drift = async |id: &str, changes: &[patchcore_linux::pm::apt::Change], expect: &str| {
        let end = it.job(id, |apt, id| apt.apply(id, changes)).await;
        assert_eq!(
            (end.status.status, kind(&end)),
            (Some(79), ErrorKind::PlanDrift),
            "{id}: {}",
            end.log
        );
        assert!(
            words(&end, "drift").iter().any(|w| w.contains(expect)),
            "{id}: {}",
            end.log
        );
        assert!(words(&end, "begins").is_empty());
    };
    let removed = it.approve(&["pc-removed"]).await;
    drift(
        "op-newdep",
        &removed,
        "not approved: pc-newdep:all - to 1.1-1",
    )
    .await;

    let mut conf = it.approve(&["pc-conf"]).await;
    conf[0].sha256 = Some("0".repeat(64));
    drift("op-pin", &conf, "is not the file that was approved").await;
    let mut conf = it.approve(&["pc-conf"]).await;
    conf[0].from = Some(patchcore_linux::vercmp::deb::DebVersion::parse("0.9-1").unwrap());
    drift(
        "op-from",
        &conf,
        "pc-conf:all from 1.0-1 where 0.9-1 was approved",
    )
    .await;

    // The approved version is gone: a newer one took its place.
    let conf = it.approve(&["pc-conf"]).await;
    fs::remove_file(it.path("repo/pc-security/pc-conf_1.1-1_all.deb")).unwrap();
    it.build("pc-security", "pc-conf", "1.2-1");
    it.publish("pc-security", "PatchCore-Security", "pc-security");
    let refreshed = it.job("op-refresh", |apt, id| apt.refresh(id)).await;
    assert_eq!(refreshed.status.status, Some(0), "{}", refreshed.log);
    assert!(it.path("var/lib/patchcore/refreshed").exists());
    drift("op-gone", &conf, "apt cannot do what was approved").await;
    assert_eq!(it.version("pc-conf").await, "1.0-1");
}

#[tokio::test]
async fn a_failing_script_is_seen_repaired_and_rolled_back() {
    let Some(it) = Installation::new().await else {
        return;
    };
    let changes = it.approve(&["pc-badpost", "pc-conf"]).await;
    let staged = it.job("op-stage", |apt, id| apt.stage(id, &changes)).await;
    let applied = it.job("op-apply", |apt, id| apt.apply(id, &changes)).await;
    assert_eq!(
        (applied.status.status, kind(&applied)),
        (Some(100), ErrorKind::InstallFailed),
        "{}",
        applied.log
    );
    assert_eq!(words(&applied, "unhealthy"), ["pc-badpost"]);
    // The status says failed, and yet the other package is in: only the scan tells.
    let scan = it.scan().await;
    assert_eq!(it.version("pc-conf").await, "1.1-1");
    let broken: Vec<_> = scan
        .unhealthy
        .iter()
        .map(|u| (u.package.as_str(), u.what.as_str()))
        .collect();
    assert_eq!(broken, [("pc-badpost", "half-configured")]);

    let repaired = it.job("op-repair", |apt, id| apt.repair(id)).await;
    assert_ne!(repaired.status.status, Some(0), "{}", repaired.log);
    let old: Vec<_> = changes
        .iter()
        .map(|c| Old {
            name: c.name.clone(),
            arch: c.arch.clone(),
            version: c.from.clone(),
        })
        .collect();
    let back = it
        .job("op-back", |apt, id| {
            apt.roll_back(
                id,
                &RollBack {
                    packages: old,
                    armed_by: staged.id.clone(),
                },
            )
        })
        .await;
    assert_eq!(back.status.status, Some(0), "{}", back.log);
    assert!(it.scan().await.unhealthy.is_empty());
    assert_eq!(it.version("pc-badpost").await, "1.0-1");

    it.job("op-again", |apt, id| apt.apply(id, &changes)).await;
    fs::write(it.path("etc/pc-badpost.ok"), "").unwrap();
    let repaired = it.job("op-repair2", |apt, id| apt.repair(id)).await;
    assert_eq!(repaired.status.status, Some(0), "{}", repaired.log);
    assert!(it.scan().await.unhealthy.is_empty());
}

#[tokio::test]
async fn a_package_that_came_newly_goes_again_and_nothing_else_with_it() {
    let Some(it) = Installation::new().await else {
        return;
    };
    let changes = it.approve(&["pc-removed", "pc-newdep"]).await;
    let staged = it.job("op-stage", |apt, id| apt.stage(id, &changes)).await;
    it.job("op-apply", |apt, id| apt.apply(id, &changes)).await;
    assert_eq!(it.version("pc-newdep").await, "1.1-1");
    let back = |names: &'static [&'static str]| RollBack {
        packages: changes
            .iter()
            .filter(|c| names.contains(&c.name.as_str()))
            .map(|c| Old {
                name: c.name.clone(),
                arch: c.arch.clone(),
                version: c.from.clone(),
            })
            .collect(),
        armed_by: staged.id.clone(),
    };
    // pc-removed 1.1-1 needs it, and would go too.
    let to = back(&["pc-newdep"]);
    let refused = it.job("op-back1", |apt, id| apt.roll_back(id, &to)).await;
    assert_eq!(refused.status.status, Some(79), "{}", refused.log);
    assert_eq!(words(&refused, "drift"), ["removes pc-removed"]);
    assert_eq!(it.version("pc-newdep").await, "1.1-1");

    let to = back(&["pc-removed", "pc-newdep"]);
    let gone = it.job("op-back2", |apt, id| apt.roll_back(id, &to)).await;
    assert_eq!(gone.status.status, Some(0), "{}", gone.log);
    assert_eq!(it.version("pc-newdep").await, "");
    assert_eq!(it.version("pc-removed").await, "1.0-1");
}

/// The kernel's list of locks is counted anew at each read: who reads it line by line misses holders on a busy machine.
#[tokio::test]
async fn a_holder_is_seen_while_other_locks_come_and_go() {
    const HOLD: &str = "import fcntl,sys,time\nf=open(sys.argv[1],'w')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\ntime.sleep(120)";
    const CHURN: &str = "import fcntl,random,tempfile\nfiles=[tempfile.TemporaryFile() for _ in range(20)]\nprint('held',flush=True)\nwhile True:\n fcntl.lockf(random.choice(files),fcntl.LOCK_EX)\n fcntl.lockf(random.choice(files),fcntl.LOCK_UN)";
    let Some(it) = Installation::new().await else {
        return;
    };
    let Some(python) = peer::find("python3") else {
        return;
    };
    let lock = it.path("var/lib/dpkg/lock-frontend");
    let start = |program: &str| {
        let mut child = std::process::Command::new(&python)
            .args(["-c", program])
            .arg(&lock)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut told = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut told, &mut line).unwrap();
        child
    };
    let mut children = [start(CHURN), start(CHURN), start(HOLD)];
    let mut missed = 0;
    for _ in 0..12 {
        missed += usize::from(it.scan().await.locks.len() != 1);
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(missed, 0, "of 12 scans");
}

#[tokio::test]
async fn a_held_lock_names_its_holder() {
    let Some(it) = Installation::new().await else {
        return;
    };
    let Some(python) = peer::find("python3") else {
        return;
    };
    let changes = it.approve(&["pc-conf"]).await;
    let lock = it.path("var/lib/dpkg/lock-frontend");
    let hold = "import fcntl,sys,time\nf=open(sys.argv[1],'w')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\ntime.sleep(60)";
    let mut holder = std::process::Command::new(python)
        .args(["-c", hold])
        .arg(&lock)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(holder.stdout.take().unwrap()),
        &mut line,
    )
    .unwrap();
    let scan = it.scan().await;
    let end = it.job("op-busy", |apt, id| apt.apply(id, &changes)).await;
    let pid = holder.id();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(scan.locks.len(), 1, "{:?}", scan.locks);
    assert_eq!(
        (scan.locks[0].pid, scan.locks[0].path.as_str()),
        (Some(pid), lock.to_str().unwrap())
    );
    let age = scan
        .facts
        .now
        .duration_since(scan.locks[0].since.unwrap())
        .as_secs();
    assert!((-2..120).contains(&age), "held since {age} s");
    let error = failed_command("apply", end.status.status.unwrap(), &end.log);
    assert_eq!(error.kind(), ErrorKind::Busy, "{}", end.log);
    assert!(
        error
            .facts()
            .iter()
            .any(|(key, value)| *key == "holder" && value.contains(&pid.to_string())),
        "{error:?}"
    );
    assert!(it.scan().await.locks.is_empty());
}

#[tokio::test]
async fn a_repository_that_does_not_answer_is_an_error_of_the_repository() {
    let Some(it) = Installation::new().await else {
        return;
    };
    it.sources(&["nowhere"]);
    let end = it.job("op-refresh", |apt, id| apt.refresh(id)).await;
    assert_eq!(kind(&end), ErrorKind::RepoError, "{}", end.log);
    assert!(!it.path("var/lib/patchcore/refreshed").exists());
}

#[tokio::test]
#[ignore = "records the fixture of the unit tests anew: cargo test --test apt_jobs -- --ignored record"]
async fn record() {
    let it = Installation::new().await.unwrap();
    let text = String::from_utf8(it.scan_text("fixture").await).unwrap();
    // What is this machine's own is no part of the fixture.
    let own = [
        ("node ", "web-1"),
        ("kernel ", "6.1.0-28-amd64"),
        (
            "kernel_build ",
            "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)",
        ),
        ("machine_id ", "0123456789abcdef0123456789abcdef"),
        ("boot_id ", "00000000-1111-2222-3333-444444444444"),
        ("bios_uuid ", ""),
        ("serial ", ""),
        ("/dev/", "sda1 1000 500 500 50% /"),
    ];
    let text = text.replace(it.path("").to_str().unwrap(), "/target/");
    let text: String = text
        .lines()
        .map(
            |line| match own.iter().find(|(key, _)| line.starts_with(key)) {
                Some((key, value)) => format!("{key}{value}\n"),
                None => format!("{line}\n"),
            },
        )
        .collect();
    fs::write("tests/fixtures/scan-states.txt", text).unwrap();
}
