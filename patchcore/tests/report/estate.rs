//! A small estate whose run has a bit of everything.

use patchcore::{
    Estate, Journal, Policy, Run, Timestamp,
    estate::{Impact, Patch, PatchClass},
    execute::{
        Story, Told,
        journal::{NewEvent, NewRun, StoredEvent},
    },
    id::RunId,
    sim::{Script, Sim},
};

const POLICY: &str = r#"
policy = 1
name = "monthly"
[approval]
from = ["maria"]
[[window]]
name = "weeknights"
zone = "Europe/Berlin"
when = "mon..thu"
from = "22:00"
until = "04:00"
[patches]
take = ["security", "bugfix"]
[[ring]]
name = "test"
select = "ring = test"
at_once = "1"
soak = "24h"
[[ring]]
name = "broad"
select = "*"
at_once = "2"
soak = "24h"
[[check]]
select = "tier = web"
http = "http://{address}/healthz"
within = "5m"
steady = "1m"
[on_fail]
component = "roll_back"
tolerate = "0"
"#;

/// A journal with one run: the second ring meets a bad patch, halts, and is ended by a person.
pub(crate) async fn halted() -> (Journal, RunId) {
    let (journal, run) = finished(Some(Script::postinst_fails("nginx", "1.1").on("web-02"))).await;
    let standing = run.standing();
    assert!(standing.is_halted(), "{standing}");
    run.end("maria", "enough for today").await.unwrap();
    run.finished().await.unwrap();
    (journal, run.id())
}

/// The same without a fault: both rings go through.
pub(crate) async fn done() -> (Journal, RunId) {
    let (journal, run) = finished(None).await;
    (journal, run.id())
}

async fn finished(fault: Option<Script>) -> (Journal, Run) {
    let web = |g: patchcore::sim::GuestSpec| {
        let address = format!("{}.example", g.name());
        g.label("tier", "web")
            .address(address)
            .package("nginx", "1.0")
            .package("linux-image", "6.1")
    };
    let start: Timestamp = "2026-12-07T14:00:00Z".parse().unwrap();
    let patch = |name: &str, to: &str, impact| {
        Patch::new(name, None, to, PatchClass::Security).with_impact(impact)
    };
    let sim = Sim::starting(start, 3)
        .guests(["web-t1", "web-t2"], |g| web(g).label("ring", "test"))
        .guests((1..=6).map(|n| format!("web-{n:02}")), web)
        .guest("idle-1", |g| g.package("vim", "9"))
        .publish(patch("nginx", "1.1", Impact::ServiceRestart))
        .publish(patch("linux-image", "6.2", Impact::Reboot));
    let sim = match fault {
        Some(fault) => sim.script(fault),
        None => sim,
    };
    let estate = Estate::named("dc")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let policy = Policy::from_toml(POLICY, "policy.toml").unwrap();
    let journal = Journal::in_memory().unwrap();
    let plan = estate.plan(&policy).requested_by("sam").await.unwrap();
    let approval = estate
        .approval(&plan, "maria")
        .unwrap()
        .with_comment("looks | *good* <b>");
    let approved = estate.approve(plan, [approval]).unwrap();
    let run = estate.run(approved, &journal).await.unwrap();
    run.finished().await.unwrap();
    (journal, run)
}

pub(crate) async fn stored(journal: &Journal, run: RunId) -> Vec<StoredEvent> {
    let mut all: Vec<StoredEvent> = Vec::new();
    loop {
        let after = all.last().map_or(0, |e| e.seq);
        let page = journal.events(run, after, 500).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(crate) async fn told(journal: &Journal, run: RunId) -> Vec<Told> {
    stored(journal, run)
        .await
        .into_iter()
        .map(Told::read)
        .collect()
}

/// The same run in another journal, with these events only.
pub(crate) async fn retold(journal: &Journal, run: RunId, events: Vec<NewEvent>) -> Story {
    let row = journal.run(run).await.unwrap().unwrap();
    let other = Journal::in_memory().unwrap();
    let id = other
        .start_run(NewRun {
            plan: row.plan,
            approvals: row.approvals,
            plan_digest: row.plan_digest,
            at: row.started_at,
            events: Vec::new(),
        })
        .await
        .unwrap();
    other.append(id, events).await.unwrap();
    Story::read(&other, id).await.unwrap()
}

pub(crate) fn new(event: StoredEvent) -> NewEvent {
    NewEvent {
        stream: event.stream,
        tseq: event.tseq,
        at: event.at,
        kind: event.kind,
        body: event.body,
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}
