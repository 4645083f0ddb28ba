//! Starting an agent so that we know what runs: judged, measured, bound, and ended as a whole.
//!
//! `tabard run` asks over the launch socket ([`client`]); the node agent ([`Launcher`]) judges the request against the
//! agent's [`LaunchSpec`], measures before anything is executed, has the server open the run, and starts a small supervisor
//! ([`helper_main`]) that executes exactly the file that was measured. Identity is bound to the pidfd inode and the
//! executable's inode, and is looked at again at each request.
//!
//! What this does not do: it measures the executable and the listed roots, not the shared libraries the loader maps; and
//! a digest on storage that can change says what was there then.

pub mod client;
mod environment;
mod frame;
mod helper;
mod isolate;
mod launcher;
mod measure;
mod order;
mod program;
mod protocol;
mod seccomp;
mod spec;
mod supervise;

pub use environment::{Environment, NEVER_PASSED};
pub use helper::helper_main;
pub use launcher::{Helper, LAUNCH_SOCKET, Launcher, Places};
pub use measure::{
    MeasureError, MeasuredRoot, Measurement, Separation, TREE_BYTES_MAX, TREE_DEPTH_MAX, TREE_FILES_MAX,
    executable_digest, measure,
};
pub use program::{Program, ProgramError};
pub use protocol::{Ask, Launch, Step, Story, TaskWish, Tell};
pub use spec::{Argv, Bind, Isolation, LaunchSpec};
