//! The largest elements of each chunk, in one of two magnitudes and a sign: the shape of SparseLoCo (arXiv:2508.15706), with
//! places that are entropy-coded.
//!
//! Places are coded as gaps, which lie nearly geometrically where `keep` is a small part of a chunk. A gap's class, the
//! place of its highest bit and the bit below that, is a symbol of the coded stream; the bits below those are kept as they
//! are. That is within a hundredth of a bit of what the places of independent elements tell.

use super::{
    DeltaError, Reader, Shape,
    bits::{BitReader, BitWriter},
    check_values, is_scale, rans,
};
use half::f16;
use std::{
    cmp::Ordering,
    ops::{Range, RangeInclusive},
};

/// Chunks have two to the power of one of these elements.
pub const CHUNK_LOG2: RangeInclusive<u8> = 4..=16;

/// A change that keeps the largest elements of each chunk.
#[derive(Clone, PartialEq)]
pub struct Sparse {
    shape: Shape,
    chunk_log2: u8,
    keep: u16,
    /// `[chunks]`: the smaller magnitude and the larger.
    magnitudes: Vec<[f16; 2]>,
    /// Places in the matrix, row by row, ascending: of each chunk `keep`, or all of the last where it has fewer.
    places: Vec<u32>,
    /// One for each place: 1 for the larger magnitude, 2 for minus.
    codes: Vec<u8>,
}

impl std::fmt::Debug for Sparse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sparse({:?}, {} of each {})", self.shape, self.keep, 1u32 << self.chunk_log2)
    }
}

/// The class of a gap from the place after the last one, and its bits below: how many, and what they are.
fn classify(gap: u32) -> (u8, u32, u32) {
    let shifted = gap + 1;
    let high = shifted.ilog2();
    if high == 0 {
        return (0, 0, 0);
    }
    let bits = high - 1;
    let second = shifted >> bits & 1;
    ((2 * high + second - 1) as u8, bits, shifted & ((1 << bits) - 1))
}

/// How many bits below a class has, and the smallest gap in it. `None` for a class that gaps in a chunk cannot have.
fn declassify(class: u8) -> Option<(u32, u32)> {
    if class == 0 {
        return Some((0, 0));
    }
    let (high, second) = (u32::from(class).div_ceil(2), u32::from(class.is_multiple_of(2)));
    (high <= u32::from(*CHUNK_LOG2.end())).then(|| (high - 1, ((2 + second) << (high - 1)) - 1))
}

impl Sparse {
    pub(super) const ID: u8 = 1;

    /// Keeps the `keep` largest elements of each `2^chunk_log2`. Of equal ones those come first that lie first.
    ///
    /// # Errors
    /// When the change does not have this shape or is not finite, or the parameters are out of bounds.
    pub fn select(change: &[f32], shape: Shape, chunk_log2: u8, keep: u16) -> Result<Self, DeltaError> {
        check_values(shape, change)?;
        check_parameters(chunk_log2, keep)?;
        let mut selected = Self { shape, chunk_log2, keep, magnitudes: vec![], places: vec![], codes: vec![] };
        for (number, chunk) in change.chunks(1 << chunk_log2).enumerate() {
            let larger = |a: &u32, b: &u32| {
                let [a, b] = [a, b].map(|place| chunk[*place as usize].abs());
                b.partial_cmp(&a).unwrap_or(Ordering::Equal)
            };
            let mut places: Vec<u32> = (0..chunk.len() as u32).collect();
            // Stable, which is what decides among equals.
            places.sort_by(larger);
            places.truncate(usize::from(keep));
            let magnitudes: Vec<f32> = places.iter().map(|place| chunk[*place as usize].abs()).collect();
            let (few, [low, high]) = two_means(&magnitudes);
            let threshold = magnitudes[..few].last().copied().unwrap_or(f32::INFINITY);
            places.sort_unstable();
            for place in places {
                let value = chunk[place as usize];
                let is_high = value.abs() >= threshold && low != high;
                selected.codes.push(u8::from(is_high) | u8::from(value.is_sign_negative()) << 1);
                selected.places.push((number << chunk_log2) as u32 + place);
            }
            selected.magnitudes.push([low, high]);
        }
        Ok(selected)
    }

