//! `blyan round watch`: what happens in rounds, block by block.

use super::{delta_text, outcome_text, show::Whole};
use crate::{
    out,
    process::Interrupts,
    progress::Steps,
    slot::Place,
    submit::Reading,
    units::{Bly, nats},
};
use anyhow::Result;
use blyan_chain::{
    AccountId, BlockRef, ChainClient, ChainError, ChainOptions, EvaluationPhase, Event, LearningEvent, Round,
    RoundOutcome, RoundPhase, State,
};
use blyan_primitives::learning::RoundId;
use clap::Args;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// How often in a row a node is asked that does not answer, and how long between: it can be started anew meanwhile.
const MAX_FAILURES: u32 = 200;
const PAUSE: Duration = Duration::from_secs(3);

/// Which round.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// The round's number.
    round: Option<RoundId>,
    #[command(flatten)]
    reading: Reading,
}

/// Finalized blocks and what happened in them, from some block on.
pub(crate) struct Follow {
    client: ChainClient,
    next: u32,
}

impl Follow {
    /// From the block after `block` on.
    pub(crate) fn after(client: ChainClient, block: BlockRef) -> Self {
        Self { client, next: block.number.saturating_add(1) }
    }

    /// The next block, and what happened to learning in it: nothing where the node has forgotten that.
    pub(crate) async fn next(&mut self) -> Result<(BlockRef, Vec<LearningEvent>)> {
        let head = self.client.wait_finalized(self.next).await?;
        let block = match self.client.finalized_block(self.next).await? {
            Some(block) => block,
            // The node was replaced by one that is behind.
            None => head,
        };
        let events = match self.client.events(block).await {
            Ok(events) => events,
            Err(ChainError::StatePruned { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        self.next = block.number.saturating_add(1);
        let learning = |event| match event {
            Event::Learning(event) => Some(event),
            _ => None,
        };
        Ok((block, events.into_iter().filter_map(|event| learning(event.event)).collect()))
    }
}

/// A round that is followed.
struct Followed<'a> {
    client: &'a ChainClient,
    id: RoundId,
    follow: Follow,
    steps: &'a Steps,
    shown: String,
}

impl Followed<'_> {
    /// Tells what has happened up to the finalized head; the round, once it is over.
    async fn catch_up(
        &mut self,
        tell: &mut dyn FnMut(BlockRef, &LearningEvent) -> Result<()>,
    ) -> Result<Option<(State, Round)>> {
        let state = self.client.at_finalized().await?;
        while self.follow.next <= state.block().number {
            let (block, events) = self.follow.next().await?;
            for event in events.iter().filter(|event| round_of(event) == Some(self.id)) {
                self.steps.pause(|| tell(block, event))?;
            }
        }
        let whole = Whole::of(&state, self.id).await?;
        if whole.round.is_over() {
            self.steps.finish();
            return Ok(Some((state, whole.round)));
        }
        let stage = format!("round {}: {}", self.id, whole.stage());
        if stage != self.shown {
            self.steps.begin(&stage);
            self.shown = stage;
        }
        Ok(None)
    }
}

/// Follows a round from the block after `after` until it is over. `tell` is given what happens in it; what is being waited for
/// is shown meanwhile. A node that is away is waited for.
pub(crate) async fn until_over(
    client: &ChainClient,
    id: RoundId,
    after: BlockRef,
    steps: &Steps,
    tell: &mut dyn FnMut(BlockRef, &LearningEvent) -> Result<()>,
) -> Result<(State, Round)> {
    let follow = Follow::after(client.clone(), after);
    let mut followed = Followed { client, id, follow, steps, shown: String::new() };
    let mut failures = 0u32;
    loop {
        match followed.catch_up(tell).await {
            Ok(Some(over)) => return Ok(over),
            Ok(None) => {
                failures = 0;
                client.wait_finalized(followed.follow.next).await?;
            },
            Err(error) if is_transient(&error) && failures < MAX_FAILURES => {
                failures = failures.saturating_add(1);
                tracing::warn!(%error, "the node cannot be asked");
                sleep(PAUSE).await;
            },
            Err(error) => return Err(error),
        }
    }
}

fn is_transient(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ChainError>().is_some_and(ChainError::is_transient)
}

/// Runs the command.
pub(super) async fn run(args: &WatchArgs) -> Result<()> {
    let mut interrupts = Interrupts::new()?;
    let client = ChainClient::connect(&args.reading.rpc, ChainOptions::default()).await?;
    let steps = Steps::new();
    let watching = async {
        match args.round {
            None => all(&client, args.reading.json).await,
            Some(round) if args.reading.json => one_for_programs(&client, round).await,
            Some(round) => one(&client, round, &steps).await,
        }
    };
    let result = tokio::select! {
        result = watching => result,
        interrupted = interrupts.next() => match args.round {
            // Nothing else ends it.
            None => Ok(()),
            Some(_) => Err(interrupted.into()),
        },
    };
    steps.finish();
    result
}

async fn one(client: &ChainClient, id: RoundId, steps: &Steps) -> Result<()> {
    let now = client.finalized()?;
    let whole = Whole::of(&client.at(now).await?, id).await?;
    out::line(format_args!("round {id} on slot {}: {}", Place::from(whole.round.slot), whole.stage()))?;
    if whole.round.is_over() {
        return out::line(format_args!("how it was judged: blyan verdict show {id}"));
    }
    let mut tell = |block: BlockRef, event: &LearningEvent| match told(event) {
        Some(text) => out::line(format_args!("block {}  {text}", block.number)),
        None => Ok(()),
    };
    let (_, round) = until_over(client, id, now, steps, &mut tell).await?;
    let RoundPhase::Over { outcome, .. } = &round.phase else { return Ok(()) };
    if !matches!(outcome, RoundOutcome::Empty) {
        out::line(format_args!("how it was judged: blyan verdict show {id}"))?;
    }
    Ok(())
}

/// A line of JSON whenever the round is further, and a last one with its end.
async fn one_for_programs(client: &ChainClient, id: RoundId) -> Result<()> {
    let mut shown = None;
    let mut block = client.finalized()?;
    loop {
        let whole = Whole::of(&client.at(block).await?, id).await?;
        let now = (whole.stage(), whole.deltas.len());
        if shown.as_ref() != Some(&now) {
            out::line(serde_json::to_string(&whole.value(block.number))?)?;
            shown = Some(now);
        }
        if whole.round.is_over() {
            return Ok(());
        }
        block = client.wait_finalized(block.number.saturating_add(1)).await?;
    }
}

/// All rounds, for ever.
async fn all(client: &ChainClient, as_json: bool) -> Result<()> {
    let now = client.finalized()?;
    if !as_json {
        let ongoing = client.at(now).await?.ongoing_rounds().await?.len();
        out::line(format_args!("{ongoing} rounds go on at block {}; Ctrl-C ends this", now.number))?;
    }
    let mut follow = Follow::after(client.clone(), now);
    loop {
        let (block, events) = follow.next().await?;
        for event in &events {
            let (Some(round), Some(text)) = (round_of(event), told(event)) else { continue };
            if as_json {
                out::line(json!({ "block": block.number, "round": round, "text": text }))?;
            } else {
                out::line(format_args!("block {}  round {round}  {text}", block.number))?;
            }
        }
    }
}

/// The round that an event is about.
pub(crate) fn round_of(event: &LearningEvent) -> Option<RoundId> {
    use LearningEvent as E;
    match event {
        E::RoundOpened { round, .. }
        | E::DeltaSubmitted { round, .. }
        | E::DeltaRefused { round, .. }
        | E::RoundEmpty { round }
        | E::RoundClosed { round, .. }
        | E::DeltaJudged { round, .. }
        | E::ForfeitShared { round, .. }
        | E::ForfeitLeft { round, .. }
        | E::RoundAccepted { round, .. }
        | E::RoundRejected { round, .. }
        | E::RoundFailed { round, .. }
        | E::BondReturned { round, .. }
        | E::RoundCommitted { round, .. }
        | E::RoundLapsed { round, .. }
        | E::Rewarded { round, .. }
        | E::PrimariesElected { round, .. }
        | E::RoundRemoved { round } => Some(*round),
        E::EvaluationStarted { evaluation }
        | E::CommitteeDrawn { evaluation, .. }
        | E::PhaseBegan { evaluation, .. }
        | E::AvailabilityVoted { evaluation, .. }
        | E::DeltasAvailable { evaluation, .. }
        | E::Committed { evaluation, .. }
        | E::Revealed { evaluation, .. }
        | E::Absent { evaluation, .. }
        | E::Wrong { evaluation, .. }
        | E::Refuted { evaluation, .. }
        | E::ScoresPosted { evaluation, .. }
        | E::Disputed { evaluation, .. }
        | E::TracePosted { evaluation, .. }
        | E::GameBegan { evaluation, .. }
        | E::Played { evaluation, .. }
        | E::GameSettled { evaluation, .. }
        | E::GameEnded { evaluation, .. }
        | E::CellResolved { evaluation, .. }
        | E::Decided { evaluation, .. }
        | E::Redrawn { evaluation, .. }
        | E::EvaluationFailed { evaluation }
        | E::HiddenSetGiven { evaluation, .. }
        | E::KeyRevealed { evaluation, .. } => Some(*evaluation),
        _ => None,
    }
}

fn name(bytes: &[u8; 32]) -> String {
    format!("0x{}…", bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn slashed(who: &AccountId, what: &str, has_slash: bool) -> String {
    let cost = if has_slash { " and loses a part of its stake" } else { "" };
    format!("{who} {what}{cost}")
}

/// What has happened, in words.
pub(crate) fn told(event: &LearningEvent) -> Option<String> {
    use LearningEvent as E;
    let text = match event {
        E::RoundOpened { slot, base, until, .. } => {
            format!("open on slot {}, head {}, until block {until}", Place::from(*slot), name(&base.0))
        },
        E::DeltaSubmitted { index, learner, bond, .. } => {
            format!("{learner} submits delta {index}, with a bond of {}", Bly(*bond))
        },
        E::DeltaRefused { learner, reason, head, .. } => {
            let head = head.map_or_else(|| "no head".to_owned(), |head| format!("head {}", name(&head.0)));
            format!("a delta of {learner} is not taken: {reason}; the slot has {head}")
        },
        E::RoundEmpty { .. } => "over: nobody submitted a delta".to_owned(),
        E::RoundClosed { deltas, .. } => format!("closed with {deltas} deltas"),
        E::DeltaJudged { index, learner, outcome, returned, lost, .. } => {
            let outcome = delta_text(Some(outcome));
            format!("delta {index} of {learner}: {outcome}; {} returned, {} lost", Bly(*returned), Bly(*lost))
        },
        E::ForfeitShared { evaluator, amount, .. } => format!("{evaluator} gets {} of lost bonds", Bly(*amount)),
        E::ForfeitLeft { amount, .. } => format!("{} of lost bonds goes where slashes go", Bly(*amount)),
        E::RoundAccepted { accepted, until, .. } => {
            format!(
                "accepted: {}; head {} can be published until block {until}",
                nats(accepted.gain),
                name(&accepted.serving.0)
            )
        },
        E::RoundRejected { reason, .. } => format!("rejected: {reason}; the head stays"),
        E::RoundFailed { error, .. } => match error {
            Some(error) => format!("failed: {error}; bonds are returned"),
            None => "failed: no committee came to a verdict; bonds are returned".to_owned(),
        },
        E::BondReturned { index, learner, amount, .. } => {
            format!("delta {index} of {learner} is not judged: {} returned", Bly(*amount))
        },
        E::RoundCommitted { publisher, accepted, .. } => {
            format!("{publisher} publishes head {}: {}", name(&accepted.serving.0), nats(accepted.gain))
        },
        E::RoundLapsed { accepted, .. } => outcome_text(&RoundOutcome::Lapsed(*accepted)),
        E::Rewarded { who, work, amount, .. } => format!("{who} earns {} for {work}", Bly(*amount)),
        E::PrimariesElected { primaries, .. } => {
            let names: Vec<_> = primaries.iter().map(ToString::to_string).collect();
            format!("primaries, the first to publish first: {}", names.join(", "))
        },
        E::RoundRemoved { .. } => "removed from the chain: it was over for long".to_owned(),
        E::EvaluationStarted { .. } => "its evaluation begins".to_owned(),
        E::CommitteeDrawn { members, .. } => format!("a committee of {members} is drawn"),
        E::PhaseBegan { phase, until, .. } => format!("{}, until block {until}", phase_name(*phase)),
        E::AvailabilityVoted { who, available, .. } => format!("{who} has {} deltas", available.count_ones()),
        E::DeltasAvailable { deltas, .. } => format!("{deltas} deltas are measured"),
        E::Committed { who, .. } => format!("{who} commits"),
        E::Revealed { who, reveal, .. } => format!("{who} reveals {}", name(reveal)),
        E::Absent { who, slash, .. } => slashed(who, "did not do its part", slash.is_some()),
        E::Wrong { who, slash, .. } => slashed(who, "was wrong", slash.is_some()),
        E::Refuted { reveal, .. } => format!("reveal {} is refuted", name(reveal)),
        E::ScoresPosted { reveal, .. } => format!("the scores behind reveal {} are posted", name(reveal)),
        E::Disputed { cell, .. } => format!("reveals differ in cell {cell}"),
        E::TracePosted { who, root, .. } => format!("{who} stands for trace {}", name(root)),
        E::GameBegan { game, roots: [first, second], .. } => {
            format!("game {game}: trace {} against {}", name(first), name(second))
        },
        E::Played { game, goes_on: true, .. } => format!("game {game} goes on"),
        E::Played { .. } => return None,
        E::GameSettled { game, right, .. } => {
            format!("game {game}: the chain has computed the value; {}", sides(*right))
        },
        E::GameEnded { game, right, .. } => format!("game {game} is over; {}", sides(*right)),
        E::CellResolved { cell, score: Some(_), .. } => format!("cell {cell} is resolved"),
        E::CellResolved { cell, score: None, .. } => format!("no trace of cell {cell} stood"),
        E::Decided { reveal, accepted, gain, .. } => {
            let what = if *accepted { "accepted" } else { "refused" };
            format!("verdict by reveal {}: {what}, {}", name(reveal), nats(*gain))
        },
        E::Redrawn { attempt, .. } => format!("committee {attempt} came to nothing; another is drawn"),
        E::EvaluationFailed { .. } => "no committee has come to anything".to_owned(),
        E::HiddenSetGiven { block, .. } => {
            format!("it is judged on hidden set {}, if its key comes in time", name(&block.0))
        },
        E::KeyRevealed { block, .. } => format!("hidden set {} can be read", name(&block.0)),
        _ => return None,
    };
    Some(text)
}

fn sides(right: [bool; 2]) -> &'static str {
    match right {
        [true, true] => "both sides were right",
        [true, false] => "the first side was right",
        [false, true] => "the second side was right",
        [false, false] => "neither side was right",
    }
}

fn phase_name(phase: EvaluationPhase) -> &'static str {
    match phase {
        EvaluationPhase::Waiting => "it waits for randomness",
        EvaluationPhase::Availability => "the committee fetches deltas",
        EvaluationPhase::Commit => "the committee measures",
        EvaluationPhase::Reveal => "the committee reveals",
        EvaluationPhase::Scores => "scores are posted",
        EvaluationPhase::Traces(_) => "traces are posted",
        EvaluationPhase::Games(_) => "games are played",
        EvaluationPhase::Over => "it is evaluated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blyan_chain::Work;
    use blyan_primitives::{learning::DeltaOutcome, pol::Refusal};

    #[test]
    fn what_happens_to_a_round_is_told_and_what_does_not_is_not() {
        let who = AccountId::from([1; 32]);
        let judged = LearningEvent::DeltaJudged {
            round: 7,
            index: 2,
            learner: who,
            outcome: DeltaOutcome::Refused(Refusal::Harmful),
            returned: 0,
            lost: 10u128.pow(18),
        };
        assert_eq!(round_of(&judged), Some(7));
        let text = told(&judged).unwrap();
        assert!(text.contains("delta 2") && text.contains("general data") && text.ends_with("1 BLY lost"), "{text}");
        let paid = LearningEvent::Rewarded { round: 7, who, work: Work::Delta, amount: 5 * 10u128.pow(17) };
        assert!(told(&paid).unwrap().ends_with("earns 0.5 BLY for delta"));
        let enrolled = LearningEvent::EvaluatorEnrolled { who, stake: 1 };
        assert_eq!((round_of(&enrolled), told(&enrolled)), (None, None));
    }
}
