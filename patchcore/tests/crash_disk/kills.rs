//! Killed at random moments until the run is over, again and again.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use patchcore::{
    SystemClock,
    clock::Clock as _,
    execute::{Story, journal::JournalReader, kernel::RunStatus},
};

use super::{
    child::{self, Process},
    judge,
    world::{Line, World},
};

/// A folder on a real disk that is removed when the test is over, and kept when it fails.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("crash-disk-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A small generator (xorshift64*): the moments of a seed are the same in every run of the test.
struct Chance(u64);

impl Chance {
    /// From 0 to less than 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What the kills of a run hit.
#[derive(Debug, Default)]
struct Hits {
    kills: u32,
    /// A job of the world was at work.
    job: u32,
    /// The journal held an intent without an outcome.
    intent: u32,
    /// Either.
    in_flight: u32,
    /// By the step that was intended.
    steps: BTreeMap<String, u32>,
}

pub(crate) async fn story(folder: &Path) -> Option<Story> {
    let reader = JournalReader::open(child::journal(folder)).ok()?;
    let run = reader.runs().await.unwrap().pop()?;
    Some(Story::read(&reader, run.id).await.unwrap())
}

/// Lets a process go on for so long, then kills it. False if it ended by itself.
fn killed(folder: &Path, life: Duration) -> bool {
    let mut process = Process::start(folder);
    let death = SystemClock.now() + life;
    while SystemClock.now() < death {
        if let Some(status) = process.0.try_wait().unwrap() {
            let mut said = String::new();
            process
                .0
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut said)
                .unwrap();
            assert!(status.success(), "{said}");
            return false;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    process.0.kill().unwrap();
    process.0.wait().unwrap();
    true
}

async fn one_run(seed: u64, hits: &mut Hits, undisturbed: &[Line]) {
    let folder = Folder::new(&format!("kill-{seed}"));
    let world = World::at(&folder.0);
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    loop {
        // Most live shortly; one in some lives long enough to sit out a quiet time.
        let life = Duration::from_secs_f64(0.01 + 0.4 * chance.next().powi(2));
        if !killed(&folder.0, life) {
            break;
        }
        hits.kills += 1;
        let jobs = world.log();
        let at_work =
            jobs.iter().filter(|l| !l.ended).count() > jobs.iter().filter(|l| l.ended).count();
        let story = story(&folder.0).await;
        let intended: Vec<String> = story
            .iter()
            .flat_map(|story| story.components.values())
            .filter_map(|state| Some(state.op.as_ref()?.step.slug().to_owned()))
            .collect();
        hits.job += u32::from(at_work);
        hits.intent += u32::from(!intended.is_empty());
        hits.in_flight += u32::from(at_work || !intended.is_empty());
        for step in intended {
            *hits.steps.entry(step).or_default() += 1;
        }
    }
    let log = world.log();
    let found = judge::violations(&log, undisturbed);
    assert!(
        found.is_empty(),
        "seed {seed}: {}\n{}",
        found
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
        folder.0.display()
    );
    // What the journal promises of itself.
    let story = story(&folder.0).await.unwrap();
    assert!(
        matches!(story.state.status, RunStatus::Ended { .. }),
        "seed {seed}: {:?}",
        story.state
    );
    assert_eq!(story.ledger(), Vec::<String>::new(), "seed {seed}");
    let reader = JournalReader::open(child::journal(&folder.0)).unwrap();
    reader.verify().await.unwrap().into_result().unwrap();
}

/// Far more than a run takes that nobody kills, also on a machine with other work: it is there for one that hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// The log of a run that nobody kills.
pub(crate) fn undisturbed(name: &str) -> Vec<Line> {
    let folder = Folder::new(&format!("undisturbed-{name}"));
    assert!(
        !killed(&folder.0, HANGS_AFTER),
        "a run that nobody kills does not end in {HANGS_AFTER:?}"
    );
    World::at(&folder.0).log()
}

#[tokio::test]
async fn a_run_that_is_killed_at_any_time_patches_everything_once() {
    let full = std::env::var_os("PATCHCORE_FULL").is_some_and(|v| v == "1");
    let wanted = if full { 250 } else { 30 };
    let undisturbed = undisturbed("kills");
    let alone = judge::violations(&undisturbed, &undisturbed);
    assert!(alone.is_empty(), "{}", alone[0]);
    let mut hits = Hits::default();
    let mut runs = 0;
    while hits.kills < wanted {
        runs += 1;
        one_run(runs, &mut hits, &undisturbed).await;
    }
    println!(
        "{runs} runs, {} kills: {} with something in flight ({} with an open intent, {} with a job at work), 0 violations; open intents by step: {:?}",
        hits.kills, hits.in_flight, hits.intent, hits.job, hits.steps
    );
    assert!(
        hits.in_flight * 3 > hits.kills,
        "most kills hit nothing: {hits:?}"
    );
}
