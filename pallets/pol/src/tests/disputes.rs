use super::{
    players::{self, Disputed, Player},
    support::*,
};
use crate::{mock::*, Due, GameOf, Games, Losses, Phase, Proof, Reveals, ScoresOf, WeightInfo};
use blyan_primitives::{
    dispute::{Evidence, Move},
    ids::ContentHash,
    merkle::Digest,
    pol::{Finding, Reveal, Scores, Set, Target},
    trace::{LayerStep, Step, Word},
};
use codec::Encode;
use frame_support::{assert_noop, assert_ok, traits::Hooks, Blake2_128Concat, StorageHasher};
use polkadot_sdk::*;

type Origin = RuntimeOrigin;

/// Scores, with one of them as it is.
fn scores_with(disputed: &Disputed, score: u64) -> Scores {
    let mut scores = scores(&evaluation().layout);
    scores.0[disputed.place as usize] = score;
    scores
}

fn post_scores(reveal: &Reveal, scores: &Scores) -> sp_runtime::DispatchResult {
    players::post_scores(ROUND, reveal, scores)
}

/// Plays all games that there are to their end, each player for itself, and honest ones bring the evidence.
fn play_all(players: &[&Player], honest: Digest, disputed: &Disputed) -> u32 {
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
                    let evidence = player.evidence(&game, disputed).unwrap();
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
    let truth = disputed.truth();
    let lies: Vec<(u64, Player)> =
        lies.iter().map(|(who, word)| (*who, truth.lie(Some(*word), truth.score() - 1_000 - who))).collect();
    let players: Vec<(u64, &Player)> =
        honest.iter().map(|who| (*who, &*truth)).chain(lies.iter().map(|(who, lie)| (*who, lie))).collect();
    let found: Vec<(u64, Reveal)> =
        players.iter().map(|(who, player)| (*who, reveal(&scores_with(&disputed, player.score())))).collect();
    commit_and_reveal(&found);
    assert_eq!(run_to_next_phase(), Phase::Scores);
    for (_, player) in &players {
        let scores = scores_with(&disputed, player.score());
        let _ = post_scores(&reveal(&scores), &scores);
    }
    assert_eq!(run_to_next_phase(), Phase::Traces(disputed.place));
    for (who, player) in &players {
        player.post(ROUND, *who).unwrap();
    }
    let began = System::block_number();
    assert!(matches!(run_to_next_phase(), Phase::Games(_)));
    let traces: Vec<&Player> = players.into_iter().map(|(_, player)| player).collect();
    play_all(&traces, truth.tree.root(), &disputed);
    assert!(System::block_number() - began < 100);
    let right = reveal(&scores_with(&disputed, truth.score()));
    let verdict = Decided::get().pop().map(|(_, verdict)| verdict.unwrap());
    if let Some(verdict) = &verdict {
        assert_eq!(crate::Verdicts::<Test>::get(ROUND), Some(right));
        let mut evaluators: Vec<u64> = verdict.evaluators.iter().map(|(who, _)| *who).collect();
        evaluators.sort_unstable();
        return (disputed, evaluators);
    }
    (disputed, vec![])
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
    let truth = disputed.truth().score();
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
        assert_eq!(Decided::get().pop().unwrap().1.unwrap().evaluators, [(1, 1)]);
    });
}

#[test]
fn a_trace_is_of_what_was_revealed() {
    ext().execute_with(|| {
        let (disputed, _, _) = to_traces();
        let honest = disputed.truth();
        assert_noop!(honest.post(ROUND, 9), E::NotOnCommittee);
        // Who has revealed another score cannot name this trace.
        assert_noop!(honest.post(ROUND, 2), E::OtherScores);
        let losses = Losses::truncate_from(honest.losses());
        let bare = Pol::post_trace(Origin::signed(1), ROUND, honest.tree.root(), losses, Proof::default());
        assert_noop!(bare, E::NotOfTheRoot);
        assert_ok!(honest.post(ROUND, 1));
        assert_noop!(honest.post(ROUND, 1), E::AlreadyPosted);
        crate::Seats::<Test>::mutate(ROUND, 3, |seat| seat.as_mut().unwrap().wrong = true);
        assert_noop!(honest.post(ROUND, 3), E::FoundWrong);
        // Nobody else has posted a trace: what the one comes to stands.
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(Decided::get().pop().unwrap().1.unwrap().evaluators, [(1, 1)]);
    });
}

