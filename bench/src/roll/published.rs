//! The published figures of the models of other tools, so that none is weaker here than where it was first measured.

use super::peers::Peer;

/// Mean of the five first seeds, of those that the tool completes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    pub(crate) hosts: usize,
    /// In per cent.
    pub(crate) full: u32,
    pub(crate) peer: Peer,
    /// Memory moved, in all memory.
    pub(crate) moved: f64,
    pub(crate) hours: f64,
    /// How many of the five seeds it completes.
    pub(crate) done: usize,
}

const fn of(hosts: usize, full: u32, peer: Peer, moved: f64, hours: f64, done: usize) -> Published {
    Published {
        hosts,
        full,
        peer,
        moved,
        hours,
        done,
    }
}

/// At 4 hosts that are 85 % full nothing is possible.
pub(crate) const PUBLISHED: [Published; 40] = [
    of(4, 50, Peer::Cau, 2.000, 1.93, 5),
    of(4, 50, Peer::Random, 1.548, 1.74, 5),
    of(4, 50, Peer::MostFree, 1.258, 1.69, 5),
    of(4, 50, Peer::XenOrchestra, 2.059, 1.95, 5),
    of(4, 50, Peer::Spread, 1.258, 1.69, 5),
    of(4, 70, Peer::Cau, 2.000, 2.04, 4),
    of(4, 70, Peer::Random, 1.359, 1.80, 3),
    of(4, 70, Peer::MostFree, 1.262, 1.77, 4),
    of(4, 70, Peer::XenOrchestra, 1.809, 2.00, 4),
    of(4, 70, Peer::Spread, 1.266, 1.78, 5),
    of(16, 50, Peer::Cau, 2.000, 7.42, 5),
    of(16, 50, Peer::Random, 1.557, 6.86, 5),
    of(16, 50, Peer::MostFree, 1.068, 6.41, 5),
    of(16, 50, Peer::XenOrchestra, 2.033, 7.54, 5),
    of(16, 50, Peer::Spread, 1.564, 1.28, 5),
    of(16, 70, Peer::Cau, 2.000, 8.23, 5),
    of(16, 70, Peer::Random, 1.342, 7.18, 5),
    of(16, 70, Peer::MostFree, 1.070, 6.86, 5),
    of(16, 70, Peer::XenOrchestra, 1.572, 7.69, 5),
    of(16, 70, Peer::Spread, 1.268, 2.03, 5),
    of(16, 85, Peer::Cau, 2.000, 8.69, 2),
    of(16, 85, Peer::Random, 1.175, 7.26, 3),
    of(16, 85, Peer::MostFree, 1.064, 7.11, 3),
    of(16, 85, Peer::XenOrchestra, 1.322, 7.67, 3),
    of(16, 85, Peer::Spread, 1.079, 6.42, 5),
    of(64, 50, Peer::Cau, 2.000, 30.09, 5),
    of(64, 50, Peer::Random, 1.583, 27.57, 5),
    of(64, 50, Peer::MostFree, 1.034, 25.79, 5),
    of(64, 50, Peer::XenOrchestra, 2.013, 30.65, 5),
    of(64, 50, Peer::Spread, 1.688, 1.24, 5),
    of(64, 70, Peer::Cau, 2.000, 33.11, 5),
    of(64, 70, Peer::Random, 1.355, 28.77, 5),
    of(64, 70, Peer::MostFree, 1.032, 27.36, 5),
    of(64, 70, Peer::XenOrchestra, 1.511, 30.69, 5),
    of(64, 70, Peer::Spread, 1.339, 1.85, 5),
    of(64, 85, Peer::Cau, 2.000, 35.32, 3),
    of(64, 85, Peer::Random, 1.173, 29.17, 5),
    of(64, 85, Peer::MostFree, 1.030, 28.46, 5),
    of(64, 85, Peer::XenOrchestra, 1.246, 30.45, 5),
    of(64, 85, Peer::Spread, 1.131, 4.02, 5),
];
