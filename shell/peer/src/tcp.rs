//! Which process owns the other end of a loopback TCP connection.
//!
//! The kernel names no peer on TCP, so this looks the connection up in the namespace's socket table and then through the
//! descriptors of a few candidates. It is a match, not a proof: descriptors can be passed on between the two looks.
//! That is one of the reasons why plain loopback TCP is called advisory.

use crate::{PeerError, PidFd};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who holds the other end.
#[derive(Debug, Clone)]
pub enum TcpOwner {
    /// Exactly one of the candidates.
    One(Arc<PidFd>),
    /// Several of them share the descriptor; nobody can say which one spoke.
    Shared(Vec<Arc<PidFd>>),
    /// None of them.
    Nobody {
        /// Whose socket it is by the table, if the connection is still in it. Sockets keep the uid that made them.
        uid: Option<u32>,
    },
}

/// Who among `candidates` holds the client end of the connection from `client` to `server`. The candidates must live in
/// one network namespace; the first one's socket table is read.
pub fn owner_among(
    candidates: &[Arc<PidFd>],
    client: SocketAddr,
    server: SocketAddr,
) -> Result<TcpOwner, PeerError> {
    let Some(first) = candidates.first() else {
        return Ok(TcpOwner::Nobody { uid: None });
    };
    let table = if client.is_ipv4() { "tcp" } else { "tcp6" };
    let file = std::fs::File::open(format!("/proc/{}/net/{table}", first.pid().as_raw_nonzero()))?;
    let (from, to) = (kernel_form(client), kernel_form(server));
    let (mut uid, mut inode) = (None, None);
    for line in BufReader::new(file).lines() {
        let line = line?;
        let mut fields = line.split_ascii_whitespace().skip(1);
        if fields.next() == Some(from.as_str()) && fields.next() == Some(to.as_str()) {
            // Behind both addresses: state, queues, timer, retransmits, uid, timeout, inode.
            uid = fields.nth(4).and_then(|text| text.parse::<u32>().ok());
            inode = fields.nth(1).and_then(|text| text.parse::<u64>().ok());
        }
    }
    let Some(inode) = inode.filter(|inode| *inode != 0) else {
        return Ok(TcpOwner::Nobody { uid: None });
    };
    let link = format!("socket:[{inode}]");
    let mut holders: Vec<_> = candidates
        .iter()
        .filter(|candidate| holds(candidate, &link))
        .cloned()
        .collect();
    // A candidate that was found on two ways is still one process.
    holders.sort_by_key(|holder| holder.inode());
    holders.dedup_by_key(|holder| holder.inode());
    Ok(match holders.len() {
        0 => TcpOwner::Nobody { uid },
        1 => holders.pop().map_or(TcpOwner::Nobody { uid }, TcpOwner::One),
        _ => TcpOwner::Shared(holders),
    })
}

fn holds(process: &PidFd, link: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{}/fd", process.pid().as_raw_nonzero())) else {
        return false;
    };
    let found = entries
        .filter_map(Result::ok)
        .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == link));
    found && process.is_alive()
}

/// `/proc/net/tcp` writes each 32-bit word of an address in the byte order of the machine, in hex.
fn kernel_form(address: SocketAddr) -> String {
    let bytes: Vec<u8> = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.as_chunks::<4>().0.iter();
    let text: Vec<_> = words
        .map(|word| format!("{:08X}", u32::from_ne_bytes(*word)))
        .collect();
    format!("{}:{:04X}", text.concat(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::Pid;
    use std::net::{TcpListener, TcpStream};

    fn this() -> Arc<PidFd> {
        Arc::new(PidFd::open(rustix::process::getpid()).unwrap())
    }

    #[test]
    fn a_connection_is_matched_to_its_process_and_to_no_other() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else {
                continue;
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (from, to) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let mut other = std::process::Command::new("/bin/sleep")
                .arg("60")
                .spawn()
                .unwrap();
            let stranger = Arc::new(PidFd::open(Pid::from_child(&other)).unwrap());
            let owner = owner_among(&[this(), stranger.clone(), this()], from, to).unwrap();
            assert!(matches!(owner, TcpOwner::One(owner) if owner.pid() == rustix::process::getpid()));
            assert!(matches!(
                owner_among(&[stranger], from, to).unwrap(),
                TcpOwner::Nobody { uid } if uid == Some(rustix::process::geteuid().as_raw())
            ));
            other.kill().unwrap();
            other.wait().unwrap();
        }
    }

    #[test]
    fn the_kernel_writes_addresses_word_by_word() {
        if cfg!(target_endian = "little") {
            assert_eq!(kernel_form("127.0.0.1:80".parse().unwrap()), "0100007F:0050");
        }
    }
}
