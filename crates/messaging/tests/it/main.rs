//! Integration tests: the real router, a real PostgreSQL, a clock that stands still.

#[cfg(test)]
mod appending;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod changing;
#[cfg(test)]
mod communities;
#[cfg(test)]
mod direct;
#[cfg(test)]
mod partitions;
#[cfg(test)]
mod personal_data;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod slow_mode;
#[cfg(test)]
mod typing;
#[cfg(test)]
mod world;
