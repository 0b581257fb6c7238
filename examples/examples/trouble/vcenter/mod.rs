//! The same trouble with a cluster of a vCenter: govmomi's simulator, with hosts that behave.
//!
//! Each case has a server of its own with three hosts, each of which has a new image, and does what a user does: log in, plan
//! the patches, plan the roll. What stands in the way must be said then, all at once. What was asked of the server is
//! told by the server: no call that changes anything may be among it.

pub(super) mod cluster;
pub(super) mod reaching;

use std::{collections::BTreeMap, time::Duration};

use patchcore::{
    Error, ErrorKind, Estate, Failure, Plan, Policy, Result, Secret,
    plan::{
        WhyLeftOut,
        roll::{Answer, Certificate, Objective, Wish, plan},
    },
};
use patchcore_testkit::peers::vcenter::{PASSWORD, USER, Vcenter, program};
use patchcore_vsphere::{ClusterRead, VCenter, VsphereCluster, VsphereConfig};
use serde_json::{Value, json};

use super::{
    seen::Seen,
    stage::{Folder, io},
};

/// The server's only cluster.
const CLUSTER: &str = "DC0_C0";

/// The image that is wanted.
const IMAGE: &str = "8.0.3-0.35.24280767";

/// Calls that read: whatever is not among them counts as a change.
const READS: [&str; 21] = [
    "ContinueRetrievePropertiesEx",
    "CreateCollectorForTasks",
    "CreateContainerView",
    "CurrentTime",
    "DestroyCollector",
    "DestroyView",
    "FetchUserPrivilegeOnEntities",
    "FindExtension",
    "Login",
    "Logout",
    "ReadNextTasks",
    "RetrievePropertiesEx",
    "RetrieveServiceContent",
    "WaitForUpdatesEx",
    "session.login",
    "session.logout",
    "vlcm.compliance",
    "vlcm.enablement",
    "vlcm.last-check",
    "vlcm.policies",
    "vlcm.software",
];

/// A server, and how it was before anybody was asked anything.
struct Scene {
    vcenter: Vcenter,
    before: (Value, Value),
    _folder: Folder,
}

/// What the server was told before; it lives in the scene.
type Trouble = Vec<(&'static str, Value)>;

impl Scene {
    /// One with this trouble. The inner error says what is missing here.
    fn with(trouble: Trouble) -> Result<std::result::Result<Self, Seen>> {
        let program = match program() {
            Ok(program) => program,
            Err(missing) => return Ok(Err(Seen::skipped(missing.to_string()))),
        };
        let folder = Folder::new()?;
        let vcenter = Vcenter::start(&program, folder.path(), 3, 6).map_err(server)?;
        let image = json!({"cluster": CLUSTER, "version": IMAGE, "compared": true});
        for (path, what) in [("image", image)].into_iter().chain(trouble) {
            vcenter.tell(path, &what).map_err(server)?;
        }
        let mut scene = Self {
            vcenter,
            before: (Value::Null, Value::Null),
            _folder: folder,
        };
        scene.begins()?;
        Ok(Ok(scene))
    }

    /// From now on nothing may change.
    fn begins(&mut self) -> Result<()> {
        self.before = (self.ask("truth")?, self.ask("journal")?);
        self.vcenter.count_anew().map_err(server)
    }

    fn tell(&self, path: &str, what: Value) -> Result<()> {
        self.vcenter.tell(path, &what).map_err(server)
    }

    /// How often anybody logged in, by either interface.
    fn logins(&self) -> Result<u64> {
        let calls = self.ask("calls")?;
        let of = |method: &str| calls[method].as_u64().unwrap_or_default();
        Ok(of("Login") + of("session.login"))
    }

    /// Waits until these hosts are in maintenance mode, and their tasks are over.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is waited for happens in another process, which knows no virtual time"
    )]
    async fn until(&self, hosts: &[String]) -> Result<()> {
        for _ in 0..100 {
            let all = self.ask("hosts")?;
            let closed =
                |host: &String| all[host]["maintenance"] == true && all[host]["entering"] == false;
            if hosts.iter().all(closed) && self.ask("running")? == json!([]) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Error::new(
            ErrorKind::Timeout,
            "a host never came into maintenance mode",
        ))
    }

    fn ask(&self, path: &str) -> Result<Value> {
        self.vcenter.ask(path).map_err(server)
    }

    fn config(&self, password: &str) -> Result<VsphereConfig> {
        let config = VsphereConfig::new(self.vcenter.server(), USER, Secret::new(password))?;
        Ok(config.with_ca_file(self.vcenter.ca()))
    }

    async fn connected(&self) -> Result<VsphereCluster> {
        let vcenter = VCenter::connect(self.config(PASSWORD)?).await?;
        let cluster = vcenter.cluster_named(CLUSTER).await?;
        Ok(VsphereCluster::new(vcenter, cluster))
    }

    /// Plans the patches of all hosts.
    async fn planned(&self, cluster: &VsphereCluster) -> Result<Plan> {
        let estate = Estate::named("dc-south").with(cluster.clone());
        let policy = include_str!("../../../policies/hosts.toml");
        let policy = Policy::from_toml(policy, "hosts.toml")?;
        estate.plan(&policy).requested_by("sam").await
    }

    /// Logs in and plans the patches; what a roll would be planned from is read as well.
    async fn attempt(&self) -> Result<(Plan, ClusterRead)> {
        let cluster = self.connected().await?;
        Ok((self.planned(&cluster).await?, cluster.read().await?))
    }

    /// The answer, what the server looks like after, and that nothing in it was changed.
    fn told(&self, said: &str) -> Result<Seen> {
        let (truth, journal) = (self.ask("truth")?, self.ask("journal")?);
        let calls: BTreeMap<String, u64> =
            serde_json::from_value(self.ask("calls")?).map_err(|error| {
                Error::new(
                    ErrorKind::ProviderFault,
                    "the server does not count its calls",
                )
                .source_error(error)
            })?;
        let changing: Vec<&str> = calls.keys().map(String::as_str).collect();
        let changing: Vec<&str> = changing
            .into_iter()
            .filter(|c| !READS.contains(c))
            .collect();
        let asked: u64 = calls.values().sum();
        let text = format!("{}\nafter: {}", said.trim_end(), looks(&truth));
        Ok(Seen::text(text)
            .proves(
                match changing.is_empty() {
                    true => {
                        format!("the server was asked {asked} times, and never to change anything")
                    }
                    false => format!("the server was asked for {}", changing.join(", ")),
                },
                changing.is_empty() && asked > 0,
            )
            .proves(
                "hosts, machines and settings are as before",
                truth == self.before.0 && journal == self.before.1,
            ))
    }
}

