//! What stands against patching hosts of a cluster, as far as it can be told before a run: not what is wrong with an image,
//! but who may do what here, and who is at work already.

use patchcore::{
    Result, Timestamp,
    estate::{Scan, Unhealthy},
    id::ComponentId,
};
use tokio::sync::Mutex;

use crate::{
    client::soap::{Call, Fault, Node},
    deployer::now::HostNow,
    drainer::VsphereCluster,
};

/// By this name SDDC Manager, the lifecycle of VMware Cloud Foundation, registers with each vCenter that it manages. VMware
/// publishes no list of such names; administrators look for this one before they let Cloud Foundation take a vCenter over.
const CLOUD_FOUNDATION: &str = "com.vmware.sddcManager";

/// What was found to stand against every host when that was looked at last; none before.
pub(crate) type Foreseen = Mutex<Option<Vec<Unhealthy>>>;

impl VsphereCluster {
    /// Adds what is foreseen of a host to what a scan of it found.
    pub(crate) async fn foreseen(
        &self,
        scan: &mut Scan,
        id: &ComponentId,
        host: &HostNow,
        at: Timestamp,
    ) -> Result<()> {
        let known = self.inner.foreseen.lock().await.clone();
        let all = match known {
            Some(all) => all,
            None => self.look_ahead().await?,
        };
        scan.unhealthy.extend(all);
        if host.maintenance && !self.inner.closed.lock().await.contains(id) {
            scan.unhealthy.extend(self.held_by_another(id, at).await?);
        }
        Ok(())
    }

    /// What stands against every host alike, looked at now: a listing does, and scans take its word.
    pub(super) async fn look_ahead(&self) -> Result<Vec<Unhealthy>> {
        let all = self.against_all().await?;
        *self.inner.foreseen.lock().await = Some(all.clone());
        Ok(all)
    }

    async fn against_all(&self) -> Result<Vec<Unhealthy>> {
        let (vcenter, object) = (&self.inner.vcenter, &self.inner.object);
        let mut all = Vec::new();
        if self.is_of_cloud_foundation().await? {
            all.push(Unhealthy {
                what: "VMware Cloud Foundation manages its vCenter, and patches its hosts itself"
                    .to_owned(),
                remedy: "patch it by the lifecycle management of Cloud Foundation".to_owned(),
            });
        }
        let missing = vcenter.rights_in_the_way(object).await?;
        if !missing.is_empty() {
            let user = vcenter.user().await;
            let s = if missing.len() == 1 { "" } else { "s" };
            all.push(Unhealthy {
                what: format!("{user} lacks the right{s} {}", missing.join(", ")),
                remedy: format!(
                    "give it to {user} on cluster {}, with all that is below",
                    self.inner.cluster.name
                ),
            });
        }
        Ok(all)
    }

    async fn is_of_cloud_foundation(&self) -> Result<bool> {
        let vcenter = &self.inner.vcenter;
        let Some(extensions) = &vcenter.service().extensions else {
            return Ok(false);
        };
        let call = Call::new("FindExtension", extensions)
            .with(Node::text("extensionKey", CLOUD_FOUNDATION));
        let found = vcenter.try_call(&call).await?;
        let found = found.map_err(|fault: Fault| fault.into_error("FindExtension"))?;
        Ok(found.child("returnval").is_some())
    }

    /// That somebody else put a host into maintenance mode: what they do there is not known.
    async fn held_by_another(
        &self,
        host: &ComponentId,
        at: Timestamp,
    ) -> Result<Option<Unhealthy>> {
        let us = self.inner.vcenter.user().await;
        let by = self.entered_by(host, at).await?;
        if by.as_ref().is_some_and(|by| by.eq_ignore_ascii_case(&us)) {
            return Ok(None);
        }
        let by = by.map_or_else(
            || "and the vCenter does not know by whom".to_owned(),
            |by| format!("by {by}"),
        );
        Ok(Some(Unhealthy {
            what: format!("it is in maintenance mode, {by}"),
            remedy: "ask what is done there; plan again when it is over".to_owned(),
        }))
    }
}
