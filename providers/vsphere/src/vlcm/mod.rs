//! vSphere Lifecycle Manager: the image that a cluster is to run, how its hosts compare to it, and its operations.
//!
//! Paths, fields and words: vSphere Automation API, `esx/settings/clusters`, as published for 9.1.

mod check;
mod task;
mod version;

use std::collections::BTreeMap;

use patchcore::{Result, Timestamp, estate::Impact, id::Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::{
    check::{Checked, Refusal, Verdict, Word, check},
    task::{ApiTask, TaskEnd},
    version::{of_base_image, of_host},
};
use crate::client::{Rest, VCenter, soap::MoRef, typed};

/// The patch that an image is for a host: its base image.
pub(crate) const PATCH: &str = "esxi";

const SERVICE: &str = "com.vmware.esx.settings.clusters.software";

/// What a cluster is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// As a host that runs it says it, such as `8.0.3-24280767`.
    pub(crate) version: Version,
}

/// How the hosts of a cluster compared to its image when that was looked at last.
#[derive(Debug, Clone)]
pub(crate) struct Compliance {
    /// Of which state of the image; a later one may be there by now.
    pub(crate) commit: Option<String>,
    pub(crate) at: Timestamp,
    /// By what the vCenter calls them.
    pub(crate) hosts: BTreeMap<String, HostCompliance>,
}

/// How one host compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostCompliance {
    pub(crate) standing: Standing,
    /// What putting it in takes; none where the vCenter does not know.
    pub(crate) impact: Option<Impact>,
    /// The base image that it was compared to, as a host says it.
    pub(crate) target: Version,
    pub(crate) staged: bool,
    /// What stands against it, in the vCenter's words.
    pub(crate) faults: Vec<String>,
}

/// `ComplianceStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Compliant,
    NonCompliant,
    Incompatible,
    /// Also for words that are not known: nobody can say.
    Unavailable,
}

/// What vLCM does by itself around a host, `policies/apply/effective`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policies {
    /// `FAIL` or `RETRY`.
    pub(crate) on_failure: String,
    /// What it does with running machines: `DO_NOT_CHANGE_VMS_POWER_STATE` leaves them alone.
    pub(crate) power_action: String,
    pub(crate) quick_boot: bool,
    /// It moves machines that are off, too.
    pub(crate) moves_offline: bool,
    /// It takes HA's admission control off and puts it back.
    pub(crate) holds_admission: bool,
}

#[derive(Deserialize)]
struct EnablementBody {
    enabled: bool,
}

#[derive(Deserialize)]
struct SoftwareBody {
    base_image: BaseImageBody,
}

#[derive(Deserialize)]
struct BaseImageBody {
    version: String,
}

#[derive(Deserialize)]
struct ComplianceBody {
    scan_time: Timestamp,
    commit: Option<String>,
    hosts: BTreeMap<String, HostBody>,
}

#[derive(Deserialize)]
struct HostBody {
    status: String,
    impact: String,
    stage_status: Option<String>,
    base_image: HostImageBody,
    #[serde(default)]
    notifications: Notifications,
}

#[derive(Deserialize)]
struct HostImageBody {
    target: BaseImageBody,
}

/// What vLCM tells about a host or an operation.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Notifications {
    #[serde(default)]
    errors: Option<Vec<Notification>>,
}

#[derive(Debug, Deserialize)]
struct Notification {
    message: Message,
}

#[derive(Debug, Deserialize)]
struct Message {
    default_message: String,
}

impl Notifications {
    pub(super) fn errors(self) -> Vec<String> {
        let errors = self.errors.unwrap_or_default().into_iter();
        errors.map(|n| n.message.default_message).collect()
    }
}

#[derive(Deserialize)]
struct PoliciesBody {
    failure_action: FailureBody,
    pre_remediation_power_action: String,
    enable_quick_boot: bool,
    evacuate_offline_vms: bool,
    disable_hac: bool,
}

#[derive(Deserialize)]
struct FailureBody {
    action: String,
}

fn below(cluster: &MoRef, path: &[&str]) -> Vec<String> {
    let base = ["esx", "settings", "clusters", &*cluster.id];
    base.iter()
        .chain(path)
        .map(|&part| part.to_owned())
        .collect()
}

impl VCenter {
    /// Whether a cluster is managed by an image.
    async fn is_image_managed(&self, cluster: &MoRef) -> Result<bool> {
        let call = Rest::get(below(cluster, &["enablement", "software"]));
        Ok(self.rest::<EnablementBody>(&call).await?.enabled)
    }

    /// What a cluster is to run; none where it is not managed by an image.
    pub(crate) async fn image(&self, cluster: &MoRef) -> Result<Option<Image>> {
        let call = Rest::get(below(cluster, &["software"]));
        match self.try_rest(&call).await? {
            Ok(body) => Image::of(typed::<SoftwareBody>(&call.named(), body)?).map(Some),
            Err(fault) if fault.kind == "NOT_FOUND" && !self.is_image_managed(cluster).await? => {
                Ok(None)
            }
            Err(fault) => Err(fault.into_error(&call.named())),
        }
    }

