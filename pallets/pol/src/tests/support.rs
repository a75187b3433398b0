//! What members find, and what they do with it.

use crate::{mock::*, EvaluationOf, Evaluations, Seats};
use blyan_primitives::{
    ids::ContentHash,
    pol::{commitment, Candidate, CandidateSums, DeltaFinding, Finding, Layout, Reveal, Scores, Set, Target},
    trace::LOSS_UNITS,
};
use codec::Encode;

/// Loss of the base on an item: ten nats a position.
pub(crate) const BASE: u64 = 10 * 4 * LOSS_UNITS as u64;
/// What deltas gain: half a nat a position.
pub(crate) const GAIN: u64 = 2 * LOSS_UNITS as u64;
pub(crate) const SALT: [u8; 32] = [5; 32];
/// Who has the keys of hidden sets.
pub(crate) const STEWARD: u64 = 50;
/// What hidden sets are encrypted as.
pub(crate) const ENCRYPTED: ContentHash = ContentHash([0xee; 32]);
pub(crate) const KEY: [u8; 32] = [0x4b; 32];

pub(crate) fn evaluation() -> EvaluationOf<Test> {
    Evaluations::<Test>::get(ROUND).unwrap()
}

/// Members of the committee, in order.
pub(crate) fn members() -> Vec<u64> {
    let mut members: Vec<u64> = Seats::<Test>::iter_prefix(ROUND).map(|(who, _)| who).collect();
    members.sort_unstable();
    members
}

/// Scores by which every delta gains as much.
pub(crate) fn scores(layout: &Layout) -> Scores {
    let score = |place| match layout.cell(place).unwrap().target {
        Target::Base => BASE,
        _ => BASE - GAIN,
    };
    Scores((0..layout.all()).map(score).collect())
}

/// The same, but that the deltas of these numbers gain nothing.
pub(crate) fn scores_without(layout: &Layout, useless: &[u32]) -> Scores {
    let mut scores = scores(layout);
    for delta in useless {
        for set in [Set::Trial, Set::General, Set::Own(*delta)] {
            for place in layout.cells(Target::Delta(*delta), set).unwrap() {
                scores.0[place as usize] = BASE;
            }
        }
    }
    scores
}

/// The reveal that follows from scores, whose deltas are all sound.
pub(crate) fn reveal(scores: &Scores) -> Reveal {
    let evaluation = evaluation();
    let layout = evaluation.layout;
    let found = |sums| DeltaFinding { finding: Finding::Sound, sums };
    let deltas: Vec<_> = scores.deltas(&layout).unwrap().into_iter().map(found).collect();
    let mut reveal = Reveal { scores: [0; 32], deltas: deltas.try_into().unwrap(), candidate: None };
    let merges = reveal.weights(&layout, &evaluation.learning).iter().any(|weight| *weight > 0);
    let mut scores = scores.clone();
    if merges {
        let serving = world(|world| world.experts[3]);
        let sums: CandidateSums = scores.candidate(&layout).unwrap();
        reveal.candidate = Some(Candidate { master: ContentHash([8; 32]), serving, sums });
    } else {
        scores.0.truncate(layout.without_candidate() as usize);
    }
    reveal.scores = scores.hash();
    reveal
}

/// All members say that they have all deltas, and the phase ends.
pub(crate) fn all_available() {
    assert_eq!(run_to_next_phase(), crate::Phase::Availability);
    for who in members() {
        Pol::vote_availability(RuntimeOrigin::signed(who), ROUND, u32::MAX, false).unwrap();
    }
    assert_eq!(run_to_next_phase(), crate::Phase::Commit);
}

pub(crate) fn commit(who: u64, reveal: &Reveal) {
    let commitment = commitment(ROUND.into(), &who.encode(), &SALT, &reveal.hash());
    Pol::commit(RuntimeOrigin::signed(who), ROUND, commitment).unwrap();
}

/// Members commit to, and reveal, what each has found.
pub(crate) fn commit_and_reveal(found: &[(u64, Reveal)]) {
    for (who, reveal) in found {
        commit(*who, reveal);
    }
    assert_eq!(run_to_next_phase(), crate::Phase::Reveal);
    for (who, reveal) in found {
        Pol::reveal(RuntimeOrigin::signed(*who), ROUND, SALT, Box::new(reveal.clone())).unwrap();
    }
}

/// Who was slashed, in order.
pub(crate) fn slashed() -> Vec<u64> {
    let mut slashed: Vec<u64> = Slashed::get().into_iter().map(|(who, _)| who).collect();
    slashed.sort_unstable();
    slashed
}
