//! The whole system: the real binary on a private PostgreSQL, spoken to as clients do.

#[cfg(test)]
mod crash;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod everywhere;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod node;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod outbox;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod sign_out;
#[cfg(test)]
mod split;
#[cfg(test)]
mod start;
#[cfg(test)]
mod surface;
#[cfg(test)]
mod talk;
#[cfg(test)]
mod webhooks;
