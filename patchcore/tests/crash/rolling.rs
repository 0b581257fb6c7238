//! The roll of the world's cluster: the production kernel of rolls, brought to where a verb is due, and asked there.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
    task::Poll,
};

use async_trait::async_trait;
use patchcore::{
    Result, Timestamp,
    execute::{
        kernel::{
            ComponentState, Components, Phase, RollEffect, RollEvent, RollInput, RollMoment,
            RollState, Task, decide_roll,
        },
        step::{self, Made, Promise, RollRecorder, Verb},
    },
    id::{ComponentId, RunId},
    plan::roll::{Cluster, Objective},
    provider::{Change, ClusterSetting},
};

use super::{
    cluster::{CLUSTER, DRAINER, Drained, HOSTS, of_two, roll},
    micro::start,
    stepper::{At, Bench, Incarnation, Port, Stop, context, poll_once, ports},
    world::{NEW, World},
};

/// The decision that begins the roll of a cluster.
pub(crate) fn planned(cluster: &Cluster, begins: Timestamp) -> RollEvent {
    RollEvent::Planned {
        by: DRAINER.into(),
        roll: Box::new(roll(cluster)),
        cluster: Box::new(cluster.clone()),
        objective: Objective::default(),
        settings: vec![ClusterSetting::Placement],
        begins,
    }
}

/// A roll, and where the components of its hosts are.
#[derive(Debug, Clone)]
pub(crate) struct Rolled {
    cluster: ComponentId,
    pub(crate) roll: RollState,
    components: Components,
}

/// What an effect of a roll comes to.
pub(crate) type Flight = Pin<Box<dyn Future<Output = Result<RollInput>> + Send>>;

impl Rolled {
    fn new() -> Self {
        let hosts = HOSTS.map(|host| (ComponentId::from(host), ComponentState::default()));
        Self {
            cluster: CLUSTER.into(),
            roll: RollState::begin(&planned(&of_two(), start())).expect("it begins a roll"),
            components: hosts.into_iter().collect(),
        }
    }

    fn moment(&self, now: Timestamp) -> RollMoment<'_> {
        RollMoment {
            cluster: &self.cluster,
            roll: &self.roll,
            components: &self.components,
            open: true,
            may_begin: true,
            ending: false,
            run: None,
            now,
        }
    }

    /// What the kernel does now for a verb.
    pub(crate) fn due(&self, verb: Verb, now: Timestamp) -> Option<(Task, RollEffect)> {
        let moment = self.moment(now);
        let mut tasks = moment.begins(&BTreeSet::new()).into_iter();
        let task = tasks.find(|task| Verb::of_task(task) == Some(verb))?;
        let effect = moment.effect(&task, "j", RunId(1))?;
        Some((task, effect))
    }

    /// The production effect, on its way.
    pub(crate) fn carried_out(
        &self,
        of: &Arc<Incarnation>,
        (task, effect): (Task, RollEffect),
        to: Arc<dyn RollRecorder>,
    ) -> Flight {
        let ports = ports(&Arc::new(Port(Arc::clone(of))), None);
        let ctx = context(of);
        let moment = self.moment(ctx.now());
        Box::pin(step::carry_out_roll(effect, task, &moment, ports, ctx, to))
    }

    /// What the kernel makes of what came back.
    pub(crate) fn hears(&mut self, input: RollInput, now: Timestamp) {
        for event in decide_roll(&self.moment(now), input) {
            self.roll.evolve(&event);
        }
    }
}

/// A roll that goes on where nobody is hurt.
struct Free(Mutex<Rolled>);

#[async_trait]
impl RollRecorder for Free {
    async fn record(&self, event: RollEvent) -> Result<()> {
        self.0.lock().expect("one thread").roll.evolve(&event);
        Ok(())
    }

    async fn may_begin(&self) -> Result<()> {
        Ok(())
    }
}

/// A roll and its world at the moment at which a verb is due.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) rolled: Rolled,
    pub(crate) cluster: Drained,
    pub(crate) now: Timestamp,
}

/// Whether the roll of a cluster makes requests with a verb.
pub(crate) fn is_of_roll(verb: Verb) -> bool {
    let change = Change::new("", Vec::new());
    verb.made(change, String::new().into()) == Made::InRoll
}

static DUE: LazyLock<BTreeMap<(Verb, Promise), Due>> = LazyLock::new(|| {
    let promises = [
        Promise::Keyed,
        Promise::Locatable,
        Promise::StateOnly,
        Promise::Blind,
    ];
    let verbs = Verb::ALL.into_iter().filter(|verb| is_of_roll(*verb));
    verbs
        .flat_map(|verb| promises.map(|promise| ((verb, promise), reached(verb, promise))))
        .collect()
});

/// Finds all of them, before a fault is planted.
pub(crate) fn find_due() {
    LazyLock::force(&DUE);
}

/// Where a verb is due first.
pub(crate) fn due(verb: Verb, promise: Promise) -> &'static Due {
    DUE.get(&(verb, promise))
        .expect("a roll of the cluster of the world makes every verb of the drainer")
}

fn reached(verb: Verb, promise: Promise) -> Due {
    let mut world = World::new(start(), &HOSTS, promise);
    world.cluster = Drained::of(&of_two());
    let bench = Bench::new(world);
    let free = Arc::new(Free(Mutex::new(Rolled::new())));
    let lock = || free.0.lock().expect("one thread");
    for _ in 0..500 {
        let now = bench.now();
        let rolled = lock().clone();
        let moment = rolled.moment(now);
        let events = moment.events();
        if !events.is_empty() {
            events.iter().for_each(|event| lock().roll.evolve(event));
            continue;
        }
        if rolled.due(verb, now).is_some() {
            let cluster = bench.world(|w| w.cluster.clone());
            return Due {
                rolled,
                cluster,
                now,
            };
        }
        let Some(task) = moment.begins(&BTreeSet::new()).into_iter().next() else {
            // Whoever is let in is patched.
            for host in HOSTS.map(ComponentId::from) {
                if !rolled.roll.lets_in(&host) {
                    continue;
                }
                bench.world(|w| {
                    let guest = w.guests.get_mut(&host).expect("it is there");
                    guest.version = NEW.to_owned();
                });
                let mut rolled = lock();
                let component = rolled.components.get_mut(&host).expect("it is there");
                component.phase = Phase::InService;
            }
            continue;
        };
        let effect = moment.effect(&task, "j", RunId(1)).expect("it is due");
        let of = bench.incarnation(Stop::Crash, At::Nowhere);
        let mut flight = rolled.carried_out(&of, (task, effect), Arc::clone(&free) as _);
        let input = loop {
            match poll_once(&mut flight) {
                Poll::Ready(input) => break input.expect("nothing is hurt here"),
                Poll::Pending => {
                    let wake = bench.next_wake().expect("somebody waits");
                    bench.move_to(wake);
                }
            }
        };
        lock().hears(input, bench.now());
    }
    panic!("the roll of the cluster of the world makes no {verb:?}");
}
