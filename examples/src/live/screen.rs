//! A terminal with one block of lines at its end that is drawn anew again and again. What is said goes above it and
//! scrolls away like any other text; there is no alternate screen.

use std::{
    env,
    io::{self, IsTerminal as _, Write},
};

use super::styled::Line;

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How wide.
    pub columns: usize,
    /// How high.
    pub rows: usize,
}

/// What most terminals have that do not say.
const USUAL: Size = Size {
    columns: 80,
    rows: 24,
};

/// The end of a terminal. When it is dropped, the block is gone and the cursor is back.
pub struct Screen<W: Write> {
    out: W,
    size: fn() -> Size,
    live: bool,
    /// The width of each line of the block that stands there now.
    drawn: Vec<usize>,
    cursor_hidden: bool,
}

impl Screen<io::Stdout> {
    /// The standard output: with a block where it is a terminal that can show one and nobody asked for plain text.
    #[must_use]
    pub fn standard() -> Self {
        let unset = |name| env::var_os(name).is_none_or(|value| value.is_empty());
        let dumb = env::var("TERM").is_ok_and(|term| term == "dumb");
        let live = io::stdout().is_terminal() && unset("NO_COLOR") && !dumb;
        Self::new(io::stdout(), live, size)
    }
}

/// What the terminal says of itself now; it is asked anew for every drawing, so that no signal need be caught.
fn size() -> Size {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(said) if said.ws_col > 0 && said.ws_row > 0 => Size {
            columns: said.ws_col.into(),
            rows: said.ws_row.into(),
        },
        _ => USUAL,
    }
}

impl<W: Write> Screen<W> {
    /// Any output, with a block or without, and how its size is found.
    pub fn new(out: W, live: bool, size: fn() -> Size) -> Self {
        Self {
            out,
            size,
            live,
            drawn: Vec::new(),
            cursor_hidden: false,
        }
    }

    /// Whether it shows a block.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Its size now.
    #[must_use]
    pub fn size(&self) -> Size {
        (self.size)()
    }

    /// Says something, above the block.
    ///
    /// # Errors
    /// The output's, such as a pipe that nobody reads any more.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.paint(&[text], None)
    }

    /// Draws the block anew, below what was said since.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub fn draw(&mut self, said: &[String], block: &[Line]) -> io::Result<()> {
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        self.paint(&said, Some(block))
    }

    /// Takes the block away and gives the cursor back. What is said after that stands where the block stood.
    ///
    /// # Errors
    /// As [`say`](Self::say).
    pub fn close(&mut self) -> io::Result<()> {
        if self.live && (self.cursor_hidden || !self.drawn.is_empty()) {
            let mut bytes = self.erasing();
            bytes.push_str("\x1b[?25h");
            self.cursor_hidden = false;
            self.out.write_all(bytes.as_bytes())?;
        }
        self.out.flush()
    }

    /// Everything in one write, and between the signs for *do not show anything before the end of this*, which
    /// terminals that do not know them ignore: nothing flickers.
    fn paint(&mut self, said: &[&str], block: Option<&[Line]>) -> io::Result<()> {
        let mut bytes = String::new();
        let drawing = self.live && (block.is_some() || !self.drawn.is_empty());
        if drawing {
            bytes.push_str("\x1b[?2026h");
            bytes.push_str(&self.erasing());
        }
        for text in said {
            bytes.push_str(text);
            bytes.push('\n');
        }
        if let (true, Some(block)) = (drawing, block) {
            if !self.cursor_hidden {
                bytes.push_str("\x1b[?25l");
                self.cursor_hidden = true;
            }
            for line in block {
                bytes.push_str(&line.ansi());
                bytes.push('\n');
                self.drawn.push(line.width());
            }
        }
        if drawing {
            bytes.push_str("\x1b[?2026l");
        }
        self.out.write_all(bytes.as_bytes())?;
        self.out.flush()
    }

    /// Up to the first line of the block, and everything from there on away. A terminal that became narrower since
    /// has broken long lines into several rows.
    fn erasing(&mut self) -> String {
        let columns = (self.size)().columns.max(1);
        let rows: usize = self
            .drawn
            .drain(..)
            .map(|width| width.div_ceil(columns).max(1))
            .sum();
        match rows {
            0 => String::new(),
            rows => format!("\r\x1b[{rows}A\x1b[J"),
        }
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        // Nobody is left who could be told that the terminal is gone.
        let _ = self.close();
    }
}

impl<W: Write> std::fmt::Debug for Screen<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen")
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}
