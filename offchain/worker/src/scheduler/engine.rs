//! The engine's thread.

use super::{
    AnswerText, Completion, Event, Executor, Failure, Finished, Handle, Job, Limits, Timings,
    queue::{Abort, Queue},
};
use crate::{
    health::Health,
    metrics::Metrics,
    receipts::journal::{Answer, Finish},
};
use blyan_primitives::ids::{SpecId, WeightsId};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Instant,
};
use tokio::sync::mpsc;

/// Starts the thread that owns `executor`. What is finished goes to `completions`; the thread ends when the last handle is
/// dropped and nothing is left to compute, or when the executor panics.
pub fn start<E: Executor>(
    executor: E,
    (spec, weights): (SpecId, WeightsId),
    limits: Limits,
    completions: mpsc::Sender<Finished>,
    health: Health,
    metrics: Arc<Metrics>,
) -> io::Result<Handle> {
    let queue = Arc::new(Queue::new(limits.max_queue));
    let handle = Handle::new(queue.clone());
    let engine = Engine { executor, spec, weights, limits, queue, completions, metrics, active: Vec::new() };
    thread::Builder::new().name("blyan-engine".into()).spawn(move || engine.guard(&health))?;
    Ok(handle)
}

struct Engine<E: Executor> {
    executor: E,
    spec: SpecId,
    weights: WeightsId,
    limits: Limits,
    queue: Arc<Queue>,
    completions: mpsc::Sender<Finished>,
    metrics: Arc<Metrics>,
    active: Vec<Active<E>>,
}

struct Active<E: Executor> {
    job: Job,
    session: E::Session,
    text: AnswerText<E::Text>,
    admitted: Instant,
    /// Tokens of the prompt that are computed.
    consumed: usize,
    /// Whether all of them are but the last, which the first step of decoding takes.
    prefilled: bool,
    first_token: Option<Instant>,
    /// Output tokens that were turned into text.
    seen: usize,
}

impl<E: Executor> Engine<E> {
    fn guard(mut self, health: &Health) {
        let queue = self.queue.clone();
        // The engine's state is not used after a panic, only taken apart: what it holds is answered and dropped.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run()));
        if let Err(panic) = outcome {
            let reason = message(panic.as_ref());
            health.unhealthy(format!("the model's thread panicked: {reason}"));
            let waiting = queue.close();
            let running = std::mem::take(&mut self.active).into_iter().map(|active| active.job);
            for job in running.chain(waiting) {
                send(&job.events, Event::Failed(Failure::Panicked(reason.clone())));
            }
            queue.set_running(0);
        }
    }

    fn run(&mut self) {
        loop {
            if let Some(how) = self.queue.aborted() {
                return self.end_now(how);
            }
            let room = self.limits.max_batch.saturating_sub(self.active.len());
            let jobs = self.queue.take(room, self.active.is_empty());
            if jobs.is_empty() && self.active.is_empty() {
                return;
            }
            for job in jobs {
                self.admit(job);
            }
            self.drop_cancelled();
            self.prefill_one();
            self.decode_all();
            self.queue.set_running(self.active.len());
            self.metrics.batch.set(self.active.len() as i64);
        }
    }

    /// Ends every answer, with what it has or without anything.
    fn end_now(&mut self, how: Abort) {
        let failure = match how {
            Abort::CutShort => Failure::Stopped,
            Abort::Discard => Failure::Damaged,
        };
        for active in std::mem::take(&mut self.active) {
            if how == Abort::CutShort && active.seen > 0 {
                self.complete(active, Finish::Cancelled);
            } else {
                send(&active.job.events, Event::Failed(failure.clone()));
            }
        }
        for job in self.queue.close() {
            send(&job.events, Event::Failed(failure.clone()));
        }
        self.queue.set_running(0);
    }

    fn admit(&mut self, job: Job) {
        match self.executor.open(&job.prompt, job.sampling, job.max_tokens) {
            Ok(session) => self.active.push(Active {
                session,
                text: AnswerText::new(self.executor.text(), job.stop.clone()),
                admitted: Instant::now(),
                consumed: 0,
                prefilled: false,
                first_token: None,
                seen: 0,
                job,
            }),
            Err(error) => send(&job.events, Event::Failed(Failure::Execution(error.to_string()))),
        }
    }

    fn drop_cancelled(&mut self) {
        while let Some(at) = self.active.iter().position(|active| has_left(&active.job)) {
            let active = self.active.remove(at);
            if active.seen > 0 {
                self.complete(active, Finish::Cancelled);
            } else {
                self.abandon(active);
            }
        }
    }

    /// Has what was computed of a prompt charged, when its client left before the first token: otherwise a gateway would
    /// work for nothing for whoever always leaves just before it.
    fn abandon(&self, active: Active<E>) {
        let tokens = active.consumed as u64;
        self.metrics.answers.with_label_values(&[Finish::Cancelled.as_str()]).inc();
        self.metrics.prompt_tokens.inc_by(tokens);
        if let Some(reservation) = active.job.reservation.filter(|_| tokens > 0)
            && self.completions.blocking_send(Finished::Prompt { tokens, reservation }).is_err()
        {
            tracing::error!(tokens, "a prompt was computed and is not charged: the receipts' thread has ended");
        }
    }

