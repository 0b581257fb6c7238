//! One thing in the estate, and one provider's view of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ComponentId, GroupName, PersonId, ProviderName};

/// What sort of thing a component is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ComponentKind {
    /// A hypervisor host.
    Host,
    /// A virtual machine or a physical machine that is managed like one.
    Guest,
    /// A storage array.
    Array,
    /// A controller inside an array or a chassis.
    Controller,
    /// A baseboard management controller.
    Bmc,
    /// A volume on an array.
    Volume,
    /// A device that its vendor ships as one piece.
    Appliance,
    /// A service with a role of its own, such as one DNS server process.
    RoleService,
    /// A manager of other components, such as a vCenter.
    Manager,
    /// A fabric or network switch.
    Switch,
}

impl ComponentKind {
    /// The word used in selectors and JSON.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Guest => "guest",
            Self::Array => "array",
            Self::Controller => "controller",
            Self::Bmc => "bmc",
            Self::Volume => "volume",
            Self::Appliance => "appliance",
            Self::RoleService => "role_service",
            Self::Manager => "manager",
            Self::Switch => "switch",
        }
    }
}

/// By what a component is recognised across providers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IdentityKind {
    /// SMBIOS system UUID (DMTF DSP0134 §7.2.1), lower case with hyphens.
    BiosUuid,
    /// `/etc/machine-id` of systemd (machine-id(5)), 32 hexadecimal digits.
    MachineId,
    /// The vendor's serial number.
    Serial,
    /// Fully qualified domain name, lower case without a final dot.
    Fqdn,
}

impl IdentityKind {
    /// The words for messages.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::BiosUuid => "BIOS UUID",
            Self::MachineId => "machine id",
            Self::Serial => "serial number",
            Self::Fqdn => "domain name",
        }
    }
}

/// One identity of a component.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Identity {
    /// By what.
    pub kind: IdentityKind,
    /// The value in the normal form of its kind.
    pub value: String,
}

impl Identity {
    /// An identity; the value is trimmed and lower-cased, which is the normal form of every kind.
    #[must_use]
    pub fn new(kind: IdentityKind, value: &str) -> Self {
        Self {
            kind,
            value: value.trim().trim_end_matches('.').to_ascii_lowercase(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.words(), self.value)
    }
}

/// One provider's view of a component. Two providers seeing one machine is normal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Sighting {
    /// The name under which the provider knows it.
    pub component: ComponentId,
    /// What sort of thing it is.
    pub kind: ComponentKind,
    /// When it was seen.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Where it is reached, if it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Labels that selectors read.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// By what it can be recognised.
    #[serde(default)]
    pub identities: BTreeSet<Identity>,
    /// Who is responsible for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
}

impl Sighting {
    /// A sighting without labels or identities.
    pub fn new(component: impl Into<ComponentId>, kind: ComponentKind, at: Timestamp) -> Self {
        Self {
            component: component.into(),
            kind,
            at,
            address: None,
            labels: BTreeMap::new(),
            identities: BTreeSet::new(),
            owner: None,
        }
    }

    /// Where it is reached.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// One label.
    #[must_use]
    pub fn with_label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// One identity.
    #[must_use]
    pub fn with_identity(mut self, kind: IdentityKind, value: &str) -> Self {
        self.identities.insert(Identity::new(kind, value));
        self
    }

    /// Who is responsible.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<PersonId>) -> Self {
        self.owner = Some(owner.into());
        self
    }
}

/// One thing in the estate, merged from all its sightings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Component {
    /// Its name in the estate.
    pub id: ComponentId,
    /// Other names under which providers know it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub also_known_as: BTreeSet<ComponentId>,
    /// What sort of thing it is.
    pub kind: ComponentKind,
    /// Where it is reached, if it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Labels of all sightings.
    pub labels: BTreeMap<String, String>,
    /// Identities of all sightings.
    pub identities: BTreeSet<Identity>,
    /// Who is responsible for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<PersonId>,
    /// Which providers see it.
    pub seen_by: BTreeSet<ProviderName>,
    /// Redundancy groups it belongs to.
    pub groups: BTreeSet<GroupName>,
}

impl Component {
    /// A component from what all its sightings agree on.
    #[must_use]
    pub fn new(id: ComponentId, kind: ComponentKind) -> Self {
        Self {
            id,
            also_known_as: BTreeSet::new(),
            kind,
            address: None,
            labels: BTreeMap::new(),
            identities: BTreeSet::new(),
            owner: None,
            seen_by: BTreeSet::new(),
            groups: BTreeSet::new(),
        }
    }

    /// What a selector's key stands for on this component: `name`, `kind`, `address`, `owner`, or a label.
    ///
    /// A label of one of those names is shadowed, so that `name = web-1` always means the component's name.
    #[must_use]
    pub fn fact(&self, key: &str) -> Option<String> {
        match key {
            "name" => Some(self.id.as_str().to_owned()),
            "kind" => Some(self.kind.slug().to_owned()),
            "address" => self.address.clone(),
            "owner" => self.owner.as_ref().map(|o| o.as_str().to_owned()),
            label => self.labels.get(label).cloned(),
        }
    }
}
