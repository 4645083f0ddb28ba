//! What the tests of several crates share. A dev-dependency only: nothing here is shipped.

mod linked;
mod workspace;

pub use linked::{Edge, linked};
pub use workspace::{Package, Workspace, WorkspaceError};
