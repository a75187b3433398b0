//! Whether what is on chain is what the book says.

use super::book::{Book, Match, Sheet};
use crate::{
    mock::*, Active, Behind, Committee, Committees, Done, Drawable, Enrolled, Evaluations, Evaluators, GameEntry,
    Games, Given, HiddenSets, Leaves, Phase, PostedScores, Purpose, Reveals, Seats, Sets, Traces, Verdicts,
};
use blyan_primitives::{
    dispute::{example::FEW_ITEMS, Side, Stage},
    ids::ContentHash,
    learning::{RoundId, Verdict},
    pol::{ItemBlock, ItemBlocks},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The same, in an order that does not depend on where it lies.
fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items
}

fn blocks(blocks: &[ContentHash]) -> ItemBlocks {
    ItemBlocks::truncate_from(blocks.iter().map(|block| ItemBlock { block: *block, items: FEW_ITEMS }).collect())
}

fn same_game(entry: &GameEntry<u32>, game: &Match) -> Result<(), TestCaseError> {
    prop_assert_eq!(Side::BOTH.map(|side| *entry.game.root(side)), game.roots);
    prop_assert_eq!(entry.until, game.until);
    prop_assert_eq!(entry.right, game.right.filter(|_| game.is_settled));
    let word = game.is_for_evidence().then_some(game.differs);
    prop_assert_eq!(entry.game.word(), word);
    prop_assert_eq!(matches!(entry.game.stage(), Stage::Words { .. }), game.is_for_words());
    let owes = game.told.map(|told| !told);
    prop_assert_eq!(Side::BOTH.map(|side| entry.game.is_due(side)), owes);
    Ok(())
}

impl Book {
    /// Whether the chain has all of this, and nothing else.
    pub(super) fn check(&self) -> Result<(), TestCaseError> {
        self.check_evaluators()?;
        self.check_sets()?;
        prop_assert_eq!(Evaluations::<Test>::iter_keys().count(), self.sheets.len());
        prop_assert_eq!(Active::<Test>::get() as usize, self.active());
        for (id, sheet) in &self.sheets {
            self.check_sheet(*id, sheet)?;
        }
        let slashed = |all: &[(u64, _)]| sorted(all.iter().copied());
        prop_assert_eq!(slashed(&Slashed::get()), slashed(&self.slashed));
        let known = |(id, verdict): &(RoundId, Option<Verdict<u64>>)| {
            let order = |verdict: &Verdict<u64>| Verdict {
                evaluators: sorted(verdict.evaluators.iter().copied()),
                ..verdict.clone()
            };
            (*id, verdict.as_ref().map(order))
        };
        // In a block several can be decided, in the order in which they are in storage.
        let decided = |all: &[_]| all.iter().map(known).collect::<BTreeMap<_, _>>();
        prop_assert_eq!(decided(&Decided::get()), decided(&self.decided));
        prop_assert_eq!(Decided::get().len(), decided(&self.decided).len(), "something is decided twice");
        prop_assert_eq!(Pol::do_try_state(), Ok(()));
        prop_assert_eq!(Behind::<Test>::get(), self.behind);
        Ok(())
    }

    fn check_evaluators(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(Enrolled::<Test>::get() as usize, self.evaluators.len());
        for (leaf, (who, stake)) in (0..).zip(&self.evaluators) {
            let known = Evaluators::<Test>::get(who).map(|known| (known.leaf, known.stake, known.seats));
            prop_assert_eq!(known, Some((leaf, *stake, self.seats_of(*who))));
            prop_assert_eq!(Leaves::<Test>::get(leaf), Some(*who));
        }
        Ok(())
    }

    fn check_sets(&self) -> Result<(), TestCaseError> {
        for purpose in [Purpose::Training, Purpose::HeldOut, Purpose::General, Purpose::Hidden] {
            prop_assert_eq!(Drawable::<Test>::get(purpose), blocks(&self.drawable(purpose)));
        }
        prop_assert_eq!(Sets::<Test>::iter_keys().count(), self.sets.len());
        for set in &self.sets {
            prop_assert_eq!(Sets::<Test>::get(set.block).map(|set| set.purpose), Some(set.purpose));
            prop_assert_eq!(HiddenSets::<Test>::get(set.block), set.hidden);
        }
        let used: BTreeSet<ContentHash> = self.sets.iter().map(|set| set.block).collect();
        prop_assert_eq!(Used::get(), used);
        Ok(())
    }

    fn check_sheet(&self, id: RoundId, sheet: &Sheet) -> Result<(), TestCaseError> {
        let evaluation = Evaluations::<Test>::get(id).unwrap();
        let found = (evaluation.phase, evaluation.until, evaluation.attempt, evaluation.layout);
        prop_assert_eq!(found, (sheet.phase, sheet.until, sheet.attempt, sheet.layout()), "of {}", id);
        prop_assert_eq!(evaluation.seed, sheet.seed);
        let public = (&evaluation.sources.held_out, &evaluation.sources.general);
        prop_assert_eq!(public, (&blocks(&sheet.held_out), &blocks(&sheet.general)));
        prop_assert_eq!(evaluation.sources.hidden.map(|set| set.block), sheet.hidden);
        prop_assert_eq!(Given::<Test>::get(id), sheet.given);
        prop_assert!(evaluation.deltas.iter().map(|(index, _)| index).eq(sheet.measured.iter().flatten()));
        prop_assert_eq!(Seats::<Test>::iter_prefix(id).collect::<BTreeMap<_, _>>(), sheet.seats.clone());
        let committee = Committee { members: sheet.seats.len() as u32, votes: sheet.votes(|_| true) };
        prop_assert_eq!(Committees::<Test>::get(id), committee);
        prop_assert_eq!(Done::<Test>::get(id) as usize, sheet.done());
        prop_assert_eq!(Reveals::<Test>::iter_prefix(id).count(), sheet.stands.len());
        for (name, stands) in &sheet.stands {
            let entry = Reveals::<Test>::get(id, name).unwrap();
            prop_assert_eq!(&entry.reveal, &stands.reveal);
            prop_assert_eq!((entry.votes, entry.posted), (stands.votes, stands.scores.is_some()));
            let posted = PostedScores::<Test>::get(id, name).map(|scores| scores.into_inner());
            prop_assert_eq!(posted, stands.scores.as_ref().map(|scores| scores.0.clone()));
        }
        prop_assert_eq!(
            PostedScores::<Test>::iter_prefix(id).count(),
            sheet.stands.values().filter(|stands| stands.scores.is_some()).count()
        );
        prop_assert_eq!(Traces::<Test>::iter_prefix(id).count(), sheet.traces.len());
        for (root, trace) in &sheet.traces {
            let entry = Traces::<Test>::get(id, root).map(|entry| (entry.score, entry.game));
            prop_assert_eq!(entry, Some((trace.score, trace.game)));
        }
        prop_assert_eq!(Games::<Test>::iter_prefix(id).count(), sheet.games.len());
        for (number, game) in &sheet.games {
            same_game(&Games::<Test>::get(id, number).unwrap(), game)?;
        }
        prop_assert_eq!(Verdicts::<Test>::get(id), sheet.verdict.clone());
        let end = if sheet.phase == Phase::Over { sheet.until } else { self.now };
        prop_assert!(end - sheet.begun <= sheet.bound(), "{} takes too long", id);
        Ok(())
    }
}
