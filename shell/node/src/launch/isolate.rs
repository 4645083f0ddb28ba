//! Namespaces of its own for a run: what it can not see, it can not use.
//!
//! A run in isolation has its own users, mounts, processes, network, IPC and host name. It sees the host's system
//! directories, private empty ones in place of the homes and of everything under which sockets and secrets lie, and
//! what is listed. Nothing here protects against the kernel, or against what the bind list lets in.

use super::order::Separate;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change, mount_remount,
    move_mount, open_tree,
};
use rustix::net::{AddressFamily, SocketType, netlink, sendto};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What did not work, and what the kernel said.
pub(super) type Failure = (String, io::Error);

fn doing<T, E: Into<io::Error>>(what: impl Into<String>, result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|error| (what.into(), error.into()))
}

/// First step, in the process that will belong to the new user namespace.
pub(super) fn own_users() -> Result<(), Failure> {
    doing("make a user namespace", peer::sys::unshare(UnshareFlags::NEWUSER))
}

/// Second step, in its parent: the same uid and gid inside as outside.
pub(super) fn map_users(pid: i32, uid: u32, gid: u32) -> Result<(), Failure> {
    let write = |file: &str, text: String| {
        doing(
            format!("write {file}"),
            fs::write(format!("/proc/{pid}/{file}"), text),
        )
    };
    write("setgroups", "deny".to_owned())?;
    write("gid_map", format!("{gid} {gid} 1"))?;
    write("uid_map", format!("{uid} {uid} 1"))
}

/// Third step, in the process again: everything else. The next child is process 1 of its own namespace.
pub(super) fn own_everything() -> Result<(), Failure> {
    let flags = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    doing("make namespaces", peer::sys::unshare(flags))
}

/// Fourth step, in process 1: the file system, the loopback interface, the run's listener. Then gives up every capability.
pub(super) fn furnish(separate: &Separate) -> Result<TcpListener, Failure> {
    furnish_mounts(separate)?;
    doing("bring the loopback interface up", loopback_up())?;
    let listener = doing(
        "listen on the run's loopback",
        TcpListener::bind((Ipv4Addr::LOCALHOST, separate.port)),
    )?;
    drop_capabilities()?;
    Ok(listener)
}

fn furnish_mounts(separate: &Separate) -> Result<(), Failure> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    doing("keep mounts to ourselves", mount_change("/", private))?;
    // Taken hold of before anything is hidden.
    let mut kept: Vec<(PathBuf, OwnedFd, bool, bool)> = Vec::new();
    for bind in &separate.binds {
        let is_dir = bind.path.is_dir();
        kept.push((bind.path.clone(), hold(&bind.path)?, bind.writable, is_dir));
    }
    for (outside, inside) in &separate.sockets {
        kept.push((inside.clone(), hold(outside)?, true, false));
    }
    for hidden in &separate.hide {
        if hidden.is_dir() {
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            let mode = if hidden == Path::new("/tmp") || hidden.ends_with("shm") {
                c"mode=1777"
            } else {
                c"mode=755"
            };
            doing(
                format!("hide {}", hidden.display()),
                mount("tmpfs", hidden, "tmpfs", flags, mode),
            )?;
        }
    }
    if separate
        .hide
        .iter()
        .any(|hidden| separate.home.starts_with(hidden))
    {
        doing("make an empty home", fs::create_dir_all(&separate.home))?;
    }
    for (path, tree, writable, is_dir) in kept {
        let target = doing(format!("make room for {}", path.display()), place(&path, is_dir))?;
        let moved = move_mount(&tree, "", CWD, &target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH);
        doing(format!("bind {}", path.display()), moved)?;
        if !writable {
            let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
            doing(
                format!("make {} read-only", path.display()),
                mount_remount(&target, flags, c""),
            )?;
        }
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    doing("mount /proc", mount("proc", "/proc", "proc", flags, c""))
}

fn hold(path: &Path) -> Result<OwnedFd, Failure> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    doing(
        format!("take {} along", path.display()),
        open_tree(CWD, path, flags),
    )
}

/// The mount point for `path`; made if it is missing.
fn place(path: &Path, is_dir: bool) -> io::Result<PathBuf> {
    if is_dir {
        fs::create_dir_all(path)?;
    } else if !path.exists() {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        rustix::fs::open(
            path,
            OFlags::CREATE | OFlags::CLOEXEC | OFlags::WRONLY,
            Mode::from_raw_mode(0o600),
        )?;
    }
    Ok(path.to_owned())
}

/// RTM_NEWLINK with IFF_UP for interface 1, which is `lo` in every new network namespace (`rtnetlink(7)`).
fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(&32_u32.to_ne_bytes());
    message.extend_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&5_u16.to_ne_bytes()); // NLM_F_REQUEST | NLM_F_ACK
    message.extend_from_slice(&1_u32.to_ne_bytes()); // sequence
    message.extend_from_slice(&0_u32.to_ne_bytes()); // from us to the kernel
    message.extend_from_slice(&[0; 4]); // family, padding, device type
    message.extend_from_slice(&1_i32.to_ne_bytes()); // interface index
    message.extend_from_slice(&1_u32.to_ne_bytes()); // flags: IFF_UP
    message.extend_from_slice(&1_u32.to_ne_bytes()); // which of them change
    let kernel = netlink::SocketAddrNetlink::new(0, 0);
    sendto(&socket, &message, rustix::net::SendFlags::empty(), &kernel)?;
    let mut answer = [0; 64];
    let (got, _) = rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty())?;
    match answer
        .get(16..20)
        .filter(|_| got >= 20)
        .and_then(|code| code.try_into().ok())
        .map(i32::from_ne_bytes)
    {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
    }
}

/// From here on not even process 1 of the run can undo what was set up.
fn drop_capabilities() -> Result<(), Failure> {
    for capability in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(("give up capabilities".to_owned(), error.into())),
        }
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    doing(
        "give up capabilities",
        rustix::thread::set_capabilities(None, sets),
    )
}
