//! A model's numbers, read from its `model.safetensors` one tensor after the other, so that they are in memory only once.
//!
//! Bounds: a header of 16 MiB.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use candle_nn::Init;
use candle_nn::var_builder::SimpleBackend;
use serde::Deserialize;

const MOST_HEADER_BYTES: u64 = 16 << 20;

/// The file and what its header says.
pub(super) struct Weights {
    file: File,
    /// Where the numbers begin, and where the file ends.
    begin: u64,
    end: u64,
    tensors: HashMap<String, Stored>,
}

/// Where a tensor's numbers are, from `begin` on.
#[derive(Deserialize)]
struct Stored {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Weights {
    /// Reads the header: its length in eight bytes, then JSON.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let end = file.metadata()?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > MOST_HEADER_BYTES.min(end) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has no header of safetensors"));
        }
        let mut header = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact(&mut header)?;
        let mut told: HashMap<String, serde_json::Value> = serde_json::from_slice(&header)?;
        told.remove("__metadata__");
        let tensor = |(name, told)| Ok((name, serde_json::from_value(told)?));
        let tensors = told.into_iter().map(tensor).collect::<io::Result<_>>()?;
        Ok(Self { file, begin: 8 + length, end, tensors })
    }

    fn read(&self, name: &str, stored: &Stored) -> Result<Tensor> {
        let (from, to) = stored.data_offsets;
        let Some(length) = to.checked_sub(from).filter(|_| self.begin.saturating_add(to) <= self.end) else {
            bail!("{name} lies outside of the file");
        };
        let Ok(dtype) = stored.dtype.to_lowercase().parse::<DType>() else {
            bail!("{name} has numbers of an unknown kind");
        };
        let count = stored.shape.iter().try_fold(dtype.size_in_bytes(), |all, side| all.checked_mul(*side));
        if count.map(|bytes| bytes as u64) != Some(length) {
            bail!("{name} has not as many numbers as its shape says");
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, self.begin + from)?;
        Tensor::from_raw_buffer(&bytes, dtype, &stored.shape, &Device::Cpu)?.to_dtype(DType::F32)
    }
}

impl SimpleBackend for Weights {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if *tensor.shape() != shape {
            bail!("{name} has the shape {:?}, where {shape:?} is needed", tensor.shape());
        }
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        match self.tensors.get(name) {
            Some(stored) => self.read(name, stored),
            None => bail!("there is no {name} in it"),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}
