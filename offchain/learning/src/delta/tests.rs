use super::*;
use crate::noise::matrix as noise;
use proptest::prelude::*;

const SHAPE: Shape = Shape { rows: 24, k: 40 };

fn matrix(seed: u64, shape: Shape) -> Vec<f32> {
    noise(seed, shape.rows * shape.k, 1e-3)
}

fn factors(seed: u64, shape: Shape, rank: usize) -> Factors {
    Factors { a: noise(seed, rank * shape.k, 0.1), b: noise(seed + 1, rank * shape.rows, 0.01) }
}

fn updates(seed: u64, shape: Shape) -> [Update; 3] {
    [
        Update::LowRank(LowRank::quantise(&factors(seed, shape, 4), shape, 31).unwrap()),
        Update::Sparse(Sparse::select(&matrix(seed, shape), shape, 6, 8).unwrap()),
        Update::Dense(Dense::quantise(&matrix(seed, shape), shape).unwrap()),
    ]
}

/// Part of the squared size of `change` that `kept` does not have.
fn lost(change: &[f32], kept: &[f32]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
    square(&mut change.iter().zip(kept).map(|(a, b)| a - b)) / square(&mut change.iter().copied())
}

fn product(factors: &Factors, shape: Shape) -> Vec<f32> {
    let mut sum = vec![0.0; shape.rows * shape.k];
    for (a, b) in factors.a.chunks_exact(shape.k).zip(factors.b.chunks_exact(shape.rows)) {
        for (row, b) in sum.chunks_exact_mut(shape.k).zip(b) {
            row.iter_mut().zip(a).for_each(|(sum, a)| *sum += a * b);
        }
    }
    sum
}

#[test]
fn an_encoding_gives_back_the_change() {
    for update in updates(1, SHAPE) {
        assert_eq!(Update::decode(&update.encode(), SHAPE).unwrap(), update);
    }
}

#[test]
fn encoded_bytes_are_pinned() {
    // A part of the protocol: with other bytes, what was anchored on chain can no longer be read.
    let sums = updates(7, SHAPE).map(|update| {
        let bytes = update.encode();
        let sum = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        (bytes.len(), sum)
    });
    assert_eq!(sums, [(296, 178703945151941018), (211, 10289891955897610679), (1260, 163792391312993033)]);
}

#[test]
fn each_codec_keeps_what_it_promises() {
    let shape = Shape { rows: 96, k: 128 };
    let factors = factors(3, shape, 8);
    let change = product(&factors, shape);
    let low_rank = |levels| Update::LowRank(LowRank::quantise(&factors, shape, levels).unwrap());
    assert!(lost(&change, &low_rank(127).to_dense()) < 3e-4);
    assert!(lost(&change, &low_rank(31).to_dense()) < 5e-3);
    let dense = Update::Dense(Dense::quantise(&change, shape).unwrap());
    assert!(lost(&change, &dense.to_dense()) < 2e-4);
    // All of it, in two magnitudes.
    let sparse = Update::Sparse(Sparse::select(&change, shape, 12, 4096).unwrap());
    assert!(lost(&change, &sparse.to_dense()) < 0.25);
}

#[test]
fn fewer_levels_are_fewer_bytes() {
    let shape = Shape { rows: 96, k: 128 };
    let bytes = |levels| LowRank::quantise(&factors(3, shape, 8), shape, levels).unwrap().encode().len();
    let plain = 8 * (96 + 128);
    assert!(bytes(127) < plain + 300);
    assert!(bytes(31) * 10 < plain * 9, "{} of {plain}", bytes(31));
    assert!(bytes(7) * 3 < plain * 2, "{} of {plain}", bytes(7));
}

#[test]
fn places_take_hardly_more_than_they_tell() {
    let shape = Shape { rows: 256, k: 512 };
    let sparse = Sparse::select(&matrix(5, shape), shape, 12, 64).unwrap();
    let (kept, part) = (sparse.kept() as f64, 64.0 / 4096.0f64);
    assert_eq!(kept, 2048.0);
    let told = -(part.log2() + (1.0 - part) / part * (1.0 - part).log2());
    let others = 4 + 32 * 4 + 2048 / 4;
    let bits = (sparse.encode().len() - others) as f64 * 8.0 / kept;
    assert!(bits < told + 0.35, "{bits} bits for a place that tells {told}");
}

#[test]
fn a_change_of_low_rank_is_found() {
    let shape = Shape { rows: 60, k: 90 };
    let change = product(&factors(9, shape, 5), shape);
    let found = Factors::of(&change, shape, 5).unwrap();
    assert!(lost(&change, &product(&found, shape)) < 1e-9);
    // With more components than there are, the others are nothing.
    let found = Factors::of(&change, shape, 8).unwrap();
    assert!(lost(&change, &product(&found, shape)) < 1e-9);
    assert!(LowRank::quantise(&found, shape, 127).is_ok());
}

