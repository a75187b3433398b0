//! A seat on a committee: fetching and voting, evaluating and committing, revealing, and playing for what was found.
//!
//! A member looks at each finalized block, and does what is due. What it does is named by its content, so that nothing is done
//! twice, and what it has found is on disk before anybody hears of it.

use super::{Context, LearnError, dispute::Dispute, evaluation::Ground, memory::Found};
use blyan_chain::{AccountId, Delta, Evaluation, EvaluationPhase as Phase, LearningCall, Seat, State};
use blyan_learning::referee::Turn;
use blyan_primitives::{learning::RoundId, pol::commitment};
use codec::Encode;
use futures::{StreamExt, stream};
use std::time::Duration;

/// How long a slot takes.
const SLOT: Duration = Duration::from_secs(3);
/// Deltas that are fetched side by side.
const PARALLEL: usize = 4;
/// Blocks that members wait for another who has to do the same, for each that stands before them.
const PATIENCE: u32 = 3;

/// Serves on the committee of a round until its evaluation is over.
pub(super) async fn serve(context: Context, round: RoundId) {
    tracing::info!(round, "on the committee of a round");
    let mut member = Member { context, round, ground: None, found: None, dispute: None };
    let result = member.serve().await;
    if let Some((_, ground)) = &member.ground {
        member.context.leave(ground);
    }
    match result {
        Ok(()) => tracing::info!(round, "the committee is dissolved"),
        // It is taken up again with the next finalized head, while there is a seat.
        Err(error) => tracing::warn!(round, %error, "a seat on a committee is left"),
    }
}

struct Member {
    context: Context,
    round: RoundId,
    /// What the evaluation of an attempt is computed from.
    ground: Option<(u8, Ground)>,
    /// What was found in an attempt.
    found: Option<(u8, Found)>,
    dispute: Option<Dispute>,
}

/// The bit of a delta, if it comes in time.
async fn fetch(context: &Context, state: &State, round: RoundId, index: u32, delta: &Delta, time: Duration) -> u32 {
    match tokio::time::timeout(time, context.delta(state, round, delta)).await {
        Ok(Ok(_)) => 1u32.checked_shl(index).unwrap_or(0),
        Ok(Err(error)) => {
            tracing::info!(delta = index, block = %delta.header.block, %error, "a delta is not here");
            0
        },
        Err(_) => 0,
    }
}

impl Member {
    async fn serve(&mut self) -> Result<(), LearnError> {
        loop {
            let state = self.context.chain.at_finalized().await?;
            let now = state.block().number;
            let Some(evaluation) = state.evaluation(self.round).await? else { return Ok(()) };
            let Some(seat) = state.seat(self.round, &self.context.account).await? else { return Ok(()) };
            let acted = self.act(&state, &evaluation, &seat).await;
            match acted {
                // The chain has gone on, or another member was quicker.
                Err(LearnError::Onchain(error)) => {
                    tracing::debug!(round = self.round, %error, "a call of a committee was refused");
                },
                other => other?,
            }
            self.context.chain.wait_finalized(now.saturating_add(1)).await?;
        }
    }

    async fn act(&mut self, state: &State, evaluation: &Evaluation, seat: &Seat) -> Result<(), LearnError> {
        match evaluation.phase {
            Phase::Availability => self.vote(state, evaluation, seat).await,
            Phase::Commit => self.commit(state, evaluation, seat).await,
            Phase::Reveal => self.reveal(evaluation, seat).await,
            Phase::Scores => self.post_scores(state, evaluation, seat).await,
            Phase::Traces(cell) => self.post_trace(state, evaluation, seat, cell).await,
            Phase::Games(cell) => self.play(state, evaluation, seat, cell).await,
            Phase::Waiting | Phase::Over => Ok(()),
        }
    }

