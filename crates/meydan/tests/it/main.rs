//! The whole system: the real binary on a private PostgreSQL, spoken to as clients do.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod node;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod start;
#[cfg(test)]
mod surface;
#[cfg(test)]
mod talk;
