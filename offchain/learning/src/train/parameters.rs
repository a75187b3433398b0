//! What is trained: the expert of one slot, and perhaps the router's row for it.

use super::{
    TrainError,
    draws::{Draws, Stream},
    manifest::Method,
    network::gated,
    ops::linear,
};
use crate::delta::{DeltaError, Dense, Factors, LowRank, Shape, Update};
use candle_core::{DType, Device, Result, Tensor, Var};

/// Something for each matrix of an expert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrices<T> {
    /// `[ffn, hidden]`
    pub gate: T,
    /// `[ffn, hidden]`
    pub up: T,
    /// `[hidden, ffn]`
    pub down: T,
}

impl<T> Matrices<T> {
    /// All three through a function, in the order gate, up, down.
    ///
    /// # Errors
    /// The first of the function.
    pub fn try_map<U, E>(
        self,
        mut change: impl FnMut(T) -> std::result::Result<U, E>,
    ) -> std::result::Result<Matrices<U>, E> {
        Ok(Matrices { gate: change(self.gate)?, up: change(self.up)?, down: change(self.down)? })
    }

    /// References to all three.
    pub fn as_ref(&self) -> Matrices<&T> {
        Matrices { gate: &self.gate, up: &self.up, down: &self.down }
    }

    /// All three, in the order gate, up, down.
    pub fn into_array(self) -> [T; 3] {
        [self.gate, self.up, self.down]
    }

    /// All three with their names in blocks.
    pub fn named(self) -> [(&'static str, T); 3] {
        [("gate", self.gate), ("up", self.up), ("down", self.down)]
    }
}

/// What training changed of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A product of two thin matrices.
    LowRank(Factors),
    /// The differences to the base, `[rows, k]` row-major.
    Full(Vec<f32>),
}

impl Change {
    /// The change as an [`Update`], factors with `levels` steps on either side of zero. A full change becomes a dense one: which
    /// other codec it takes, and with what feedback, is for its owner to choose.
    ///
    /// # Errors
    /// When the change is not one of a matrix of this shape.
    pub fn to_update(&self, shape: Shape, levels: u8) -> std::result::Result<Update, DeltaError> {
        match self {
            Self::LowRank(factors) => LowRank::quantise(factors, shape, levels).map(Update::LowRank),
            Self::Full(change) => Dense::quantise(change, shape).map(Update::Dense),
        }
    }
}

/// A tensor that is trained.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    /// Its name in checkpoints.
    pub(super) name: String,
    pub(super) var: Var,
    /// Whether it is the router's, which has its own learning rate.
    pub(super) is_router: bool,
}

/// What is added to a matrix.
enum Trained {
    LowRank {
        /// `[rank, k]`
        a: Var,
        /// `[rank, rows]`
        b: Var,
    },
    Full {
        /// `[rows, k]`; apart from the base, so that decay of weights leads back to the base.
        change: Var,
    },
}

/// A matrix in training.
struct Matrix {
    /// `[rows, k]`
    base: Tensor,
    trained: Trained,
}

impl Matrix {
    fn new(base: Tensor, method: Method, draws: &mut Draws) -> std::result::Result<Self, TrainError> {
        let (rows, k) = base.dims2()?;
        let device = base.device().clone();
        let trained = match method {
            Method::LowRank { rank } => {
                let count = usize::from(rank);
                if count > rows.min(k) {
                    return Err(TrainError::Rank { rank, most: rows.min(k) });
                }
                // One factor is zero, so that training starts at the base; the other keeps the size of what it multiplies.
                let bound = (3.0 / k as f32).sqrt();
                let a: Vec<f32> = (0..count * k).map(|_| draws.uniform() * bound).collect();
                let a = Var::from_tensor(&Tensor::from_vec(a, (count, k), &device)?)?;
                Trained::LowRank { a, b: Var::zeros((count, rows), DType::F32, &device)? }
            },
            Method::Full => Trained::Full { change: Var::zeros((rows, k), DType::F32, &device)? },
        };
        Ok(Self { base, trained })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.trained {
            Trained::LowRank { a, b } => linear(x, &self.base)? + x.matmul(&a.t()?)?.matmul(b)?,
            Trained::Full { change } => x.matmul(&(&self.base + change.as_tensor())?.t()?),
        }
    }

    fn parameters(&self, name: &str) -> Vec<Parameter> {
        let parameter = |name: String, var: &Var| Parameter { name, var: var.clone(), is_router: false };
        match &self.trained {
            Trained::LowRank { a, b } => vec![parameter(format!("{name}.a"), a), parameter(format!("{name}.b"), b)],
            Trained::Full { change } => vec![parameter(name.into(), change)],
        }
    }

    fn change(&self) -> Result<Change> {
        let flat = |var: &Var| var.flatten_all()?.to_vec1::<f32>();
        Ok(match &self.trained {
            Trained::LowRank { a, b } => Change::LowRank(Factors { a: flat(a)?, b: flat(b)? }),
            Trained::Full { change } => Change::Full(flat(change)?),
        })
    }
}

/// The expert in training.
pub(super) struct Expert {
    matrices: Matrices<Matrix>,
}

impl Expert {
    /// An expert whose matrices start as `base`, `[rows, k]` each.
    pub(super) fn new(base: Matrices<Tensor>, method: Method, seed: u64) -> std::result::Result<Self, TrainError> {
        let mut number = 0;
        let matrices = base.try_map(|base| {
            number += 1;
            Matrix::new(base, method, &mut Draws::new(seed, Stream::Factor(number)))
        })?;
        Ok(Self { matrices })
    }

    /// `down(silu(gate(n)) · up(n))` of `n`, `[tokens, hidden]`.
    pub(super) fn forward(&self, n: &Tensor) -> Result<Tensor> {
        let Matrices { gate, up, down } = &self.matrices;
        down.forward(&gated(&gate.forward(n)?, &up.forward(n)?)?)
    }

    /// The tensors that are trained.
    pub(super) fn parameters(&self) -> Vec<Parameter> {
        self.matrices.as_ref().named().iter().flat_map(|(name, matrix)| matrix.parameters(name)).collect()
    }

    /// What training changed so far.
    pub(super) fn changes(&self) -> Result<Matrices<Change>> {
        self.matrices.as_ref().try_map(Matrix::change)
    }
}

/// The router's row of the expert in training: what is added to it.
pub(super) struct RouterRow {
    /// `[1, hidden]`
    change: Var,
    /// `[1, experts]`: one at the expert, zero elsewhere.
    place: Tensor,
}

impl RouterRow {
    pub(super) fn new(experts: usize, expert: usize, hidden: usize, device: &Device) -> Result<Self> {
        let place: Vec<f32> = (0..experts).map(|index| f32::from(u8::from(index == expert))).collect();
        let place = Tensor::from_vec(place, (1, experts), device)?;
        Ok(Self { change: Var::zeros((1, hidden), DType::F32, device)?, place })
    }

    /// Scores with the change, `[tokens, experts]`, of what the experts get, `n`, `[tokens, hidden]`.
    pub(super) fn add_to(&self, scores: &Tensor, n: &Tensor) -> Result<Tensor> {
        scores + n.matmul(&self.change.t()?)?.matmul(&self.place)?
    }

    pub(super) fn parameter(&self) -> Parameter {
        Parameter { name: "router".into(), var: self.change.clone(), is_router: true }
    }

    /// `[hidden]`: what is added to the row.
    pub(super) fn change(&self) -> Result<Vec<f32>> {
        self.change.flatten_all()?.to_vec1()
    }
}
