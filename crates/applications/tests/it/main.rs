//! Integration tests: the real router over a real database.

#[cfg(test)]
mod applications;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod deliveries;
#[cfg(test)]
mod fixture;
#[cfg(test)]
#[path = "../../fuzz/bodies.rs"]
mod fuzz_bodies;
#[cfg(test)]
mod installs;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod personal_data;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod telling;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod writing;
