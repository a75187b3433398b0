//! What can be asked of the chain.

use super::Purpose;
use crate::{AccountId, ChainError, Result};
use blyan_primitives::{
    block::{BlockHeader, MAX_ONCHAIN_HEADER_LEN},
    dispute::{Evidence, MAX_BLOCKS, MAX_RUNS, MAX_SUBTILE_RUNS, Move, Side},
    ids::{ContentHash, SlotId, SpecId},
    learning::{DeltaHeader, RoundId},
    merkle::{Digest, MAX_PROOF},
    pol::{Finding, Reveal, Scores},
    trace::MAX_ITEM_TOKENS,
};
use codec::{Decode, Encode};

/// Most scores of an evaluation.
pub const MAX_SCORES: usize = 1 << 14;

/// A call about rounds and their evaluation.
///
/// Its encoding is part of the journal's format: variants keep their indices.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum LearningCall {
    /// Opens a round on a slot's head.
    #[codec(index = 0)]
    OpenRound {
        /// The slot.
        slot: SlotId,
        /// The spec that the model is evaluated in: an active one of the slot's lineage.
        spec: SpecId,
    },
    /// Submits a delta of the account, whose worker trains. Its bond is held until it is judged.
    #[codec(index = 1)]
    SubmitDelta {
        /// The round.
        round: RoundId,
        /// What the account says of the delta.
        header: DeltaHeader,
        /// Who takes it over, so that others can fetch it there, and has a share in what it is paid: one that stands for
        /// election.
        aggregator: Option<AccountId>,
    },
    /// Publishes what was accepted in a round: registers both blocks, and moves the slot's head.
    #[codec(index = 2)]
    Publish {
        /// The round.
        round: RoundId,
        /// Header of the accepted master, SCALE encoded.
        master: Vec<u8>,
        /// Header of the accepted serving form, SCALE encoded.
        serving: Vec<u8>,
    },
    /// Lets the account be drawn for committees, by what it has at stake as a worker.
    #[codec(index = 3)]
    Enrol,
    /// Lets the account be drawn no more.
    #[codec(index = 4)]
    LeaveEvaluators,
    /// Has an evaluator drawn by what it has at stake now.
    #[codec(index = 5)]
    Refresh {
        /// The evaluator.
        who: AccountId,
    },
    /// Makes a registered block of items one that learners train on, or that deltas are measured on. Only governance can.
    #[codec(index = 6)]
    AddSet {
        /// The block.
        block: ContentHash,
        /// What it is for; a hidden set is added by [`Self::AddHiddenSet`].
        purpose: Purpose,
    },
    /// Uses a block of items no more. Only governance can.
    #[codec(index = 7)]
    RemoveSet {
        /// The block.
        block: ContentHash,
    },
    /// Makes a registered block of items one that candidates are measured on once, and that nobody can read until then. Only
    /// governance can.
    #[codec(index = 8)]
    AddHiddenSet {
        /// The block.
        block: ContentHash,
        /// The block with the same tokens, encrypted.
        encrypted: ContentHash,
        /// Who has the key.
        steward: AccountId,
    },
    /// Reveals the key of a hidden set of which the account is the steward, once an evaluation was given the set.
    #[codec(index = 9)]
    RevealKey {
        /// The set.
        block: ContentHash,
        /// What its tokens are encrypted with.
        key: [u8; 32],
    },
    /// Says which deltas the account has, as a member of the committee.
    #[codec(index = 10)]
    VoteAvailability {
        /// The evaluation.
        evaluation: RoundId,
        /// Bit `i` for the round's delta `i`.
        available: u32,
        /// Whether it can read the hidden set, where the evaluation has one.
        reads_hidden: bool,
    },
    /// Commits to what the account has found.
    #[codec(index = 11)]
    Commit {
        /// The evaluation.
        evaluation: RoundId,
        /// Made by [`commitment`](blyan_primitives::pol::commitment).
        commitment: [u8; 32],
    },
    /// Reveals what the account has committed to.
    #[codec(index = 12)]
    Reveal {
        /// The evaluation.
        evaluation: RoundId,
        /// What the commitment was salted with.
        salt: [u8; 32],
        /// What was found.
        reveal: Reveal,
    },
    /// Posts the scores behind a reveal that others contradict.
    #[codec(index = 13)]
    PostScores {
        /// The evaluation.
        evaluation: RoundId,
        /// Names the reveal.
        reveal: [u8; 32],
        /// All that it was made of, at most [`MAX_SCORES`].
        scores: Scores,
    },
    /// Names the account's trace of the cell in dispute.
    #[codec(index = 14)]
    PostTrace {
        /// The evaluation.
        evaluation: RoundId,
        /// Root of the trace.
        root: Digest,
        /// The losses that it ends with, one of each position.
        losses: Vec<u32>,
        /// That it ends with them.
        proof: Vec<Digest>,
    },
    /// Makes a move for a side of a game.
    #[codec(index = 15)]
    Play {
        /// The evaluation.
        evaluation: RoundId,
        /// The game.
        game: u32,
        /// The side.
        side: Side,
        /// What it tells.
        told: Move,
    },
    /// Brings the evidence for the value that a game has come down to, which the chain then computes.
    #[codec(index = 16)]
    Settle {
        /// The evaluation.
        evaluation: RoundId,
        /// The game.
        game: u32,
        /// The side whose trace proves the leaves.
        side: Side,
        /// What the value is computed from.
        evidence: Evidence,
    },
    /// Has the account, whose worker aggregates, stand for election as a primary.
    #[codec(index = 17)]
    Stand,
    /// Ends a candidacy: the account's own, or that of anybody who could not stand now.
    #[codec(index = 18)]
    StandDown {
        /// Whose.
        who: AccountId,
    },
}

