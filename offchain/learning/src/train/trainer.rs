//! A run.

use super::{
    TrainError,
    adamw::{AdamW, Moments},
    check_texts, check_tokens,
    checkpoint::{self, Checkpoint, CheckpointError, Saved},
    loss::{Loss, next_token},
    manifest::{Manifest, Settings},
    master,
    network::Network,
    parameters::{Change, Expert, Matrices, Parameter, RouterRow},
    routing::{Routes, distance},
    windows::{Batch, Order, Windows},
};
use crate::delta::{DeltaError, Shape, Update};
use blyan_model::exec::Model;
use blyan_primitives::hash::HASH_LEN;
use blyan_tensorblock::VerifiedBlock;
use candle_core::{Device, Tensor};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps taken.
    pub step: u32,
    /// Steps of the whole run.
    pub steps: u32,
    /// Loss of the last step's windows before it, in nats a token.
    pub loss: f64,
    /// Part of the last step's tokens that were sent to the expert: the others taught it nothing.
    pub routed: f64,
    /// Tokens a second over the steps since the run was started or resumed: with the steps that are left, how long they take.
    pub tokens_per_second: f64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps are taken.
    Complete,
    /// It was asked to stop, and can go on.
    Cancelled,
}

/// What a run changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The manifest of the steps that are taken. Learning rates do not depend on how many are to come: a run that is stopped is
    /// the whole of a shorter one, and this is its manifest.
    pub manifest: Manifest,
    /// Shapes of the expert's matrices.
    pub shapes: Matrices<Shape>,
    /// What was changed of each.
    pub expert: Matrices<Change>,
    /// `[hidden]`: what is to be added to the router's row for the expert, where that was trained.
    pub router: Option<Vec<f32>>,
}

impl Trained {
    /// The changes of the expert's matrices as updates, in the order gate, up, down: see [`Change::to_update`].
    ///
    /// # Errors
    /// When there are no `levels`, or more than 127.
    pub fn to_updates(&self, levels: u8) -> Result<[Update; 3], DeltaError> {
        let Self { expert, shapes, .. } = self;
        Ok([
            expert.gate.to_update(shapes.gate, levels)?,
            expert.up.to_update(shapes.up, levels)?,
            expert.down.to_update(shapes.down, levels)?,
        ])
    }
}

/// Trains the expert of one slot, all else frozen.
///
/// The frozen model is held in f32, four bytes for each weight of each distinct block.
pub struct Trainer {
    manifest: Manifest,
    run: [u8; HASH_LEN],
    network: Network,
    windows: Windows,
    order: Order,
    shapes: Matrices<Shape>,
    expert: Expert,
    router: Option<RouterRow>,
    parameters: Vec<Parameter>,
    optimiser: AdamW,
    /// The loss of each step that is taken.
    losses: Vec<f32>,
    checkpoints: Option<(PathBuf, u32)>,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trainer({}, step {} of {})", self.manifest.slot, self.steps(), self.manifest.settings.steps)
    }
}

/// What a pass over a batch gives.
struct Pass {
    loss: Loss,
    /// The loss with penalties: what is made smaller.
    objective: Tensor,
    routed: f64,
}

