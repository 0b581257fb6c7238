//! The world seen through its ports, as a run sees it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;

use super::*;
use crate::{
    clock::Clock,
    discover::{Answers, discover},
    error::{ErrorKind, Result},
    estate::{
        Impact, Inventory, KeptBackReason, Patch, PatchChange, PatchClass, RedundancyGroup,
        RelationKind, Role, Scan, WayBack,
    },
    id::{ComponentId, OpKey},
    provider::{
        Baseline, Begun, CancelToken, Change, DeployRequest, Deployer, Guarantee, Handle, Located,
        Observed, Op, OpContext, Ports, Prepared, ProbeKind, ProbeRequest, ProbeVerdict, Provider,
        Readiness, Settled, SubjectResult, Undo,
    },
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn start() -> Timestamp {
    "2026-12-14T20:00:00Z".parse().unwrap()
}

fn after(minutes: u64) -> Timestamp {
    start() + MINUTE * u32::try_from(minutes).unwrap()
}

/// Two web servers for which nginx restarts its service, openssl does not, and a kernel wants a restart.
fn web() -> Sim {
    Sim::starting(start(), 7)
        .guests(["web-1", "web-2"], |g| {
            g.label("tier", "web")
                .package("nginx", "1-9")
                .package("openssl", "3-1")
                .package("linux", "6-1")
        })
        .publish(patch("nginx", "1-10", Impact::ServiceRestart))
        .publish(patch("openssl", "3-2", Impact::None))
}

fn patch(name: &str, to: &str, impact: Impact) -> Patch {
    Patch::new(name, None, to, PatchClass::Security).with_impact(impact)
}

/// Calls the ports as an engine does; every call returns at once.
struct Caller {
    sim: Sim,
    ports: Ports,
    deployer: Arc<dyn Deployer>,
}

impl Caller {
    fn of(sim: &Sim) -> Self {
        let ports = sim.provider().ports();
        Self {
            sim: sim.clone(),
            deployer: ports.deployer.clone().unwrap(),
            ports,
        }
    }

    fn ctx(&self) -> OpContext {
        let clock = self.sim.shared_clock();
        let deadline = clock.now() + HOUR;
        OpContext::reading(clock, deadline, CancelToken::new())
    }

    fn wait(&self, duration: Duration) {
        let clock = self.sim.clock();
        clock.advance_to(clock.now() + duration);
    }

    fn scan(&self, component: &str) -> Result<Scan> {
        let component = ComponentId::from(component);
        let asked = [component.clone()];
        let answers = self
            .deployer
            .scan(&self.ctx(), &asked)
            .now_or_never()
            .unwrap();
        answers.unwrap().remove(&component).unwrap()
    }

    fn prepare(&self, request: &DeployRequest) -> Result<Prepared> {
        self.deployer
            .prepare(&self.ctx(), request)
            .now_or_never()
            .unwrap()
    }

    /// An operation as the engine journals it.
    fn op(&self, key: &str, request: DeployRequest) -> Op<DeployRequest> {
        let baseline = self
            .prepare(&request)
            .map_or(Baseline::empty(), |p| p.baseline);
        Op::new(key.into(), request, baseline)
    }

    fn begin(&self, op: &Op<DeployRequest>) -> Result<Begun> {
        self.deployer.begin(&self.ctx(), op).now_or_never().unwrap()
    }

    fn started(&self, op: &Op<DeployRequest>) -> Handle {
        match self.begin(op).unwrap() {
            Begun::Started(handle) => handle,
            other => panic!("{other:?}"),
        }
    }

    fn locate(&self, op: &Op<DeployRequest>) -> Result<Located> {
        self.deployer
            .locate(&self.ctx(), op)
            .now_or_never()
            .unwrap()
    }

    fn observe(&self, op: &Op<DeployRequest>, handle: &Handle) -> Result<Observed> {
        self.deployer
            .observe(&self.ctx(), op, handle)
            .now_or_never()
            .unwrap()
    }

    fn settle(&self, op: &Op<DeployRequest>, handle: &Handle) -> Settled {
        for _ in 0..1_000 {
            match self.observe(op, handle) {
                Ok(Observed::Settled(settled)) => return settled,
                Ok(Observed::Running { poll_after, .. }) => {
                    assert!(!poll_after.is_zero() && poll_after <= MINUTE / 2);
                    self.wait(poll_after);
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("never over")
    }

    /// Begins and waits for the end.
    fn run(&self, key: &str, request: DeployRequest) -> Settled {
        let op = self.op(key, request);
        match self.begin(&op).unwrap() {
            Begun::Started(handle) => self.settle(&op, &handle),
            Begun::Settled(settled) => settled,
            Begun::Refused(failure) => panic!("{failure}"),
        }
    }

    fn probe(&self, component: &str) -> Result<ProbeVerdict> {
        let url = "http://x/".to_owned();
        let request = ProbeRequest::new(component, ProbeKind::Http { url });
        let probe = self.ports.probe.clone().unwrap();
        let answer = probe.probe(&self.ctx(), &request).now_or_never().unwrap();
        answer.map(|a| a.verdict)
    }

    /// What a discovery over all ports finds.
    fn discovered(&self) -> Inventory {
        let ctx = self.ctx();
        let source = self.ports.inventory.clone().unwrap();
        let listing = source.list(&ctx).now_or_never().unwrap().unwrap();
        let names: Vec<ComponentId> = listing
            .sightings
            .iter()
            .map(|s| s.component.clone())
            .collect();
        let scans = self
            .deployer
            .scan(&ctx, &names)
            .now_or_never()
            .unwrap()
            .unwrap();
        let mut answers = Answers::default();
        answers.listing = Some(Ok(listing));
        answers.scans = scans
            .into_iter()
            .map(|(c, s)| (c, s.map_err(|e| (&e).into())))
            .collect();
        let answers = BTreeMap::from([("sim".into(), answers)]);
        discover("here".into(), ctx.now(), &answers).unwrap()
    }
}

fn change(patch: &str, from: &str, to: &str) -> PatchChange {
    Patch::new(patch, Some(from.into()), to, PatchClass::Security).change()
}

fn both() -> Vec<PatchChange> {
    vec![
        change("nginx", "1-9", "1-10"),
        change("openssl", "3-1", "3-2"),
    ]
}

fn stage(component: &str, changes: Vec<PatchChange>) -> DeployRequest {
    let changes = vec![Change::new(component, changes)];
    DeployRequest::Stage { changes }
}

fn apply(component: &str, changes: Vec<PatchChange>) -> DeployRequest {
    DeployRequest::Apply {
        changes: vec![Change::new(component, changes)],
        staged: "stage".into(),
    }
}

fn roll_back(component: &str, changes: Vec<PatchChange>) -> DeployRequest {
    DeployRequest::RollBack {
        changes: vec![Change::new(component, changes).reversed()],
        staged: "stage".into(),
    }
}

fn reboot(component: &str) -> DeployRequest {
    let components = vec![component.into()];
    DeployRequest::Reboot { components }
}

fn discard(component: &str) -> DeployRequest {
    DeployRequest::Discard {
        components: vec![component.into()],
        staged: "stage".into(),
    }
}

fn is_done(settled: &Settled) -> bool {
    settled
        .subjects
        .values()
        .all(|r| matches!(r, SubjectResult::Done(_)))
}

fn failure(settled: &Settled) -> &crate::error::Failure {
    match settled.subjects.values().next() {
        Some(SubjectResult::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn kinds(prepared: &Prepared) -> Vec<(ErrorKind, bool)> {
    match prepared.subjects.values().next() {
        Some(Readiness::Blocked(reasons)) => {
            reasons.iter().map(|b| (b.failure.kind, b.passes)).collect()
        }
        _ => Vec::new(),
    }
}

fn keyed(memory: Duration) -> Guarantee {
    Guarantee::Keyed { memory }
}

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

#[test]
fn outages_tell_whether_a_budget_held() {
    let sim = web();
    let caller = Caller::of(&sim);
    caller.run("a", apply("web-1", both()));
    caller.run("b", apply("web-2", both()));
    assert_eq!(sim.most_out_of_service(["web-1", "web-2"]), 1);
    let first = sim.history("web-1").unwrap().outages[0].clone();
    assert_eq!((first.why, first.from), (OutageCause::Applying, start()));
    caller.begin(&caller.op("c", reboot("web-1"))).unwrap();
    caller.begin(&caller.op("d", reboot("web-2"))).unwrap();
    assert_eq!(sim.most_out_of_service(["web-1", "web-2"]), 2);
    assert_eq!(sim.most_out_of_service(["web-1"]), 1);

    let quiet = web();
    Caller::of(&quiet).run("a", apply("web-1", vec![change("openssl", "3-1", "3-2")]));
    assert!(
        quiet.history("web-1").unwrap().outages.is_empty(),
        "nothing notices this one"
    );
}

#[test]
fn the_same_seed_and_calls_give_the_same_history() {
    let story = |seed| {
        let sim = Sim::starting(start(), seed)
            .guests((0..20).map(|i| format!("g{i:02}")), |g| {
                g.package("nginx", "1-9")
            })
            .publish(patch("nginx", "1-10", Impact::Reboot))
            .script(Script::postinst_fails("nginx", "1-10").in_percent(30));
        let caller = Caller::of(&sim);
        for i in 0..20 {
            let name = format!("g{i:02}");
            caller.run(
                &format!("a{i}"),
                apply(&name, vec![change("nginx", "1-9", "1-10")]),
            );
            caller.run(&format!("r{i}"), reboot(&name));
        }
        sim.world(|w| {
            let histories = w.histories().map(|(id, h)| (id.clone(), h.clone()));
            (w.now(), histories.collect::<Vec<_>>())
        })
    };
    assert_eq!(story(7), story(7));
    assert_ne!(story(7), story(8));
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

#[test]
fn offers_are_as_old_as_the_catalogue() {
    let sim = Sim::starting(start(), 1)
        .guest("a", |g| {
            g.package("nginx", "1-9")
                .package("mysql", "8-1")
                .hold("mysql")
                .wants("linux-6-2")
        })
        .publish(patch("mysql", "8-2", Impact::None))
        .publish(patch("linux-6-2", "6-2", Impact::Reboot))
        .publish_at(after(30), patch("nginx", "1-10", Impact::None));
    let caller = Caller::of(&sim);
    let offered = || -> Vec<String> {
        let offer = caller.scan("a").unwrap().available.unwrap();
        assert_eq!(offer.kept_back[0].reason, KeptBackReason::Held);
        offer
            .patches
            .iter()
            .map(|p| p.change().to_string())
            .collect()
    };
    assert_eq!(offered(), ["linux-6-2 6-2 (new)"]);
    caller.wait(HOUR);
    assert_eq!(
        offered(),
        ["linux-6-2 6-2 (new)"],
        "the catalogue is an hour old"
    );
    caller.run(
        "r",
        DeployRequest::Refresh {
            components: vec!["a".into()],
        },
    );
    assert_eq!(offered(), ["linux-6-2 6-2 (new)", "nginx 1-9 → 1-10"]);
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

#[test]
fn an_estate_that_was_discovered_is_simulated_as_it_is() {
    let sim = Sim::starting(start(), 7)
        .guest("web-1", |g| {
            g.label("tier", "web")
                .owner("dana")
                .address("10.0.0.1")
                .package("nginx", "1-9")
                .package("openssl", "3-1")
                .old_version_gone("openssl")
                .hold("mysql")
                .package("mysql", "8-1")
                .restart_wanted("a new kernel is installed")
        })
        .guest("web-2", |g| {
            g.package("nginx", "1-10")
                .package("openssl", "3-1")
                .half_configured("openssl")
        })
        .guest("old-1", |g| g.package("openssl", "1-1"))
        .guests(["dns-1", "dns-2"], |g| {
            g.package("bind9", "9-1").wants("linux-6-2")
        })
        .group(RedundancyGroup::all_but_one(
            "dns",
            Role::Dns,
            ["dns-1", "dns-2"],
        ))
        .relation("web-1", RelationKind::ResolvesBy, "dns-1")
        .publish(patch("nginx", "1-10", Impact::ServiceRestart).with_advisory("CVE-2026-1"))
        .publish_for(
            ["web-1", "web-2"],
            patch("openssl", "3-2", Impact::None).with_size(9),
        )
        .publish_for(["old-1"], patch("openssl", "1-2", Impact::Reboot))
        .publish(patch("mysql", "8-2", Impact::None))
        .publish(patch("linux-6-2", "6-2", Impact::Reboot))
        .script(Script::lock_held("apt", after(0), after(10)).on("dns-2"));
    let found = Caller::of(&sim).discovered();
    assert_eq!(found.findings.len(), 5);
    let copy = Sim::from_inventory(&found, 8);
    let again = Caller::of(&copy).discovered();
    assert_eq!(
        serde_json::to_value(&again).unwrap(),
        serde_json::to_value(&found).unwrap()
    );

    // And it can be patched.
    let caller = Caller::of(&copy);
    assert!(is_done(
        &caller.run("a", apply("web-1", vec![change("nginx", "1-9", "1-10")]))
    ));
    assert_eq!(
        sim.version("web-1", "nginx").unwrap(),
        "1-9",
        "the original is untouched"
    );
}

#[test]
fn what_discovery_could_not_learn_stays_unknown() {
    let sim = web().script(Script::unreachable(after(0), after(1)).on("web-1"));
    let found = Caller::of(&sim).discovered();
    let mut silent = found.clone();
    for finding in silent.findings.values_mut().flatten() {
        finding.scan.way_back = None;
        finding.scan.reboot_wanted = None;
        finding.available = None;
    }
    let copy = Sim::from_inventory(&silent, 8);
    let caller = Caller::of(&copy);
    assert_eq!(
        caller.scan("web-1").unwrap_err().kind(),
        ErrorKind::Unreachable
    );
    let scan = caller.scan("web-2").unwrap();
    assert_eq!(
        (scan.way_back, scan.reboot_wanted, scan.available),
        (None, None, None)
    );
    let source = caller.ports.source.clone().unwrap();
    let asked = [ComponentId::from("web-2")];
    let answers = source
        .available(&caller.ctx(), &asked)
        .now_or_never()
        .unwrap()
        .unwrap();
    assert!(answers["web-2"].is_err());
}
