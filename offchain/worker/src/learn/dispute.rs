//! A trace that is played for. It is computed once, on a thread of its own, which answers what is due in a game.

use super::{Context, LearnError, evaluation::Ground};
use blyan_learning::{
    evaluate::Evaluation,
    referee::{Player, Turn},
};
use blyan_primitives::{
    dispute::{Game, Side},
    ids::ContentHash,
    merkle::Digest,
};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// What a trace ends with.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) root: Digest,
    pub(super) losses: Vec<u32>,
    pub(super) proof: Vec<Digest>,
    pub(super) score: u64,
}

struct Question {
    game: Game,
    answer: oneshot::Sender<Result<Option<(Side, Turn)>, LearnError>>,
}

/// A trace of a cell.
pub(super) struct Dispute {
    pub(super) cell: u32,
    pub(super) ending: Ending,
    questions: mpsc::Sender<Question>,
}

impl Dispute {
    /// Computes the trace of a cell; those of the candidate are about the block `candidate`.
    pub(super) async fn new(
        context: &Context,
        ground: Ground,
        cell: u32,
        candidate: Option<ContentHash>,
    ) -> Result<Self, LearnError> {
        let (questions, asked) = mpsc::channel();
        let (opened, opening) = oneshot::channel();
        let (store, threads) = (context.store.clone(), context.threads);
        tokio::task::spawn_blocking(move || {
            let work = || {
                let Ground { task, blocks, model } = ground;
                let candidate = candidate.map(|hash| store.get(&hash)).transpose()?;
                let evaluation = Evaluation::new(task, model, &blocks, &mut |_| (), &|| false)?;
                let disputed = evaluation.disputed(cell, candidate.as_ref())?;
                let player = disputed.player(threads)?;
                let ending = Ending {
                    root: player.root(),
                    losses: player.losses(),
                    proof: player.proof()?,
                    score: player.score(),
                };
                // Nobody waits for it any more: there is nothing to play for.
                if opened.send(ending).is_ok() {
                    answer(&player, &asked);
                }
                Ok::<(), LearnError>(())
            };
            if let Err(error) = work() {
                tracing::warn!(cell, %error, "a trace cannot be computed");
            }
        });
        let ending = opening.await.map_err(|_| LearnError::Cut("its trace was not computed".into()))?;
        Ok(Self { cell, ending, questions })
    }

    /// What is due in a game, if this trace plays in it.
    pub(super) async fn turn(&self, game: Game) -> Result<Option<(Side, Turn)>, LearnError> {
        let (answer, answered) = oneshot::channel();
        let gone = || LearnError::Cut("the thread with the trace has ended".into());
        self.questions.send(Question { game, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Answers until nobody asks any more.
fn answer(player: &Player<'_>, asked: &mpsc::Receiver<Question>) {
    while let Ok(Question { game, answer }) = asked.recv() {
        let turn = player.side(&game).map(|side| Ok((side, player.turn(&game, side)?))).transpose();
        if answer.send(turn).is_err() {
            tracing::debug!("nobody waits for a move");
        }
    }
}
