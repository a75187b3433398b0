use super::support::*;
use crate::{mock::*, GameOf, Games, Losses, Phase, Proof, Reveals, ScoresOf};
use blyan_primitives::{
    dispute::{
        example::{Library, Trail},
        gather, Evidence, Item, Move, Side, Weights,
    },
    ids::{ContentHash, SlotId},
    learning::ItemRange,
    merkle::{Digest, Tree},
    pol::{Cell, Reveal, Scores, Set, Target},
    trace::{LayerStep, Part, Step, Word},
};
use frame_support::{assert_noop, assert_ok};
use polkadot_sdk::*;

type Origin = RuntimeOrigin;

/// The model with a block in the slot in question.
struct Variant(ContentHash);

impl Weights for Variant {
    fn block(&self, part: Part) -> Option<ContentHash> {
        match part {
            Part::Expert { layer, index } if SlotId { lineage: LINEAGE, layer, index } == SLOT => Some(self.0),
            part => world(|world| world.parts.get(&part).copied()),
        }
    }
}

/// A cell in dispute, which of the model's blocks its target is, and its item.
#[derive(Clone, Copy)]
struct Disputed {
    place: u32,
    expert: usize,
    item: Item,
}

impl Disputed {
    fn new(target: Target, set: Set) -> Self {
        let evaluation = evaluation();
        let place = evaluation.layout.cells(target, set).unwrap().start;
        let Cell { item, .. } = evaluation.layout.cell(place).unwrap();
        let own: Vec<ItemRange> = evaluation.deltas.iter().map(|(_, range)| *range).collect();
        let items = evaluation.sources.items(&evaluation.layout, &evaluation.seed, &own, set);
        let expert = match target {
            Target::Base => 0,
            Target::Delta(number) => number as usize + 1,
            Target::Candidate => 3,
        };
        Self { place, expert, item: items[item as usize] }
    }

    fn weights(&self) -> Variant {
        Variant(world(|world| world.experts[self.expert]))
    }
}

/// A player: who it is, its trace, and the tree over it.
struct Player<'a> {
    who: u64,
    trail: Trail<'a>,
    tree: Tree,
}

impl<'a> Player<'a> {
    fn new(who: u64, trail: Trail<'a>) -> Self {
        let tree = trail.tree();
        Self { who, trail, tree }
    }

    fn losses(&self) -> Vec<u32> {
        let positions = self.trail.leaves.len() - 4;
        self.trail.leaves[positions..].concat()
    }

    fn score(&self) -> u64 {
        self.losses().iter().map(|loss| u64::from(*loss)).sum()
    }

    fn post(&self) -> sp_runtime::DispatchResult {
        let leaves = self.trail.leaves.len() as u64;
        let proof = self.tree.prove(leaves - 4..leaves).unwrap();
        let (losses, proof) = (Losses::truncate_from(self.losses()), Proof::truncate_from(proof));
        Pol::post_trace(Origin::signed(self.who), ROUND, self.tree.root(), losses, proof)
    }

    /// What it tells next in a game.
    fn told(&self, game: &GameOf<Test>) -> Option<Move> {
        self.trail.told(&self.tree, &game.game)
    }

    fn side(&self, game: &GameOf<Test>) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| *game.game.root(*side) == self.tree.root())
    }

    fn evidence(&self, game: &GameOf<Test>, disputed: &Disputed) -> Evidence {
        let (word, _) = game.game.word().unwrap();
        let mut library = Library { trail: &self.trail, tree: &self.tree };
        world(|world| {
            gather::<f32, _, _>(&world.shape, word, &disputed.weights(), disputed.item, &mut library).unwrap()
        })
    }
}

/// Scores, with one of them as it is.
fn scores_with(disputed: &Disputed, score: u64) -> Scores {
    let mut scores = scores(&evaluation().layout);
    scores.0[disputed.place as usize] = score;
    scores
}

fn post_scores(reveal: &Reveal, scores: &Scores) -> sp_runtime::DispatchResult {
    let cells = match reveal.candidate {
        Some(_) => scores.0.len(),
        None => evaluation().layout.without_candidate() as usize,
    };
    let scores = ScoresOf::truncate_from(scores.0[..cells].to_vec());
    Pol::post_scores(Origin::signed(99), ROUND, reveal.hash(), scores)
}

