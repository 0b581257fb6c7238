//! On which days a window opens.

use std::{fmt, str::FromStr};

use jiff::{
    ToSpan as _,
    civil::{Date, Weekday},
};

use super::word::{WordError, stored_as_words};

const SHORT: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const LONG: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const NTH: [(&str, i8); 5] = [
    ("first", 1),
    ("second", 2),
    ("third", 3),
    ("fourth", 4),
    ("last", -1),
];

/// On which days a window opens.
///
/// Written `mon..thu`, `sat`, `mon, wed`, `daily`, `second tuesday + 5d`, `last friday` or
/// `any time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Recurrence {
    /// Always open; blackouts still close it.
    AnyTime,
    /// On some days of every week.
    Weekly(Weekdays),
    /// Once a month.
    Monthly(NthWeekday),
}

impl Recurrence {
    /// Every day of the week.
    pub const DAILY: Self = Self::Weekly(Weekdays(0b111_1111));

    /// Whether a window opens on this civil date.
    #[must_use]
    pub fn falls_on(&self, date: Date) -> bool {
        match self {
            Self::AnyTime => true,
            Self::Weekly(days) => days.contains(date.weekday()),
            Self::Monthly(nth) => nth.falls_on(date),
        }
    }
}

/// A set of days of the week; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Weekdays(u8);

impl Weekdays {
    /// The days given; `None` where there are none.
    pub fn new(days: impl IntoIterator<Item = Weekday>) -> Option<Self> {
        let bits = days.into_iter().fold(0, |bits, day| bits | bit(index(day)));
        (bits != 0).then_some(Self(bits))
    }

    /// Whether the day is one of them.
    #[must_use]
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & bit(index(day)) != 0
    }
}

/// One day of every month: the nth of its weekday, and some days on from there.
///
/// `second tuesday + 5d` is the Sunday after the second Tuesday, never the second Sunday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NthWeekday {
    nth: i8,
    weekday: Weekday,
    offset_days: i8,
}

impl NthWeekday {
    /// The `nth` (1 to 4, or -1 for the last) `weekday` of a month, moved by `offset_days` (-27 to
    /// 27, so that every month keeps exactly one day of its own).
    #[must_use]
    pub fn new(nth: i8, weekday: Weekday, offset_days: i8) -> Option<Self> {
        let known = NTH.iter().any(|(_, number)| *number == nth);
        (known && (-27..=27).contains(&offset_days)).then_some(Self {
            nth,
            weekday,
            offset_days,
        })
    }

    /// Whether this is the day; the month that counts is the one of the nth weekday, so that an
    /// offset may lead into the next month.
    #[must_use]
    pub fn falls_on(self, date: Date) -> bool {
        date.checked_sub(i32::from(self.offset_days).days())
            .and_then(|base| Ok(base == base.nth_weekday_of_month(self.nth, self.weekday)?))
            .unwrap_or(false)
    }
}

fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

fn bit(index: usize) -> u8 {
    1 << (index % 7)
}

fn day_named(name: &str) -> Option<usize> {
    SHORT
        .iter()
        .position(|day| *day == name)
        .or_else(|| LONG.iter().position(|day| *day == name))
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyTime => f.write_str("any time"),
            Self::Weekly(days) => days.fmt(f),
            Self::Monthly(nth) => nth.fmt(f),
        }
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0b111_1111 {
            return f.write_str("daily");
        }
        let mut written = false;
        let mut day = 0;
        while day < 7 {
            if self.0 & bit(day) == 0 {
                day += 1;
                continue;
            }
            let mut last = day;
            while last < 6 && self.0 & bit(last + 1) != 0 {
                last += 1;
            }
            f.write_str(if written { ", " } else { "" })?;
            written = true;
            match last - day {
                0 => f.write_str(SHORT[day])?,
                1 => write!(f, "{}, {}", SHORT[day], SHORT[last])?,
                _ => write!(f, "{}..{}", SHORT[day], SHORT[last])?,
            }
            day = last + 1;
        }
        Ok(())
    }
}

impl fmt::Display for NthWeekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nth = NTH
            .iter()
            .find(|(_, number)| *number == self.nth)
            .map_or("", |(word, _)| word);
        write!(f, "{nth} {}", LONG[index(self.weekday)])?;
        match self.offset_days {
            0 => Ok(()),
            days if days > 0 => write!(f, " + {days}d"),
            days => write!(f, " - {}d", days.unsigned_abs()),
        }
    }
}

impl FromStr for Recurrence {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let wrong = || WordError::new(text, "a recurrence", "mon..thu");
        let lower = text.trim().to_lowercase();
        match lower.as_str() {
            "any time" => return Ok(Self::AnyTime),
            "daily" => return Ok(Self::DAILY),
            _ => {}
        }
        let first_word = lower.split_whitespace().next().unwrap_or_default();
        if let Some((_, nth)) = NTH.iter().find(|(word, _)| *word == first_word) {
            return monthly(
                *nth,
                lower
                    .split_whitespace()
                    .skip(1)
                    .collect::<String>()
                    .as_str(),
            )
            .map(Self::Monthly)
            .map_err(|detail| wrong().because(detail));
        }
        let mut days = 0;
        for part in lower.split(',') {
            let (from, to) = match part.split_once("..") {
                Some((from, to)) => (from.trim(), to.trim()),
                None => (part.trim(), part.trim()),
            };
            let named = |name: &str| {
                day_named(name).ok_or_else(|| {
                    wrong().because(format!(
                        "{name:?} is not a day of the week such as \"mon\" or \"monday\""
                    ))
                })
            };
            let (mut day, last) = (named(from)?, named(to)?);
            // A range may run over the end of the week: "fri..mon" is four days.
            loop {
                days |= bit(day);
                if day == last {
                    break;
                }
                day = (day + 1) % 7;
            }
        }
        Ok(Self::Weekly(Weekdays(days)))
    }
}

