//! Talking, with services outside that take no time of their own: how long the first sound of a reply is on its way, what a
//! spoken turn costs, how soon an interruption is felt outside, and what sockets take that nobody talks over.

use std::process::Command;

use anyhow::Result;

use crate::Bench;
use crate::edge::Ours;
use crate::house::House;
use crate::table::Row;

mod first_sound;
mod idle;
mod interrupted;
mod outside;
mod process;
mod socket;

use outside::Outside;

pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = first_sound::measure(bench)?;
    rows.extend(process::measure(bench)?);
    rows.extend(interrupted::measure(bench)?);
    rows.extend(idle::measure(bench)?);
    Ok(rows)
}

/// The real server, which hears, thinks and speaks through the services `outside`, with more settings.
fn serve(bench: &Bench, name: &str, outside: &Outside, settings: &[(&str, &str)]) -> Result<Ours> {
    let house = House::new(bench.path(name));
    let mut program = Command::new(env!("CARGO_BIN_EXE_companion"));
    house.move_in(&mut program);
    let base = outside.base();
    program.env("LLM_BASE_URL", &base).env("STT_BASE_URL", &base).env("TTS_BASE_URL", &base);
    program.env("SMALL_TEXT_MODEL_NAME", outside::SUMS_UP);
    Ours::start(program.envs(settings.iter().copied()))
}

/// So much speech, as a WAV file of 16 bits, 16,000 times a second; all samples hold `number`.
fn recording(seconds: f64, number: u8) -> Vec<u8> {
    const RATE: u32 = 16_000;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of a short recording"
    )]
    let bytes = (f64::from(2 * RATE) * seconds) as u32;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    // Plain samples, one channel.
    wav.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    wav.extend([RATE, 2 * RATE].map(u32::to_le_bytes).concat());
    wav.extend([2_u16, 16].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.resize(wav.len() + bytes as usize, number);
    wav
}
