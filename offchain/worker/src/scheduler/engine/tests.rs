use super::*;
use crate::{
    health::State,
    receipts::{journal::Journal, writer::Writer},
    scheduler::{Engines, Refused, TextStream},
};
use blyan_chain::Key;
use blyan_primitives::{ids::Commitment, receipt::Sampling};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const END: u32 = 999;

/// Counts up from the prompt's last token, one letter a token; the prompt's first token says what goes wrong.
struct Counter {
    log: Arc<Mutex<Vec<String>>>,
    steps: Arc<AtomicUsize>,
}

const PANICS: u32 = 500;
const FAILS: u32 = 501;
const ENDS_AT_THREE: u32 = 502;
const FAILS_LATER: u32 = 503;

struct Session {
    prompt: Vec<u32>,
    done: usize,
    output: Vec<u32>,
    commitments: Vec<Commitment>,
}

#[derive(Debug, thiserror::Error)]
#[error("bad block")]
struct BadBlock;

struct Letters;

impl TextStream for Letters {
    fn push(&mut self, token: u32) -> String {
        char::from_u32('a' as u32 + token % 26).unwrap().to_string()
    }

    fn finish(&mut self) -> String {
        String::new()
    }
}

impl Counter {
    fn next(session: &mut Session) {
        let last = session.output.last().or(session.prompt.last()).copied().unwrap();
        let ends = session.prompt[0] == ENDS_AT_THREE && session.output.len() == 2;
        session.output.push(if ends { END } else { last + 1 });
        session.commitments.push(Commitment([1; 32]));
    }
}

impl Executor for Counter {
    type Session = Session;
    type Error = BadBlock;
    type Text = Letters;

    fn open(&mut self, prompt: &[u32], _: Sampling, _: u32) -> Result<Session, BadBlock> {
        Ok(Session { prompt: prompt.to_vec(), done: 0, output: vec![], commitments: vec![] })
    }

    fn prefill(&mut self, session: &mut Session, tokens: usize) -> Result<bool, BadBlock> {
        self.log.lock().unwrap().push(format!("prefill {tokens}"));
        if session.prompt[0] == FAILS {
            return Err(BadBlock);
        }
        session.done += tokens;
        Ok(session.done + 1 >= session.prompt.len())
    }

    fn decode(&mut self, sessions: &mut [&mut Session]) -> Vec<Result<(), BadBlock>> {
        self.log.lock().unwrap().push(format!("decode {}", sessions.len()));
        self.steps.fetch_add(1, Ordering::SeqCst);
        thread::sleep(std::time::Duration::from_millis(2));
        let next = |session: &mut Session| {
            assert!(session.prompt[0] != PANICS, "tensor out of range");
            if session.prompt[0] == FAILS_LATER && session.output.len() == 2 {
                return Err(BadBlock);
            }
            Self::next(session);
            Ok(())
        };
        sessions.iter_mut().map(|session| next(session)).collect()
    }

    fn output<'a>(&self, session: &'a Session) -> &'a [u32] {
        &session.output
    }

    fn commitments<'a>(&self, session: &'a Session) -> &'a [Commitment] {
        &session.commitments
    }

    fn is_end(&self, token: u32) -> bool {
        token == END
    }

    fn text(&self) -> Letters {
        Letters
    }
}

struct Setup {
    handle: Handle,
    completions: mpsc::Receiver<Finished>,
    health: Health,
    log: Arc<Mutex<Vec<String>>>,
    steps: Arc<AtomicUsize>,
}

async fn answer(completions: &mut mpsc::Receiver<Finished>) -> Completion {
    match completions.recv().await {
        Some(Finished::Answer(completion)) => *completion,
        other => panic!("{other:?}"),
    }
}

fn setup(max_batch: usize, max_queue: usize) -> Setup {
    let (sender, completions) = mpsc::channel(16);
    setup_with(max_batch, max_queue, sender, completions)
}

fn setup_with(
    max_batch: usize,
    max_queue: usize,
    sender: mpsc::Sender<Finished>,
    completions: mpsc::Receiver<Finished>,
) -> Setup {
    let (log, steps) = (Arc::default(), Arc::default());
    let executor = Counter { log: Arc::clone(&log), steps: Arc::clone(&steps) };
    let health = Health::default();
    health.ready();
    let ids = (SpecId([1; 32]), WeightsId([2; 32]));
    let metrics = Arc::new(Metrics::new().unwrap());
    let limits = Limits::new(max_batch, max_queue);
    let handle = start(executor, ids, limits, sender, health.clone(), metrics).unwrap();
    Setup { handle, completions, health, log, steps }
}

fn job(prompt: Vec<u32>, max_tokens: u32, stop: &[&str]) -> (Job, mpsc::Receiver<Event>, CancellationToken) {
    let (events, receiver) = Job::channel(max_tokens);
    let cancel = CancellationToken::new();
    let job = Job {
        prompt,
        sampling: Sampling::GREEDY,
        max_tokens,
        stop: stop.iter().map(|s| s.to_string()).collect(),
        reservation: None,
        cancel: cancel.clone(),
        events,
        arrived: Instant::now(),
    };
    (job, receiver, cancel)
}

