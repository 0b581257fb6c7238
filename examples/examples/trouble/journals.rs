//! Journals on a disk: whose they are, in which state, and who holds them.

use std::path::Path;

use patchcore::{ErrorKind, Estate, Journal, Result};

use super::{
    child::{self, Child},
    seen::Seen,
    stage::{self, Folder, Witness},
};

/// A closed journal of estate dc-north with one run that has ended.
async fn written(path: &Path) -> Result<()> {
    let sim = stage::sim()?;
    let journal = Journal::open(path)?;
    let run = stage::started(&stage::estate(&sim), &journal).await?;
    run.finished().await?;
    drop(run);
    journal.close().await
}

fn sql(path: &Path, statement: &str) -> Result<()> {
    let failed = |e: rusqlite::Error| {
        patchcore::Error::new(ErrorKind::Io, "could not change the journal").source_error(e)
    };
    let connection = rusqlite::Connection::open(path).map_err(failed)?;
    connection.execute_batch(statement).map_err(failed)
}

pub(crate) async fn of_another_estate() -> Result<Seen> {
    let folder = Folder::new()?;
    written(&folder.journal()).await?;
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let south = Estate::named("dc-south")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let approved = stage::approved(&south, stage::plan(&south).await?)?;
    let journal = Journal::open(folder.journal())?;
    let answer = south.run(approved, &journal).await;
    let (what, holds) = witness.untouched()?;
    let (runs, one) = stage::runs(&journal, 1).await?;
    Ok(Seen::refused(answer, ErrorKind::JournalForeign)
        .says(&["run.db", "estate dc-south", "estate dc-north"])
        .proves(what, holds)
        .proves(format!("{runs}, that of dc-north"), one))
}

/// Opens a journal that must be refused, and finds every file of its folder as it was.
fn refused(folder: &Folder, kind: ErrorKind) -> Result<Seen> {
    let before = folder.files()?;
    let answer = Journal::open(folder.journal());
    let same = folder.holds(&before)?;
    Ok(Seen::refused(answer, kind)
        .says(&["run.db"])
        .proves("every file is as it was, byte for byte", same))
}

pub(crate) async fn newer() -> Result<Seen> {
    let folder = Folder::new()?;
    written(&folder.journal()).await?;
    sql(&folder.journal(), "UPDATE meta SET schema = 3")?;
    Ok(refused(&folder, ErrorKind::JournalNewer)?.says(&["schema 2", "schema 3", "newer version"]))
}

pub(crate) async fn damaged() -> Result<Seen> {
    let folder = Folder::new()?;
    written(&folder.journal()).await?;
    // A disk that lost its beginning.
    let mut bytes = std::fs::read(folder.journal()).map_err(|e| stage::io("read it", e))?;
    bytes[..4096].fill(0xff);
    std::fs::write(folder.journal(), bytes).map_err(|e| stage::io("write it", e))?;
    Ok(refused(&folder, ErrorKind::JournalDamaged)?.says(&["restore a backup"]))
}

pub(crate) async fn tampered() -> Result<Seen> {
    let folder = Folder::new()?;
    written(&folder.journal()).await?;
    sql(
        &folder.journal(),
        "UPDATE event SET body = replace(body, 'maria', 'jon') WHERE seq = 1",
    )?;
    let journal = Journal::open(folder.journal())?;
    let answer = journal.verify().await?.into_result();
    let (runs, one) = stage::runs(&journal, 1).await?;
    Ok(Seen::refused(answer, ErrorKind::JournalDamaged)
        .says(&["run.db", "event 1 of run 1"])
        .proves(runs, one))
}

pub(crate) async fn full_disk() -> Result<Seen> {
    let folder = Folder::new()?;
    match child::on_a_full_disk(folder.path())? {
        Ok(shown) => Ok(Seen::text(shown.said.clone())
            .failure(Some(&shown.failure), ErrorKind::DiskFull)
            .says(&["run.db", "free space"])
            .proves(shown.what, shown.holds)),
        Err(why) => Ok(Seen::skipped(why)),
    }
}

pub(crate) async fn in_use() -> Result<Seen> {
    let folder = Folder::new()?;
    written(&folder.journal()).await?;
    let holder = Child::holding(&folder.journal())?;
    let before = folder.files()?;
    let answer = Journal::open(folder.journal());
    let same = folder.holds(&before)?;
    Ok(Seen::refused(answer, ErrorKind::JournalInUse)
        .says(&[
            "run.db",
            &format!("found     process {} on ", holder.pid()),
            "end that process first",
        ])
        .proves("every file is as it was, byte for byte", same))
}

pub(crate) async fn run_open() -> Result<Seen> {
    let sim = stage::sim()?;
    let witness = Witness::of(&sim)?;
    let estate = stage::estate(&sim);
    let journal = Journal::in_memory()?;
    let second = stage::approved(&estate, stage::plan(&estate).await?)?;
    // Its first ring waits for a person, so that it stays open and does nothing.
    let policy = stage::policy_with(|text| {
        text.replace(
            "soak   = \"24h\"",
            "soak   = \"24h\"\nneeds_approval = true",
        )
    })?;
    let plan = estate.plan(&policy).requested_by("sam").await?;
    let open = estate
        .run(stage::approved(&estate, plan)?, &journal)
        .await?;
    open.finished().await?;
    let answer = estate.run(second, &journal).await;
    let (what, holds) = witness.untouched()?;
    let (runs, one) = stage::runs(&journal, 1).await?;
    Ok(Seen::refused(answer, ErrorKind::RunOpen)
        .says(&["run 1 is open", "reopen"])
        .proves(what, holds)
        .proves(format!("{runs}, the open one"), one))
}

pub(crate) async fn denied() -> Result<Seen> {
    let sim = stage::sim()?
        .script(patchcore::sim::Script::postinst_fails("nginx", "1.22.1-10").on("web-t1"));
    let others = Witness::of_guests(&sim, &["web-01", "web-02"])?;
    let estate = stage::estate(&sim);
    let journal = Journal::in_memory()?;
    let first = stage::started(&estate, &journal).await?;
    first.finished().await?;
    first.end("maria", "rolled back").await?;
    first.finished().await?;
    let transactions = sim.history("web-t1")?.transactions.len();
    // Made without looking into the journal, so the bad patch is in it.
    let plan = stage::plan(&estate).await?;
    let answer = estate.run(stage::approved(&estate, plan)?, &journal).await;
    let (runs, one) = stage::runs(&journal, 1).await?;
    Ok(Seen::refused(answer, ErrorKind::Denied)
        .says(&[
            "nginx 1.22.1-10",
            "was rolled back by run 1",
            "plan again with .history(&journal)",
        ])
        .proves(
            "web-t1 was not touched again",
            sim.history("web-t1")?.transactions.len() == transactions,
        )
        .proves(
            "web-01 and web-02 were never touched",
            others.versions_as_before()?,
        )
        .proves(runs, one))
}