#[test]
fn the_largest_elements_are_kept_and_the_first_of_equals() {
    let shape = Shape { rows: 1, k: 20 };
    let mut change = vec![0.5; 20];
    change[3] = -2.0;
    change[17] = 4.0;
    let sparse = Sparse::select(&change, shape, 4, 2).unwrap();
    let dense = Update::Sparse(sparse).to_dense();
    let mut expected = vec![0.0; 20];
    (expected[0], expected[3]) = (0.5, -2.0);
    // Of the last chunk, with its four elements, two as well.
    (expected[16], expected[17]) = (0.5, 4.0);
    assert_eq!(dense, expected);
}

#[test]
fn a_change_of_nothing_changes_nothing() {
    let nothing = vec![0.0; SHAPE.rows * SHAPE.k];
    let factors = Factors { a: vec![0.0; SHAPE.k], b: vec![1.0; SHAPE.rows] };
    for update in [
        Update::LowRank(LowRank::quantise(&factors, SHAPE, 127).unwrap()),
        Update::Sparse(Sparse::select(&nothing, SHAPE, 6, 8).unwrap()),
        Update::Dense(Dense::quantise(&nothing, SHAPE).unwrap()),
    ] {
        assert_eq!(update.to_dense(), nothing);
        let decoded = Update::decode(&update.encode(), SHAPE).unwrap();
        assert_eq!(decoded, update);
        let mut weights = matrix(2, SHAPE);
        decoded.add_to(&mut weights).unwrap();
        assert_eq!(weights, matrix(2, SHAPE));
    }
}

#[test]
fn feedback_gets_all_of_a_change_across() {
    let shape = Shape { rows: 32, k: 32 };
    let (change, nothing) = (matrix(4, shape), vec![0.0; 1024]);
    let mut feedback = Feedback::new(shape).unwrap();
    let mut weights = nothing.clone();
    let select = |change: &[f32], shape| Sparse::select(change, shape, 8, 16).map(Update::Sparse);
    let mut before = 1.0;
    for round in 0..40 {
        let given = if round == 0 { &change } else { &nothing };
        let update = feedback.compress(given, select).unwrap();
        update.add_to(&mut weights).unwrap();
        let now = lost(&change, &weights);
        assert!(now <= before, "round {round}: {now} after {before}");
        before = now;
    }
    assert!(before < 0.05, "{before} never came across");
    let left = feedback.left().iter().zip(&weights).map(|(left, sent)| left + sent).collect::<Vec<_>>();
    assert!(lost(&change, &left) < 1e-9);
}

#[test]
fn what_cannot_be_compressed_is_refused() {
    let shape = Shape { rows: 2, k: 16 };
    let good = vec![1.0; 32];
    let mut bad = good.clone();
    bad[5] = f32::NAN;
    assert!(matches!(Dense::quantise(&bad, shape), Err(DeltaError::NotFinite { index: 5, .. })));
    assert!(matches!(Sparse::select(&bad, shape, 4, 1), Err(DeltaError::NotFinite { index: 5, .. })));
    assert!(matches!(Factors::of(&bad, shape, 1), Err(DeltaError::NotFinite { index: 5, .. })));
    assert!(matches!(Dense::quantise(&good[1..], shape), Err(DeltaError::Shape { elements: 31, .. })));
    for (chunk, keep) in [(3, 1), (17, 1), (4, 0), (4, 17)] {
        assert!(matches!(Sparse::select(&good, shape, chunk, keep), Err(DeltaError::Parameters(_))));
    }
    let factors = Factors { a: vec![1.0; 16], b: vec![1.0; 2] };
    for levels in [0, 128] {
        assert!(matches!(LowRank::quantise(&factors, shape, levels), Err(DeltaError::Parameters(_))));
    }
    let uneven = Factors { b: vec![1.0; 3], ..factors.clone() };
    assert!(matches!(LowRank::quantise(&uneven, shape, 1), Err(DeltaError::Parameters(_))));
    let none = Factors { a: vec![], b: vec![] };
    assert!(matches!(LowRank::quantise(&none, shape, 1), Err(DeltaError::Parameters(_))));
    let many = Factors { a: vec![1.0; 48], b: vec![1.0; 6] };
    assert!(matches!(LowRank::quantise(&many, shape, 1), Err(DeltaError::Parameters(_))));
    let infinite = Factors { a: vec![f32::INFINITY; 16], ..factors };
    assert!(matches!(LowRank::quantise(&infinite, shape, 1), Err(DeltaError::NotFinite { .. })));
    for rank in [0, 3] {
        assert!(matches!(Factors::of(&good, shape, rank), Err(DeltaError::Parameters(_))));
    }
    for shape in [Shape { rows: 0, k: 4 }, Shape { rows: usize::MAX, k: 4 }, Shape { rows: 1 << 20, k: 1 << 20 }] {
        assert!(matches!(Feedback::new(shape), Err(DeltaError::Shape { .. })));
        assert!(matches!(Update::decode(&[0; 64], shape), Err(DeltaError::Shape { .. })));
    }
    let update = Update::Dense(Dense::quantise(&good, shape).unwrap());
    assert!(matches!(update.add_to(&mut [0.0; 31]), Err(DeltaError::Shape { elements: 31, .. })));
    for (rows, len) in [(0..1, 15), (1..3, 32), (1..1, 0), (0..2, 31)] {
        assert!(matches!(update.add_rows_to(rows, &mut vec![0.0; len]), Err(DeltaError::Shape { .. })));
    }
}

