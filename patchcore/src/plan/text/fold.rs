//! Many names in few words: `web-01 … web-26`.

use crate::id::ComponentId;

/// A name with its last number apart, so that `web-9` comes before `web-10`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Numbered<'a> {
    before: &'a str,
    after: &'a str,
    number: Option<u64>,
    digits: &'a str,
}

impl<'a> Numbered<'a> {
    fn of(name: &'a str) -> Self {
        let end = name.rfind(|c: char| c.is_ascii_digit()).map(|i| i + 1);
        let (head, after) = name.split_at(end.unwrap_or(name.len()));
        let before = head.trim_end_matches(|c: char| c.is_ascii_digit());
        let before = if end.is_some() { before } else { head };
        let digits = &head[before.len()..];
        Self {
            before,
            after,
            number: digits.parse().ok(),
            digits,
        }
    }

    /// Whether `next` is the name that follows: `web-09`, `web-10`, and never `web-9`, `web-10` where others
    /// are written with leading zeros.
    fn is_followed_by(&self, next: &Self) -> bool {
        let counts_on = self.number.and_then(|n| n.checked_add(1)) == next.number;
        let padded = self.digits.starts_with('0') && self.digits.len() > 1;
        let same_width = self.digits.len() == next.digits.len();
        let grew = !padded && !next.digits.starts_with('0');
        self.number.is_some()
            && counts_on
            && (same_width || grew)
            && (self.before, self.after) == (next.before, next.after)
    }
}

/// Names in the order in which people count, runs of three and more folded to their ends. At most `most`
/// parts; the rest is counted.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a ComponentId>, most: usize) -> String {
    let mut sorted: Vec<(Numbered<'a>, &'a str)> = names
        .into_iter()
        .map(|id| (Numbered::of(id.as_str()), id.as_str()))
        .collect();
    sorted.sort();
    let mut runs: Vec<Vec<(&Numbered<'_>, &str)>> = Vec::new();
    for (number, name) in &sorted {
        match runs.last_mut() {
            Some(run)
                if run
                    .last()
                    .is_some_and(|(last, _)| last.is_followed_by(number)) =>
            {
                run.push((number, name));
            }
            _ => runs.push(vec![(number, name)]),
        }
    }
    let mut parts: Vec<(String, usize)> = Vec::new();
    for run in runs {
        match run.as_slice() {
            [(_, first), _, .., (_, last)] => {
                parts.push((format!("{first} … {last}"), run.len()));
            }
            short => parts.extend(short.iter().map(|(_, name)| ((*name).to_owned(), 1))),
        }
    }
    let rest: usize = parts.iter().skip(most).map(|(_, n)| n).sum();
    parts.truncate(most);
    let shown: Vec<String> = parts.into_iter().map(|(text, _)| text).collect();
    let shown = shown.join(", ");
    match rest {
        0 => shown,
        n => format!("{shown} + {n} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_follows_each_other_is_folded() {
        for (given, most, expected) in [
            ("web-01 web-02 web-03", 9, "web-01 … web-03"),
            ("web-01 web-02", 9, "web-01, web-02"),
            ("web-01 web-03 web-04", 9, "web-01, web-03, web-04"),
            ("web-10 web-9 web-8", 9, "web-8 … web-10"),
            ("web-09 web-10 web-11", 9, "web-09 … web-11"),
            ("web-9 web-010 web-11", 9, "web-9, web-010, web-11"),
            ("a-1.x a-2.x a-3.x a-4.y", 9, "a-1.x … a-3.x, a-4.y"),
            ("db web", 9, "db, web"),
            ("99999999999999999999 b", 9, "99999999999999999999, b"),
            ("a b c d1 d2 d3", 3, "a, b, c + 3 more"),
            ("", 9, ""),
        ] {
            let ids: Vec<ComponentId> = given.split_whitespace().map(ComponentId::from).collect();
            assert_eq!(names(&ids, most), expected, "{given}");
        }
    }
}