/// Plays all games that there are to their end, each player for itself, and honest ones bring the evidence.
fn play_all(players: &[Player], honest: Digest, disputed: &Disputed) -> u32 {
    let mut moves = 0;
    while let Phase::Games(_) = evaluation().phase {
        let games: Vec<(u32, GameOf<Test>)> = Games::<Test>::iter_prefix(ROUND).collect();
        let mut is_stuck = true;
        for (number, _) in games {
            for player in players {
                let Some(game) = Games::<Test>::get(ROUND, number) else { continue };
                let Some(side) = player.side(&game) else { continue };
                if let Some(told) = player.told(&game).filter(|_| game.game.is_due(side)) {
                    Pol::play(Origin::signed(99), ROUND, number, side, Box::new(told)).unwrap();
                    (moves, is_stuck) = (moves + 1, false);
                } else if game.game.word().is_some() && game.right.is_none() && player.tree.root() == honest {
                    let evidence = player.evidence(&game, disputed);
                    Pol::settle(Origin::signed(99), ROUND, number, side, Box::new(evidence)).unwrap();
                    (moves, is_stuck) = (moves + 1, false);
                }
                Pol::do_try_state().unwrap();
            }
        }
        if is_stuck {
            run_to(System::block_number() + 1);
        }
    }
    moves
}

/// A round with two deltas in which all have revealed: `honest` members what is right in a cell of a target and a set, the
/// others what comes of a lie in a word of its trace.
fn dispute(honest: &[u64], target: Target, set: Set, lies: &[(u64, Word)]) -> (Disputed, Vec<u64>) {
    start(vec![delta(1), delta(2)]);
    all_available();
    let disputed = Disputed::new(target, set);
    world(|world| {
        let truth = Player::new(0, world.trace_of(&disputed.weights(), disputed.item));
        let mut players: Vec<Player> = honest.iter().map(|who| Player::new(*who, truth.trail.clone())).collect();
        for (who, word) in lies {
            let mut trail = truth.trail.clone();
            *trail.word(*word) ^= 4;
            // What follows from the lie is that the loss is another.
            *trail.leaves.last_mut().unwrap().first_mut().unwrap() -= 1_000 + *who as u32;
            players.push(Player::new(*who, trail));
        }
        let found: Vec<(u64, Reveal)> =
            players.iter().map(|player| (player.who, reveal(&scores_with(&disputed, player.score())))).collect();
        commit_and_reveal(&found);
        assert_eq!(run_to_next_phase(), Phase::Scores);
        for player in &players {
            let scores = scores_with(&disputed, player.score());
            let _ = post_scores(&reveal(&scores), &scores);
        }
        assert_eq!(run_to_next_phase(), Phase::Traces(disputed.place));
        for player in &players {
            player.post().unwrap();
        }
        let began = System::block_number();
        assert!(matches!(run_to_next_phase(), Phase::Games(_)));
        play_all(&players, truth.tree.root(), &disputed);
        assert!(System::block_number() - began < 100);
        let right = reveal(&scores_with(&disputed, truth.score()));
        let verdict = Decided::get().pop().map(|(_, verdict)| verdict.unwrap());
        if let Some(verdict) = &verdict {
            assert_eq!(crate::Verdicts::<Test>::get(ROUND), Some(right));
            let mut evaluators = verdict.evaluators.clone();
            evaluators.sort_unstable();
            return (disputed, evaluators);
        }
        (disputed, vec![])
    })
}

fn query() -> Word {
    Word { step: Step::Layer(0, LayerStep::Query), row: 1, column: 3 }
}

fn logits() -> Word {
    Word { step: Step::Logits, row: 2, column: 16_000 }
}

#[test]
fn one_honest_member_wins_against_all_others() {
    ext().execute_with(|| {
        let word = query();
        let lies: Vec<(u64, Word)> = (2..=5).map(|who| (who, word)).collect();
        let (_, evaluators) = dispute(&[1], Target::Base, Set::Trial, &lies);
        assert_eq!(evaluators, [1]);
        assert_eq!(slashed(), [2, 3, 4, 5]);
        let share = pact().rounds.wrong_slash;
        assert!(Slashed::get().iter().all(|(_, slashed)| *slashed == share));
    });
}

#[test]
fn what_is_in_dispute_can_be_of_any_target() {
    for (target, set) in [
        (Target::Base, Set::Final),
        (Target::Delta(0), Set::Trial),
        (Target::Delta(1), Set::Own(1)),
        (Target::Candidate, Set::General),
    ] {
        ext().execute_with(|| {
            let (_, evaluators) = dispute(&[1, 2, 3], target, set, &[(4, logits()), (5, query())]);
            assert_eq!(evaluators, [1, 2, 3], "{target:?}");
            assert_eq!(slashed(), [4, 5]);
        });
    }
}

