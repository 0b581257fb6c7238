//! What a host runs, what the image has for it, and what stands against that: decided from what was read.

use std::{collections::BTreeMap, time::Duration};

use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    estate::{Available, Estimate, Patch, PatchClass, Pin, Scan, Unhealthy, WayBack},
    id::ComponentId,
};

use super::{
    check::refusals,
    now::{HostNow, ImageNow},
};
use crate::vlcm::{PATCH, Standing};

/// That there is no image to patch a host by.
pub(crate) fn no_image(cluster: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{cluster} is not managed by an image"),
    )
    .hint("set up an image for the cluster in the vSphere client; baselines are not supported")
}

/// How long a host is gone for its image, until this estate's own runs say better.
const TAKES: Estimate = Estimate::new(Duration::from_secs(1200), Duration::from_secs(2400));

/// Why there is no way back: vLCM has none but another image.
pub(crate) const NO_WAY_BACK: &str =
    "vLCM has no way back: commit the earlier image, and roll the cluster again";

/// What is to be done where what is known of the image is not of now.
pub(super) const ANEW: &str = "have the cluster's compliance checked (the deployer's refresh, or in the vSphere client), and plan again";

/// What was read of a host.
pub(crate) fn scan(
    id: &ComponentId,
    host: &HostNow,
    image: Option<&ImageNow>,
    at: Timestamp,
) -> Result<Scan> {
    let version = host.version.clone().ok_or_else(|| {
        Error::new(
            ErrorKind::Unreachable,
            format!("the vCenter does not say what {id} runs"),
        )
        .hint("look at the host: it may never have been connected")
        .retryable(None)
    })?;
    let mut scan = Scan::new(at, BTreeMap::from([(PATCH.into(), version)]));
    scan.boot_id.clone_from(&host.boot);
    scan.reboot_wanted = host.wants_restart.map(|wants| match wants {
        true => vec!["vCenter says that the host must be restarted".to_owned()],
        false => Vec::new(),
    });
    scan.running_old = Some(Vec::new());
    scan.way_back = Some(WayBack::None {
        why: NO_WAY_BACK.to_owned(),
    });
    scan.takes = Some(TAKES);
    // It is part of the above: vLCM restarts the host itself.
    scan.restart_takes = Some(Estimate::new(Duration::ZERO, Duration::ZERO));
    scan.unhealthy = in_the_way(host, image);
    // Without an image nobody knows what is to be had, which is said by who is asked for it.
    scan.available = image.map(|image| offer(host, image, at));
    Ok(scan)
}

/// What the image has for a host.
pub(crate) fn offer(host: &HostNow, now: &ImageNow, at: Timestamp) -> Available {
    let mut available = Available::nothing(at);
    available.catalogue_as_of = Some(now.compliance.at);
    if host.version.as_ref() == Some(&now.image.version) {
        return available;
    }
    let compliance = now.compliance.hosts.get(&*host.object.id);
    let mut patch = Patch::new(
        PATCH,
        host.version.clone(),
        now.image.version.clone(),
        // vLCM does not say what an image is for.
        PatchClass::Other,
    )
    .with_pin(Pin::Version);
    patch.impact = compliance
        .filter(|c| c.target == now.image.version)
        .and_then(|c| c.impact);
    available.patches.push(patch);
    available
}

/// Everything that keeps the image from a host, told before it is planned and so before anything leaves it.
fn in_the_way(host: &HostNow, image: Option<&ImageNow>) -> Vec<Unhealthy> {
    let mut all = compared(host, image);
    if let Some(now) = image
        && all.is_empty()
        && host.version.as_ref() != Some(&now.image.version)
    {
        all = refusals(now, &host.object.id);
    }
    all
}

/// What its last comparison with the image says against it.
pub(super) fn compared(host: &HostNow, image: Option<&ImageNow>) -> Vec<Unhealthy> {
    let fault = |what: String, remedy: &str| Unhealthy {
        what,
        remedy: remedy.to_owned(),
    };
    let mut all = Vec::new();
    if !host.connected {
        all.push(fault(
            "vCenter has no connection to it".to_owned(),
            "look at the host",
        ));
    }
    let Some(now) = image else {
        return all;
    };
    match now.compliance.hosts.get(&*host.object.id) {
        None => all.push(fault(
            "vLCM never compared it to the image".to_owned(),
            ANEW,
        )),
        Some(c) if c.target != now.image.version => all.push(fault(
            format!(
                "vLCM compared it to {} last, and the image is {} by now",
                c.target, now.image.version
            ),
            ANEW,
        )),
        Some(c) if c.standing == Standing::Incompatible => {
            let why = match c.faults.is_empty() {
                true => "it gives no reason".to_owned(),
                false => c.faults.join("; "),
            };
            all.push(fault(
                format!("vLCM calls it incompatible with the image: {why}"),
                "change the image or the host, and have the cluster's compliance checked",
            ));
        }
        Some(c) if c.standing == Standing::Unavailable => {
            all.push(fault(
                "vLCM could not compare it to the image".to_owned(),
                ANEW,
            ));
        }
        Some(_) => {}
    }
    all
}
