//! Checks of [`ClusterDrainer`](patchcore::provider::ClusterDrainer).

use std::{collections::BTreeMap, sync::Arc};

use patchcore::{
    id::{ComponentId, OpKey},
    provider::{
        Baseline, Begun, ClusterDrainer, ClusterSetting, ClusterView, DrainRequest, Guarantee,
        Located, MoveKind, Observed, Op, PortRequest, Readiness, Settled, SubjectResult, Undo,
        VmPower,
    },
};

use crate::{
    bench::{Bench, Connection},
    check::{Checked, Verdict, demand, fault},
    fixture::{ClusterStock, ClusterTruth, Trouble},
};

/// Of how many looks an operation is watched before it never settles.
const LOOKS: usize = 400;

const VIEW: &str = "drainer_view_leaves_out_nobody";
const MOVES: &str = "drainer_migrate_moves_and_says_so_when_it_did";
const ENTERS: &str = "drainer_maintenance_is_entered_and_given_back";
const HOLDS: &str = "drainer_a_setting_is_held_and_restored";

struct Place<'a> {
    bench: &'a Bench,
    stock: ClusterStock,
}

impl<'a> Place<'a> {
    fn new(bench: &'a Bench) -> Checked<Self> {
        match bench.fixture.cluster() {
            Some(stock) => Ok(Self { bench, stock }),
            None => Err(Verdict::NotRun("the fixture has no cluster".to_owned())),
        }
    }

    fn op(&self, request: DrainRequest) -> Op<DrainRequest> {
        let key = self.bench.key(request.subject(), request.verb());
        Op::new(key, request, Baseline::empty())
    }

    fn migrate(&self) -> Op<DrainRequest> {
        self.op(DrainRequest::Migrate {
            vm: self.stock.vm.clone(),
            from: self.stock.from.clone(),
            to: self.stock.to.clone(),
            how: MoveKind::Live,
        })
    }

    fn enter(&self, host: &ComponentId) -> Op<DrainRequest> {
        let host = host.clone();
        self.op(DrainRequest::EnterMaintenance { host })
    }

    fn exit(&self, host: &ComponentId, taken: &OpKey) -> Op<DrainRequest> {
        let (host, taken) = (host.clone(), taken.clone());
        self.op(DrainRequest::ExitMaintenance { host, taken })
    }

    fn shut_down(&self) -> Op<DrainRequest> {
        self.op(DrainRequest::ShutDown {
            vm: self.stock.vm.clone(),
            host: self.stock.from.clone(),
            suspend: false,
        })
    }

    fn start(&self, taken: &OpKey) -> Op<DrainRequest> {
        self.op(DrainRequest::Start {
            vm: self.stock.vm.clone(),
            host: self.stock.from.clone(),
            taken: taken.clone(),
        })
    }

    fn hold(&self, setting: ClusterSetting) -> Op<DrainRequest> {
        let cluster = self.stock.cluster.clone();
        self.op(DrainRequest::HoldSetting {
            cluster,
            setting,
            hosts: vec![self.stock.from.clone()],
        })
    }

    fn restore(&self, setting: ClusterSetting, to: &str, taken: &OpKey) -> Op<DrainRequest> {
        self.op(DrainRequest::RestoreSetting {
            cluster: self.stock.cluster.clone(),
            setting,
            to: to.to_owned(),
            taken: taken.clone(),
        })
    }

    async fn truth(&self) -> Checked<ClusterTruth> {
        Ok(self.bench.fixture.cluster_truth().await?)
    }

    /// Where the machine is in truth.
    async fn host_of_it(&self) -> Checked<ComponentId> {
        let truth = self.truth().await?;
        match truth.view.vms.get(&self.stock.vm) {
            Some(vm) => Ok(vm.host.clone()),
            None => Err(Verdict::NotRun("the stock's machine is gone".to_owned())),
        }
    }

    async fn view(&self, on: &Connection) -> Checked<ClusterView> {
        let (port, ctx) = (on.drainer()?, self.bench.reading());
        match port.view(&ctx, &self.stock.cluster).await {
            Ok(view) => Ok(view),
            Err(error) => fault(format!("view failed: {}", error.chain())),
        }
    }

    async fn ready(&self, on: &Connection, op: &mut Op<DrainRequest>) -> Checked<Readiness> {
        let ctx = self.bench.working(on, &op.key);
        match on.drainer()?.prepare(&ctx, &op.request).await {
            Ok(mut prepared) => {
                op.baseline = prepared.baseline;
                match prepared.subjects.remove(op.request.subject()) {
                    Some(readiness) => Ok(readiness),
                    None => fault("prepare leaves its subject out"),
                }
            }
            Err(error) => fault(format!("prepare failed: {}", error.chain())),
        }
    }

