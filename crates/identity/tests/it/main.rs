//! The real router on a real database, with a clock that stands still and a seeded random source.

#![cfg(test)]

mod authenticator;
mod calls;
mod contacts;
mod demo;
mod devices;
mod dialect;
mod friends;
mod harness;
mod keys;
mod login;
#[cfg(test)]
mod operator;
mod passwords;
mod profile;
mod refresh;
mod registration;
mod second_factor;
mod setup;
mod statements;
mod tokens;
mod totp;
mod visibility;
