//! A terminal as an SVG: real text, no font of its own, readable on a light and on a dark page.

use std::fmt::Write as _;

use super::terminal::{Cell, Colour};

/// One column and one row, in pixels. The font is the reader's: each piece of text is stretched to its columns, so
/// that what stands below each other does so in every font.
const COLUMN: f32 = 8.0;
const ROW: f32 = 18.0;
const MARGIN: f32 = 14.0;

/// Colours by class, for light pages and for dark ones. Each has a contrast of at least 4.5 to its background.
const STYLE: &str = "\
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;fill:#1f2328}\
rect{fill:#f6f8fa;stroke:#d1d9e0}.b{font-weight:bold}.d{fill:#59636e}\
.red{fill:#b3261e}.green{fill:#1a6e2e}.yellow{fill:#7a5200}.blue{fill:#0a53b8}.magenta{fill:#8a2da5}.cyan{fill:#0b6470}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#0d1117;stroke:#3d444d}.d{fill:#9198a1}\
.red{fill:#ff8e86}.green{fill:#56d364}.yellow{fill:#e3b341}.blue{fill:#79c0ff}.magenta{fill:#d2a8ff}.cyan{fill:#5fd4e0}}";

/// A picture of these rows, with a title for those who cannot see it.
#[must_use]
pub fn svg(rows: &[Vec<Cell>], columns: usize, title: &str) -> String {
    let width = columns as f32 * COLUMN + 2.0 * MARGIN;
    let height = rows.len() as f32 * ROW + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">{}</title>\n<style>{STYLE}</style>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        escaped(title),
        width - 1.0,
        height - 1.0,
    );
    for (number, row) in rows.iter().enumerate() {
        let y = MARGIN + number as f32 * ROW + 13.0;
        let mut from = 0;
        for piece in row.chunk_by(|a, b| class(a) == class(b)) {
            let text: String = piece.iter().map(|cell| cell.sign).collect();
            let kept = text.trim_end();
            let blank = kept.chars().take_while(|c| *c == ' ').count();
            let length = kept.chars().count();
            if length > blank {
                let class = match class(&piece[0]) {
                    none if none.is_empty() => none,
                    class => format!(" class=\"{class}\""),
                };
                // Writing to a string cannot fail.
                let _ = writeln!(
                    svg,
                    "<text x=\"{}\" y=\"{y}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\"{class}>{}</text>",
                    MARGIN + (from + blank) as f32 * COLUMN,
                    (length - blank) as f32 * COLUMN,
                    escaped(kept.trim_start()),
                );
            }
            from += piece.len();
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn class(cell: &Cell) -> String {
    let colour = match cell.colour {
        Colour::Plain => "",
        Colour::Red => "red",
        Colour::Green => "green",
        Colour::Yellow => "yellow",
        Colour::Blue => "blue",
        Colour::Magenta => "magenta",
        Colour::Cyan => "cyan",
    };
    let parts = [
        if cell.bold { "b" } else { "" },
        if cell.dim { "d" } else { "" },
        colour,
    ];
    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    parts.join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Terminal;

    #[test]
    fn text_stays_text() {
        let mut terminal = Terminal::new(20);
        terminal.feed("a <b> & \u{1b}[32mgood\u{1b}[0m\n  2");
        let svg = svg(terminal.rows(), 20, "a \"run\"");
        for expect in [
            "<title id=\"title\">a &quot;run&quot;</title>",
            ">a &lt;b&gt; &amp;</text>",
            "x=\"78\" y=\"27\" textLength=\"32\" lengthAdjust=\"spacingAndGlyphs\" class=\"green\">good</text>",
            "x=\"30\" y=\"45\"",
        ] {
            assert!(svg.contains(expect), "{expect} not in\n{svg}");
        }
    }
}
