//! A PostgreSQL of our own, run as a child.

mod programs;

pub use programs::{Programs, ProgramsError};
