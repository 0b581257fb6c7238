//! An installation of its own in a folder: real apt and real dpkg work on it, this machine stays as it is.
//!
//! Its packages show one difficulty each: `pc-hello` none, `pc-conf` an edited configuration file,
//! `pc-badpost` a script that fails until `/etc/pc-badpost.ok` exists, `pc-held` a hold, `pc-phased` a
//! phase of 0 %, `pc-removed` a new dependency `pc-newdep`. `pc-lib` is there as a dependency.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use patchcore::{SystemClock, clock::Clock};
use patchcore_linux::{
    job::{Job, JobId, JobSpec, JobStatus, Jobs, Phase, Poll},
    pm::apt::{Apt, AptScan, Architecture, Change, PackageName, Pending, scan_script},
    transport::{Local, Transport},
};
use tempfile::TempDir;

use crate::peer;

pub(crate) const NAMES: [&str; 7] = [
    "pc-badpost",
    "pc-conf",
    "pc-held",
    "pc-hello",
    "pc-lib",
    "pc-phased",
    "pc-removed",
];

pub(crate) struct Installation {
    dir: TempDir,
    pub(crate) local: Local,
    pub(crate) jobs: Jobs,
    pub(crate) apt: Apt,
}

/// The end of a job: how it stands, and its log.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) id: JobId,
    pub(crate) status: JobStatus,
    pub(crate) log: String,
}

impl Installation {
    /// Builds it with every package at 1.0-1 and a repository with 1.1-1; nothing without root or tools.
    pub(crate) async fn new() -> Option<Self> {
        for program in ["apt-get", "dpkg-deb", "sha256sum"] {
            peer::find(program)?;
        }
        if !Local::new().is_root() {
            assert!(
                std::env::var_os("CI").is_none_or(|v| v != "true"),
                "dpkg needs root to install into a folder"
            );
            eprintln!("skipped: dpkg needs root to install into a folder");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        for folder in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/trusted.gpg.d",
            "var/lib/dpkg/updates",
            "var/lib/dpkg/info",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/log/apt",
            "tmp",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
        let conf = root.join("apt.conf");
        let r = text(root);
        fs::write(
            &conf,
            format!(
                "Dir \"{r}/\";\nDir::State::status \"{r}/var/lib/dpkg/status\";\nAPT::Sandbox::User \"root\";\n\
                 APT::Machine-ID \"0123456789abcdef0123456789abcdef\";\n\
                 DPkg::Options {{ \"--root={r}\"; \"--force-script-chrootless\"; }};\n"
            ),
        )
        .unwrap();
        let state = text(&root.join("var/lib/patchcore"));
        let it = Self {
            local: Local::new()
                .with_env("APT_CONFIG", &conf)
                .with_env("DPKG_ROOT", root),
            jobs: Jobs::in_folders(&format!("{state}/jobs"), None).unwrap(),
            apt: Apt::new()
                .with_state(&state)
                .unwrap()
                .with_lock_wait(Duration::from_secs(3)),
            dir,
        };
        for name in NAMES {
            it.build("pc", name, "1.0-1");
        }
        it.publish("pc", "PatchCore", "pc");
        it.sources(&["pc"]);
        it.command("apt-get", &["-qq", "update"]);
        it.command("apt-get", &[&["-qq", "-y", "install"][..], &NAMES].concat());
        it.command("apt-mark", &["auto", "pc-lib"]);
        it.command("apt-mark", &["hold", "pc-held"]);
        for name in NAMES.into_iter().chain(["pc-newdep"]) {
            it.build("pc-security", name, "1.1-1");
        }
        it.publish("pc-security", "PatchCore-Security", "pc-security");
        it.sources(&["pc", "pc-security"]);
        it.command("apt-get", &["-qq", "update"]);
        Some(it)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Takes a suite away from the repository, as Debian does with old versions.
    pub(crate) fn sources(&self, suites: &[&str]) {
        let lines: String = suites
            .iter()
            .map(|s| {
                format!(
                    "deb [trusted=yes] file:{}/repo/{s} ./\n",
                    self.dir.path().display()
                )
            })
            .collect();
        fs::write(self.path("etc/apt/sources.list"), lines).unwrap();
    }

    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .env("APT_CONFIG", self.path("apt.conf"))
            .env("DPKG_ROOT", self.dir.path())
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat())
            .into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        said
    }

