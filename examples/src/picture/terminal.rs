//! A terminal in memory: just what the live block writes, and what is not known is left out.

/// A colour of text; which one exactly is for whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each is its name")]
pub enum Colour {
    #[default]
    Plain,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

/// One character and how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// What.
    pub sign: char,
    /// In which colour.
    pub colour: Colour,
    /// Whether it stands out.
    pub bold: bool,
    /// Whether it stands back.
    pub dim: bool,
}

const EMPTY: Cell = Cell {
    sign: ' ',
    colour: Colour::Plain,
    bold: false,
    dim: false,
};

/// A screen of a fixed width and without an end below: what scrolled away is still there.
#[derive(Debug)]
pub struct Terminal {
    columns: usize,
    rows: Vec<Vec<Cell>>,
    row: usize,
    column: usize,
    pen: Cell,
    cursor_shown: bool,
    wrapped: usize,
}

impl Terminal {
    /// An empty one.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        Self {
            columns,
            rows: vec![Vec::new()],
            row: 0,
            column: 0,
            pen: EMPTY,
            cursor_shown: true,
            wrapped: 0,
        }
    }

    /// Its lines, without the empty ones at the end.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Cell>] {
        let used = self.rows.iter().rposition(|row| !row.is_empty());
        &self.rows[..used.map_or(0, |last| last + 1)]
    }

    /// Its lines as plain text, without blanks at their ends.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let text = |row: &Vec<Cell>| row.iter().map(|cell| cell.sign).collect::<String>();
        self.rows()
            .iter()
            .map(|row| text(row).trim_end().to_owned())
            .collect()
    }

    /// Whether the cursor is shown.
    #[must_use]
    pub fn shows_cursor(&self) -> bool {
        self.cursor_shown
    }

    /// How many lines were too long for it so far.
    #[must_use]
    pub fn wrapped(&self) -> usize {
        self.wrapped
    }

    /// Reads what a program wrote.
    pub fn feed(&mut self, text: &str) {
        let mut signs = text.chars().peekable();
        while let Some(sign) = signs.next() {
            match sign {
                '\n' => {
                    // The terminal's driver makes a return of its own out of it.
                    self.column = 0;
                    self.down();
                }
                '\r' => self.column = 0,
                '\u{1b}' if signs.next_if_eq(&'[').is_some() => {
                    let mut parameters = String::new();
                    while let Some(part) = signs.next_if(|c| !('@'..='~').contains(c)) {
                        parameters.push(part);
                    }
                    if let Some(verb) = signs.next() {
                        self.control(verb, &parameters);
                    }
                }
                sign if sign.is_control() => {}
                sign => self.put(sign),
            }
        }
    }

    fn down(&mut self) {
        self.row += 1;
        if self.row == self.rows.len() {
            self.rows.push(Vec::new());
        }
    }

    fn put(&mut self, sign: char) {
        if self.column == self.columns {
            self.wrapped += 1;
            self.column = 0;
            self.down();
        }
        let row = &mut self.rows[self.row];
        if row.len() <= self.column {
            row.resize(self.column + 1, EMPTY);
        }
        row[self.column] = Cell { sign, ..self.pen };
        self.column += 1;
    }

    fn control(&mut self, verb: char, parameters: &str) {
        match (verb, parameters) {
            ('A', up) => self.row = self.row.saturating_sub(up.parse().unwrap_or(1)),
            ('J', "" | "0") => {
                self.rows.truncate(self.row + 1);
                self.rows[self.row].truncate(self.column);
            }
            ('K', "" | "0") => self.rows[self.row].truncate(self.column),
            ('h', "?25") => self.cursor_shown = true,
            ('l', "?25") => self.cursor_shown = false,
            ('m', styles) => styles.split(';').for_each(|style| self.style(style)),
            _ => {}
        }
    }

    fn style(&mut self, style: &str) {
        match style {
            "" | "0" => self.pen = EMPTY,
            "1" => self.pen.bold = true,
            "2" => self.pen.dim = true,
            "31" => self.pen.colour = Colour::Red,
            "32" => self.pen.colour = Colour::Green,
            "33" => self.pen.colour = Colour::Yellow,
            "34" => self.pen.colour = Colour::Blue,
            "35" => self.pen.colour = Colour::Magenta,
            "36" => self.pen.colour = Colour::Cyan,
            "39" => self.pen.colour = Colour::Plain,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expect: &[&str]) {
        let mut terminal = Terminal::new(5);
        terminal.feed(written);
        assert_eq!(terminal.text(), expect, "{written:?}");
    }

    #[test]
    fn what_is_written_is_read() {
        check("ab\ncd", &["ab", "cd"]);
        check("ab\rc", &["cb"]);
        check("abcdefg", &["abcde", "fg"]);
        check("abcde\nf", &["abcde", "f"]);
        check("a\nb\nc\n\u{1b}[2A\u{1b}[Jd\n", &["a", "d"]);
        check("\u{1b}[1;32mok\u{1b}[0m\u{1b}[?2026h!", &["ok!"]);
        check("ab\u{7}\u{1b}[2K", &["ab"]);
    }

    #[test]
    fn styles_and_the_cursor_are_kept() {
        let mut terminal = Terminal::new(9);
        terminal.feed("\u{1b}[?25l\u{1b}[2ma\u{1b}[0;36mb");
        let row = &terminal.rows()[0];
        assert!(row[0].dim && row[0].colour == Colour::Plain);
        assert!(!row[1].dim && row[1].colour == Colour::Cyan);
        assert!(!terminal.shows_cursor());
    }
}
