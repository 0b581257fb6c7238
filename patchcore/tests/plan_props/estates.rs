//! Random estates and policies, made through discovery as real ones are.
#![expect(clippy::unwrap_used, reason = "test data")]

use std::{collections::BTreeMap, time::Duration};

use patchcore::{
    Error, ErrorKind, Failure, Result, Timestamp,
    discover::{Answers, discover},
    estate::{
        Available, Busy, ComponentKind, Estimate, Impact, Inventory, KeptBack, KeptBackReason,
        Patch, PatchClass, RedundancyGroup, Relation, RelationKind, Role, Scan, Sighting, Tool,
        Unhealthy, WayBack, WayBackKind,
    },
    id::{ComponentId, ProviderName, RunId},
    plan::{Denial, Plan, PlanInput, plan},
    policy::Policy,
    provider::Listing,
};
use proptest::{collection::vec, prelude::*, sample::select};

pub(crate) fn now() -> Timestamp {
    "2026-10-22T12:00:00Z".parse().unwrap()
}

#[derive(Debug, Clone)]
pub(crate) struct PatchSpec {
    id: usize,
    to: usize,
    class: PatchClass,
    impact: Option<Impact>,
    recalled: bool,
    carries_denied: bool,
    /// 0: the offer says from where, as the scan; 1: it does not say; 2: it contradicts the scan.
    from: u8,
    installed_already: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    Tool,
    Nobody,
    TwoTools,
    Unread,
    NoOffer,
    OfferUnread,
}

#[derive(Debug, Clone)]
pub(crate) struct ComponentSpec {
    labels: [Option<usize>; 3],
    group: Option<usize>,
    coverage: Coverage,
    patches: Vec<PatchSpec>,
    kept_back: Vec<(usize, u8)>,
    busy: bool,
    unhealthy: bool,
    /// 0: none wanted; 1: wanted; 2: nobody knows.
    reboot_wanted: u8,
    way_back: u8,
    takes: Option<(u64, u64)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Spec {
    components: Vec<ComponentSpec>,
    keep_up: [usize; 2],
    depends: Vec<(usize, usize)>,
    listing_fails: bool,
    pub(crate) policy: String,
}

const LABELS: [&str; 3] = ["stage", "tier", "app"];

fn patch_spec() -> impl Strategy<Value = PatchSpec> {
    (
        0..12_usize,
        1..3_usize,
        prop_oneof![4 => Just(PatchClass::Security), 4 => Just(PatchClass::Bugfix), 1 => Just(PatchClass::Enhancement), 1 => Just(PatchClass::Other)],
        select(vec![
            None,
            Some(Impact::None),
            Some(Impact::ServiceRestart),
            Some(Impact::Reboot),
        ]),
        prop::bool::weighted(0.06),
        prop::bool::weighted(0.06),
        prop_oneof![40 => Just(0_u8), 10 => Just(1), 1 => Just(2)],
        prop::bool::weighted(0.05),
    )
        .prop_map(
            |(id, to, class, impact, recalled, carries_denied, from, installed_already)| {
                PatchSpec {
                    id,
                    to,
                    class,
                    impact,
                    recalled,
                    carries_denied,
                    from,
                    installed_already,
                }
            },
        )
}

fn component_spec() -> impl Strategy<Value = ComponentSpec> {
    let coverage = prop_oneof![
        30 => Just(Coverage::Tool),
        1 => Just(Coverage::Nobody),
        1 => Just(Coverage::TwoTools),
        1 => Just(Coverage::Unread),
        1 => Just(Coverage::NoOffer),
        1 => Just(Coverage::OfferUnread),
    ];
    let label = || prop::option::weighted(0.7, 0..3_usize);
    (
        (label(), label(), label()),
        prop::option::weighted(0.4, 0..2_usize),
        coverage,
        prop_oneof![1 => Just(Vec::new()), 4 => vec(patch_spec(), 1..4)],
        vec((0..6_usize, 0..4_u8), 0..2),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.05),
        prop_oneof![20 => Just(0_u8), 1 => Just(1), 1 => Just(2)],
        0..4_u8,
        prop::option::of((1..20_u64, 1..60_u64)),
    )
        .prop_map(
            |(labels, group, coverage, patches, kept_back, busy, unhealthy, reboot, way, takes)| {
                ComponentSpec {
                    labels: [labels.0, labels.1, labels.2],
                    group,
                    coverage,
                    patches,
                    kept_back,
                    busy,
                    unhealthy,
                    reboot_wanted: reboot,
                    way_back: way,
                    takes,
                }
            },
        )
}

