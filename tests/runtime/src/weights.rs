//! What calls and hooks cost was measured, and what a block has to do fits in it.

use super::{metadata::OURS, preset};
use blyan_runtime::{
    configs::{scheduler::MaximumSchedulerWeight, system::RuntimeBlockWeights},
    Dao, Experts, Inference, Pol, Staking,
};
use frame_support::weights::Weight;
use polkadot_sdk::*;
use std::{collections::BTreeSet, fs, path::Path};

/// A part of a block, in parts of a thousand.
fn part(weight: Weight) -> u64 {
    weight.ref_time() * 1_000 / RuntimeBlockWeights::get().max_block.ref_time()
}

/// The scheduler takes what is left when it begins, so that what comes before it can delay a call but never make a block too
/// long. What comes after it has to fit beside the most that it takes.
#[test]
fn what_a_block_has_to_do_fits_in_it() {
    preset("tiny_development").execute_with(|| {
        let staking = part(Staking::fullest_block());
        let rotation = part(Staking::fullest_rotation());
        let polls = part(Dao::heaviest_agenda());
        let (rounds, verdicts) = (part(Experts::heaviest_agenda()), part(Pol::heaviest_agenda()));
        let agendas = polls + rounds + verdicts;
        let scheduler = part(MaximumSchedulerWeight::get());
        println!("staking {staking}, with a change of era {rotation}, scheduler {scheduler} of 1000");
        println!("polls {polls}, rounds {rounds}, evaluations {verdicts}");
        assert!(rotation + agendas <= 1_000, "a change of era {rotation}, agendas {agendas}");
        assert!(scheduler + agendas <= 1_000, "scheduled calls {scheduler}, agendas {agendas}");
        let transactions = 1_000 - staking - agendas;
        assert!(transactions >= 250, "of the fullest block {transactions} of 1000 is left to transactions");
    });
}

/// What sweeps do fits in what transactions leave of a block that is as full as they can make it.
#[test]
fn what_is_over_goes_even_when_blocks_are_full() {
    preset("tiny_development").execute_with(|| {
        let sweeps = [Dao::heaviest_sweep(), Inference::heaviest_sweep(), Experts::heaviest_sweep()];
        let sweeps = sweeps.into_iter().fold(Weight::zero(), Weight::saturating_add);
        let weights = RuntimeBlockWeights::get();
        let normal = weights.get(frame_support::dispatch::DispatchClass::Normal).max_total.unwrap();
        let left = weights.max_block.saturating_sub(normal).saturating_sub(weights.base_block);
        println!("sweeps {} of the {} of 1000 that are left", part(sweeps), part(left));
        assert!(sweeps.all_lte(left));
    });
}

/// A file of a pallet's sources.
fn source(pallet: &str, file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pallets").join(pallet).join("src").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The name of a function whose signature begins here.
fn function(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix("fn ")?.split('(').next()
}

/// The number before `unit` in the text.
fn number_of(text: &str, unit: &str) -> Option<u32> {
    text.split_once(unit)?.0.split_whitespace().next_back()?.parse().ok()
}

/// What no measurement of a call or a hook can be less than: its storage alone is looked up in longer, in picoseconds.
const LEAST_TIME: u64 = 100_000;

/// Nobody writes weights by hand: they say how they were measured, there is one for each benchmark and none beside, and each
/// has a time that a machine can take.
#[test]
fn weights_are_measured() {
    for pallet in OURS.map(str::to_lowercase) {
        let (benchmarks, weights) = (source(&pallet, "benchmarking.rs"), source(&pallet, "weights.rs"));
        let header = weights.split("\nuse ").next().unwrap();
        assert!(header.contains("Written by `scripts/weights`"), "weights of {pallet} are not measured");
        assert!(number_of(header, " steps").is_some_and(|steps| steps >= 50), "{pallet}: {header}");
        assert!(number_of(header, " repeats").is_some_and(|repeats| repeats >= 20), "{pallet}: {header}");

        let measured: BTreeSet<_> =
            benchmarks.split("#[benchmark").skip(1).filter_map(|text| text.lines().find_map(function)).collect();
        let (_, weights) = weights.split_once("\nimpl<T").unwrap();
        let given: Vec<_> = weights.split("    fn ").skip(1).collect();
        let names: BTreeSet<_> = given.iter().filter_map(|text| text.split('(').next()).collect();
        assert_eq!(names, measured, "run scripts/weights {pallet}");
        for text in given {
            let (_, time) = text.split_once("Weight::from_parts(").unwrap();
            let time: u64 = time.split(',').next().unwrap().trim().replace('_', "").parse().unwrap();
            assert!(time >= LEAST_TIME, "{pallet}: {time} ps is no measurement: {text}");
        }
    }
}
