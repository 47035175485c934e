//! Integration tests: the real router, a real PostgreSQL, a clock that stands still.

#[cfg(test)]
mod applications;
#[cfg(test)]
mod installs;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod world;