/// A policy file of random rules; the selectors of rings use other labels than orders do, so that the two may
/// contradict each other and mostly do not.
fn policy_text() -> impl Strategy<Value = String> {
    let ring = (
        select(vec![
            "stage = 0",
            "stage = 1",
            "tier = 2",
            "stage in (0, 1)",
            "not stage = 2",
        ]),
        select(vec!["1", "2", "3", "50% of ring", "10% of ring", "all"]),
        select(vec!["0s", "1h", "24h", "3d"]),
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.3, select(vec!["nights", "weekend"])),
    );
    let windows = select(vec![
        "",
        "[[window]]\nname = \"always\"\nwhen = \"any time\"\n",
    ]);
    let order = select(vec![
        "",
        "[[order]]\nwithin = \"app\"\nsteps = [\"tier = 0\", \"tier = 1\", \"tier = 2\"]\n",
        "[[order]]\nwithin = \"tier\"\nsteps = [\"app = 2\", \"app = 0\"]\n",
    ]);
    let exception = select(vec![
        "",
        "[[exception]]\nmatch = \"p0\"\nbecause = \"later\"\nrisk_owner = \"dana\"\nuntil = 2026-10-25\n",
        "[[exception]]\nmatch = \"p*\"\nselect = \"tier = 1\"\nbecause = \"never\"\nrisk_owner = \"dana\"\nuntil = 2027-10-25\n",
        "[[exception]]\nmatch = \"p1\"\nbecause = \"over\"\nrisk_owner = \"dana\"\nuntil = 2026-10-21\n",
    ]);
    let take = select(vec![
        "",
        "[patches]\ntake = [\"security\"]\n",
        "[patches]\ntake = [\"security\", \"bugfix\", \"enhancement\", \"other\"]\n",
    ]);
    let reboot = select(vec![
        "",
        "[reboot]\npending_before = \"reboot_first\"\n",
        "[reboot]\nwhen = \"always\"\npending_before = \"fold_in\"\n",
        "[reboot]\nwhen = \"never\"\n",
    ]);
    let check = select(vec![
        "",
        "[[check]]\ncommand = [\"true\"]\nwithin = \"1m\"\nsteady = \"5m\"\n",
        "[[check]]\nselect = \"tier = 1\"\nhttp = \"http://{address}/\"\n",
    ]);
    (vec(ring, 0..3), prop::bool::weighted(0.9), windows, order, exception, take, reboot, check).prop_map(
        |(rings, rest, windows, order, exception, take, reboot, check)| {
            let mut text = String::from("[approval]\nfrom = [\"maria\", \"jon\"]\n");
            text.push_str("[[window]]\nname = \"nights\"\nzone = \"Europe/Berlin\"\nwhen = \"mon..fri\"\nfrom = \"22:00\"\nuntil = \"00:30\"\n");
            text.push_str("[[window]]\nname = \"weekend\"\nzone = \"America/New_York\"\nwhen = \"sat, sun\"\n");
            text.push_str("[[blackout]]\nfrom = 2026-10-26\nto = 2026-10-27\nbecause = \"fair\"\n");
            text.push_str(windows);
            let n = rings.len();
            for (at, (select, at_once, soak, after, approval, window)) in
                rings.into_iter().enumerate()
            {
                text.push_str(&format!(
                    "[[ring]]\nname = \"r{at}\"\nselect = \"{select}\"\nat_once = \"{at_once}\"\nsoak = \"{soak}\"\nneeds_approval = {approval}\n"
                ));
                if let Some(window) = window {
                    text.push_str(&format!("window = \"{window}\"\n"));
                }
                if after && at > 0 {
                    text.push_str(&format!(
                        "start_after = {{ ring = \"r{}\", success = \"50%\" }}\n",
                        at - 1
                    ));
                }
            }
            if rest || n == 0 {
                text.push_str("[[ring]]\nname = \"rest\"\nselect = \"*\"\nat_once = \"25% of ring\"\n");
            }
            for part in [order, exception, take, reboot, check] {
                text.push_str(part);
            }
            text
        },
    )
}

