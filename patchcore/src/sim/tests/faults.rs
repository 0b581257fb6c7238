//! Faults happen as they were scripted, and end where they should.

use super::*;

#[test]
fn a_failed_postinst_leaves_the_rest_in_and_can_go_back() {
    let sim = web().script(Script::postinst_fails("nginx", "1-10").on("web-1"));
    let caller = Caller::of(&sim);
    caller.run("stage", stage("web-1", both()));
    let settled = caller.run("apply", apply("web-1", both()));
    let failure = failure(&settled);
    assert_eq!(
        (failure.kind, failure.blames.as_slice()),
        (ErrorKind::InstallFailed, &["nginx".into()][..])
    );
    assert_eq!(
        sim.version("web-1", "openssl").unwrap(),
        "3-2",
        "apt puts the others in"
    );
    assert_eq!(
        caller.scan("web-1").unwrap().unhealthy[0].what,
        "nginx is half-configured"
    );
    assert_eq!(caller.probe("web-1").unwrap(), ProbeVerdict::Unhealthy);
    let again = caller.prepare(&apply("web-1", both())).unwrap();
    assert_eq!(kinds(&again), [(ErrorKind::Unhealthy, false)]);

    caller.wait(HOUR);
    assert!(is_done(&caller.run("back", roll_back("web-1", both()))));
    assert_eq!(sim.version("web-1", "openssl").unwrap(), "3-1");
    assert!(caller.scan("web-1").unwrap().unhealthy.is_empty());
    assert_eq!(caller.probe("web-1").unwrap(), ProbeVerdict::Healthy);
    let history = sim.history("web-1").unwrap();
    let causes: Vec<OutageCause> = history.outages.iter().map(|o| o.why).collect();
    use OutageCause::{Applying, Broken};
    assert_eq!(causes, [Applying, Broken, Applying]);
    assert!(history.outages.iter().all(|o| o.until.is_some()));
    assert!(sim.world(|w| w.scripts_unmet()).is_empty());
}

#[test]
fn a_replaced_version_is_drift_unless_it_was_fetched_before() {
    let sim = || {
        let newer = patch("nginx", "1-11", Impact::ServiceRestart);
        web().replace_at(after(60), "1-10", newer)
    };
    let late = Caller::of(&sim());
    late.wait(HOUR);
    for request in [stage("web-1", both()), apply("web-1", both())] {
        let prepared = late.prepare(&request).unwrap();
        assert_eq!(kinds(&prepared), [(ErrorKind::PlanDrift, false)]);
        assert!(matches!(
            late.begin(&late.op("x", request)).unwrap(),
            Begun::Refused(_)
        ));
    }
    let early = Caller::of(&sim());
    early.run("stage", stage("web-1", both()));
    early.wait(HOUR);
    assert!(is_done(&early.run("apply", apply("web-1", both()))));
}

#[test]
fn drift_names_every_difference_at_once() {
    let sim = web();
    sim.world(|w| w.install_by_hand("web-1", "nginx", "1-9.1"))
        .unwrap();
    let caller = Caller::of(&sim);
    let request = apply(
        "web-1",
        vec![
            change("nginx", "1-9", "unheard-of"),
            change("openssl", "3-0", "3-2"),
        ],
    );
    let prepared = caller.prepare(&request).unwrap();
    assert_eq!(kinds(&prepared), [(ErrorKind::PlanDrift, false); 3]);
}

#[test]
fn a_held_lock_blocks_until_it_is_released() {
    let sim =
        web().script(Script::lock_held("unattended-upgrade", after(0), after(10)).on("web-1"));
    let caller = Caller::of(&sim);
    let busy = caller.scan("web-1").unwrap().busy.unwrap();
    assert_eq!(busy.to_string(), "dpkg is locked by unattended-upgrade");
    let request = apply("web-1", both());
    assert_eq!(
        kinds(&caller.prepare(&request).unwrap()),
        [(ErrorKind::Busy, true)]
    );
    assert!(matches!(
        caller.begin(&caller.op("x", request.clone())).unwrap(),
        Begun::Refused(_)
    ));
    assert_eq!(
        sim.calls(&"x".into()),
        Calls {
            begins: 1,
            starts: 0
        }
    );
    caller.wait(10 * MINUTE);
    assert_eq!(
        caller.prepare(&request).unwrap().subjects["web-1"],
        Readiness::Ready
    );
    caller.started(&caller.op("x", request.clone()));
    let other = caller.prepare(&reboot("web-1")).unwrap();
    assert_eq!(
        kinds(&other),
        [(ErrorKind::Busy, true)],
        "our own job holds it now"
    );
}

#[test]
fn a_lie_is_told_and_the_scan_shows_the_truth() {
    let sim = web().script(Script::lies_success("nginx"));
    let caller = Caller::of(&sim);
    assert!(is_done(&caller.run("a", apply("web-1", both()))));
    assert_eq!(caller.scan("web-1").unwrap().installed["nginx"], "1-9");
    assert_eq!(sim.version("web-1", "openssl").unwrap(), "3-2");
}

#[test]
fn power_that_fails_tears_what_runs() {
    let sim = web().script(Script::restarts_unasked(start() + Duration::from_secs(5)).on("web-1"));
    let caller = Caller::of(&sim);
    let op = caller.op("a", apply("web-1", both()));
    let handle = caller.started(&op);
    caller.wait(10 * MINUTE);
    let settled = caller.settle(&op, &handle);
    assert_eq!(failure(&settled).kind, ErrorKind::LostReboot);
    let scan = caller.scan("web-1").unwrap();
    assert_eq!(scan.unhealthy[0].what, "nginx is half-configured");
    assert_eq!(scan.installed["openssl"], "3-1", "the others are untouched");
    let boots = sim.history("web-1").unwrap().boots;
    assert_eq!((boots.len(), boots[0].asked_by.clone()), (1, None));
    assert!(sim.history("web-2").unwrap().boots.is_empty());
}