#[test]
fn a_loss_that_does_not_follow_is_found_as_well() {
    ext().execute_with(|| {
        let word = Word { step: Step::Loss, row: 3, column: 0 };
        let (_, evaluators) = dispute(&[1, 2], Target::Base, Set::General, &[(3, word), (4, word), (5, word)]);
        assert_eq!(evaluators, [1, 2]);
    });
}

/// Up to the traces of a cell in which account 1 is honest and all others lie.
fn to_traces() -> (Disputed, Reveal, Reveal) {
    start(vec![delta(1), delta(2)]);
    all_available();
    let disputed = Disputed::new(Target::Base, Set::Trial);
    let truth = world(|world| Player::new(1, world.trace_of(&disputed.weights(), disputed.item)).score());
    let [right, wrong] = [truth, truth - 7].map(|score| scores_with(&disputed, score));
    let (honest, liar) = (reveal(&right), reveal(&wrong));
    let found: Vec<_> = (1..=5).map(|who| (who, if who == 1 { honest.clone() } else { liar.clone() })).collect();
    commit_and_reveal(&found);
    run_to_next_phase();
    assert_noop!(post_scores(&honest, &wrong), E::OtherScores);
    let nobodys = Pol::post_scores(Origin::signed(1), ROUND, [3; 32], ScoresOf::default());
    assert_noop!(nobodys, E::UnknownReveal);
    assert_ok!(post_scores(&honest, &right));
    assert_noop!(post_scores(&honest, &right), E::AlreadyPosted);
    assert_ok!(post_scores(&liar, &wrong));
    assert_eq!(run_to_next_phase(), Phase::Traces(disputed.place));
    (disputed, honest, liar)
}

#[test]
fn who_does_not_stand_by_its_reveal_has_none() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        all_available();
        let disputed = Disputed::new(Target::Base, Set::Trial);
        let [one, other] = [5, 6].map(|score| scores_with(&disputed, score));
        let found: Vec<_> = (1..=5).map(|who| (who, reveal(if who == 1 { &one } else { &other }))).collect();
        commit_and_reveal(&found);
        run_to_next_phase();
        assert_ok!(post_scores(&found[0].1, &one));
        // The others have posted nothing.
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(slashed(), [2, 3, 4, 5]);
        assert_eq!(Decided::get().pop().unwrap().1.unwrap().evaluators, [1]);
    });
}

#[test]
fn a_trace_is_of_what_was_revealed() {
    ext().execute_with(|| {
        let (disputed, _, _) = to_traces();
        world(|world| {
            let honest = Player::new(1, world.trace_of(&disputed.weights(), disputed.item));
            assert_noop!(Player { who: 9, ..Player::new(9, honest.trail.clone()) }.post(), E::NotOnCommittee);
            // Who has revealed another score cannot name this trace.
            assert_noop!(Player::new(2, honest.trail.clone()).post(), E::OtherScores);
            let losses = Losses::truncate_from(honest.losses());
            let bare = Pol::post_trace(Origin::signed(1), ROUND, honest.tree.root(), losses, Proof::default());
            assert_noop!(bare, E::NotOfTheRoot);
            assert_ok!(honest.post());
            assert_noop!(honest.post(), E::AlreadyPosted);
            crate::Seats::<Test>::mutate(ROUND, 3, |seat| seat.as_mut().unwrap().wrong = true);
            assert_noop!(Player::new(3, honest.trail.clone()).post(), E::FoundWrong);
        });
        // Nobody else has posted a trace: what the one comes to stands.
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(Decided::get().pop().unwrap().1.unwrap().evaluators, [1]);
    });
}

#[test]
fn where_nobody_has_a_trace_nobody_was_right() {
    ext().execute_with(|| {
        to_traces();
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert_eq!(slashed(), [1, 2, 3, 4, 5]);
        assert_eq!(Reveals::<Test>::iter_prefix(ROUND).count(), 0);
        world(|world| {
            assert_noop!(Player::new(1, world.trace()).post(), E::WrongPhase);
        });
    });
}

