use crate::dispute::example::{Library, World};
use crate::{
    block::HeaderError,
    dispute::{gather, Evidence, EvidenceError, Missing, Proven, Values, MAX_RUNS},
    merkle::{Digest, ProofError},
    soft_float::F32,
    trace::{LayerStep, Step, Word},
};
use alloc::{vec, vec::Vec};
use proptest::prelude::*;

/// A value that takes leaves of the trace and two blocks, its evidence, and what it is.
struct Case {
    world: World,
    root: Digest,
    word: Word,
    evidence: Evidence,
    truth: u32,
}

fn case(word: Word) -> Case {
    let world = World::new();
    let (root, evidence, truth) = {
        let mut trail = world.trace();
        let tree = trail.tree();
        let mut library = Library { trail: &trail, tree: &tree };
        let evidence = gather::<f32, _, _>(&world.shape, word, &world, world.item, &mut library).unwrap();
        (tree.root(), evidence, *trail.word(word))
    };
    Case { world, root, word, evidence, truth }
}

impl Case {
    /// What the runtime finds.
    fn find(&self, evidence: Evidence) -> Result<u32, EvidenceError> {
        let Self { world, root, word, .. } = self;
        let before = world.shape.leaf_of(*word).unwrap();
        let proven = Proven::new(evidence, &world.shape, root, before)?;
        let mut values = Values::new(&world.shape, world, world.item, proven);
        Ok(world.shape.compute::<F32, _>(*word, &mut values)?)
    }

    fn changed(&self, change: impl FnOnce(&mut Evidence)) -> Result<u32, EvidenceError> {
        let mut evidence = self.evidence.clone();
        change(&mut evidence);
        self.find(evidence)
    }
}

fn shorten<T>(list: &mut Vec<T>) {
    list.pop();
}

fn gate() -> Word {
    Word { step: Step::Layer(1, LayerStep::Gate(0)), row: 2, column: 7 }
}

#[test]
fn evidence_that_is_not_what_it_says_is_refused() {
    let case = case(gate());
    assert_eq!(case.find(case.evidence.clone()), Ok(case.truth));
    assert_eq!(case.evidence.leaves.len(), 2);

    let many = |evidence: &mut Evidence| evidence.leaves = vec![evidence.leaves[0].clone(); MAX_RUNS + 1];
    assert_eq!(case.changed(many), Err(EvidenceError::TooMuch));
    let many = |evidence: &mut Evidence| evidence.blocks = vec![evidence.blocks[0].clone(); 5];
    assert_eq!(case.changed(many), Err(EvidenceError::TooMuch));
    let many = |evidence: &mut Evidence| evidence.blocks[0].runs = vec![evidence.blocks[0].runs[0].clone(); 5];
    assert_eq!(case.changed(many), Err(EvidenceError::TooMuch));

    let short = |evidence: &mut Evidence| shorten(&mut evidence.leaves[0].words);
    assert_eq!(case.changed(short), Err(EvidenceError::Leaves));
    let none = |evidence: &mut Evidence| evidence.leaves[0].words.clear();
    assert_eq!(case.changed(none), Err(EvidenceError::LeafProof(ProofError::Range)));
    let other = |evidence: &mut Evidence| evidence.leaves[0].words[3] ^= 1;
    assert_eq!(case.changed(other), Err(EvidenceError::LeafProof(ProofError::Mismatch)));

    let no_header = |evidence: &mut Evidence| shorten(&mut evidence.blocks[0].header);
    assert_eq!(case.changed(no_header), Err(EvidenceError::Header(HeaderError::Malformed)));
    let short = |evidence: &mut Evidence| shorten(&mut evidence.blocks[0].runs[0].data);
    assert_eq!(case.changed(short), Err(EvidenceError::Subtiles));
    let beyond = |evidence: &mut Evidence| evidence.blocks[0].runs[0].first = u64::MAX;
    assert_eq!(case.changed(beyond), Err(EvidenceError::Subtiles));
    let other = |evidence: &mut Evidence| evidence.blocks[0].runs[0].data[3] ^= 1;
    assert_eq!(case.changed(other), Err(EvidenceError::SubtileProof(ProofError::Mismatch)));
}

#[test]
fn what_is_missing_is_said() {
    let case = case(gate());
    let expert = case.evidence.blocks[0].clone();
    let hash = crate::block::header_hash(&expert.header);
    let no_leaf = case.changed(|evidence| shorten(&mut evidence.leaves)).unwrap_err();
    assert!(matches!(no_leaf, EvidenceError::Missing(Missing::Leaf(_))), "{no_leaf}");
    let no_block = case.changed(|evidence| evidence.blocks.clear());
    assert_eq!(no_block, Err(Missing::Header(hash).into()));
    let no_subtile = case.changed(|evidence| evidence.blocks[0].runs.clear());
    assert_eq!(no_subtile, Err(Missing::Subtile(hash, 0).into()));
}

