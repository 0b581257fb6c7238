#![doc = include_str!("../README.md")]

mod client;
mod config;
mod deployer;
mod drainer;
mod inventory;
mod source;
mod vlcm;

pub use client::VCenter;
pub use config::{VsphereConfig, WhatCounts};
pub use drainer::VsphereCluster;
pub use inventory::{ClusterRead, ClusterRef, Pinned, WhyPinned};
