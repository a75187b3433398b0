use crate::dispute::example::{Library, Trail, World};
use crate::{
    dispute::{gather, score, Game, Move, MoveError, Proven, Side, Values},
    merkle::ProofError,
    soft_float::F32,
    trace::{LayerStep, Step, Word},
};
use alloc::{vec, vec::Vec};
use codec::Encode;

/// Plays to the end, and says who was right.
fn play(world: &World, sides: [&Trail; 2]) -> (Word, [bool; 2]) {
    let trees = sides.map(Trail::tree);
    let mut game = Game::new(&world.shape, trees[0].root(), trees[1].root()).unwrap();
    let mut moves = 0;
    while game.word().is_none() {
        for (index, side) in Side::BOTH.into_iter().enumerate() {
            assert!(game.is_due(side));
            let told = sides[index].told(&trees[index], &game).unwrap();
            assert!(told.encoded_size() < 17 << 10);
            assert_eq!(game.play(&world.shape, side, told), Ok(index == 1));
        }
        moves += 1;
    }
    assert!(moves <= 3, "{moves} moves");
    let (word, leaf) = game.word().unwrap();
    // Whoever has everything can gather the evidence, against either root.
    let mut found = vec![];
    for (index, side) in Side::BOTH.into_iter().enumerate() {
        let mut library = Library { trail: sides[index], tree: &trees[index] };
        let evidence = gather::<f32, _, _>(&world.shape, word, world, world.item, &mut library).unwrap();
        let proven = Proven::new(evidence, &world.shape, game.root(side), leaf).unwrap();
        let mut values = Values::new(&world.shape, world, world.item, proven);
        found.push(game.settle::<F32, _>(&world.shape, &mut values).unwrap().unwrap());
    }
    assert_eq!(found[0], found[1]);
    (word, found[0])
}

/// Words of every step, here and there.
fn some_words(world: &World) -> Vec<Word> {
    let mut words = vec![];
    for (number, step) in (0u32..).zip(world.shape.steps()) {
        let (rows, columns) = world.shape.shape(step);
        words.push(Word { step, row: (number * 7) % rows, column: (number * 2_654_435) % columns });
    }
    words
}

#[test]
fn whoever_computed_right_wins() {
    let world = World::new();
    let honest = world.trace();
    let mut tree_sizes = vec![];
    for word in some_words(&world) {
        let mut liar = honest.clone();
        *liar.word(word) ^= 1;
        // What follows from the lie need not follow.
        let last = liar.leaves.len() - 1;
        liar.leaves[last][0] ^= 5;
        assert_eq!(play(&world, [&honest, &liar]), (word, [true, false]));
        assert_eq!(play(&world, [&liar, &honest]), (word, [false, true]));
        tree_sizes.push(liar.tree().leaf_count());
    }
    assert!(tree_sizes.iter().all(|size| *size == world.shape.leaves()));
}

#[test]
fn of_two_liars_the_first_to_lie_loses_or_both() {
    let world = World::new();
    let honest = world.trace();
    let early = Word { step: Step::Layer(0, LayerStep::Query), row: 1, column: 3 };
    let late = Word { step: Step::Layer(1, LayerStep::Down(0)), row: 2, column: 3 };
    let [mut one, mut other] = [&honest, &honest].map(Clone::clone);
    *one.word(early) ^= 4;
    *other.word(late) ^= 4;
    assert_eq!(play(&world, [&one, &other]), (early, [false, true]));
    *other.word(early) ^= 8;
    assert_eq!(play(&world, [&one, &other]), (early, [false, false]));
}

#[test]
fn there_is_no_game_between_equals() {
    let world = World::new();
    assert_eq!(Game::new(&world.shape, [1; 32], [1; 32]), None);
}

#[test]
fn moves_that_are_not_due_or_not_of_the_tree_are_refused() {
    let world = World::new();
    let honest = world.trace();
    let mut liar = honest.clone();
    *liar.word(Word { step: Step::FinalNorm, row: 0, column: 0 }) ^= 1;
    let (sides, trees) = ([&honest, &liar], [honest.tree(), liar.tree()]);
    let mut game = Game::new(&world.shape, trees[0].root(), trees[1].root()).unwrap();
    let (shape, words) = (&world.shape, |words: Vec<u32>| Move::Words(words.try_into().unwrap()));
    assert_eq!(game.play(shape, Side::First, words(vec![1])), Err(MoveError::NotNow));
    while game.word().is_none() {
        let moves = [0, 1].map(|index| sides[index].told(&trees[index], &game).unwrap());
        let shorter = match &moves[0] {
            Move::Nodes(nodes) => Move::Nodes(nodes[1..].to_vec().try_into().unwrap()),
            Move::Words(words) => Move::Words(words[1..].to_vec().try_into().unwrap()),
        };
        let before = game.clone();
        assert_eq!(game.play(shape, Side::First, shorter), Err(MoveError::Count));
        // Nobody tells for another what that one has not named.
        assert_eq!(game.play(shape, Side::Second, moves[0].clone()), Err(MoveError::Mismatch));
        assert_eq!(game, before);
        assert_eq!(game.play(shape, Side::First, moves[0].clone()), Ok(false));
        assert!(!game.is_due(Side::First) && game.is_due(Side::Second));
        assert_eq!(game.play(shape, Side::First, moves[0].clone()), Err(MoveError::Told));
        assert_eq!(game.play(shape, Side::Second, moves[1].clone()), Ok(true));
    }
    assert_eq!(game.play(shape, Side::First, words(vec![1])), Err(MoveError::NotNow));
}

#[test]
fn a_score_is_the_sum_of_the_losses_that_a_trace_ends_with() {
    let world = World::new();
    let honest = world.trace();
    let (tree, leaves) = (honest.tree(), world.shape.leaves());
    let positions = u64::from(world.shape.positions());
    let losses = honest.leaves[(leaves - positions) as usize..].concat();
    let proof = tree.prove(leaves - positions..leaves).unwrap();
    let sum = losses.iter().map(|loss| u64::from(*loss)).sum();
    let root = tree.root();
    assert_eq!(score(&world.shape, &root, &losses, &proof), Ok(sum));
    let mut others = losses.clone();
    others[0] += 1;
    others[1] -= 1;
    assert_eq!(score(&world.shape, &root, &others, &proof), Err(ProofError::Mismatch));
    assert_eq!(score(&world.shape, &root, &losses[1..], &proof), Err(ProofError::Range));
}