fn bad(field: &'static str, problem: &str) -> Result<()> {
    Err(ChainError::BadArgument { field, problem: problem.to_owned() })
}

impl LearningCall {
    /// Checks what can be checked without a chain: whatever is refused here is refused there, in every state.
    ///
    /// # Errors
    /// [`ChainError::BadArgument`].
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::SubmitDelta { header, .. } => check_delta(header),
            Self::Publish { master, serving, .. } => {
                check_header("master", "is", master)?;
                check_header("serving", "is", serving)
            },
            Self::AddSet { purpose: Purpose::Hidden, .. } => {
                bad("purpose", "is that of a hidden set, which has a steward; add it as a hidden set")
            },
            Self::AddHiddenSet { block, encrypted, .. } if block == encrypted => {
                bad("encrypted", "is the block itself; name the one with encrypted tokens")
            },
            Self::Reveal { reveal, .. } => check_reveal(reveal),
            Self::PostScores { scores: Scores(scores), .. } if !(1..=MAX_SCORES).contains(&scores.len()) => {
                bad("scores", "are none, or more than an evaluation has; post those that the reveal was made of")
            },
            Self::PostTrace { losses, .. } if !(1..MAX_ITEM_TOKENS as usize).contains(&losses.len()) => {
                bad("losses", "are not one of each position of an item; post those that the trace ends with")
            },
            Self::PostTrace { proof, .. } if proof.len() > MAX_PROOF => {
                bad("proof", "has more hashes than any proof; prove the losses alone")
            },
            Self::Play { told, .. } if is_empty(told) => bad("told", "is empty; tell what the trace has there"),
            Self::Settle { evidence, .. } => check_evidence(evidence),
            _ => Ok(()),
        }
    }
}

fn check_delta(header: &DeltaHeader) -> Result<()> {
    if header.size == 0 {
        return bad("header", "is of a delta without data; encode the delta anew");
    }
    if header.data.count == 0 || header.data.first.checked_add(header.data.count).is_none() {
        return bad("header", "declares items that no set has; declare those that the delta was trained on");
    }
    if header.serving == header.base {
        return bad("header", "is of a delta that changes nothing; train longer, or with a higher learning rate");
    }
    Ok(())
}

fn check_header(field: &'static str, verb: &str, header: &[u8]) -> Result<()> {
    match BlockHeader::decode_checked(header, MAX_ONCHAIN_HEADER_LEN) {
        Ok(_) => Ok(()),
        Err(error) => bad(field, &format!("{verb} no header of a block: {error}")),
    }
}

