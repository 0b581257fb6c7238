//! A plan as text in pieces: its targets one by one, and everything else. An estate may have a million targets; so
//! nothing that writes, digests or reads a plan needs all of its text at once.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Envelope, Plan, Target,
    shared::{Seen, Shared},
};
use crate::{
    digest::{self, Digesting},
    error::{Error, ErrorKind, Result},
    estate::Patch,
    id::{ComponentId, ProviderName, RingName},
    plan::PlannedCheck,
};

/// Canonical JSON of everything but the targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The text, as of a plan without targets.
    pub(crate) text: String,
    /// Where in it the targets stand, separated by commas.
    pub(crate) hole: usize,
}

impl Frame {
    fn of(rest: &impl Serialize) -> Result<Self> {
        const EMPTY: &str = "\"targets\":[]";
        let text = digest::canonical_json(rest)?;
        // Neither a text nor another key can hold this: quotes inside a text are escaped.
        match text.find(EMPTY) {
            Some(at) if text.rfind(EMPTY) == Some(at) => Ok(Self {
                hole: at + EMPTY.len() - 1,
                text,
            }),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                "a plan cannot be written in pieces",
            )
            .expected("one list of targets")),
        }
    }

    /// Hands over the whole text, piece by piece.
    fn pieces(&self, targets: &[Target], mut take: impl FnMut(&str)) -> Result<()> {
        let (before, after) = self.text.split_at(self.hole);
        take(before);
        for (nth, target) in targets.iter().enumerate() {
            if nth > 0 {
                take(",");
            }
            take(&target.piece()?);
        }
        take(after);
        Ok(())
    }
}

impl Target {
    /// Its piece of the text.
    pub(crate) fn piece(&self) -> Result<String> {
        digest::canonical_json(self)
    }
}

fn digest_of(frame: &Frame, targets: &[Target]) -> Result<String> {
    let mut digest = Digesting::default();
    frame.pieces(targets, |piece| digest.take(piece))?;
    Ok(digest::hex(&digest.finish()))
}

/// An envelope as it is written, without its targets.
#[derive(Serialize)]
struct EnvelopeFrame<'a> {
    estate: &'a crate::id::EstateName,
    requested_by: &'a crate::id::PersonId,
    made: &'a jiff::Timestamp,
    expires: &'a jiff::Timestamp,
    policy: &'a String,
    policy_digest: &'a String,
    references: &'a [super::Reference],
    approval: &'a crate::policy::ApprovalRules,
    rings: &'a [super::RingRules],
    targets: [(); 0],
    windows: &'a [crate::policy::Window],
    blackouts: &'a [crate::policy::Blackout],
    groups: &'a [super::GroupFloor],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    names: &'a BTreeMap<ComponentId, ComponentId>,
    on_fail: &'a crate::policy::OnFail,
    exceptions: &'a [super::PatchLeftOut],
}

impl<'a> From<&'a Envelope> for EnvelopeFrame<'a> {
    fn from(envelope: &'a Envelope) -> Self {
        // Each field by name, so that a new one cannot be forgotten.
        let Envelope {
            estate,
            requested_by,
            made,
            expires,
            policy,
            policy_digest,
            references,
            approval,
            rings,
            targets: _,
            windows,
            blackouts,
            groups,
            names,
            on_fail,
            exceptions,
        } = envelope;
        Self {
            estate,
            requested_by,
            made,
            expires,
            policy,
            policy_digest,
            references,
            approval,
            rings,
            targets: [],
            windows,
            blackouts,
            groups,
            names,
            on_fail,
            exceptions,
        }
    }
}

/// A plan as it is written, without its targets.
#[derive(Serialize)]
struct PlanFrame<'a> {
    schema: &'a String,
    envelope: EnvelopeFrame<'a>,
    schedule: &'a super::Schedule,
    left_out: &'a [super::LeftOut],
    patches_left_out: &'a [super::PatchLeftOut],
    order: &'a [super::Chain],
    busy: &'a BTreeMap<ComponentId, crate::estate::Busy>,
    scanned: &'a Option<jiff::Timestamp>,
    catalogue_as_of: &'a BTreeMap<ProviderName, jiff::Timestamp>,
    tools: &'a BTreeMap<ProviderName, crate::estate::Tool>,
    remarks: &'a [super::Remark],
    found: usize,
}

impl<'a> From<&'a Plan> for PlanFrame<'a> {
    fn from(plan: &'a Plan) -> Self {
        let Plan {
            schema,
            envelope,
            schedule,
            left_out,
            patches_left_out,
            order,
            busy,
            scanned,
            catalogue_as_of,
            tools,
            remarks,
            found,
        } = plan;
        Self {
            schema,
            envelope: envelope.into(),
            schedule,
            left_out,
            patches_left_out,
            order,
            busy,
            scanned,
            catalogue_as_of,
            tools,
            remarks,
            found: *found,
        }
    }
}

impl Envelope {
    pub(super) fn digest_in_pieces(&self) -> Result<String> {
        digest_of(&Frame::of(&EnvelopeFrame::from(self))?, &self.targets)
    }
}

impl Plan {
    /// Everything but its targets.
    pub(crate) fn frame(&self) -> Result<Frame> {
        Frame::of(&PlanFrame::from(self))
    }

    pub(super) fn digest_in_pieces(&self) -> Result<String> {
        digest_of(&self.frame()?, &self.envelope.targets)
    }

    pub(super) fn written(&self) -> Result<String> {
        let frame = self.frame()?;
        let mut text = String::new();
        frame.pieces(&self.envelope.targets, |piece| text.push_str(piece))?;
        Ok(text)
    }

