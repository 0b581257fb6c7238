//! What the simulated repository serves, and when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    estate::{Impact, Patch, PatchChange},
    id::{ComponentId, PatchId, Version},
};

/// Everything that was or will be published, in the order of publication: later means newer.
///
/// Versions are never compared by their text, because only the real tools can order theirs.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    published: BTreeMap<PatchId, Vec<Published>>,
    withdrawn: BTreeMap<(PatchId, Version), Timestamp>,
    /// Versions that guests began with: the repository still has them, and they are older than all others.
    first: BTreeSet<(PatchId, Version)>,
}

#[derive(Debug)]
struct Published {
    at: Timestamp,
    patch: Patch,
    /// For whom; none: for everybody.
    only_for: Option<BTreeSet<ComponentId>>,
}

impl Published {
    fn is_for(&self, component: &ComponentId) -> bool {
        self.only_for
            .as_ref()
            .is_none_or(|only| only.contains(component))
    }
}

impl Catalogue {
    pub(super) fn publish(
        &mut self,
        at: Timestamp,
        patch: Patch,
        only_for: Option<BTreeSet<ComponentId>>,
    ) {
        let line = self.published.entry(patch.id.clone()).or_default();
        let place = line.partition_point(|p| p.at <= at);
        line.insert(
            place,
            Published {
                at,
                patch,
                only_for,
            },
        );
    }

    pub(super) fn withdraw(&mut self, at: Timestamp, patch: PatchId, version: Version) {
        self.withdrawn.insert((patch, version), at);
    }

    pub(super) fn began_with(&mut self, patch: PatchId, version: Version) {
        self.first.insert((patch, version));
    }

    fn is_withdrawn(&self, patch: &PatchId, version: &Version, at: Timestamp) -> bool {
        self.withdrawn
            .get(&(patch.clone(), version.clone()))
            .is_some_and(|since| *since <= at)
    }