#[test]
fn where_nobody_has_a_trace_nobody_was_right() {
    ext().execute_with(|| {
        let (disputed, _, _) = to_traces();
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert_eq!(slashed(), [1, 2, 3, 4, 5]);
        assert_eq!(Reveals::<Test>::iter_prefix(ROUND).count(), 0);
        assert_noop!(disputed.truth().post(ROUND, 1), E::WrongPhase);
    });
}

#[test]
fn who_does_not_move_in_time_loses() {
    ext().execute_with(|| {
        let (disputed, _, _) = to_traces();
        let honest = disputed.truth();
        let liar = honest.lie(None, honest.score() - 7);
        honest.post(ROUND, 1).unwrap();
        liar.post(ROUND, 2).unwrap();
        run_to_next_phase();
        let game = Games::<Test>::get(ROUND, 0).unwrap();
        let (side, told) = (honest.side(&game).unwrap(), honest.told(&game).unwrap());
        let play = |game, side, told: &Move| Pol::play(Origin::signed(99), ROUND, game, side, Box::new(told.clone()));
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
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(slashed(), [2, 3, 4, 5]);
    });
}

#[test]
fn evidence_is_checked() {
    ext().execute_with(|| {
        let (disputed, _, _) = to_traces();
        let honest = disputed.truth();
        let liar = honest.lie(Some(query()), honest.score() - 7);
        honest.post(ROUND, 1).unwrap();
        liar.post(ROUND, 2).unwrap();
        run_to_next_phase();
        loop {
            let game = Games::<Test>::get(ROUND, 0).unwrap();
            let moves = [&*honest, &liar].map(|player| (player.side(&game).unwrap(), player.told(&game)));
            let [(_, Some(_)), (_, Some(_))] = &moves else { break };
            for (side, told) in moves {
                Pol::play(Origin::signed(99), ROUND, 0, side, Box::new(told.unwrap())).unwrap();
            }
        }
        let game = Games::<Test>::get(ROUND, 0).unwrap();
        let evidence = honest.evidence(&game, &disputed).unwrap();
        let side = honest.side(&game).unwrap();
        let settle = |evidence: &Evidence| Pol::settle(Origin::signed(99), ROUND, 0, side, Box::new(evidence.clone()));
        let changed = |change: fn(&mut Evidence)| {
            let mut evidence = evidence.clone();
            change(&mut evidence);
            settle(&evidence)
        };
        assert_noop!(changed(|evidence| evidence.leaves.clear()), E::EvidenceMissing);
        assert_noop!(changed(|evidence| evidence.leaves[0].words[0] ^= 1), E::BadEvidence);
        assert_noop!(changed(|evidence| evidence.leaves = vec![evidence.leaves[0].clone(); 200]), E::TooMuchEvidence);
        assert_ok!(settle(&evidence));
        // What follows is for the next block.
        assert_noop!(settle(&evidence), E::NotNow);
        assert!(Decided::get().is_empty());
        run_to(System::block_number() + 1);
        assert_eq!(Decided::get().pop().unwrap().1.unwrap().evaluators, [(1, 1)]);
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
        assert_noop!(disputed.truth().post(ROUND, 1), E::UnknownSpec);
    });
}

/// Up to the traces of a cell, after these have revealed and posted these scores.
fn to_traces_of(found: &[(u64, Reveal, &Scores)], place: u32) {
    let told: Vec<_> = found.iter().map(|(who, reveal, _)| (*who, reveal.clone())).collect();
    commit_and_reveal(&told);
    assert_eq!(run_to_next_phase(), Phase::Scores);
    for (_, reveal, scores) in found {
        // Members who have found the same post it once.
        let _ = post_scores(reveal, scores);
    }
    assert_eq!(run_to_next_phase(), Phase::Traces(place));
}

/// Places of these traces in the order in which they are paired.
fn pairing<const N: usize>(players: [&Player; N]) -> [usize; N] {
    let mut order = [0; N];
    order.iter_mut().enumerate().for_each(|(place, index)| *index = place);
    order.sort_by_key(|index| Blake2_128Concat::hash(&players[*index].tree.root().encode()));
    order
}

/// The reveal with other blocks that deltas merge into.
fn with_other_blocks(found: &Reveal) -> Reveal {
    let mut other = found.clone();
    other.candidate.as_mut().unwrap().master = ContentHash([1; 32]);
    other
}

