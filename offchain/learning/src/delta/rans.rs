//! Entropy coding of bytes: range asymmetric numeral systems (Duda, arXiv:1311.2540), with one table for a whole stream.
//!
//! ```text
//! present   32 bytes, bit n of them for symbol n        frequencies   LEB128, one for each symbol that is present
//! state     u32, little-endian                          bytes
//! ```
//!
//! Frequencies are in parts of 4096, and a function of how often each symbol occurs: see [`Table::of`]. A table that is not
//! the one of the symbols which follow it is refused, and so is a state that does not end where the encoder began: a stream
//! has one encoding.

use super::DeltaError;

/// Frequencies are in parts of two to this.
const PRECISION: u32 = 12;
const WHOLE: u32 = 1 << PRECISION;
/// The state stays from this to 256 times this.
const LOWEST: u32 = 1 << 23;

/// How often each byte occurs, in parts of [`WHOLE`].
#[derive(Clone, PartialEq, Eq)]
struct Table {
    frequencies: [u32; 256],
}

impl Table {
    /// Each symbol that occurs has at least one part: its share rounded down, or one. What is left over after that goes to
    /// the symbol that occurs most, what is too much is taken from there, symbol by symbol where one alone does not have it.
    /// Of those that occur equally often, the lowest is meant.
    fn of(symbols: &[u8]) -> Self {
        let mut counts = [0u64; 256];
        for symbol in symbols {
            counts[usize::from(*symbol)] += 1;
        }
        let total = (symbols.len() as u64).max(1);
        let share = |count: u64| match count {
            0 => 0,
            count => (count * u64::from(WHOLE) / total).max(1) as u32,
        };
        let mut frequencies = counts.map(share);
        let mut by_count: Vec<usize> = (0..256).filter(|symbol| counts[*symbol] > 0).collect();
        by_count.sort_by_key(|symbol| (std::cmp::Reverse(counts[*symbol]), *symbol));
        let sum: u32 = frequencies.iter().sum();
        if let Some(&most) = by_count.first().filter(|_| sum < WHOLE) {
            frequencies[most] += WHOLE - sum;
        }
        let mut excess = sum.saturating_sub(WHOLE);
        for symbol in by_count {
            let taken = excess.min(frequencies[symbol].saturating_sub(1));
            frequencies[symbol] -= taken;
            excess -= taken;
        }
        Self { frequencies }
    }

    /// Where each symbol's parts begin.
    fn starts(&self) -> [u32; 256] {
        let mut next = 0;
        self.frequencies.map(|frequency| {
            let start = next;
            next += frequency;
            start
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.resize(at + 32, 0);
        for (symbol, frequency) in self.frequencies.iter().enumerate().filter(|(_, frequency)| **frequency > 0) {
            out[at + symbol / 8] |= 1 << (symbol % 8);
            put_number(*frequency, out);
        }
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, DeltaError> {
        let (present, rest) = bytes.split_at_checked(32).ok_or(DeltaError::Truncated)?;
        *bytes = rest;
        let mut frequencies = [0; 256];
        let mut sum = 0u32;
        for (symbol, frequency) in frequencies.iter_mut().enumerate() {
            if present[symbol / 8] >> (symbol % 8) & 1 == 1 {
                *frequency = take_number(bytes)?;
                if *frequency == 0 {
                    return Err(BAD_TABLE);
                }
                sum += *frequency;
            }
        }
        if sum != WHOLE { Err(BAD_TABLE) } else { Ok(Self { frequencies }) }
    }
}

const BAD_TABLE: DeltaError = DeltaError::Malformed("the table of a coded stream is not that of its symbols");

/// A frequency has at most 13 bits: one byte where seven suffice, else two.
fn put_number(number: u32, out: &mut Vec<u8>) {
    if number < 128 {
        out.push(number as u8);
    } else {
        out.extend([number as u8 | 128, (number >> 7) as u8]);
    }
}

fn take_number(bytes: &mut &[u8]) -> Result<u32, DeltaError> {
    let (&low, rest) = bytes.split_first().ok_or(DeltaError::Truncated)?;
    *bytes = rest;
    if low < 128 {
        return Ok(low.into());
    }
    let (&high, rest) = bytes.split_first().ok_or(DeltaError::Truncated)?;
    *bytes = rest;
    // A second byte of zero would be a second encoding of what fits one.
    if high == 0 { Err(BAD_TABLE) } else { Ok(u32::from(high) << 7 | u32::from(low & 127)) }
}

/// Appends the coded form of `symbols`. How many there are is not part of it.
pub fn encode(symbols: &[u8], out: &mut Vec<u8>) {
    if symbols.is_empty() {
        return;
    }
    let table = Table::of(symbols);
    let starts = table.starts();
    table.write(out);
    // The decoder runs the other way.
    let mut reversed = Vec::with_capacity(symbols.len());
    let mut state = LOWEST;
    for symbol in symbols.iter().rev() {
        let (frequency, start) = (table.frequencies[usize::from(*symbol)], starts[usize::from(*symbol)]);
        let limit = u64::from((LOWEST >> PRECISION) << 8) * u64::from(frequency);
        while u64::from(state) >= limit {
            reversed.push(state as u8);
            state >>= 8;
        }
        state = ((state / frequency) << PRECISION) + state % frequency + start;
    }
    out.extend(state.to_le_bytes());
    out.extend(reversed.into_iter().rev());
}

/// Reads `count` symbols from the beginning of `bytes`, and says how many bytes they took. Takes no more memory than the
/// symbols and a table.
///
/// # Errors
/// When `bytes` does not begin with the coded form of so many symbols.
pub fn decode(bytes: &[u8], count: usize) -> Result<(Vec<u8>, usize), DeltaError> {
    if count == 0 {
        return Ok((Vec::new(), 0));
    }
    let mut rest = bytes;
    let table = Table::read(&mut rest)?;
    let (state, coded) = rest.split_first_chunk().ok_or(DeltaError::Truncated)?;
    let mut state = u32::from_le_bytes(*state);
    let starts = table.starts();
    let mut symbol_at = vec![0u8; WHOLE as usize];
    for symbol in 0..=255u8 {
        let (start, frequency) = (starts[usize::from(symbol)], table.frequencies[usize::from(symbol)]);
        symbol_at[start as usize..(start + frequency) as usize].fill(symbol);
    }

    const BAD_STATE: DeltaError = DeltaError::Malformed("a coded stream does not end where it begins");
    if !(LOWEST..LOWEST << 8).contains(&state) {
        return Err(BAD_STATE);
    }
    let mut coded = coded.iter();
    let mut symbols = Vec::with_capacity(count);
    for _ in 0..count {
        let part = state % WHOLE;
        let symbol = symbol_at[part as usize];
        let (frequency, start) = (table.frequencies[usize::from(symbol)], starts[usize::from(symbol)]);
        state = frequency * (state >> PRECISION) + part - start;
        while state < LOWEST {
            state = state << 8 | u32::from(*coded.next().ok_or(DeltaError::Truncated)?);
        }
        symbols.push(symbol);
    }
    if state != LOWEST {
        return Err(BAD_STATE);
    }
    if Table::of(&symbols) != table {
        return Err(BAD_TABLE);
    }
    Ok((symbols, bytes.len() - coded.len()))
}
