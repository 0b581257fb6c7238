//! Hosts, and the image that they are to run, as they are now.

use std::collections::{BTreeMap, BTreeSet};

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    id::{ComponentId, Version},
    provider::{DeployRequest, PortRequest},
};

use crate::{
    client::{
        Found, Of,
        soap::{Broken, Element, Fault, MoRef},
        unreadable,
    },
    drainer::VsphereCluster,
    inventory::is_agent,
    vlcm::{ApiTask, Checked, Compliance, HostCompliance, Image, Policies, Standing, of_host},
};

/// A host.
#[derive(Debug, Clone)]
pub(crate) struct HostNow {
    pub(crate) object: MoRef,
    pub(crate) connected: bool,
    pub(crate) maintenance: bool,
    /// What it runs; none where the vCenter does not say.
    pub(crate) version: Option<Version>,
    /// When it began, in the vCenter's words: another one after each restart.
    pub(crate) boot: Option<String>,
    pub(crate) wants_restart: Option<bool>,
    pub(crate) uuid: Option<String>,
    /// Machines that run on it, without those that the vCenter places itself.
    pub(crate) running: Vec<String>,
}

/// What the vCenter says of the cluster's image.
#[derive(Debug, Clone)]
pub(crate) struct ImageNow {
    pub(crate) image: Image,
    pub(crate) compliance: Compliance,
    /// What was found when hosts were checked last; none where nobody ever had them checked, and where it was not read.
    pub(crate) checked: Option<Checked>,
}

/// Everything that a request is decided from.
#[derive(Debug)]
pub(crate) struct Look {
    /// The vCenter's clock.
    pub(crate) at: Timestamp,
    pub(crate) hosts: BTreeMap<ComponentId, Result<HostNow>>,
    /// None where the cluster is not managed by an image.
    pub(crate) image: Option<ImageNow>,
    pub(crate) policies: Option<Policies>,
    pub(crate) tasks: Vec<ApiTask>,
}

impl Look {
    pub(crate) fn compliance(&self, host: &HostNow) -> Option<&HostCompliance> {
        self.image.as_ref()?.compliance.hosts.get(&*host.object.id)
    }
}

const HOST: &[&str] = &[
    "name",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "runtime.bootTime",
    "summary.rebootRequired",
    "summary.hardware.uuid",
    "config.product.version",
    "config.product.build",
];

const ON_HOST: &[&str] = &[
    "name",
    "runtime.host",
    "runtime.powerState",
    "config.managedBy.extensionKey",
];

impl VsphereCluster {
    /// Reads what a request is about.
    pub(crate) async fn look_at(&self, request: &DeployRequest) -> Result<Look> {
        let (seen, at) = self.hosts_now(&request.subjects(), true).await?;
        let applies = matches!(request, DeployRequest::Apply { .. });
        let (vcenter, object) = (&self.inner.vcenter, &self.inner.object);
        let image = self.image_now().await?;
        let tasks = match image {
            None => Vec::new(),
            Some(_) => vcenter.api_tasks(object).await?,
        };
        // Nothing else drains or restarts hosts.
        let policies = match image.is_some() && applies {
            false => None,
            true => Some(vcenter.policies(object).await?),
        };
        Ok(Look {
            at,
            hosts: seen,
            image,
            policies,
            tasks,
        })
    }

    /// The image, and how the hosts compared to it last; none where the cluster is not managed by one.
    pub(crate) async fn image_now(&self) -> Result<Option<ImageNow>> {
        let (vcenter, object) = (&self.inner.vcenter, &self.inner.object);
        let Some(image) = vcenter.image(object).await? else {
            return Ok(None);
        };
        Ok(Some(ImageNow {
            image,
            compliance: vcenter.compliance(object).await?,
            checked: None,
        }))
    }

    /// The same for a scan of these hosts. Where each runs the image that it was compared to last, the comparison tells
    /// all that there is to tell of them, and what somebody committed since is for the next plan.
    pub(crate) async fn image_for_scan(
        &self,
        hosts: &BTreeMap<ComponentId, Result<HostNow>>,
    ) -> Result<Option<ImageNow>> {
        let vcenter = &self.inner.vcenter;
        let compliance = match vcenter.compliance(&self.inner.object).await {
            Ok(compliance) => compliance,
            // It has no image.
            Err(error) if error.kind() == ErrorKind::NotFound => return self.image_now().await,
            Err(error) => return Err(error),
        };
        let image = match runs_what_it_was_compared_to(hosts, &compliance) {
            Some(version) => Some(Image { version }),
            None => vcenter.image(&self.inner.object).await?,
        };
        let now = image.map(|image| ImageNow {
            image,
            compliance,
            checked: None,
        });
        self.with_last_check(now, hosts).await
    }