    fn line<'a>(
        &'a self,
        component: &'a ComponentId,
        patch: &PatchId,
    ) -> impl DoubleEndedIterator<Item = &'a Published> + Clone {
        self.published
            .get(patch)
            .into_iter()
            .flatten()
            .filter(move |p| p.is_for(component))
    }

    /// The place of a version in the order of publication; 0 for what is older than all of it.
    fn place(&self, component: &ComponentId, patch: &PatchId, version: Option<&Version>) -> usize {
        self.line(component, patch)
            .enumerate()
            .filter(|(_, p)| Some(&p.patch.to) == version)
            .map(|(i, _)| i + 1)
            .last()
            .unwrap_or_default()
    }

    /// Whether the repository has this version for this component.
    pub(super) fn serves(
        &self,
        component: &ComponentId,
        patch: &PatchId,
        version: &Version,
        at: Timestamp,
    ) -> bool {
        if self.is_withdrawn(patch, version, at) {
            return false;
        }
        let mut copies = self
            .line(component, patch)
            .filter(|p| p.patch.to == *version)
            .peekable();
        if copies.peek().is_none() {
            return self.first.contains(&(patch.clone(), version.clone()));
        }
        copies.any(|p| p.at <= at)
    }

    /// The newest version that a component does not have, with all that it carries of the skipped ones.
    pub(super) fn newer(
        &self,
        component: &ComponentId,
        patch: &PatchId,
        installed: Option<&Version>,
        as_of: Timestamp,
    ) -> Option<Patch> {
        let from = self.place(component, patch, installed);
        let on_offer =
            |p: &&Published| p.at <= as_of && !self.is_withdrawn(&p.patch.id, &p.patch.to, as_of);
        let skipped = self.line(component, patch).skip(from).filter(on_offer);
        let newest = skipped.clone().last()?;
        let mut offer = newest.patch.clone();
        offer.from = installed.cloned();
        for older in skipped
            .map(|p| &p.patch)
            .filter(|p| p.to != newest.patch.to)
        {
            offer.contains.insert((older.id.clone(), older.to.clone()));
            offer.advisories.extend(older.advisories.iter().cloned());
            offer.class = offer.class.min(older.class);
            if older.assumed_impact() > offer.assumed_impact() {
                offer.impact = older.impact;
            }
        }
        Some(offer)
    }

    /// What a change does while it happens, in either direction; unknown counts as a reboot.
    pub(super) fn impact(&self, component: &ComponentId, change: &PatchChange) -> Impact {
        let from = self.place(component, &change.patch, change.from.as_ref());
        let to = self.place(component, &change.patch, change.to.as_ref());
        let (low, high) = (from.min(to), from.max(to));
        self.line(component, &change.patch)
            .skip(low)
            .take(high - low)
            .map(|p| p.patch.assumed_impact())
            .max()
            .unwrap_or(Impact::Reboot)
    }

    /// Bytes to fetch for a version; 1 MB where nobody said, the size of a common package.
    pub(super) fn size(&self, component: &ComponentId, patch: &PatchId, version: &Version) -> u64 {
        self.line(component, patch)
            .rfind(|p| p.patch.to == *version)
            .and_then(|p| p.patch.size)
            .unwrap_or(1_000_000)
    }

    /// Every version that was published, with its name, for checks of the input.
    pub(super) fn knows(&self, patch: &PatchId, version: &Version) -> bool {
        self.first.contains(&(patch.clone(), version.clone()))
            || self
                .published
                .get(patch)
                .is_some_and(|line| line.iter().any(|p| p.patch.to == *version))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::estate::PatchClass;

    fn at(hours: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(hours * 3600)
    }

    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::default();
        catalogue.began_with("nginx".into(), "1".into());
        let patch = |to: &str, class| Patch::new("nginx", None, to, class);
        catalogue.publish(
            at(0),
            patch("2", PatchClass::Security)
                .with_impact(Impact::Reboot)
                .with_advisory("CVE-2026-1"),
            None,
        );
        catalogue.publish(
            at(5),
            patch("3", PatchClass::Bugfix).with_impact(Impact::None),
            None,
        );
        catalogue
    }

    #[test]
    fn the_newest_carries_what_it_skips() {
        let catalogue = catalogue();
        let offer = |from: &str, hours| {
            catalogue.newer(
                &"web".into(),
                &"nginx".into(),
                Some(&from.into()),
                at(hours),
            )
        };
        assert_eq!(offer("1", 0).unwrap().to, "2");
        let both = offer("1", 5).unwrap();
        assert_eq!(both.to, "3");
        assert_eq!(
            (both.class, both.impact),
            (PatchClass::Security, Some(Impact::Reboot))
        );
        assert!(both.advisories.contains("CVE-2026-1"));
        assert!(both.contains.contains(&("nginx".into(), "2".into())));
        let one = offer("2", 5).unwrap();
        assert_eq!(
            (one.class, one.impact),
            (PatchClass::Bugfix, Some(Impact::None))
        );
        assert_eq!(offer("3", 9), None);
    }

    #[test]
    fn a_withdrawn_version_is_neither_offered_nor_served() {
        let mut catalogue = catalogue();
        catalogue.withdraw(at(7), "nginx".into(), "3".into());
        let offer = |hours| {
            let found =
                catalogue.newer(&"web".into(), &"nginx".into(), Some(&"1".into()), at(hours));
            found.unwrap().to
        };
        assert_eq!(offer(6), "3");
        assert_eq!(offer(7), "2");
        let serves = |version: &str, hours| {
            catalogue.serves(&"web".into(), &"nginx".into(), &version.into(), at(hours))
        };
        assert!(serves("3", 6) && !serves("3", 7) && !serves("3", 4));
        assert!(serves("1", 9) && !serves("unheard-of", 9));
    }

    #[test]
    fn a_change_back_disturbs_as_much_as_the_change() {
        let catalogue = catalogue();
        let change = Patch::new("nginx", Some("1".into()), "2", PatchClass::Other).change();
        assert_eq!(catalogue.impact(&"web".into(), &change), Impact::Reboot);
        assert_eq!(
            catalogue.impact(&"web".into(), &change.reversed()),
            Impact::Reboot
        );
    }

    #[test]
    fn a_publication_for_some_is_for_nobody_else() {
        let mut catalogue = Catalogue::default();
        let only = BTreeSet::from([ComponentId::from("a")]);
        let patch = Patch::new("x", None, "2", PatchClass::Other);
        catalogue.publish(at(0), patch, Some(only));
        let offer = |who: &str| catalogue.newer(&who.into(), &"x".into(), None, at(0));
        assert!(offer("a").is_some());
        assert!(offer("b").is_none());
    }
}
