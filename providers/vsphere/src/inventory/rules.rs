//! Rules and HA settings of a cluster in the words of the roll model.

use std::collections::HashMap;

use patchcore::{
    id::ComponentId,
    plan::roll::{Ha, Level, Rule},
};

use super::facts::Settings;
use crate::client::soap::{Broken, Element};

/// Hosts and running machines by what the vCenter calls them.
pub(super) type Names = HashMap<Box<str>, ComponentId>;

/// The rules that the model knows, and those that it does not, in words.
pub(super) fn rules(
    settings: &Settings,
    names: &Names,
) -> Result<(Vec<Rule>, Vec<String>), Broken> {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let members = |group: Option<&str>, of: &str| {
        group
            .and_then(|name| {
                settings
                    .groups
                    .iter()
                    .find(|group| group.text_of("name") == Some(name))
            })
            .map(|group| named(group, of, names))
            .unwrap_or_default()
    };
    for rule in &settings.rules {
        if truth(rule, "enabled")? == Some(false) {
            continue;
        }
        let name = rule.text_of("name").unwrap_or("without a name");
        match rule.kind.as_deref() {
            Some("ClusterAntiAffinityRuleSpec") => {
                let vms = named(rule, "vm", names);
                // One that runs alone is apart from the others.
                if vms.len() > 1 {
                    known.push(Rule::AntiAffinity {
                        vms,
                        level: Level::Host,
                        max_per: 1,
                        soft: None,
                    });
                }
            }
            Some("ClusterAffinityRuleSpec") => {
                let vms = named(rule, "vm", names);
                if vms.len() > 1 {
                    known.push(Rule::Affinity {
                        vms,
                        level: Level::Host,
                        soft: None,
                    });
                }
            }
            Some("ClusterVmHostRuleInfo") => {
                let vms = members(rule.text_of("vmGroupName"), "vm");
                let on = rule.text_of("affineHostGroupName");
                let off = rule.text_of("antiAffineHostGroupName");
                if vms.is_empty() {
                    continue;
                }
                if truth(rule, "mandatory")? != Some(true) {
                    unknown.push(format!("rule {name}: machines should run on certain hosts"));
                } else if on.is_some() {
                    known.push(Rule::Fence {
                        vms,
                        hosts: members(on, "host"),
                    });
                } else {
                    known.push(Rule::Avoid {
                        vms,
                        hosts: members(off, "host"),
                    });
                }
            }
            kind => unknown.push(format!("rule {name}: {}", kind.unwrap_or("of no type"))),
        }
    }
    Ok((known, unknown))
}

/// What HA keeps free, and what of it the model does not know.
pub(super) fn ha(das: Option<&Element>, names: &Names) -> Result<(Ha, Option<String>), Broken> {
    let Some(das) = das else {
        return Ok((
            Ha::Failures(1),
            Some("HA: its settings cannot be seen, taken as one host that may fail".to_owned()),
        ));
    };
    if truth(das, "enabled")? != Some(true) || truth(das, "admissionControlEnabled")? == Some(false)
    {
        return Ok((Ha::None, None));
    }
    let Some(policy) = das.child("admissionControlPolicy") else {
        // `failoverLevel` is what there was before policies.
        return Ok(match das.child("failoverLevel") {
            Some(level) => (Ha::Failures(level.number()?), None),
            None => (Ha::Failures(1), None),
        });
    };
    let number = |name: &str| policy.child(name).map(Element::number::<u32>).transpose();
    Ok(match policy.kind.as_deref() {
        Some("ClusterFailoverResourcesAdmissionControlPolicy") => {
            let computed = truth(policy, "autoComputePercentages")? == Some(true);
            match (number("failoverLevel")?, computed) {
                (Some(level), true) => (Ha::Failures(level), None),
                _ => {
                    let cpu = number("cpuFailoverResourcesPercent")?.unwrap_or_default();
                    let memory = number("memoryFailoverResourcesPercent")?.unwrap_or_default();
                    // One share for both: the larger keeps what either asks for.
                    (Ha::Percent(cpu.max(memory)), None)
                }
            }
        }
        Some("ClusterFailoverLevelAdmissionControlPolicy") => {
            (Ha::Failures(number("failoverLevel")?.unwrap_or(1)), None)
        }
        Some("ClusterFailoverHostAdmissionControlPolicy") => {
            let hosts = named(policy, "failoverHosts", names);
            let keep = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
            (Ha::Dedicated { hosts, keep }, None)
        }
        other => (
            Ha::Failures(1),
            Some(format!(
                "HA: admission control by {}, taken as one host that may fail",
                other.unwrap_or("a policy of no type")
            )),
        ),
    })
}

fn named(list: &Element, of: &str, names: &Names) -> Vec<ComponentId> {
    let mut all: Vec<ComponentId> = list
        .all(of)
        .filter_map(|object| names.get(&object.text).cloned())
        .collect();
    all.sort();
    all.dedup();
    all
}

fn truth(element: &Element, name: &str) -> Result<Option<bool>, Broken> {
    element.child(name).map(Element::truth).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_seen_keep_one_host_free() {
        let (kept, unclear) = ha(None, &Names::new()).unwrap();
        assert_eq!(kept, Ha::Failures(1));
        assert!(unclear.is_some());
    }
}
