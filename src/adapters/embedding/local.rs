//! Vectors made in this process, by a model from a directory: one thread of its own, one text at a time.
//!
//! Who asks is served before those for whom nobody waits, and what nobody waits for any more is left out.
//!
//! Bounds: 64 texts of people who ask wait, and 8 others; a text counts up to its 256th token; one thread, on which all of the
//! model's arithmetic is done (see `arithmetic`).

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokenizers::{Tokenizer, TruncationParams};
use tokio::sync::oneshot;

use super::bert::{Bert, BertConfig};
use super::weights::Weights;
use crate::config::MODEL_FILES;
use crate::domain::embedding::{EmbedError, Embedder, Haste, Vector};

/// What sentence encoders of this kind were trained on at the most.
const MOST_TOKENS: usize = 256;
const WAITING_ASKED: usize = 64;
const WAITING_ASIDE: usize = 8;
const ASKED_FOR: Duration = Duration::from_millis(500);

/// Why a directory's model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelDirError {
    /// A file cannot be read.
    #[error("EMBEDDING_MODEL_DIR: {path} cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("EMBEDDING_MODEL_DIR: {path} cannot be used: {why}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// There is no thread for it.
    #[error("the model has no thread: {0}")]
    Thread(String),
}

/// A model in this process. Dropping it ends its thread.
pub struct LocalModel {
    name: Arc<str>,
    line: Arc<Line>,
    _thread: rayon::ThreadPool,
}

struct Encoder {
    tokenizer: Tokenizer,
    bert: Bert,
}

/// Those who wait for a vector.
#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    comes: Condvar,
}

#[derive(Default)]
struct Waiting {
    asked: VecDeque<Job>,
    aside: VecDeque<Job>,
    closed: bool,
}

struct Job {
    text: String,
    answer: oneshot::Sender<Option<Vector>>,
}

impl LocalModel {
    /// Reads the model, which takes a while.
    ///
    /// # Errors
    /// See [`ModelDirError`].
    pub fn load(directory: &Path) -> Result<Self, ModelDirError> {
        let line = Arc::new(Line::default());
        // All arithmetic of the model is done on the threads of the pool it runs in: on this one.
        let thread =
            rayon::ThreadPoolBuilder::new().num_threads(1).thread_name(|_| "embedder".to_owned()).build();
        let thread = thread.map_err(|error| ModelDirError::Thread(error.to_string()))?;
        let (encoder, hash) = thread.install(|| Encoder::load(directory))?;
        let served = line.clone();
        thread.spawn(move || served.serve(&encoder));
        let called =
            directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name: format!("{called} {hash}").into(), line, _thread: thread })
    }
}

impl Drop for LocalModel {
    fn drop(&mut self) {
        self.line.lock().closed = true;
        self.line.comes.notify_all();
    }
}

impl Embedder for LocalModel {
    fn model(&self) -> Arc<str> {
        self.name.clone()
    }

    fn most_at_once(&self) -> usize {
        1
    }

