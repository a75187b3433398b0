//! Playing for what one has computed, where others say that they have computed something else.
//!
//! When reveals differ in a cell, each member names the trace of it that it has computed, and [games](blyan_primitives::dispute)
//! show which of two is wrong. A [`Player`] has what the chain asks of a member then: the root of its trace, the losses that it
//! ends with and the proof of them, each move of a game, and the evidence at its end.

use crate::evaluate::Blocks;
use blyan_model::{
    exec::Model,
    trace::{Recorded, TraceError, Witness},
};
use blyan_primitives::{
    dispute::{Evidence, Game, GatherError, Item, Move, STRIDE, Side, Stage, gather},
    merkle::{Digest, Tree},
    trace::{Leaf, Step},
};
use std::sync::Arc;

/// Why there is no move.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The side plays for another trace.
    #[error("this side of the game has the root {found}, this trace {own}", found = hex(.found), own = hex(.own))]
    OtherTrace {
        /// The trace's root.
        own: Digest,
        /// What the side has named.
        found: Digest,
    },
    /// The game is about another item or model than the trace.
    #[error("the game asks for something that no trace of this shape has: it is about another evaluation")]
    OtherShape,
    /// The trace lacks something.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The evidence cannot be gathered.
    #[error("the evidence cannot be gathered: {0}")]
    Evidence(GatherError<TraceError>),
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is due of a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing: it has made its move, and the other side has to make its own.
    Wait,
    /// This move.
    Move(Move),
    /// The game has come down to one value, which this is the evidence for. Either side can bring it.
    Settle(Evidence),
}

/// A model and an item of which a score is in dispute.
#[derive(Clone, Debug)]
pub struct Disputed {
    model: Arc<Model>,
    item: Item,
    tokens: Vec<u32>,
    blocks: Blocks,
}

impl Disputed {
    /// Of an item with these tokens. `blocks` have those of the model and of the item, of which evidence is made.
    pub fn new(model: Arc<Model>, item: Item, tokens: Vec<u32>, blocks: Blocks) -> Self {
        Self { model, item, tokens, blocks }
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The item.
    pub fn item(&self) -> Item {
        self.item
    }

    /// Computes the trace on `threads` threads, which takes a hundred times as long as the score.
    ///
    /// # Errors
    /// When the item cannot be evaluated.
    pub fn player(&self, threads: usize) -> Result<Player<'_>, TraceError> {
        let trace = Recorded::new(&self.model, &self.tokens, threads)?;
        let tree = trace.tree()?;
        Ok(Player { disputed: self, trace, tree })
    }
}

/// Who has computed a trace, and plays for it.
#[derive(Debug)]
pub struct Player<'a> {
    disputed: &'a Disputed,
    trace: Recorded<'a>,
    tree: Tree,
}

