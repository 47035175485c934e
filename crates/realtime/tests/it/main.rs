//! The gateway over real sockets, with small stand-ins for the contexts it stands on.

#[cfg(test)]
mod catching_up;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod dispatch;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod gated;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod identify;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod personal_data;
#[cfg(test)]
mod presence;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod races;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod statements;