#[test]
fn without_most_on_one_side_nobody_knows_what_deltas_merge_into() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(2)]);
        all_available();
        let all = scores(&evaluation().layout);
        let found = reveal(&all);
        let other = with_other_blocks(&found);
        commit_and_reveal(&[1, 2, 3, 4, 5].map(|who| (who, if who < 3 { other.clone() } else { found.clone() })));
        run_to_next_phase();
        post_scores(&found, &all).unwrap();
        post_scores(&other, &all).unwrap();
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert_eq!(slashed(), Vec::<u64>::new());
    });
}

#[test]
fn who_is_away_does_not_speak_for_others_blocks() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(2)]);
        all_available();
        let all = scores(&evaluation().layout);
        let found = reveal(&all);
        let other = with_other_blocks(&found);
        // Three of four, and of five members.
        commit_and_reveal(&[1, 2, 3, 4].map(|who| (who, if who < 4 { other.clone() } else { found.clone() })));
        run_to_next_phase();
        post_scores(&found, &all).unwrap();
        post_scores(&other, &all).unwrap();
        assert_eq!(run_to_next_phase(), Phase::Waiting);
        assert_eq!(slashed(), [5]);
    });
}

#[test]
fn who_was_found_wrong_has_no_say_in_what_deltas_merge_into() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(2)]);
        all_available();
        let disputed = Disputed::new(Target::Base, Set::Final);
        let truth = disputed.truth();
        let right = scores_with(&disputed, truth.score());
        // The score is right, and the way to it is not.
        let twisted = truth.lie(Some(query()), truth.score());
        let liar = (7..).map(|less| truth.lie(None, truth.score() - less)).find(|liar| {
            let [.., waits] = pairing([&truth, &twisted, liar]);
            waits == 0
        });
        let liar = liar.unwrap();
        let wrong = scores_with(&disputed, liar.score());
        let honest = reveal(&right);
        let other = with_other_blocks(&honest);
        let found = [
            (1, honest.clone(), &right),
            (2, other.clone(), &right),
            (3, other, &right),
            (4, reveal(&wrong), &wrong),
            (5, reveal(&wrong), &wrong),
        ];
        to_traces_of(&found, disputed.place);
        for (who, player) in [(1, &*truth), (2, &twisted), (3, &twisted), (4, &liar)] {
            player.post(ROUND, who).unwrap();
        }
        run_to_next_phase();
        play_all(&[&truth, &twisted, &liar], truth.tree.root(), &disputed);
        assert_eq!(evaluation().phase, Phase::Over);
        assert_eq!(crate::Verdicts::<Test>::get(ROUND), Some(honest));
        assert_eq!(slashed(), [2, 3, 4, 5]);
    });
}

#[test]
fn what_all_say_that_deltas_merge_into_needs_no_majority() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(2)]);
        all_available();
        let layout = evaluation().layout;
        let [early, late] = [Set::Final, Set::General].map(|set| Disputed::new(Target::Candidate, set));
        let truth = early.truth();
        let with = |first: u64, last: u64| {
            let mut scores = scores_with(&early, first);
            scores.0[late.place as usize] = last;
            scores
        };
        let right = with(truth.score(), late.truth().score());
        let (wrong, other) = (with(7, late.truth().score()), with(truth.score(), 7));
        let found = [
            (1, reveal(&right), &right),
            (2, reveal(&wrong), &wrong),
            (3, reveal(&wrong), &wrong),
            (4, reveal(&other), &other),
        ];
        assert!(early.place < late.place && late.place < layout.all());
        to_traces_of(&found, early.place);
        truth.post(ROUND, 1).unwrap();
        // Of three members who were not found wrong one is away.
        assert_eq!(run_to_next_phase(), Phase::Traces(late.place));
        assert_eq!(slashed(), [2, 3, 5]);
        late.truth().post(ROUND, 1).unwrap();
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(slashed(), [2, 3, 4, 5]);
        assert_eq!(crate::Verdicts::<Test>::get(ROUND), Some(found[0].1.clone()));
    });
}

#[test]
fn what_is_played_for_next_is_what_those_that_are_left_differ_in() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(2)]);
        all_available();
        let layout = evaluation().layout;
        let cells = layout.cells(Target::Candidate, Set::Final).unwrap();
        let with = |place: u32| {
            let mut scores = scores(&layout);
            scores.0[place as usize] -= 5;
            scores
        };
        let (all, early, late) = (scores(&layout), with(cells.start), with(cells.start + 1));
        let other = with_other_blocks(&reveal(&early));
        let (right, wrong) = (reveal(&all), reveal(&late));
        let found = [
            (1, right.clone(), &all),
            (2, right.clone(), &all),
            (3, wrong.clone(), &late),
            (4, wrong, &late),
            (5, other, &early),
        ];
        to_traces_of(&found, cells.start + 1);
        assert_eq!(slashed(), [5]);
    });
}

