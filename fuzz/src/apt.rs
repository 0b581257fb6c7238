//! What apt and dpkg say of a machine.

use patchcore::ErrorKind;
use patchcore_linux::pm::apt::AptScan;

use crate::rules;

/// The id in the marks of the seeds.
const ID: &str = "fixture";

pub(crate) fn scan(answer: &[u8]) -> bool {
    let facts = match AptScan::parse_facts(ID, answer) {
        Ok(facts) => {
            rules::written_alike(&facts, answer.len());
            Some(facts)
        }
        Err(error) => {
            rules::refusal(&error, &[ErrorKind::ProviderFault]);
            None
        }
    };
    match AptScan::parse(ID, answer) {
        Ok(scan) => {
            rules::bounded(format!("{scan:?}").len(), answer.len());
            for ((name, arch), package) in &scan.installed {
                rules::written_alike(package, answer.len());
                if let Some(version) = &package.version {
                    // Asked of every scan before a way back is promised; the answer is any.
                    let _ = scan.can_get(name, arch, version);
                }
            }
            match &scan.upgrades {
                Ok(upgrades) => rules::written_alike(upgrades, answer.len()),
                Err(failure) => rules::written_alike(failure, answer.len()),
            }
            assert_eq!(Some(scan.facts), facts, "asked alone they are others");
            true
        }
        Err(error) => {
            rules::refusal(&error, &[ErrorKind::ProviderFault, ErrorKind::Busy]);
            facts.is_some()
        }
    }
}
