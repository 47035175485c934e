//! The load generator by itself; `meydan bench` is the same.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let code = bench::run(&args)?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