fn check_reveal(reveal: &Reveal) -> Result<()> {
    if reveal.deltas.is_empty() {
        return bad("reveal", "is of no delta; a round without deltas is not evaluated");
    }
    let copies_itself_or_later = |(number, finding): (u32, Finding)| match finding {
        Finding::Copy(of) => of >= number,
        Finding::Malformed | Finding::Sound => false,
    };
    if (0..).zip(reveal.deltas.iter().map(|delta| delta.finding)).any(copies_itself_or_later) {
        return bad("reveal", "calls a delta the copy of one that was not submitted before it; evaluate anew");
    }
    if reveal.candidate.is_some() && reveal.deltas.iter().all(|delta| delta.finding != Finding::Sound) {
        return bad("reveal", "has a candidate though no delta is sound; evaluate anew");
    }
    Ok(())
}

fn is_empty(told: &Move) -> bool {
    match told {
        Move::Nodes(nodes) => nodes.is_empty(),
        Move::Words(words) => words.is_empty(),
    }
}

fn check_evidence(evidence: &Evidence) -> Result<()> {
    let is_too_much = evidence.leaves.len() > MAX_RUNS
        || evidence.blocks.len() > MAX_BLOCKS
        || evidence.blocks.iter().any(|block| block.runs.len() > MAX_SUBTILE_RUNS);
    if is_too_much {
        return bad("evidence", "has more than any value is computed from; gather it anew");
    }
    if evidence.leaves.iter().any(|run| run.words.is_empty()) {
        return bad("evidence", "has a run of leaves without words; gather it anew");
    }
    evidence.blocks.iter().try_for_each(|block| {
        if block.runs.iter().any(|run| run.data.is_empty()) {
            return bad("evidence", "has a run of subtiles without data; gather it anew");
        }
        check_header("evidence", "has", &block.header)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Call;
    use blyan_primitives::{
        dispute::{BlockPart, LeafRun, Subtiles},
        learning::{Codec, ItemRange},
        pol::{Candidate, DeltaFinding, DeltaSums},
    };

    fn problem(call: LearningCall) -> Option<&'static str> {
        match Call::from(call).check() {
            Ok(()) => None,
            Err(ChainError::BadArgument { field, problem }) => {
                assert!(problem.contains([';', ':']), "{problem} says what to do, or what is wrong");
                Some(field)
            },
            Err(error) => panic!("{error}"),
        }
    }

    fn header() -> DeltaHeader {
        DeltaHeader {
            base: ContentHash([1; 32]),
            block: ContentHash([2; 32]),
            serving: ContentHash([3; 32]),
            size: 10,
            codec: Codec::LowRank,
            manifest: [4; 32],
            data: ItemRange { block: ContentHash([5; 32]), first: 0, count: 8 },
        }
    }

    #[test]
    fn a_delta_that_no_round_takes_is_refused_before_it_is_written() {
        let submit = |change: fn(&mut DeltaHeader)| {
            let mut header = header();
            change(&mut header);
            problem(LearningCall::SubmitDelta { round: 1, header, aggregator: None })
        };
        assert_eq!(submit(|_| {}), None);
        assert_eq!(submit(|header| header.size = 0), Some("header"));
        assert_eq!(submit(|header| header.data.count = 0), Some("header"));
        assert_eq!(submit(|header| header.data.first = u32::MAX), Some("header"));
        assert_eq!(submit(|header| header.serving = header.base), Some("header"));
    }

    #[test]
    fn what_is_published_are_headers() {
        let publish = |master: &[u8], serving: &[u8]| {
            problem(LearningCall::Publish { round: 1, master: master.to_vec(), serving: serving.to_vec() })
        };
        let good = crate::learning::wire::tests::block_header();
        assert_eq!(publish(&good, &good), None);
        assert_eq!(publish(&good[1..], &good), Some("master"));
        assert_eq!(publish(&good, &[]), Some("serving"));
        assert_eq!(publish(&good, &vec![0; MAX_ONCHAIN_HEADER_LEN as usize + 1]), Some("serving"));
    }

    #[test]
    fn a_hidden_set_has_a_steward_and_another_block() {
        let block = ContentHash([1; 32]);
        assert_eq!(problem(LearningCall::AddSet { block, purpose: Purpose::Hidden }), Some("purpose"));
        assert_eq!(problem(LearningCall::AddSet { block, purpose: Purpose::General }), None);
        let add = |encrypted| LearningCall::AddHiddenSet { block, encrypted, steward: AccountId::from([7; 32]) };
        assert_eq!(problem(add(block)), Some("encrypted"));
        assert_eq!(problem(add(ContentHash([2; 32]))), None);
    }

    #[test]
    fn a_reveal_that_contradicts_itself_is_refused_before_it_is_written() {
        let reveal = |findings: &[Finding], has_candidate: bool| {
            let delta = |finding: &Finding| DeltaFinding { finding: *finding, sums: DeltaSums::default() };
            let candidate =
                Candidate { master: ContentHash([1; 32]), serving: ContentHash([2; 32]), sums: Default::default() };
            let reveal = Reveal {
                scores: [3; 32],
                deltas: findings.iter().map(delta).collect::<Vec<_>>().try_into().unwrap(),
                candidate: has_candidate.then_some(candidate),
            };
            problem(LearningCall::Reveal { evaluation: 1, salt: [0; 32], reveal })
        };
        use Finding::{Copy, Malformed, Sound};
        assert_eq!(reveal(&[Sound, Copy(0), Malformed], true), None);
        assert_eq!(reveal(&[Malformed], false), None);
        assert_eq!(reveal(&[], false), Some("reveal"));
        assert_eq!(reveal(&[Copy(0), Sound], true), Some("reveal"));
        assert_eq!(reveal(&[Sound, Copy(7)], true), Some("reveal"));
        assert_eq!(reveal(&[Malformed], true), Some("reveal"));
    }

    #[test]
    fn scores_and_losses_are_as_many_as_there_can_be() {
        let scores = |count| {
            let scores = Scores(vec![1; count]);
            problem(LearningCall::PostScores { evaluation: 1, reveal: [1; 32], scores })
        };
        assert_eq!(scores(0), Some("scores"));
        assert_eq!(scores(MAX_SCORES), None);
        assert_eq!(scores(MAX_SCORES + 1), Some("scores"));
        let trace = |losses, proof| {
            let (losses, proof) = (vec![1; losses], vec![[2; 32]; proof]);
            problem(LearningCall::PostTrace { evaluation: 1, root: [1; 32], losses, proof })
        };
        assert_eq!(trace(0, 1), Some("losses"));
        assert_eq!(trace(1024, MAX_PROOF), None);
        assert_eq!(trace(1025, 1), Some("losses"));
        assert_eq!(trace(128, MAX_PROOF + 1), Some("proof"));
    }

    #[test]
    fn moves_tell_something() {
        let play = |told| problem(LearningCall::Play { evaluation: 1, game: 0, side: Side::First, told });
        assert_eq!(play(Move::Nodes(Default::default())), Some("told"));
        assert_eq!(play(Move::Words(Default::default())), Some("told"));
        assert_eq!(play(Move::Words(vec![1].try_into().unwrap())), None);
    }

    #[test]
    fn evidence_is_no_more_than_any_value_is_computed_from() {
        let settle = |evidence| problem(LearningCall::Settle { evaluation: 1, game: 0, side: Side::First, evidence });
        let leaves = |count| Evidence {
            leaves: vec![LeafRun { first: 0, words: vec![1], proof: vec![] }; count],
            blocks: vec![],
        };
        assert_eq!(settle(leaves(MAX_RUNS)), None);
        assert_eq!(settle(leaves(MAX_RUNS + 1)), Some("evidence"));
        let blocks = |blocks, runs, data: &[u8]| {
            let run = Subtiles { first: 0, data: data.to_vec(), proof: vec![] };
            let part = BlockPart { header: crate::learning::wire::tests::block_header(), runs: vec![run; runs] };
            settle(Evidence { leaves: vec![], blocks: vec![part; blocks] })
        };
        assert_eq!(blocks(MAX_BLOCKS, MAX_SUBTILE_RUNS, &[1]), None);
        assert_eq!(blocks(MAX_BLOCKS + 1, 1, &[1]), Some("evidence"));
        assert_eq!(blocks(1, MAX_SUBTILE_RUNS + 1, &[1]), Some("evidence"));
        assert_eq!(blocks(1, 1, &[]), Some("evidence"));
        let empty = LeafRun { first: 0, words: vec![], proof: vec![] };
        assert_eq!(settle(Evidence { leaves: vec![empty], blocks: vec![] }), Some("evidence"));
        let no_header = BlockPart { header: vec![1], runs: vec![] };
        assert_eq!(settle(Evidence { leaves: vec![], blocks: vec![no_header] }), Some("evidence"));
    }
}
