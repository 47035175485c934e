//! Integration tests.

#[cfg(test)]
#[path = "../../fuzz/bodies.rs"]
mod bodies;
#[cfg(test)]
mod builders;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod encode;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod splits;
#[cfg(test)]
mod tungstenite_frames;
#[cfg(test)]
mod tungstenite_handshake;
