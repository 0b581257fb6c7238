//! The ways by which hosts reach their storage.
//!
//! Types and words: *HostMultipathInfo*, *HostMultipathInfoPath*, *HostTargetTransport*, *HostHostBusAdapter* and *ScsiLun* in
//! the vSphere Web Services API reference.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use patchcore::{
    Error, ErrorKind, Result, Timestamp,
    id::ComponentId,
    provider::{HostPaths, OpContext, PathState, PathView, PerComponent, StoragePath, TargetPort},
};

use crate::{
    client::{
        Found, Of,
        soap::{Element, Fault},
    },
    drainer::VsphereCluster,
};

/// Where a host tells its paths.
pub(crate) const UNITS: &str = "config.storageDevice.multipathInfo.lun";

const ADAPTERS: &str = "config.storageDevice.hostBusAdapter";
const DEVICES: &str = "config.storageDevice.scsiLun";

#[async_trait]
impl PathView for VsphereCluster {
    async fn paths(
        &self,
        ctx: &OpContext,
        hosts: &[ComponentId],
    ) -> Result<PerComponent<HostPaths>> {
        ctx.check()?;
        let mut answers = PerComponent::new();
        let mut objects = Vec::new();
        for host in hosts {
            match self.host_object(host).await {
                Ok(object) => objects.push((host, object)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    answers.insert(host.clone(), Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        if objects.is_empty() {
            return Ok(answers);
        }
        let of = objects.iter();
        let of: Vec<Of<'_>> = of
            .map(|(_, object)| Of::object(object, &[UNITS, ADAPTERS, DEVICES]))
            .collect();
        let found = self.inner.vcenter.try_read(&of).await?;
        let found = found.map_err(|fault: Fault| fault.into_error("the paths of hosts"))?;
        for (host, object) in &objects {
            let of_host = found.iter().find(|found| found.object == *object);
            let paths = of_host.and_then(|found| of_found(found, ctx.now()));
            let paths = paths.ok_or_else(|| {
                Error::new(
                    ErrorKind::Unreachable,
                    format!("the vCenter does not say by which paths {host} reaches its storage"),
                )
                .operation("paths")
                .hint("look whether the host is connected")
                .retryable(None)
            });
            answers.insert((*host).clone(), paths);
        }
        Ok(answers)
    }
}

/// What a host tells of its paths; none where it tells nothing. Adapters and devices have the vCenter's keys where their names
/// were not read.
pub(crate) fn of_found(found: &Found, as_of: Timestamp) -> Option<HostPaths> {
    let units = found.get(UNITS)?;
    let names = |list: &str, name: &str| -> HashMap<String, String> {
        let all = found.get(list).into_iter().flat_map(|list| &list.children);
        let named = all.filter_map(|one| Some((one.text_of("key")?, one.text_of(name)?)));
        named
            .map(|(key, name)| (key.to_owned(), name.to_owned()))
            .collect()
    };
    let (adapters, devices) = (names(ADAPTERS, "device"), names(DEVICES, "canonicalName"));
    let named = |names: &HashMap<String, String>, key: &str| {
        names.get(key).cloned().unwrap_or_else(|| key.to_owned())
    };
    let mut all: BTreeMap<String, Vec<StoragePath>> = BTreeMap::new();
    for unit in &units.children {
        let key = unit.text_of("lun").or_else(|| unit.text_of("key"));
        let paths = all.entry(named(&devices, key.unwrap_or_default()));
        let paths = paths.or_default();
        for path in unit.all("path") {
            // `state` is the newer word, and newer servers send both.
            let state = path.text_of("state").or_else(|| path.text_of("pathState"));
            let name = path.text_of("name").unwrap_or("a path of no name");
            let mut told = StoragePath::new(name, of_word(state));
            told.adapter = path.text_of("adapter").map(|key| named(&adapters, key));
            told.target = path.child("transport").and_then(target);
            paths.push(told);
        }
    }
    Some(HostPaths::new(as_of, all))
}

/// *MultipathState*.
fn of_word(state: Option<&str>) -> PathState {
    match state {
        Some("active") => PathState::Active,
        Some("standby") => PathState::Standby,
        Some("disabled" | "off" | "dead") => PathState::Down,
        _ => PathState::Unknown,
    }
}

/// The other end of a path; none for a disk in the host itself, and where the network has no such name.
fn target(transport: &Element) -> Option<TargetPort> {
    if let Some(port) = transport.text_of("portWorldWideName") {
        let node = transport.text_of("nodeWorldWideName").map(wwn);
        return Some(TargetPort::new(wwn(port), node));
    }
    let name = transport
        .text_of("iScsiName")
        .or_else(|| transport.text_of("nqn"))?;
    // One name may be reached at several addresses, each of which is a port.
    let addresses: Vec<&str> = transport.all("address").map(|at| &*at.text).collect();
    Some(match addresses.is_empty() {
        true => TargetPort::new(name, None),
        false => TargetPort::new(addresses.join(" "), Some(name.to_owned())),
    })
}

/// A world wide name as people read it. It comes as a signed number of 64 bits.
fn wwn(number: &str) -> String {
    match number.parse::<i64>() {
        Ok(number) => number
            .to_be_bytes()
            .map(|byte| format!("{byte:02x}"))
            .join(":"),
        Err(_) => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn world_wide_names_are_read_as_people_write_them() {
        for (number, name) in [
            ("5764855737784205570", "50:00:e1:c0:00:00:01:02"),
            ("-1", "ff:ff:ff:ff:ff:ff:ff:ff"),
            ("50:06:01:60", "50:06:01:60"),
        ] {
            assert_eq!(wwn(number), name, "{number}");
        }
    }

    #[test]
    fn words_of_states() {
        for (word, state, carries) in [
            (Some("active"), PathState::Active, true),
            (Some("standby"), PathState::Standby, true),
            (Some("disabled"), PathState::Down, false),
            (Some("dead"), PathState::Down, false),
            (Some("unknown"), PathState::Unknown, false),
            (None, PathState::Unknown, false),
        ] {
            assert_eq!(of_word(word), state, "{word:?}");
            assert_eq!(state.carries(), carries, "{word:?}");
        }
    }
}
