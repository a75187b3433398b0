//! Hardware profiles, and the tiers they fall into.
//!
//! A tier says what work a machine can be given. It is bounded by the scarcest of three resources: memory decides what
//! fits, arithmetic how fast it is computed, the bus how fast weights get there. Tier 0 is a machine without a GPU; tiers 1
//! to 10 are GPUs.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;

/// What a worker says of its machine. Claims are checked by measured work, never believed by themselves.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HardwareProfile {
    /// GPU memory, in MiB; 0 without a GPU.
    pub vram_mib: u32,
    /// Half-precision arithmetic of the GPU, in TFLOPS; 0 without a GPU.
    pub tflops: u32,
    /// Bandwidth between host and GPU in one direction, in GB/s; 0 without a GPU.
    pub pcie_gbps: u32,
    /// Main memory, in MiB.
    pub ram_mib: u32,
    /// Hardware threads.
    pub cpu_threads: u16,
}

/// A hardware tier, 0 to [`Tier::MAX`].
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    DecodeWithMemTracking,
    TypeInfo,
    MaxEncodedLen,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tier(pub u8);

impl Tier {
    /// A machine without a GPU.
    pub const CPU: Self = Self(0);
    /// The highest tier.
    pub const MAX: Self = Self(10);
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}", self.0)
    }
}

/// Least of each resource for a tier.
struct Floor {
    vram_mib: u32,
    tflops: u32,
    pcie_gbps: u32,
}

const fn floor(vram_gib: u32, tflops: u32, pcie_gbps: u32) -> Floor {
    // Cards report a little less than their nominal memory (firmware and ECC take some): 15/16 of it counts as all.
    Floor { vram_mib: vram_gib.saturating_mul(960), tflops, pcie_gbps }
}

/// Tiers 1 to 10 with a card typical of each.
const FLOORS: [Floor; 10] = [
    floor(2, 1, 1),     // 1: any GPU that can hold a small expert
    floor(4, 4, 3),     // 2: GTX 1650
    floor(6, 8, 6),     // 3: RTX 2060
    floor(8, 12, 8),    // 4: RTX 3060 Ti
    floor(12, 20, 12),  // 5: RTX 3080 12 GB
    floor(16, 35, 12),  // 6: RTX 4080
    floor(24, 60, 16),  // 7: RTX 3090, 4090
    floor(40, 150, 25), // 8: A100 40 GB
    floor(80, 300, 25), // 9: A100 80 GB
    floor(80, 800, 50), // 10: H100, H200
];

impl HardwareProfile {
    /// The highest tier all of whose floors the machine reaches. More of any resource never lowers it.
    pub fn tier(&self) -> Tier {
        let reached = FLOORS.iter().take_while(|floor| {
            self.vram_mib >= floor.vram_mib && self.tflops >= floor.tflops && self.pcie_gbps >= floor.pcie_gbps
        });
        Tier(reached.count() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gpu(vram_mib: u32, tflops: u32, pcie_gbps: u32) -> HardwareProfile {
        HardwareProfile { vram_mib, tflops, pcie_gbps, ram_mib: 32 << 10, cpu_threads: 16 }
    }

    #[test]
    fn floors_never_fall() {
        for pair in FLOORS.windows(2) {
            assert!(pair[0].vram_mib <= pair[1].vram_mib);
            assert!(pair[0].tflops <= pair[1].tflops && pair[0].pcie_gbps <= pair[1].pcie_gbps);
        }
    }

    #[test]
    fn known_cards_fall_where_they_belong() {
        assert_eq!(HardwareProfile { cpu_threads: 128, ..Default::default() }.tier(), Tier::CPU);
        assert_eq!(gpu(24_564, 165, 25).tier(), Tier(7));
        assert_eq!(gpu(81_559, 312, 25).tier(), Tier(9));
        assert_eq!(gpu(81_559, 989, 50).tier(), Tier::MAX);
    }

    #[test]
    fn the_scarcest_resource_decides() {
        assert_eq!(gpu(81_559, 989, 8).tier(), Tier(4));
        assert_eq!(gpu(81_559, 0, 50).tier(), Tier::CPU);
    }

    proptest! {
        #[test]
        fn more_of_a_resource_never_lowers_the_tier(
            v in 0u32..200_000, t in 0u32..2_000, p in 0u32..100, dv in 0u32..50_000, dt in 0u32..500, dp in 0u32..50,
        ) {
            prop_assert!(gpu(v, t, p).tier() <= gpu(v + dv, t + dt, p + dp).tier());
            prop_assert!(gpu(v, t, p).tier() <= Tier::MAX);
        }
    }
}
