//! Integration tests: the real router over a real database.

#[cfg(test)]
mod access;
#[cfg(test)]
mod audit_log;
#[cfg(test)]
mod automod;
#[cfg(test)]
mod bots;
#[cfg(test)]
mod channels;
#[cfg(test)]
mod communities;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod emojis;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod forums;
#[cfg(test)]
mod icons;
#[cfg(test)]
mod invites;
#[cfg(test)]
mod many;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod members;
#[cfg(test)]
mod personal_data;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod safety;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod statistics;
#[cfg(test)]
mod templates;
#[cfg(test)]
mod trade;
