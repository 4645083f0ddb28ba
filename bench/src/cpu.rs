//! The clocks of the kernel: CPU time of this process or thread, and the one clock that all processes share.

use crate::fault::{Fault, fault};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// CPU time of every thread of this process, ended ones included.
pub(crate) fn of_process() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// CPU time of this thread.
pub(crate) fn of_thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// CPU time of another process, to a hundredth of a second: user and system of its threads, ended ones included.
pub(crate) fn of_pid(pid: u32) -> Result<Duration, Fault> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name, in brackets, and may hold anything (proc_pid_stat(5)); 14 and 15 are the times.
    let after = stat.rsplit_once(") ").map(|(_, after)| after);
    let mut fields = after.unwrap_or_default().split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks().zip(ticks()).map(|(user, system)| user + system);
    let ticks = ticks.ok_or_else(|| fault(format!("/proc/{pid}/stat is not understood")))?;
    Ok(Duration::from_millis(
        ticks * 1000 / rustix::param::clock_ticks_per_second(),
    ))
}

/// Time since some fixed point, the same one in every process of this machine.
pub(crate) fn shared() -> Duration {
    read(ClockId::Monotonic)
}

/// CPU microseconds of this thread for one `operation`, over `count` of them.
pub(crate) fn micros_each(count: u32, mut operation: impl FnMut()) -> f64 {
    let begun = of_thread();
    for _ in 0..count {
        operation();
    }
    micros(of_thread().saturating_sub(begun)) / f64::from(count.max(1))
}

/// As microseconds.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// As milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(secs, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time_and_sleep_takes_none() {
        let begun = (of_thread(), of_process(), shared());
        std::thread::sleep(Duration::from_millis(30));
        assert!(of_thread().saturating_sub(begun.0) < Duration::from_millis(20));
        assert!(shared().saturating_sub(begun.2) >= Duration::from_millis(30));
        let mut sum = 0_u64;
        while of_thread().saturating_sub(begun.0) < Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(of_process().saturating_sub(begun.1) >= Duration::from_millis(5));
    }
}
