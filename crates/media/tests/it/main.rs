//! Integration tests: the real router over a real database.

#[cfg(test)]
mod claims;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod judging;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod personal_data;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod uploads;
