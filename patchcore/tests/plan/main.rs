//! What people read of a plan, and what is stored of it.

mod golden;
mod rich_estate;
mod text;
