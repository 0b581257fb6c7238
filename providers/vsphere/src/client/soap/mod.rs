//! SOAP as vSphere speaks it: a call is written, an answer is read into a tree, a fault has its type.
//!
//! Types are not generated: of the thousands that vim25 has, a provider reads some dozens, and what a newer server adds
//! must not stop it.

mod call;
mod element;
mod fault;
mod read;

pub(crate) use call::{Call, Node};
pub(crate) use element::{Element, MoRef};
pub(crate) use fault::Fault;
pub(crate) use read::{Broken, answer, tree};
