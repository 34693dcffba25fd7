//! A BERT (Devlin et al. 2019) as an encoder of single texts: the mean of what its last layer says of each token.
//!
//! One text at a time, so nothing is padded and nothing masked.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Module, VarBuilder, embedding, layer_norm, ops};
use serde::Deserialize;

use super::gelu::Gelu;

/// A model's `config.json`, as far as it is of use.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct BertConfig {
    pub(super) model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: Activation,
    pub(super) max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Activation {
    Gelu,
    GeluNew,
    Relu,
}

pub(super) struct Bert {
    words: Embedding,
    /// What each place, and being of the only sentence, adds to a token.
    places: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Query, key and value, one beside the other.
    asked: Dense,
    attended: Dense,
    attended_norm: LayerNorm,
    wide: Dense,
    activation: Activation,
    narrow: Dense,
    narrow_norm: LayerNorm,
    heads: usize,
}

/// A layer of numbers, turned once when it is read: as they lie in the file they would be turned for each text.
struct Dense {
    weight: Tensor,
    bias: Tensor,
}

impl Dense {
    fn load(from: usize, to: usize, weights: &VarBuilder<'_>) -> Result<Self> {
        Self::load_together(from, to, std::slice::from_ref(weights))
    }

    /// Several of one size become one: a few large products take less time than many small ones.
    fn load_together(from: usize, to: usize, parts: &[VarBuilder<'_>]) -> Result<Self> {
        let weights = parts.iter().map(|part| part.get((to, from), "weight")).collect::<Result<Vec<_>>>()?;
        let biases = parts.iter().map(|part| part.get(to, "bias")).collect::<Result<Vec<_>>>()?;
        let weight = Tensor::cat(&weights, 0)?.t()?.contiguous()?;
        Ok(Self { weight, bias: Tensor::cat(&biases, 0)? })
    }

    fn forward(&self, state: &Tensor) -> Result<Tensor> {
        state.matmul(&self.weight)?.broadcast_add(&self.bias)
    }
}

impl Bert {
    pub(super) fn load(config: &BertConfig, weights: &VarBuilder<'_>) -> Result<Self> {
        // As a part of a larger model it has a name before its own.
        let weights = if weights.contains_tensor("bert.embeddings.word_embeddings.weight") {
            weights.pp("bert")
        } else {
            weights.clone()
        };
        if config.num_attention_heads == 0 || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            candle_core::bail!("its width cannot be shared among its heads");
        }
        let (hidden, embeddings) = (config.hidden_size, weights.pp("embeddings"));
        let places = embeddings
            .get((config.max_position_embeddings, hidden), "position_embeddings.weight")?
            .broadcast_add(
                &embeddings
                    .get((config.type_vocab_size, hidden), "token_type_embeddings.weight")?
                    .narrow(0, 0, 1)?,
            )?;
        let layer = |number| Layer::load(config, &weights.pp("encoder.layer").pp(number));
        Ok(Self {
            words: embedding(config.vocab_size, hidden, embeddings.pp("word_embeddings"))?,
            places,
            norm: layer_norm(hidden, config.layer_norm_eps, embeddings.pp("LayerNorm"))?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
        })
    }

    /// The mean of what the last layer says of these tokens.
    pub(super) fn mean(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let ids = Tensor::new(tokens, &Device::Cpu)?;
        let mut state = self.words.forward(&ids)?.add(&self.places.narrow(0, 0, tokens.len())?)?;
        state = self.norm.forward(&state)?;
        for layer in &self.layers {
            state = layer.forward(&state)?;
        }
        state.mean(0)?.to_vec1()
    }
}

impl Layer {
    fn load(config: &BertConfig, weights: &VarBuilder<'_>) -> Result<Self> {
        let (hidden, wide, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let attention = weights.pp("attention");
        Ok(Self {
            asked: Dense::load_together(
                hidden,
                hidden,
                &["self.query", "self.key", "self.value"].map(|part| attention.pp(part)),
            )?,
            attended: Dense::load(hidden, hidden, &attention.pp("output.dense"))?,
            attended_norm: layer_norm(hidden, eps, attention.pp("output.LayerNorm"))?,
            wide: Dense::load(hidden, wide, &weights.pp("intermediate.dense"))?,
            activation: config.hidden_act,
            narrow: Dense::load(wide, hidden, &weights.pp("output.dense"))?,
            narrow_norm: layer_norm(hidden, eps, weights.pp("output.LayerNorm"))?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, state: &Tensor) -> Result<Tensor> {
        let attended = self.attended.forward(&self.attend(state)?)?;
        let state = self.attended_norm.forward(&attended.add(state)?)?;
        let wide = self.wide.forward(&state)?;
        let wide = match self.activation {
            Activation::Gelu => wide.apply_op1_no_bwd(&Gelu)?,
            Activation::GeluNew => wide.gelu()?,
            Activation::Relu => wide.relu()?,
        };
        self.narrow_norm.forward(&self.narrow.forward(&wide)?.add(&state)?)
    }

    /// Each token looks at all of them, with each head for itself.
    fn attend(&self, state: &Tensor) -> Result<Tensor> {
        let (tokens, hidden) = state.dims2()?;
        let asked = self.asked.forward(state)?.reshape((tokens, 3, self.heads, hidden / self.heads))?;
        let asked = asked.permute((1, 2, 0, 3))?.contiguous()?;
        let (query, key, value) = (asked.get(0)?, asked.get(1)?, asked.get(2)?);
        let scale = 1.0 / (hidden as f64 / self.heads as f64).sqrt();
        let weights = ops::softmax(&query.matmul(&key.t()?)?.affine(scale, 0.0)?, D::Minus1)?;
        weights.matmul(&value)?.transpose(0, 1)?.reshape((tokens, hidden))
    }
}
