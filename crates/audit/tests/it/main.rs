//! The chain over a real database.

#[cfg(test)]
mod chain;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod personal_data;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod statements;
