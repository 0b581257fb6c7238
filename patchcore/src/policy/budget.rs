//! How many may be out of service together, and how many may fail.

use std::{fmt, str::FromStr};

use super::{
    percent::Percent,
    word::{WordError, stored_as_words},
};

/// The disruption budget of a ring: how many of its components may be out of service together.
///
/// Written `3`, `10% of ring` or `all`. A component that is not back in healthy service keeps its
/// place in the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Budget {
    /// So many components.
    Count(u32),
    /// A share of the ring; rounds down, at least 1.
    ShareOfRing(Percent),
    /// The whole ring together.
    All,
}

impl Budget {
    /// How many of a ring of `n` components may be out of service together: at most `n`, and at
    /// least 1 of a ring that is not empty.
    #[must_use]
    pub fn of(self, n: usize) -> usize {
        let wanted = match self {
            Self::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Self::ShareOfRing(share) => share.of(n),
            Self::All => n,
        };
        wanted.max(1).min(n)
    }
}

impl Default for Budget {
    /// One at a time.
    fn default() -> Self {
        Self::Count(1)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::ShareOfRing(share) => write!(f, "{share} of ring"),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for Budget {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let wrong = || WordError::new(text, "a disruption budget", "10% of ring");
        if text == "all" {
            return Ok(Self::All);
        }
        if let Some(share) = text.strip_suffix(" of ring") {
            let share: Percent = share.trim_end().parse().map_err(|_| wrong())?;
            if share.get() == 0 {
                return Err(wrong().because("nothing could ever start"));
            }
            return Ok(Self::ShareOfRing(share));
        }
        if text.ends_with('%') {
            return Err(wrong().because("write what it is a share of"));
        }
        match count(text) {
            Some(0) => Err(wrong().because("nothing could ever start")),
            Some(count) => Ok(Self::Count(count)),
            None => Err(wrong()),
        }
    }
}

stored_as_words!(
    Budget,
    "how many of the ring may be out of service together: \"3\", \"10% of ring\" (rounds down, at least 1) or \"all\""
);

/// How many components of a ring may fail before the ring halts.
///
/// Written `0`, `2` or `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tolerance {
    /// So many components.
    Count(u32),
    /// A share of the ring, rounded down.
    Share(Percent),
}

impl Tolerance {
    /// Whether a ring of `n` components goes on after `failed` of them failed.
    #[must_use]
    pub fn allows(self, failed: usize, n: usize) -> bool {
        match self {
            Self::Count(count) => failed <= usize::try_from(count).unwrap_or(usize::MAX),
            Self::Share(share) => failed <= share.of(n),
        }
    }
}

impl Default for Tolerance {
    /// The first failure halts the ring.
    fn default() -> Self {
        Self::Count(0)
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl FromStr for Tolerance {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let wrong = || WordError::new(text, "a number of failures or a percentage", "5%");
        if text.ends_with('%') {
            return text.parse().map(Self::Share).map_err(|_| wrong());
        }
        count(text).map(Self::Count).ok_or_else(wrong)
    }
}

stored_as_words!(
    Tolerance,
    "failures per ring before it halts: a number such as \"0\" or a share such as \"5%\""
);

fn count(text: &str) -> Option<u32> {
    // `u32::from_str` would also take a leading plus sign.
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_rounds_down_and_never_to_nothing() {
        for (text, n, expected) in [
            ("3", 10, 3),
            ("3", 2, 2),
            ("3", 0, 0),
            ("10% of ring", 30, 3),
            ("10% of ring", 39, 3),
            ("10% of ring", 5, 1),
            ("10% of ring", 0, 0),
            ("100% of ring", 7, 7),
            ("all", 7, 7),
            ("all", 0, 0),
        ] {
            let budget: Budget = text.parse().unwrap();
            assert_eq!(budget.of(n), expected, "{text} of {n}");
            assert_eq!(budget.to_string(), text);
        }
        for text in [
            "",
            "0",
            "0% of ring",
            "10%",
            "10 % of ring",
            "101% of ring",
            "-1",
            "+1",
            "All",
            "4294967296",
        ] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_tolerance_counts_or_measures() {
        for (text, failed, n, goes_on) in [
            ("0", 0, 10, true),
            ("0", 1, 10, false),
            ("2", 2, 2, true),
            ("5%", 1, 20, true),
            ("5%", 1, 19, false),
            ("0%", 0, 0, true),
            ("0%", 1, 100, false),
        ] {
            let tolerance: Tolerance = text.parse().unwrap();
            assert_eq!(
                tolerance.allows(failed, n),
                goes_on,
                "{failed} of {n} under {text}"
            );
            assert_eq!(tolerance.to_string(), text);
        }
        for text in ["", "-1", "1.5", "101%", "two", "+1"] {
            assert!(text.parse::<Tolerance>().is_err(), "{text}");
        }
    }
}
