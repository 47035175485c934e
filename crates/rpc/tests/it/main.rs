//! The services over a real connection: what is asked of identity and what is answered, who is let
//! in, how streams end, and every bound; and the client of the one for our own processes.

#[cfg(test)]
mod app;
#[cfg(test)]
mod auth;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod health;
#[cfg(test)]
mod internal;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod reflection;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod streams;
