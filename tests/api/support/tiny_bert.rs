//! A BERT of a few numbers, written as a model's directory, and the same in plain arithmetic.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, json};

const WORDS: [&str; 10] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "my", "dog", "likes", "tea", "town", "is"];
const WIDTH: usize = 8;
const HEADS: usize = 2;
const LAYERS: usize = 2;
const WIDE: usize = 16;
/// With as many tokens as there are places, more numbers than candle lets one thread work on by itself.
const VERY_WIDE: usize = 2560;
const PLACES: usize = 32;

/// The numbers of a model, by their names, each with its shape.
pub struct TinyBert(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

/// Writes the model's directory.
pub fn write(dir: &Path) -> TinyBert {
    write_of(dir, 1, WIDE)
}

/// The same with other numbers.
pub fn write_other(dir: &Path) -> TinyBert {
    write_of(dir, 2, WIDE)
}

/// The same with a layer as wide as a real one's.
pub fn write_wide(dir: &Path) -> TinyBert {
    write_of(dir, 3, VERY_WIDE)
}

fn write_of(dir: &Path, seed: u64, wide: usize) -> TinyBert {
    let model = TinyBert::of(seed, wide);
    let config = json!({
        "model_type": "bert", "vocab_size": WORDS.len(), "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "intermediate_size": wide, "hidden_act": "gelu",
        "max_position_embeddings": PLACES, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
    });
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let vocabulary: Map<_, _> =
        (0..).zip(WORDS).map(|(id, word): (u32, _)| (word.to_owned(), json!(id))).collect();
    let special =
        |word: &str| json!({"id": word, "ids": [if word == "[CLS]" { 2 } else { 3 }], "tokens": [word]});
    let part = |word: &str| json!({"SpecialToken": {"id": word, "type_id": 0}});
    let sequence = json!({"Sequence": {"id": "A", "type_id": 0}});
    // As the real ones, it would fill every text up, and cut it early.
    let tokenizer = json!({
        "version": "1.0",
        "truncation": {"max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {"strategy": {"Fixed": 5}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": [part("[CLS]"), sequence, part("[SEP]")],
            "pair": [part("[CLS]"), sequence, part("[SEP]")],
            "special_tokens": {"[CLS]": special("[CLS]"), "[SEP]": special("[SEP]")}},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(dir.join("model.safetensors"), model.safetensors()).unwrap();
    model
}

impl TinyBert {
    fn of(seed: u64, wide: usize) -> Self {
        let mut state = seed;
        let mut number = move || {
            // A generator of Knuth's: the same numbers every time.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut numbers = BTreeMap::new();
        let mut add = |name: String, shape: &[usize]| {
            let values = (0..shape.iter().product()).map(|_| number()).collect();
            numbers.insert(name, (shape.to_vec(), values));
        };
        for (name, rows) in [("word", WORDS.len()), ("position", PLACES), ("token_type", 2)] {
            add(format!("embeddings.{name}_embeddings.weight"), &[rows, WIDTH]);
        }
        let mut norms = vec!["embeddings.LayerNorm".to_owned()];
        for layer in 0..LAYERS {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            for (part, out, into) in [
                ("attention.self.query", WIDTH, WIDTH),
                ("attention.self.key", WIDTH, WIDTH),
                ("attention.self.value", WIDTH, WIDTH),
                ("attention.output.dense", WIDTH, WIDTH),
                ("intermediate.dense", wide, WIDTH),
                ("output.dense", WIDTH, wide),
            ] {
                add(name(part) + ".weight", &[out, into]);
                add(name(part) + ".bias", &[out]);
            }
            norms.extend([name("attention.output.LayerNorm"), name("output.LayerNorm")]);
        }
        for norm in norms {
            add(format!("{norm}.weight"), &[WIDTH]);
            add(format!("{norm}.bias"), &[WIDTH]);
        }
        Self(numbers)
    }

    /// The format: the length of a header, the header, the numbers.
    fn safetensors(&self) -> Vec<u8> {
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, (shape, values)) in &self.0 {
            let begin = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            let told = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
            header.insert(name.clone(), told);
        }
        let mut header = serde_json::to_vec(&header).unwrap();
        header.resize(header.len().next_multiple_of(8), b' ');
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }

    /// The vector of a text: no word is cut, and no text is longer than the model's places.
    pub fn vector(&self, text: &str) -> Vec<f64> {
        let mut state: Vec<Vec<f64>> = Vec::new();
        for (place, token) in tokens(text).into_iter().enumerate() {
            let rows = [("word", token), ("position", place), ("token_type", 0)];
            let rows = rows.map(|(name, row)| self.row(&format!("embeddings.{name}_embeddings.weight"), row));
            let sum: Vec<f64> = (0..WIDTH).map(|at| rows.iter().map(|row| row[at]).sum()).collect();
            state.push(self.norm("embeddings.LayerNorm", &sum));
        }
        for layer in 0..LAYERS {
            state = self.layer(&format!("encoder.layer.{layer}"), &state);
        }
        let mean: Vec<f64> = (0..WIDTH)
            .map(|at| state.iter().map(|token| token[at]).sum::<f64>() / state.len() as f64)
            .collect();
        let length = mean.iter().map(|number| number * number).sum::<f64>().sqrt();
        mean.iter().map(|number| number / length).collect()
    }

    fn layer(&self, name: &str, state: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let of = |part: &str| -> Vec<Vec<f64>> {
            state.iter().map(|token| self.linear(&format!("{name}.attention.self.{part}"), token)).collect()
        };
        let (query, key, value) = (of("query"), of("key"), of("value"));
        let size = WIDTH / HEADS;
        let mut next = Vec::new();
        for (place, before) in state.iter().enumerate() {
            let mut seen = vec![0.0; WIDTH];
            for head in 0..HEADS {
                let own = head * size..(head + 1) * size;
                let dot = |other: &Vec<f64>| -> f64 {
                    query[place][own.clone()].iter().zip(&other[own.clone()]).map(|(a, b)| a * b).sum()
                };
                let weights: Vec<f64> =
                    key.iter().map(|key| (dot(key) / (size as f64).sqrt()).exp()).collect();
                let all: f64 = weights.iter().sum();
                for (weight, value) in weights.iter().zip(&value) {
                    own.clone().for_each(|at| seen[at] += weight / all * value[at]);
                }
            }
            let seen = self.linear(&format!("{name}.attention.output.dense"), &seen);
            let seen = self.norm(&format!("{name}.attention.output.LayerNorm"), &added(&seen, before));
            let wide = self.linear(&format!("{name}.intermediate.dense"), &seen);
            let wide: Vec<f64> = wide.into_iter().map(gelu).collect();
            let narrow = self.linear(&format!("{name}.output.dense"), &wide);
            next.push(self.norm(&format!("{name}.output.LayerNorm"), &added(&narrow, &seen)));
        }
        next
    }

    fn row(&self, name: &str, row: usize) -> Vec<f64> {
        let (shape, values) = &self.0[name];
        let width = shape.get(1).copied().unwrap_or(values.len());
        values[row * width..][..width].iter().map(|value| f64::from(*value)).collect()
    }

    fn linear(&self, name: &str, input: &[f64]) -> Vec<f64> {
        let bias = self.row(&format!("{name}.bias"), 0);
        let out = |(row, bias): (usize, f64)| {
            let weights = self.row(&format!("{name}.weight"), row);
            weights.iter().zip(input).map(|(weight, number)| weight * number).sum::<f64>() + bias
        };
        bias.into_iter().enumerate().map(out).collect()
    }

    fn norm(&self, name: &str, input: &[f64]) -> Vec<f64> {
        let mean = input.iter().sum::<f64>() / input.len() as f64;
        let spread = input.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / input.len() as f64;
        let (weight, bias) = (self.row(&format!("{name}.weight"), 0), self.row(&format!("{name}.bias"), 0));
        let scaled = input.iter().map(|number| (number - mean) / (spread + 1e-12).sqrt());
        scaled.zip(weight).zip(bias).map(|((number, weight), bias)| number * weight + bias).collect()
    }
}

fn tokens(text: &str) -> Vec<usize> {
    let mut tokens = vec![2];
    let spaced: String = text
        .to_lowercase()
        .chars()
        .flat_map(|c| if c.is_alphanumeric() { vec![c] } else { vec![' ', c, ' '] })
        .collect();
    let known = |word: &str| WORDS.iter().position(|known| *known == word).unwrap_or(1);
    tokens.extend(spaced.split_whitespace().map(known).take(PLACES - 2));
    tokens.push(3);
    tokens
}

fn added(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(a, b)| a + b).collect()
}

/// x times the share of the normal distribution below x, summed up in small steps.
fn gelu(x: f64) -> f64 {
    const STEPS: u32 = 2000;
    let step = x / f64::from(STEPS);
    let density = |at: f64| (-at * at / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let share: f64 = (0..STEPS).map(|number| density((f64::from(number) + 0.5) * step) * step).sum();
    x * (0.5 + share)
}
