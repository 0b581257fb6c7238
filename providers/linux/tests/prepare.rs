//! Whether a change may begin, by small scans of real apt and dpkg, on an installation in a folder; and how few
//! questions a change asks.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions around the tests are tests too"
)]

#[expect(dead_code, reason = "each test takes what it needs of it")]
mod installation;
mod peer;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use installation::Installation;
use patchcore::{
    ErrorKind, Failure, Result, SystemClock,
    clock::Clock,
    estate::{PatchChange, Pin},
    id::OpKey,
    provider::{
        Begun, CancelToken, Change, DeployRequest, Deployer, Observed, Op, OpContext, Prepared,
        Provider, Readiness, Settled, SubjectResult,
    },
};
use patchcore_linux::{
    Linux, LocalConfig,
    pm::apt::{AptScan, Named, PackageName, WantedScan, scan_script_about, wanted_script},
    transport::{Local, Output, Script, Transport},
    vercmp::deb::DebVersion,
};

/// A way to the installation that notes what is asked, and may change a word of an answer.
#[derive(Debug)]
struct Way {
    local: Local,
    asked: Mutex<Vec<String>>,
    edit: Mutex<Option<(&'static str, String)>>,
}

#[async_trait]
impl Transport for Way {
    async fn run(&self, script: &Script, deadline: Duration) -> Result<Output> {
        let kind = script.id().split('-').next().unwrap();
        self.asked.lock().unwrap().push(kind.to_owned());
        let mut output = self.local.run(script, deadline).await?;
        if let Some((from, to)) = &*self.edit.lock().unwrap() {
            let text = String::from_utf8(output.stdout).unwrap();
            output.stdout = text.replace(from, to).into_bytes();
        }
        Ok(output)
    }
}

struct Stand {
    it: Installation,
    way: Arc<Way>,
    deployer: Arc<dyn Deployer>,
}

impl Stand {
    async fn new() -> Option<Self> {
        let it = Installation::new().await?;
        let way = Arc::new(Way {
            local: it.local.clone(),
            asked: Mutex::default(),
            edit: Mutex::default(),
        });
        let state = it.path("var/lib/patchcore");
        let config = LocalConfig::new()
            .with_name("m-1")
            .with_state(state.to_str().unwrap())
            .unwrap()
            .with_lock_wait(Duration::from_secs(3));
        let linux = Linux::over(Arc::clone(&way) as _, config);
        Some(Self {
            deployer: linux.ports().deployer.unwrap(),
            it,
            way,
        })
    }

    fn ctx() -> OpContext {
        let deadline = SystemClock.now() + Duration::from_secs(300);
        OpContext::reading(Arc::new(SystemClock), deadline, CancelToken::new())
    }

    /// The approved change of these packages.
    async fn change(&self, names: &[&str]) -> Change {
        let patches = self.it.approve(names).await.into_iter().map(|c| {
            let sha256 = c.sha256.unwrap();
            PatchChange {
                patch: c.name.as_str().into(),
                from: c.from.map(|v| v.as_str().into()),
                to: Some(c.to.as_str().into()),
                pin: Pin::Artifact { sha256 },
            }
        });
        Change::new("m-1", patches.collect())
    }

    async fn prepare(&self, request: &DeployRequest) -> Prepared {
        self.deployer.prepare(&Self::ctx(), request).await.unwrap()
    }

    async fn readiness(&self, request: &DeployRequest) -> Readiness {
        self.prepare(request).await.subjects.remove("m-1").unwrap()
    }

