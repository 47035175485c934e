//! The service over a real connection: what is asked of identity and what is answered, who is let
//! in, how streams end, and every bound.

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
mod policies;
#[cfg(test)]
mod reflection;
#[cfg(test)]
mod streams;
