//! Which object of the vCenter a host or machine of the cluster is.

use std::{collections::HashMap, sync::Arc};

use patchcore::{Error, ErrorKind, Result, id::ComponentId};
use tokio::sync::RwLock;

use crate::{
    client::{VCenter, soap::MoRef},
    inventory::Roster,
};

/// Names as they were read last. What is not known is read anew once: machines come and go.
#[derive(Debug, Default)]
pub(crate) struct Names(RwLock<Arc<Known>>);

#[derive(Debug, Default)]
struct Known {
    objects: HashMap<ComponentId, MoRef>,
    names: HashMap<Box<str>, ComponentId>,
}

impl Names {
    /// The object of a host or machine.
    pub(super) async fn object(
        &self,
        vcenter: &VCenter,
        cluster: &MoRef,
        id: &ComponentId,
    ) -> Result<MoRef> {
        if let Some(object) = self.0.read().await.objects.get(id) {
            return Ok(object.clone());
        }
        self.learn(&vcenter.roster(cluster).await?).await;
        let known = self.0.read().await;
        known.objects.get(id).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("{id} is neither a host nor a machine of the cluster"),
            )
            .hint("it was removed or renamed; discover again")
        })
    }

    /// Takes over what was read.
    pub(crate) async fn learn(&self, roster: &Roster) {
        let names = roster.hosts.iter().chain(&roster.machines);
        let known = Known {
            objects: names
                .clone()
                .map(|(object, id)| (id.clone(), object.clone()))
                .collect(),
            names: names
                .map(|(object, id)| (object.id.clone(), id.clone()))
                .collect(),
        };
        *self.0.write().await = Arc::new(known);
    }

    /// What an object is called; its own word of the vCenter where it is not of the cluster.
    pub(super) async fn of(&self, object: &MoRef) -> ComponentId {
        let known = self.0.read().await;
        let name = known.names.get(&object.id).cloned();
        name.unwrap_or_else(|| ComponentId::from(object.id.to_string()))
    }
}
