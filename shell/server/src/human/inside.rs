//! Whether the other end of a connection is a process inside a run: the kernel's word, where it gives one.
//!
//! A TCP connection names no process, so the connection is looked for among the descriptors of all processes below a
//! run's supervisor on this host. What this cannot see: a run on another host, and processes whose descriptors the
//! server may not read (another user's, unless it is root). An isolated run has no way here at all: its network
//! namespace has no route. A process that is let through still has no session.

use crate::connection::Peer;
use peer::{PidFd, SUPERVISOR_NAME, TcpOwner, owner_among};
use std::sync::Arc;

/// Processes looked at for one connection.
const PROCESSES_MAX: usize = 16_384;

/// Looks once a connection. A host whose processes cannot be listed at all has no answer, and nobody comes in.
pub(super) async fn is_inside_a_run(peer: &Arc<Peer>) -> bool {
    if peer.address.ip() != peer.local.ip() && !peer.address.ip().is_loopback() {
        return false;
    }
    if let Some(known) = peer.inside.get() {
        return *known;
    }
    let asked = peer.clone();
    let look = move || look(&asked).unwrap_or(true);
    let found = tokio::task::spawn_blocking(look).await.unwrap_or(true);
    *peer.inside.get_or_init(|| found)
}

fn look(peer: &Peer) -> std::io::Result<bool> {
    let members = members()?;
    if members.is_empty() {
        return Ok(false);
    }
    Ok(match owner_among(&members, peer.address, peer.local) {
        Ok(TcpOwner::One(_) | TcpOwner::Shared(_)) => true,
        Ok(TcpOwner::Nobody { .. }) => false,
        // The run whose socket table was read may have ended meanwhile; the next one is asked.
        Err(error) => {
            tracing::debug!(%error, "a connection could not be matched");
            members.iter().any(|member| {
                let one = std::slice::from_ref(member);
                matches!(
                    owner_among(one, peer.address, peer.local),
                    Ok(TcpOwner::One(_) | TcpOwner::Shared(_))
                )
            })
        }
    })
}

/// Every process of this host that stands below a supervisor.
fn members() -> std::io::Result<Vec<Arc<PidFd>>> {
    let mut parents = std::collections::HashMap::new();
    let mut supervisors = Vec::new();
    for entry in std::fs::read_dir("/proc")?.take(PROCESSES_MAX) {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // It may have ended since.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let Some((head, tail)) = stat.rsplit_once(") ") else {
            continue;
        };
        let name = head.split_once('(').map_or("", |(_, name)| name);
        let parent = tail
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|it| it.parse::<i32>().ok());
        if let Some(parent) = parent {
            parents.insert(pid, parent);
        }
        if name == SUPERVISOR_NAME {
            supervisors.push(pid);
        }
    }
    if supervisors.is_empty() {
        return Ok(Vec::new());
    }
    let below = |mut pid: i32| {
        for _ in 0..peer::ANCESTORS_MAX {
            match parents.get(&pid) {
                Some(parent) if supervisors.contains(parent) => return true,
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        true
    };
    let inside = parents.keys().copied().filter(|pid| below(*pid));
    Ok(inside
        .filter_map(rustix::process::Pid::from_raw)
        .filter_map(|pid| PidFd::open(pid).ok())
        .map(Arc::new)
        .collect())
}
