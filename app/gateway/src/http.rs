//! A small HTTP/1.1 server (RFC 9110, RFC 9112) over any stream that reads, writes and closes.
//!
//! # Why a server of our own
//!
//! The rule of the house is a well-kept library, so both that there are were measured: one
//! keep-alive `GET` of 82 bytes, a response of about 190, over a pipe in memory, release build
//! (`opt-level = "s"`), counted by callgrind on x86_64; `examples/requests.rs` repeats it for this
//! server.
//!
//! | server           | instructions a request | writes a response | reads a request |
//! |------------------|-----------------------:|------------------:|----------------:|
//! | picoserve 0.20.1 |                 13,300 |                 8 |               1 |
//! | edge-http 0.8.0  |                 18,400 |                28 |              82 |
//! | this             |                  3,200 |                 1 |               1 |
//!
//! Each write may become a segment. Beyond the figures: picoserve takes a `Content-Length` that it
//! cannot read for 0 and knows no chunks in requests, so it may see other requests than the relay
//! in front of it does; edge-http closes on a malformed request without a status; neither tells
//! 408, 414 and 431 apart. What is well kept is used: `httparse` reads the grammar.
//!
//! # What it does without
//!
//! No `Date` (RFC 9110, section 6.6.1 asks it of servers that have a clock: reading this one's is
//! an exit to the hypervisor a request, more than all the rest), no compression, no ranges, no TLS.

mod answer;
mod chunks;
mod connection;
mod deadline;
mod fields;
mod framing;
mod head;
mod input;
pub mod limits;
mod output;
mod refusal;
mod response;
mod status;
mod transfer;

pub use answer::{Answer, Body, Progress, Service};
pub use connection::{Buffers, refuse, serve};
pub use framing::Framing;
pub use head::{Content, Expectation, Method, Persistence};
pub use input::Input;
pub use output::Output;
pub use refusal::{Field, Place, Refusal};
pub use status::Status;