    /// The same, with what was found when hosts were checked last, where one of these runs something else.
    pub(crate) async fn with_last_check(
        &self,
        mut image: Option<ImageNow>,
        hosts: &BTreeMap<ComponentId, Result<HostNow>>,
    ) -> Result<Option<ImageNow>> {
        if let Some(now) = &mut image {
            let mut hosts = hosts.values().flatten();
            if hosts.any(|host| host.version.as_ref() != Some(&now.image.version)) {
                now.checked = self.inner.vcenter.last_checked(&self.inner.object).await?;
            }
        }
        Ok(image)
    }

    /// Hosts as they are now, in one call, and the vCenter's clock; with the machines on them where that is asked.
    pub(crate) async fn hosts_now(
        &self,
        hosts: &BTreeSet<ComponentId>,
        machines: bool,
    ) -> Result<(BTreeMap<ComponentId, Result<HostNow>>, Timestamp)> {
        let mut seen = BTreeMap::new();
        let mut objects = Vec::new();
        for host in hosts {
            match self.host_object(host).await {
                Ok(object) => objects.push((host.clone(), object)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    seen.insert(host.clone(), Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        // Whoever asks for nobody still gets the clock.
        let clock = Of::object(&self.inner.object, &["name"]);
        let of = objects.iter().map(|(_, object)| {
            let of = Of::object(object, HOST);
            match machines {
                true => of.and_each("vm", "VirtualMachine", ON_HOST),
                false => of,
            }
        });
        let of: Vec<Of<'_>> = std::iter::once(clock).chain(of).collect();
        let (found, at) = self.inner.vcenter.dated_read(&of).await?;
        let found = found.map_err(|fault: Fault| fault.into_error(&self.inner.cluster.name))?;
        let at = at.ok_or_else(crate::drainer::no_date)?;
        for (host, object) in objects {
            let now = host_now(&found, &object)
                .map_err(|broken| unreadable(&format!("the host {host}"), broken));
            seen.insert(host, now);
        }
        Ok((seen, at))
    }

    /// The object of a host; a machine of the cluster is none.
    pub(crate) async fn host_object(&self, host: &ComponentId) -> Result<MoRef> {
        let object = self.object_of(host).await?;
        if &*object.kind == "HostSystem" {
            return Ok(object);
        }
        Err(Error::new(
            ErrorKind::NotFound,
            format!("{host} is no host of the cluster"),
        )
        .hint("discover again"))
    }
}

/// The version that all of these hosts run, where each was found compliant with it.
fn runs_what_it_was_compared_to(
    hosts: &BTreeMap<ComponentId, Result<HostNow>>,
    compliance: &Compliance,
) -> Option<Version> {
    let mut all = hosts.values().map(|host| {
        let host = host.as_ref().ok()?;
        let compared = compliance.hosts.get(&*host.object.id)?;
        let runs = host.version.as_ref()?;
        let is = compared.standing == Standing::Compliant && compared.target == *runs;
        is.then(|| runs.clone())
    });
    let first = all.next()??;
    all.all(|version| version.as_ref() == Some(&first))
        .then_some(first)
}

fn host_now(found: &[Found], host: &MoRef) -> Result<HostNow, Broken> {
    let missing = || Broken::Missing {
        inside: "the answer".to_owned(),
        name: host.to_string(),
    };
    let itself = found
        .iter()
        .find(|f| f.object == *host)
        .ok_or_else(missing)?;
    let truth = |path: &str| itself.get(path).map(Element::truth).transpose();
    let text = |path: &str| itself.text(path).filter(|text| !text.is_empty());
    let on_it = |f: &&Found| {
        f.get("runtime.host").is_some_and(|at| *at.text == *host.id)
            // What nobody says is off counts as running.
            && !matches!(f.text("runtime.powerState"), Some("poweredOff" | "suspended"))
            && !is_agent(f.text("config.managedBy.extensionKey"))
    };
    let version = text("config.product.version").zip(text("config.product.build"));
    Ok(HostNow {
        object: host.clone(),
        connected: text("runtime.connectionState") == Some("connected"),
        maintenance: truth("runtime.inMaintenanceMode")?.unwrap_or(false),
        version: version.map(|(release, build)| of_host(release, build)),
        boot: text("runtime.bootTime").map(str::to_owned),
        wants_restart: truth("summary.rebootRequired")?,
        uuid: text("summary.hardware.uuid").map(str::to_owned),
        running: found
            .iter()
            .filter(on_it)
            .map(|f| f.text("name").unwrap_or(&f.object.id).to_owned())
            .collect(),
    })
}
