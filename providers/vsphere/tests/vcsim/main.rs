//! The provider against govmomi's vCenter simulator, a server that this project did not write.

mod connection;
mod inventory;
mod peer;
