//! A small HTTP/1.1 server (RFC 9110, RFC 9112) over any stream that reads, writes and closes.
//!
//! # Why a server of our own
//!
//! The rule of the house is a well-kept library. Two were measured for this; the parser that is
//! used, `httparse`, is one, and what stands around it here is what they lack.
//! MEASURED
mod answer;
mod chunks;
mod connection;
mod deadline;
mod framing;
mod head;
mod input;
pub mod limits;
mod output;
mod refusal;
mod response;
mod status;

pub use answer::{Answer, Body, Progress, Service};
pub use connection::{Buffers, refuse, serve};
pub use framing::Framing;
pub use head::{Content, Expectation, Method, Persistence};
pub use input::Input;
pub use output::Output;
pub use refusal::{Field, Place, Refusal};
pub use status::Status;
