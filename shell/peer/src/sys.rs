//! The kernel calls that no crate wraps safely. The only file of the project with `unsafe`.
//!
//! Each function here is as small as it can be, holds no policy, and is safe to call as documented. Functions that
//! are sound only in a single-threaded process check that they are in one.
#![expect(
    unsafe_code,
    reason = "see the module documentation; each block states why it is sound"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// `SO_PEERPIDFD` (Linux 6.5, `asm-generic/socket.h`); the libc crate does not carry it for every target.
const SO_PEERPIDFD: libc::c_int = 77;

/// Who sent something, as the kernel filled it in. `pid` is 0 for a process outside our pid namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Process id (thread group) in our pid namespace.
    pub pid: i32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

impl From<libc::ucred> for Credentials {
    fn from(raw: libc::ucred) -> Self {
        Self {
            pid: raw.pid,
            uid: raw.uid,
            gid: raw.gid,
        }
    }
}

/// The pidfd of the process that connected a Unix socket (`getsockopt SO_PEERPIDFD`).
pub fn peer_pidfd(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut fd: RawFd = -1;
    get_option(socket, SO_PEERPIDFD, &mut fd)?;
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: the kernel has just installed this descriptor for us and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The credentials of the process that connected a Unix socket, as of its `connect` (`SO_PEERCRED`).
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut raw = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    get_option(socket, libc::SO_PEERCRED, &mut raw)?;
    Ok(raw.into())
}