    async fn settles(&self, on: &Connection, op: &Op<DrainRequest>) -> Checked<Settled> {
        let port = on.drainer()?;
        let ctx = self.bench.working(on, &op.key);
        match port.begin(&ctx, op).await {
            Ok(Begun::Settled(settled)) => Ok(settled),
            Ok(Begun::Started(handle)) => {
                for _ in 0..LOOKS {
                    match port.observe(&ctx, op, &handle).await {
                        Ok(Observed::Settled(settled)) => return Ok(settled),
                        Ok(Observed::Running { poll_after, .. }) => {
                            self.bench.sleep(poll_after).await;
                        }
                        other => return fault(format!("observe said {other:?}")),
                    }
                }
                fault("it never settled")
            }
            other => fault(format!("begin said {other:?}")),
        }
    }

    /// Prepares and does it; anything but success is a fault.
    async fn done(&self, on: &Connection, op: &mut Op<DrainRequest>) -> Checked {
        self.ready(on, op).await?;
        let settled = self.settles(on, op).await?;
        match settled.subjects.get(op.request.subject()) {
            Some(SubjectResult::Done(_)) => {
                self.bench.carried_out(on, op.request.verb());
                Ok(())
            }
            other => fault(format!("{} came out as {other:?}", op.request.verb())),
        }
    }

    /// The machine is at its new host; where moving does not work, its own check shows that.
    async fn moved(&self, on: &Connection) -> Checked<Op<DrainRequest>> {
        let mut op = self.migrate();
        let done = self.done(on, &mut op).await;
        done.map_err(|verdict| in_the_way(verdict, MOVES))?;
        let there = self.host_of_it().await? == self.stock.to;
        shown_by(there, MOVES, "it was moved, and is not there")?;
        Ok(op)
    }

    /// The empty host is in maintenance mode.
    async fn entered(&self, on: &Connection) -> Checked<Op<DrainRequest>> {
        let mut op = self.enter(&self.stock.to);
        let done = self.done(on, &mut op).await;
        done.map_err(|verdict| in_the_way(verdict, ENTERS))?;
        let there = self.in_maintenance(&self.stock.to).await?;
        shown_by(there, ENTERS, "it was entered, and is not there")?;
        Ok(op)
    }

    async fn in_maintenance(&self, host: &ComponentId) -> Checked<bool> {
        let truth = self.truth().await?;
        Ok(truth.view.hosts.get(host).is_some_and(|h| h.maintenance))
    }

    async fn runs(&self) -> Checked<bool> {
        let truth = self.truth().await?;
        let vm = truth.view.vms.get(&self.stock.vm);
        Ok(vm.is_some_and(|vm| vm.power == VmPower::On))
    }

    async fn setting(&self, setting: ClusterSetting) -> Checked<String> {
        let mut truth = self.truth().await?;
        Ok(truth.settings.remove(&setting).unwrap_or_default())
    }
}

/// What another check shows is in the way of this one.
fn in_the_way(verdict: Verdict, see: &'static str) -> Verdict {
    match verdict {
        Verdict::Fault(why) => Verdict::Unjudged { see, why },
        other => other,
    }
}

fn shown_by(holds: bool, see: &'static str, why: &str) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(in_the_way(Verdict::Fault(why.to_owned()), see)),
    }
}

/// A setting that is claimed.
fn a_setting(port: &Arc<dyn ClusterDrainer>) -> Checked<ClusterSetting> {
    let claimed = port.capabilities().settings.into_iter().next();
    claimed.ok_or_else(|| Verdict::NotClaimed("holding a setting".to_owned()))
}

pub(super) async fn drainer_view_leaves_out_nobody(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let seen = place.view(&bench.connect().await?).await?;
    let truth = place.truth().await?.view;
    demand(seen.hosts == truth.hosts && seen.vms == truth.vms, || {
        format!(
            "it shows {} hosts and {} machines, and there are {} and {}; or one is not as shown",
            seen.hosts.len(),
            seen.vms.len(),
            truth.hosts.len(),
            truth.vms.len()
        )
    })
}

pub(super) async fn drainer_view_is_fresh(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let before = place.view(&on).await?;
    let moved = Trouble::VmMoved(place.stock.vm.clone(), place.stock.to.clone());
    bench.trouble(moved).await?;
    let after = place.view(&on).await?;
    let host = |view: &ClusterView| view.vms.get(&place.stock.vm).map(|vm| vm.host.clone());
    let expected = Some(place.host_of_it().await?);
    // Whoever leaves it out at all is found by another check.
    if host(&before).is_none() {
        let why = "the machine is not in the view".to_owned();
        return Err(Verdict::Unjudged { see: VIEW, why });
    }
    demand(host(&after) == expected, || {
        format!(
            "somebody moved it to {expected:?}, and it is shown on {:?}",
            host(&after)
        )
    })
}

