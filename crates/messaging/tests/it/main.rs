//! Integration tests: the real router, a real PostgreSQL, a clock that stands still.

#[cfg(test)]
mod acks;
#[cfg(test)]
mod appending;
#[cfg(test)]
mod attachments;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod catching_up;
#[cfg(test)]
mod changing;
#[cfg(test)]
mod client;
#[cfg(test)]
mod communities;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod direct;
#[cfg(test)]
mod disappearing;
#[cfg(test)]
mod drafts;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod many;
#[cfg(test)]
mod mentioning;
#[cfg(test)]
mod moderated;
#[cfg(test)]
mod partitions;
#[cfg(test)]
mod personal_data;
#[cfg(test)]
mod pins;
#[cfg(test)]
mod polls;
#[cfg(test)]
mod previews;
#[cfg(test)]
mod reactions;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod receipts;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod scheduled;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod slow_mode;
#[cfg(test)]
mod two_devices;
#[cfg(test)]
mod typing;
#[cfg(test)]
mod unread;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod world;
