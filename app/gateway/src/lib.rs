//! Elone's default application: a telemetry gateway with a web page.
//!
//! Sensors post readings, the gateway keeps the last of them, and whoever asks gets them back:
//! as JSON, for Prometheus, or on a page that shows the machine too. See [`routes`] for what is
//! where.
//!
//! The service knows nothing of the machine but what [`machine::Machine`] says, and reads and
//! writes any stream, so all of it runs on the developer's machine under test; `main.rs` is where
//! it meets `elone`.
#![no_std]

extern crate alloc;

pub mod attend;
pub mod closing;
pub mod content;
pub mod gateway;
pub mod http;
pub mod intake;
pub mod machine;
pub mod query;
pub mod readings;
pub mod routes;
pub mod turnstile;

pub use gateway::Gateway;
