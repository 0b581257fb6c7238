//! Work that outlives our connection.
//!
//! Everything that changes a machine runs there as a detached job with a folder of its own: started
//! at most once per id, found again from a new process, and never believed for its exit status alone.

mod lock;
mod protocol;
mod status;

pub(crate) use lock::{LockAnswer, holding};
pub use protocol::{Job, JobId, JobSpec, Jobs, MEMORY, Poll};
pub use status::{Folder, JobStatus, Phase, Refusal};
