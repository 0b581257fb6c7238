//! What an operator reads, word for word, on an estate in virtual time: kept in `golden/operate.txt`, from which the
//! guide copies.

use std::{fmt::Write as _, path::Path};

use patchcore::{
    Estate, Journal, Operator, Policy, Run, Timestamp,
    estate::{Patch, PatchClass},
    execute::kernel::Resolution,
    sim::{GuestSpec, Script, Sim},
};

use super::driver::POLICY;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/operate.txt");

struct Book {
    operator: Operator,
    journal: std::path::PathBuf,
    pages: String,
}

impl Book {
    /// What the program would print for these words.
    async fn page(&mut self, words: &str) {
        let run = self.operator.run(None).await.unwrap();
        let text = match words.split_once(' ') {
            None if words == "status" => run.to_string(),
            None if words == "list" => run.line(),
            None if words == "why" => run.why_not_over().unwrap(),
            None if words == "ledger" => run.ledger().join("\n"),
            None if words == "report" => run.report().to_string(),
            Some(("why", component)) => run.why(component).unwrap(),
            Some(("audit", "verify")) => self.operator.verify().await.unwrap().to_string(),
            _ => panic!("there is no page for {words}"),
        };
        writeln!(
            self.pages,
            "$ operate run.db {words}\n{}\n",
            self.stable(&text)
        )
        .unwrap();
    }

    /// Without what is another in each run: who holds the journal since when, and the hash over that.
    fn stable(&self, text: &str) -> String {
        let stable = text.lines().map(|line| {
            if let Some((before, _)) = line.split_once("process ") {
                let after = line.split_once(" UTC").map_or("", |(_, after)| after);
                return format!(
                    "{before}process 412 on build-1 since 2026-12-07 12:00:00 UTC{after}"
                );
            }
            match line.split_once("head ") {
                Some((before, after)) => {
                    format!("{before}head {}…{}", "0".repeat(8), &after[64..])
                }
                None => line.to_owned(),
            }
        });
        stable.collect::<Vec<_>>().join("\n")
    }
}

fn sim(start: Timestamp) -> Sim {
    let web = |g: GuestSpec| g.label("tier", "web").package("nginx", "1.0-1");
    Sim::starting(start, 3)
        .guest("t-1", |g| web(g).label("ring", "test"))
        .guests(["w-1", "w-2", "w-3"], web)
        .publish(Patch::new("nginx", None, "1.1-1", PatchClass::Security))
        .script(Script::postinst_fails("nginx", "1.1-1").on("w-2"))
        .script(Script::roll_back_fails().on("w-2"))
}

async fn begun(sim: &Sim, path: &Path) -> (Journal, Run) {
    let estate = Estate::named("night")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let journal = Journal::open(path).unwrap();
    let policy = Policy::from_toml(POLICY, "policy.toml").unwrap();
    let plan = estate.plan(&policy).requested_by("sam").await.unwrap();
    let approval = estate.approval(&plan, "maria").unwrap();
    let approved = estate.approve(plan, [approval]).unwrap();
    let run = estate.run(approved, &journal).await.unwrap();
    (journal, run)
}

#[tokio::test]
async fn the_pages_are_as_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let sim = sim("2026-12-07T12:00:00Z".parse().unwrap());
    let (journal, run) = begun(&sim, &path).await;
    let mut book = Book {
        operator: Operator::open(&path)
            .unwrap()
            .with_clock(sim.shared_clock()),
        journal: path,
        pages: String::new(),
    };

    run.finished().await.unwrap();
    book.page("status").await;
    book.page("why w-1").await;
    run.approve_ring("broad", "jon", "the test ring looks good")
        .await
        .unwrap();
    run.finished().await.unwrap();
    for words in ["status", "why w-2", "why w-3", "ledger"] {
        book.page(words).await;
    }
    // Its process ends, and another goes on later.
    drop(run);
    journal.close().await.unwrap();
    for words in ["list", "status", "why"] {
        book.page(words).await;
    }
    let estate = Estate::named("night")
        .with(sim.provider())
        .with_clock(sim.shared_clock());
    let journal = Journal::open(&book.journal).unwrap();
    let run = estate.reopen(&journal).await.unwrap().unwrap();
    run.resolve("w-2", Resolution::Abandon, "dana", "rebuilt by hand")
        .await
        .unwrap();
    run.finished().await.unwrap();
    book.page("status").await;
    run.end("maria", "plan again").await.unwrap();
    run.finished().await.unwrap();
    for words in ["status", "list", "audit verify"] {
        book.page(words).await;
    }

    if std::env::var_os("PATCHCORE_BLESS").is_some() {
        std::fs::write(GOLDEN, &book.pages).unwrap();
    }
    let kept = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(
        kept == book.pages,
        "{GOLDEN} keeps something else than:\n{}",
        book.pages
    );
}
