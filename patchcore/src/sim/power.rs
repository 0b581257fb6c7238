//! Components that lose their power, and what that does to whatever runs there.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    guest::Power,
    readiness::{changes_for, is_at},
    world::{Due, World},
};
use crate::{
    clock::later,
    error::{Error, ErrorKind, Failure},
    id::{ComponentId, OpKey},
    provider::{DeployRequest, PortRequest},
};

impl World {
    /// The power goes, wherever a script says so for this time.
    pub(super) fn power_lost(&mut self, at: Timestamp) {
        let hit: Vec<ComponentId> = self
            .guests
            .iter()
            .filter(|(id, g)| g.power == Power::On && self.scripts.loses_power(id, at))
            .map(|(id, _)| id.clone())
            .collect();
        for component in hit {
            self.lose_power(&component);
        }
    }

    fn lose_power(&mut self, component: &ComponentId) {
        let error = Error::new(
            ErrorKind::LostReboot,
            format!("{component} restarted while the operation ran"),
        )
        .consequence("what it did until then is unknown")
        .hint("scan it, then let the run decide");
        for job in self.jobs.running_on(component) {
            let request = self
                .jobs
                .get(job)
                .map(|j| (j.request.clone(), j.key.clone(), j.began));
            if let Some((DeployRequest::Apply { .. } | DeployRequest::RollBack { .. }, ..)) =
                &request
                && let Some((request, key, began)) = request
            {
                self.torn(component, &key, &request, began);
            }
            self.settle(job, component, Err(Failure::from(&error)));
        }
        let takes = self.takes(&restart(component), component);
        if let Some(guest) = self.guests.get_mut(component) {
            guest.tool = None;
            guest.power = Power::Restarting;
        }
        self.account(component);
        let back = later(self.now, takes);
        self.when(
            back,
            Due::PowerBack {
                component: component.clone(),
            },
        );
    }

    /// A package tool that lost its power: the first package is unpacked and not configured, the others are untouched.
    fn torn(
        &mut self,
        component: &ComponentId,
        key: &OpKey,
        request: &DeployRequest,
        began: Timestamp,
    ) {
        let open = changes_for(request, component).into_iter().find(|c| {
            self.guests
                .get(component)
                .is_some_and(|g| !is_at(g, &c.patch, c.to.as_ref()))
        });
        let Some(change) = open else {
            return;
        };
        self.put(component, &change);
        let failed = BTreeSet::from([change.patch.clone()]);
        if let Some(guest) = self.guests.get_mut(component) {
            guest.half_configured.insert(change.patch.clone());
        }
        self.record(component, key, request.verb(), began, vec![change], &failed);
    }
}

fn restart(component: &ComponentId) -> DeployRequest {
    DeployRequest::Reboot {
        components: vec![component.clone()],
    }
}
