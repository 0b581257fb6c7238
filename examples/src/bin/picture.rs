//! Makes the picture of a run from what `fleet-demo --record FILE` kept: `picture FILE SVG`.

use std::{fs, io, process::ExitCode};

use patchcore_examples::picture::{Terminal, svg};

/// As wide as the terminal that was recorded.
const COLUMNS: usize = 120;
/// So many lines are shown: what was said before, and the block.
const ROWS: usize = 22;
/// Where a drawing of the block ends.
const DRAWN: &str = "\u{1b}[?2026l";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        eprintln!("usage: picture FILE SVG");
        return ExitCode::from(2);
    };
    match picture(from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{from} cannot become a picture: {error}");
            ExitCode::FAILURE
        }
    }
}

fn picture(from: &str, to: &str) -> io::Result<()> {
    let recorded = String::from_utf8_lossy(&fs::read(from)?).into_owned();
    let chosen =
        chosen(&recorded).ok_or_else(|| io::Error::other("it shows no component at work"))?;
    let mut terminal = Terminal::new(COLUMNS);
    terminal.feed(chosen);
    let rows = terminal.rows();
    let shown = &rows[rows.len().saturating_sub(ROWS)..];
    let title = "A run on a terminal: its lines, and below them the live block with a bar for each ring, a line for each \
                 machine that is being patched, and the estimated end.";
    fs::write(to, svg(shown, COLUMNS, title))
}

/// The recording up to the moment that shows most: the middle one of those with the most machines at work while a ring
/// is partly done.
fn chosen(recorded: &str) -> Option<&str> {
    let mut terminal = Terminal::new(COLUMNS);
    let mut moments = Vec::new();
    let mut at = 0;
    for drawing in recorded.split_inclusive(DRAWN) {
        terminal.feed(drawing);
        at += drawing.len();
        let text = terminal.text();
        let block = text.iter().rposition(|line| line.starts_with("── run"));
        let block = block.map_or(&[][..], |from| &text[from..]);
        let bar = |line: &String| line.contains('█') && line.contains('▓');
        let is_in_the_middle = block.iter().any(bar)
            && block.iter().any(|line| line.contains("is being patched"))
            && block.iter().filter(|line| line.contains('▓')).count() == 1
            && block.last().is_some_and(|line| line.contains("ends about"));
        let lines = if is_in_the_middle { block.len() } else { 0 };
        moments.push((lines, at));
    }
    let most = moments
        .iter()
        .map(|(lines, _)| *lines)
        .max()
        .filter(|most| *most > 0)?;
    let best: Vec<usize> = moments
        .iter()
        .filter(|(lines, _)| *lines == most)
        .map(|(_, at)| *at)
        .collect();
    recorded.get(..*best.get(best.len() / 2)?)
}