pub(crate) fn spec() -> impl Strategy<Value = Spec> {
    (
        vec(component_spec(), 1..24),
        [0..3_usize, 0..3_usize],
        vec((0..24_usize, 0..24_usize), 0..30),
        prop::bool::weighted(0.1),
        policy_text(),
    )
        .prop_map(
            |(components, keep_up, depends, listing_fails, policy)| Spec {
                components,
                keep_up,
                depends,
                listing_fails,
                policy,
            },
        )
}

/// A generator of orders: a few bits are enough, and it needs no crate.
pub(crate) struct Shuffle(pub(crate) u64);

impl Shuffle {
    pub(crate) fn mix<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            // xorshift64 (Marsaglia 2003); a seed of 0 would stay 0 and leaves the order as it is.
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            if self.0 != 0 {
                items.swap(i, usize::try_from(self.0 % (i as u64 + 1)).unwrap());
            }
        }
    }
}

pub(crate) fn name(at: usize) -> ComponentId {
    format!("c-{at:02}").into()
}

pub(crate) fn denials() -> Vec<Denial> {
    vec![Denial {
        patch: "p5".into(),
        version: "v1".into(),
        component: "elsewhere".into(),
        run: RunId(3),
        at: "2026-10-01T00:00:00Z".parse().unwrap(),
        why: "it broke".to_owned(),
    }]
}

impl Spec {
    /// The estate, its parts answered in an order that the seed mixes; 0 leaves it as it is.
    pub(crate) fn inventory(&self, seed: u64) -> Inventory {
        let mut shuffle = Shuffle(seed);
        let mut tool = Answers {
            tool: Some(Tool {
                version: "1".to_owned(),
                can: ["apply", "stage", "reboot", "roll_back"]
                    .map(str::to_owned)
                    .into(),
                evidence: BTreeMap::new(),
            }),
            probes: vec!["command".to_owned()],
            ..Answers::default()
        };
        let mut other = tool.clone();
        other.probes = vec!["http".to_owned()];
        let mut listing = Listing::default();
        let mut groups: [Vec<ComponentId>; 2] = Default::default();
        for (at, component) in self.components.iter().enumerate() {
            let id = name(at);
            let mut sighting = Sighting::new(id.clone(), ComponentKind::Guest, now());
            for (key, value) in LABELS.iter().zip(component.labels) {
                if let Some(value) = value {
                    sighting = sighting.with_label(*key, value.to_string());
                }
            }
            if at % 3 > 0 {
                sighting = sighting.with_address(format!("10.0.0.{at}"));
            }
            listing.sightings.push(sighting);
            if let Some(group) = component.group {
                groups[group].push(id.clone());
            }
            component.answer(&id, &mut tool, &mut other, &mut shuffle);
        }
        for (at, members) in groups
            .into_iter()
            .enumerate()
            .filter(|(_, m)| !m.is_empty())
        {
            let mut group = RedundancyGroup::all_but_one(format!("g{at}"), Role::Dns, members);
            group.keep_up = u32::try_from(self.keep_up[at].min(group.members.len())).unwrap();
            listing.groups.push(group);
        }
        for (from, to) in self.dependencies() {
            listing
                .relations
                .push(Relation::new(from, RelationKind::DependsOn, to));
        }
        shuffle.mix(&mut listing.sightings);
        shuffle.mix(&mut listing.groups);
        shuffle.mix(&mut listing.relations);
        tool.listing = Some(Ok(listing));
        let answers: BTreeMap<ProviderName, Answers> = [
            ("alpha", tool),
            ("beta", other),
            (
                "gamma",
                Answers {
                    listing: self.listing_fails.then(|| Err(unreachable("gamma"))),
                    ..Answers::default()
                },
            ),
        ]
        .map(|(name, answers)| (name.into(), answers))
        .into();
        let mut inventory = discover("props".into(), now(), &answers).unwrap();
        shuffle.mix(&mut inventory.gaps);
        for findings in inventory.findings.values_mut() {
            shuffle.mix(findings);
        }
        inventory
    }

    /// Who needs whom; mostly down a ranking that has nothing to do with names, so that circles are rare and
    /// the order of names is no help.
    pub(crate) fn dependencies(&self) -> Vec<(ComponentId, ComponentId)> {
        let n = self.components.len();
        // 11 and 24 share no factor, so that no two of at most 24 components have the same rank.
        let rank = |at: usize| at * 11 % 24;
        self.depends
            .iter()
            .map(|(a, b)| (a % n, b % n))
            .filter(|(a, b)| a != b && (rank(*a) > rank(*b) || (a + b) % 17 == 0))
            .map(|(a, b)| (name(a), name(b)))
            .collect()
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::from_toml(&self.policy, "policy.toml").unwrap()
    }

