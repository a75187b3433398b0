//! What machine this is, as far as it is registered on chain.

use blyan_primitives::{hardware::HardwareProfile, ids::HardwareId};
use std::{fs, thread};

/// The machine's main memory and threads. The canonical execution runs on CPUs, so a GPU counts for nothing here: the
/// profile is of tier 0 unless the operator says otherwise. Where the system does not tell its memory, 1 MiB is registered.
pub fn detect() -> HardwareProfile {
    let cpu_threads = thread::available_parallelism().map_or(1, |n| n.get()).min(usize::from(u16::MAX)) as u16;
    let ram_mib = fs::read_to_string("/proc/meminfo").ok().and_then(|text| ram_mib(&text)).unwrap_or(1);
    HardwareProfile { ram_mib, cpu_threads, ..HardwareProfile::default() }
}

fn ram_mib(meminfo: &str) -> Option<u32> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    u32::try_from(kib / 1024).ok()
}

/// Names the hardware that a worker runs on.
///
/// A machine without a GPU has nothing that only it can show, so its id is drawn from the operating system's machine id and
/// from the worker's own identity: several CPU workers can share a machine, and a worker keeps its id across restarts.
pub fn id(peer_id: &[u8]) -> HardwareId {
    let machine = fs::read("/etc/machine-id").or_else(|_| fs::read("/var/lib/dbus/machine-id")).unwrap_or_default();
    let mut identity = (machine.len() as u64).to_le_bytes().to_vec();
    identity.extend_from_slice(&machine);
    identity.extend_from_slice(peer_id);
    blyan_chain::hardware_id(&identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_own_words() {
        assert_eq!(ram_mib("MemTotal:       24689764 kB\nMemFree: 1 kB\n"), Some(24111));
        assert_eq!(ram_mib("MemFree: 1 kB\n"), None);
        assert_eq!(ram_mib("MemTotal: many kB\n"), None);
    }

    #[test]
    fn two_workers_on_one_machine_have_two_ids() {
        assert_ne!(id(b"a"), id(b"b"));
        assert_eq!(id(b"a"), id(b"a"));
    }
}
