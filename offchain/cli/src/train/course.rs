//! Training itself: on a thread of its own, until it is enough, until it has to be, or until it is asked to stop.

use crate::progress::Steps;
use anyhow::{Context, Result};
use blyan_learning::train::{Device, Manifest, Progress, Trained, Trainer};
use blyan_model::exec::Model;
use blyan_tensorblock::VerifiedBlock;
use parking_lot::Mutex;
use serde_json::json;
use std::{
    cell::Cell,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Steps between two checkpoints.
const CHECKPOINT_EVERY: u32 = 10;
/// Losses that a mean is taken of.
const WINDOW: usize = 10;

/// How much is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// So many steps, those of former sessions among them.
    Steps(u32),
    /// So long, in this session.
    Time(Duration),
}

impl Budget {
    /// Whether half of it is done: what less makes is hardly worth a bond.
    fn is_half(self, taken: u32, passed: Duration) -> bool {
        match self {
            Self::Steps(steps) => taken >= steps.div_ceil(2),
            Self::Time(time) => passed >= time / 2,
        }
    }
}

/// What can end training before that.
#[derive(Debug, Default)]
pub(super) struct Stop {
    asked: AtomicBool,
    deadline: Mutex<Option<Instant>>,
}

impl Stop {
    /// Ends it now.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Ends it then, if half of it is done by then or as soon as it is, unless there is another deadline meanwhile.
    pub(super) fn by(&self, deadline: Option<Instant>) {
        *self.deadline.lock() = deadline;
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    fn is_late(&self) -> bool {
        self.deadline.lock().is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Asks for the end when nobody waits for it any more.
pub(super) struct StopOnDrop(pub(super) Arc<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// A run, and where it is kept.
pub(super) struct Course {
    pub(super) model: Arc<Model>,
    pub(super) master: VerifiedBlock,
    pub(super) manifest: Manifest,
    pub(super) documents: Vec<Vec<u32>>,
    pub(super) device: Device,
    pub(super) folder: PathBuf,
    pub(super) log: PathBuf,
    pub(super) budget: Budget,
}

/// What a session came to.
#[derive(Clone, Debug)]
pub(super) struct Learned {
    pub(super) trained: Trained,
    /// Steps of this session.
    pub(super) steps: u32,
    /// Mean loss of the first steps and of the last, in nats a token.
    pub(super) losses: Option<[f64; 2]>,
    pub(super) seconds: f64,
}

impl Course {
    /// Trains until it is enough, or `stop` is due. What was taken so far is kept in any case.
    pub(super) fn run(self, stop: &Stop, steps: &Steps) -> Result<Learned> {
        let Self { model, master, manifest, documents, device, folder, log, budget } = self;
        let mut trainer = Trainer::new(&model, Some(&master), manifest, &documents, &device)?;
        // Its weights are the trainer's own by now.
        drop(model);
        let first = trainer.checkpoint_in(&folder, CHECKPOINT_EVERY)?;
        let mut log = Log::open(&log)?;
        let (began, taken, failed) = (Instant::now(), Cell::new(first), Cell::new(None));
        let is_enough = || match budget {
            Budget::Steps(steps) => taken.get() >= steps,
            Budget::Time(time) => began.elapsed() >= time,
        };
        let mut see = |progress: Progress| {
            taken.set(progress.step);
            let seconds = began.elapsed().as_secs_f64();
            if let Err(error) = log.add(&progress, seconds) {
                failed.set(Some(error));
            }
            match budget {
                Budget::Steps(all) => steps.set_of(progress.step.into(), all.into()),
                Budget::Time(time) => steps.set_of(began.elapsed().as_millis() as u64, time.as_millis() as u64),
            }
            steps.tell(&format!("step {}, loss {:.3}", progress.step, progress.loss));
        };
        let is_failed = || {
            let error = failed.take();
            let is_failed = error.is_some();
            failed.set(error);
            is_failed
        };
        let is_late = || stop.is_late() && budget.is_half(taken.get(), began.elapsed());
        trainer.run(&mut see, &|| stop.is_asked() || is_late() || is_enough() || is_failed())?;
        if let Some(error) = failed.take() {
            return Err(error);
        }
        let trained = trainer.trained()?;
        let steps = trainer.steps().saturating_sub(first);
        Ok(Learned { trained, steps, losses: ends(trainer.losses()), seconds: began.elapsed().as_secs_f64() })
    }
}

/// Mean of the first losses and of the last.
fn ends(losses: &[f32]) -> Option<[f64; 2]> {
    let count = losses.len().min(WINDOW);
    let mean = |losses: &[f32]| losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len() as f64;
    let (first, last) = (losses.get(..count)?, losses.get(losses.len() - count..)?);
    (count > 0).then(|| [mean(first), mean(last)])
}

/// The loss curve, a line of JSON for each step.
struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    fn open(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).with_context(cannot)?;
        }
        let file = File::options().create(true).append(true).open(path).with_context(cannot)?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn add(&mut self, progress: &Progress, seconds: f64) -> Result<()> {
        let line = json!({
            "step": progress.step, "loss": progress.loss, "routed": progress.routed,
            "tokens_per_second": progress.tokens_per_second, "seconds": seconds,
        });
        writeln!(self.file, "{line}").with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis::{import_tiny, open_store};
    use blyan_learning::train::{DataSet, Settings};
    use blyan_model::exec::ModelBlocks;
    use blyan_primitives::ids::SlotId;

    /// A course of the tiny model on a text of few letters.
    fn course(base: &Path, budget: Budget) -> Course {
        let store = open_store(&base.join("store")).unwrap();
        let genesis = import_tiny(&store).unwrap();
        let get = |hash| store.get(hash).unwrap();
        let (spec, heads) = (genesis.spec.clone(), &genesis.heads);
        let experts = heads.iter().map(|layer| layer.iter().map(get).collect()).collect();
        let (trunk, router) = (get(&spec.trunk), get(&spec.router));
        let model = Model::load(ModelBlocks { spec: spec.clone(), trunk, router, experts }).unwrap();
        let head = heads[1][0];
        let master = genesis.blocks[&head].master.unwrap();
        let documents: Vec<Vec<u32>> = (0..4).map(|first| (0..17).map(|at| 97 + (first + at) % 3).collect()).collect();
        let manifest = Manifest {
            slot: SlotId { lineage: spec.id(), layer: 1, index: 0 },
            base: head,
            master: Some(master),
            weights: model.weights_id(),
            data: vec![DataSet { root: [1; 32], items: (0..4).collect() }],
            seed: 1,
            settings: Settings { window: 16, ..Settings::new(u32::MAX, None) },
        };
        Course {
            model: Arc::new(model),
            master: get(&master),
            manifest,
            documents,
            device: Device::Cpu,
            folder: base.join("run"),
            log: base.join("logs/loss.jsonl"),
            budget,
        }
    }

    fn lines(base: &Path) -> Vec<u64> {
        let text = fs::read_to_string(base.join("logs/loss.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn a_course_ends_with_its_budget_and_goes_on_with_a_larger_one() {
        let base = tempfile::tempdir().unwrap();
        let run = |budget| course(base.path(), budget).run(&Stop::default(), &Steps::new()).unwrap();
        let learned = run(Budget::Steps(3));
        assert_eq!((learned.steps, learned.trained.manifest.settings.steps), (3, 3));
        let more = run(Budget::Steps(5));
        assert_eq!((more.steps, more.trained.manifest.settings.steps), (2, 5));
        assert_eq!(lines(base.path()), [1, 2, 3, 4, 5]);
        // There is nothing left to do, and what was learned is there.
        let again = run(Budget::Steps(5));
        assert_eq!((again.steps, &again.trained), (0, &more.trained));
        let other = tempfile::tempdir().unwrap();
        let whole = course(other.path(), Budget::Steps(5)).run(&Stop::default(), &Steps::new()).unwrap();
        assert_eq!(whole.trained, again.trained);
    }

    #[test]
    fn a_course_that_is_stopped_has_taken_no_step_more() {
        let base = tempfile::tempdir().unwrap();
        let stop = Arc::new(Stop::default());
        drop(StopOnDrop(stop.clone()));
        let course = course(base.path(), Budget::Time(Duration::from_secs(60)));
        let learned = course.run(&stop, &Steps::new()).unwrap();
        assert_eq!((learned.steps, learned.losses), (0, None));
    }

    #[test]
    fn a_deadline_ends_a_course_of_which_half_is_done() {
        let base = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        stop.by(Some(Instant::now()));
        let learned = course(base.path(), Budget::Steps(5)).run(&stop, &Steps::new()).unwrap();
        assert_eq!(learned.steps, 3);
        // It has passed: the whole of it, then.
        stop.by(None);
        let learned = course(base.path(), Budget::Steps(5)).run(&stop, &Steps::new()).unwrap();
        assert_eq!(learned.steps, 2);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_named() {
        let base = tempfile::tempdir().unwrap();
        let log = base.path().to_owned();
        let course = Course { log, ..course(base.path(), Budget::Steps(1)) };
        let error = course.run(&Stop::default(), &Steps::new()).unwrap_err().to_string();
        assert!(error.contains("cannot write"), "{error}");
    }

    #[test]
    fn losses_are_told_by_their_ends() {
        assert_eq!(ends(&[]), None);
        assert_eq!(ends(&[3.0, 1.0]), Some([2.0, 2.0]));
        let losses: Vec<f32> = (0..30).map(|step| step as f32).collect();
        assert_eq!(ends(&losses), Some([4.5, 24.5]));
    }
}