/// Reads what follows the ordinal, without white space: `tuesday`, `tuesday+5d`.
fn monthly(nth: i8, rest: &str) -> Result<NthWeekday, String> {
    let (day, offset) = match rest.find(['+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let weekday = day_named(day)
        .and_then(|day| i8::try_from(day).ok())
        .and_then(|day| Weekday::from_monday_zero_offset(day).ok())
        .ok_or_else(|| format!("{day:?} is not a day of the week such as \"tuesday\""))?;
    let offset_days = match offset.strip_suffix('d') {
        None if offset.is_empty() => 0,
        Some(number) if number.len() > 1 => number.parse::<i8>().unwrap_or(i8::MAX),
        _ => {
            return Err(format!(
                "{offset:?} is not a number of days such as \"+ 5d\""
            ));
        }
    };
    NthWeekday::new(nth, weekday, offset_days)
        .ok_or_else(|| format!("{offset:?} is not a number of days up to 27"))
}

stored_as_words!(
    Recurrence,
    "the days on which a window opens: \"mon..thu\", \"sat\", \"mon, wed\", \"daily\", \"second tuesday + 5d\", \"last friday\" or \"any time\""
);

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes_one_form() {
        for (text, written) in [
            ("mon..thu", "mon..thu"),
            ("sat", "sat"),
            ("mon, wed", "mon, wed"),
            ("wed,mon", "mon, wed"),
            ("Monday .. Wednesday, sat", "mon..wed, sat"),
            ("fri..mon", "mon, fri..sun"),
            ("mon..sun", "daily"),
            ("daily", "daily"),
            ("any time", "any time"),
            ("second tuesday + 5d", "second tuesday + 5d"),
            ("second tue+5d", "second tuesday + 5d"),
            ("last friday", "last friday"),
            ("first monday - 3d", "first monday - 3d"),
        ] {
            let recurrence: Recurrence = text.parse().unwrap();
            assert_eq!(recurrence.to_string(), written, "{text}");
        }
    }

    #[test]
    fn refuses_and_says_why() {
        for (text, detail) in [
            ("", "\"\" is not a day of the week"),
            ("weekdays", "\"weekdays\" is not a day"),
            ("mon..", "\"\" is not a day"),
            ("mon,,tue", "\"\" is not a day"),
            ("second", "\"\" is not a day"),
            ("second tuesday + 5", "\"+5\" is not a number of days"),
            ("second tuesday + d", "\"+d\" is not a number of days"),
            ("second tuesday + 28d", "up to 27"),
            ("second tuesday + 999d", "up to 27"),
            ("fifth friday", "\"fifth friday\" is not a day"),
        ] {
            let error = text.parse::<Recurrence>().unwrap_err().to_string();
            assert!(error.contains(detail), "{text}: {error}");
        }
    }

    #[test]
    fn the_offset_leads_on_from_the_nth_weekday() {
        let patch_sunday: Recurrence = "second tuesday + 5d".parse().unwrap();
        // September 2026 begins on a Tuesday: its second Tuesday is the 8th.
        assert!(patch_sunday.falls_on(date(2026, 9, 13)));
        assert!(!patch_sunday.falls_on(date(2026, 9, 6)));
        let into_next_month: Recurrence = "last friday + 7d".parse().unwrap();
        assert!(into_next_month.falls_on(date(2026, 12, 4)));
        let before: Recurrence = "first monday - 3d".parse().unwrap();
        assert!(
            before.falls_on(date(2026, 7, 31)),
            "the first Monday of August is the 3rd"
        );
    }

    proptest! {
        #[test]
        fn every_month_has_one_day_of_its_own(
            nth in prop::sample::select(vec![1_i8, 2, 3, 4, -1]), day in 0_i8..7, offset in -27_i8..=27,
        ) {
            let nth = NthWeekday::new(nth, Weekday::from_monday_zero_offset(day).unwrap(), offset).unwrap();
            let mut on = date(2026, 1, 1);
            let mut found = 0;
            while on < date(2030, 1, 1) {
                found += i32::from(nth.falls_on(on));
                on = on.tomorrow().unwrap();
            }
            // Four years of months; an offset can move one month's day over either edge.
            prop_assert!((47..=49).contains(&found), "{found}");
        }

        #[test]
        fn written_days_read_back(bits in 1_u8..128) {
            let weekly = Recurrence::Weekly(Weekdays(bits));
            prop_assert_eq!(weekly.to_string().parse::<Recurrence>(), Ok(weekly));
        }
    }
}