#[test]
fn a_job_goes_on_where_nobody_reaches_it() {
    let sim =
        web().script(Script::unreachable(start() + Duration::from_secs(1), after(30)).on("web-1"));
    let caller = Caller::of(&sim);
    let op = caller.op("a", apply("web-1", both()));
    let handle = caller.started(&op);
    caller.wait(5 * MINUTE);
    let kinds = [
        caller.observe(&op, &handle).unwrap_err().kind(),
        caller.locate(&op).unwrap_err().kind(),
        caller.begin(&op).unwrap_err().kind(),
        caller.prepare(&op.request).unwrap_err().kind(),
        caller.scan("web-1").unwrap_err().kind(),
        caller.probe("web-1").unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Unreachable; 6]);
    assert!(caller.scan("web-2").is_ok());
    caller.wait(30 * MINUTE);
    assert!(is_done(&caller.settle(&op, &handle)));
}

#[test]
fn one_that_cannot_be_asked_does_not_hide_the_others() {
    let sim = web().script(Script::unreachable(after(0), after(30)).on("web-1"));
    let changes = ["web-1", "web-2"].map(|c| Change::new(c, both())).to_vec();
    let prepared = Caller::of(&sim)
        .prepare(&DeployRequest::Stage { changes })
        .unwrap();
    assert_eq!(prepared.subjects["web-2"], Readiness::Ready);
    assert_eq!(kinds(&prepared), [(ErrorKind::Unreachable, true)]);
}

#[test]
fn a_restart_that_never_returns_is_said_after_half_an_hour() {
    let sim = web().script(Script::restart_never_returns().on("web-1"));
    let caller = Caller::of(&sim);
    let settled = caller.run("r", reboot("web-1"));
    assert_eq!(failure(&settled).kind, ErrorKind::Unreachable);
    assert_eq!(sim.clock().now(), after(30));
    assert_eq!(
        caller.scan("web-1").unwrap_err().kind(),
        ErrorKind::Unreachable
    );
    let history = sim.history("web-1").unwrap();
    assert!(history.boots.is_empty());
    assert_eq!(history.outages.last().unwrap().until, None);
}

#[test]
fn health_breaks_until_the_version_is_gone() {
    let sim = web().script(Script::health_breaks("openssl", "3-2"));
    let caller = Caller::of(&sim);
    let change = || vec![change("openssl", "3-1", "3-2")];
    assert_eq!(caller.probe("web-1").unwrap(), ProbeVerdict::Healthy);
    assert!(is_done(&caller.run("a", apply("web-1", change()))));
    assert_eq!(caller.probe("web-1").unwrap(), ProbeVerdict::Unhealthy);
    caller.run("b", roll_back("web-1", change()));
    assert_eq!(caller.probe("web-1").unwrap(), ProbeVerdict::Healthy);
    assert_eq!(
        sim.history("web-1").unwrap().outages[0].why,
        OutageCause::Broken
    );
}

#[test]
fn a_fault_that_comes_later_counts_from_then_on() {
    let sim = web();
    sim.clock().advance_to(after(5));
    sim.world(|w| w.script(Script::health_breaks("openssl", "3-1").on("web-1")));
    let outages = sim.history("web-1").unwrap().outages;
    assert_eq!(outages[0].from, after(5));
    assert!(sim.history("web-2").unwrap().outages.is_empty());
}

#[test]
fn a_failed_way_back_says_what_is_still_there() {
    let sim = web().script(Script::roll_back_fails());
    let caller = Caller::of(&sim);
    caller.run("a", apply("web-1", both()));
    let settled = caller.run("b", roll_back("web-1", both()));
    assert_eq!(failure(&settled).kind, ErrorKind::InstallFailed);
    assert_eq!(sim.version("web-1", "nginx").unwrap(), "1-10");
}

#[test]
fn a_service_on_old_code_is_seen_until_the_restart() {
    let sim = web().script(Script::leaves_old_code("openssl", "3-2", "nginx.service"));
    let caller = Caller::of(&sim);
    caller.run("a", apply("web-1", both()));
    let old = caller.scan("web-1").unwrap().running_old.unwrap();
    assert_eq!(
        (old[0].who.as_str(), old[0].maps.as_str()),
        ("nginx.service", "openssl 3-1")
    );
    caller.run("r", reboot("web-1"));
    assert_eq!(caller.scan("web-1").unwrap().running_old, Some(Vec::new()));
}

#[test]
fn slow_is_slow() {
    let took = |sim: Sim| {
        Caller::of(&sim).run("a", apply("web-1", both()));
        let transaction = sim.history("web-1").unwrap().transactions.remove(0);
        transaction
            .ended
            .duration_since(transaction.began)
            .as_secs()
    };
    assert_eq!(
        took(web().script(Script::slow("apply", 10.0))),
        10 * took(web())
    );
}

#[test]
fn mistakes_of_the_description_are_told_all_at_once() {
    let sim = web()
        .script(Script::roll_back_fails().on("web-9"))
        .script(Script::postinst_fails("nginx", "1-100"));
    let error = sim.check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for part in [
        "there is no web-9",
        "nginx 1-100 is neither published nor installed",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let caller = Caller::of(&sim);
    let listed = caller
        .ports
        .inventory
        .clone()
        .unwrap()
        .list(&caller.ctx())
        .now_or_never();
    assert!(listed.unwrap().is_err());
    let near = sim.installed("web-l").unwrap_err();
    assert!(
        near.remedy().unwrap().contains("did you mean web-"),
        "{near:?}"
    );
    assert!(web().check().is_ok());
}
