//! Means over items, and how sure they are.

use blyan_primitives::{pol::Paired, trace::LOSS_UNITS};
use std::fmt;

/// A mean over items and its standard error, in nats a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    pub(crate) value: f64,
    pub(crate) error: f64,
}

impl Mean {
    /// The mean gain of a paired comparison on so many items.
    pub(crate) fn of(sums: &Paired, items: u32, positions: u32) -> Self {
        let (items, unit) = (f64::from(items), f64::from(positions) * f64::from(LOSS_UNITS));
        let (sum, squares) = (sums.gain as f64, sums.squares as f64);
        let variance = (squares - sum * sum / items).max(0.0) / (items - 1.0).max(1.0);
        Self { value: sum / items / unit, error: (variance / items).sqrt() / unit }
    }

    /// How many standard errors it is from zero; nothing where there is no error.
    pub(crate) fn standard_errors(&self) -> Option<f64> {
        (self.error > 0.0).then(|| self.value.abs() / self.error)
    }
}

impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+.5} ± {:.5}", self.value, self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_the_textbook() {
        let gains = [0.1f64, 0.2, 0.3, 0.4];
        let each = gains.map(|gain| (gain * 128.0 * f64::from(LOSS_UNITS)) as i64);
        let squares = each.iter().map(|gain| u128::from(gain.unsigned_abs()).pow(2)).sum();
        let mean = Mean::of(&Paired { gain: each.iter().sum(), squares }, 4, 128);
        let error = (0.05f64 / 3.0 / 4.0).sqrt();
        assert!((mean.value - 0.25).abs() < 1e-6 && (mean.error - error).abs() < 1e-6, "{mean:?}");
        assert_eq!(mean.to_string(), "+0.25000 ± 0.06455");
        assert!(mean.standard_errors().is_some_and(|errors| (errors - 0.25 / error).abs() < 1e-4), "{mean:?}");
        assert_eq!(Mean { value: 0.0, error: 0.0 }.standard_errors(), None);
    }
}
