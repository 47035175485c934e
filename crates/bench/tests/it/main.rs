//! The generator against a small server of our own, which can be told to make mistakes: what it
//! reports has to be true, above all when something is wrong.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod server;

#[cfg(test)]
mod auth;
#[cfg(test)]
mod runs;
