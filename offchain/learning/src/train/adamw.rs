//! AdamW (arXiv:1711.05101) with gradients clipped by their common norm and a linear warm-up.

use super::{TrainError, manifest::Settings, parameters::Parameter};
use blyan_primitives::spec::F32Bits;
use candle_core::{Result, Tensor, backprop::GradStore};

/// A parameter's running means.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    /// Of the gradient.
    pub(super) first: Tensor,
    /// Of its square.
    pub(super) second: Tensor,
}

/// The optimiser's state.
pub(super) struct AdamW {
    settings: Settings,
    /// Steps taken.
    pub(super) steps: u32,
    /// One for each parameter.
    pub(super) moments: Vec<Moments>,
}

fn float(bits: F32Bits) -> f64 {
    f64::from(bits.get())
}

impl AdamW {
    pub(super) fn new(settings: Settings, parameters: &[Parameter]) -> Result<Self> {
        let zeros = |parameter: &Parameter| {
            let zeros = parameter.var.as_detached_tensor().zeros_like()?;
            Ok(Moments { first: zeros.clone(), second: zeros })
        };
        Ok(Self { settings, steps: 0, moments: parameters.iter().map(zeros).collect::<Result<_>>()? })
    }

    /// Takes a step along the gradients. A parameter that the loss did not depend on, as an expert's that no token was sent
    /// to, stays as it is, and its moments too. Nothing changes when gradients are not finite.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] when gradients are not finite.
    pub(super) fn step(
        &mut self,
        parameters: &[Parameter],
        gradients: &GradStore,
    ) -> std::result::Result<(), TrainError> {
        let mut square = 0.0;
        for gradient in parameters.iter().filter_map(|parameter| gradients.get(&parameter.var)) {
            square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        if !square.is_finite() {
            return Err(TrainError::Diverged { step: self.steps });
        }
        let Settings { clip, betas, epsilon, weight_decay, warm_up, .. } = self.settings;
        let shorten = (float(clip) / square.sqrt()).min(1.0);
        let [beta1, beta2] = betas.map(float);
        let step = self.steps + 1;
        let warm = (f64::from(step) / f64::from(warm_up.max(1))).min(1.0);
        // The means start at zero, and are too small by these at first.
        let [unbias1, unbias2] = [beta1, beta2].map(|beta| 1.0 / (1.0 - beta.powf(f64::from(step))));
        for (parameter, moments) in parameters.iter().zip(&mut self.moments) {
            let Some(gradient) = gradients.get(&parameter.var) else { continue };
            let rate = match self.settings.router {
                Some(router) if parameter.is_router => router.learning_rate,
                _ => self.settings.learning_rate,
            };
            let rate = warm * float(rate);
            let gradient = (gradient * shorten)?;
            let first = ((&moments.first * beta1)? + (&gradient * (1.0 - beta1))?)?;
            let second = ((&moments.second * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
            let size = ((&second * unbias2)?.sqrt()? + float(epsilon))?;
            let kept = (parameter.var.as_detached_tensor() * (1.0 - rate * float(weight_decay)))?;
            let change = (((&first * unbias1)? / size)? * rate)?;
            parameter.var.set(&(kept - change)?)?;
            *moments = Moments { first, second };
        }
        self.steps = step;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn parameter(values: &[f32]) -> Parameter {
        Parameter { name: "x".into(), var: Var::new(values, &Device::Cpu).unwrap(), is_router: false }
    }

    fn values(parameter: &Parameter) -> Vec<f32> {
        parameter.var.to_vec1().unwrap()
    }

    /// A step whose gradients are `gradient`.
    fn step(adam: &mut AdamW, x: &Parameter, gradient: &[f32]) -> std::result::Result<(), TrainError> {
        let weights = Tensor::new(gradient, &Device::Cpu).unwrap();
        let loss = (x.var.as_tensor() * weights).unwrap().sum_all().unwrap();
        adam.step(std::slice::from_ref(x), &loss.backward().unwrap())
    }

    #[test]
    fn steps_are_those_of_the_definition() {
        let (learning_rate, weight_decay) = (F32Bits::new(2e-3), F32Bits::new(0.1));
        let settings = Settings { learning_rate, weight_decay, warm_up: 2, ..Settings::new(1, 0) };
        let x = parameter(&[1.0, -2.0]);
        let mut adam = AdamW::new(settings, std::slice::from_ref(&x)).unwrap();
        let (mut expected, mut m, mut v) = ([1.0f64, -2.0], [0.0f64; 2], [0.0f64; 2]);
        for (number, gradient) in [[0.3f64, -0.4], [3.0, 4.0], [0.1, 0.0]].into_iter().enumerate() {
            step(&mut adam, &x, &gradient.map(|g| g as f32)).unwrap();
            // The second is five long and shortened to one.
            let shorten = if number == 1 { 0.2 } else { 1.0 };
            let rate = if number == 0 { 1e-3 } else { 2e-3 };
            for i in 0..2 {
                let g = gradient[i] * shorten;
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.99 * v[i] + 0.01 * g * g;
                let power = number as i32 + 1;
                let (m, v) = (m[i] / (1.0 - 0.9f64.powi(power)), v[i] / (1.0 - 0.99f64.powi(power)));
                expected[i] = expected[i] * (1.0 - rate * 0.1) - rate * m / (v.sqrt() + 1e-8);
            }
            for (x, expected) in values(&x).iter().zip(expected) {
                assert!((f64::from(*x) - expected).abs() < 1e-6, "{x} {expected}");
            }
        }
        assert_eq!(adam.steps, 3);
    }

    #[test]
    fn what_the_loss_does_not_depend_on_stays() {
        let (x, y) = (parameter(&[1.0]), parameter(&[5.0]));
        let both = [x.clone(), y.clone()];
        let mut adam = AdamW::new(Settings::new(1, 0), &both).unwrap();
        adam.step(&both, &x.var.sqr().unwrap().sum_all().unwrap().backward().unwrap()).unwrap();
        assert!(values(&x)[0] < 1.0);
        assert_eq!(values(&y), [5.0]);
    }

    #[test]
    fn gradients_that_are_no_numbers_change_nothing() {
        let x = parameter(&[1.0]);
        let mut adam = AdamW::new(Settings::new(1, 0), std::slice::from_ref(&x)).unwrap();
        assert!(matches!(step(&mut adam, &x, &[f32::NAN]), Err(TrainError::Diverged { step: 0 })));
        assert_eq!((values(&x), adam.steps), (vec![1.0], 0));
    }
}
