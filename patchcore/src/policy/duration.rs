//! Durations as words: `24h`, `90m`, `2d`, `1h30m`.

use std::time::Duration;

use super::word::WordError;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Ten years: longer than any soak or validity that is meant, short enough that adding it to a
/// time of this century cannot overflow.
pub(crate) const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

/// Reads a duration such as `24h`, `90m`, `2d` or `1h30m`.
///
/// Units are `d` (exactly 24 hours), `h`, `m` and `s`, largest first, each at most once.
///
/// # Errors
/// A number without a unit, an unknown unit, or more than ten years.
pub fn parse_duration(text: &str) -> Result<Duration, WordError> {
    let wrong = |detail: &str| WordError::new(text, "a duration", "24h").because(detail);
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut seconds: u64 = 0;
    if rest.is_empty() {
        return Err(wrong("it is empty"));
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        if number.is_empty() {
            return Err(wrong("expected a whole number and a unit of d, h, m, s"));
        }
        let mut tail_chars = tail.chars();
        let Some(unit) = tail_chars.next() else {
            return Err(wrong("a number needs its unit"));
        };
        let Some((_, size)) = units.find(|(name, _)| *name == unit) else {
            return Err(wrong(
                "units are d, h, m, s, largest first, each at most once",
            ));
        };
        seconds = number
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(*size))
            .and_then(|part| part.checked_add(seconds))
            .filter(|sum| *sum <= LONGEST.as_secs())
            .ok_or_else(|| wrong("at most 3650d"))?;
        rest = tail_chars.as_str();
    }
    Ok(Duration::from_secs(seconds))
}

/// Writes a duration as [`parse_duration`] reads it, in whole seconds: `24h`, `2d`, `1h30m`, `0s`.
#[must_use]
pub fn duration_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    // One day is written as "24h", as people say it of a soak; from two days on, days read better.
    if seconds >= 2 * 86_400 && seconds.is_multiple_of(86_400) {
        return format!("{}d", seconds / 86_400);
    }
    let mut words = String::new();
    let mut rest = seconds;
    for (unit, size) in &UNITS[1..] {
        if rest >= *size {
            words.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if words.is_empty() {
        "0s".to_owned()
    } else {
        words
    }
}

/// For `#[serde(with = "…")]`: a duration stored as its words.
pub(crate) mod words {
    use std::{borrow::Cow, time::Duration};

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::duration_words(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        super::parse_duration(&Cow::<str>::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_words_with_units() {
        for (text, seconds) in [
            ("24h", 86_400),
            ("90m", 5_400),
            ("2d", 172_800),
            ("1h30m", 5_400),
            ("0s", 0),
            ("1d2h3m4s", 93_784),
            ("3650d", 315_360_000),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        for (text, detail) in [
            ("", "it is empty"),
            ("24", "a number needs its unit"),
            ("h", "expected a whole number"),
            ("-1h", "expected a whole number"),
            ("1.5h", "units are"),
            ("30m1h", "units are"),
            ("1h1h", "units are"),
            ("1 h", "units are"),
            ("1w", "units are"),
            ("3651d", "at most"),
            ("99999999999999999999d", "at most"),
        ] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains(detail), "{text}: {error}");
        }
    }

    #[test]
    fn writes_what_people_say() {
        for (seconds, text) in [
            (86_400, "24h"),
            (172_800, "2d"),
            (129_600, "36h"),
            (5_400, "1h30m"),
            (0, "0s"),
            (61, "1m1s"),
        ] {
            assert_eq!(duration_words(Duration::from_secs(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn written_words_read_back(seconds in 0..=LONGEST.as_secs()) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse_duration(&duration_words(duration)), Ok(duration));
        }
    }
}