    fn embed(&self, texts: Vec<String>, haste: Haste) -> BoxFuture<'static, Result<Vec<Vector>, EmbedError>> {
        let line = self.line.clone();
        let made = async move {
            let mut vectors = Vec::with_capacity(texts.len());
            for text in texts {
                let made = line.stand(text, haste)?.await;
                let made = made.map_err(|_| EmbedError::Unavailable("the model has ended".to_owned()))?;
                vectors.push(
                    made.ok_or_else(|| EmbedError::Refused("the model makes nothing of it".to_owned()))?,
                );
            }
            Ok(vectors)
        };
        match haste {
            Haste::Aside => made.boxed(),
            Haste::Asked => async move {
                let late = |_| Err(EmbedError::TimedOut("the model has too much to do".to_owned()));
                tokio::time::timeout(ASKED_FOR, made).await.unwrap_or_else(late)
            }
            .boxed(),
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stand(&self, text: String, haste: Haste) -> Result<oneshot::Receiver<Option<Vector>>, EmbedError> {
        let mut waiting = self.lock();
        let (line, most) = match haste {
            Haste::Asked => (&mut waiting.asked, WAITING_ASKED),
            Haste::Aside => (&mut waiting.aside, WAITING_ASIDE),
        };
        line.retain(|job| !job.answer.is_closed());
        if line.len() >= most {
            return Err(EmbedError::Unavailable("too many wait for the model".to_owned()));
        }
        let (answer, told) = oneshot::channel();
        line.push_back(Job { text, answer });
        self.comes.notify_one();
        Ok(told)
    }

    fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            let next = waiting.asked.pop_front().or_else(|| waiting.aside.pop_front());
            if let Some(job) = next {
                return Some(job);
            }
            waiting = self.comes.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn serve(&self, encoder: &Encoder) {
        while let Some(job) = self.next() {
            if !job.answer.is_closed() {
                drop(job.answer.send(encoder.vector(&job.text)));
            }
        }
    }
}

impl Encoder {
    /// The encoder, and a hash of all it was made of.
    fn load(directory: &Path) -> Result<(Self, String), ModelDirError> {
        let files = MODEL_FILES.map(|name| directory.join(name));
        let [config_file, tokenizer_file, weights_file] = &files;
        let config = fs::read(config_file).map_err(|source| unreadable(config_file, source))?;
        let config: BertConfig =
            serde_json::from_slice(&config).map_err(|error| unusable(config_file, &error.to_string()))?;
        if config.model_type != "bert" {
            return Err(unusable(config_file, &format!("it is a {}, not a bert", config.model_type)));
        }
        let tokenizer = tokenizer(tokenizer_file, config.max_position_embeddings.min(MOST_TOKENS))?;
        let weights = Weights::open(weights_file).map_err(|source| unreadable(weights_file, source))?;
        let weights = VarBuilder::from_backend(Box::new(weights), DType::F32, Device::Cpu);
        let bert = Bert::load(&config, &weights).map_err(|error| unusable(weights_file, &told(&error)))?;
        let encoder = Self { tokenizer, bert };
        if encoder.vector("a word").is_none() {
            return Err(unusable(weights_file, "the model makes nothing of a word"));
        }
        Ok((encoder, hash_of(&files)?))
    }

    fn vector(&self, text: &str) -> Option<Vector> {
        let tokens = self.tokenizer.encode_fast(text, true).ok()?;
        self.bert.mean(tokens.get_ids()).ok().and_then(Vector::of)
    }
}

/// Texts are cut only where the model has no more places, and none is filled up.
fn tokenizer(file: &Path, most_tokens: usize) -> Result<Tokenizer, ModelDirError> {
    let bytes = fs::read(file).map_err(|source| unreadable(file, source))?;
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| unusable(file, &error.to_string()))?;
    tokenizer.with_padding(None);
    let truncation = TruncationParams { max_length: most_tokens, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(|error| unusable(file, &error.to_string()))?;
    Ok(tokenizer)
}

fn hash_of(files: &[PathBuf]) -> Result<String, ModelDirError> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    for path in files {
        let mut file = File::open(path).map_err(|source| unreadable(path, source))?;
        loop {
            let count = file.read(&mut piece).map_err(|source| unreadable(path, source))?;
            if count == 0 {
                break;
            }
            hash.update(&piece[..count]);
        }
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// The first line: what comes after it is where in the library it was noticed.
fn told(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn unreadable(path: &Path, source: io::Error) -> ModelDirError {
    ModelDirError::Read { path: path.to_owned(), source }
}

fn unusable(path: &Path, why: &str) -> ModelDirError {
    ModelDirError::Unusable { path: path.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_wait_for_the_model_and_who_asks_is_served_first() {
        let line = Line::default();
        let stand = |haste: Haste| line.stand(format!("{haste:?}"), haste);
        let mut aside: Vec<_> = (0..WAITING_ASIDE).map(|_| stand(Haste::Aside).unwrap()).collect();
        let mut asked: Vec<_> = (0..WAITING_ASKED).map(|_| stand(Haste::Asked).unwrap()).collect();
        for (haste, waiting) in [(Haste::Aside, &mut aside), (Haste::Asked, &mut asked)] {
            assert!(matches!(stand(haste), Err(EmbedError::Unavailable(_))), "{haste:?}");
            waiting.pop();
            waiting.push(stand(haste).unwrap());
            assert!(stand(haste).is_err(), "only the place of who waits no more was free");
        }
        let served = || line.next().unwrap().text;
        assert!((0..WAITING_ASKED).all(|_| served() == "Asked"));
        assert!((0..WAITING_ASIDE).all(|_| served() == "Aside"));
        assert!(stand(Haste::Asked).is_ok() && stand(Haste::Aside).is_ok());
    }
}