#[test]
fn only_what_comes_before_counts() {
    // The later value is in the trace as well, and may be a lie.
    let (early, late) = (case(gate()), case(Word { step: Step::Layer(1, LayerStep::Gated(0)), row: 2, column: 7 }));
    let leaves = late.evidence.leaves.clone();
    assert_eq!(early.changed(|evidence| evidence.leaves.extend(leaves)), Err(EvidenceError::Leaves));
}

#[test]
fn a_model_without_a_block_has_no_values() {
    struct Nothing;
    impl crate::dispute::Weights for Nothing {
        fn block(&self, _: crate::trace::Part) -> Option<crate::ids::ContentHash> {
            None
        }
    }
    let case = case(gate());
    let before = case.world.shape.leaf_of(case.word).unwrap();
    let proven = Proven::new(case.evidence.clone(), &case.world.shape, &case.root, before).unwrap();
    let mut values = Values::new(&case.world.shape, &Nothing, case.world.item, proven);
    let found = case.world.shape.compute::<F32, _>(case.word, &mut values);
    assert!(matches!(found, Err(Missing::Part(_))), "{found:?}");
}

#[test]
fn tokens_are_of_the_item() {
    let word = Word { step: Step::Embedding, row: 0, column: 3 };
    let case = case(word);
    let mut other = World::new();
    other.item.index = crate::dispute::example::ITEMS;
    let proven = Proven::new(case.evidence.clone(), &other.shape, &case.root, 0);
    // There is none behind the last.
    let mut values = Values::new(&other.shape, &other, other.item, proven.unwrap());
    let found = other.shape.compute::<F32, _>(word, &mut values);
    assert_eq!(found, Err(Missing::Header(other.item.block)));
}

/// Changes of evidence, as somebody makes them who knows what it is made of.
fn changes() -> impl Strategy<Value = Vec<(u8, usize, u64)>> {
    proptest::collection::vec((0u8..12, any::<usize>(), any::<u64>()), 1..4)
}

thread_local! {
    static CASES: [Case; 3] = [
        case(gate()),
        case(Word { step: Step::Logits, row: 3, column: 16_999 }),
        case(Word { step: Step::Loss, row: 3, column: 0 }),
    ];
}

proptest! {
    /// Whatever somebody brings, it is refused or shows the truth.
    #[test]
    fn evidence_shows_the_truth_or_nothing(which in 0usize..3, changes in changes()) {
        CASES.with(|cases| {
            let case = &cases[which];
            let mut evidence = case.evidence.clone();
            for (change, at, value) in changes {
                let (runs, blocks) = (evidence.leaves.len(), evidence.blocks.len());
                let run = runs.checked_sub(1).map(|last| at % (last + 1));
                let block = blocks.checked_sub(1).map(|last| at % (last + 1));
                match (change, run, block) {
                    (0, Some(run), _) => evidence.leaves[run].first = evidence.leaves[run].first.wrapping_add(value % 9).wrapping_sub(4),
                    (1, Some(run), _) => evidence.leaves[run].words.push(value as u32),
                    (2, Some(run), _) => evidence.leaves[run].words.truncate(value as usize % 300),
                    (3, Some(run), _) => shorten(&mut evidence.leaves[run].proof),
                    (4, Some(run), _) => evidence.leaves[run].proof.push([value as u8; 32]),
                    (5, Some(run), _) => drop(evidence.leaves.remove(run)),
                    (6, Some(run), _) => evidence.leaves.push(evidence.leaves[run].clone()),
                    (7, _, Some(block)) => {
                        let header = &mut evidence.blocks[block].header;
                        let place = value as usize % header.len();
                        header[place] ^= 1 << (value % 8);
                    },
                    (8, _, Some(block)) => drop(evidence.blocks.remove(block)),
                    (9, _, Some(block)) => shorten(&mut evidence.blocks[block].runs),
                    (10, _, Some(block)) => for run in &mut evidence.blocks[block].runs {
                        run.first = value;
                    },
                    (11, _, Some(block)) => for run in &mut evidence.blocks[block].runs {
                        let place = value as usize % run.data.len();
                        run.data[place] ^= 1;
                    },
                    _ => {},
                }
            }
            if let Ok(found) = case.find(evidence) {
                prop_assert_eq!(found, case.truth);
            }
            Ok(())
        })?;
    }
}