    /// Prepares, begins and observes until the end.
    async fn drive(&self, key: &str, request: DeployRequest) -> Settled {
        let prepared = self.prepare(&request).await;
        assert_eq!(prepared.subjects["m-1"], Readiness::Ready);
        let op = Op::new(OpKey::from(key), request, prepared.baseline);
        let ctx = Self::ctx();
        let handle = match self.deployer.begin(&ctx, &op).await.unwrap() {
            Begun::Settled(settled) => return settled,
            Begun::Started(handle) => handle,
            other => panic!("{other:?}"),
        };
        loop {
            match self.deployer.observe(&ctx, &op, &handle).await.unwrap() {
                Observed::Settled(settled) => return settled,
                Observed::Running { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// What was asked since this was asked last.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.way.asked.lock().unwrap())
    }
}

fn stage(change: &Change) -> DeployRequest {
    DeployRequest::Stage {
        changes: vec![change.clone()],
    }
}

fn apply(change: &Change) -> DeployRequest {
    DeployRequest::Apply {
        changes: vec![change.clone()],
        staged: OpKey::from("staged"),
    }
}

/// The only reason against a request.
fn reason(readiness: Readiness) -> Failure {
    let Readiness::Blocked(reasons) = readiness else {
        panic!("expected a reason but found {readiness:?}");
    };
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    reasons.into_iter().next().unwrap().failure
}

fn done(settled: &Settled) -> &str {
    match &settled.subjects["m-1"] {
        SubjectResult::Done(evidence) => &evidence.saw,
        SubjectResult::Failed(failure) => panic!("{failure:?}"),
    }
}

#[tokio::test]
async fn an_upgrade_asks_little() {
    let Some(stand) = Stand::new().await else {
        return;
    };
    let change = stand.change(&["pc-removed", "pc-newdep", "pc-conf"]).await;
    let staged = OpKey::from("staged");
    let settled = stand.drive("staged", stage(&change)).await;
    assert!(done(&settled).starts_with("fetched; 2 old packages kept"));
    assert_eq!(stand.asked(), ["wanted", "op"]);

    let settled = stand.drive("applied", apply(&change)).await;
    assert_eq!(done(&settled), "dpkg: 3 of 3 at the planned version");
    assert_eq!(stand.asked(), ["wanted", "op"]);
    let again = stand.readiness(&apply(&change)).await;
    assert!(matches!(again, Readiness::AlreadyHolds(_)), "{again:?}");
    stand.asked();

    let back = DeployRequest::RollBack {
        changes: vec![Change::new(
            "m-1",
            change.patches.iter().map(PatchChange::reversed).collect(),
        )],
        staged: staged.clone(),
    };
    let settled = stand.drive("back", back).await;
    assert_eq!(done(&settled), "dpkg: 3 of 3 at the planned version");
    assert_eq!(stand.asked(), ["wanted", "op"]);
    assert_eq!(stand.it.version("pc-newdep").await, "");

    let discard = DeployRequest::Discard {
        components: vec!["m-1".into()],
        staged,
    };
    let settled = stand.drive("discarded", discard).await;
    assert_eq!(done(&settled), "what was kept is given back");
    // Whoever was fetched for is known, and nothing about it matters.
    assert_eq!(stand.asked(), ["op"]);
}

#[tokio::test]
async fn what_is_not_as_approved_has_drifted() {
    let Some(stand) = Stand::new().await else {
        return;
    };
    let change = stand.change(&["pc-conf"]).await;
    for request in [stage(&change), apply(&change)] {
        assert_eq!(stand.readiness(&request).await, Readiness::Ready);
    }
    let with = |edit: &dyn Fn(&mut PatchChange)| {
        let mut other = change.clone();
        other.patches.iter_mut().for_each(edit);
        [stage(&other), apply(&other)]
    };
    let sha256 = "0".repeat(64);
    let cases = [
        (
            with(&|c| c.from = Some("0.9-1".into())),
            "pc-conf is not as approved",
        ),
        (with(&|c| c.from = None), "pc-conf is not as approved"),
        (
            with(&|c| {
                c.pin = Pin::Artifact {
                    sha256: sha256.clone(),
                };
            }),
            "has another file for pc-conf 1.1-1",
        ),
        (
            with(&|c| c.to = Some("1.2-1".into())),
            "no longer has pc-conf 1.2-1",
        ),
    ];
    for (requests, expect) in cases {
        for request in requests {
            let failure = reason(stand.readiness(&request).await);
            assert_eq!(failure.kind, ErrorKind::PlanDrift);
            assert!(failure.message.contains(expect), "{failure:?}");
        }
    }

    // The approved version is gone: a newer one took its place.
    fs::remove_file(stand.it.path("repo/pc-security/pc-conf_1.1-1_all.deb")).unwrap();
    stand.it.build("pc-security", "pc-conf", "1.2-1");
    stand
        .it
        .publish("pc-security", "PatchCore-Security", "pc-security");
    stand.it.command("apt-get", &["-qq", "update"]);
    for request in [stage(&change), apply(&change)] {
        let failure = reason(stand.readiness(&request).await);
        assert_eq!(failure.kind, ErrorKind::PlanDrift);
        assert!(
            failure
                .message
                .contains("the repository no longer has pc-conf 1.1-1"),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn what_is_broken_or_busy_is_seen_though_no_change_names_it() {
    let Some(stand) = Stand::new().await else {
        return;
    };
    let Some(python) = peer::find("python3") else {
        return;
    };
    let change = stand.change(&["pc-conf"]).await;
    let bad = stand.change(&["pc-hello", "pc-badpost"]).await;
    stand.drive("staged", stage(&bad)).await;

    let hold = "import fcntl,sys,time\nf=open(sys.argv[1],'w')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('held',flush=True)\ntime.sleep(60)";
    let mut holder = Command::new(python)
        .args(["-c", hold])
        .arg(stand.it.path("var/lib/dpkg/lock-frontend"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(holder.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let mut kinds = Vec::new();
    let restart = DeployRequest::Reboot {
        components: vec!["m-1".into()],
    };
    for request in [stage(&change), apply(&change), restart] {
        kinds.push(reason(stand.readiness(&request).await).kind);
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(kinds, [ErrorKind::Busy; 3]);

    // Of two one is in, and the other stands there half-configured.
    stand.asked();
    let settled = stand.drive("applied", apply(&bad)).await;
    let SubjectResult::Failed(failure) = &settled.subjects["m-1"] else {
        panic!("{settled:?}");
    };
    assert_eq!(failure.kind, ErrorKind::InstallFailed);
    let blamed: Vec<_> = failure.blames.iter().map(|p| p.as_str()).collect();
    assert_eq!(blamed, ["pc-badpost"]);
    assert_eq!(stand.it.version("pc-hello").await, "1.1-1");
    // Whose fault it is comes from a large scan.
    assert_eq!(stand.asked(), ["wanted", "op", "scan"]);

    let failure = reason(stand.readiness(&apply(&change)).await);
    assert_eq!(failure.kind, ErrorKind::Unhealthy);
    assert!(
        failure.message.contains("pc-badpost is half-configured"),
        "{failure:?}"
    );
    // What is only fetched harms nothing that is broken already.
    assert_eq!(stand.readiness(&stage(&change)).await, Readiness::Ready);
    fs::write(stand.it.path("var/lib/dpkg/updates/0001"), "").unwrap();
    let Readiness::Blocked(reasons) = stand.readiness(&apply(&change)).await else {
        panic!("a run of dpkg was cut off");
    };
    assert_eq!(reasons.len(), 2, "{reasons:?}");
}

#[tokio::test]
async fn what_an_answer_leaves_open_is_asked_of_apt_and_what_it_lacks_is_an_error() {
    let Some(stand) = Stand::new().await else {
        return;
    };
    let change = stand.change(&["pc-conf"]).await;
    stand.asked();
    let edit = |from, to: &str| *stand.way.edit.lock().unwrap() = Some((from, to.to_owned()));

    // The same version for another architecture as well: only a simulation tells which of them comes.
    let block = "Package: pc-conf\nVersion: 1.1-1\nArchitecture: ";
    edit(block, &format!("{block}amd64\n\n{block}"));
    assert_eq!(stand.readiness(&apply(&change)).await, Readiness::Ready);
    assert_eq!(stand.asked(), ["wanted", "scan"]);
    // Served, and nothing said of its file.
    edit("Package: pc-conf", "Package: pc-other");
    assert_eq!(stand.readiness(&apply(&change)).await, Readiness::Ready);
    assert_eq!(stand.asked(), ["wanted", "scan"]);

    edit("Size: ", "Size: 1000000000000000");
    let failure = reason(stand.readiness(&stage(&change)).await);
    assert_eq!(failure.kind, ErrorKind::DiskFull);

    for (from, to) in [
        (" named", " other"),
        ("\nof 7", "\nof 0"),
        ("\nof 7", "\n7"),
        (" audit", " other"),
        ("end interrupted 0", "end interrupted 2"),
        (" versions", " other"),
        (" offers", " other"),
        (" locks", " other"),
        (" disk", " other"),
    ] {
        edit(from, to);
        let error = stand.deployer.prepare(&Stand::ctx(), &apply(&change)).await;
        let error = error.expect_err(from);
        assert_eq!(error.kind(), ErrorKind::ProviderFault, "{from}: {error:?}");
    }
}

#[tokio::test]
async fn a_small_scan_says_what_the_large_one_does() {
    let Some(stand) = Stand::new().await else {
        return;
    };
    let it = &stand.it;
    let named = |name: &str, to: &str| Named {
        name: PackageName::parse(name).unwrap(),
        arch: None,
        to: Some(DebVersion::parse(to).unwrap()),
    };
    let check = async |case: &str| {
        let some = [
            named("pc-hello", "1.1-1"),
            named("pc-newdep", "1.1-1"),
            named("pc-conf", "1.1-1"),
        ];
        let names: Vec<_> = some.iter().map(|n| n.name.clone()).collect();
        let run = async |script: Script| {
            let limit = Duration::from_secs(60);
            it.local.run(&script, limit).await.unwrap().stdout
        };
        let large = run(scan_script_about("l-1", it.jobs.base(), &names).unwrap()).await;
        let small = run(wanted_script("s-1", &some).unwrap()).await;
        assert!(small.len() < large.len(), "{case}");
        let mut large = WantedScan::of(AptScan::parse("l-1", &large).unwrap(), &some);
        let small = WantedScan::parse("s-1", &small, &some).unwrap();
        // They were asked one after the other.
        large.named.facts.now = small.named.facts.now;
        large.named.facts.uptime = small.named.facts.uptime;
        large.disks.clone_from(&small.disks);
        assert_eq!(small, large, "{case}");
        (small.unhealthy.len(), small.cached.len())
    };
    assert_eq!(check("as it was").await, (0, 0));
    it.command("apt-get", &["-qq", "-y", "-d", "install", "pc-hello"]);
    let archive = it.path("var/cache/apt/archives/pc-hello_1.1-1_all.deb");
    fs::copy(it.path("repo/pc-security/pc-hello_1.1-1_all.deb"), archive).unwrap();
    assert_eq!(check("with a file that is here already").await, (0, 1));
    let broken = Command::new("apt-get")
        .args(["-qq", "-y", "install", "pc-badpost"])
        .env("APT_CONFIG", it.path("apt.conf"))
        .env("DPKG_ROOT", it.path(""))
        .output()
        .unwrap();
    assert!(!broken.status.success());
    assert_eq!(check("with a broken package").await, (1, 1));
}
