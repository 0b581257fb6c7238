//! The operation protocol as the simulated targets keep it.

use super::*;

#[test]
fn a_second_begin_under_one_key_is_the_same_job() {
    let sim = web();
    let caller = Caller::of(&sim);
    let op = caller.op("k", apply("web-1", both()));
    let first = caller.started(&op);
    assert_eq!(caller.started(&op), first);
    assert_eq!(caller.locate(&op).unwrap(), Located::Running(first.clone()));
    let settled = caller.settle(&op, &first);
    assert_eq!(caller.begin(&op).unwrap(), Begun::Settled(settled.clone()));
    assert_eq!(caller.locate(&op).unwrap(), Located::Settled(settled));
    assert_eq!(
        sim.calls(&"k".into()),
        Calls {
            begins: 3,
            starts: 1
        }
    );

    let other = Op::new("k".into(), apply("web-2", both()), op.baseline.clone());
    match caller.begin(&other).unwrap() {
        Begun::Refused(failure) => assert_eq!(failure.kind, ErrorKind::InvalidInput),
        begun => panic!("{begun:?}"),
    }
    assert_eq!(sim.version("web-2", "nginx").unwrap(), "1-9");
}

#[test]
fn a_restart_changes_the_boot_id_and_is_found_by_it() {
    let sim = web();
    let caller = Caller::of(&sim);
    let op = caller.op("r", reboot("web-1"));
    let before = caller.scan("web-1").unwrap().boot_id.unwrap();
    assert_eq!(caller.locate(&op).unwrap(), Located::NotFound);
    let handle = caller.started(&op);
    assert_eq!(
        caller.scan("web-1").unwrap_err().kind(),
        ErrorKind::Unreachable
    );
    assert_eq!(caller.probe("web-1").unwrap(), ProbeVerdict::Unhealthy);
    assert!(is_done(&caller.settle(&op, &handle)));
    assert_ne!(caller.scan("web-1").unwrap().boot_id.unwrap(), before);
    // Another key with the same baseline finds a restart too: nobody sees whose it was.
    let twin = Op::new("twin".into(), reboot("web-1"), op.baseline.clone());
    assert!(matches!(caller.locate(&twin).unwrap(), Located::Settled(_)));
    assert_eq!(sim.history("web-1").unwrap().boots.len(), 1);
}

#[test]
fn a_lost_reply_and_a_lost_request_look_alike() {
    let sim = web()
        .script(Script::loses_reply("apply", 1).on("web-1"))
        .script(Script::loses_request("apply", 1).on("web-2"));
    let caller = Caller::of(&sim);
    let (done, not) = (
        caller.op("1", apply("web-1", both())),
        caller.op("2", apply("web-2", both())),
    );
    for op in [&done, &not] {
        let error = caller.begin(op).unwrap_err();
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (ErrorKind::Unreachable, true)
        );
    }
    assert!(matches!(caller.locate(&done).unwrap(), Located::Running(_)));
    assert_eq!(caller.locate(&not).unwrap(), Located::NotFound);
    caller.wait(HOUR);
    assert_eq!(sim.version("web-1", "nginx").unwrap(), "1-10");
    assert_eq!(sim.version("web-2", "nginx").unwrap(), "1-9");
    assert!(
        is_done(&caller.run("2", apply("web-2", both()))),
        "the second try arrives"
    );
}

#[test]
fn what_can_be_located_depends_on_the_guarantee() {
    let located = |guarantee, minutes: u32| {
        let sim = web().with_guarantee(guarantee);
        let caller = Caller::of(&sim);
        let op = caller.op("k", apply("web-1", both()));
        caller.begin(&op).unwrap();
        caller.wait(MINUTE * minutes);
        let second = sim.clone();
        assert_eq!(caller.deployer.guarantee(&op), guarantee);
        (Caller::of(&second).locate(&op).unwrap(), sim)
    };
    let is_settled = |located: &Located| matches!(located, Located::Settled(s) if is_done(s));

    assert!(matches!(located(keyed(HOUR), 0).0, Located::Running(_)));
    assert!(is_settled(&located(keyed(HOUR), 5).0));
    assert_eq!(located(keyed(HOUR), 70).0, Located::NotFound, "forgotten");

    let locatable = Guarantee::Locatable {
        consistency_delay: 2 * MINUTE,
        memory: HOUR,
    };
    assert_eq!(
        located(locatable, 0).0,
        Located::NotFound,
        "not visible yet"
    );
    assert!(is_settled(&located(locatable, 5).0));

    let state_only = Guarantee::StateOnly { quiet_after: HOUR };
    assert_eq!(located(state_only, 0).0, Located::NotFound);
    assert!(is_settled(&located(state_only, 5).0));

    assert!(matches!(
        located(Guarantee::Blind, 5).0,
        Located::Unknown { .. }
    ));
}

#[test]
fn without_a_key_a_second_begin_begins_again() {
    let sim = web().with_guarantee_for("reboot", Guarantee::Blind);
    let caller = Caller::of(&sim);
    let op = caller.op("r", reboot("web-1"));
    let handle = caller.started(&op);
    assert_eq!(
        caller.begin(&op).unwrap_err().kind(),
        ErrorKind::Unreachable
    );
    caller.settle(&op, &handle);
    let handle = caller.started(&op);
    caller.settle(&op, &handle);
    assert_eq!(sim.history("web-1").unwrap().boots.len(), 2);
    assert_eq!(
        sim.calls(&"r".into()),
        Calls {
            begins: 2,
            starts: 2
        }
    );
}

#[test]
fn undo_goes_back_to_what_the_baseline_says_was_there() {
    let sim = web();
    let caller = Caller::of(&sim);
    sim.world(|w| w.install_by_hand("web-1", "openssl", "3-2"))
        .unwrap();
    let op = caller.op("a", apply("web-1", both()));
    match caller.deployer.undo(&op) {
        Undo::By(DeployRequest::RollBack { changes, staged }) => {
            assert_eq!(staged, "stage");
            let patches: Vec<String> = changes[0].patches.iter().map(ToString::to_string).collect();
            assert_eq!(patches, ["nginx 1-10 → 1-9"], "openssl was there before");
        }
        other => panic!("{other:?}"),
    }
    let staged = caller.op("stage", stage("web-1", both()));
    assert_eq!(caller.deployer.undo(&staged), Undo::By(discard("web-1")));
    assert_eq!(
        caller.deployer.undo(&caller.op("r", reboot("web-1"))),
        Undo::Nothing
    );
}

#[test]
fn a_call_after_its_deadline_or_after_cancel_does_nothing() {
    let sim = web();
    let caller = Caller::of(&sim);
    let op = caller.op("a", apply("web-1", both()));
    let late = caller.ctx().with_deadline(start() - MINUTE);
    let error = caller
        .deployer
        .begin(&late, &op)
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let token = CancelToken::new();
    token.cancel();
    let cancelled = OpContext::reading(sim.shared_clock(), after(60), token);
    let error = caller
        .deployer
        .begin(&cancelled, &op)
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(sim.calls(&OpKey::from("a")), Calls::default());
}
