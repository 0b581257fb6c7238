//! A picture of what a program wrote on a terminal: the bytes are read as a terminal reads them, and one moment of
//! them becomes an SVG of real text.

mod svg;
mod terminal;

pub use svg::svg;
pub use terminal::{Cell, Colour, Terminal};
