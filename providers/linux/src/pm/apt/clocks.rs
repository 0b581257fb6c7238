//! The machine's clock beside ours.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use patchcore::estate::Unhealthy;

use super::Facts;

/// How far a machine's clock may be from ours. Kerberos, which is the strictest that machines commonly meet, lets
/// five minutes pass by default (RFC 4120 §1.6); a machine that asks a time server is right within a second.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// When a machine was read by our clock, and how far its own is from that.
///
/// No time of the machine is held against one of ours before it went through [`Clocks::ours`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// When it was asked, by our clock.
    pub(crate) at: Timestamp,
    /// How far its clock is ahead of ours; zero within the tolerance.
    ahead: SignedDuration,
}

impl Clocks {
    /// A machine whose clock is ours.
    pub(crate) fn agreed(at: Timestamp) -> Self {
        Self {
            at,
            ahead: SignedDuration::ZERO,
        }
    }

    /// What a machine said between two moments of ours. Nobody knows when in between that was.
    pub(crate) fn compared(asked: Timestamp, answered: Timestamp, facts: &Facts) -> Self {
        let theirs = facts.now;
        // The machine tells whole seconds, so that up to one second of what looks late is rounding.
        let ahead = if theirs > answered {
            theirs.duration_since(answered)
        } else if theirs < asked {
            theirs.duration_since(asked)
        } else {
            SignedDuration::ZERO
        };
        Self {
            at: asked,
            ahead: match ahead.unsigned_abs() > TOLERANCE {
                true => ahead,
                false => SignedDuration::ZERO,
            },
        }
    }

    /// A time of the machine's clock, by ours.
    pub(crate) fn ours(&self, theirs: Timestamp) -> Timestamp {
        theirs
            .checked_sub(self.ahead)
            .unwrap_or(if self.ahead.is_negative() {
                Timestamp::MAX
            } else {
                Timestamp::MIN
            })
    }

    /// The fault that a wrong clock is.
    pub(crate) fn fault(&self) -> Option<Unhealthy> {
        if self.ahead.is_zero() {
            return None;
        }
        let way = match self.ahead.is_negative() {
            true => "behind",
            false => "ahead",
        };
        Some(Unhealthy {
            what: format!("its clock is {} {way}", words(self.ahead.unsigned_abs())),
            remedy: "set it, for example with `timedatectl set-ntp true`, and plan again: apt takes no repository \
                     whose dates the clock contradicts, and TLS no certificate"
                .to_owned(),
        })
    }
}

/// The two largest units: `2 years 41 days`, `7 min 3 s`.
fn words(of: Duration) -> String {
    const UNITS: [(u64, &str, &str); 5] = [
        (365 * 86_400, "year", "years"),
        (86_400, "day", "days"),
        (3600, "h", "h"),
        (60, "min", "min"),
        (1, "s", "s"),
    ];
    let mut left = of.as_secs();
    let mut said: Vec<String> = Vec::new();
    for (size, one, many) in UNITS {
        let count = left / size;
        left %= size;
        if count > 0 && said.len() < 2 {
            said.push(format!("{count} {}", if count == 1 { one } else { many }));
        } else if !said.is_empty() {
            break;
        }
    }
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pm::apt::AptScan;

    const STATES: &str = include_str!("../../../tests/fixtures/scan-states.txt");

    fn compared(after_seconds: i64) -> (Clocks, Timestamp) {
        let read = AptScan::parse("fixture", STATES.as_bytes()).unwrap();
        let asked = read.facts.now - SignedDuration::from_secs(after_seconds);
        let answered = asked + SignedDuration::from_secs(2);
        (
            Clocks::compared(asked, answered, &read.facts),
            read.facts.now,
        )
    }

    #[test]
    fn a_clock_is_wrong_beyond_five_minutes_and_its_times_are_then_ours() {
        for (ahead, fault) in [
            (0, None),
            (2, None),
            (300, None),
            (-300, None),
            (303, Some("its clock is 5 min 1 s ahead")),
            (-301, Some("its clock is 5 min 1 s behind")),
            (-86_400 * 400, Some("its clock is 1 year 35 days behind")),
            (86_400 * 2 + 7, Some("its clock is 2 days ahead")),
        ] {
            let (clocks, theirs) = compared(ahead);
            let found = clocks.fault().map(|fault| fault.what);
            assert_eq!(found.as_deref(), fault, "{ahead}");
            // What the machine calls now is about when it was asked.
            let off = clocks.ours(theirs).duration_since(clocks.at);
            assert!(
                off.unsigned_abs() <= TOLERANCE + Duration::from_secs(2),
                "{ahead}: {off}"
            );
        }
    }
}
