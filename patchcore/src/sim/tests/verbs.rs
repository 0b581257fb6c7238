//! What the verbs of the deployer do to a component.

use super::*;

#[test]
fn a_whole_update_goes_through() {
    let sim = web();
    let caller = Caller::of(&sim);
    assert!(is_done(&caller.run(
        "refresh",
        DeployRequest::Refresh {
            components: vec!["web-1".into()]
        }
    )));
    assert!(is_done(&caller.run("stage", stage("web-1", both()))));
    assert_eq!(
        sim.version("web-1", "nginx").unwrap(),
        "1-9",
        "staging installs nothing"
    );
    assert!(is_done(&caller.run("apply", apply("web-1", both()))));
    assert_eq!(sim.version("web-1", "nginx").unwrap(), "1-10");
    assert_eq!(
        sim.version("web-2", "nginx").unwrap(),
        "1-9",
        "nobody asked for web-2"
    );
    assert!(is_done(&caller.run("discard", discard("web-1"))));
    assert!(
        is_done(&caller.run("discard again", discard("web-1"))),
        "discarding is idempotent"
    );
    assert!(
        sim.world(|w| w.kept_for(&"web-1".into()).unwrap())
            .is_empty()
    );
    let prepared = caller.prepare(&apply("web-1", both())).unwrap();
    assert!(matches!(
        prepared.subjects["web-1"],
        Readiness::AlreadyHolds(_)
    ));
    assert_eq!(
        sim.history("web-1")
            .unwrap()
            .times_installed("nginx", "1-10"),
        1
    );
}

#[test]
fn what_was_kept_goes_back_in_after_the_repository_lost_it() {
    let sim = web().withdraw_at(after(60), "nginx", "1-9");
    let caller = Caller::of(&sim);
    assert!(matches!(
        caller.scan("web-1").unwrap().way_back,
        Some(WayBack::Ready { .. })
    ));
    for component in ["web-1", "web-2"] {
        caller.run(&format!("apply {component}"), apply(component, both()));
    }
    // Only web-1 was staged, while the old version was still there.
    let fresh = web().withdraw_at(after(60), "nginx", "1-9");
    let staged = Caller::of(&fresh);
    staged.run("stage", stage("web-1", both()));
    staged.run("apply", apply("web-1", both()));
    staged.wait(2 * HOUR);
    assert!(is_done(&staged.run("back", roll_back("web-1", both()))));
    assert_eq!(fresh.version("web-1", "nginx").unwrap(), "1-9");

    caller.wait(2 * HOUR);
    let blocked = caller.prepare(&roll_back("web-2", both())).unwrap();
    assert_eq!(kinds(&blocked), [(ErrorKind::InstallFailed, false)]);
}

#[test]
fn a_way_back_says_what_is_missing() {
    let way_back = |gone: &[&str]| {
        let sim = Sim::starting(start(), 1)
            .guest("a", |g| {
                let g = g.package("nginx", "1-9").package("openssl", "3-1");
                gone.iter().fold(g, |g, name| g.old_version_gone(*name))
            })
            .publish(patch("nginx", "1-10", Impact::None))
            .publish(patch("openssl", "3-2", Impact::None));
        Caller::of(&sim).scan("a").unwrap().way_back.unwrap()
    };
    assert!(matches!(way_back(&[]), WayBack::Ready { .. }));
    match way_back(&["nginx"]) {
        WayBack::Partial { missing, .. } => assert_eq!(missing, ["nginx"]),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        way_back(&["nginx", "openssl"]),
        WayBack::None { .. }
    ));
}

#[test]
fn a_kernel_waits_for_the_restart_or_for_the_way_back() {
    let sim = web().publish(patch("linux", "6-2", Impact::Reboot));
    let caller = Caller::of(&sim);
    let kernel = || vec![change("linux", "6-1", "6-2")];
    let wanted = |component: &str| caller.scan(component).unwrap().reboot_wanted.unwrap();
    for component in ["web-1", "web-2"] {
        assert!(wanted(component).is_empty());
        assert!(is_done(&caller.run(component, apply(component, kernel()))));
        assert_eq!(wanted(component), ["linux 6-2 is installed and 6-1 runs"]);
    }
    caller.run("r", reboot("web-1"));
    assert!(wanted("web-1").is_empty());
    caller.run("b", roll_back("web-2", kernel()));
    assert!(wanted("web-2").is_empty(), "6-1 never stopped running");
    caller.run("b1", roll_back("web-1", kernel()));
    assert_eq!(wanted("web-1"), ["linux 6-1 is installed and 6-2 runs"]);
}
