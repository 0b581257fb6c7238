//! What apt and dpkg say of a machine.

use patchcore::ErrorKind;
use patchcore_linux::{
    pm::apt::{AptScan, Named, NamedScan, PackageName, WantedScan},
    vercmp::deb::DebVersion,
};

use crate::rules;

/// The id in the marks of the seeds.
const ID: &str = "fixture";

/// What the seeds of small scans were asked about.
const ASKED: [(&str, &str); 2] = [("pc-hello", "1.1-1"), ("pc-newdep", "1.1-1")];

/// The answers of small scans; a scan of all lacks their section.
pub(crate) fn wanted(answer: &[u8]) -> bool {
    let asked: Vec<Named> = ASKED
        .iter()
        .filter_map(|(name, to)| {
            Some(Named {
                name: PackageName::parse(name).ok()?,
                arch: None,
                to: Some(DebVersion::parse(to).ok()?),
            })
        })
        .collect();
    let named = NamedScan::parse(ID, answer, &asked);
    match &named {
        Ok(named) => rules::bounded(format!("{named:?}").len(), answer.len()),
        Err(error) => rules::refusal(error, &[ErrorKind::ProviderFault]),
    }
    match WantedScan::parse(ID, answer, &asked) {
        Ok(wanted) => {
            rules::bounded(format!("{wanted:?}").len(), answer.len());
            assert_eq!(
                named.ok(),
                Some(wanted.named),
                "asked alone they are others"
            );
            true
        }
        Err(error) => {
            rules::refusal(&error, &[ErrorKind::ProviderFault]);
            named.is_ok()
        }
    }
}

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