    /// Fetches what was submitted, and says what is here. When more comes, it says so again.
    async fn vote(&mut self, state: &State, evaluation: &Evaluation, seat: &Seat) -> Result<(), LearnError> {
        let deltas = state.deltas(self.round).await?;
        let blocks = evaluation.until.saturating_sub(state.block().number);
        // Half of what is left: a vote takes some blocks itself.
        let time = SLOT.saturating_mul(blocks / 2);
        let (context, said) = (&self.context, seat.available.unwrap_or(0));
        let mut fetches = Vec::new();
        for (index, delta) in (0..).zip(&deltas) {
            fetches.push(fetch(context, state, self.round, index, delta, time));
        }
        let fetched = stream::iter(fetches).buffer_unordered(PARALLEL).collect::<Vec<u32>>();
        let reads = async {
            match &evaluation.sources.hidden {
                Some(set) => context.hidden(state, set.block).await.unwrap_or_else(|error| {
                    tracing::info!(block = %set.block, %error, "a hidden set is not here");
                    false
                }),
                None => false,
            }
        };
        let (fetched, reads) = tokio::join!(fetched, reads);
        let available = fetched.into_iter().fold(said, |all, one| all | one);
        let reads_hidden = reads || seat.reads_hidden;
        if seat.available != Some(available) || seat.reads_hidden != reads_hidden {
            let call = LearningCall::VoteAvailability { evaluation: self.round, available, reads_hidden };
            self.context.call(self.round, call).await?;
        }
        Ok(())
    }

    async fn commit(&mut self, state: &State, evaluation: &Evaluation, seat: &Seat) -> Result<(), LearnError> {
        let found = self.find(state, evaluation).await?;
        let commitment =
            commitment(self.round.into(), &self.context.account.encode(), &found.salt, &found.reveal.hash());
        if seat.commitment != Some(commitment) {
            let call = LearningCall::Commit { evaluation: self.round, commitment };
            self.context.call(self.round, call).await?;
        }
        Ok(())
    }

    /// What was found: in this run, in one before it, or now.
    async fn find(&mut self, state: &State, evaluation: &Evaluation) -> Result<Found, LearnError> {
        let attempt = evaluation.attempt;
        if let Some(found) = self.remembered(attempt)? {
            return Ok(found);
        }
        let ground = self.ground(state, evaluation).await?;
        let (context, chain) = (self.context.clone(), self.context.chain.clone());
        let found = tokio::select! {
            found = context.evaluate(ground, self.round, attempt) => found?,
            // Nobody asks for it after that. What was measured so far is kept.
            _ = chain.wait_finalized(evaluation.until) => {
                return Err(LearnError::Cut("the time to evaluate is over".into()));
            },
        };
        self.found = Some((attempt, found.clone()));
        Ok(found)
    }

    fn remembered(&mut self, attempt: u8) -> Result<Option<Found>, LearnError> {
        if !matches!(&self.found, Some((of, _)) if *of == attempt) {
            let found = self.context.memory.load(self.round, attempt)?;
            self.found = found.map(|found| (attempt, found));
        }
        Ok(self.found.as_ref().map(|(_, found)| found.clone()))
    }

    async fn ground(&mut self, state: &State, evaluation: &Evaluation) -> Result<Ground, LearnError> {
        let attempt = evaluation.attempt;
        if let Some((of, ground)) = &self.ground
            && *of == attempt
        {
            return Ok(ground.clone());
        }
        let ground = self.context.ground(state, self.round, evaluation).await?;
        if let Some((_, former)) = self.ground.replace((attempt, ground.clone())) {
            self.context.leave(&former);
        }
        Ok(ground)
    }

    async fn reveal(&mut self, evaluation: &Evaluation, seat: &Seat) -> Result<(), LearnError> {
        if seat.reveal.is_some() || seat.commitment.is_none() {
            return Ok(());
        }
        let Some(Found { salt, reveal, .. }) = self.remembered(evaluation.attempt)? else { return Ok(()) };
        let call = LearningCall::Reveal { evaluation: self.round, salt, reveal };
        self.context.call(self.round, call).await
    }

    /// How many members who have done the same as this one come before it: each that is `like` it does what is due in turn, so
    /// that not all pay for the same.
    async fn place(&self, state: &State, like: impl Fn(&Seat) -> bool) -> Result<u32, LearnError> {
        let committee = state.committee(self.round).await?;
        let before = |(account, seat): &&(AccountId, Seat)| account.0 < self.context.account.0 && like(seat);
        Ok(committee.iter().filter(before).count() as u32)
    }