#[test]
fn who_does_not_move_in_time_loses() {
    ext().execute_with(|| {
        let (disputed, _, _) = to_traces();
        world(|world| {
            let honest = Player::new(1, world.trace_of(&disputed.weights(), disputed.item));
            let mut trail = honest.trail.clone();
            *trail.leaves.last_mut().unwrap().first_mut().unwrap() -= 7;
            let liar = Player::new(2, trail);
            honest.post().unwrap();
            liar.post().unwrap();
            run_to_next_phase();
            let game = Games::<Test>::get(ROUND, 0).unwrap();
            let (side, told) = (honest.side(&game).unwrap(), honest.told(&game).unwrap());
            let play =
                |game, side, told: &Move| Pol::play(Origin::signed(99), ROUND, game, side, Box::new(told.clone()));
            assert_noop!(play(9, side, &told), E::UnknownGame);
            let other = liar.side(&game).unwrap();
            assert_noop!(play(0, other, &told), E::NotOfTheRoot);
            assert_noop!(play(0, side, &Move::Words(Default::default())), E::NotNow);
            assert_noop!(play(0, side, &Move::Nodes(Default::default())), E::WrongCount);
            let settle = |game| Pol::settle(Origin::signed(99), ROUND, game, side, Box::default());
            assert_noop!(settle(9), E::UnknownGame);
            assert_noop!(settle(0), E::NotNow);
            assert_ok!(play(0, side, &told));
            assert_noop!(play(0, side, &told), E::AlreadyTold);
        });
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(slashed(), [2, 3, 4, 5]);
    });
}

#[test]
fn evidence_is_checked() {
    ext().execute_with(|| {
        let (disputed, _, _) = to_traces();
        world(|world| {
            let honest = Player::new(1, world.trace_of(&disputed.weights(), disputed.item));
            let mut trail = honest.trail.clone();
            *trail.word(query()) ^= 4;
            *trail.leaves.last_mut().unwrap().first_mut().unwrap() -= 7;
            let liar = Player::new(2, trail);
            honest.post().unwrap();
            liar.post().unwrap();
            run_to_next_phase();
            loop {
                let game = Games::<Test>::get(ROUND, 0).unwrap();
                let moves = [&honest, &liar].map(|player| (player.side(&game).unwrap(), player.told(&game)));
                let [(_, Some(_)), (_, Some(_))] = &moves else { break };
                for (side, told) in moves {
                    Pol::play(Origin::signed(99), ROUND, 0, side, Box::new(told.unwrap())).unwrap();
                }
            }
            let game = Games::<Test>::get(ROUND, 0).unwrap();
            let evidence = honest.evidence(&game, &disputed);
            let side = honest.side(&game).unwrap();
            let settle =
                |evidence: &Evidence| Pol::settle(Origin::signed(99), ROUND, 0, side, Box::new(evidence.clone()));
            let changed = |change: fn(&mut Evidence)| {
                let mut evidence = evidence.clone();
                change(&mut evidence);
                settle(&evidence)
            };
            assert_noop!(changed(|evidence| evidence.leaves.clear()), E::EvidenceMissing);
            assert_noop!(changed(|evidence| evidence.leaves[0].words[0] ^= 1), E::BadEvidence);
            assert_noop!(
                changed(|evidence| evidence.leaves = vec![evidence.leaves[0].clone(); 200]),
                E::TooMuchEvidence
            );
            assert_ok!(settle(&evidence));
            // What follows is for the next block.
            assert_noop!(settle(&evidence), E::NotNow);
            assert!(Decided::get().is_empty());
        });
        run_to(System::block_number() + 1);
        assert_eq!(Decided::get().pop().unwrap().1.unwrap().evaluators, [1]);
    });
}

#[test]
fn which_blocks_deltas_merge_into_is_what_most_say() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(2)]);
        all_available();
        let all = scores(&evaluation().layout);
        let found = reveal(&all);
        let mut other = found.clone();
        other.candidate.as_mut().unwrap().master = ContentHash([1; 32]);
        let told: Vec<_> = (1..=5).map(|who| (who, if who == 3 { other.clone() } else { found.clone() })).collect();
        commit_and_reveal(&told);
        run_to_next_phase();
        post_scores(&found, &all).unwrap();
        post_scores(&other, &all).unwrap();
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(slashed(), [3]);
        assert_eq!(crate::Verdicts::<Test>::get(ROUND), Some(found));
    });
}

#[test]
fn a_model_whose_spec_is_gone_has_no_trace() {
    ext().execute_with(|| {
        let (disputed, _, _) = to_traces();
        crate::Evaluations::<Test>::mutate(ROUND, |evaluation| {
            evaluation.as_mut().unwrap().spec = blyan_primitives::ids::SpecId([77; 32]);
        });
        world(|world| {
            let honest = Player::new(1, world.trace_of(&disputed.weights(), disputed.item));
            assert_noop!(honest.post(), E::UnknownSpec);
        });
    });
}