    /// How its hosts compared to it when that was looked at last. Asks nobody to look.
    pub(crate) async fn compliance(&self, cluster: &MoRef) -> Result<Compliance> {
        let call = Rest::get(below(cluster, &["software", "compliance"]));
        Compliance::of(self.rest(&call).await?)
    }

    /// What vLCM does by itself around a host.
    pub(crate) async fn policies(&self, cluster: &MoRef) -> Result<Policies> {
        let call = Rest::get(below(cluster, &["policies", "apply", "effective"]));
        Ok(Policies::of(self.rest(&call).await?))
    }
}

impl Image {
    fn of(body: SoftwareBody) -> Result<Self> {
        Ok(Self {
            version: of_base_image(&body.base_image.version)?,
        })
    }
}

impl Compliance {
    fn of(body: ComplianceBody) -> Result<Self> {
        let hosts = body.hosts.into_iter().map(|(host, body)| {
            Ok((
                host,
                HostCompliance {
                    standing: standing(&body.status),
                    impact: impact(&body.impact),
                    target: of_base_image(&body.base_image.target.version)?,
                    staged: body.stage_status.as_deref() == Some("STAGED"),
                    faults: body.notifications.errors(),
                },
            ))
        });
        Ok(Self {
            commit: body.commit,
            at: body.scan_time,
            hosts: hosts.collect::<Result<_>>()?,
        })
    }
}

impl Policies {
    fn of(body: PoliciesBody) -> Self {
        Self {
            on_failure: body.failure_action.action,
            power_action: body.pre_remediation_power_action,
            quick_boot: body.enable_quick_boot,
            moves_offline: body.evacuate_offline_vms,
            holds_admission: body.disable_hac,
        }
    }
}

/// What is read of one body, as everything that a body may be.
#[derive(Debug, Default)]
pub(crate) struct AnyBody {
    /// As how many of them it was taken.
    pub(crate) kinds: usize,
    /// How many hosts it names.
    pub(crate) hosts: usize,
    pub(crate) percent: Option<u8>,
    /// All of it in words.
    pub(crate) said: String,
}

impl AnyBody {
    pub(crate) fn of(body: &Value) -> Self {
        let mut read = Self::default();
        let what = "an answer";
        let mut take = |said: Option<String>| {
            read.kinds += usize::from(said.is_some());
            read.said.push_str(&said.unwrap_or_default());
        };
        let enabled = typed::<EnablementBody>(what, body.clone()).ok();
        take(enabled.map(|body| body.enabled.to_string()));
        let image = typed(what, body.clone()).and_then(Image::of).ok();
        take(image.map(|image| format!("{image:?}")));
        let policies = typed(what, body.clone()).map(Policies::of).ok();
        take(policies.map(|policies| format!("{policies:?}")));
        let compliance = typed(what, body.clone()).and_then(Compliance::of).ok();
        take(
            compliance
                .as_ref()
                .map(|compliance| format!("{compliance:?}")),
        );
        let checked = Checked::of(body.clone()).ok();
        take(checked.as_ref().map(|checked| format!("{checked:?}")));
        let checked = checked.map_or(0, |checked| checked.hosts.len());
        let task = ApiTask::of("t", body.clone()).ok();
        take(task.as_ref().map(|task| format!("{task:?}")));
        read.percent = task.as_ref().and_then(|task| task.percent);
        let of_task = task
            .and_then(|task| task.hosts)
            .map_or(0, |hosts| hosts.len());
        read.hosts = compliance.map_or(0, |c| c.hosts.len());
        read.hosts = read.hosts.max(of_task).max(checked);
        read
    }
}

/// The call that has hosts compared to the image.
pub(crate) fn scan(cluster: &MoRef) -> Rest {
    Rest::task(below(cluster, &["software"]), "scan", None)
}

/// The call that brings the image to hosts, without putting it in.
pub(crate) fn stage(cluster: &MoRef, commit: &str, hosts: &[&str]) -> Rest {
    let spec = json!({"commit": commit, "hosts": hosts});
    Rest::task(below(cluster, &["software"]), "stage", Some(spec))
}

/// The call that puts the image in. The commit is the least that is taken: a later one silently wins.
pub(crate) fn apply(cluster: &MoRef, commit: &str, hosts: &[&str]) -> Rest {
    let spec: Value = json!({"commit": commit, "hosts": hosts, "accept_eula": true});
    Rest::task(below(cluster, &["software"]), "apply", Some(spec))
}

fn standing(word: &str) -> Standing {
    match word {
        "COMPLIANT" => Standing::Compliant,
        "NON_COMPLIANT" => Standing::NonCompliant,
        "INCOMPATIBLE" => Standing::Incompatible,
        _ => Standing::Unavailable,
    }
}

/// `ComplianceImpact`.
fn impact(word: &str) -> Option<Impact> {
    match word {
        "NO_IMPACT" => Some(Impact::None),
        "PARTIAL_MAINTENANCE_MODE_REQUIRED" => Some(Impact::PartialMaintenance),
        // All its machines leave, and it is not restarted.
        "MAINTENANCE_MODE_REQUIRED" => Some(Impact::ServiceRestart),
        "REBOOT_REQUIRED" => Some(Impact::Reboot),
        _ => None,
    }
}
