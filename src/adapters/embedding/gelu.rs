//! GELU (Hendrycks & Gimpel 2016) with the exact error function, for many numbers at once.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape};

/// x Φ(x).
pub(super) struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let numbers = storage.as_slice::<f32>()?;
        let Some((from, to)) = layout.contiguous_offsets() else {
            candle_core::bail!("the numbers do not lie one beside the other")
        };
        let numbers = numbers.get(from..to).unwrap_or_default();
        Ok((CpuStorage::F32(numbers.iter().copied().map(gelu).collect()), layout.shape().clone()))
    }
}

fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function, as the rational function that Eigen and XLA use (`generic_fast_erf_float`): without branches, so that
/// a processor takes several numbers at once. Beyond 4 it is 1 in single precision.
fn erf(x: f32) -> f32 {
    const ABOVE: [f32; 7] = [
        -2.726_142_4e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_5e-5,
        -7.349_906_5e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const BELOW: [f32; 5] = [-1.456_607_1e-5, -2.133_740_5e-4, -1.682_827e-3, -7.373_329e-3, -1.426_474e-2];
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let of = |coefficients: &[f32]| coefficients.iter().fold(0.0, |sum, next| sum * square + next);
    x * of(&ABOVE) / of(&BELOW)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn it_is_that_of_the_exact_error_function() {
        let numbers: Vec<f32> = (-8000..=8000).map(|number| number as f32 / 1000.0).collect();
        let tensor = Tensor::new(numbers.as_slice(), &Device::Cpu).unwrap();
        let exact: Vec<f32> = tensor.gelu_erf().unwrap().to_vec1().unwrap();
        let fast: Vec<f32> = tensor.apply_op1_no_bwd(&Gelu).unwrap().to_vec1().unwrap();
        for ((number, exact), fast) in numbers.iter().zip(exact).zip(fast) {
            assert!((exact - fast).abs() <= 1e-6 * number.abs().max(1.0), "{number}: {exact} {fast}");
        }
    }
}
