//! Threads that work through a phase together.
//!
//! A phase is a number of chunks and a function. The thread that starts it, the leader, works with the pool's threads until
//! every chunk is done. Each worker has a run of consecutive chunks to begin with, so that it reads memory in one stream, and
//! takes from the others' runs when its own is done: a thread that the system has put aside holds up at most the one chunk in
//! its hands, and a second thread never makes a phase slower than the leader alone. Between phases threads spin for a short
//! while, then sleep.
//!
//! [`Pool::each`] gives every chunk its own part of the output. That the parts do not overlap is shown here once, by
//! [`Parts`], so that callers need no unsafe code. No result depends on the number of threads: each element of an output
//! is computed by one chunk, in an order that the chunk alone decides.

use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::Range,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
};
use parking_lot::{Condvar, Mutex};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Barrier},
    thread::JoinHandle,
};

/// Bits of a ticket that count the chunks left in a run; the others count phases. 2^44 phases last years.
const CHUNK_BITS: u32 = 20;
/// Most chunks in a phase.
const MAX_CHUNKS: usize = (1 << CHUNK_BITS) - 1;
/// How often a thread without work looks again before it sleeps: about 50 µs.
const SPINS: u32 = 2_000;
/// The number of no phase: threads end.
const STOP: u64 = u64::MAX;

/// A phase's function: worker, chunk.
type Job<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// A value that shares no cache line with others, nor the line that is fetched with its own.
#[repr(align(128))]
struct Apart<T>(T);

/// What leader and workers share.
struct Shared {
    /// The phase, or [`STOP`]: what idle threads look at.
    phase: Apart<AtomicU64>,
    /// For each worker's run of chunks, the phase and how many of the chunks nobody has taken. A chunk is taken by counting
    /// down; whoever does so has seen the phase that goes with `job`.
    tickets: Vec<Apart<AtomicU64>>,
    /// Chunks of the phase, taken or not, that are not done.
    unfinished: Apart<AtomicUsize>,
    /// The phase's function and number of chunks; valid while `unfinished` is not 0.
    job: Apart<JobCell>,
    sleepers: Apart<AtomicU32>,
    gate: Mutex<()>,
    wake: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// The phase's function, its lifetime erased, and number of chunks.
struct JobCell(UnsafeCell<Option<(*const Job<'static>, usize)>>);

// SAFETY: only the leader writes, and only while no chunk is taken or left to take; workers read only after they took a
// chunk, which they can after the leader published the tickets with release order, and before they report it done.
unsafe impl Sync for JobCell {}
// SAFETY: the pointer is to a function that is Sync.
unsafe impl Send for JobCell {}

/// Chunks of worker `worker`'s run.
fn run_of(worker: usize, workers: usize, chunks: usize) -> Range<usize> {
    chunks * worker / workers..chunks * (worker + 1) / workers
}

impl Shared {
    /// Takes chunks, one's own first, until none is left.
    fn work(&self, worker: usize) {
        let workers = self.tickets.len();
        let mut done = 0;
        for run in (worker..workers).chain(0..worker) {
            let ticket = &self.tickets[run].0;
            let mut seen = ticket.load(Ordering::Acquire);
            while seen & MAX_CHUNKS as u64 != 0 {
                match ticket.compare_exchange_weak(seen, seen - 1, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => {
                        let left = (seen & MAX_CHUNKS as u64) as usize;
                        // SAFETY: this thread holds a chunk that it has not reported done, so the leader is inside
                        // `run_some`, which keeps the function alive and the cell unwritten until then.
                        let job = unsafe { (*self.job.0.0.get()).map(|(job, chunks)| (&*job, chunks)) };
                        if let Some((job, chunks)) = job {
                            let chunk = run_of(run, workers, chunks).end - left;
                            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(worker, chunk))) {
                                *self.panic.lock() = Some(panic);
                            }
                        }
                        done += 1;
                        seen = ticket.load(Ordering::Acquire);
                    },
                    Err(now) => seen = now,
                }
            }
        }
        // Until here the leader waits, so that all of these were chunks of one phase.
        self.unfinished.0.fetch_sub(done, Ordering::Release);
    }

    /// A pool thread's life.
    fn serve(&self, worker: usize) {
        let mut seen = 0;
        while seen != STOP {
            self.work(worker);
            seen = self.next_phase(seen);
        }
    }

    /// Waits until the phase is another than `seen`.
    fn next_phase(&self, seen: u64) -> u64 {
        for _ in 0..SPINS {
            let phase = self.phase.0.load(Ordering::Acquire);
            if phase != seen {
                return phase;
            }
            core::hint::spin_loop();
        }
        // The leader publishes a phase and then looks for sleepers; a thread says that it sleeps and then looks at the phase.
        // In the one order of sequentially consistent operations, one sees the other.
        self.sleepers.0.fetch_add(1, Ordering::SeqCst);
        let mut gate = self.gate.lock();
        let mut phase = self.phase.0.load(Ordering::SeqCst);
        while phase == seen {
            self.wake.wait(&mut gate);
            phase = self.phase.0.load(Ordering::SeqCst);
        }
        drop(gate);
        self.sleepers.0.fetch_sub(1, Ordering::SeqCst);
        phase
    }

    fn publish(&self, phase: u64) {
        self.phase.0.store(phase, Ordering::SeqCst);
        if self.sleepers.0.load(Ordering::SeqCst) > 0 {
            // Whoever holds the gate has looked at the phase before it changed, and waits when the gate is free.
            drop(self.gate.lock());
            self.wake.notify_all();
        }
    }
}

/// A leader's threads.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    phase: u64,
}

