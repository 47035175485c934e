//! The real router on a real database, with a clock that stands still and a seeded random source.

#![cfg(test)]

mod api_keys;
mod authenticator;
mod calls;
mod consents;
mod contact_change;
mod contacts;
mod corpus;
mod demo;
mod devices;
mod dialect;
mod equal_work;
mod every_login;
mod friends;
#[path = "../../fuzz/bodies.rs"]
mod fuzz_bodies;
mod harness;
mod hs256;
mod impersonation;
mod keys;
mod links;
mod login;
mod news;
mod oauth;
mod operator;
mod otp;
mod otp_calls;
#[cfg(test)]
mod otp_limits;
mod pages;
mod passkeys;
mod passwords;
mod personal_data;
mod pictures;
mod post;
mod profile;
mod refresh;
mod registration;
mod registration_lock;
mod rotation;
mod second_factor;
mod service_tokens;
mod setup;
mod software_key;
mod staff;
mod statements;
mod stuffing;
mod tokens;
mod totp;
mod unproved;
mod visibility;
mod ways_in;
