//! Restarts over ssh, and what runs after them: Debian guests with systemd in a network of their own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions around the tests are tests too"
)]

use std::{sync::Arc, time::Duration};

use patchcore::{
    ErrorKind, Estate, Journal, Policy, SystemClock,
    clock::Clock,
    id::{ComponentId, OpKey},
    provider::{
        Begun, CancelToken, DeployRequest, Deployer, Observed, Op, OpContext, Provider, Readiness,
        SubjectResult,
    },
};
use patchcore_linux::Linux;
use patchcore_testkit::peers::{
    lab::{GuestRecipe, Kind, Lab, Recipe},
    need,
};

const NAME: &str = "unit-1";

/// A lab with one guest that systemd runs, in whose network this thread is, and the provider of its inventory.
fn enter() -> Option<(Lab, Linux)> {
    let recipe = Recipe::new().with(GuestRecipe::new(NAME, Kind::Systemd));
    let lab = need(Lab::up(recipe))?;
    lab.enter_thread();
    let linux = Linux::from_file(lab.inventory()).unwrap();
    Some((lab, linux))
}

fn ctx() -> OpContext {
    let deadline = SystemClock.now() + Duration::from_secs(600);
    OpContext::reading(Arc::new(SystemClock), deadline, CancelToken::new())
}

/// Restarts the guest by the operation; the result, and what was said until then.
async fn restart(deployer: &dyn Deployer, key: &str) -> (SubjectResult, Vec<String>) {
    let request = DeployRequest::Reboot {
        components: vec![NAME.into()],
    };
    let prepared = deployer.prepare(&ctx(), &request).await.unwrap();
    assert_eq!(prepared.subjects[NAME], Readiness::Ready);
    let op = Op::new(OpKey::from(key), request, prepared.baseline);
    let Begun::Started(handle) = deployer.begin(&ctx(), &op).await.unwrap() else {
        panic!("it did not begin");
    };
    let mut said = Vec::new();
    let until = SystemClock.now() + Duration::from_secs(120);
    loop {
        assert!(SystemClock.now() < until, "it does not end: {said:?}");
        match deployer.observe(&ctx(), &op, &handle).await.unwrap() {
            Observed::Running {
                progress,
                poll_after,
            } => {
                said.extend(progress.message);
                ctx().sleep(poll_after).await;
            }
            Observed::Settled(mut settled) => {
                return (settled.subjects.remove(NAME).unwrap(), said);
            }
            other => panic!("{other:?} after {said:?}"),
        }
    }
}

#[tokio::test]
async fn a_restart_is_over_when_systemd_is_up_and_names_what_failed_anew() {
    let Some((lab, linux)) = enter() else { return };
    let guest = lab.guest(NAME);
    let deployer = linux.ports().deployer.unwrap();
    let unit = |name: &str| {
        guest.put(
            &format!("/etc/systemd/system/{name}.service"),
            "[Service]\nType=oneshot\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n",
        );
        guest.run(["systemctl", "enable", "-q", name]).ok();
    };
    unit("pc-failed-before");
    guest.run(["systemctl", "start", "pc-failed-before"]);
    let boot = guest.boot_id();
    let (result, said) = restart(&*deployer, "j/1/unit-1/reboot/1").await;
    let SubjectResult::Done(evidence) = result else {
        panic!("{result:?}");
    };
    let now = guest.boot_id();
    assert_ne!(now, boot);
    let expected = format!("boot id was {boot}, is {now}; 1 failed as before");
    assert_eq!(evidence.saw, expected);
    // It was asked while it was there, and waited for while it was not.
    assert!(
        said.iter().any(|s| s == "waits for the restart"),
        "{said:?}"
    );
    println!("{said:#?}");

    unit("pc-failed-now");
    let (result, _) = restart(&*deployer, "j/1/unit-1/reboot/2").await;
    let SubjectResult::Failed(failure) = result else {
        panic!("{result:?}");
    };
    assert_eq!(failure.kind, ErrorKind::Unhealthy);
    let named = failure.message.contains("pc-failed-now.service");
    assert!(
        named && !failure.message.contains("before.service"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_daemon_on_a_replaced_library_is_named_with_its_unit() {
    let Some((lab, linux)) = enter() else { return };
    let guest = lab.guest(NAME);
    let deployer = linux.ports().deployer.unwrap();
    let names = [ComponentId::from(NAME)];
    let old = async || {
        let mut scans = deployer.scan(&ctx(), &names).await.unwrap();
        let scan = scans.remove(NAME).unwrap().unwrap();
        let old = scan.running_old.unwrap();
        old.into_iter().map(|o| (o.who, o.maps)).collect::<Vec<_>>()
    };
    assert_eq!(old().await, []);
    guest.run(["apt-get", "-qq", "update"]).ok();
    guest
        .run(["apt-get", "-qqy", "install", "libpc1=1.1-1"])
        .ok();
    let expected = (
        "pc-daemon.service".to_owned(),
        "/usr/lib/libpc.so.1".to_owned(),
    );
    assert_eq!(old().await, [expected]);
    guest.run(["systemctl", "restart", "pc-daemon"]).ok();
    assert_eq!(old().await, []);
}

#[tokio::test]
async fn a_run_patches_restarts_and_leaves_nothing_on_old_code() {
    let Some((lab, linux)) = enter() else { return };
    let guest = lab.guest(NAME);
    guest.put("/etc/pc-badpost.ok", "");
    guest.put("/etc/pc-slow.seconds", "1\n");
    let text = "approval.from = ['maria']\nwindow = [{ name = 'w', when = 'any time' }]\nring = [{ name = 'all', select = '*', soak = '1s' }]\n";
    let policy = Policy::from_toml(text, "policy.toml").unwrap();
    let estate = Estate::named("lab").with(linux);
    let plan = estate.plan(&policy).requested_by("sam").await.unwrap();
    println!("{plan}");
    assert_eq!(plan.envelope.targets.len(), 1, "{plan}");
    let boot = guest.boot_id();
    let approval = estate.approval(&plan, "maria").unwrap();
    let approved = estate.approve(plan, [approval]).unwrap();
    let journal = Journal::in_memory().unwrap();
    let run = estate.run(approved, &journal).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(240), run.finished()).await;
    let report = run.report().await.unwrap();
    println!("{report}");
    ended.unwrap().unwrap();
    assert_eq!(report.exit_status(), 0);
    assert_ne!(guest.boot_id(), boot);
    assert_eq!(guest.versions(["libpc1"])["libpc1"], "1.1-1");
}