impl Pool {
    /// A pool of `threads` workers, the leader among them.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            phase: Apart(AtomicU64::new(0)),
            tickets: (0..threads.max(1)).map(|_| Apart(AtomicU64::new(0))).collect(),
            unfinished: Apart(AtomicUsize::new(0)),
            job: Apart(JobCell(UnsafeCell::new(None))),
            sleepers: Apart(AtomicU32::new(0)),
            gate: Mutex::new(()),
            wake: Condvar::new(),
            panic: Mutex::new(None),
        });
        let mut pool = Self { shared, threads: Vec::new(), phase: 0 };
        for worker in 1..threads {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new().name(format!("blyan-exec-{worker}"));
            pool.threads.push(thread.spawn(move || shared.serve(worker))?);
        }
        Ok(pool)
    }

    /// Number of workers, the leader among them; workers are numbered from 0, the leader.
    pub(crate) fn workers(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `job(worker, chunk)` for every chunk below `chunks`, each once, and returns when all have returned.
    ///
    /// A panic in a chunk is raised again here.
    pub(crate) fn run(&mut self, chunks: usize, job: &Job<'_>) {
        if self.threads.is_empty() || chunks <= 1 {
            (0..chunks).for_each(|chunk| job(0, chunk));
            return;
        }
        let mut first = 0;
        while first < chunks {
            let count = (chunks - first).min(MAX_CHUNKS);
            self.run_some(count, &|worker, chunk| job(worker, first + chunk));
            first += count;
        }
    }

    /// Calls `job` once on every worker's own thread.
    pub(crate) fn on_every_worker(&mut self, job: &(dyn Fn() + Sync)) {
        // Nobody can take a second chunk before everybody has taken one.
        let all_here = Barrier::new(self.workers());
        self.run(self.workers(), &|_, _| {
            all_here.wait();
            job();
        });
    }

    fn run_some(&mut self, chunks: usize, job: &Job<'_>) {
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. The function is called only for chunks of this phase, and this call does not
        // return, or unwind, before all of them are done: `Shared::work` catches panics, the leader's too.
        let job: *const Job<'static> = unsafe { core::mem::transmute(job as *const Job<'_>) };
        // SAFETY: no chunk is taken or left to take, see `JobCell`; `&mut self` excludes another leader.
        unsafe { *shared.job.0.0.get() = Some((job, chunks)) };
        shared.unfinished.0.store(chunks, Ordering::Relaxed);
        self.phase += 1;
        let workers = shared.tickets.len();
        for (worker, ticket) in shared.tickets.iter().enumerate() {
            let count = run_of(worker, workers, chunks).len() as u64;
            ticket.0.store(self.phase << CHUNK_BITS | count, Ordering::Release);
        }
        shared.publish(self.phase);
        shared.work(0);
        let mut spins = 0;
        while shared.unfinished.0.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS {
                core::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        let panic = shared.panic.lock().take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Calls `job(chunk, part)` for every part of `parts`, each once, and returns when all have returned.
    pub(crate) fn each<P: Parts + Sync>(&mut self, parts: P, job: impl for<'p> Fn(usize, P::Part<'p>) + Sync) {
        let chunks = parts.count().unwrap_or(0);
        self.run(chunks, &|worker, chunk| {
            debug_assert!(chunk < chunks);
            // SAFETY: `run` uses each chunk below the count once and each worker for one chunk at a time, and the
            // function, which is called with any lifetime, cannot keep the part.
            let part = unsafe { parts.part(worker, chunk) };
            job(chunk, part);
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.publish(STOP);
        for thread in self.threads.drain(..) {
            // A pool thread does not panic: `work` catches what chunks raise.
            let _ = thread.join();
        }
    }
}

/// Output that can be cut into parts which do not overlap.
///
/// # Safety
/// Parts of different chunks, given to different workers or one after the other, must not overlap, for chunks below
/// [`Parts::count`].
pub(crate) unsafe trait Parts {
    /// One chunk's part.
    type Part<'p>;

    /// Number of parts; `None` where there is one for any chunk.
    fn count(&self) -> Option<usize>;

    /// The part of `chunk`, for `worker`.
    ///
    /// # Safety
    /// `chunk` must be below the count. No two parts of one chunk, and no two parts of one worker, may live at a time, and no
    /// part may outlive `self`.
    unsafe fn part<'p>(&self, worker: usize, chunk: usize) -> Self::Part<'p>;
}

/// Consecutive runs of `width` elements of a slice; the last may be shorter.
pub(crate) struct Chunks<'a, T> {
    start: *mut T,
    len: usize,
    width: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: hands out exclusive references to elements, as an exclusive reference to the slice could.
unsafe impl<T: Send> Sync for Chunks<'_, T> {}

impl<'a, T> Chunks<'a, T> {
    /// Cuts `slice`; a width of 0 counts as 1.
    pub(crate) fn new(slice: &'a mut [T], width: usize) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), width: width.max(1), slice: PhantomData }
    }
}

// SAFETY: chunk `i` is elements `i * width ..` up to the next chunk's.
unsafe impl<T: Send + 'static> Parts for Chunks<'_, T> {
    type Part<'p> = &'p mut [T];

    fn count(&self) -> Option<usize> {
        Some(self.len.div_ceil(self.width))
    }

    unsafe fn part<'p>(&self, _: usize, chunk: usize) -> &'p mut [T] {
        let from = (chunk * self.width).min(self.len);
        let to = (from + self.width).min(self.len);
        // SAFETY: inside the slice that this borrows for as long as it lives, and no other chunk's.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(from), to - from) }
    }
}

/// Ranges of columns of bands of rows of a row-major matrix.
///
/// Band `b` is rows `bounds[b]..bounds[b + 1]`; each band is cut into ranges of `width` columns. Chunks are numbered by
/// bands, within a band by columns.
pub(crate) struct Bands<'a> {
    start: *mut f32,
    columns: usize,
    width: usize,
    bounds: &'a [usize],
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: hands out exclusive references to elements, as an exclusive reference to the matrix could.
unsafe impl Sync for Bands<'_> {}

impl<'a> Bands<'a> {
    /// Cuts `matrix`, which has rows of `columns` elements. `bounds` ascend, at most to the matrix' number of rows. Neither
    /// `columns` nor `width` is 0.
    pub(crate) fn new(matrix: &'a mut [f32], columns: usize, width: usize, bounds: &'a [usize]) -> Self {
        assert!(columns > 0 && width > 0 && bounds.is_sorted(), "bands of a matrix");
        assert!(bounds.last().is_none_or(|rows| rows * columns <= matrix.len()), "bands inside the matrix");
        Self { start: matrix.as_mut_ptr(), columns, width, bounds, matrix: PhantomData }
    }

    fn ranges(&self) -> usize {
        self.columns.div_ceil(self.width)
    }
}

/// A range of columns of a band of rows.
pub(crate) struct Band<'p> {
    /// Which band this belongs to.
    pub(crate) index: usize,
    /// The columns.
    pub(crate) columns: Range<usize>,
    start: *mut f32,
    rows: usize,
    stride: usize,
    matrix: PhantomData<&'p mut [f32]>,
}

