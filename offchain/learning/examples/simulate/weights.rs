//! What rounds cost the chain: the measured weights of its pallets, read from the files that have them.

use crate::chain::Chain;
use blyan_primitives::pol::MAX_DELTAS;
use std::{collections::BTreeMap, fmt};

const EXPERTS: &str = include_str!("../../../../pallets/experts/src/weights.rs");
const POL: &str = include_str!("../../../../pallets/pol/src/weights.rs");

/// A read of the state and a write, in picoseconds: the runtime's `ParityDbWeight`.
const READ: u64 = 8_000_000;
const WRITE: u64 = 50_000_000;
/// What a transaction costs beside its call, in picoseconds: the SDK's `ExtrinsicBaseWeight`.
const TRANSACTION: u64 = 108_157_000;

/// A weights file is not as the script writes it.
#[derive(Debug)]
pub(crate) struct NoWeight(&'static str);

impl fmt::Display for NoWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pallets' weights have none for '{}' that can be read: they are written in another way", self.0)
    }
}

impl std::error::Error for NoWeight {}

/// Something that grows with components: what it is without them, and what each of one adds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Formula {
    base: u64,
    slopes: BTreeMap<String, u64>,
}

impl Formula {
    /// Reads the function of this name in the implementation.
    fn read(file: &str, name: &'static str) -> Result<Self, NoWeight> {
        let body = || {
            let (_, implementation) = file.split_once("\nimpl<")?;
            let (_, function) = implementation.split_once(&format!("fn {name}("))?;
            Some(function.split_once("\n    }")?.0)
        };
        let numbers = |text: &str| -> Option<Vec<u64>> {
            let (inside, _) = text.split_once(')')?;
            inside
                .split(',')
                .map(|number| number.trim().trim_end_matches("u64").replace('_', "").parse().ok())
                .collect()
        };
        let mut formula = Self::default();
        for line in body().ok_or(NoWeight(name))?.lines() {
            let mut term = || {
                let (_, factor) = line.split_once("saturating_mul(").unwrap_or(("", ""));
                let component = factor.split_once(".into()").map(|(component, _)| component.to_string());
                let cost = if let Some((_, rest)) = line.split_once("from_parts(") {
                    *numbers(rest)?.first()?
                } else if let Some((_, rest)) = line.split_once("reads_writes(") {
                    let [reads, writes] = numbers(rest)?[..] else { return None };
                    reads * READ + writes * WRITE
                } else {
                    let of = |name: &str, cost: u64| {
                        let (_, rest) = line.split_once(name)?;
                        let (count, _) = rest.split_once("u64")?;
                        count.parse::<u64>().ok().map(|count| count * cost)
                    };
                    of(".reads(", READ).or_else(|| of(".writes(", WRITE))?
                };
                match component {
                    Some(component) => *formula.slopes.entry(component).or_default() += cost,
                    None => formula.base += cost,
                }
                Some(())
            };
            if line.contains("from_parts(") || line.contains("DbWeight") {
                term().ok_or(NoWeight(name))?;
            }
        }
        if formula.base == 0 { Err(NoWeight(name)) } else { Ok(formula) }
    }

    fn at(&self, components: &[(&str, u64)]) -> u64 {
        let slope = |(name, count): &(&str, u64)| self.slopes.get(*name).copied().unwrap_or(0) * count;
        self.base + components.iter().map(slope).sum::<u64>()
    }
}

/// Picoseconds of the chain's time, for each thing that happens in a round.
pub(crate) struct Weights {
    open: Formula,
    submit: Formula,
    publish: Formula,
    close: Formula,
    empty: Formula,
    start: Formula,
    vote: Formula,
    commit: Formula,
    reveal: Formula,
    draw: Formula,
    end_availability: Formula,
    end_commit: Formula,
    end_reveal: Formula,
    decide: Formula,
    agendas: u64,
    most_evaluators: u64,
}