#[test]
fn what_cannot_be_applied_has_no_scores() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(2)]);
        all_available();
        let layout = evaluation().layout;
        let mut right = scores(&layout);
        for set in [Set::Trial, Set::General, Set::Own(1)] {
            layout.cells(Target::Delta(1), set).unwrap().for_each(|place| right.0[place as usize] = 0);
        }
        let mut wrong = right.clone();
        let place = layout.cells(Target::Delta(1), Set::General).unwrap().start;
        // That is what the block comes to that was named, and nobody could compute it from the delta.
        wrong.0[place as usize] = Disputed::new(Target::Delta(1), Set::General).truth().score();
        let malformed = |scores: &Scores| {
            let mut found = reveal(scores);
            found.deltas[1].finding = Finding::Malformed;
            found
        };
        let (honest, liar) = (malformed(&right), malformed(&wrong));
        commit_and_reveal(&[1, 2, 3, 4, 5].map(|who| (who, if who == 1 { honest.clone() } else { liar.clone() })));
        assert_eq!(run_to_next_phase(), Phase::Scores);
        assert_ok!(post_scores(&honest, &right));
        assert_noop!(post_scores(&liar, &wrong), E::OtherScores);
        assert_eq!(run_to_next_phase(), Phase::Over);
        assert_eq!(slashed(), [2, 3, 4, 5]);
        assert_eq!(crate::Verdicts::<Test>::get(ROUND), Some(honest));
    });
}

#[test]
fn a_game_that_nobody_needs_any_more_is_over() {
    ext().execute_with(|| {
        start(vec![delta(1), delta(2)]);
        all_available();
        let disputed = Disputed::new(Target::Base, Set::Trial);
        let truth = disputed.truth();
        let twisted = truth.lie(Some(query()), truth.score());
        // Liars play against each other in the game whose time is looked at first.
        let first = (0..2).min_by_key(|game| Blake2_128Concat::hash(&Due::Move(ROUND, *game).encode())).unwrap();
        let other = truth.lie(None, truth.score() - 5);
        let liar = (7..).map(|less| truth.lie(None, truth.score() - less)).find(|liar| {
            let [one, two, ..] = pairing([&truth, &twisted, &other, liar]);
            let are_liars = one > 1 && two > 1;
            let are_right = one < 2 && two < 2;
            if first == 0 {
                are_liars
            } else {
                are_right
            }
        });
        let liar = liar.unwrap();
        let players = [&*truth, &twisted, &other, &liar];
        let told = players.map(|player| scores_with(&disputed, player.score()));
        let found: Vec<_> = (1..).zip(&told).map(|(who, scores)| (who, reveal(scores), scores)).collect();
        to_traces_of(&[&found[..], &[(5, reveal(&told[0]), &told[0])]].concat(), disputed.place);
        for (who, player) in (1..).zip(players) {
            player.post(ROUND, who).unwrap();
        }
        run_to_next_phase();
        let until = Games::<Test>::get(ROUND, 0).unwrap().until;
        run_to(until - 1);
        System::set_block_number(until);
        let weight = Pol::on_initialize(until);
        // Nobody has moved: both liars are out, and those that are left agree.
        assert_eq!(slashed(), [3, 4]);
        assert_eq!(crate::Verdicts::<Test>::get(ROUND), Some(found[0].1.clone()));
        type W = crate::weights::SubstrateWeight<Test>;
        let ended = W::end_move() + W::end_scores() + DecisionWeight::get();
        assert_eq!(weight, W::agenda() + W::agenda_block() + ended);
        Pol::do_try_state().unwrap();
    });
}

#[test]
fn who_has_revealed_nothing_has_no_trace() {
    ext().execute_with(|| {
        start(vec![delta(1)]);
        all_available();
        let disputed = Disputed::new(Target::Base, Set::Trial);
        let score = disputed.truth().score();
        let [right, wrong] = [score, score - 7].map(|score| scores_with(&disputed, score));
        let found = [
            (1, reveal(&right), &right),
            (2, reveal(&right), &right),
            (3, reveal(&wrong), &wrong),
            (4, reveal(&wrong), &wrong),
        ];
        to_traces_of(&found, disputed.place);
        assert_noop!(disputed.truth().post(ROUND, 5), E::UnknownReveal);
    });
}
