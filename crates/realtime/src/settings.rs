//! What an operator may set.

use std::time::Duration;

use crate::machine::Ms;
use crate::ring::Bounds;

/// Settings of the gateway; the defaults are those of the documentation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Worker threads, each with its own runtime.
    pub workers: usize,
    /// Most sockets of this process.
    pub max_connections: usize,
    /// Most sockets of one user.
    pub sockets_per_user: usize,
    /// How often clients are asked to beat.
    pub heartbeat_interval: Duration,
    /// Longest frame and message a client may send, in bytes.
    pub max_frame: usize,
    /// How long a session without a socket can be resumed.
    pub keep_detached: Duration,
    /// Events kept for RESUME per session, and their bytes.
    pub ring_events: usize,
    /// See `ring_events`.
    pub ring_bytes: usize,
    /// Events waiting per socket, and their bytes; beyond, the socket is closed as slow.
    pub queue_events: usize,
    /// See `queue_events`.
    pub queue_bytes: usize,
    /// Over how long a stopping node spreads its goodbyes.
    pub drain: Duration,
    /// How long sessions of a stopped node can be taken up by the next process.
    pub keep_spilled: Duration,
    /// Public address of the gateway (`wss://host/gateway`); from the `Host` header when absent.
    pub gateway_url: Option<String>,
    /// Which pages may open sockets. Programs send no `Origin` and are not asked for one.
    pub origins: web_kit::Cors,
    /// Number of this node in session ids.
    pub node: u16,
    /// Presences sent to sockets of this node in a second; newer ones take the place of older.
    pub presence_per_second: usize,
    /// Restores spilled sessions at start; for a node that is alone.
    pub restore: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let bounds = Bounds::default();
        Settings {
            workers: 1,
            max_connections: 20_000,
            sockets_per_user: 50,
            heartbeat_interval: Duration::from_millis(41_250),
            max_frame: 16 * 1024,
            keep_detached: Duration::from_secs(120),
            ring_events: bounds.kept,
            ring_bytes: bounds.kept_bytes,
            queue_events: bounds.queued,
            queue_bytes: bounds.queued_bytes,
            drain: Duration::from_secs(20),
            keep_spilled: Duration::from_secs(180),
            gateway_url: None,
            origins: web_kit::Cors::default(),
            node: 1,
            presence_per_second: 2_000,
            restore: true,
        }
    }
}

impl Settings {
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            kept: self.ring_events,
            kept_bytes: self.ring_bytes,
            queued: self.queue_events,
            queued_bytes: self.queue_bytes,
        }
    }

    pub(crate) fn heartbeat_ms(&self) -> Ms {
        Ms::try_from(self.heartbeat_interval.as_millis()).unwrap_or(Ms::MAX)
    }
}
