//! What this server takes, and how long it waits. Every connection ends by one of these.

use embassy_time::Duration;

/// The longest target of a request, in bytes; a longer one is answered with 414.
pub const TARGET: usize = 1024;

/// The largest head of a request (its line and header fields), in bytes; 431 beyond.
pub const HEAD: usize = 4096;

/// The most header fields; 431 beyond.
pub const FIELDS: usize = 48;

/// The largest content of a request, in bytes, after chunks are joined; 413 beyond.
pub const CONTENT: usize = 4096;

/// The longest line that starts a chunk (its size and extensions), and the longest trailer
/// section, in bytes; 400 beyond. The input buffer has this much room over [`CONTENT`].
pub const CHUNK_LINE: usize = 256;

/// What a response is gathered in, in bytes: two Ethernet segments' worth.
pub const OUTPUT: usize = 2 * 1460;

/// From a request's first byte to its head's last; 408 beyond. A new connection has as long to
/// send its first byte, and is closed without a word after that.
pub const HEAD_TIME: Duration = Duration::from_secs(10);

/// From the head's last byte to the content's last; 408 beyond.
pub const CONTENT_TIME: Duration = Duration::from_secs(10);

/// For [`OUTPUT`] bytes to be taken off our hands; a client that reads more slowly is cut off.
pub const WRITE_TIME: Duration = Duration::from_secs(10);

/// From a response to the next request's first byte; then the connection is closed.
pub const IDLE_TIME: Duration = Duration::from_secs(60);
