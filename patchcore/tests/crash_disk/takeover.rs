//! The process that drives is stopped, another takes its journal over, and the first one wakes. A lock of the operating
//! system survives a stop, and so does everything that the stopped process was about to do.

use std::{io::Read as _, path::Path, process::Command, time::Duration};

use patchcore::{
    Journal, SystemClock,
    clock::Clock as _,
    execute::{
        Story, Told,
        journal::{Holder, JournalReader, StoredEvent},
        kernel::{Event, RunEvent, RunStatus},
    },
};

use super::{
    child::{self, Process, SOAK, TAKE_OVER, WHO, WHY},
    judge,
    kills::{Folder, undisturbed},
    provider::{GATE, LOCKS, OPEN, QUIET_FOR, REACHED},
    world::{Job, Line, World, nanoseconds},
};

/// Longer than anything here takes; a moment that does not come by then never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough to be stopped, taken over from and woken in.
const QUIET: &str = "1500";

/// Longer than any job takes, and than a begin is on its way: whoever records nothing for so long has nothing to do.
const CALM: Duration = Duration::from_millis(600);

/// When the stopped process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wakes {
    /// Before the new holder does anything.
    AtOnce,
    /// When the run is over.
    AfterTheEnd,
}

const WAKES: [Wakes; 2] = [Wakes::AtOnce, Wakes::AfterTheEnd];

/// A run whose first process is stopped.
struct Stage {
    folder: Folder,
    world: World,
    first: Process,
    name: String,
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = SystemClock.now() + PATIENCE;
    while !holds() {
        assert!(SystemClock.now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(process: &Process, which: &str) {
    let pid = process.0.id().to_string();
    let sent = Command::new("kill").args([which, &pid]).status();
    assert!(sent.unwrap().success());
}

/// The letter for the state of a process in Linux' `/proc`.
fn state(process: &Process) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id())).unwrap();
    let after = stat.rsplit_once(") ").unwrap().1;
    after.chars().next().unwrap()
}

fn stopped(process: &Process) {
    signal(process, "-STOP");
    until("it is stopped", || state(process) == 'T');
}

fn reader(folder: &Path) -> Option<JournalReader> {
    JournalReader::open(child::journal(folder)).ok()
}

async fn events(folder: &Path) -> Vec<StoredEvent> {
    let Some(reader) = reader(folder) else {
        return Vec::new();
    };
    match reader.runs().await.unwrap().pop() {
        Some(run) => reader.events(run.id, 0, usize::MAX).await.unwrap(),
        None => Vec::new(),
    }
}