impl Trainer {
    /// A run from its start.
    ///
    /// `master` is the block that the manifest's `master` names, `None` where it names none. `documents` are the items that the manifest names, in its order, as tokens. The slot's lineage
    /// is not looked at: a model does not know its ancestors.
    ///
    /// # Errors
    /// When the manifest is unsound or for another model, or the documents are not as many as its items, have tokens that the
    /// model does not know or nothing to predict; when `master` is not the manifest's, or not the base's; when the device has
    /// too little memory.
    pub fn new(
        model: &Model,
        master: Option<&VerifiedBlock>,
        manifest: Manifest,
        documents: &[Vec<u32>],
        device: &Device,
    ) -> Result<Self, TrainError> {
        manifest.check()?;
        let d = &model.spec().dimensions;
        let (settings, layer, index) = (manifest.settings, manifest.slot.layer, manifest.slot.index);
        let no_slot = TrainError::NoSlot { layer, index, layers: d.layers, experts: d.experts };
        let base = model.block_of(layer, index).ok_or(no_slot)?;
        if base != manifest.base {
            return Err(TrainError::OtherBase { slot: manifest.slot, expected: manifest.base, found: base });
        }
        if model.weights_id() != manifest.weights {
            return Err(TrainError::OtherModel { expected: manifest.weights, found: model.weights_id() });
        }
        let found = master.map(VerifiedBlock::hash);
        if found != manifest.master {
            return Err(TrainError::OtherMaster { expected: manifest.master, found });
        }
        if documents.len() != manifest.items() {
            return Err(TrainError::Documents { expected: manifest.items(), found: documents.len() });
        }
        check_tokens(documents.iter().map(Vec::as_slice).chain([settings.separator.as_slice()]), d.vocab)?;
        if settings.window > d.context {
            return Err(TrainError::Window { window: settings.window, context: d.context });
        }
        let windows = Windows::pack(documents, settings.separator, settings.window as usize)?;

        let network = Network::new(model, device)?;
        let (hidden, ffn) = (d.hidden as usize, d.ffn as usize);
        let wide = Shape { rows: ffn, k: hidden };
        let shapes = Matrices { gate: wide, up: wide, down: Shape { rows: hidden, k: ffn } };
        let at = &network.layers[usize::from(layer)];
        let frozen = &at.blocks[at.places[usize::from(index)]];
        let serving = Matrices { gate: frozen.gate.clone(), up: frozen.up.clone(), down: frozen.down.clone() };
        let start = match master {
            Some(master) => master::weights(master, shapes, &serving, device)?,
            None => serving,
        };
        let expert = Expert::new(start, settings.method, manifest.seed)?;
        let row = || RouterRow::new(usize::from(d.experts), usize::from(index), hidden, device);
        let router = settings.router.map(|_| row()).transpose()?;
        let mut parameters = expert.parameters();
        parameters.extend(router.as_ref().map(RouterRow::parameter));
        Ok(Self {
            run: manifest.id(),
            order: Order::new(manifest.seed, windows.count()),
            optimiser: AdamW::new(settings, &parameters)?,
            network,
            windows,
            shapes,
            expert,
            router,
            parameters,
            losses: Vec::new(),
            checkpoints: None,
            manifest,
        })
    }

    /// Keeps a checkpoint in `folder`, which belongs to this run alone: every `every` steps (at least 1), and where a run ends
    /// or is cancelled. Where there is one already, the run goes on from there; returns the steps that are done.
    ///
    /// # Errors
    /// When the folder's checkpoint is damaged, of another run, or cannot be read.
    pub fn checkpoint_in(&mut self, folder: &Path, every: u32) -> Result<u32, TrainError> {
        if let Some(checkpoint) = Checkpoint::read(folder, &self.run)? {
            self.restore(folder, checkpoint)?;
        }
        self.checkpoints = Some((folder.into(), every.max(1)));
        Ok(self.steps())
    }

    /// Steps taken.
    pub fn steps(&self) -> u32 {
        self.optimiser.steps
    }

    /// The loss curve: of each step that is taken, those before a restart too, what [`Progress::loss`] says.
    pub fn losses(&self) -> &[f32] {
        &self.losses
    }

    /// The run's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Windows of an epoch.
    pub fn windows(&self) -> usize {
        self.windows.count()
    }