impl Player<'_> {
    /// The root of the trace.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// The losses that it ends with.
    pub fn losses(&self) -> Vec<u32> {
        let rows = 0..self.trace.shape().positions();
        rows.filter_map(|row| self.trace.words(Step::Loss, row, 0..1)).flatten().copied().collect()
    }

    /// The score: their sum.
    pub fn score(&self) -> u64 {
        self.trace.loss()
    }

    /// The proof that the trace ends with its losses.
    ///
    /// # Errors
    /// None: every trace ends with losses.
    pub fn proof(&self) -> Result<Vec<Digest>, TraceError> {
        let leaves = self.tree.leaf_count();
        let first = self.trace.shape().first_leaf(Step::Loss).unwrap_or(leaves);
        Ok(self.tree.prove(first..leaves)?)
    }

    /// The side of a game that plays for this trace.
    pub fn side(&self, game: &Game) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| *game.root(*side) == self.root())
    }

    /// What is due of a side in a game.
    ///
    /// # Errors
    /// When the side plays for another trace, or evidence cannot be gathered.
    pub fn turn(&self, game: &Game, side: Side) -> Result<Turn, PlayError> {
        let (own, found) = (self.root(), *game.root(side));
        if own != found {
            return Err(PlayError::OtherTrace { own, found });
        }
        if !game.is_due(side) {
            return Ok(Turn::Wait);
        }
        let shape = self.trace.shape();
        match game.stage() {
            Stage::Nodes { at, .. } => {
                let levels = at.level.min(STRIDE);
                let nodes = self.tree.nodes(at.level.saturating_sub(levels), at.below(levels, shape.leaves()));
                let nodes = nodes.and_then(|nodes| nodes.to_vec().try_into().ok());
                nodes.map(|nodes| Turn::Move(Move::Nodes(nodes))).ok_or(PlayError::OtherShape)
            },
            Stage::Words { leaf, .. } => {
                let place = shape.leaf(*leaf);
                let words = place.and_then(|Leaf { step, row, columns }| self.trace.words(step, row, columns));
                let words = words.and_then(|words| words.to_vec().try_into().ok());
                words.map(|words| Turn::Move(Move::Words(words))).ok_or(PlayError::OtherShape)
            },
            Stage::Evidence { word, .. } => {
                let Disputed { model, item, blocks, .. } = self.disputed;
                let mut witness = Witness { trace: &self.trace, tree: &self.tree, blocks };
                let evidence = gather::<f32, _, _>(shape, *word, &**model, *item, &mut witness);
                evidence.map(Turn::Settle).map_err(PlayError::Evidence)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evaluate::{EvaluateError, Outcome, tests::Lab},
        noise,
    };
    use blyan_model::expert::{ExpertBuilder, Matrix};
    use blyan_primitives::{
        block::ExpertShape,
        dispute::{Proven, Values, score},
        merkle::leaf_hash,
        pol::{Set, Target},
        soft_float::F32,
        trace::{LayerStep, Trace, Word},
    };

    /// Another trace than the honest one, whoever made it.
    struct Liar {
        leaves: Vec<Vec<u32>>,
        tree: Tree,
    }

    impl Liar {
        fn new(player: &Player<'_>, change: impl FnOnce(&Trace, &mut Vec<Vec<u32>>)) -> Self {
            let shape = player.trace.shape();
            let words = |index| {
                let Leaf { step, row, columns } = shape.leaf(index).unwrap();
                player.trace.words(step, row, columns).unwrap().to_vec()
            };
            let mut leaves: Vec<Vec<u32>> = (0..shape.leaves()).map(words).collect();
            change(shape, &mut leaves);
            let hash = |(index, words): (u64, &Vec<u32>)| {
                leaf_hash(index, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
            };
            let tree = Tree::new((0..).zip(&leaves).map(hash).collect());
            Self { leaves, tree }
        }

        fn turn(&self, game: &Game, side: Side) -> Option<Move> {
            match game.stage() {
                _ if !game.is_due(side) => None,
                Stage::Nodes { at, .. } => {
                    let levels = at.level.min(STRIDE);
                    let nodes = self.tree.nodes(at.level - levels, at.below(levels, self.tree.leaf_count())).unwrap();
                    Some(Move::Nodes(nodes.to_vec().try_into().unwrap()))
                },
                Stage::Words { leaf, .. } => Some(Move::Words(self.leaves[*leaf as usize].clone().try_into().unwrap())),
                Stage::Evidence { .. } => None,
            }
        }
    }

    /// What the chain finds with the evidence of a side.
    fn judged(disputed: &Disputed, shape: &Trace, game: &Game, side: Side, evidence: Evidence) -> Option<[bool; 2]> {
        let (_, before) = game.word().unwrap();
        let proven = Proven::new(evidence, shape, game.root(side), before).ok()?;
        let mut values = Values::new(shape, &*disputed.model, disputed.item, proven);
        game.settle::<F32, _>(shape, &mut values).ok()?
    }

    /// Plays a game to its end, in which the honest side brings the evidence.
    fn play(disputed: &Disputed, honest: &Player<'_>, liar: &Liar, honest_is: Side) -> [bool; 2] {
        let shape = honest.trace.shape();
        let roots = match honest_is {
            Side::First => [honest.root(), liar.tree.root()],
            Side::Second => [liar.tree.root(), honest.root()],
        };
        let mut game = Game::new(shape, roots[0], roots[1]).unwrap();
        assert_eq!(honest.side(&game), Some(honest_is));
        for _ in 0..20 {
            for side in Side::BOTH {
                if side != honest_is {
                    assert!(matches!(honest.turn(&game, side), Err(PlayError::OtherTrace { .. })));
                    if let Some(told) = liar.turn(&game, side) {
                        game.play(shape, side, told).unwrap();
                    }
                    continue;
                }
                match honest.turn(&game, side).unwrap() {
                    Turn::Move(told) => {
                        let goes_on = game.play(shape, side, told).unwrap();
                        assert!(goes_on || honest.turn(&game, side).unwrap() == Turn::Wait);
                    },
                    Turn::Wait => {},
                    Turn::Settle(evidence) => return judged(disputed, shape, &game, side, evidence).unwrap(),
                }
            }
        }
        panic!("the game does not end");
    }

    /// A round, its outcome, and some of its cells.
    fn round() -> (Lab, Outcome, Vec<u32>) {
        let mut lab = Lab::new();
        for header in [lab.good(), lab.part()] {
            lab.submit(header);
        }
        let outcome = lab.outcome();
        let first = |target, set| lab.task.layout.cells(target, set).unwrap().start;
        let cells = vec![
            first(Target::Base, Set::Trial),
            first(Target::Delta(1), Set::Own(1)),
            first(Target::Candidate, Set::Final),
        ];
        (lab, outcome, cells)
    }

    #[test]
    fn a_trace_is_what_the_chain_takes_for_a_score() {
        let (lab, outcome, cells) = round();
        let evaluation = lab.evaluation().unwrap();
        let candidate = outcome.candidate.as_ref().map(|blocks| &blocks.serving);
        for cell in cells {
            let disputed = evaluation.disputed(cell, candidate).unwrap();
            let player = disputed.player(2).unwrap();
            let found = score(player.trace.shape(), &player.root(), &player.losses(), &player.proof().unwrap());
            assert_eq!(found, Ok(outcome.scores.0[cell as usize]));
            assert_eq!(player.score(), outcome.scores.0[cell as usize]);
        }
        let cells = lab.task.layout.all();
        assert!(matches!(evaluation.disputed(cells, candidate), Err(EvaluateError::NoCell(_))));
        assert!(matches!(evaluation.disputed(cells - 1, None), Err(EvaluateError::NoCell(_))));
    }

    #[test]
    fn who_has_changed_a_value_loses() {
        let (lab, outcome, cells) = round();
        let evaluation = lab.evaluation().unwrap();
        let candidate = outcome.candidate.as_ref().map(|blocks| &blocks.serving);
        let at = |layer, step, row, column| Word { step: Step::Layer(layer, step), row, column };
        for (cell, word) in cells.into_iter().zip([
            at(0, LayerStep::Gate(0), 11, 77),
            at(1, LayerStep::Numerators, 50, 3),
            Word { step: Step::Loss, row: 20, column: 0 },
        ]) {
            let disputed = evaluation.disputed(cell, candidate).unwrap();
            let honest = disputed.player(2).unwrap();
            let liar = Liar::new(&honest, |shape, leaves| {
                let leaf = &mut leaves[shape.leaf_of(word).unwrap() as usize];
                leaf[(word.column % 256) as usize] ^= 1;
                // And a score that is better.
                *leaves.last_mut().unwrap().first_mut().unwrap() -= 1000;
            });
            assert_eq!(play(&disputed, &honest, &liar, Side::First), [true, false], "{word:?}");
            assert_eq!(play(&disputed, &honest, &liar, Side::Second), [false, true], "{word:?}");
        }
    }

    #[test]
    fn who_has_computed_with_other_weights_loses() {
        let (lab, outcome, cells) = round();
        let evaluation = lab.evaluation().unwrap();
        let shape = ExpertShape { ffn: 128, hidden: 64 };
        let mut builder = ExpertBuilder::new(shape);
        Matrix::ALL.into_iter().for_each(|_| builder.push(noise::matrix(9, 128 * 64, 0.1)).unwrap());
        let other = builder.finish().unwrap().serving.into_block().unwrap();
        let candidate = outcome.candidate.as_ref().map(|blocks| &blocks.serving);
        for (cell, layer) in cells.into_iter().zip([0, 1, 0]) {
            let disputed = evaluation.disputed(cell, candidate).unwrap();
            let honest = disputed.player(2).unwrap();
            let model = disputed.model.with_expert(layer, 2, &other).unwrap();
            let mut blocks = disputed.blocks.clone();
            blocks.insert(other.hash(), other.clone());
            let theirs = Disputed::new(Arc::new(model), disputed.item, disputed.tokens.clone(), blocks);
            let theirs = theirs.player(2).unwrap();
            let liar = Liar::new(&theirs, |_, _| ());
            assert_ne!(theirs.score(), honest.score());
            assert_eq!(play(&disputed, &honest, &liar, Side::Second), [false, true]);

            // Nor can the other side bring evidence that the chain takes.
            let mut game = Game::new(honest.trace.shape(), honest.root(), theirs.root()).unwrap();
            let players = [(Side::First, &honest), (Side::Second, &theirs)];
            while game.word().is_none() {
                for (side, player) in players {
                    let Turn::Move(told) = player.turn(&game, side).unwrap() else { panic!("nothing is due") };
                    game.play(honest.trace.shape(), side, told).unwrap();
                }
            }
            let evidence = |(side, player): (Side, &Player<'_>)| match player.turn(&game, side).unwrap() {
                Turn::Settle(evidence) => judged(&disputed, honest.trace.shape(), &game, side, evidence),
                turn => panic!("{turn:?}"),
            };
            assert_eq!(players.map(evidence), [Some([true, false]), None]);
        }
    }

    #[test]
    fn evidence_needs_the_blocks_that_it_is_made_of() {
        let (lab, _, cells) = round();
        let disputed = lab.evaluation().unwrap().disputed(cells[0], None).unwrap();
        let without = Disputed::new(disputed.model.clone(), disputed.item, disputed.tokens.clone(), Blocks::new());
        let player = without.player(1).unwrap();
        let word = Word { step: Step::Embedding, row: 0, column: 0 };
        let liar = Liar::new(&player, |shape, leaves| leaves[shape.leaf_of(word).unwrap() as usize][0] ^= 1);
        let mut game = Game::new(player.trace.shape(), player.root(), liar.tree.root()).unwrap();
        while game.word().is_none() {
            let Turn::Move(told) = player.turn(&game, Side::First).unwrap() else { panic!("nothing is due") };
            game.play(player.trace.shape(), Side::First, told).unwrap();
            let told = liar.turn(&game, Side::Second).unwrap();
            game.play(player.trace.shape(), Side::Second, told).unwrap();
        }
        let refused = player.turn(&game, Side::First);
        assert!(matches!(refused, Err(PlayError::Evidence(GatherError::Source(TraceError::Block(_))))), "{refused:?}");
    }
}