    /// Builds one package with dpkg-deb.
    pub(crate) fn build(&self, suite: &str, name: &str, version: &str) {
        let tree = self.path("build");
        let _ = fs::remove_dir_all(&tree);
        let write = |path: &str, text: &str, mode: u32| {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let depends = match (name, version) {
            ("pc-removed", "1.1-1") => "Depends: pc-newdep\n",
            ("pc-hello", _) => "Depends: pc-lib\n",
            _ => "",
        };
        write(
            "DEBIAN/control",
            &format!(
                "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\n{depends}Description: test package\n"
            ),
            0o644,
        );
        write(&format!("usr/share/{name}/version"), version, 0o644);
        if name == "pc-conf" {
            write("DEBIAN/conffiles", "/etc/pc-conf.conf\n", 0o644);
            write("etc/pc-conf.conf", &format!("from = {version}\n"), 0o644);
        }
        if name == "pc-badpost" && version != "1.0-1" {
            write(
                "DEBIAN/postinst",
                "#!/bin/sh\n[ -e \"$DPKG_ROOT/etc/pc-badpost.ok\" ] || exit 3\n",
                0o755,
            );
        }
        let folder = self.path(&format!("repo/{suite}"));
        fs::create_dir_all(&folder).unwrap();
        self.command(
            "dpkg-deb",
            &[
                "--build",
                tree.to_str().unwrap(),
                folder
                    .join(format!("{name}_{version}_all.deb"))
                    .to_str()
                    .unwrap(),
            ],
        );
    }

    /// Writes the index and the Release file of a suite.
    pub(crate) fn publish(&self, suite: &str, label: &str, name: &str) {
        let folder = self.path(&format!("repo/{suite}"));
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "deb"))
            .collect();
        files.sort();
        let mut index = String::new();
        for file in files {
            let path = file.to_str().unwrap();
            let control = self.command("dpkg-deb", &["-f", path]);
            let _ = write!(
                index,
                "{control}Filename: ./{}\nSize: {}\nSHA256: {}\n",
                file.file_name().unwrap().to_str().unwrap(),
                fs::metadata(&file).unwrap().len(),
                self.digest(path)
            );
            if control.starts_with("Package: pc-phased\nVersion: 1.1-1") {
                index.push_str("Phased-Update-Percentage: 0\n");
            }
            index.push('\n');
        }
        fs::write(folder.join("Packages"), &index).unwrap();
        let digest = self.digest(folder.join("Packages").to_str().unwrap());
        let date = self.command("date", &["-Ru"]);
        fs::write(folder.join("Release"), format!("Origin: PatchCore\nLabel: {label}\nSuite: {name}\nVersion: 1\nDate: {date}SHA256:\n {digest} {} Packages\n", index.len())).unwrap();
    }

    pub(crate) fn digest(&self, path: &str) -> String {
        self.command("sha256sum", &[path])[..64].to_owned()
    }

    pub(crate) async fn scan_text(&self, id: &str) -> Vec<u8> {
        let script = scan_script(id, self.jobs.base()).unwrap();
        self.local
            .run(&script, Duration::from_secs(120))
            .await
            .unwrap()
            .stdout
    }

    pub(crate) async fn scan(&self) -> AptScan {
        AptScan::parse("scan-1", &self.scan_text("scan-1").await).unwrap()
    }

    pub(crate) async fn pending(&self) -> Vec<Pending> {
        self.scan().await.upgrades.unwrap().pending
    }

    /// The approved changes: all that is pending among these names.
    pub(crate) async fn approve(&self, names: &[&str]) -> Vec<Change> {
        let pending = self.pending().await;
        let changes: Vec<_> = pending
            .into_iter()
            .filter(|p| names.contains(&p.name.as_str()))
            .map(|p| Change {
                name: p.name,
                arch: p.arch,
                from: p.from,
                to: p.to,
                sha256: p.sha256,
            })
            .collect();
        assert_eq!(changes.len(), names.len(), "{changes:?}");
        changes
    }

    pub(crate) async fn job(
        &self,
        id: &str,
        spec: impl FnOnce(&Apt, &JobId) -> patchcore::Result<JobSpec>,
    ) -> End {
        let id = JobId::parse(id).unwrap();
        let job = Job {
            spec: spec(&self.apt, &id).unwrap(),
            id: id.clone(),
        };
        self.local
            .run(
                &self.jobs.start(&job, SystemClock.now()).unwrap(),
                Duration::from_secs(60),
            )
            .await
            .unwrap();
        let poll = Poll {
            wait: Duration::from_secs(100),
            most: 1 << 20,
            ..Poll::default()
        };
        let output = self
            .local
            .run(
                &self.jobs.poll(&id, poll).unwrap(),
                Duration::from_secs(120),
            )
            .await
            .unwrap();
        let status = JobStatus::parse(&id, &output.stdout).unwrap();
        assert_eq!(status.phase, Phase::Done, "{status:?}");
        End {
            log: String::from_utf8_lossy(&status.log).into_owned(),
            status,
            id,
        }
    }

    /// The installed version of a package, from a scan.
    pub(crate) async fn version(&self, name: &str) -> String {
        let key = (
            PackageName::parse(name).unwrap(),
            Architecture::parse("all").unwrap(),
        );
        let scan = self.scan().await;
        scan.installed
            .get(&key)
            .and_then(|i| i.version.as_ref())
            .map_or_else(String::new, ToString::to_string)
    }
}
