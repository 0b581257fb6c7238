//! Rights that a roll needs, and which of them the user lacks.

use std::collections::BTreeSet;

use patchcore::Result;

use crate::client::{
    VCenter,
    soap::{Call, MoRef, Node},
};

/// What a roll calls needs these rights (vSphere Web Services API reference, *Required Privileges* of each call; vSphere
/// Lifecycle Manager, *Privileges for Using Images*).
pub(super) const FOR_A_ROLL: [&str; 11] = [
    "Host.Config.Maintenance",
    "Host.Inventory.EditCluster",
    "Resource.HotMigrate",
    "Resource.QueryVMotion",
    "VcIntegrity.lifecycleHealth.Read",
    "VcIntegrity.lifecycleSoftwareRemediation.Read",
    "VcIntegrity.lifecycleSoftwareRemediation.Write",
    "VcIntegrity.lifecycleSoftwareSpecification.Read",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Interact.Suspend",
];

impl VCenter {
    /// Rights for a roll that this user lacks on an object; those of a host or machine may differ.
    pub(super) async fn missing_rights(&self, object: &MoRef) -> Result<Vec<String>> {
        let call = Call::new("FetchUserPrivilegeOnEntities", &self.service().rights)
            .with(Node::moref("entities", object))
            .with(Node::text("userName", self.user().await));
        let answer = self
            .try_call(&call)
            .await?
            .map_err(|fault| fault.into_error("FetchUserPrivilegeOnEntities"))?;
        let has: BTreeSet<&str> = answer
            .all("returnval")
            .flat_map(|of| of.all("privileges"))
            .map(|right| &*right.text)
            .collect();
        Ok(FOR_A_ROLL
            .iter()
            .filter(|right| !has.contains(**right))
            .map(|right| (*right).to_owned())
            .collect())
    }
}
