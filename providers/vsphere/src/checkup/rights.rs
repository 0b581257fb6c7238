//! Rights that a roll needs, and which of them the user lacks.

use std::collections::BTreeSet;

use patchcore::Result;

use crate::client::{
    VCenter,
    soap::{Call, Fault, MoRef, Node},
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

/// Those without which no host can be patched by a roll, whatever is on it.
const FOR_ANY_ROLL: [&str; 7] = [
    "Host.Config.Maintenance",
    "Host.Inventory.EditCluster",
    "Resource.HotMigrate",
    "VcIntegrity.lifecycleHealth.Read",
    "VcIntegrity.lifecycleSoftwareRemediation.Read",
    "VcIntegrity.lifecycleSoftwareRemediation.Write",
    "VcIntegrity.lifecycleSoftwareSpecification.Read",
];

impl VCenter {
    /// Rights for a roll that this user lacks on an object; those of a host or machine may differ.
    pub(super) async fn missing_rights(&self, object: &MoRef) -> Result<Vec<String>> {
        let has = self
            .rights(object)
            .await?
            .map_err(|fault| fault.into_error("FetchUserPrivilegeOnEntities"))?;
        Ok(missing(&FOR_A_ROLL, &has))
    }

    /// Rights without which no host of a cluster can be patched, and that this user lacks. None where the vCenter does not
    /// say what a user may do: it refuses itself what is not allowed.
    pub(crate) async fn rights_in_the_way(&self, object: &MoRef) -> Result<Vec<String>> {
        Ok(match self.rights(object).await? {
            // Whoever reads a cluster has a right at least.
            Ok(has) if !has.is_empty() => missing(&FOR_ANY_ROLL, &has),
            _ => Vec::new(),
        })
    }

    async fn rights(&self, object: &MoRef) -> Result<Result<BTreeSet<String>, Fault>> {
        let call = Call::new("FetchUserPrivilegeOnEntities", &self.service().rights)
            .with(Node::moref("entities", object))
            .with(Node::text("userName", self.user().await));
        Ok(self.try_call(&call).await?.map(|answer| {
            answer
                .all("returnval")
                .flat_map(|of| of.all("privileges"))
                .map(|right| right.text.to_string())
                .collect()
        }))
    }
}

fn missing(needed: &[&str], has: &BTreeSet<String>) -> Vec<String> {
    needed
        .iter()
        .filter(|right| !has.contains(**right))
        .map(|right| (*right).to_owned())
        .collect()
}
