//! The ways by which hosts reach their storage.

use std::{collections::BTreeMap, fmt::Debug};

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OpContext, PerComponent};
use crate::{error::Result, id::ComponentId};

/// Reads a host's storage paths by controller and fabric: what must be whole before a part of the storage, or of the way
/// to it, is taken away, and whole again after it.
///
/// # Contract
/// - Reads the target, changes nothing, and leaves out no path, whatever its state.
/// - One answer per host asked. A host whose paths are not known is an error of its own, never a host without paths.
///
/// No suite of `patchcore-testkit` checks it before two unlike providers offer it.
#[async_trait]
pub trait PathView: Debug + Send + Sync + 'static {
    /// The paths of each of these hosts as they are now.
    ///
    /// # Errors
    /// For the whole call only; what concerns one host stands in its answer.
    async fn paths(
        &self,
        ctx: &OpContext,
        hosts: &[ComponentId],
    ) -> Result<PerComponent<HostPaths>>;
}

/// How a path stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PathState {
    /// It carries, or may at any moment.
    Active,
    /// It takes over when no active one is left.
    Standby,
    /// It carries nothing: it is dead, or a person switched it off.
    Down,
    /// Nobody says.
    Unknown,
}

impl PathState {
    /// Whether the device is reached by it, now or when the others fail. What nobody says does not count.
    #[must_use]
    pub const fn carries(self) -> bool {
        matches!(self, Self::Active | Self::Standby)
    }
}

/// The end of a path at the storage.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[non_exhaustive]
pub struct TargetPort {
    /// Its name in the network of the storage: a WWPN such as `50:06:01:60:3b:20:11:42`, or an IQN. Which controller it
    /// belongs to only the storage knows.
    pub port: String,
    /// The node that it is a port of, where the network names one: a WWNN. Some arrays have one for all controllers.
    pub node: Option<String>,
}

impl TargetPort {
    /// A port of a node.
    pub fn new(port: impl Into<String>, node: Option<String>) -> Self {
        let port = port.into();
        Self { port, node }
    }
}

/// One way from a host to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct StoragePath {
    /// Its name on the host, such as `vmhba2:C0:T0:L5`.
    pub name: String,
    /// The host's own end. Where each adapter is cabled to a fabric of its own, it stands for the fabric.
    pub adapter: Option<String>,
    /// The other end; none of a disk in the host itself.
    pub target: Option<TargetPort>,
    /// How it stands.
    pub state: PathState,
}

impl StoragePath {
    /// A path of which only its name and state are known.
    pub fn new(name: impl Into<String>, state: PathState) -> Self {
        Self {
            name: name.into(),
            adapter: None,
            target: None,
            state,
        }
    }
}

/// The paths of one host, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct HostPaths {
    /// When they were read.
    pub as_of: Timestamp,
    /// By device, such as `naa.600601603b201142`, its paths in the order of their names.
    pub devices: BTreeMap<String, Vec<StoragePath>>,
}

/// A path that carried once and does not any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct LostPath {
    /// The device that was reached by it.
    pub device: String,
    /// Its name.
    pub path: String,
    /// How it stands now; none where the host does not show it any more.
    pub now: Option<PathState>,
}

/// A device that is lost with one part of the way to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Hanging {
    /// The device.
    pub device: String,
    /// The part; none where no path carries, or where nobody knows what its paths go through.
    pub part: Option<String>,
}