pub(super) async fn drainer_migrate_moves_and_says_so_when_it_did(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    place.done(&on, &mut place.migrate()).await?;
    let now = place.host_of_it().await?;
    demand(now == place.stock.to, || {
        format!("done, and it is on {now}, not on {}", place.stock.to)
    })
}

pub(super) async fn drainer_migrate_starts_from_where_it_is(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let mut op = place.migrate();
    if let DrainRequest::Migrate { from, to, .. } = &mut op.request {
        std::mem::swap(from, to);
        *to = place.stock.third.clone();
    }
    let readiness = place.ready(&on, &mut op).await?;
    demand(matches!(readiness, Readiness::Blocked(_)), || {
        format!("it is somewhere else than the move begins, and prepare says {readiness:?}")
    })
}

pub(super) async fn drainer_migrate_goes_only_where_a_host_stays_up(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    place.entered(&on).await?;
    let mut op = place.migrate();
    let readiness = place.ready(&on, &mut op).await?;
    demand(matches!(readiness, Readiness::Blocked(_)), || {
        format!(
            "{} is in maintenance mode, and prepare of a move there says {readiness:?}",
            place.stock.to
        )
    })
}

pub(super) async fn drainer_migrate_twice_has_one_effect(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    if !matches!(
        on.drainer()?.guarantee(&place.migrate()),
        Guarantee::Keyed { .. }
    ) {
        return Err(Verdict::NotClaimed("keys".to_owned()));
    }
    let op = place.moved(&on).await?;
    // Somebody moves it back, and our late second try arrives.
    let back = Trouble::VmMoved(place.stock.vm.clone(), place.stock.from.clone());
    bench.trouble(back).await?;
    let again = place.settles(&on, &op).await;
    bench.sleep(place.stock.longest).await;
    let now = place.host_of_it().await?;
    demand(now == place.stock.from, || {
        format!("begun twice under one key ({again:?}), it was moved twice")
    })
}

pub(super) async fn drainer_is_found_again_by_a_new_process(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let op = place.moved(&bench.connect().await?).await?;
    let on = bench.connect().await?;
    let port = on.drainer()?;
    match port.guarantee(&op) {
        Guarantee::Blind => return Err(Verdict::NotClaimed("finding anything again".to_owned())),
        Guarantee::Locatable {
            consistency_delay, ..
        } => bench.sleep(consistency_delay).await,
        Guarantee::StateOnly { quiet_after } => bench.sleep(quiet_after).await,
        _ => {}
    }
    match port.locate(&bench.working(&on, &op.key), &op).await {
        Ok(Located::Settled(_)) => Ok(()),
        other => fault(format!("it was moved, and locate said {other:?}")),
    }
}

pub(super) async fn drainer_maintenance_needs_an_empty_host(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let mut op = place.enter(&place.stock.from);
    let readiness = place.ready(&on, &mut op).await?;
    demand(matches!(readiness, Readiness::Blocked(_)), || {
        format!("a machine runs on it, and prepare says {readiness:?}")
    })?;
    // Whoever begins all the same must be refused, and nothing moves.
    let port = on.drainer()?;
    let begun = port.begin(&bench.working(&on, &op.key), &op).await;
    demand(matches!(begun, Ok(Begun::Refused(_))), || {
        format!("a machine runs on it, and begin says {begun:?}")
    })?;
    let closed = place.in_maintenance(&place.stock.from).await?;
    demand(!closed && place.runs().await?, || {
        "it was refused, and something was done all the same".to_owned()
    })
}

pub(super) async fn drainer_maintenance_is_entered_and_given_back(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let host = place.stock.to.clone();
    let mut op = place.enter(&host);
    place.done(&on, &mut op).await?;
    demand(place.in_maintenance(&host).await?, || {
        format!("done, and {host} is not in maintenance mode")
    })?;
    let on = bench.connect().await?;
    place.done(&on, &mut place.exit(&host, &op.key)).await?;
    demand(!place.in_maintenance(&host).await?, || {
        format!("given back, and {host} is in maintenance mode")
    })
}

