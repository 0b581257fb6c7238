#![doc = include_str!("../README.md")]

mod client;
mod config;
mod drainer;
mod inventory;

pub use client::VCenter;
pub use config::{VsphereConfig, WhatCounts};
pub use drainer::VsphereCluster;
pub use inventory::{ClusterRead, ClusterRef, Pinned, WhyPinned};