#[test]
fn hostile_bytes_are_refused_by_name() {
    assert_eq!(Update::decode(&[], SHAPE), Err(DeltaError::Truncated));
    assert_eq!(Update::decode(&[3], SHAPE), Err(DeltaError::UnknownCodec(3)));
    for update in updates(1, SHAPE) {
        let bytes = update.encode();
        for len in 0..bytes.len() {
            assert!(Update::decode(&bytes[..len], SHAPE).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Update::decode(&longer, SHAPE), Err(DeltaError::Trailing(1)));
        assert!(Update::decode(&bytes, Shape { rows: 25, k: 40 }).is_err());
    }
    // Few bytes that would have factors of gigabytes.
    let tall = Shape { rows: MAX_ELEMENTS, k: 1 };
    let mut bytes = vec![0, 255];
    bytes.resize(2 + 4 * 255, 0);
    rans::encode(&[0], &mut bytes);
    assert!(matches!(Update::decode(&bytes, tall), Err(DeltaError::Malformed(_))));
    // No components, a negative scale, a scale that is no number.
    assert!(matches!(Update::decode(&[0, 0], SHAPE), Err(DeltaError::Malformed(_))));
    for scale in [-1.0f32, -0.0, f32::NAN, f32::INFINITY] {
        let bytes = [&[0, 1][..], &scale.to_le_bytes(), &[0; 64]].concat();
        assert!(matches!(Update::decode(&bytes, SHAPE), Err(DeltaError::Malformed(_))));
    }
}

proptest! {
    #[test]
    fn any_change_round_trips(seed: u64, rows in 1usize..40, k in 1usize..60, rank in 1usize..6, levels in 1u8..=127,
                              chunk_log2 in 4u8..=9, keep in 1u16..=16) {
        let shape = Shape { rows, k };
        for update in [
            Update::LowRank(LowRank::quantise(&factors(seed, shape, rank.min(rows).min(k)), shape, levels).unwrap()),
            Update::Sparse(Sparse::select(&matrix(seed, shape), shape, chunk_log2, keep).unwrap()),
            Update::Dense(Dense::quantise(&matrix(seed, shape), shape).unwrap()),
        ] {
            let bytes = update.encode();
            prop_assert_eq!(&Update::decode(&bytes, shape).unwrap(), &update);
            let mut weights = vec![0.0; rows * k];
            update.add_to(&mut weights).unwrap();
            prop_assert_eq!(&weights, &update.to_dense());

            // Rows by themselves, with minus zero for what is not kept.
            let base = vec![-0.0; rows * k];
            let mut whole = base.clone();
            update.add_to(&mut whole).unwrap();
            let mut parts = base;
            for (number, part) in parts.chunks_mut(2 * k).enumerate() {
                update.add_rows_to(number * 2..number * 2 + part.len() / k, part).unwrap();
            }
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&parts), bits(&whole));
        }
    }

    #[test]
    fn what_is_accepted_has_one_encoding(codec in 0usize..3, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = updates(1, SHAPE)[codec].encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(update) = Update::decode(&bytes, SHAPE) {
            prop_assert_eq!(update.encode(), bytes);
            prop_assert!(update.to_dense().iter().all(|value| !value.is_nan()));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(id in 0u8..3, bytes in prop::collection::vec(any::<u8>(), 0..400), rows in 1usize..9, k in 1usize..9) {
        let _ = Update::decode(&[&[id], &bytes[..]].concat(), Shape { rows, k });
    }

    #[test]
    fn streams_round_trip(symbols in prop::collection::vec(any::<u8>(), 0..2000), spread in 1u8..=255) {
        let symbols: Vec<u8> = symbols.into_iter().map(|symbol| symbol % spread).collect();
        let mut coded = vec![];
        rans::encode(&symbols, &mut coded);
        let len = coded.len();
        coded.extend([1, 2, 3]);
        prop_assert_eq!(rans::decode(&coded, symbols.len()).unwrap(), (symbols, len));
    }

    #[test]
    fn a_stream_has_one_coding(bytes in prop::collection::vec(any::<u8>(), 0..300), symbols in prop::collection::vec(0u8..4, 1..60),
                               at: prop::sample::Index, byte: u8) {
        let mut coded = vec![];
        rans::encode(&symbols, &mut coded);
        let at = at.index(coded.len());
        coded[at] = byte;
        for bytes in [coded, bytes] {
            if let Ok((symbols, used)) = rans::decode(&bytes, symbols.len()) {
                let mut again = vec![];
                rans::encode(&symbols, &mut again);
                prop_assert_eq!(&again[..], &bytes[..used]);
            }
        }
    }
}