    pub(crate) fn plan_of(&self, inventory: &Inventory) -> Result<Plan> {
        plan(&PlanInput {
            inventory,
            policy: &self.policy(),
            requested_by: &"sam".into(),
            now: now(),
            denials: &denials(),
            references: &[],
        })
    }
}

fn unreachable(who: &str) -> Failure {
    Failure::from(&Error::new(
        ErrorKind::Unreachable,
        format!("{who} does not answer"),
    ))
}

impl ComponentSpec {
    fn answer(
        &self,
        id: &ComponentId,
        tool: &mut Answers,
        other: &mut Answers,
        shuffle: &mut Shuffle,
    ) {
        let (mut scan, mut offer) = self.scan();
        shuffle.mix(&mut offer.patches);
        shuffle.mix(&mut offer.kept_back);
        scan.available = None;
        match self.coverage {
            Coverage::Nobody => return,
            Coverage::Unread => {
                tool.scans.insert(id.clone(), Err(unreachable(id.as_str())));
                return;
            }
            Coverage::OfferUnread => {
                tool.available
                    .insert(id.clone(), Err(unreachable("the mirror")));
            }
            Coverage::NoOffer => {}
            Coverage::Tool | Coverage::TwoTools => {
                tool.available.insert(id.clone(), Ok(offer.clone()));
            }
        }
        if self.coverage == Coverage::TwoTools {
            other.scans.insert(id.clone(), Ok(scan.clone()));
            other.available.insert(id.clone(), Ok(offer));
        }
        tool.scans.insert(id.clone(), Ok(scan));
    }

    fn scan(&self) -> (Scan, Available) {
        let mut scan = Scan::new(now(), BTreeMap::new());
        let mut offer = Available::nothing(now());
        for spec in &self.patches {
            let id = format!("p{}", spec.id);
            let to = format!("v{}", spec.to);
            let there = if spec.installed_already { &*to } else { "v0" };
            let from = match spec.from {
                0 => Some("v0".into()),
                1 => None,
                _ => Some("v-other".into()),
            };
            scan.installed.insert(id.as_str().into(), there.into());
            let mut patch = Patch::new(id, from, to, spec.class);
            patch.impact = spec.impact;
            patch.recalled = spec.recalled.then(|| "it breaks".to_owned());
            if spec.carries_denied {
                patch.contains.insert(("p5".into(), "v1".into()));
            }
            offer.patches.push(patch);
        }
        for (id, reason) in &self.kept_back {
            offer.kept_back.push(KeptBack {
                patch: format!("p{id}").into(),
                from: None,
                to: Some("v9".into()),
                reason: match reason {
                    0 => KeptBackReason::Held,
                    1 => KeptBackReason::Phased { percent: 20 },
                    2 => KeptBackReason::Dependency,
                    _ => KeptBackReason::WouldRemove {
                        removes: vec!["p0".into()],
                    },
                },
            });
        }
        scan.busy = self.busy.then(|| Busy {
            what: "dpkg".to_owned(),
            holder: "apt (pid 4)".to_owned(),
            since: None,
        });
        if self.unhealthy {
            scan.unhealthy.push(Unhealthy {
                what: "p0 is half-configured".to_owned(),
                remedy: "configure it".to_owned(),
            });
        }
        scan.reboot_wanted = match self.reboot_wanted {
            0 => Some(Vec::new()),
            1 => Some(vec!["kernel".to_owned()]),
            _ => None,
        };
        let by = WayBackKind::OldPackages;
        scan.way_back = match self.way_back {
            0 => None,
            1 => Some(WayBack::Ready { by }),
            2 => Some(WayBack::Partial {
                by,
                missing: vec!["p0".into()],
                why: "gone".to_owned(),
            }),
            _ => Some(WayBack::None {
                why: "no room".to_owned(),
            }),
        };
        let minutes = |n: u64| Duration::from_secs(60 * n);
        scan.takes = self
            .takes
            .map(|(p50, p95)| Estimate::new(minutes(p50), minutes(p95)));
        (scan, offer)
    }
}
