//! What a worker may use: nothing but the socket, the memory and the time that it was given.
//!
//! Limits of the kernel come first, because every kernel has them: no further open file, no file written, no process or
//! thread, no core dump. Then a filter of system calls (seccomp), where the kernel and the processor have it: reading and
//! writing what is open, memory, and the end. Without the filter everything works, and the parent says so once.
//!
//! Limits of memory are on addresses (`RLIMIT_AS`), counted from what the process has when a file comes; limits of time are
//! on the processor's (`RLIMIT_CPU`), counted likewise. Sources: getrlimit(2), seccomp(2), proc(5).

use rustix::{
    process::{Resource, Rlimit, getpid, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::{collections::BTreeMap, fs, fs::File, os::unix::fs::FileExt};

/// Addresses that a worker has at its start where the system does not tell.
const USUAL: u64 = 256 << 20;

/// The confined process.
pub(super) struct Confined {
    /// How many pages it has.
    statm: Option<File>,
    /// Bytes of a page.
    page: u64,
}

impl Confined {
    /// Confines this process, for ever; also says what could not be done.
    pub(super) fn enter() -> (Self, Option<String>) {
        // When memory runs out all the same, a worker is to go, not the daemon or a neighbour.
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
        let statm = File::open("/proc/self/statm").ok();
        // Both look the system up when they are called for the first time.
        let page = rustix::param::page_size() as u64;
        let _ = processor_time();
        for resource in [
            Resource::Core,
            Resource::Fsize,
            Resource::Nofile,
            Resource::Nproc,
        ] {
            let none = Rlimit {
                current: Some(0),
                maximum: Some(0),
            };
            let _ = setrlimit(resource, none);
        }
        let missing = filter().and_then(|filter| {
            seccompiler::apply_filter(&filter).map_err(|error| error.to_string())
        });
        (Self { statm, page }, missing.err())
    }

    /// Bytes of addresses that it has now.
    pub(super) fn has(&self) -> u64 {
        let mut text = [0; 128];
        let read = self.statm.as_ref().map(|statm| statm.read_at(&mut text, 0));
        let pages = read
            .and_then(Result::ok)
            .and_then(|length| std::str::from_utf8(&text[..length]).ok())
            .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        pages.map_or(USUAL, |pages| pages * self.page)
    }

    /// Limits its addresses to so many bytes.
    pub(super) fn limit_memory(&self, bytes: u64) {
        limit(Resource::As, bytes);
    }

    /// Limits its time to so many seconds of a processor from now on.
    pub(super) fn limit_time(&self, seconds: u64) {
        limit(Resource::Cpu, processor_time() + 1 + seconds);
    }
}

/// Seconds of a processor that it has used.
fn processor_time() -> u64 {
    clock_gettime(ClockId::ProcessCPUTime).tv_sec as u64
}

/// Sets the limit that counts; the one above it stays as it is.
fn limit(resource: Resource, value: u64) {
    let maximum = getrlimit(resource).maximum;
    let current = Some(maximum.map_or(value, |maximum| maximum.min(value)));
    let _ = setrlimit(resource, Rlimit { current, maximum });
}

/// The filter: what it does not name fails.
fn filter() -> Result<BpfProgram, String> {
    let words = |error: seccompiler::BackendError| error.to_string();
    let arch = std::env::consts::ARCH.try_into().map_err(words)?;
    let when = |argument, operator, value| {
        let argument = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value);
        argument
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map(|rule| vec![rule])
            .map_err(words)
    };
    let own = |argument| {
        let pid = getpid().as_raw_nonzero().get() as u64;
        when(argument, SeccompCmpOp::Eq, pid)
    };
    let not_executable = || {
        let executable = libc::PROT_EXEC as u64;
        when(2, SeccompCmpOp::MaskedEq(executable), 0)
    };
    let mut rules = BTreeMap::from([
        (libc::SYS_mmap, not_executable()?),
        (libc::SYS_mprotect, not_executable()?),
        // Its own limits, and the signal with which it ends itself.
        (libc::SYS_prlimit64, when(0, SeccompCmpOp::Eq, 0)?),
        (libc::SYS_tgkill, own(0)?),
    ]);
    let always = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_pread64,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_close,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_sched_yield,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    rules.extend(always.map(|call| (call, Vec::new())));
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, denied, SeccompAction::Allow, arch).map_err(words)?;
    filter.try_into().map_err(words)
}
