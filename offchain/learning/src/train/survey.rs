//! Where the tokens of a text go.

use super::{TrainError, check_texts, network::Network, windows::Batch};
use blyan_model::exec::Model;
use candle_core::Device;

/// Part of the tokens of some texts that each expert of each layer gets, `[layers][experts]`; a layer's sum to the model's
/// top-k. Only tokens that an expert gets teach it, and only for them does it count what it learned: this says from which
/// slot there is most to gain on such texts. Each text is at least two tokens, of which the last is not counted.
///
/// # Errors
/// When there are no texts, one is shorter or longer than the context and one, or has a token that the model does not know;
/// when the device has too little memory.
pub fn expert_shares(model: &Model, texts: &[Vec<u32>], device: &Device) -> Result<Vec<Vec<f64>>, TrainError> {
    let d = &model.spec().dimensions;
    check_texts(texts, d)?;
    let network = Network::new(model, device)?;
    let mut counts = vec![vec![0; usize::from(d.experts)]; usize::from(d.layers)];
    let mut tokens = 0;
    for text in texts {
        let batch = Batch::of(text)?;
        tokens += batch.len;
        let context = network.context(&batch)?;
        let mut x = network.embed(&batch)?;
        for (layer, counts) in counts.iter_mut().enumerate() {
            x = network.attention(layer, &x, &context)?;
            let n = network.ffn_input(layer, &x)?;
            let routes = network.route(&network.scores(layer, &n)?)?;
            for (expert, count) in counts.iter_mut().enumerate() {
                *count += routes.tokens_of(expert);
            }
            x = network.experts(layer, &x)?;
        }
    }
    let share = |count: usize| count as f64 / tokens as f64;
    match tokens {
        0 => Err(TrainError::NoTokens),
        _ => Ok(counts.into_iter().map(|counts| counts.into_iter().map(share).collect()).collect()),
    }
}
