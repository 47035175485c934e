//! The real router on a real database, with a clock that stands still and a seeded random source.

#![cfg(test)]

mod api_keys;
mod authenticator;
mod calls;
mod consents;
mod contact_change;
mod contacts;
mod demo;
mod devices;
mod dialect;
mod every_login;
mod friends;
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
mod post;
mod profile;
mod refresh;
mod registration;
mod registration_lock;
mod second_factor;
mod setup;
mod software_key;
mod staff;
mod statements;
mod stuffing;
mod tokens;
mod totp;
mod visibility;