#[tokio::test]
async fn an_answer_ends_at_its_limit_and_its_last_piece_waits_for_the_receipt() {
    let mut setup = setup(2, 2);
    let (job, mut events, _cancel) = job(vec![0], 4, &[]);
    setup.handle.submit(job).unwrap();
    let completion = answer(&mut setup.completions).await;
    assert_eq!(completion.answer.output, [1, 2, 3, 4]);
    assert_eq!((completion.answer.text.as_str(), completion.tail.as_str()), ("bcde", "e"));
    assert_eq!(completion.answer.finish, Finish::Length);
    let mut text = String::new();
    while let Ok(Event::Text(piece)) = events.try_recv() {
        text.push_str(&piece);
    }
    assert_eq!(text, "bcd");
}

#[tokio::test]
async fn an_end_token_and_a_stop_sequence_end_an_answer_and_its_last_piece_waits_for_the_receipt() {
    let mut setup = setup(2, 2);
    for (prompt, stop, tokens) in [(vec![ENDS_AT_THREE, 0], None, 3), (vec![0], Some("de"), 4)] {
        let (job, mut events, _cancel) = job(prompt, 10, stop.as_slice());
        setup.handle.submit(job).unwrap();
        let completion = answer(&mut setup.completions).await;
        assert_eq!((completion.answer.output.len(), completion.answer.text.as_str()), (tokens, "bc"));
        assert_eq!((completion.answer.finish, completion.tail.as_str()), (Finish::Stop, "c"));
        assert!(matches!(events.try_recv(), Ok(Event::Text(piece)) if piece == "b"));
        assert!(events.try_recv().is_err(), "more than the first piece has left before there is a receipt");
    }
}

#[tokio::test]
async fn however_an_answer_ends_its_last_piece_leaves_after_its_receipt_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::from_uri("//Alice").unwrap();
    let journal = Arc::new(Journal::open(folder.path(), [1; 32], key.public(), 0).unwrap());
    let writer = Writer {
        journal: journal.clone(),
        key,
        appended: Arc::new(Notify::new()),
        health: Health::default(),
        metrics: Arc::new(Metrics::new().unwrap()),
    };
    let (sender, _thread) = writer.start().unwrap();
    let setup = setup_with(1, 4, sender, mpsc::channel(1).1);
    for (stored, (prompt, stop)) in (0..).zip([(vec![ENDS_AT_THREE, 0], None), (vec![0], Some("de")), (vec![0], None)])
    {
        let (job, mut events, _cancel) = job(prompt, 6, stop.as_slice());
        setup.handle.submit(job).unwrap();
        let done = loop {
            match events.recv().await.unwrap() {
                // "c" is the last piece of the first two answers.
                Event::Text(piece) => assert!(stored == 2 || piece == "b", "{piece} left too early"),
                Event::Done(done) => break done,
                Event::Failed(failure) => panic!("{failure}"),
            }
        };
        assert!(!done.tail.is_empty());
        let (receipt, _) = journal.get(done.receipt).unwrap().expect("the receipt is on disk");
        assert!(receipt.text.ends_with(&done.tail));
    }
}

#[tokio::test]
async fn prompts_are_computed_in_pieces_between_the_tokens_of_running_answers() {
    let mut setup = setup(2, 2);
    let (first, _events, _cancel) = job(vec![0], 30, &[]);
    setup.handle.submit(first).unwrap();
    while setup.steps.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let (long, _long_events, _long_cancel) = job(vec![7; 200], 2, &[]);
    setup.handle.submit(long).unwrap();
    answer(&mut setup.completions).await;
    answer(&mut setup.completions).await;
    let log = setup.log.lock().unwrap().join(", ");
    let pieces = "prefill 64, decode 1, prefill 64, decode 1, prefill 64, decode 1, prefill 64, decode 2";
    assert!(log.contains(pieces), "{log}");
}

