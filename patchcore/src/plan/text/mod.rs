//! What people read of a plan: it reads like a diff, and it adds up.

mod fold;
mod foot;
mod head;
mod left_out;
mod patches;
mod ring;
mod times;

use std::fmt;

pub(crate) use fold::names;
pub(super) use foot::catalogues;
pub(super) use head::scanned;
pub(super) use left_out::{NOT_COVERED, NOT_SELECTED};
pub(crate) use left_out::{obstacle, patch_reason};
pub(super) use patches::{around, one as patch, reboot, sorted, way_back};
pub(crate) use patches::{count, listed};
pub(super) use ring::condition;
pub(crate) use times::{Times, duration};

use super::Plan;

/// How many names, lines or patches are shown before the rest is only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// The first few.
    Short,
    /// All.
    Full,
}

impl Detail {
    const fn names(self) -> usize {
        match self {
            Self::Short => 6,
            Self::Full => usize::MAX,
        }
    }

    const fn lines(self) -> usize {
        match self {
            Self::Short => 12,
            Self::Full => usize::MAX,
        }
    }
}

/// Lines of a name and what is said of it, aligned.
#[derive(Debug, Default)]
struct Table(Vec<(String, String)>);

impl Table {
    fn row(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.push((name.into(), text.into()));
    }

    fn write(self, page: &mut Vec<String>) {
        const WIDEST: usize = 26;
        let width = self
            .0
            .iter()
            .map(|(name, _)| name.chars().count())
            .filter(|w| *w <= WIDEST)
            .max()
            .unwrap_or(0)
            .max(8);
        page.extend(
            self.0
                .into_iter()
                .map(|(name, text)| format!("  {name:<width$}  {text}")),
        );
    }
}

impl Plan {
    /// The plan with everything in it: every patch, every name, every wave. [`Display`](fmt::Display) shows the
    /// first few of what is long and counts the rest.
    #[must_use]
    pub fn to_text_full(&self) -> String {
        self.text(Detail::Full)
    }

    fn text(&self, detail: Detail) -> String {
        let mut page = Vec::new();
        head::write(self, &mut page);
        ring::write(self, detail, &mut page);
        left_out::write(self, detail, &mut page);
        page.push(String::new());
        foot::write(self, detail, &mut page);
        page.join("\n")
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Detail::Short))
    }
}
