//! Who leads, and whether enough have voted.

use blyan_primitives::pact::Ppm;

/// All votes.
pub fn sum(counts: &[u32]) -> u32 {
    counts.iter().fold(0, |sum, votes| sum.saturating_add(*votes))
}

/// The outcome that leads. Who leads keeps the lead until another has more votes, so that a tie moves nothing; among several
/// that overtake at once, which only a removed vote can cause, it is the first. Nobody leads without votes.
pub fn leader(counts: &[u32], incumbent: Option<u8>) -> Option<u8> {
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    let leads = |outcome: &u8| counts.get(usize::from(*outcome)) == Some(&most);
    incumbent.filter(leads).or_else(|| (0..=u8::MAX).take(counts.len()).find(leads))
}

/// Whether `votes` are the share `quorum` of the `electorate`, and any at all.
pub fn reaches(votes: u32, quorum: Ppm, electorate: u32) -> bool {
    let needed = u64::from(quorum.0).saturating_mul(electorate.into());
    votes > 0 && u64::from(votes).saturating_mul(Ppm::ONE.0.into()) >= needed
}