#[tokio::test]
async fn a_full_queue_refuses_and_who_left_makes_room() {
    let setup = setup(1, 1);
    let (running, _running_events, _running_cancel) = job(vec![0], 10_000, &[]);
    setup.handle.submit(running).unwrap();
    while setup.steps.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let (waits, _waits_events, leave) = job(vec![0], 5, &[]);
    setup.handle.submit(waits).unwrap();
    let (more, _more_events, _more_cancel) = job(vec![0], 5, &[]);
    assert_eq!(setup.handle.submit(more), Err(Refused::Full { waiting: 1 }));
    leave.cancel();
    let (again, _again_events, _again_cancel) = job(vec![0], 5, &[]);
    setup.handle.submit(again).unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place_and_gets_a_receipt_for_what_was_computed() {
    let mut setup = setup(1, 4);
    let (endless, mut events, cancel) = job(vec![0], 100_000, &[]);
    setup.handle.submit(endless).unwrap();
    assert!(matches!(events.recv().await, Some(Event::Text(_))));
    cancel.cancel();
    let completion = answer(&mut setup.completions).await;
    assert_eq!(completion.answer.finish, Finish::Cancelled);
    assert!(!completion.answer.output.is_empty() && completion.answer.output.len() < 1000);
    assert_eq!(completion.answer.commitments.len(), completion.answer.output.len());
    let (next, _events, _cancel) = job(vec![0], 2, &[]);
    setup.handle.submit(next).unwrap();
    assert_eq!(answer(&mut setup.completions).await.answer.finish, Finish::Length);
}

#[tokio::test]
async fn an_answer_that_cannot_be_computed_fails_alone() {
    let mut setup = setup(4, 4);
    let (good, _good_events, _good_cancel) = job(vec![0], 5, &[]);
    setup.handle.submit(good).unwrap();
    for how in [FAILS, FAILS_LATER] {
        let (bad, mut events, _cancel) = job(vec![how, 0], 5, &[]);
        setup.handle.submit(bad).unwrap();
        loop {
            match events.recv().await {
                Some(Event::Text(_)) => continue,
                Some(Event::Failed(Failure::Execution(reason))) => break assert_eq!(reason, "bad block"),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(answer(&mut setup.completions).await.answer.output.len(), 5);
    assert!(setup.health.is_ready());
}

#[tokio::test]
async fn a_panic_fails_every_answer_by_name_and_the_worker_is_unhealthy() {
    let setup = setup(1, 4);
    let (bad, mut events, _cancel) = job(vec![PANICS], 5, &[]);
    let (waits, mut waiting, _waits_cancel) = job(vec![0], 5, &[]);
    setup.handle.submit(bad).unwrap();
    setup.handle.submit(waits).unwrap();
    for events in [&mut events, &mut waiting] {
        loop {
            match events.recv().await {
                Some(Event::Text(_)) => continue,
                Some(Event::Failed(Failure::Panicked(reason))) => break assert_eq!(reason, "tensor out of range"),
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(matches!(setup.health.get(), State::Unhealthy(reason) if reason.contains("tensor out of range")));
    let (more, _events, _cancel) = job(vec![0], 5, &[]);
    assert_eq!(setup.handle.submit(more), Err(Refused::Closed));
}

#[tokio::test]
async fn dropping_the_last_handle_lets_running_answers_finish() {
    let mut setup = setup(1, 4);
    let (job, _events, _cancel) = job(vec![0], 20, &[]);
    setup.handle.submit(job).unwrap();
    drop(setup.handle);
    assert_eq!(answer(&mut setup.completions).await.answer.output.len(), 20);
    assert!(setup.completions.recv().await.is_none());
}

#[tokio::test]
async fn an_abort_ends_running_answers_with_what_they_have_and_loses_what_waits() {
    let mut setup = setup(1, 4);
    let engines = Engines::default();
    engines.watch(&setup.handle);
    let (running, mut running_events, _cancel) = job(vec![0], 100_000, &[]);
    let (waits, mut waiting, _waits_cancel) = job(vec![0], 5, &[]);
    setup.handle.submit(running).unwrap();
    assert!(matches!(running_events.recv().await, Some(Event::Text(_))));
    setup.handle.submit(waits).unwrap();
    engines.abort();
    assert_eq!(answer(&mut setup.completions).await.answer.finish, Finish::Cancelled);
    assert!(matches!(waiting.recv().await, Some(Event::Failed(Failure::Stopped))));
    assert!(setup.completions.recv().await.is_none() && setup.handle.is_idle());
}

#[tokio::test]
async fn a_former_engine_is_busy_until_its_last_answer_is_over() {
    let (mut former, present) = (setup(1, 4), setup(1, 4));
    let engines = Engines::default();
    engines.watch(&former.handle);
    let (job, _events, _cancel) = job(vec![0], 20, &[]);
    former.handle.submit(job).unwrap();
    // As when another model is served from now on.
    let Setup { handle, completions, .. } = &mut former;
    engines.watch(&present.handle);
    drop(std::mem::replace(handle, present.handle.clone()));
    assert!(!engines.are_idle() && present.handle.is_idle());
    assert_eq!(answer(completions).await.answer.output.len(), 20);
    while !engines.are_idle() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn answers_computed_on_damaged_bytes_are_discarded_without_a_receipt() {
    let mut setup = setup(1, 4);
    let engines = Engines::default();
    engines.watch(&setup.handle);
    let (running, mut events, _cancel) = job(vec![0], 100_000, &[]);
    let (waits, mut waiting, _waits_cancel) = job(vec![0], 5, &[]);
    setup.handle.submit(running).unwrap();
    assert!(matches!(events.recv().await, Some(Event::Text(_))));
    setup.handle.submit(waits).unwrap();
    engines.discard();
    for events in [&mut events, &mut waiting] {
        loop {
            match events.recv().await {
                Some(Event::Text(_)) => continue,
                other => break assert!(matches!(other, Some(Event::Failed(Failure::Damaged))), "{other:?}"),
            }
        }
    }
    assert!(setup.completions.recv().await.is_none(), "nothing is signed");
}
