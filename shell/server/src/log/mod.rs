//! The log as a static site (C2SP tlog-tiles): signed head and hash tiles, so that anyone can hold us to what the
//! log said. Entries are not served: they tell what agents of all orgs did, and an auditor gets them by export.

mod checkpoint;
mod tile;

use crate::installation::Installation;
use crate::surface::Routes;
use std::sync::Arc;

/// `/log/checkpoint`, `/log/tile/…`.
pub(crate) fn routes() -> Routes<Arc<Installation>> {
    Routes::new()
        .get("/log/checkpoint", checkpoint::answer)
        .get("/log/tile/{*path}", tile::answer)
}
