//! What a cluster does by itself, in words that lead back: DRS and the admission control of HA.
//!
//! Properties and their words: vSphere Web Services API reference, *ClusterDrsConfigInfo* and *ClusterDasConfigInfo*.

use patchcore::provider::ClusterSetting;

use crate::client::{
    Found, Of,
    soap::{Broken, MoRef, Node},
};

/// Which of them an operation changes.
pub(super) const CHANGED: &[&str] = &[
    "configurationEx.drsConfig.defaultVmBehavior",
    "configurationEx.drsConfig.enableVmBehaviorOverrides",
    "configurationEx.dasConfig.admissionControlEnabled",
];

const PATHS: &[&str] = &[
    "configurationEx.drsConfig.enabled",
    "configurationEx.drsConfig.defaultVmBehavior",
    "configurationEx.drsConfig.enableVmBehaviorOverrides",
    "configurationEx.dasConfig.enabled",
    "configurationEx.dasConfig.admissionControlEnabled",
    "recentTask",
];

/// Placement that is held, or left by others, so that nothing moves by itself: no machine's own behaviour counts.
const ALONE: &str = "without overrides";

/// What is set now, each as a word of its own; none where the cluster does not do it at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SettingsNow {
    placement: Option<String>,
    admission: Option<String>,
}

/// What is read of a cluster.
pub(super) fn read(cluster: &MoRef) -> Of<'_> {
    Of::object(cluster, PATHS)
}

impl SettingsNow {
    /// What nobody says is on counts as on: it is held then, and what cannot be read back stops the roll.
    pub(super) fn of(found: &Found) -> Result<Self, Broken> {
        let truth = |path: &str| -> Result<bool, Broken> { Ok(found.truth(path)?.unwrap_or(true)) };
        let placement = match truth("configurationEx.drsConfig.enabled")? {
            false => None,
            true => {
                let behaviour = found.text("configurationEx.drsConfig.defaultVmBehavior");
                // The default of the API (*DrsBehavior*).
                let behaviour = behaviour.unwrap_or("fullyAutomated");
                Some(
                    match truth("configurationEx.drsConfig.enableVmBehaviorOverrides")? {
                        true => behaviour.to_owned(),
                        false => format!("{behaviour} {ALONE}"),
                    },
                )
            }
        };
        let admission = match truth("configurationEx.dasConfig.enabled")? {
            false => None,
            true => Some(
                match truth("configurationEx.dasConfig.admissionControlEnabled")? {
                    true => "enabled",
                    false => "disabled",
                }
                .to_owned(),
            ),
        };
        Ok(Self {
            placement,
            admission,
        })
    }

    /// The word for what is set; `off` where the cluster does not do it at all.
    pub(super) fn word(&self, setting: ClusterSetting) -> &str {
        let word = match setting {
            ClusterSetting::Placement => &self.placement,
            ClusterSetting::Admission => &self.admission,
            _ => &None,
        };
        word.as_deref().unwrap_or("off")
    }
}

/// The word for a setting that is held, where it was `was` before: nothing moves by itself, and machines that start are
/// still placed where they were.
pub(super) fn held(setting: ClusterSetting, was: &str) -> String {
    match setting {
        ClusterSetting::Placement if was == "off" => was.to_owned(),
        ClusterSetting::Placement => {
            let behaviour = was.strip_suffix(ALONE).unwrap_or(was).trim();
            let behaviour = match behaviour {
                "manual" => behaviour,
                _ => "partiallyAutomated",
            };
            format!("{behaviour} {ALONE}")
        }
        _ if was == "off" => was.to_owned(),
        _ => "disabled".to_owned(),
    }
}

/// The part of a cluster's configuration that gives a setting this word. None for a word that is not ours.
pub(super) fn spec(setting: ClusterSetting, word: &str) -> Option<Node> {
    match setting {
        ClusterSetting::Placement => {
            let (behaviour, overrides) = match word.strip_suffix(ALONE) {
                Some(behaviour) => (behaviour.trim(), false),
                None => (word, true),
            };
            // Written out: texts of a call come from here alone.
            let behaviour = ["manual", "partiallyAutomated", "fullyAutomated"]
                .into_iter()
                .find(|known| *known == behaviour)?;
            Some(Node::of(
                "drsConfig",
                [
                    Node::truth("enableVmBehaviorOverrides", overrides),
                    Node::text("defaultVmBehavior", behaviour),
                ],
            ))
        }
        ClusterSetting::Admission => {
            let enabled = match word {
                "enabled" => true,
                "disabled" => false,
                _ => return None,
            };
            Some(Node::of(
                "dasConfig",
                [Node::truth("admissionControlEnabled", enabled)],
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_never_moves_more_than_before() {
        let held = |was| held(ClusterSetting::Placement, was);
        assert_eq!(
            held("fullyAutomated"),
            "partiallyAutomated without overrides"
        );
        assert_eq!(
            held("partiallyAutomated"),
            "partiallyAutomated without overrides"
        );
        assert_eq!(held("manual"), "manual without overrides");
        assert_eq!(held("manual without overrides"), "manual without overrides");
        assert_eq!(held("off"), "off");
    }

    #[test]
    fn only_words_that_were_read_can_be_set() {
        for word in ["", "off", "fullyAutomated<x/>", "on without overrides"] {
            assert!(spec(ClusterSetting::Placement, word).is_none(), "{word}");
        }
        assert!(spec(ClusterSetting::Admission, "off").is_none());
        assert!(
            spec(
                ClusterSetting::Placement,
                "fullyAutomated without overrides"
            )
            .is_some()
        );
    }
}
