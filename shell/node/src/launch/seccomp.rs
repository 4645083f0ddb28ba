//! System calls that an isolated run does not get: those that look into other processes, make or enter namespaces, change
//! mounts, or widen the kernel's surface far beyond what a program needs.
//!
//! A refused call fails with EPERM, so that programs which try and fall back go on. `clone3` fails with ENOSYS: its flags are in
//! memory that a filter can not read, and the C libraries then use `clone`.

use peer::sys::Instruction;

/// Refused whatever the arguments.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: [i64; 5] = [
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: [i64; 0] = [];

const REFUSED: [i64; 44] = [
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // namespaces and mounts
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // keys, and kernel surface
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
];

/// Namespace flags of `clone`: a run makes processes and threads, not namespaces.
const NAMESPACE_FLAGS: u32 = 0x7e02_0000;
/// Socket families of a program: Unix, IPv4, IPv6. Netlink, vsock, packet and the rest are refused.
const FAMILIES: [u32; 3] = [
    libc::AF_UNIX.cast_unsigned(),
    libc::AF_INET.cast_unsigned(),
    libc::AF_INET6.cast_unsigned(),
];
/// `ioctl` requests that type into a terminal.
const TERMINAL_INJECTION: [u32; 2] = [0x5412, 0x541c];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCHITECTURE: u32 = 4;
const fn offset_argument(place: u32) -> u32 {
    16 + 8 * place
}

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const fn refuse_with(errno: i32) -> u32 {
    0x0005_0000 | errno.cast_unsigned()
}

/// The filter program.
pub(super) fn program() -> Vec<Instruction> {
    let step = |code, operand| Instruction {
        code,
        jump_true: 0,
        jump_false: 0,
        operand,
    };
    let unless = |code, operand, skip| Instruction {
        code,
        jump_true: 0,
        jump_false: skip,
        operand,
    };
    let when = |code, operand, skip| Instruction {
        code,
        jump_true: skip,
        jump_false: 0,
        operand,
    };
    let number = |call: i64| u32::try_from(call).unwrap_or(u32::MAX);

    let mut program = vec![
        step(LOAD, OFFSET_ARCHITECTURE),
        when(JUMP_EQUAL, ARCHITECTURE, 1),
        step(RETURN, KILL),
        step(LOAD, OFFSET_NUMBER),
    ];
    // The x32 numbers would walk around every comparison below.
    if cfg!(target_arch = "x86_64") {
        program.extend([unless(JUMP_AT_LEAST, 0x4000_0000, 1), step(RETURN, KILL)]);
    }
    for call in REFUSED.iter().chain(&REFUSED_HERE) {
        program.extend([
            unless(JUMP_EQUAL, number(*call), 1),
            step(RETURN, refuse_with(libc::EPERM)),
        ]);
    }
    program.extend([
        unless(JUMP_EQUAL, number(libc::SYS_clone3), 1),
        step(RETURN, refuse_with(libc::ENOSYS)),
        unless(JUMP_EQUAL, number(libc::SYS_clone), 4),
        step(LOAD, offset_argument(0)),
        unless(JUMP_ANY_BIT, NAMESPACE_FLAGS, 1),
        step(RETURN, refuse_with(libc::EPERM)),
        step(RETURN, ALLOW),
    ]);
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        program.extend([
            unless(JUMP_EQUAL, number(call), 6),
            step(LOAD, offset_argument(0)),
            when(JUMP_EQUAL, FAMILIES[0], 3),
            when(JUMP_EQUAL, FAMILIES[1], 2),
            when(JUMP_EQUAL, FAMILIES[2], 1),
            step(RETURN, refuse_with(libc::EAFNOSUPPORT)),
            step(RETURN, ALLOW),
        ]);
    }
    program.extend([
        unless(JUMP_EQUAL, number(libc::SYS_ioctl), 4),
        step(LOAD, offset_argument(1)),
        when(JUMP_EQUAL, TERMINAL_INJECTION[0], 1),
        unless(JUMP_EQUAL, TERMINAL_INJECTION[1], 1),
        step(RETURN, refuse_with(libc::EPERM)),
        step(RETURN, ALLOW),
    ]);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program on one call, as the kernel would.
    fn verdict(architecture: u32, call: i64, arguments: [u32; 2]) -> u32 {
        let (program, mut at, mut loaded) = (program(), 0, 0);
        loop {
            let step = program[at];
            at += 1;
            let jump = |truth: bool| usize::from(if truth { step.jump_true } else { step.jump_false });
            match step.code {
                LOAD => {
                    loaded = match step.operand {
                        OFFSET_NUMBER => u32::try_from(call).unwrap(),
                        OFFSET_ARCHITECTURE => architecture,
                        16 => arguments[0],
                        24 => arguments[1],
                        other => panic!("loads {other}"),
                    }
                }
                JUMP_EQUAL => at += jump(loaded == step.operand),
                JUMP_AT_LEAST => at += jump(loaded >= step.operand),
                JUMP_ANY_BIT => at += jump(loaded & step.operand != 0),
                RETURN => return step.operand,
                other => panic!("code {other}"),
            }
        }
    }

    #[test]
    fn what_looks_out_of_the_run_is_refused() {
        let refused = refuse_with(libc::EPERM);
        for call in REFUSED {
            assert_eq!(verdict(ARCHITECTURE, call, [0, 0]), refused, "{call}");
        }
        assert_eq!(verdict(ARCHITECTURE, libc::SYS_clone, [0x1000_0000, 0]), refused);
        assert_eq!(
            verdict(ARCHITECTURE, libc::SYS_clone3, [0, 0]),
            refuse_with(libc::ENOSYS)
        );
        assert_eq!(verdict(ARCHITECTURE, libc::SYS_ioctl, [0, 0x5412]), refused);
        assert_eq!(verdict(ARCHITECTURE, libc::SYS_ioctl, [0, 0x541c]), refused);
        for family in [libc::AF_NETLINK, libc::AF_VSOCK, libc::AF_PACKET, libc::AF_ALG] {
            let verdict = verdict(ARCHITECTURE, libc::SYS_socket, [family.cast_unsigned(), 0]);
            assert_eq!(verdict, refuse_with(libc::EAFNOSUPPORT));
        }
    }

    #[test]
    fn what_programs_need_is_allowed() {
        for call in [
            libc::SYS_read,
            libc::SYS_execve,
            libc::SYS_openat,
            libc::SYS_futex,
            libc::SYS_connect,
        ] {
            assert_eq!(verdict(ARCHITECTURE, call, [0, 0]), ALLOW);
        }
        assert_eq!(verdict(ARCHITECTURE, libc::SYS_clone, [0x003d_0f00, 0]), ALLOW);
        assert_eq!(verdict(ARCHITECTURE, libc::SYS_ioctl, [0, 0x5413]), ALLOW);
        for family in FAMILIES {
            assert_eq!(verdict(ARCHITECTURE, libc::SYS_socket, [family, 0]), ALLOW);
        }
    }

    #[test]
    fn another_architecture_is_killed() {
        assert_eq!(verdict(0x4000_0003, libc::SYS_read, [0, 0]), KILL);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(verdict(ARCHITECTURE, 0x4000_0000, [0, 0]), KILL);
        }
    }
}
