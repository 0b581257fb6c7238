//! What is drawn, as SVG: no script, no font of its own, and colours for light pages and dark ones.

use std::fmt::Write as _;

/// Where a text stands from its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Left,
    Middle,
    Right,
}

const LIGHT: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1f2328}\
.title{font-size:17px;font-weight:600}.name{font-weight:600}.soft{fill:#59636e}.vm{font-size:10px;paint-order:stroke;\
stroke:#fff;stroke-width:2.5px;stroke-linejoin:round}.kept{fill:#8a4600}.on-down{fill:#fff;font-weight:600}\
.page{fill:#fff}.track{fill:#f3f5f8;stroke:#d1d9e0}.grid{stroke:#59636e;stroke-width:1;stroke-opacity:.22}\
.old{fill:#b9c3cf}.new{fill:#9ad3ae}.free{fill:#a5cdf2}.reserve{fill:none;stroke:#b35900;stroke-width:1.5;stroke-dasharray:5 3}\
.drain{fill:#f2a33a;fill-opacity:.42}.down{fill:#a3272f}.hover{fill:#000;fill-opacity:0}\
.move{fill:none;stroke-width:2}.faint{stroke-opacity:.5}.halo{fill:none;stroke:#fff;stroke-opacity:.75}.once{stroke:#0a53b8}.again{stroke:#b3400a;stroke-dasharray:5 2}.beside{stroke:#7a2da5}\
.head-once{fill:#0a53b8}.head-again{fill:#b3400a}.head-beside{fill:#7a2da5}";

const DARK: &str = "\
text{fill:#e6edf3}.soft{fill:#9ba4ae}.vm{stroke:#0d1117}.kept{fill:#f0a35a}.on-down{fill:#fff}\
.page{fill:#0d1117}.track{fill:#161c24;stroke:#3d444d}.grid{stroke:#9ba4ae}\
.old{fill:#4b5663}.new{fill:#256c3d}.free{fill:#1f4d7d}.reserve{stroke:#f0a35a}\
.drain{fill:#c77b14;fill-opacity:.45}.down{fill:#b6303a}\
.halo{stroke:#0d1117}.once{stroke:#79c0ff}.again{stroke:#ffa657}.beside{stroke:#d2a8ff}\
.head-once{fill:#79c0ff}.head-again{fill:#ffa657}.head-beside{fill:#d2a8ff}";

/// A picture in the making.
#[derive(Debug)]
pub(super) struct Ink(String);

impl Ink {
    pub(super) fn new(wide: f64, high: f64, title: &str) -> Self {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" width=\"{wide}\" height=\"{high}\" role=\"img\" aria-labelledby=\"title\">\n\
             <title id=\"title\">{}</title>\n<style>{LIGHT}@media(prefers-color-scheme:dark){{{DARK}}}</style>\n<defs>\n",
            escaped(title),
        );
        for kind in ["once", "again", "beside"] {
            let _ = writeln!(
                svg,
                "<marker id=\"{kind}-from\" viewBox=\"0 0 6 6\" refX=\"3\" refY=\"3\" markerWidth=\"5\" markerHeight=\"5\" markerUnits=\"userSpaceOnUse\"><circle class=\"head-{kind}\" cx=\"3\" cy=\"3\" r=\"3\"/></marker>"
            );
            let _ = writeln!(
                svg,
                "<marker id=\"{kind}\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"head-{kind}\" d=\"M0 0 8 4 0 8z\"/></marker>"
            );
        }
        let _ = writeln!(
            svg,
            "</defs>\n<rect class=\"page\" width=\"{wide}\" height=\"{high}\"/>"
        );
        Self(svg)
    }

    pub(super) fn over(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    // Writing to a string cannot fail.

    pub(super) fn text(&mut self, place: Place, x: f64, y: f64, class: &str, words: &str) {
        let anchor = match place {
            Place::Left => "",
            Place::Middle => " text-anchor=\"middle\"",
            Place::Right => " text-anchor=\"end\"",
        };
        let _ = writeln!(
            self.0,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\"{anchor}>{}</text>",
            escaped(words)
        );
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, wide: f64, high: f64, class: &str, words: &str) {
        let _ = write!(
            self.0,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\""
        );
        self.titled("rect", words);
    }

    pub(super) fn line(&mut self, x: f64, y: f64, to_x: f64, to_y: f64, class: &str) {
        let _ = writeln!(
            self.0,
            "<path class=\"{class}\" d=\"M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}\"/>"
        );
    }

    /// What is below a line of corners.
    pub(super) fn area(&mut self, corners: &[(f64, f64)], floor: f64, class: &str) {
        let (Some(first), Some(last)) = (corners.first(), corners.last()) else {
            return;
        };
        let _ = write!(
            self.0,
            "<path class=\"{class}\" d=\"M{:.1} {floor:.1}",
            first.0
        );
        for (x, y) in corners {
            let _ = write!(self.0, "L{x:.1} {y:.1}");
        }
        let _ = writeln!(self.0, "L{:.1} {floor:.1}z\"/>", last.0);
    }

    pub(super) fn stairs(&mut self, corners: &[(f64, f64)], class: &str) {
        let _ = write!(self.0, "<path class=\"{class}\" d=\"");
        for (at, (x, y)) in corners.iter().enumerate() {
            let _ = write!(self.0, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
        }
        let _ = writeln!(self.0, "\"/>");
    }

    /// A way from one point to another in the colour of the page, so that an arrow on it is seen on every ground.
    pub(super) fn halo(&mut self, from: (f64, f64), to: (f64, f64), thick: f64) {
        let way = way(from, to);
        let _ = writeln!(
            self.0,
            "<path class=\"halo\" style=\"stroke-width:{thick:.1}\" d=\"{way}\"/>"
        );
    }

    pub(super) fn arrow(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        thick: f64,
        (kind, more): (&str, &str),
        words: &str,
    ) {
        let way = way(from, to);
        let _ = write!(
            self.0,
            "<path class=\"move {kind}{more}\" style=\"stroke-width:{thick:.1}\" marker-start=\"url(#{kind}-from)\" marker-end=\"url(#{kind})\" d=\"{way}\""
        );
        self.titled("path", words);
    }

    fn titled(&mut self, element: &str, words: &str) {
        let _ = match words {
            "" => writeln!(self.0, "/>"),
            words => writeln!(self.0, "><title>{}</title></{element}>", escaped(words)),
        };
    }
}

/// It leaves and arrives upright, so that tracks in between are crossed and not followed.
fn way(from: (f64, f64), to: (f64, f64)) -> String {
    let bend = (to.1 - from.1) / 2.0;
    format!(
        "M{:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
        from.0,
        from.1,
        from.0,
        from.1 + bend,
        to.0,
        to.1 - bend,
        to.0,
        to.1
    )
}

/// So many signs at most.
pub(super) fn short(words: &str, most: usize) -> String {
    if words.chars().count() <= most {
        return words.to_owned();
    }
    let kept: String = words.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Text that stays text. What XML cannot hold at all is left out.
fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '"' => all.push_str("&quot;"),
            sign if sign.is_control() || matches!(sign, '\u{fffe}' | '\u{ffff}') => all.push('?'),
            sign => all.push(sign),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let mut ink = Ink::new(10.0, 10.0, "a <b> & \"c\"\u{1}");
        ink.text(Place::Right, 1.0, 2.0, "x", "<script>");
        let svg = ink.over();
        assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;?"), "{svg}");
        assert!(svg.contains(">&lt;script&gt;</text>") && !svg.contains("<script"));
        assert_eq!(short("abcdef", 4), "abc…");
    }
}
