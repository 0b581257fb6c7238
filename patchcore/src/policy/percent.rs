//! A share in whole percent: `95%`.

use std::{fmt, str::FromStr};

use super::word::{WordError, stored_as_words};

/// A share in whole percent, from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(100);

    /// A share; `None` above 100.
    #[must_use]
    pub const fn new(percent: u8) -> Option<Self> {
        if percent <= 100 {
            Some(Self(percent))
        } else {
            None
        }
    }

    /// The number before the sign.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether `part` of `whole` is at least this share; nothing of nothing reaches no share.
    #[must_use]
    pub const fn is_reached_by(self, part: usize, whole: usize) -> bool {
        whole > 0 && part as u128 * 100 >= self.0 as u128 * whole as u128
    }

    /// This share of `whole`, rounded down.
    #[must_use]
    pub const fn of(self, whole: usize) -> usize {
        // The quotient is at most `whole`, so that it fits again.
        (whole as u128 * self.0 as u128 / 100) as usize
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl FromStr for Percent {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        text.strip_suffix('%')
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .and_then(Self::new)
            .ok_or_else(|| WordError::new(text, "a whole percentage up to 100%", "95%"))
    }
}

stored_as_words!(Percent, "a share in whole percent, such as \"95%\"");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_percent() {
        for text in ["0%", "95%", "100%"] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), text);
        }
        for text in ["95", "101%", "9.5%", "-1%", "%", "", "+5%", "95 %", "300%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_reached_exactly() {
        let most = Percent(95);
        assert!(most.is_reached_by(19, 20));
        assert!(!most.is_reached_by(18, 20));
        assert!(
            !most.is_reached_by(0, 0),
            "nothing of nothing proves nothing"
        );
        assert_eq!(Percent::ALL.of(usize::MAX), usize::MAX);
        assert_eq!(Percent(10).of(19), 1);
    }
}
