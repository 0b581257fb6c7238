//! What `apt-cache` knows about versions that are offered: phases, sizes and digests.

use std::collections::BTreeMap;

use patchcore::Result;

use super::{package::PackageName, section::bad_line};
use crate::vercmp::deb::DebVersion;

/// What `apt-cache policy` says about a package that is kept back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) installed: Option<DebVersion>,
    pub(crate) candidate: Option<DebVersion>,
    /// The phase of the candidate in percent, where it is being phased.
    pub(crate) phased: Option<u8>,
}

/// Reads `apt-cache policy NAME…`, by the name as apt prints it.
pub(crate) fn policies(text: &str) -> Result<BTreeMap<String, Policy>> {
    let mut found = BTreeMap::new();
    let mut open: Option<(String, Policy)> = None;
    for line in text.lines() {
        if line.starts_with("W: ") || line.starts_with("N: ") {
            continue;
        }
        if !line.starts_with(' ') {
            let name = line
                .strip_suffix(':')
                .ok_or_else(|| bad_line("policy", "NAME:", line))?;
            PackageName::parse_qualified(name)?;
            found.extend(open.take());
            open = Some((
                name.to_owned(),
                Policy {
                    installed: None,
                    candidate: None,
                    phased: None,
                },
            ));
            continue;
        }
        let Some((_, policy)) = &mut open else {
            return Err(bad_line("policy", "a package first", line));
        };
        let version = |text: &str| {
            if text == "(none)" {
                Ok(None)
            } else {
                DebVersion::parse(text).map(Some)
            }
        };
        if let Some(text) = line.strip_prefix("  Installed: ") {
            policy.installed = version(text)?;
        } else if let Some(text) = line.strip_prefix("  Candidate: ") {
            policy.candidate = version(text)?;
        } else if let Some((text, phase)) =
            line.trim_start_matches([' ', '*']).split_once(" (phased ")
        {
            let number = phase
                .strip_suffix("%)")
                .and_then(|n| n.parse().ok())
                .filter(|n| *n <= 100);
            let number = number.ok_or_else(|| bad_line("policy", "(phased N%)", line))?;
            let of = text.split(' ').next().unwrap_or_default();
            if policy.candidate.as_ref().is_some_and(|c| c.as_str() == of) {
                policy.phased = Some(number);
            }
        }
    }
    found.extend(open);
    Ok(found)
}

/// What a version on offer weighs and is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The size of its file in bytes.
    pub(crate) size: Option<u64>,
    /// The SHA-256 of its file; absent where two repositories disagree about it.
    pub(crate) sha256: Option<String>,
}

/// Reads `apt-cache show NAME=VERSION…`, cut down to five fields, by name, architecture and version.
pub(crate) fn offers(text: &str) -> Result<BTreeMap<(String, String, String), Offer>> {
    let mut found: BTreeMap<_, Offer> = BTreeMap::new();
    for block in text.split("\n\n") {
        let mut fields = BTreeMap::new();
        for line in block.lines().filter(|l| !l.is_empty()) {
            if line.starts_with("N: ") || line.starts_with("W: ") || line.starts_with("E: ") {
                continue;
            }
            let (key, value) = line
                .split_once(": ")
                .ok_or_else(|| bad_line("offers", "KEY: VALUE", line))?;
            fields.insert(key, value);
        }
        if fields.is_empty() {
            continue;
        }
        let field = |key| fields.get(key).map(|v| (*v).to_owned());
        let (Some(name), Some(arch), Some(version)) =
            (field("Package"), field("Architecture"), field("Version"))
        else {
            return Err(bad_line(
                "offers",
                "Package, Architecture and Version",
                block,
            ));
        };
        let size = field("Size")
            .map(|s| {
                s.parse()
                    .map_err(|_| bad_line("offers", "a size in bytes", &s))
            })
            .transpose()?;
        let sha256 =
            field("SHA256").filter(|s| s.len() == 64 && s.bytes().all(|b| b.is_ascii_hexdigit()));
        let offer = Offer {
            size,
            sha256: sha256.map(|s| s.to_ascii_lowercase()),
        };
        found
            .entry((name, arch, version))
            .and_modify(|known| {
                // The installed copy of the same version has neither; a second repository may differ.
                if known.sha256.is_none() && known.size.is_none() {
                    *known = offer.clone();
                } else if offer.sha256.is_some() && known.sha256 != offer.sha256 {
                    known.sha256 = None;
                }
            })
            .or_insert(offer);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: &str = "pc-phased:\n  Installed: 1.0-1\n  Candidate: 1.1-1\n  Version table:\n     1.1-1 500 (phased 10%)\n        500 http://example.org pc/main amd64 Packages\n *** 1.0-1 100\n        100 /var/lib/dpkg/status\npc-new:\n  Installed: (none)\n  Candidate: 1:2-1\n  Version table:\n     1:2-1 500\n";

    #[test]
    fn the_phase_is_that_of_the_candidate() {
        let found = policies(POLICY).unwrap();
        assert_eq!(found["pc-phased"].phased, Some(10));
        assert_eq!(
            found["pc-phased"].candidate.as_ref().unwrap().as_str(),
            "1.1-1"
        );
        assert_eq!(
            (found["pc-new"].phased, &found["pc-new"].installed),
            (None, &None)
        );
        let other = POLICY.replace("Candidate: 1.1-1", "Candidate: 1.0-1");
        assert_eq!(policies(&other).unwrap()["pc-phased"].phased, None);
        for (from, to) in [
            ("10%", "110%"),
            ("10%", "x%"),
            ("pc-new:", "pc-new"),
            ("1.1-1\n", "v\n"),
        ] {
            assert!(policies(&POLICY.replacen(from, to, 1)).is_err(), "{to}");
        }
    }

    #[test]
    fn repositories_that_disagree_give_no_digest() {
        let one = format!(
            "Package: a1\nVersion: 1\nArchitecture: all\nSize: 7\nSHA256: {}\n\n",
            "a".repeat(64)
        );
        let key = ("a1".to_owned(), "all".to_owned(), "1".to_owned());
        let found = offers(&format!("{one}{one}")).unwrap();
        assert_eq!(
            found[&key],
            Offer {
                size: Some(7),
                sha256: Some("a".repeat(64))
            }
        );
        let other = one.replace(&"a".repeat(64), &"b".repeat(64));
        assert_eq!(offers(&format!("{one}{other}")).unwrap()[&key].sha256, None);
        assert!(offers("Package: a1\n").is_err());
        assert!(offers(&one.replace("Size: 7", "Size: big")).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).*", at in 0..POLICY.len(), with in ".{0,3}") {
            let _ = policies(&text);
            let _ = offers(&text);
            let _ = policies(&format!("{}{with}{}", &POLICY[..at], &POLICY[at..]));
        }
    }
}