/// Waits for an event of the run.
async fn told(folder: &Path, what: &str, is: impl Fn(&StoredEvent) -> bool) {
    let end = SystemClock.now() + PATIENCE;
    while !events(folder).await.iter().any(&is) {
        assert!(SystemClock.now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends by itself, and what it said.
fn ended(process: &mut Process) -> (bool, String) {
    let mut status = None;
    until("it ends", || {
        status = process.0.try_wait().unwrap();
        status.is_some()
    });
    let mut said = String::new();
    let mut from = process.0.stderr.take().unwrap();
    from.read_to_string(&mut said).unwrap();
    (status.unwrap().success(), said)
}

fn now() -> u128 {
    nanoseconds(SystemClock.now().into())
}

impl Stage {
    fn new(name: &str, wakes: Wakes, variables: &[(&str, &str)]) -> Self {
        let name = format!("{name}-{wakes:?}");
        let folder = Folder::new(&name);
        Self {
            world: World::at(&folder.0),
            first: Process::with(&folder.0, variables),
            folder,
            name,
        }
    }

    fn path(&self) -> &Path {
        &self.folder.0
    }

    /// Waits until the gate holds its call, and everything else has come to a stand: a begin of another guest that is on
    /// its way would arrive after the takeover, and be no zombie's.
    async fn reached(&self) {
        until("the gate", || self.path().join(REACHED).exists());
        let mut newest = 0;
        loop {
            let seen = events(self.path()).await.len();
            if seen == newest {
                return;
            }
            newest = seen;
            std::thread::sleep(CALM);
        }
    }

    fn open_gate(&self) {
        std::fs::write(self.path().join(OPEN), "").unwrap();
    }

    /// Takes over from the stopped process, ends the run in another, wakes the stopped one at its time, and judges.
    async fn taken_over(self, wakes: Wakes, undisturbed: &[Line]) {
        self.taken_over_and_refused(wakes, undisturbed, 0, &[])
            .await;
    }

    /// The same, where so many begins of the stopped process were on their way.
    async fn taken_over_and_refused(
        mut self,
        wakes: Wakes,
        undisturbed: &[Line],
        refused: usize,
        variables: &[(&str, &str)],
    ) {
        let path = self.path().to_owned();
        let journal = child::journal(&path);
        let loser = self.first.0.id();
        assert_eq!(state(&self.first), 'T');
        // Its lock is not free, as whoever opens the journal is told.
        let error = Journal::open(&journal).unwrap_err();
        assert!(
            error.to_string().contains(&format!("process {loser} on ")),
            "{error:?}"
        );
        let from = reader(&path).unwrap().holder().unwrap().unwrap();
        assert_eq!(from.pid, loser);
        let arrived = |world: &World, from: u128| {
            let mut all = world.arrivals();
            all.retain(|arrival| arrival.pid == loser && arrival.at >= from);
            all
        };

        let (mut second, taken, winner);
        match wakes {
            Wakes::AtOnce => {
                // By a third process, as `operate` does it; the one that goes on opens the journal as always.
                let seized = Journal::take_over(&journal, &from, WHO, WHY).unwrap();
                (taken, winner) = (now(), seized.holder().clone());
                seized.close().await.unwrap();
                self.open_gate();
                signal(&self.first, "-CONT");
                second = Process::with(&path, &[&[(QUIET_FOR, QUIET)], variables].concat());
            }
            Wakes::AfterTheEnd => {
                let holder = serde_json::to_string(&from).unwrap();
                let own = [(QUIET_FOR, QUIET), (TAKE_OVER, holder.as_str())];
                second = Process::with(&path, &[&own[..], variables].concat());
                told(&path, "the takeover", |event| forced(event).is_some()).await;
                taken = now();
                winner = reader(&path).unwrap().holder().unwrap().unwrap();
            }
        }
        let (succeeded, said) = ended(&mut second);
        assert!(succeeded, "{}: {said}", self.name);
        if wakes == Wakes::AfterTheEnd {
            assert_eq!(state(&self.first), 'T', "{}", self.name);
            self.open_gate();
            signal(&self.first, "-CONT");
        }
        let (succeeded, said) = ended(&mut self.first);
        assert!(!succeeded, "{}: the loser noticed nothing", self.name);
        // Whoever drives by then: the process that took over, or the one that went on after it.
        let names = [winner.pid, second.0.id()].map(|pid| format!("process {pid} on "));
        assert!(
            said.contains("it was taken over") && names.iter().any(|name| said.contains(name)),
            "{}: {said}",
            self.name
        );

        // What the world says.
        let late = arrived(&self.world, taken);
        let effects = late.iter().filter(|arrival| arrival.admitted).count();
        assert_eq!(effects, 0, "{}: the loser began {late:?}", self.name);
        // What the journal cannot call back arrives, and the guest refuses it.
        assert_eq!(late.len(), refused, "{}: {late:?}", self.name);
        let log = self.world.log();
        let found = judge::violations(&log, undisturbed);
        assert!(found.is_empty(), "{}: {}", self.name, found[0]);
        // What the journal promises of itself.
        self.judge_journal(&from).await;
        println!(
            "{}: process {loser} was taken over from; {} of its begins before, 0 after ({refused} refused), {} by the one \
             that went on",
            self.name,
            arrived(&self.world, 0).len() - refused,
            self.world.arrivals().len() - arrived(&self.world, 0).len()
        );
    }

    async fn judge_journal(&self, from: &Holder) {
        let reader = reader(self.path()).unwrap();
        reader.verify().await.unwrap().into_result().unwrap();
        let run = reader.runs().await.unwrap().pop().unwrap();
        let story = Story::read(&reader, run.id).await.unwrap();
        assert!(
            matches!(story.state.status, RunStatus::Ended { .. }),
            "{}: {:?}",
            self.name,
            story.state
        );
        assert_eq!(story.ledger(), Vec::<String>::new(), "{}", self.name);
        let events = events(self.path()).await;
        let epochs: Vec<u64> = events.iter().map(|event| event.epoch).collect();
        assert!(epochs.is_sorted(), "{}: {epochs:?}", self.name);
        let forced: Vec<_> = events.iter().filter_map(forced).collect();
        assert_eq!(
            forced,
            [(from.to_string(), WHO.to_owned(), WHY.to_owned())],
            "{}",
            self.name
        );
        assert_eq!(reader.holder().unwrap(), None);
    }
}

/// From whom, by whom and why a journal was taken over by force.
fn forced(stored: &StoredEvent) -> Option<(String, String, String)> {
    match Told::read(stored.clone()).event {
        Event::Run(RunEvent::TakenOver {
            from: Some(from),
            forced: Some(forced),
            ..
        }) => Some((from, forced.by.to_string(), forced.reason)),
        _ => None,
    }
}

#[tokio::test]
async fn who_was_stopped_between_an_intent_and_its_begin_begins_nothing() {
    let undisturbed = undisturbed("intent");
    // Each promise of a target that is asked between the two, which a keyed one is not; a stage, the patch itself, a
    // restart, and what is given back.
    for call in [
        "locate stage l-web",
        "locate apply l-bad",
        "locate apply l-web",
        "locate apply s-web",
        "locate reboot l-bad",
        "locate discard s-db",
    ] {
        for wakes in WAKES {
            let name = call.replace(' ', "-");
            let stage = Stage::new(&name, wakes, &[(GATE, call), (QUIET_FOR, QUIET)]);
            stage.reached().await;
            stopped(&stage.first);
            stage.taken_over(wakes, &undisturbed).await;
        }
    }
}

/// The journal was asked and has answered, so that only the target can still refuse what comes.
#[tokio::test]
async fn a_begin_that_was_on_its_way_is_refused_by_a_target_that_keeps_locks() {
    let undisturbed = undisturbed("on-its-way");
    for call in [
        "begin apply k-web",
        "begin apply l-bad",
        "begin reboot s-db",
    ] {
        let locks = (LOCKS, "1");
        let variables = [(GATE, call), (QUIET_FOR, QUIET), locks];
        let wakes = Wakes::AfterTheEnd;
        let stage = Stage::new(&call.replace(' ', "-"), wakes, &variables);
        stage.reached().await;
        stopped(&stage.first);
        stage
            .taken_over_and_refused(wakes, &undisturbed, 1, &[locks])
            .await;
    }
}

#[tokio::test]
async fn who_was_stopped_in_the_quiet_wait_begins_nothing() {
    let undisturbed = undisturbed("quiet");
    for wakes in WAKES {
        let call = "begin apply s-web";
        let variables = [(GATE, call), (QUIET_FOR, QUIET)];
        let mut stage = Stage::new("quiet", wakes, &variables);
        stage.reached().await;
        // Nothing was sent, and nobody who comes after it can know that.
        stage.first.0.kill().unwrap();
        stage.first.0.wait().unwrap();
        stage.first = Process::with(stage.path(), &[(QUIET_FOR, QUIET)]);
        told(stage.path(), "the second process", |event| event.epoch == 2).await;
        // Its first look takes milliseconds, the wait after it lasts longer than this.
        std::thread::sleep(Duration::from_millis(600));
        stopped(&stage.first);
        let story = super::kills::story(stage.path()).await.unwrap();
        let waits = story.components["s-web"].op.as_ref().unwrap();
        assert!(waits.handle.is_none(), "it was begun already");
        let arrivals = stage.world.arrivals();
        let begun = |job: &Job| job.guest == "s-web" && job.verb == "apply";
        assert!(!arrivals.iter().any(|arrival| begun(&arrival.job)));
        stage.taken_over(wakes, &undisturbed).await;
    }
}

#[tokio::test]
async fn who_was_stopped_while_it_waits_begins_nothing() {
    let undisturbed = undisturbed("idle");
    for wakes in WAKES {
        let stage = Stage::new("idle", wakes, &[(SOAK, "4s")]);
        told(stage.path(), "the soak", |event| {
            event.kind == "soak_started"
        })
        .await;
        stopped(&stage.first);
        stage.taken_over(wakes, &undisturbed).await;
    }
}