impl Weights {
    pub(crate) fn read(chain: &Chain) -> Result<Self, NoWeight> {
        let [experts, pol] = [EXPERTS, POL].map(|file| move |name| Formula::read(file, name));
        let agendas = [experts("agenda")?, experts("agenda_block")?, pol("agenda")?, pol("agenda_block")?];
        Ok(Self {
            open: experts("open_round")?,
            submit: experts("submit_delta")?,
            publish: experts("publish")?,
            close: experts("start_evaluation")?,
            empty: experts("end_empty_round")?,
            start: pol("start")?,
            vote: pol("vote_availability")?,
            commit: pol("commit")?,
            reveal: pol("reveal")?,
            draw: pol("draw")?,
            end_availability: pol("end_availability")?,
            end_commit: pol("end_commit")?,
            end_reveal: pol("end_reveal")?,
            decide: experts("decide_round")?,
            agendas: agendas.iter().map(|agenda| agenda.at(&[])).sum(),
            most_evaluators: chain.most_evaluators,
        })
    }

    /// Every block looks at both agendas.
    pub(crate) fn block(&self) -> u64 {
        self.agendas
    }

    pub(crate) fn open(&self) -> u64 {
        TRANSACTION + self.open.at(&[])
    }

    pub(crate) fn submit(&self) -> u64 {
        TRANSACTION + self.submit.at(&[])
    }

    pub(crate) fn vote(&self) -> u64 {
        TRANSACTION + self.vote.at(&[])
    }

    pub(crate) fn commit(&self) -> u64 {
        TRANSACTION + self.commit.at(&[])
    }

    pub(crate) fn reveal(&self) -> u64 {
        TRANSACTION + self.reveal.at(&[])
    }

    /// Headers of so many bytes, of a round of so many deltas and evaluators.
    pub(crate) fn publish(&self, bytes: u64, deltas: u64, evaluators: u64) -> u64 {
        TRANSACTION + self.publish.at(&[("h", bytes), ("d", deltas), ("e", evaluators)])
    }

    /// The end of the time for deltas.
    pub(crate) fn close(&self, deltas: usize) -> u64 {
        if deltas == 0 { self.empty.at(&[]) } else { self.close.at(&[]) + self.start.at(&[]) }
    }

    /// The most that any decision takes. Hooks are charged for it whenever one could follow: `weight_of_phase` of pallet pol.
    fn decision(&self) -> u64 {
        self.decide.at(&[("d", MAX_DELTAS.into()), ("e", self.most_evaluators)])
    }

    /// Each time that it is looked for randomness, whether there is any or not.
    pub(crate) fn draw(&self) -> u64 {
        self.draw.at(&[]) + self.decision()
    }

    pub(crate) fn end_availability(&self) -> u64 {
        self.end_availability.at(&[]) + self.decision()
    }

    pub(crate) fn end_commit(&self) -> u64 {
        self.end_commit.at(&[])
    }

    pub(crate) fn end_reveal(&self) -> u64 {
        self.end_reveal.at(&[]).max(self.end_availability.at(&[])) + self.decision()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_as_they_are_written() {
        let file = "trait T {\n    fn one() -> Weight;\n}\n\nimpl<T> W for S<T> {\n    // n: 1 to 4.\n    \
            fn one(n: u32) -> Weight {\n        Weight::from_parts(1_234, 0)\n            \
            .saturating_add(Weight::from_parts(56, 0).saturating_mul(n.into()))\n            \
            .saturating_add(T::DbWeight::get().reads_writes(3, 2))\n            \
            .saturating_add(T::DbWeight::get().reads(2u64.saturating_mul(n.into())))\n            \
            .saturating_add(T::DbWeight::get().writes(1u64.saturating_mul(n.into())))\n    }\n}\n";
        let one = Formula::read(file, "one").unwrap();
        assert_eq!(one.at(&[]), 1_234 + 3 * READ + 2 * WRITE);
        assert_eq!(one.at(&[("n", 4)]) - one.at(&[]), 4 * (56 + 2 * READ + WRITE));
        assert!(Formula::read(file, "two").is_err());
        assert!(Formula::read(&file.replace("1_234", "x"), "one").is_err());
    }

    #[test]
    fn the_pallets_have_all_that_is_asked_for() {
        let chain = Chain::read().unwrap();
        let weights = Weights::read(&chain).unwrap();
        assert!(weights.publish(4_096, 16, 51) > weights.publish(4_096, 1, 51));
        assert!(weights.end_reveal() > weights.end_commit());
        // Together they are less than a quarter of a block, or the runtime would not start.
        let ends = u64::from(chain.phase_endings) * weights.draw().max(weights.end_availability());
        assert!(ends < chain.block_weight / 4);
    }
}