impl HostPaths {
    /// The paths by device, each in the order of their names.
    #[must_use]
    pub fn new(as_of: Timestamp, mut devices: BTreeMap<String, Vec<StoragePath>>) -> Self {
        for paths in devices.values_mut() {
            paths.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Self { as_of, devices }
    }

    /// What carried before and does not now: empty when a host has come back with all that it had.
    #[must_use]
    pub fn lost_since(&self, before: &Self) -> Vec<LostPath> {
        let mut lost = Vec::new();
        for (device, paths) in &before.devices {
            let now = self.devices.get(device);
            for path in paths.iter().filter(|path| path.state.carries()) {
                let now = now.and_then(|paths| paths.iter().find(|now| now.name == path.name));
                let now = now.map(|path| path.state);
                if !now.is_some_and(PathState::carries) {
                    lost.push(LostPath {
                        device: device.clone(),
                        path: path.name.clone(),
                        now,
                    });
                }
            }
        }
        lost
    }

    /// Devices outside the host that are lost when one part of the way to them is taken away; `part` says what a path goes
    /// through, such as its adapter, its fabric, or the controller behind its target port.
    ///
    /// Counting paths is not enough: two that end at one controller are lost together. A path of which `part` knows nothing
    /// may go through the same as any other, and does not make a device safe.
    #[must_use]
    pub fn hanging_on(&self, part: impl Fn(&StoragePath) -> Option<String>) -> Vec<Hanging> {
        let mut all = Vec::new();
        for (device, paths) in &self.devices {
            if paths.iter().all(|path| path.target.is_none()) {
                continue;
            }
            let carrying = paths.iter().filter(|path| path.state.carries());
            let mut known: Vec<String> = carrying.filter_map(&part).collect();
            known.dedup();
            if known.len() < 2 {
                all.push(Hanging {
                    device: device.clone(),
                    part: known.pop(),
                });
            }
        }
        all
    }

    /// [`hanging_on`](Self::hanging_on) one adapter of the host.
    #[must_use]
    pub fn hanging_on_an_adapter(&self) -> Vec<Hanging> {
        self.hanging_on(|path| path.adapter.clone())
    }

    /// [`hanging_on`](Self::hanging_on) one port of the storage: less than what a controller takes with it.
    #[must_use]
    pub fn hanging_on_a_port(&self) -> Vec<Hanging> {
        self.hanging_on(|path| Some(path.target.as_ref()?.port.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path by its name, its adapter, its port and its state.
    fn path(name: &str, adapter: &str, port: &str, state: PathState) -> StoragePath {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        StoragePath {
            adapter: some(adapter),
            target: some(port).map(|port| TargetPort::new(port, None)),
            ..StoragePath::new(name, state)
        }
    }

    fn host(devices: &[(&str, &[StoragePath])]) -> HostPaths {
        let devices = devices.iter();
        let devices = devices.map(|(device, paths)| ((*device).to_owned(), paths.to_vec()));
        HostPaths::new(Timestamp::UNIX_EPOCH, devices.collect())
    }

    fn parts(hanging: &[Hanging]) -> Vec<(&str, Option<&str>)> {
        hanging
            .iter()
            .map(|one| (&*one.device, one.part.as_deref()))
            .collect()
    }

    #[test]
    fn a_device_hangs_on_what_all_its_paths_go_through() {
        use PathState::{Active, Down, Standby, Unknown};
        let seen = host(&[
            ("local", &[path("a", "h0", "", Active)]),
            (
                "safe",
                &[
                    path("a", "h1", "p1", Active),
                    path("b", "h2", "p2", Standby),
                ],
            ),
            // Both ports are of the first controller.
            (
                "controller",
                &[path("a", "h1", "p1", Active), path("b", "h2", "p3", Active)],
            ),
            (
                "adapter",
                &[path("a", "h1", "p1", Active), path("b", "h1", "p2", Active)],
            ),
            (
                "down",
                &[path("a", "h1", "p1", Active), path("b", "h2", "p2", Down)],
            ),
            ("lost", &[path("a", "h1", "p1", Unknown)]),
            (
                "unknown",
                &[path("a", "", "p1", Active), path("b", "h2", "p9", Active)],
            ),
        ]);
        assert_eq!(
            parts(&seen.hanging_on_an_adapter()),
            [
                ("adapter", Some("h1")),
                ("down", Some("h1")),
                ("lost", None),
                ("unknown", Some("h2"))
            ]
        );
        assert_eq!(
            parts(&seen.hanging_on_a_port()),
            [("down", Some("p1")), ("lost", None)]
        );
        let controller = |path: &StoragePath| match &*path.target.as_ref()?.port {
            "p1" | "p3" => Some("first".to_owned()),
            "p2" => Some("second".to_owned()),
            _ => None,
        };
        assert_eq!(
            parts(&seen.hanging_on(controller)),
            [
                ("controller", Some("first")),
                ("down", Some("first")),
                ("lost", None),
                ("unknown", Some("first"))
            ]
        );
    }

    #[test]
    fn what_carried_before_is_missed() {
        use PathState::{Active, Down, Standby};
        let before = host(&[
            (
                "one",
                &[
                    path("a", "h1", "p1", Active),
                    path("b", "h2", "p2", Standby),
                    path("c", "h2", "p3", Down),
                ],
            ),
            ("two", &[path("d", "h1", "p1", Active)]),
        ]);
        assert_eq!(before.lost_since(&before), []);
        let after = host(&[(
            "one",
            &[path("a", "h1", "p1", Standby), path("b", "h2", "p2", Down)],
        )]);
        let lost = after.lost_since(&before);
        let told: Vec<_> = lost
            .iter()
            .map(|lost| (&*lost.device, &*lost.path, lost.now))
            .collect();
        assert_eq!(told, [("one", "b", Some(Down)), ("two", "d", None)]);
        // More than before is no loss.
        assert_eq!(before.lost_since(&after), []);
    }
}