    /// Whether it is this member's turn in something that is due until block `until`.
    fn is_turn(state: &State, evaluation: &Evaluation, until: u32, place: u32) -> bool {
        let began = until.saturating_sub(evaluation.rounds.dispute_move);
        let patience = place.saturating_mul(PATIENCE).min(evaluation.rounds.dispute_move / 2);
        state.block().number >= began.saturating_add(patience)
    }

    async fn post_scores(&mut self, state: &State, evaluation: &Evaluation, seat: &Seat) -> Result<(), LearnError> {
        let (Some(found), Some(name)) = (self.remembered(evaluation.attempt)?, seat.reveal) else { return Ok(()) };
        let reveals = state.reveals(self.round).await?;
        let is_due = reveals.iter().any(|(other, entry)| *other == name && !entry.posted);
        if !is_due || found.reveal.hash() != name {
            return Ok(());
        }
        let place = self.place(state, |seat| seat.reveal == Some(name)).await?;
        if Self::is_turn(state, evaluation, evaluation.until, place) {
            let call = LearningCall::PostScores { evaluation: self.round, reveal: name, scores: found.scores };
            self.context.call(self.round, call).await?;
        }
        Ok(())
    }

    /// The trace of the cell in dispute, for which whoever has revealed it has to stand.
    async fn dispute(&mut self, state: &State, evaluation: &Evaluation, cell: u32) -> Result<&Dispute, LearnError> {
        if !matches!(&self.dispute, Some(dispute) if dispute.cell == cell) {
            self.dispute = None;
            let ground = self.ground(state, evaluation).await?;
            let found = self.remembered(evaluation.attempt)?.ok_or(LearnError::Gone("reveal"))?;
            let candidate = found.reveal.candidate.map(|candidate| candidate.serving);
            tracing::warn!(round = self.round, cell, "others have found something else: its trace is computed");
            self.dispute = Some(Dispute::new(&self.context, ground, cell, candidate).await?);
        }
        self.dispute.as_ref().ok_or(LearnError::Gone("dispute"))
    }

    async fn post_trace(
        &mut self,
        state: &State,
        evaluation: &Evaluation,
        seat: &Seat,
        cell: u32,
    ) -> Result<(), LearnError> {
        if seat.trace.is_some() || seat.wrong || seat.reveal.is_none() {
            return Ok(());
        }
        let ending = self.dispute(state, evaluation, cell).await?.ending.clone();
        let found = self.remembered(evaluation.attempt)?.ok_or(LearnError::Gone("reveal"))?;
        if found.scores.0.get(cell as usize) != Some(&ending.score) {
            tracing::error!(
                round = self.round,
                cell,
                "what was revealed is not what the trace comes to: a defect, or damage"
            );
            return Ok(());
        }
        let call = LearningCall::PostTrace {
            evaluation: self.round,
            root: ending.root,
            losses: ending.losses,
            proof: ending.proof,
        };
        self.context.call(self.round, call).await
    }

    /// Plays every game that this member's trace is in.
    async fn play(&mut self, state: &State, evaluation: &Evaluation, seat: &Seat, cell: u32) -> Result<(), LearnError> {
        let Some(root) = seat.trace.filter(|_| !seat.wrong) else { return Ok(()) };
        let place = self.place(state, |seat| seat.trace == Some(root) && !seat.wrong).await?;
        for (game, entry) in state.games(self.round).await? {
            if entry.right.is_some() || !Self::is_turn(state, evaluation, entry.until, place) {
                continue;
            }
            let turn = self.dispute(state, evaluation, cell).await?.turn(entry.game).await?;
            let evaluation = self.round;
            let call = match turn {
                None | Some((_, Turn::Wait)) => continue,
                Some((side, Turn::Move(told))) => LearningCall::Play { evaluation, game, side, told },
                Some((side, Turn::Settle(evidence))) => LearningCall::Settle { evaluation, game, side, evidence },
            };
            self.context.call(self.round, call).await?;
        }
        Ok(())
    }
}