impl Band<'_> {
    /// The columns of row `row` of the band, which has to have it.
    pub(crate) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: inside the matrix, which this borrows; `Parts` gives these elements to this band alone, and `&mut self`
        // allows one row of it at a time.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.columns.len()) }
    }
}

// SAFETY: bands do not overlap, because bounds ascend, and column ranges of one band do not overlap.
unsafe impl Parts for Bands<'_> {
    type Part<'p> = Band<'p>;

    fn count(&self) -> Option<usize> {
        Some(self.bounds.len().saturating_sub(1) * self.ranges())
    }

    unsafe fn part<'p>(&self, _: usize, chunk: usize) -> Band<'p> {
        let (index, range) = (chunk / self.ranges(), chunk % self.ranges());
        let (first, end) = (self.bounds[index], self.bounds[index + 1]);
        let columns = range * self.width..self.columns.min((range + 1) * self.width);
        // SAFETY: `new` checked that the band's rows are inside the matrix; an empty band may start at its end.
        let start = unsafe { self.start.add(first * self.columns) };
        let start = if first == end { start } else { start.wrapping_add(columns.start) };
        Band { index, columns, start, rows: end - first, stride: self.columns, matrix: PhantomData }
    }
}

// SAFETY: parts of each member do not overlap, and members borrow different memory.
unsafe impl<P: Parts, const N: usize> Parts for [P; N] {
    /// Which member the part is of, and the part.
    type Part<'p> = (usize, P::Part<'p>);

    fn count(&self) -> Option<usize> {
        Some(self.iter().filter_map(P::count).sum())
    }

    unsafe fn part<'p>(&self, worker: usize, chunk: usize) -> Self::Part<'p> {
        let mut chunk = chunk;
        for (i, member) in self.iter().enumerate() {
            let count = member.count().unwrap_or(0);
            if chunk < count {
                // SAFETY: passed on; the chunk is below this member's count.
                return (i, unsafe { member.part(worker, chunk) });
            }
            chunk -= count;
        }
        unreachable!("the chunk is below the sum of the members' counts")
    }
}

