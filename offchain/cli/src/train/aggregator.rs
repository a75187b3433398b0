//! The aggregator that takes a delta over.
//!
//! One has been waiting for such work: it fetches the delta from the learner's worker, and passes it on to everybody else. The
//! nearest is the one that answers soonest, which each learner measures for itself.

use crate::{out, units};
use anyhow::{Result, ensure};
use blyan_chain::{AccountId, State};
use blyan_primitives::{ids::ContentHash, learning::RoundId};
use blyan_tensorblock::transfer;
use blyan_worker::{
    fetch::{Peer, Peers},
    learn::urls,
};
use clap::Args;
use futures::{StreamExt, stream};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for an answer of one that may be near.
const NEAR: Duration = Duration::from_secs(2);
/// Aggregators that are asked side by side.
const PARALLEL: usize = 16;
/// Between two looks at whether a delta is taken over.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Who takes the delta over.
#[derive(Args, Debug)]
pub(super) struct HandingIn {
    /// Who takes the delta over from your worker, and passes it on: `nearest` is the aggregator that answers soonest of those
    /// that stand for election, an account is that one, `none` leaves it to the round's primaries.
    #[arg(long, default_value = "nearest", value_name = "nearest|none|ACCOUNT", value_parser = choice)]
    pub(super) aggregator: Choice,
}

/// Which aggregator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The one that answers soonest.
    Nearest,
    /// None.
    Nobody,
    /// This one.
    One(AccountId),
}

fn choice(text: &str) -> Result<Choice, String> {
    match text {
        "nearest" => Ok(Choice::Nearest),
        "none" => Ok(Choice::Nobody),
        account => units::account(account).map(Choice::One),
    }
}

/// Who takes over what `learner` submits.
pub(super) async fn choose(state: &State, choice: Choice, learner: &AccountId) -> Result<Option<AccountId>> {
    match choice {
        Choice::Nobody => Ok(None),
        Choice::One(account) => {
            let stands = state.candidacy(&account).await?.is_some();
            ensure!(stands, "{account} does not stand for election; `blyan round aggregators` shows who does");
            Ok(Some(account))
        },
        Choice::Nearest => nearest(state, learner).await,
    }
}

async fn nearest(state: &State, learner: &AccountId) -> Result<Option<AccountId>> {
    let mut reached = Vec::new();
    for (account, _) in state.standing().await? {
        // What one has already it need not take over.
        if account != *learner {
            reached.push((account, peers_of(state, &account).await?));
        }
    }
    let times = stream::iter(reached).map(|(account, peers)| async move {
        let mut best = None;
        for peer in peers {
            let answered = round_trip(&peer).await;
            best = best.into_iter().chain(answered).min();
        }
        best.map(|time| (time, account))
    });
    let times: Vec<_> = times.buffer_unordered(PARALLEL).collect().await;
    Ok(times.into_iter().flatten().min().map(|(_, account)| account))
}

/// The worker of an account, at each of its addresses.
async fn peers_of(state: &State, account: &AccountId) -> Result<Vec<Peer>> {
    let worker = state.worker(account).await?.filter(|worker| worker.online);
    Ok(Peers::new(&worker.as_ref().map(urls).unwrap_or_default())?.ranked())
}

/// How long a worker takes to answer on a connection that stands; nothing when it does not.
async fn round_trip(peer: &Peer) -> Option<Duration> {
    let ask = async || {
        let began = Instant::now();
        peer.is_live().await.then(|| began.elapsed())
    };
    // The first answer opens the connection.
    timeout(NEAR, ask()).await.ok().flatten()?;
    timeout(NEAR, ask()).await.ok().flatten()
}

/// Waits until somebody has taken a delta over, and says so: others can have it from there while the learner's worker is away.
/// That it will be passed on is its word, and what it is paid for.
pub(super) async fn tell_taken_over(
    state: &State,
    round: RoundId,
    block: ContentHash,
    aggregator: Option<AccountId>,
    learner: &AccountId,
) -> Result<()> {
    let mut keepers = Vec::new();
    for account in aggregator.into_iter().chain(state.primaries(round).await?).filter(|account| account != learner) {
        keepers.push((account, peers_of(state, &account).await?));
    }
    if keepers.is_empty() {
        return Ok(());
    }
    loop {
        for (account, peers) in &keepers {
            for peer in peers {
                let Ok(Ok(header)) = timeout(NEAR, peer.header(&block)).await else { continue };
                if transfer::verify_header(&block, &header).is_ok() {
                    return out::line(format_args!(
                        "{account} has taken the delta over, and serves it while your worker is away"
                    ));
                }
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregator_is_the_nearest_none_or_named() {
        assert_eq!((choice("nearest"), choice("none")), (Ok(Choice::Nearest), Ok(Choice::Nobody)));
        let account = AccountId::from([7; 32]);
        assert_eq!(choice(&account.to_string()), Ok(Choice::One(account)));
        assert!(choice("nobody").is_err());
    }
}