    /// Takes the steps that are left. `progress` is told after each; `is_cancelled` is asked before each layer.
    ///
    /// # Errors
    /// When training diverges, a checkpoint cannot be written, or the device fails. What [`Self::trained`] gives then is that
    /// of the last whole step.
    pub fn run(
        &mut self,
        progress: &mut dyn FnMut(Progress),
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Ended, TrainError> {
        let settings = self.manifest.settings;
        let (started, first) = (Instant::now(), self.steps());
        let mut saved = first;
        let mut ended = Ended::Complete;
        while self.steps() < settings.steps {
            let Some((loss, routed)) = self.step(is_cancelled)? else {
                ended = Ended::Cancelled;
                break;
            };
            let tokens = f64::from(self.steps() - first) * f64::from(settings.batch) * self.windows.len() as f64;
            progress(Progress {
                step: self.steps(),
                steps: settings.steps,
                loss,
                routed,
                tokens_per_second: tokens / started.elapsed().as_secs_f64().max(1e-9),
            });
            if let Some((folder, every)) = &self.checkpoints
                && self.steps().is_multiple_of(*every)
            {
                self.to_checkpoint()?.write(folder)?;
                saved = self.steps();
            }
        }
        if let Some((folder, _)) = &self.checkpoints
            && self.steps() > saved
        {
            self.to_checkpoint()?.write(folder)?;
        }
        Ok(ended)
    }

    /// The manifest of a run that ends here.
    fn manifest_so_far(&self) -> Manifest {
        let settings = Settings { steps: self.steps(), ..self.manifest.settings };
        Manifest { settings, ..self.manifest.clone() }
    }

    /// What was changed so far. Before the first step that is nothing, and its manifest is refused.
    ///
    /// # Errors
    /// When the device fails.
    pub fn trained(&self) -> Result<Trained, TrainError> {
        Ok(Trained {
            manifest: self.manifest_so_far(),
            shapes: self.shapes,
            expert: self.expert.changes()?,
            router: self.router.as_ref().map(RouterRow::change).transpose()?,
        })
    }

    /// Loss of the model as it is trained now, in nats a token, of consecutive tokens of one text: the mean over all tokens but
    /// the first. Near canonical execution's, which rounds.
    ///
    /// # Errors
    /// When there are fewer than two tokens, more than the context and one, or one that the model does not know.
    pub fn loss_of(&self, tokens: &[u32]) -> Result<f64, TrainError> {
        let losses = self.losses_of(tokens)?;
        Ok(losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len() as f64)
    }

    /// [`Self::loss_of`], of each token but the first by itself.
    ///
    /// # Errors
    /// As there.
    pub fn losses_of(&self, tokens: &[u32]) -> Result<Vec<f32>, TrainError> {
        check_texts(&[tokens], self.network.dimensions())?;
        let batch = Batch::of(tokens)?;
        let pass = self.pass(&batch, false, &|| false)?;
        Ok(pass.map_or_else(Vec::new, |pass| pass.loss.positions))
    }

    /// Takes a step: its loss and the part of tokens that were sent to the expert; `None` when cancelled.
    pub(super) fn step(&mut self, is_cancelled: &dyn Fn() -> bool) -> Result<Option<(f64, f64)>, TrainError> {
        let batch = u64::from(self.manifest.settings.batch);
        let first = u64::from(self.steps()) * batch;
        let numbers: Vec<usize> = (first..first + batch).map(|place| self.order.at(place)).collect();
        let batch = self.windows.batch(&numbers);
        let diverged = TrainError::Diverged { step: self.steps() };
        let pass = match self.pass(&batch, true, is_cancelled) {
            Ok(Some(pass)) => pass,
            Ok(None) => return Ok(None),
            Err(TrainError::NotFinite) => return Err(diverged),
            Err(error) => return Err(error),
        };
        let loss = pass.loss.sum.to_scalar::<f32>()?;
        if !loss.is_finite() {
            return Err(diverged);
        }
        let gradients = pass.objective.backward()?;
        self.optimiser.step(&self.parameters, &gradients)?;
        self.losses.push(loss);
        Ok(Some((loss.into(), pass.routed)))
    }

    /// Passes a batch through the model; `None` when cancelled.
    fn pass(
        &self,
        batch: &Batch,
        with_graph: bool,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<Pass>, TrainError> {
        let network = &self.network;
        let slot = usize::from(self.manifest.slot.layer);
        let context = network.context(batch)?;
        let mut x = network.embed(batch)?;
        let (mut routed, mut penalties) = (0.0, None);
        for layer in 0..network.layers.len() {
            if is_cancelled() {
                return Ok(None);
            }
            x = network.attention(layer, &x, &context)?;
            if layer != slot {
                x = network.experts(layer, &x)?;
                continue;
            }
            (x, routed, penalties) = self.trained_layer(&x)?;
            if !with_graph {
                x = x.detach();
            }
        }
        let (device, count) = (x.device(), batch.counts.len());
        let counted = batch.counts.iter().filter(|counts| **counts).count().max(1);
        let weights = batch.counts.iter().map(|counts| if *counts { 1.0 / counted as f32 } else { 0.0 });
        let weights = Tensor::from_vec(weights.collect::<Vec<f32>>(), count, device)?;
        let targets = Tensor::from_slice(&batch.targets, count, device)?;
        let loss = next_token(&network.finish(&x)?, &network.head, &targets, &weights)?;
        let objective = match penalties {
            Some(penalties) => (&loss.sum + penalties)?,
            None => loss.sum.clone(),
        };
        Ok(Some(Pass { loss, objective, routed }))
    }

    /// Adds to `x`, `[tokens, hidden]`, what the experts of the trained slot's layer say; also gives the part of tokens that
    /// were sent to the expert, and the router's penalties where it is trained.
    fn trained_layer(&self, x: &Tensor) -> Result<(Tensor, f64, Option<Tensor>), TrainError> {
        let (network, slot) = (&self.network, self.manifest.slot);
        let (layer, index) = (usize::from(slot.layer), usize::from(slot.index));
        let n = network.ffn_input(layer, x)?;
        let mut scores = network.scores(layer, &n)?;
        if let Some(row) = &self.router {
            scores = row.add_to(&scores, &n)?;
        }
        let routes = network.route(&scores)?;
        let penalties = self.penalties(&routes, &scores)?;
        let at = &network.layers[layer];
        // The expert in training is a block of its own from the first step on, even while it equals its neighbours.
        let mut places = at.places.clone();
        places[index] = at.blocks.len();
        let mixed = routes.mixture(&n, &places, |block, rows| match at.blocks.get(block) {
            Some(frozen) => frozen.forward(rows),
            None => self.expert.forward(rows),
        })?;
        let routed = routes.tokens_of(index) as f64 / routes.tokens().max(1) as f64;
        Ok(((x + mixed)?, routed, penalties))
    }

    /// What the loss gets for where tokens are sent; `None` when the router is not trained, or only by the loss of next tokens.
    fn penalties(&self, routes: &Routes, scores: &Tensor) -> Result<Option<Tensor>, TrainError> {
        let Some(router) = self.manifest.settings.router else { return Ok(None) };
        let [balance, bias] = [router.balance, router.bias].map(|weight| f64::from(weight.get()));
        let mut penalties = None;
        if balance > 0.0 {
            penalties = Some((routes.imbalance(scores)? * balance)?);
        }
        if bias > 0.0 {
            let distance = (distance(scores, self.manifest.slot.index.into())? * bias)?;
            penalties = Some(match penalties {
                Some(balance) => (balance + distance)?,
                None => distance,
            });
        }
        Ok(penalties)
    }

    fn to_checkpoint(&self) -> Result<Checkpoint, TrainError> {
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let saved = |(parameter, moments): (&Parameter, &Moments)| {
            Ok::<_, candle_core::Error>(Saved {
                name: parameter.name.clone(),
                values: values(&parameter.var)?,
                first: values(&moments.first)?,
                second: values(&moments.second)?,
            })
        };
        let parameters = self.parameters.iter().zip(&self.optimiser.moments).map(saved).collect::<Result<_, _>>()?;
        Ok(Checkpoint { run: self.run, losses: self.losses.clone(), parameters })
    }

    /// Goes on from the checkpoint of a folder, which is this run's.
    fn restore(&mut self, folder: &Path, checkpoint: Checkpoint) -> Result<(), TrainError> {
        // The run's name covers all that the parameters follow from: others are those of a program that trains other things.
        let fits = |(parameter, saved): (&Parameter, &Saved)| {
            let elements = parameter.var.elem_count();
            let are_whole = [&saved.values, &saved.first, &saved.second].iter().all(|values| values.len() == elements);
            parameter.name == saved.name && are_whole
        };
        let steps = u32::try_from(checkpoint.losses.len()).unwrap_or(u32::MAX);
        if checkpoint.parameters.len() != self.parameters.len()
            || !self.parameters.iter().zip(&checkpoint.parameters).all(fits)
            || steps > self.manifest.settings.steps
        {
            return Err(CheckpointError::OtherVersion(checkpoint::path(folder)).into());
        }
        let mut moments = Vec::new();
        for (parameter, saved) in self.parameters.iter().zip(&checkpoint.parameters) {
            let tensor = |values: &[f32]| Tensor::from_slice(values, parameter.var.shape(), parameter.var.device());
            moments.push(Moments { first: tensor(&saved.first)?, second: tensor(&saved.second)? });
            parameter.var.set(&tensor(&saved.values)?)?;
        }
        self.optimiser.moments = moments;
        self.optimiser.steps = steps;
        self.losses = checkpoint.losses;
        Ok(())
    }
}

#[cfg(test)]
impl Trainer {
    pub(super) fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn whole(&self, window: usize) -> Pass {
        self.pass(&self.windows.batch(&[window]), true, &|| false).unwrap().unwrap()
    }

    /// Gradients of one window.
    pub(super) fn gradients(&self, window: usize) -> candle_core::backprop::GradStore {
        self.whole(window).objective.backward().unwrap()
    }

    /// What is made smaller, of one window.
    pub(super) fn objective(&self, window: usize) -> f64 {
        self.whole(window).objective.to_scalar::<f32>().unwrap().into()
    }

    /// Part of all tokens that are sent to the expert.
    pub(super) fn routed(&self) -> f64 {
        (0..self.windows()).map(|window| self.whole(window).routed).sum::<f64>() / self.windows() as f64
    }

    /// Part of a text's tokens that are sent to the expert.
    pub(super) fn routed_of(&self, text: &[u32]) -> f64 {
        self.pass(&Batch::of(text).unwrap(), false, &|| false).unwrap().unwrap().routed
    }

    pub(super) fn losses_in(&self, batch: &Batch) -> Vec<f32> {
        self.pass(batch, false, &|| false).unwrap().unwrap().loss.positions
    }
}