/// One element for each worker: scratch memory.
pub(crate) struct PerWorker<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: hands out exclusive references to elements, as an exclusive reference to the slice could.
unsafe impl<T: Send> Sync for PerWorker<'_, T> {}

impl<'a, T> PerWorker<'a, T> {
    /// `slice[worker]` for each worker.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }
}

// SAFETY: a worker has one part at a time, by the contract of `part`, and no other worker has the same.
unsafe impl<T: Send + 'static> Parts for PerWorker<'_, T> {
    type Part<'p> = &'p mut T;

    fn count(&self) -> Option<usize> {
        None
    }

    unsafe fn part<'p>(&self, worker: usize, _: usize) -> &'p mut T {
        assert!(worker < self.len, "scratch memory for every worker");
        // SAFETY: inside the slice that this borrows for as long as it lives, and no other worker's.
        unsafe { &mut *self.start.add(worker) }
    }
}

macro_rules! tuple_parts {
    ($($name:ident $index:tt),*) => {
        // SAFETY: parts of each member do not overlap, and members borrow different memory.
        unsafe impl<$($name: Parts),*> Parts for ($($name,)*) {
            type Part<'p> = ($($name::Part<'p>,)*);

            fn count(&self) -> Option<usize> {
                [$(self.$index.count()),*].into_iter().flatten().min()
            }

            unsafe fn part<'p>(&self, worker: usize, chunk: usize) -> Self::Part<'p> {
                // SAFETY: passed on; the chunk is below the smallest count.
                unsafe { ($(self.$index.part(worker, chunk),)*) }
            }
        }
    };
}

