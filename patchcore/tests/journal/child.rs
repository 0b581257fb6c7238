//! The second process: this test program itself, which tells on its standard error how far it is.

use std::{
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use futures_util::future::join_all;
use patchcore::{
    ErrorKind,
    execute::journal::{Journal, JournalReader, NewCommand},
};
use serde_json::json;

use super::{at, event, new_run};

const ROLE: &str = "JOURNAL_CHILD_ROLE";
const PATH: &str = "JOURNAL_CHILD_PATH";
/// How many streams a writing child appends to at once, so that its commits are groups.
pub(super) const STREAMS: u64 = 8;

/// A child that is killed with its owner.
pub(super) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Process {
    pub(super) fn start(role: &str, path: &Path) -> Self {
        Self::spawn(
            Command::new(std::env::current_exe().unwrap()).args(Self::ARGS),
            role,
            path,
        )
    }

    pub(super) const ARGS: [&str; 4] = ["child::process", "--exact", "--ignored", "--nocapture"];

    pub(super) fn spawn(command: &mut Command, role: &str, path: &Path) -> Self {
        let mut child = command
            .env(ROLE, role)
            .env(PATH, path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it tells; `None` when it has ended.
    pub(super) fn line(&mut self) -> Option<String> {
        self.lines.next().map(|line| line.unwrap())
    }

    /// Ends it at once, as `kill -9` does; on Unix it is that.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// What it told until its end, and whether it succeeded.
    pub(super) fn finish(mut self) -> (String, bool) {
        let mut told = String::new();
        while let Some(line) = self.line() {
            told.push_str(&line);
            told.push('\n');
        }
        (told, self.child.wait().unwrap().success())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
#[ignore = "the child process of other tests"]
fn process() {
    let role = std::env::var(ROLE).expect("only other tests start this");
    let path = std::env::var_os(PATH).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "hold" => hold(path.as_ref()).await,
            "write" => write(path.as_ref()).await,
            "post" => post(path.as_ref()).await,
            "take" => take(path.as_ref()).await,
            "fill" => fill(path.as_ref()).await,
            "touch" => touch(path.as_ref()).await,
            "seize" => seize(path.as_ref()),
            other => panic!("there is no role {other}"),
        }
    });
}

async fn hold(path: &Path) {
    let _journal = Journal::open(path).unwrap();
    eprintln!("ready");
    std::thread::sleep(Duration::from_secs(600));
}

/// Takes the journal over from whoever holds it.
fn seize(path: &Path) {
    let holder = JournalReader::open(path)
        .unwrap()
        .holder()
        .unwrap()
        .unwrap();
    eprintln!("begins");
    let _journal = Journal::take_over(path, &holder, "jon", "it does not answer").unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

/// Appends until it is killed, and tells of every acknowledged event.
async fn write(path: &Path) {
    let journal = Journal::open(path).unwrap();
    let run = match journal.open_run().await.unwrap() {
        Some(run) => run.id,
        None => journal.start_run(new_run(vec![])).await.unwrap(),
    };
    let epoch = journal.epoch();
    join_all((0..STREAMS).map(|stream| {
        let journal = journal.clone();
        async move {
            let name = format!("{epoch}/{stream}");
            for tseq in 0.. {
                let events = vec![event(&name, 2 * tseq), event(&name, 2 * tseq + 1)];
                let seqs = journal.append(run, events).await.unwrap();
                for (seq, tseq) in seqs.iter().zip([2 * tseq, 2 * tseq + 1]) {
                    // The full stop tells a whole line from one that a kill has cut short.
                    eprintln!("ack {seq} {name} {tseq} .");
                }
            }
        }
    }))
    .await;
}

async fn post(path: &Path) {
    let reader = JournalReader::open(path).unwrap();
    let run = reader.runs().await.unwrap().pop().unwrap().id;
    let command = NewCommand {
        run: Some(run),
        at: at(7),
        by: "jon".into(),
        verb: "pause".into(),
        args: json!({"ring": "broad"}),
    };
    let id = reader.post_command(command).await.unwrap();
    let holder = reader.holder().unwrap().unwrap();
    eprintln!("posted {id} to {}", holder.pid);
}

/// Takes the commands and dies before it answers them.
async fn take(path: &Path) {
    let journal = Journal::open(path).unwrap();
    let commands = journal.take_commands().await.unwrap();
    eprintln!("took {}", commands.len());
    std::process::abort();
}

/// Tells how it fares with a journal: as a reader, then as a writer.
async fn touch(path: &Path) {
    let said = |error: patchcore::Error| {
        assert!(error.remedy().is_some(), "{error:?}");
        let said = error.to_string();
        let said = said
            .split_once(": ")
            .map_or(said.clone(), |(_, said)| said.to_owned());
        format!("refused, `{:?}`: {said}", error.kind())
    };
    let read = async {
        let reader = JournalReader::open(path)?;
        let before = reader
            .identity()
            .await?
            .opened_by
            .map(|holder| holder.to_string());
        eprintln!("before: {}", before.unwrap_or_default());
        reader.runs().await.map(drop)
    };
    eprintln!(
        "reader: {}",
        read.await.map_or_else(said, |()| "opens".to_owned())
    );
    match Journal::open(path) {
        Ok(journal) => {
            let reader = JournalReader::open(path).unwrap();
            let from = journal.opened_before().map(ToString::to_string);
            eprintln!("from: {}", from.unwrap_or_default());
            eprintln!("epoch: {}", journal.epoch());
            eprintln!("holder: {}", reader.holder().unwrap().unwrap());
            eprintln!("writer: opens");
        }
        Err(error) => eprintln!("writer: {}", said(error)),
    }
}

/// Fills a small disk with a journal, then makes room and reads what was acknowledged.
async fn fill(path: &Path) {
    let ballast = path.with_file_name("ballast");
    std::fs::write(&ballast, vec![1; 256 * 1024]).unwrap();
    let journal = Journal::open(path).unwrap();
    let run = journal.start_run(new_run(vec![])).await.unwrap();
    let large = |tseq| {
        let mut large = event("run", tseq);
        large.body = json!("x".repeat(4000));
        vec![large]
    };
    let mut acknowledged = 0;
    let error = loop {
        match journal.append(run, large(acknowledged + 1)).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error:?}");
    assert!(
        acknowledged > 10,
        "only {acknowledged} events fitted on the disk"
    );
    std::fs::remove_file(ballast).unwrap();
    // There is room again, but the handle cannot know what its failed commit has left.
    let again = journal
        .append(run, large(acknowledged + 1))
        .await
        .unwrap_err();
    assert_eq!(again.kind(), ErrorKind::DiskFull, "{again:?}");
    assert_eq!(
        journal.runs().await.unwrap_err().kind(),
        ErrorKind::DiskFull
    );
    drop(journal);

    let journal = Journal::open(path).unwrap();
    let events = journal.events(run, 0, usize::MAX).await.unwrap();
    assert_eq!(events.len() as u64, acknowledged);
    assert!(journal.verify().await.unwrap().is_intact());
    journal.append(run, large(acknowledged + 1)).await.unwrap();
    eprintln!("kept {acknowledged}");
}