pub(super) async fn drainer_a_machine_shut_down_starts_again(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let mut op = place.shut_down();
    if !on.drainer()?.capabilities().claims(&op.request) {
        return Err(Verdict::NotClaimed("shutting machines down".to_owned()));
    }
    place.done(&on, &mut op).await?;
    demand(!place.runs().await?, || "done, and it runs".to_owned())?;
    let on = bench.connect().await?;
    place.done(&on, &mut place.start(&op.key)).await?;
    demand(place.runs().await?, || {
        "started, and it does not run".to_owned()
    })
}

pub(super) async fn drainer_a_setting_is_held_and_restored(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let setting = a_setting(&on.drainer()?)?;
    let was = place.setting(setting).await?;
    let mut op = place.hold(setting);
    place.done(&on, &mut op).await?;
    let held = place.setting(setting).await?;
    demand(held != was, || format!("held, and it is still {was}"))?;
    let on = bench.connect().await?;
    place
        .done(&on, &mut place.restore(setting, &was, &op.key))
        .await?;
    let now = place.setting(setting).await?;
    demand(now == was, || format!("it was {was}, and it is {now}"))
}

pub(super) async fn drainer_undo_is_the_request_that_names_it(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let port = on.drainer()?;
    let to = place.stock.to.clone();
    let enter = place.enter(&to);
    let stop = place.shut_down();
    let mut expected = vec![
        (enter.clone(), place.exit(&to, &enter.key).request),
        (stop.clone(), place.start(&stop.key).request),
    ];
    if let Ok(setting) = a_setting(&port) {
        let was = place.setting(setting).await?;
        let mut hold = place.hold(setting);
        place.ready(&on, &mut hold).await?;
        let restore = place.restore(setting, &was, &hold.key).request;
        expected.push((hold, restore));
    }
    for (op, back) in expected {
        let undo = port.undo(&op);
        demand(undo == Undo::By(back.clone()), || {
            format!(
                "{} is undone by {undo:?}, not by {back:?}",
                op.request.verb()
            )
        })?;
    }
    let op = place.migrate();
    let undo = port.undo(&op);
    demand(undo == Undo::Nothing, || {
        format!("where a machine is is no loan, and a move is undone by {undo:?}")
    })
}

pub(super) async fn drainer_give_back_may_be_repeated(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let host = place.stock.to.clone();
    let op = place.entered(&on).await?;
    let left = place.done(&on, &mut place.exit(&host, &op.key)).await;
    left.map_err(|verdict| in_the_way(verdict, ENTERS))?;
    match place.ready(&on, &mut place.exit(&host, &op.key)).await? {
        Readiness::AlreadyHolds(_) => Ok(()),
        other => fault(format!(
            "it was given back already, and prepare says {other:?}"
        )),
    }
}

pub(super) async fn drainer_change_by_others_is_a_fight(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let setting = a_setting(&on.drainer()?)?;
    let was = place.setting(setting).await?;
    let mut op = place.hold(setting);
    let held = place.done(&on, &mut op).await;
    held.map_err(|verdict| in_the_way(verdict, HOLDS))?;
    let theirs = Trouble::SettingChanged(place.stock.cluster.clone(), setting);
    bench.trouble(theirs).await?;
    let mut back = place.restore(setting, &was, &op.key);
    match place.ready(&on, &mut back).await? {
        Readiness::ChangedMeanwhile { .. } => Ok(()),
        other => fault(format!(
            "somebody else changed it, and prepare says {other:?}"
        )),
    }
}

pub(super) async fn drainer_questions_change_nothing(bench: &Bench) -> Checked {
    let place = Place::new(bench)?;
    let on = bench.connect().await?;
    let port = on.drainer()?;
    let before = place.truth().await?;
    for op in [
        place.migrate(),
        place.shut_down(),
        place.enter(&place.stock.to),
        place.hold(ClusterSetting::Placement),
    ] {
        let ctx = bench.working(&on, &op.key);
        // What they say is for other checks.
        let _ = port.prepare(&ctx, &op.request).await;
        let _ = port.locate(&ctx, &op).await;
        let _ = port.view(&bench.reading(), &place.stock.cluster).await;
        bench.sleep(place.stock.longest).await;
    }
    let now = place.truth().await?;
    let same = |a: &ClusterTruth, b: &ClusterTruth| -> bool {
        let powers = |truth: &ClusterTruth| -> BTreeMap<ComponentId, (ComponentId, VmPower)> {
            let vms = truth.view.vms.iter();
            vms.map(|(id, vm)| (id.clone(), (vm.host.clone(), vm.power)))
                .collect()
        };
        powers(a) == powers(b) && a.view.hosts == b.view.hosts && a.settings == b.settings
    };
    demand(same(&before, &now), || {
        "nothing was begun, and the cluster is another".to_owned()
    })
}