    /// One piece of the prompt that came first.
    fn prefill_one(&mut self) {
        let Some(at) = self.active.iter().position(|active| !active.prefilled) else { return };
        let alone = self.active.len() == 1;
        let chunk = if alone { self.limits.alone_chunk } else { self.limits.shared_chunk };
        let Some(active) = self.active.get_mut(at) else { return };
        match self.executor.prefill(&mut active.session, chunk) {
            Ok(done) => {
                let all = active.job.prompt.len().saturating_sub(1);
                active.consumed = if done { all } else { active.consumed.saturating_add(chunk).min(all) };
                active.prefilled = done;
            },
            Err(error) => {
                let active = self.active.remove(at);
                self.fail(&active, &error);
            },
        }
    }

    /// One token for every answer that is past its prompt.
    fn decode_all(&mut self) {
        let mut ready: Vec<usize> = Vec::with_capacity(self.active.len());
        let mut sessions: Vec<&mut E::Session> = Vec::with_capacity(self.active.len());
        for (index, active) in self.active.iter_mut().enumerate().filter(|(_, active)| active.prefilled) {
            ready.push(index);
            sessions.push(&mut active.session);
        }
        if sessions.is_empty() {
            return;
        }
        self.metrics.step_sessions.observe(sessions.len() as f64);
        let results = self.executor.decode(&mut sessions);
        let mut over = Vec::new();
        for (index, result) in ready.into_iter().zip(results) {
            let Some(active) = self.active.get_mut(index) else { continue };
            if let Err(error) = result {
                over.push((index, Err(error)));
                continue;
            }
            if active.first_token.is_none() {
                active.first_token = Some(Instant::now());
                self.metrics.first_token_seconds.observe(active.job.arrived.elapsed().as_secs_f64());
                self.metrics.prompt_tokens.inc_by(active.job.prompt.len() as u64);
            }
            if let Some(finish) = read_new_tokens(&self.executor, active) {
                over.push((index, Ok(finish)));
            }
        }
        // From the last to the first: what is removed does not move those before it.
        for (index, end) in over.into_iter().rev() {
            let active = self.active.remove(index);
            match end {
                Ok(finish) => self.complete(active, finish),
                Err(error) => self.fail(&active, &error),
            }
        }
    }

    fn fail(&self, active: &Active<E>, error: &E::Error) {
        tracing::error!(%error, "an answer could not be computed");
        self.metrics.answers.with_label_values(&["failed"]).inc();
        send(&active.job.events, Event::Failed(Failure::Execution(error.to_string())));
    }

    fn complete(&self, active: Active<E>, finish: Finish) {
        let now = Instant::now();
        let Active { job, session, text, admitted, first_token, .. } = active;
        // The receipt says what was sent: the last piece reaches nobody who has left.
        let (text, tail) = match finish {
            Finish::Cancelled if has_left(&job) => (text.sent(), String::new()),
            _ => text.whole(),
        };
        let output = self.executor.output(&session).to_vec();
        let commitments = self.executor.commitments(&session).to_vec();
        let first = first_token.unwrap_or(now);
        let timings = Timings { queued: admitted - job.arrived, prefill: first - admitted, decode: now - first };
        self.metrics.output_tokens.inc_by(output.len() as u64);
        self.metrics.answers.with_label_values(&[finish.as_str()]).inc();
        self.metrics.answer_seconds.observe(job.arrived.elapsed().as_secs_f64());
        if output.len() > 1 {
            self.metrics.decode_rate.observe(timings.decode_rate(output.len() as u32));
        }
        let answer = Answer {
            spec: self.spec,
            weights: self.weights,
            prompt: job.prompt,
            output,
            sampling: job.sampling,
            commitments,
            text,
            finish,
            charge: None,
        };
        let completion = Completion { answer, tail, timings, reservation: job.reservation, events: job.events };
        // Waits when the disk is slower than the model: an answer without a receipt must not pile up.
        if let Err(mpsc::error::SendError(Finished::Answer(lost))) =
            self.completions.blocking_send(Finished::Answer(Box::new(completion)))
        {
            send(&lost.events, Event::Failed(Failure::Stopped));
        }
    }
}

fn has_left(job: &Job) -> bool {
    job.cancel.is_cancelled() || job.events.is_closed()
}

/// Turns new tokens into text; tells why the answer is over, once it is.
fn read_new_tokens<E: Executor>(executor: &E, active: &mut Active<E>) -> Option<Finish> {
    for token in executor.output(&active.session).get(active.seen..)? {
        active.seen += 1;
        let (step, ends) =
            if executor.is_end(*token) { (active.text.finish(), true) } else { (active.text.push(*token), false) };
        say(&active.job, step.piece);
        if ends || step.stopped {
            return Some(Finish::Stop);
        }
    }
    if active.seen < active.job.max_tokens as usize {
        return None;
    }
    let step = active.text.finish();
    say(&active.job, step.piece);
    Some(if step.stopped { Finish::Stop } else { Finish::Length })
}

fn say(job: &Job, piece: String) {
    if !piece.is_empty() {
        send(&job.events, Event::Text(piece));
    }
}

/// The channel has room for every event of an answer; when it is closed, the client has left, which the next turn sees.
fn send(events: &mpsc::Sender<Event>, event: Event) {
    if let Err(mpsc::error::TrySendError::Full(_)) = events.try_send(event) {
        tracing::error!("an answer's events overflow their channel");
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".into())
}

#[cfg(test)]
mod tests;