    /// The same plan, holding once what its parts have in common.
    pub(super) fn sharing(mut self) -> Self {
        let mut seen = SeenTargets::default();
        for target in &mut self.envelope.targets {
            seen.share(target);
        }
        self.share_names();
        self
    }

    fn share_names(&mut self) {
        let (envelope, schedule) = (&self.envelope, &mut self.schedule);
        let waves = schedule.rings.iter_mut().flat_map(|ring| &mut ring.waves);
        for name in waves.flat_map(|wave| &mut wave.components) {
            if let Some(target) = envelope.target(name) {
                name.clone_from(&target.component);
            }
        }
    }
}

/// A plan that is read piece by piece.
#[cfg(feature = "sqlite")]
pub(crate) struct Reading {
    plan: Plan,
    seen: SeenTargets,
}

#[cfg(feature = "sqlite")]
impl Reading {
    /// Begins with everything but the targets.
    ///
    /// # Errors
    /// As [`Plan::from_json`].
    pub(crate) fn begin(frame: &str) -> Result<Self> {
        let mut plan = Plan::from_json(frame)?;
        // Each target stands in one wave.
        let waves = plan.schedule.rings.iter().flat_map(|ring| &ring.waves);
        let expected = waves.map(|wave| wave.components.len()).sum();
        plan.envelope.targets.reserve_exact(expected);
        Ok(Self {
            plan,
            seen: SeenTargets::default(),
        })
    }

    /// Takes the next target.
    pub(crate) fn take(&mut self, mut target: Target) {
        self.seen.share(&mut target);
        self.plan.envelope.targets.push(target);
    }

    /// How many were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.plan.envelope.targets.len() as u64
    }

    /// The plan.
    pub(crate) fn end(mut self) -> Plan {
        self.plan.share_names();
        self.plan
    }
}

/// What targets have in common.
#[derive(Default)]
struct SeenTargets {
    rings: Seen<RingName>,
    tools: Seen<ProviderName>,
    patches: Seen<Shared<Patch>>,
    checks: Seen<Shared<PlannedCheck>>,
}

impl SeenTargets {
    fn share(&mut self, target: &mut Target) {
        self.rings.share(&mut target.ring);
        self.tools.share(&mut target.tool);
        self.patches.share(&mut target.patches);
        self.checks.share(&mut target.checks);
        if target.known_as == target.component {
            target.known_as.clone_from(&target.component);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::digest::{canonical_json, digest_of as whole};

    /// A plan of so many targets, with every list of the frame in use or not.
    fn plan(targets: usize) -> Plan {
        let target = |nth: usize| {
            json!({
                "component": format!("web-{nth:02}"), "ring": "all", "tool": "linux", "known_as": format!("web-{nth:02}"),
                "patches": [{ "id": "\"targets\":[]", "to": "2", "class": "security", "pin": "version" }],
                "stages": true, "rolls_back": true, "reboot": "never", "reboot_expected": false, "reboot_first": false,
                "way_back": { "state": "none", "why": "nobody knows one" }, "checks": [], "after": [], "groups": [],
                "takes": { "p50": "PT1S", "p95": "PT2S" },
            })
        };
        let names: Vec<String> = (0..targets).map(|nth| format!("web-{nth:02}")).collect();
        serde_json::from_value(json!({
            "schema": Plan::SCHEMA,
            "envelope": {
                "estate": "north", "requested_by": "sam", "made": "2026-01-01T00:00:00Z",
                "expires": "2026-02-01T00:00:00Z", "policy": "\"targets\":[]", "policy_digest": "d",
                "references": [{ "system": "targets", "id": "\"targets\":[]" }],
                "approval": { "from": ["maria"], "needs": 1 }, "rings": [],
                "targets": (0..targets).map(target).collect::<Vec<_>>(),
                "windows": [], "blackouts": [], "groups": [], "on_fail": {}, "exceptions": [],
            },
            "schedule": { "rings": [{ "ring": "all", "soak_until": null, "waves": [
                { "components": names, "starts": null, "p50": "PT1S", "p95": "PT2S" },
            ] }], "p50": "PT1S", "p95": "PT2S", "ends": null },
            "left_out": [], "patches_left_out": [], "order": [], "busy": {}, "scanned": null, "catalogue_as_of": {},
            "tools": {}, "remarks": [], "found": targets,
        }))
        .unwrap()
    }

    #[test]
    fn pieces_are_the_same_text_as_the_whole() {
        for targets in [0, 1, 2, 70] {
            let plan = plan(targets);
            assert_eq!(plan.to_json().unwrap(), canonical_json(&plan).unwrap());
            assert_eq!(plan.digest().unwrap(), whole(&plan).unwrap());
            let envelope = &plan.envelope;
            assert_eq!(envelope.digest().unwrap(), whole(envelope).unwrap());
            assert_eq!(Plan::from_json(&plan.to_json().unwrap()).unwrap(), plan);
        }
    }

    #[test]
    fn what_is_equal_is_held_once() {
        let mut plan = plan(3).sharing();
        let [first, second, third] = plan.envelope.targets.as_mut_slice() else {
            panic!("three targets");
        };
        assert!(std::ptr::eq(
            &raw const *first.patches,
            &raw const *second.patches
        ));
        assert!(std::ptr::eq(
            first.component.as_str(),
            first.known_as.as_str()
        ));
        third.patches.clear();
        assert_eq!((first.patches.len(), third.patches.len()), (1, 0));
        let named = plan.schedule.rings[0].waves[0].components[0].as_str();
        assert!(std::ptr::eq(
            plan.envelope.targets[0].component.as_str(),
            named
        ));
    }
}
