//! The engine's thread.

use super::{Completion, Event, Executor, Failure, Handle, Job, Limits, TextStream, Timings, queue::Queue};
use crate::{
    health::Health,
    metrics::Metrics,
    receipts::journal::{Answer, Finish},
    stop::StopMatcher,
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

/// Starts the thread that owns `executor`. Finished answers go to `completions`; the thread ends when the last handle is
/// dropped and nothing is left to compute, or when the executor panics.
pub fn start<E: Executor>(
    executor: E,
    (spec, weights): (SpecId, WeightsId),
    limits: Limits,
    completions: mpsc::Sender<Completion>,
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
    completions: mpsc::Sender<Completion>,
    metrics: Arc<Metrics>,
    active: Vec<Active<E>>,
}

struct Active<E: Executor> {
    job: Job,
    session: E::Session,
    text: E::Text,
    stop: StopMatcher,
    /// Everything sent so far.
    sent: String,
    admitted: Instant,
    /// Whether the prompt is computed.
    prefilled: bool,
    first_token: Option<Instant>,
    /// Output tokens that were turned into text.
    seen: usize,
}

/// What a token did to an answer.
enum Progress {
    Goes,
    Ends(Finish, String),
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
            if self.queue.is_aborted() {
                return self.cut_short();
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

    /// Ends every answer with what it has.
    fn cut_short(&mut self) {
        for active in std::mem::take(&mut self.active) {
            if active.seen > 0 {
                self.complete(active, Finish::Cancelled, String::new());
            } else {
                send(&active.job.events, Event::Failed(Failure::Stopped));
            }
        }
        for job in self.queue.close() {
            send(&job.events, Event::Failed(Failure::Stopped));
        }
        self.queue.set_running(0);
    }

    fn admit(&mut self, job: Job) {
        match self.executor.open(&job.prompt, job.sampling, job.max_tokens) {
            Ok(session) => self.active.push(Active {
                session,
                text: self.executor.text(),
                stop: StopMatcher::new(job.stop.clone()),
                sent: String::new(),
                admitted: Instant::now(),
                prefilled: false,
                first_token: None,
                seen: 0,
                job,
            }),
            Err(error) => send(&job.events, Event::Failed(Failure::Execution(error.to_string()))),
        }
    }

    fn drop_cancelled(&mut self) {
        let gone = |active: &Active<E>| active.job.cancel.is_cancelled() || active.job.events.is_closed();
        while let Some(at) = self.active.iter().position(gone) {
            let active = self.active.remove(at);
            if active.seen > 0 {
                self.complete(active, Finish::Cancelled, String::new());
            } else {
                self.metrics.answers.with_label_values(&["cancelled"]).inc();
            }
        }
    }

    /// One piece of the prompt that came first.
    fn prefill_one(&mut self) {
        let Some(at) = self.active.iter().position(|active| !active.prefilled) else { return };
        let alone = self.active.len() == 1;
        let chunk = if alone { self.limits.alone_chunk } else { self.limits.shared_chunk };
        let Some(active) = self.active.get_mut(at) else { return };
        match self.executor.prefill(&mut active.session, chunk) {
            Ok(done) => active.prefilled = done,
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
            if let Progress::Ends(finish, tail) = read_new_tokens(&self.executor, active) {
                over.push((index, Ok((finish, tail))));
            }
        }
        // From the last to the first: what is removed does not move those before it.
        for (index, end) in over.into_iter().rev() {
            let active = self.active.remove(index);
            match end {
                Ok((finish, tail)) => self.complete(active, finish, tail),
                Err(error) => self.fail(&active, &error),
            }
        }
    }

    fn fail(&self, active: &Active<E>, error: &E::Error) {
        tracing::error!(%error, "an answer could not be computed");
        self.metrics.answers.with_label_values(&["failed"]).inc();
        send(&active.job.events, Event::Failed(Failure::Execution(error.to_string())));
    }

    fn complete(&self, active: Active<E>, finish: Finish, tail: String) {
        let now = Instant::now();
        let Active { job, session, mut sent, admitted, first_token, .. } = active;
        let output = self.executor.output(&session).to_vec();
        let commitments = self.executor.commitments(&session).to_vec();
        let first = first_token.unwrap_or(now);
        let timings = Timings { queued: admitted - job.arrived, prefill: first - admitted, decode: now - first };
        sent.push_str(&tail);
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
            text: sent,
            finish,
            charge: None,
        };
        let completion = Completion { answer, tail, timings, reservation: job.reservation, events: job.events };
        // Waits when the disk is slower than the model: an answer without a receipt must not pile up.
        if let Err(lost) = self.completions.blocking_send(completion) {
            send(&lost.0.events, Event::Failed(Failure::Stopped));
        }
    }
}

fn read_new_tokens<E: Executor>(executor: &E, active: &mut Active<E>) -> Progress {
    let output = executor.output(&active.session);
    let Some(new) = output.get(active.seen..).filter(|new| !new.is_empty()) else { return Progress::Goes };
    let mut text = String::new();
    for token in new {
        active.seen += 1;
        if executor.is_end(*token) {
            text.push_str(&finish_text(active));
            return Progress::Ends(Finish::Stop, text);
        }
        let piece = active.text.push(*token);
        let matched = active.stop.push(&piece);
        text.push_str(&matched.text);
        if matched.stopped {
            return Progress::Ends(Finish::Stop, text);
        }
    }
    if active.seen >= active.job.max_tokens as usize {
        text.push_str(&finish_text(active));
        return Progress::Ends(Finish::Length, text);
    }
    if !text.is_empty() {
        active.sent.push_str(&text);
        send(&active.job.events, Event::Text(text));
    }
    Progress::Goes
}

/// What the decoder and the stop matcher still hold.
fn finish_text<E: Executor>(active: &mut Active<E>) -> String {
    let rest = active.text.finish();
    let matched = active.stop.push(&rest);
    if matched.stopped { matched.text } else { matched.text + &active.stop.finish() }
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