/// A server in one line.
fn looks(truth: &Value) -> String {
    let all = |of: &str| truth[of].as_object().into_iter().flatten();
    let mut hosts: BTreeMap<String, u32> = BTreeMap::new();
    for (_, host) in all("hosts") {
        let word = |key: &str| host[key].as_str().unwrap_or("?").to_owned();
        let mut is = format!("on {}-{}", word("version"), word("build"));
        if host["responds"] == false {
            is.push_str(", not responding");
        }
        if host["maintenance"] == true {
            is.push_str(", in maintenance mode");
        }
        if host["boots"] != 0 {
            is.push_str(", restarted");
        }
        *hosts.entry(is).or_default() += 1;
    }
    let hosts: Vec<String> = hosts.iter().map(|(is, n)| format!("{n} {is}")).collect();
    let run = all("vms")
        .filter(|(_, vm)| vm["power"] == "poweredOn")
        .count();
    let drs = truth["clusters"][CLUSTER]["drs"].as_str().unwrap_or("?");
    format!(
        "hosts: {}; {run} of {} machines run; DRS {drs}",
        hosts.join("; "),
        all("vms").count()
    )
}

/// What a plan says of what it does not do.
fn blocked_lines(plan: &Plan) -> String {
    let text = plan.to_string();
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        inside = match line.starts_with(' ') {
            true => inside,
            false => ["blocked now", "not in this plan"]
                .iter()
                .any(|w| line.starts_with(w)),
        };
        if inside && !line.is_empty() || line.contains(" found = ") {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// The kinds of everything that blocks a host in a plan.
fn kinds(plan: &Plan, host: &str) -> Vec<ErrorKind> {
    blockers(plan, host)
        .iter()
        .map(|failure| failure.kind)
        .collect()
}

/// Everything that blocks a host in a plan.
fn blockers<'p>(plan: &'p Plan, host: &str) -> &'p [Failure] {
    let found = plan.left_out.iter().find_map(|left| match &left.reason {
        WhyLeftOut::Blocked { reasons } if left.component == *host => Some(&**reasons),
        _ => None,
    });
    found.unwrap_or_default()
}

fn host(n: u32) -> String {
    format!("{CLUSTER}_H{n}")
}

fn machine(n: u32) -> String {
    format!("{CLUSTER}-vm{n:04}")
}

/// What a roll of the hosts of a plan is answered with where there is none, and what is proven to stand in its way.
fn no_roll(patches: &Plan, read: &ClusterRead) -> Result<(String, Option<Certificate>)> {
    let mut said = String::new();
    for pinned in &read.pinned {
        said.push_str(&format!(
            "{}: stays on {}: {}\n",
            pinned.vm, pinned.host, pinned.why
        ));
    }
    let hosts = read.cluster.clone().for_plan(patches);
    match plan(&hosts, &Wish::new(Objective::Knee), &|| false)? {
        Answer::Infeasible(why) => {
            said.push_str(&format!("no roll patches every host: {why}\n"));
            Ok((said, Some(why.certificate)))
        }
        _ => Ok((said + "(it was planned)\n", None)),
    }
}

fn server(error: std::io::Error) -> Error {
    io("use the server that stands for a vCenter", error)
}