    /// Elements that are kept.
    pub fn kept(&self) -> usize {
        self.places.len()
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Adds to the weights of the rows from `first` on.
    pub(super) fn add_to(&self, first: usize, weights: &mut [f32]) {
        let start = first * self.shape.k;
        let before = |end: usize| self.places.partition_point(|place| (*place as usize) < end);
        let kept = before(start)..before(start + weights.len());
        for (place, code) in self.places[kept.clone()].iter().zip(&self.codes[kept]) {
            let magnitudes = self.magnitudes[(place >> self.chunk_log2) as usize];
            let magnitude = f32::from(magnitudes[usize::from(code & 1)]);
            weights[*place as usize - start] += if code & 2 == 0 { magnitude } else { -magnitude };
        }
    }

    /// For each chunk its first place, and which of the places kept are in it.
    fn chunks(shape: Shape, chunk_log2: u8, keep: u16) -> impl Iterator<Item = (Range<u32>, Range<usize>)> {
        let (elements, size, keep) = (shape.rows * shape.k, 1usize << chunk_log2, usize::from(keep));
        (0..elements.div_ceil(size)).map(move |number| {
            let first = number * size;
            let end = (first + size).min(elements);
            // Only the last chunk can have fewer.
            let kept = number * keep..number * keep + keep.min(end - first);
            (first as u32..end as u32, kept)
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::ID, self.chunk_log2];
        out.extend(self.keep.to_le_bytes());
        out.extend(self.magnitudes.iter().flatten().flat_map(|magnitude| magnitude.to_le_bytes()));
        let (mut classes, mut low, mut codes) = (Vec::new(), BitWriter::default(), BitWriter::default());
        for (chunk, kept) in Self::chunks(self.shape, self.chunk_log2, self.keep) {
            let mut next = chunk.start;
            for place in &self.places[kept] {
                let (class, bits, value) = classify(place - next);
                classes.push(class);
                low.put(value, bits);
                next = place + 1;
            }
        }
        self.codes.iter().for_each(|code| codes.put(u32::from(*code), 2));
        rans::encode(&classes, &mut out);
        out.extend(low.finish());
        out.extend(codes.finish());
        out
    }

    pub(super) fn decode(reader: &mut Reader<'_>, shape: Shape) -> Result<Self, DeltaError> {
        let (chunk_log2, keep) = (reader.byte()?, reader.u16()?);
        check_parameters(chunk_log2, keep)
            .map_err(|_| DeltaError::Malformed("a chunk has another size or keeps more"))?;
        let chunks = (shape.rows * shape.k).div_ceil(1 << chunk_log2);
        let magnitudes = reader.f16s(2 * chunks)?.as_chunks().0.to_vec();
        if !magnitudes.iter().all(|[low, high]| is_scale(low.to_f32()) && is_scale(high.to_f32()) && low <= high) {
            return Err(DeltaError::Malformed("magnitudes are negative, not finite or in the wrong order"));
        }
        let count = Self::chunks(shape, chunk_log2, keep).last().map_or(0, |(_, kept)| kept.end);
        let classes = reader.coded(count)?;
        let mut bits = 0;
        for class in &classes {
            bits += declassify(*class).ok_or(DeltaError::Malformed("a gap is longer than a chunk"))?.0 as usize;
        }
        let mut low = BitReader::new(reader.take(bits.div_ceil(8))?);
        let mut codes = BitReader::new(reader.take(count.div_ceil(4))?);
        let mut update = Self { shape, chunk_log2, keep, magnitudes, places: Vec::with_capacity(count), codes: vec![] };
        for ((chunk, kept), [smaller, larger]) in Self::chunks(shape, chunk_log2, keep).zip(&update.magnitudes) {
            let mut next = chunk.start;
            for class in &classes[kept] {
                let (bits, least) = declassify(*class).ok_or(DeltaError::Malformed("a gap is longer than a chunk"))?;
                let place = next + least + low.take(bits)?;
                if place >= chunk.end {
                    return Err(DeltaError::Malformed("a place is outside its chunk"));
                }
                let code = codes.take(2)? as u8;
                if code & 1 == 1 && smaller == larger {
                    return Err(DeltaError::Malformed("a chunk with one magnitude tells two apart"));
                }
                update.places.push(place);
                update.codes.push(code);
                next = place + 1;
            }
        }
        low.end()?;
        codes.end()?;
        Ok(update)
    }
}

fn check_parameters(chunk_log2: u8, keep: u16) -> Result<(), DeltaError> {
    match CHUNK_LOG2.contains(&chunk_log2) && keep > 0 && u32::from(keep) <= 1 << chunk_log2 {
        true => Ok(()),
        false => Err(DeltaError::Parameters(
            "a chunk has 2^4 to 2^16 elements, of which at least one and at most all are kept",
        )),
    }
}

/// Splits magnitudes, sorted from the largest, so that two values stand for them with the least squared error: how many have
/// the larger one, and both. They are rounded to what is stored; when that makes them equal, none has the larger.
fn two_means(magnitudes: &[f32]) -> (usize, [f16; 2]) {
    let total: f64 = magnitudes.iter().map(|magnitude| f64::from(*magnitude)).sum();
    let (mut above, mut best, mut split) = (0.0, -1.0, magnitudes.len());
    for (before, magnitude) in magnitudes.iter().enumerate() {
        above += f64::from(*magnitude);
        let (many, few) = ((before + 1) as f64, (magnitudes.len() - before - 1) as f64);
        // What the means explain; the error is the rest.
        let below = total - above;
        let explained = above * above / many + if few > 0.0 { below * below / few } else { 0.0 };
        // Equals cannot be told apart by a threshold.
        let is_cut = magnitudes.get(before + 1).is_none_or(|next| next < magnitude);
        if is_cut && explained > best {
            (best, split) = (explained, before + 1);
        }
    }
    let mean = |part: &[f32]| match part.len() {
        0 => None,
        len => {
            let mean = part.iter().map(|value| f64::from(*value)).sum::<f64>() / len as f64;
            Some(f16::from_f64(mean.min(f64::from(f16::MAX))))
        },
    };
    let (large, small) = magnitudes.split_at(split);
    let high = mean(large).unwrap_or(f16::ZERO);
    let low = mean(small).unwrap_or(high);
    if low == high { (0, [high, high]) } else { (split, [low, high]) }
}