fn get_option<T: Copy>(socket: BorrowedFd<'_>, option: libc::c_int, value: &mut T) -> io::Result<()> {
    let size = size_of::<T>();
    let mut len = libc::socklen_t::try_from(size).map_err(io::Error::other)?;
    // SAFETY: `value` is `len` writable bytes of a plain-old-data type; the kernel writes at most `len`.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            ptr::from_mut(value).cast(),
            &raw mut len,
        )
    };
    match (rc, usize::try_from(len)) {
        (0, Ok(got)) if got == size => Ok(()),
        (0, _) => Err(io::Error::from(io::ErrorKind::InvalidData)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What one `recvmsg` brought.
#[derive(Debug)]
pub struct Received {
    /// Bytes written into the buffer; 0 at the end of the stream.
    pub bytes: usize,
    /// Who wrote them, if the socket has `SO_PASSCRED`.
    pub writer: Option<Credentials>,
    /// Descriptors sent along, already closed on `exec`.
    pub descriptors: Vec<OwnedFd>,
}

/// Most descriptors taken with one message; more are dropped by the kernel.
pub const DESCRIPTORS_MAX: usize = 8;

/// Receives bytes together with the credentials of the process that wrote them and the descriptors it sent along. The
/// kernel never merges bytes of two writers into one read.
pub fn receive(socket: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<Received> {
    #[repr(align(8))]
    struct Control([u8; 32 + 16 + 4 * DESCRIPTORS_MAX]);
    let mut control = Control([0; _]);
    let mut bytes = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    // SAFETY: msghdr is plain old data, all zeroes is its documented empty value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: iovec and control point into live buffers of the stated lengths for the whole call.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let Ok(bytes) = usize::try_from(got) else {
        return Err(io::Error::last_os_error());
    };
    let mut received = Received {
        bytes,
        writer: None,
        descriptors: Vec::new(),
    };
    // SAFETY: the header is what recvmsg filled in; CMSG_FIRSTHDR checks the length before it returns a pointer.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a pointer to a whole header inside `control`.
    while let Some(cmsg) = unsafe { next.as_ref() } {
        // SAFETY: only computes the address behind the header.
        let data = unsafe { libc::CMSG_DATA(cmsg) };
        let len = cmsg.cmsg_len.saturating_sub(size_of::<libc::cmsghdr>());
        match (cmsg.cmsg_level, cmsg.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if len >= size_of::<libc::ucred>() => {
                // SAFETY: type and length say that a ucred follows; read_unaligned asks for no alignment.
                received.writer = Some(unsafe { data.cast::<libc::ucred>().read_unaligned() }.into());
            }
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for place in 0..len / size_of::<RawFd>() {
                    // SAFETY: the offset stays inside the `len` bytes of descriptors; read_unaligned asks for no alignment.
                    let number =
                        i32::from_ne_bytes(unsafe { data.add(place * 4).cast::<[u8; 4]>().read_unaligned() });
                    // SAFETY: the kernel has just installed this descriptor for us.
                    received.descriptors.push(unsafe { OwnedFd::from_raw_fd(number) });
                }
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        next = unsafe { libc::CMSG_NXTHDR(&raw const message, cmsg) };
    }
    Ok(received)
}

/// Which side of [`fork`] we are on.
#[derive(Debug)]
pub enum Fork {
    /// In the new process.
    Child,
    /// In the old one, with the child's pid in our namespace.
    Parent(rustix::process::Pid),
}

/// Splits a single-threaded process. Refused with several threads: a lock held by another one would stay locked in the child.
pub fn fork() -> io::Result<Fork> {
    require_single_thread()?;
    // SAFETY: no other thread exists, so the child inherits no lock in a locked state.
    match unsafe { libc::fork() } {
        0 => Ok(Fork::Child),
        pid if pid > 0 => rustix::process::Pid::from_raw(pid)
            .map(Fork::Parent)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process at once, without running destructors: for a child that could not `exec`.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(code) }
}

/// Moves a single-threaded process into new namespaces.
pub fn unshare(flags: rustix::thread::UnshareFlags) -> io::Result<()> {
    require_single_thread()?;
    // SAFETY: only CLONE_FILES can break the I/O safety of other threads, and there are none.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// Replaces this process by the program that `executable` is open on, so that what was measured through that
/// descriptor is what runs. Returns only on failure.
pub fn execute(executable: BorrowedFd<'_>, argv: &[CString], env: &[CString]) -> io::Error {
    let list = |texts: &[CString]| {
        texts
            .iter()
            .map(|text| text.as_ptr().cast_mut())
            .chain([ptr::null_mut()])
            .collect::<Vec<_>>()
    };
    let (argv, env) = (list(argv), list(env));
    // SAFETY: both lists end with a null pointer and point to C strings that outlive the call.
    unsafe {
        libc::execveat(
            executable.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    io::Error::last_os_error()
}

/// Marks every descriptor from `first` on as closed at the next `exec`.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: changes flags only, closes nothing now.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives every signal its default action back. Programs expect it at their start; our runtime ignores SIGPIPE.
pub fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no handler; for the few numbers that can not be changed it only fails.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// One instruction of a classic BPF program (`struct sock_filter`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when true.
    pub jump_true: u8,
    /// Instructions to skip when false.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

/// Installs a seccomp filter on this thread for good. Needs `no_new_privs`.
pub fn filter_system_calls(program: &[Instruction]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: program.len().try_into().map_err(io::Error::other)?,
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: `filter` points to `len` instructions laid out as the kernel's struct; it copies and checks them.
    let rc = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
            0,
            0,
        )
    };
    if rc == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Opens a descriptor number that this process was started with. `None` if it is not open.
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC only asks; an unknown number is answered with an error.
    let fd = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    // SAFETY: the kernel has just made this duplicate for us.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn require_single_thread() -> io::Result<()> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    match threads {
        1 => Ok(()),
        _ => Err(io::Error::other("the process has several threads")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn both_ends_of_a_pair_are_ourselves() {
        let (a, _b) = UnixStream::pair().unwrap();
        let own = peer_credentials(a.as_fd()).unwrap();
        assert_eq!(own.pid, i32::try_from(std::process::id()).unwrap());
        assert!(peer_pidfd(a.as_fd()).is_ok());
    }

    #[test]
    fn a_process_with_threads_may_not_fork() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        assert!(fork().is_err());
        drop(go);
        assert!(other.join().unwrap().is_err());
    }

    #[test]
    fn a_descriptor_that_is_not_open_is_not_inherited() {
        assert!(inherited(9_999).is_none());
    }
}
