//! Traces of the model, and who plays with them.

use crate::{mock::*, Evaluations, GameOf, Losses, Proof, ScoresOf};
use blyan_primitives::{
    dispute::{
        example::{Library, Trail},
        gather, Evidence, Item, Move, Side, Weights,
    },
    ids::{ContentHash, SlotId},
    learning::{ItemRange, RoundId},
    merkle::Tree,
    pol::{Cell, Reveal, Scores, Set, Target},
    trace::{Part, Word},
};
use polkadot_sdk::*;
use sp_runtime::DispatchResult;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// The model with a block in the slot in question.
pub(crate) struct Variant(pub(crate) ContentHash);

impl Weights for Variant {
    fn block(&self, part: Part) -> Option<ContentHash> {
        match part {
            Part::Expert { layer, index } if SlotId { lineage: LINEAGE, layer, index } == SLOT => Some(self.0),
            part => world(|world| world.parts.get(&part).copied()),
        }
    }
}

/// A cell that can be in dispute, which block its target has in the slot, and its item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disputed {
    pub(crate) place: u32,
    pub(crate) block: ContentHash,
    pub(crate) item: Item,
}

impl Disputed {
    pub(crate) fn new(target: Target, set: Set) -> Self {
        let place = Evaluations::<Test>::get(ROUND).unwrap().layout.cells(target, set).unwrap().start;
        Self::at(ROUND, place, world(|world| world.experts[3]))
    }

    /// The cell at a place, where deltas merge into `candidate`.
    pub(crate) fn at(id: RoundId, place: u32, candidate: ContentHash) -> Self {
        let evaluation = Evaluations::<Test>::get(id).unwrap();
        let Cell { target, set, item } = evaluation.layout.cell(place).unwrap();
        let own: Vec<ItemRange> = evaluation.deltas.iter().map(|(_, range)| *range).collect();
        let items = evaluation.sources.items(&evaluation.layout, &evaluation.seed, &own, set);
        let block = match target {
            Target::Base => evaluation.base,
            Target::Delta(number) => Submitted::get()[&id][evaluation.deltas[number as usize].0 as usize].serving,
            Target::Candidate => candidate,
        };
        Self { place, block, item: items[item as usize] }
    }

    pub(crate) fn weights(&self) -> Variant {
        Variant(self.block)
    }

    /// What is right.
    pub(crate) fn truth(&self) -> Rc<Player> {
        thread_local! {
            // Most of the time that a test takes is for these.
            static KNOWN: RefCell<BTreeMap<(ContentHash, ContentHash, u32), Rc<Player>>> = RefCell::default();
        }
        let name = (self.block, self.item.block, self.item.index);
        if let Some(known) = KNOWN.with_borrow(|known| known.get(&name).cloned()) {
            return known;
        }
        let player = Rc::new(Player::new(world(|world| world.trace_of(&self.weights(), self.item))));
        KNOWN.with_borrow_mut(|known| known.insert(name, player.clone()));
        player
    }
}

/// A trace, and the tree over it.
pub(crate) struct Player {
    pub(crate) trail: Trail<'static>,
    pub(crate) tree: Tree,
}

impl Player {
    pub(crate) fn new(trail: Trail<'static>) -> Self {
        let tree = trail.tree();
        Self { trail, tree }
    }

    /// The same but for a word, and for the last loss, with which it comes to another score.
    pub(crate) fn lie(&self, word: Option<Word>, score: u64) -> Self {
        let mut trail = self.trail.clone();
        if let Some(word) = word {
            *trail.word(word) ^= 4;
        }
        let mut losses: Vec<&mut u32> = trail.leaves.iter_mut().rev().map(|leaf| &mut leaf[0]).collect();
        losses.truncate(ITEM_POSITIONS as usize);
        let others: u64 = losses[1..].iter().map(|loss| u64::from(**loss)).sum();
        *losses[0] = score.wrapping_sub(others) as u32;
        Self::new(trail)
    }

    pub(crate) fn losses(&self) -> Vec<u32> {
        let positions = ITEM_POSITIONS as usize;
        self.trail.leaves[self.trail.leaves.len() - positions..].concat()
    }

    pub(crate) fn score(&self) -> u64 {
        self.losses().iter().map(|loss| u64::from(*loss)).sum()
    }

    pub(crate) fn post(&self, id: RoundId, who: u64) -> DispatchResult {
        let leaves = self.trail.leaves.len() as u64;
        let proof = self.tree.prove(leaves - u64::from(ITEM_POSITIONS)..leaves).unwrap();
        let (losses, proof) = (Losses::truncate_from(self.losses()), Proof::truncate_from(proof));
        Pol::post_trace(RuntimeOrigin::signed(who), id, self.tree.root(), losses, proof)
    }

    /// What it tells next in a game.
    pub(crate) fn told(&self, game: &GameOf<Test>) -> Option<Move> {
        self.trail.told(&self.tree, &game.game)
    }

    pub(crate) fn side(&self, game: &GameOf<Test>) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| *game.game.root(*side) == self.tree.root())
    }

    /// The evidence for the word that a game has come down to, unless that follows from nothing.
    pub(crate) fn evidence(&self, game: &GameOf<Test>, disputed: &Disputed) -> Option<Evidence> {
        let (word, _) = game.game.word()?;
        let mut library = Library { trail: &self.trail, tree: &self.tree };
        world(|world| gather::<f32, _, _>(&world.shape, word, &disputed.weights(), disputed.item, &mut library).ok())
    }
}

/// Posts the scores behind a reveal: as many of them as it has cells.
pub(crate) fn post_scores(id: RoundId, reveal: &Reveal, scores: &Scores) -> DispatchResult {
    let cells = match reveal.candidate {
        Some(_) => scores.0.len(),
        None => Evaluations::<Test>::get(id).unwrap().layout.without_candidate() as usize,
    };
    let scores = ScoresOf::truncate_from(scores.0[..cells].to_vec());
    Pol::post_scores(RuntimeOrigin::signed(99), id, reveal.hash(), scores)
}
