//! Integration tests of the data layer on a real PostgreSQL.

#[cfg(test)]
mod events;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod notes;
#[cfg(test)]
mod once;
#[cfg(test)]
mod pgbouncer;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod private_nodes;
#[cfg(test)]
mod private_pg;
#[cfg(test)]
mod private_ways;
#[cfg(test)]
mod purge;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod wakeup;
#[cfg(test)]
mod worker;