tuple_parts!(A 0, B 1);
tuple_parts!(A 0, B 1, C 2);
tuple_parts!(A 0, B 1, C 2, D 3);
tuple_parts!(A 0, B 1, C 2, D 3, E 4);
tuple_parts!(A 0, B 1, C 2, D 3, E 4, F 5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_done_once() {
        for threads in 1..=4 {
            let mut pool = Pool::new(threads).unwrap();
            for chunks in [0, 1, 2, 3, 17, 1000] {
                for _ in 0..50 {
                    let mut counts = vec![0u32; chunks * 3];
                    pool.each(Chunks::new(&mut counts, 3), |_, part| part.iter_mut().for_each(|n| *n += 1));
                    assert!(counts.iter().all(|n| *n == 1));
                }
            }
        }
    }

    #[test]
    fn more_chunks_than_a_ticket_holds_are_done_in_turns() {
        let mut pool = Pool::new(2).unwrap();
        let mut counts = vec![0u8; MAX_CHUNKS + 5];
        pool.each(Chunks::new(&mut counts, 1), |_, part| part[0] += 1);
        assert!(counts.iter().all(|n| *n == 1));
    }

    #[test]
    fn bands_cover_their_rows() {
        let mut pool = Pool::new(3).unwrap();
        let mut matrix = vec![0.0; 9 * 10];
        let mut scratch = vec![0usize; 3];
        let bands = Bands::new(&mut matrix, 10, 3, &[0, 2, 2, 7]);
        pool.each((bands, PerWorker::new(&mut scratch)), |chunk, (mut band, count)| {
            *count += 1;
            assert_eq!(chunk, band.index * 4 + band.columns.start / 3);
            for row in 0..[2, 0, 5][band.index] {
                let (index, columns) = (band.index, band.columns.clone());
                for (x, column) in band.row(row).iter_mut().zip(columns) {
                    *x += (index * 1000 + row * 100 + column) as f32;
                }
            }
        });
        for (i, x) in matrix.iter().enumerate() {
            let (row, column) = (i / 10, i % 10);
            let expected = if row < 2 { row * 100 + column } else { 2000 + (row - 2) * 100 + column };
            assert_eq!(*x, if row < 7 { expected as f32 } else { 0.0 });
        }
        assert_eq!(scratch.iter().sum::<usize>(), 12);
    }

    #[test]
    fn chunks_of_several_matrices_are_done_once() {
        let mut pool = Pool::new(2).unwrap();
        let (mut a, mut b) = (vec![0.0; 20], vec![0.0; 6]);
        let bands = [Bands::new(&mut a, 10, 4, &[0, 2]), Bands::new(&mut b, 3, 4, &[0, 2])];
        pool.each(bands, |_, (which, mut band)| {
            (0..2).for_each(|row| band.row(row).iter_mut().for_each(|x| *x += 1.0 + which as f32));
        });
        assert!(a.iter().all(|x| *x == 1.0) && b.iter().all(|x| *x == 2.0));
    }

    #[test]
    fn a_job_can_be_run_on_every_thread() {
        for threads in 1..=4 {
            let mut pool = Pool::new(threads).unwrap();
            for _ in 0..20 {
                let seen = Mutex::new(std::collections::HashSet::new());
                pool.on_every_worker(&|| assert!(seen.lock().insert(std::thread::current().id())));
                assert_eq!(seen.lock().len(), threads);
            }
        }
    }

    #[test]
    fn threads_wake_after_they_slept() {
        let mut pool = Pool::new(2).unwrap();
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(2));
            let mut counts = vec![0u8; 64];
            pool.each(Chunks::new(&mut counts, 1), |_, part| part[0] += 1);
            assert!(counts.iter().all(|n| *n == 1));
        }
    }

    #[test]
    fn a_panic_reaches_the_leader_and_the_pool_goes_on() {
        let mut pool = Pool::new(2).unwrap();
        let raised = catch_unwind(AssertUnwindSafe(|| {
            pool.run(100, &|_, chunk| assert!(chunk != 57, "chunk 57"));
        }));
        assert!(raised.is_err());
        let mut counts = [0u8; 64];
        pool.each(Chunks::new(&mut counts, 1), |_, part| part[0] += 1);
        assert!(counts.iter().all(|n| *n == 1));
    }
}
