//! Whose part of the World a caller may look at.

use crate::OrgId;

/// A caller's reach over orgs. Every accessor of the World takes one; a caller of one org never sees another's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrgScope {
    /// One org.
    Only(OrgId),
    /// Every org: the installation's own administrators, and the broker while it resolves an unknown credential.
    Every,
}

impl OrgScope {
    /// Whether `org` lies inside.
    pub fn holds(self, org: OrgId) -> bool {
        match self {
            Self::Only(only) => only == org,
            Self::Every => true,
        }
    }
}
