//! The live block of a run: what it shows at every moment of a simulated one, and what it does to a terminal.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, also in its helpers"
)]

#[path = "../examples/rolling_patch.rs"]
#[expect(dead_code, reason = "only its estate is used here")]
mod rolling_patch;

use std::{
    fs,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use patchcore::{
    Estate, Journal, Policy, Run, Standing, Timestamp,
    execute::{
        RunProgress, Story, Told,
        journal::{NewEvent, NewRun, StoredEvent},
        kernel::{RunStatus, advance},
    },
    policy::Calendar,
    report::Timeline,
};
use patchcore_examples::{
    live::{Screen, Size, block},
    picture::Terminal,
};

const USUAL: Size = Size {
    columns: 80,
    rows: 24,
};

/// One second of a run: what is said when it is over, and how far the run is then.
struct Moment {
    said: Vec<String>,
    progress: RunProgress,
}

/// The first run of the example `rolling_patch`, second by second. Inside a second the order of the journal depends on
/// which of two independent answers came first; between seconds it does not.
async fn moments() -> Vec<Moment> {
    let sim = rolling_patch::small_datacenter().unwrap();
    let estate = Estate::named("dc-north")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let text = include_str!("../policies/monthly-linux.toml");
    let policy = Policy::from_toml(text, "monthly-linux.toml").unwrap();
    let journal = Journal::in_memory().unwrap();
    let plan = estate.plan(&policy).requested_by("sam").await.unwrap();
    let approval = estate.approval(&plan, "maria").unwrap();
    let approved = estate.approve(plan, [approval]).unwrap();
    let run = estate.run(approved, &journal).await.unwrap();
    run.finished().await.unwrap();
    retold(&run, &journal).await
}

async fn retold(run: &Run, journal: &Journal) -> Vec<Moment> {
    let row = journal.run(run.id()).await.unwrap().unwrap();
    let other = Journal::in_memory().unwrap();
    let new = NewRun {
        plan: row.plan,
        approvals: row.approvals,
        plan_digest: row.plan_digest,
        at: row.started_at,
        events: Vec::new(),
    };
    let id = other.start_run(new).await.unwrap();
    let mut timeline = Timeline::of(run.plan(), id);
    let mut moments = Vec::new();
    let all = journal.events(run.id(), 0, 10_000).await.unwrap();
    for second in all.chunk_by(|a, b| a.at.as_second() == b.at.as_second()) {
        let events = second.iter().cloned().map(again).collect();
        other.append(id, events).await.unwrap();
        let mut said = Vec::new();
        for event in second {
            said.extend(timeline.tell(&Told::read(event.clone())));
        }
        said.extend(timeline.flush());
        let story = Story::read(&other, id).await.unwrap();
        let now = second[0].at;
        let progress = story.progress(&standing(&story, now), now).unwrap();
        moments.push(Moment { said, progress });
    }
    moments
}

fn again(event: StoredEvent) -> NewEvent {
    NewEvent {
        stream: event.stream,
        tseq: event.tseq,
        at: event.at,
        kind: event.kind,
        body: event.body,
    }
}

/// How the run stood: what its kernel says of the state.
fn standing(story: &Story, now: Timestamp) -> Standing {
    let envelope = &story.plan.envelope;
    let calendar = Calendar::new(&envelope.windows, &envelope.blackouts).unwrap();
    let (state, components) = (&story.state, &story.components);
    let schedule = &story.plan.schedule;
    let decision = advance(
        story.run, envelope, schedule, &calendar, state, components, now,
    );
    let waits = decision.waits;
    match (&state.status, decision.wake) {
        (RunStatus::Ended { verdict }, _) => Standing::Ended { verdict: *verdict },
        _ if components.values().any(|c| c.op.is_some()) => Standing::Working { waits },
        (_, Some(until)) => Standing::Waiting { until, waits },
        (_, None) => Standing::AtRest { waits },
    }
}

/// What a screen wrote.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

/// The moments that are worth keeping: the first of each kind.
fn is_worth_keeping(progress: &RunProgress, seen: &mut Vec<String>) -> bool {
    let rings = progress.rings.iter().map(|r| {
        let counts = [r.at_work, r.in_service, r.done, r.failed, r.skipped].map(|n| n > 0);
        format!("{counts:?}")
    });
    let kind = rings.collect::<Vec<_>>().join(" ");
    let new = !seen.contains(&kind);
    seen.push(kind);
    new
}

#[tokio::test]
async fn the_block_is_as_agreed() {
    let mut text = String::new();
    let mut seen = Vec::new();
    for moment in moments().await {
        if is_worth_keeping(&moment.progress, &mut seen) {
            for line in block(&moment.progress, USUAL) {
                text.push_str(line.plain().trim_end());
                text.push('\n');
            }
            text.push('\n');
        }
    }
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/live_block.txt");
    if std::env::var_os("PATCHCORE_BLESS").is_some() {
        fs::write(kept, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(kept).unwrap());
}

#[tokio::test]
async fn a_block_leaves_nothing_behind_and_never_wraps() {
    for columns in [24, 40, 80, 132] {
        for rows in [5, 10, 24] {
            let written = Written::default();
            let size: fn() -> Size = match columns {
                24 => || Size {
                    columns: 24,
                    rows: 24,
                },
                40 => || Size {
                    columns: 40,
                    rows: 24,
                },
                80 => || Size {
                    columns: 80,
                    rows: 24,
                },
                _ => || Size {
                    columns: 132,
                    rows: 24,
                },
            };
            let mut screen = Screen::new(written.clone(), true, size);
            let mut terminal = Terminal::new(columns);
            let mut said = Vec::new();
            for moment in moments().await {
                let block = block(&moment.progress, Size { columns, rows });
                assert!(
                    block.len() <= rows - 2,
                    "{} lines on {rows} rows",
                    block.len()
                );
                // Lines that are said may be long, and are no part of the block.
                let lines: Vec<String> = moment
                    .said
                    .iter()
                    .map(|l| l.chars().take(columns).collect())
                    .collect();
                screen.draw(&lines, &block).unwrap();
                said.extend(lines.iter().map(|l| l.trim_end().to_owned()));
                terminal.feed(&written.take());
                let shown = terminal.text();
                assert_eq!(shown[..said.len()], said);
                let expect: Vec<String> = block
                    .iter()
                    .map(|l| l.plain().trim_end().to_owned())
                    .collect();
                assert_eq!(shown[said.len()..], expect);
                assert!(!terminal.shows_cursor());
            }
            drop(screen);
            terminal.feed(&written.take());
            assert_eq!(terminal.text(), said);
            assert_eq!(terminal.wrapped(), 0);
            assert!(terminal.shows_cursor());
        }
    }
}

#[tokio::test]
async fn without_a_terminal_there_are_lines_alone() {
    let written = Written::default();
    let mut screen = Screen::new(written.clone(), false, || USUAL);
    for moment in moments().await {
        for line in &moment.said {
            screen.say(line).unwrap();
        }
        screen.draw(&[], &block(&moment.progress, USUAL)).unwrap();
    }
    screen.close().unwrap();
    let text = written.take();
    assert!(!text.contains('\u{1b}') && !text.contains('█'), "{text}");
    assert!(
        text.contains("halted: 1 of 2 failed in ring canary"),
        "{text}"
    );
}
