//! A line of a screen: pieces of text, each in one style, cut where the screen ends.

use std::fmt::Write as _;

/// How a piece of text looks. The colours are the terminal's own, so that they suit its background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// As everything else.
    #[default]
    Plain,
    /// Less important.
    Dim,
    /// More important.
    Bold,
    /// What is done and well.
    Good,
    /// What is on the way.
    Busy,
    /// What went wrong or needs a person.
    Bad,
}

impl Style {
    /// The parameter of the escape sequence that begins it.
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Good => "32",
            Self::Busy => "36",
            Self::Bad => "31",
        }
    }
}

/// One line of a screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(Vec<(Style, String)>);

impl Line {
    /// With one more piece of text.
    #[must_use]
    pub fn with(mut self, style: Style, text: impl AsRef<str>) -> Self {
        self.0
            .push((style, text.as_ref().chars().map(one_column).collect()));
        self
    }

    /// How many columns it takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// Cut to a number of columns, with a sign that something is missing.
    #[must_use]
    pub fn cut(mut self, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let mut left = columns.saturating_sub(1);
        for (_, text) in &mut self.0 {
            *text = text.chars().take(left).collect();
            left -= text.chars().count();
        }
        let style = self.0.last().map_or(Style::Plain, |(style, _)| *style);
        self.0.retain(|(_, text)| !text.is_empty());
        self.0.push((style, "…".repeat(columns.min(1))));
        self
    }

    /// Without any style.
    #[must_use]
    pub fn plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// With escape sequences.
    #[must_use]
    pub fn ansi(&self) -> String {
        let mut ansi = String::new();
        for (style, text) in &self.0 {
            if *style == Style::Plain {
                ansi.push_str(text);
            } else {
                // Writing to a string cannot fail.
                let _ = write!(ansi, "\x1b[{}m{text}\x1b[0m", style.code());
            }
        }
        ansi
    }
}

/// The character itself where every terminal shows it one column wide; a question mark instead of all others, which
/// would move what stands after them or steer the terminal.
const fn one_column(c: char) -> char {
    match c {
        ' '..='~' | '\u{a1}'..='\u{2ff}' | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{52f}' => c,
        '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{2190}'..='\u{259f}' => c,
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_where_the_screen_ends() {
        let line = || {
            Line::default()
                .with(Style::Good, "abc")
                .with(Style::Dim, "defg")
        };
        for (columns, expect) in [
            (0, ""),
            (1, "…"),
            (3, "ab…"),
            (4, "abc…"),
            (6, "abcde…"),
            (7, "abcdefg"),
            (80, "abcdefg"),
        ] {
            let cut = line().cut(columns);
            assert_eq!(cut.plain(), expect, "{columns}");
            assert!(cut.width() <= columns, "{columns}");
        }
    }

    #[test]
    fn text_from_outside_steers_no_terminal() {
        let line = Line::default().with(Style::Plain, "a\x1b[2Jb\u{9b}c\u{1f600}d\u{200b}e\tü");
        assert_eq!(line.plain(), "a?[2Jb?c?d?e?ü");
        assert_eq!(line.ansi(), line.plain());
    }
}
