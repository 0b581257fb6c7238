//! A time on the wall clock: `22:00`.

use jiff::civil::Time;

use super::word::WordError;

/// Reads a time of day such as `04:00` or `04:00:30`, in 24 hours.
///
/// # Errors
/// Anything else; midnight is `00:00`, also where it ends a day.
pub fn parse_time_of_day(text: &str) -> Result<Time, WordError> {
    let wrong = || WordError::new(text, "a time of day", "04:00");
    let parts: Vec<&str> = text.split(':').collect();
    if !(parts.len() == 2 || parts.len() == 3)
        || parts
            .iter()
            .any(|part| part.len() != 2 || !part.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(wrong());
    }
    if text == "24:00" {
        return Err(wrong().because("midnight is written \"00:00\""));
    }
    let number = |index: usize| {
        parts
            .get(index)
            .map_or(Some(0), |part| part.parse::<i8>().ok())
    };
    match (number(0), number(1), number(2)) {
        (Some(hour), Some(minute), Some(second)) => {
            Time::new(hour, minute, second, 0).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

/// Writes a time of day as [`parse_time_of_day`] reads it.
#[must_use]
pub fn time_of_day_words(time: Time) -> String {
    if time.second() == 0 {
        format!("{:02}:{:02}", time.hour(), time.minute())
    } else {
        format!(
            "{:02}:{:02}:{:02}",
            time.hour(),
            time.minute(),
            time.second()
        )
    }
}

/// For `#[serde(with = "…")]`: a time of day stored as its words.
pub(crate) mod words {
    use std::borrow::Cow;

    use jiff::civil::Time;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(value: &Time, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::time_of_day_words(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        super::parse_time_of_day(&Cow::<str>::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_wall_clock() {
        for text in ["00:00", "04:00", "22:00", "23:59", "04:00:30"] {
            assert_eq!(time_of_day_words(parse_time_of_day(text).unwrap()), text);
        }
        for text in [
            "4", "4:00", "24:00", "25:00", "12:60", "12:00:60", "", "12", "1:2:3", "+1:00",
            "12:00 ",
        ] {
            let error = parse_time_of_day(text).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("is not a time of day, expected such as \"04:00\""),
                "{text}"
            );
        }
        assert!(
            parse_time_of_day("24:00")
                .unwrap_err()
                .to_string()
                .ends_with("midnight is written \"00:00\"")
        );
    }
}
