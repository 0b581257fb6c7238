//! The deny-list: what an earlier run rolled back.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    estate::Patch,
    id::{ComponentId, PatchId, RunId, Version},
};

/// A patch that an earlier run rolled back. It stays out of plans until a successor, or a person, lifts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Denial {
    /// Which patch.
    pub patch: PatchId,
    /// At which version.
    pub version: Version,
    /// On which component it failed.
    pub component: ComponentId,
    /// In which run.
    pub run: RunId,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What happened.
    pub why: String,
}

/// The denial that keeps a patch out, if one does.
///
/// By containment, not by name: a patch that carries the denied content is denied too, and one that its
/// vendor declares as the correction of the denied one is not.
pub(crate) fn denied<'a>(patch: &Patch, denials: &'a [Denial]) -> Option<&'a Denial> {
    denials.iter().find(|denial| {
        let content = (denial.patch.clone(), denial.version.clone());
        let carries = (patch.id == denial.patch && patch.to == denial.version)
            || patch.contains.contains(&content);
        carries && !patch.supersedes.contains(&content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::PatchClass;

    #[test]
    fn by_containment_and_lifted_by_a_successor() {
        let denials = [Denial {
            patch: "kb-1".into(),
            version: "1".into(),
            component: "web-1".into(),
            run: RunId(1),
            at: Timestamp::UNIX_EPOCH,
            why: "it broke".to_owned(),
        }];
        let content = (PatchId::from("kb-1"), Version::from("1"));
        let same = Patch::new("kb-1", None, "1", PatchClass::Security);
        let other = Patch::new("kb-1", None, "2", PatchClass::Security);
        let mut carrier = Patch::new("kb-2", None, "1", PatchClass::Security);
        carrier.contains.insert(content.clone());
        let mut successor = carrier.clone();
        successor.supersedes.insert(content);
        for (patch, expected) in [
            (&same, true),
            (&other, false),
            (&carrier, true),
            (&successor, false),
        ] {
            assert_eq!(denied(patch, &denials).is_some(), expected, "{patch:?}");
        }
    }
}
