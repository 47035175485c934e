//! `limits`: what this computer can do at best, the yardstick for every figure of a server.
//!
//! Loopback sockets, processor time of this thread. On loopback the receiver's share of the
//! kernel's work runs inside `send`.

use std::hint::black_box;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::Context;
use serde::Serialize;

use crate::args::{Options, Output};
use crate::clock::thread_cpu_ns;
use crate::num::{count, float, ratio, round3};

/// What one frame weighs.
const FRAME: usize = 192;
/// Both ends count against the limit of open files.
const PAIRS_MAX: usize = 5_000;
const ROUNDS: usize = 8;
const CALLS: usize = 200_000;

/// One row of the table.
#[derive(Debug, Serialize)]
struct Row {
    scenario: &'static str,
    what: &'static str,
    sockets: usize,
    /// Processor time.
    us_per_frame: f64,
    per_core_s: f64,
    judged: bool,
}

/// Measures and prints.
pub(crate) fn run(options: &Options, out: &mut dyn Write) -> anyhow::Result<i32> {
    let mut pairs = Pairs::connect(options.sockets.min(PAIRS_MAX))?;
    let sockets = pairs.senders.len();
    let mut rows = vec![
        row("null system call", 0, null_calls(), count(CALLS)),
        row("copy of 192 B", 0, copies(), count(CALLS)),
    ];
    for (what, frames) in [("send 192 B", 1), ("writev of 4", 4), ("writev of 16", 16)] {
        let (written, read) = pairs.measure(frames)?;
        let total = count(frames * sockets * ROUNDS);
        rows.push(row(what, sockets, written, total));
        let reading = match frames {
            1 => "read 1 frame",
            4 => "read 4 frames",
            _ => "read 16 frames",
        };
        rows.push(row(reading, sockets, read, total));
    }
    for row in &rows {
        match options.output {
            Output::Json => writeln!(out, "{}", serde_json::to_string(row)?)?,
            Output::Table => writeln!(
                out,
                "{:<18} {:>9} µs per frame {:>12} /s per core",
                row.what, row.us_per_frame, row.per_core_s
            )?,
        }
    }
    Ok(0)
}

fn row(what: &'static str, sockets: usize, cpu_ns: u64, frames: u64) -> Row {
    let us_per_frame = ratio(float(cpu_ns) / 1_000.0, float(frames)).unwrap_or(0.0);
    Row {
        scenario: "limits",
        what,
        sockets,
        us_per_frame: (us_per_frame * 10_000.0).round() / 10_000.0,
        // A debug build adds its own time to every call.
        judged: !cfg!(debug_assertions),
        per_core_s: round3(ratio(1_000_000.0, us_per_frame).unwrap_or(0.0)).round(),
    }
}

fn null_calls() -> u64 {
    let before = thread_cpu_ns();
    for _ in 0..CALLS {
        black_box(nix::unistd::getppid());
    }
    thread_cpu_ns().saturating_sub(before)
}

fn copies() -> u64 {
    let from = [7_u8; FRAME];
    let mut to = [0_u8; FRAME];
    let before = thread_cpu_ns();
    for _ in 0..CALLS {
        black_box(&mut to).copy_from_slice(black_box(&from));
    }
    black_box(&to);
    thread_cpu_ns().saturating_sub(before)
}

/// Connected sockets, both ends here.
struct Pairs {
    senders: Vec<TcpStream>,
    receivers: Vec<TcpStream>,
}

impl Pairs {
    fn connect(wanted: usize) -> anyhow::Result<Pairs> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let mut pairs = Pairs {
            senders: Vec::new(),
            receivers: Vec::new(),
        };
        for _ in 0..wanted {
            let sender = TcpStream::connect(address).context("connecting to this computer")?;
            sender.set_nodelay(true)?;
            pairs.senders.push(sender);
            pairs.receivers.push(listener.accept()?.0);
        }
        Ok(pairs)
    }

    /// Writes that many frames to every socket in one call each, and reads them. Gives processor
    /// time of the writing and of the reading; the first, cold round is not counted.
    fn measure(&mut self, frames: usize) -> anyhow::Result<(u64, u64)> {
        let frame = [b'x'; FRAME];
        let slices = vec![IoSlice::new(&frame); frames];
        let mut buffer = vec![0; FRAME * frames];
        let mut written_ns = 0_u64;
        let mut read_ns = 0_u64;
        for round in 0..=ROUNDS {
            let start = thread_cpu_ns();
            for sender in &mut self.senders {
                let written = sender.write_vectored(&slices)?;
                anyhow::ensure!(
                    written == buffer.len(),
                    "a socket took only {written} bytes"
                );
            }
            let middle = thread_cpu_ns();
            for receiver in &mut self.receivers {
                receiver.read_exact(&mut buffer)?;
            }
            if round > 0 {
                written_ns += middle.saturating_sub(start);
                read_ns += thread_cpu_ns().saturating_sub(middle);
            }
        }
        Ok((written_ns, read_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_per_frame() {
        let row = row("x", 1, 4_000_000, 1_000);
        assert_eq!(row.us_per_frame, 4.0);
        assert_eq!(row.per_core_s, 250_000.0);
    }

    #[test]
    fn batching_is_cheaper_per_frame() {
        let mut pairs = Pairs::connect(50).unwrap();
        let (one, _) = pairs.measure(1).unwrap();
        let (sixteen, _) = pairs.measure(16).unwrap();
        // Sixteen times the frames for far less than sixteen times the work.
        assert!(one > 0 && sixteen < one * 16, "{one} {sixteen}");
    }
}
