//! A journal as a file of lines: the run, then every event.

use std::{
    fs,
    path::{Path, PathBuf},
};

use patchcore::{
    Journal, Timestamp,
    execute::{
        Story,
        journal::{NewEvent, NewRun, RunRow, StoredEvent},
    },
    id::RunId,
};
use serde_json::{Value, json};

pub(crate) struct Kept {
    pub(crate) name: String,
    file: PathBuf,
    run: RunRow,
    pub(crate) events: Vec<StoredEvent>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_journals")
}

impl Kept {
    /// Every journal of every format.
    pub(crate) fn all() -> Vec<Self> {
        let formats = fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path());
        let mut files: Vec<PathBuf> = formats
            .filter(|path| path.is_dir())
            .flat_map(|path| fs::read_dir(path).unwrap().map(|e| e.unwrap().path()))
            .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
            .collect();
        files.sort();
        files.into_iter().map(Self::read).collect()
    }

    fn read(file: PathBuf) -> Self {
        let text = fs::read_to_string(&file).unwrap();
        let mut lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let run = lines.next().unwrap();
        let at = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let events: Vec<StoredEvent> = lines
            .map(|line| StoredEvent {
                seq: line["seq"].as_u64().unwrap(),
                run: RunId(1),
                stream: text(&line["stream"]),
                tseq: line["tseq"].as_u64().unwrap(),
                at: at(&line["at"]),
                kind: text(&line["kind"]),
                body: line["body"].clone(),
                epoch: line["epoch"].as_u64().unwrap(),
            })
            .collect();
        Self {
            name: file.file_stem().unwrap().to_string_lossy().into_owned(),
            file,
            run: RunRow {
                id: RunId(1),
                plan: run["plan"].clone(),
                approvals: run["approvals"].clone(),
                plan_digest: text(&run["plan_digest"]),
                started_at: at(&run["started_at"]),
                ended_at: None,
                first_seq: 1,
                last_seq: None,
            },
            events,
        }
    }

    /// A run as its journal has it.
    pub(crate) async fn export(name: &str, journal: &Journal, run: RunId) -> Self {
        let mut events: Vec<StoredEvent> = Vec::new();
        loop {
            let after = events.last().map_or(0, |e| e.seq);
            let page = journal.events(run, after, 500).await.unwrap();
            if page.is_empty() {
                break;
            }
            events.extend(page);
        }
        Self {
            name: name.to_owned(),
            file: PathBuf::new(),
            run: journal.run(run).await.unwrap().unwrap(),
            events,
        }
    }

    pub(crate) fn write_if_missing(&self, format: &str) {
        if Self::all().iter().any(|kept| kept.name == self.name) {
            return;
        }
        let file = folder().join(format).join(format!("{}.jsonl", self.name));
        let run = json!({
            "plan": self.run.plan,
            "approvals": self.run.approvals,
            "plan_digest": self.run.plan_digest,
            "started_at": self.run.started_at,
        });
        let events = self.events.iter().map(|e| {
            json!({
                "seq": e.seq, "stream": e.stream, "tseq": e.tseq, "at": e.at,
                "kind": e.kind, "body": e.body, "epoch": e.epoch,
            })
        });
        let lines: Vec<String> = std::iter::once(run)
            .chain(events)
            .map(|line| line.to_string())
            .collect();
        fs::write(file, lines.join("\n") + "\n").unwrap();
    }

    /// What is made today of the same events.
    pub(crate) async fn retold(&self) -> Story {
        let (journal, run) = self.in_a_journal().await;
        Story::read(&journal, run).await.unwrap()
    }

    /// The same events in a journal of today.
    pub(crate) async fn in_a_journal(&self) -> (Journal, RunId) {
        let journal = self.empty(Journal::in_memory().unwrap()).await;
        let run = RunId(1);
        let events = self.events.iter().map(|e| NewEvent {
            stream: e.stream.clone(),
            tseq: e.tseq,
            at: e.at,
            kind: e.kind.clone(),
            body: e.body.clone(),
        });
        journal.append(run, events.collect()).await.unwrap();
        (journal, run)
    }

    /// Its run in a new journal, before its first event.
    pub(crate) async fn empty(&self, journal: Journal) -> Journal {
        let new = NewRun {
            plan: self.run.plan.clone(),
            approvals: self.run.approvals.clone(),
            plan_digest: self.run.plan_digest.clone(),
            at: self.run.started_at,
            events: Vec::new(),
        };
        assert_eq!(journal.start_run(new).await.unwrap(), RunId(1));
        journal
    }

    /// Compares with the kept state: what stood there once stands there with the same value, and more may stand
    /// beside it.
    pub(crate) fn compare(&self, state: &Value) {
        let file = self.file.with_extension("state.json");
        if std::env::var_os("PATCHCORE_BLESS").is_some() {
            let text = serde_json::to_string_pretty(state).unwrap();
            fs::write(&file, text + "\n").unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let kept: Value = serde_json::from_str(&kept).unwrap();
        let mut differs = Vec::new();
        differences(&kept, state, &self.name, &mut differs);
        assert!(differs.is_empty(), "{differs:#?}");
    }
}

fn differences(kept: &Value, now: &Value, at: &str, into: &mut Vec<String>) {
    match (kept, now) {
        (Value::Object(kept), Value::Object(now)) => {
            for (key, value) in kept {
                match now.get(key) {
                    Some(now) => differences(value, now, &format!("{at}.{key}"), into),
                    None => into.push(format!("{at}.{key}: expected {value} but found nothing")),
                }
            }
        }
        (Value::Array(kept), Value::Array(now)) if kept.len() == now.len() => {
            for (i, (kept, now)) in kept.iter().zip(now).enumerate() {
                differences(kept, now, &format!("{at}[{i}]"), into);
            }
        }
        (kept, now) if kept != now => {
            into.push(format!("{at}: expected {kept} but found {now}"));
        }
        _ => {}
    }
}
