//! What an evaluator commits to, and reveals.

use super::{
    judge_candidate, judge_delta, merge_weights, CandidateSums, DeltaSums, Layout, Refusal, Scores, MAX_DELTAS,
};
use crate::{
    hash::{hash, Domain},
    ids::ContentHash,
    pact::Learning as Rules,
};
use alloc::vec::Vec;
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

const COMMITMENT: Domain = Domain("blyan/commitment/reveal/1");
const REVEAL: Domain = Domain("blyan/reveal/1");

/// What is found of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Finding {
    /// Its bytes cannot be applied to the base. It has no scores: its cells are zero.
    #[codec(index = 0)]
    Malformed,
    /// It changes the same as the delta of this number, which was submitted before.
    #[codec(index = 1)]
    Copy(u32),
    /// It is what it says.
    #[codec(index = 2)]
    Sound,
}

/// A delta's finding, and its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct DeltaFinding {
    /// What it is.
    pub finding: Finding,
    /// What it comes to.
    pub sums: DeltaSums,
}

impl DeltaFinding {
    /// Whether it is merged.
    ///
    /// # Errors
    /// Why it is not.
    pub fn judge(&self, layout: &Layout, rules: &Rules) -> Result<(), Refusal> {
        match self.finding {
            Finding::Malformed => Err(Refusal::Malformed),
            Finding::Copy(_) => Err(Refusal::Copied),
            Finding::Sound => judge_delta(&self.sums, layout, rules),
        }
    }
}

/// The head and all deltas that are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Candidate {
    /// The block that deltas are applied to from now on.
    pub master: ContentHash,
    /// The block that is served.
    pub serving: ContentHash,
    /// What it comes to.
    pub sums: CandidateSums,
}

/// All that an evaluation comes to. Of the same round, honest evaluators reveal the same to the last bit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Reveal {
    /// Names all scores.
    pub scores: [u8; 32],
    /// Deltas, in the order in which they were submitted.
    pub deltas: BoundedVec<DeltaFinding, ConstU32<MAX_DELTAS>>,
    /// What they come to together; nothing when none is merged.
    pub candidate: Option<Candidate>,
}

impl Reveal {
    /// Names it.
    pub fn hash(&self) -> [u8; 32] {
        hash(REVEAL, &[&self.encode()])
    }

    /// What each delta counts for in the candidate, in parts of 2^16.
    pub fn weights(&self, layout: &Layout, rules: &Rules) -> Vec<u32> {
        let gain = |delta: &DeltaFinding| delta.judge(layout, rules).is_ok().then_some(delta.sums.trial.gain);
        merge_weights(&self.deltas.iter().map(gain).collect::<Vec<_>>())
    }

    /// Whether it says of itself what follows from it: as many deltas as there are, and a candidate when one of them is
    /// merged, and only then. Whatever is not consistent is not honest.
    pub fn is_consistent(&self, layout: &Layout, rules: &Rules) -> bool {
        let merges = self.weights(layout, rules).iter().any(|weight| *weight > 0);
        let is_earlier = |(number, delta): (u32, &DeltaFinding)| match delta.finding {
            Finding::Copy(of) => of < number,
            _ => true,
        };
        self.deltas.len() as u64 == u64::from(layout.deltas)
            && self.candidate.is_some() == merges
            && (0..).zip(&self.deltas).all(is_earlier)
    }

    /// Whether scores are those that it names, come to its sums, and are zero where there is nothing to measure: no trace would
    /// show that of a delta which cannot be applied.
    pub fn follows_from(&self, scores: &Scores, layout: &Layout) -> bool {
        let same =
            scores.deltas(layout).is_some_and(|sums| sums.iter().eq(self.deltas.iter().map(|delta| &delta.sums)));
        let cells = if self.candidate.is_some() { layout.all() } else { layout.without_candidate() };
        let mut malformed = (0..).zip(&self.deltas).filter(|(_, delta)| delta.finding == Finding::Malformed);
        scores.hash() == self.scores
            && malformed.all(|(number, _)| scores.has_none_of(layout, number))
            && scores.0.len() as u64 == u64::from(cells)
            && same
            && self.candidate.is_none_or(|candidate| scores.candidate(layout) == Some(candidate.sums))
    }

    /// Whether the candidate becomes the head.
    ///
    /// # Errors
    /// Why it does not.
    pub fn judge(&self, layout: &Layout, rules: &Rules) -> Result<Candidate, Refusal> {
        let candidate = self.candidate.ok_or(Refusal::NothingMerged)?;
        judge_candidate(&candidate.sums, layout, rules)?;
        Ok(candidate)
    }
}

/// What an evaluator sends before it reveals: nobody can copy from it, the account being part of it.
pub fn commitment(round: u64, account: &[u8], salt: &[u8; 32], reveal: &[u8; 32]) -> [u8; 32] {
    hash(COMMITMENT, &[&round.to_le_bytes(), salt, reveal, account])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pol::{Set, Target};
    use alloc::vec;

    #[test]
    fn what_cannot_be_applied_has_no_scores() {
        let layout = Layout { trial: 2, last: 2, general: 2, own: 2, deltas: 2, positions: 3 };
        let reveal = |scores: &Scores| {
            let found = |(finding, sums)| DeltaFinding { finding, sums };
            let sums = scores.deltas(&layout).unwrap();
            let deltas: Vec<DeltaFinding> =
                [Finding::Sound, Finding::Malformed].into_iter().zip(sums).map(found).collect();
            Reveal { scores: scores.hash(), deltas: deltas.try_into().unwrap(), candidate: None }
        };
        let of_malformed = |set| layout.cells(Target::Delta(1), set).unwrap();
        let mut scores = Scores(vec![5; layout.without_candidate() as usize]);
        for cell in [Set::Trial, Set::General, Set::Own(1)].into_iter().flat_map(of_malformed) {
            assert!(!reveal(&scores).follows_from(&scores, &layout));
            scores.0[cell as usize] = 0;
        }
        assert!(reveal(&scores).follows_from(&scores, &layout));
        assert!(!reveal(&scores).follows_from(&Scores(vec![5; scores.0.len()]), &layout));
    }
}
