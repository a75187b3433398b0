//! What the simulation takes for given and the chain does not set: what was measured, and by what; and what is assumed. Each can
//! be set from the command line.

/// Layers of the genesis model, SmolLM2-135M upcycled.
pub(crate) const LAYERS: usize = 30;
/// Experts of a layer.
pub(crate) const EXPERTS: usize = 4;
/// Multiplications a token of a layer's attention, of one of its experts, and of the logits.
const ATTENTION_WORK: f64 = 0.885e6;
const EXPERT_WORK: f64 = 2.654e6;
const LOGITS_WORK: f64 = 28.3e6;
/// Of all layers, where a token goes through two experts that differ.
const LAYERS_WORK: f64 = LAYERS as f64 * (ATTENTION_WORK + 2.0 * EXPERT_WORK);
/// Share of a pass that is after the layers.
pub(crate) const LOGITS_SHARE: f64 = LOGITS_WORK / (LAYERS_WORK + LOGITS_WORK);

/// Something that is assumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) source: &'static str,
}

macro_rules! assumptions {
    ($($name:ident: $value:literal, $unit:literal, $source:literal;)*) => {
        /// All that is assumed. A `…_spread` is the deviation of the logarithm of what is log-normal about its median.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct Assumptions {$(
            #[doc = concat!($source, ", in ", $unit)]
            pub(crate) $name: f64,
        )*}

        impl Default for Assumptions {
            fn default() -> Self {
                Self {$($name: $value,)*}
            }
        }

        impl Assumptions {
            /// Puts another value in, if there is something of this name.
            pub(crate) fn set(&mut self, name: &str, value: f64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => return false,
                }
                true
            }

            /// All of it.
            pub(crate) fn entries(&self) -> Vec<Entry> {
                vec![$(Entry { name: stringify!($name), value: self.$name, unit: $unit, source: $source },)*]
            }
        }
    };
}

assumptions! {
    prefill_speed: 1757.0, "tokens/s", "measured: docs/benchmarks.md, two threads, one expert a layer, no logits";
    step_seconds: 1.5, "s", "measured: examples/gain, a step of 2 × 256 tokens, layers 14 to 29: 1.1 to 2.5 s";
    reaction_blocks: 3.0, "blocks", "measured: docs/benchmarks.md, finality after 7.1 s";
    potential: 0.065, "nats a token", "fitted: examples/gain, a Brown genre, rank 8: 0.034, 0.051, 0.059 after 20, 40, 60 steps";
    potential_steps: 25.0, "steps", "fitted: the same";
    loss: 3.8, "nats a token", "measured: examples/gain, genesis model on Brown texts";
    loss_deviation: 0.4, "nats a token", "assumed: from item to item";
    noise_floor: 0.004, "nats a token", "assumed: deviation of an item's gain where weights are only rounded anew";
    noise_relative: 0.6, "of the gain", "assumed: deviation of an item's gain that comes to it";
    noise_shared: 0.5, "of its variance", "assumed: what deltas of a round have in common";
    spill: 0.5, "of the gain", "assumed: what general items gain too";
    spill_deviation: 0.15, "of the gain", "assumed: from delta to delta";
    own_gain: 1.2, "of the gain", "assumed: gain on the data that was trained on";
    refresh_days: 3.0, "days", "assumed: new data restores two thirds of what a head has gained already";
    freeloaders: 0.06, "of learners", "assumed: hand in noise";
    harmful: 0.04, "of learners", "assumed: gain on what is measured, harm other data";
    copiers: 0.03, "of learners", "assumed: hand in what another has submitted";
    leakers: 0.02, "of learners", "assumed: train on public evaluation data and declare other";
    harm: 0.015, "nats a token", "assumed: median of what harmful deltas lose on general items";
    harm_spread: 0.8, "ln", "assumed";
    leaked_gain: 2.0, "of honest", "assumed: what leakers gain on trial items";
    leaked_rest: 0.3, "of honest", "assumed: what they gain elsewhere";
    disguise: 0.97, "of the gain", "assumed: what is left with enough noise not to be found a copy";
    deltas_wanted: 2.0, "a day", "assumed: of each learner";
    training_steps: 60.0, "steps", "assumed: median; 90 s on the reference machine";
    training_steps_spread: 0.5, "ln", "assumed";
    skill_spread: 0.3, "ln", "assumed: gains from learner to learner";
    luck_spread: 0.2, "ln", "assumed: gains from delta to delta";
    machine_spread: 0.6, "ln", "assumed: speeds about that of docs/benchmarks.md";
    uplink: 20e6, "bit/s", "assumed: median of learners and evaluators, a home line";
    uplink_spread: 0.8, "ln", "assumed";
    downlink: 100e6, "bit/s", "assumed: the same";
    downlink_spread: 0.8, "ln", "assumed";
    round_trip: 0.1, "s", "assumed: between continents; three for a block: header, hashes, data";
    aggregators: 10.0, "machines", "assumed: with the role aggregate";
    aggregator_uplink: 1e9, "bit/s", "assumed: of each, in a data centre";
    restart_days: 2.0, "days", "assumed: mean time between restarts, at random";
    outage: 240.0, "s", "assumed: median time that one takes";
    outage_spread: 1.2, "ln", "assumed";
    evaluators_a_learner: 0.1, "of learners", "assumed";
    least_evaluators: 80.0, "machines", "assumed";
    stake_exponent: 1.5, "Pareto", "assumed: a tenth of evaluators has half of the stake";
    patience: 1800.0, "s", "assumed: until who has found no place looks again, doubled each time";
    publication: 60.0, "s", "assumed: median from a verdict to the head's move";
    publication_spread: 0.7, "ln", "assumed";
    key: 60.0, "s", "assumed: until the steward of a hidden set has revealed its key";
    hidden_items: 256.0, "items", "assumed: of a hidden set, four bytes a token";
}

impl Assumptions {
    /// Seconds in which the reference machine passes a token through the model.
    pub(crate) fn seconds_a_token(&self) -> f64 {
        let speed = self.prefill_speed * LAYERS as f64 * (ATTENTION_WORK + EXPERT_WORK);
        (LAYERS_WORK + LOGITS_WORK) / speed
    }

    /// Evaluators of a network of so many learners.
    pub(crate) fn evaluators(&self, learners: usize) -> usize {
        (learners as f64 * self.evaluators_a_learner).max(self.least_evaluators) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_what_is_assumed() {
        let mut given = Assumptions::default();
        for entry in Assumptions::default().entries() {
            assert!(given.set(entry.name, entry.value + 1.0), "{}", entry.name);
            assert!(!entry.unit.is_empty() && !entry.source.is_empty());
        }
        let both = given.entries().into_iter().zip(Assumptions::default().entries());
        both.for_each(|(set, before)| assert_eq!(set.value, before.value + 1.0, "{}", set.name));
        assert!(!given.set("nothing", 1.0));
    }
}
