//! What people read of a plan, and what is stored of it.

mod diff;
mod explain;
mod golden;
mod rich_estate;
mod schema;
mod stored;
mod text;
