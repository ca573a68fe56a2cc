//! What the resources say, written piece by piece.

mod format;
mod list;
mod metrics;
pub mod page;
mod report;
mod status;

use core::fmt::{self, Write};

use crate::Gateway;
use crate::http::{Body, Output, Progress};
use crate::machine::Machine;

pub use list::List;
pub use metrics::Metrics;
pub use page::Page;
pub use report::Report;
pub use status::StatusReport;

/// The content of a response.
#[derive(Debug)]
pub enum Content<'g, M> {
    /// `GET /`.
    Page(Page<'g, M>),
    /// `GET /health`: what load tests measure, and watchdogs ask; so it is small and cheap.
    Health(&'g Gateway<M>),
    /// `GET /metrics`.
    Metrics(Metrics<'g, M>),
    /// `GET /api/status`.
    Status(StatusReport<'g, M>),
    /// `GET /api/readings`.
    List(List<'g, M>),
    /// `GET /report`.
    Report(Report),
    /// `POST /api/readings`: the numbers of what was stored.
    Stored {
        /// The first one's.
        first: u64,
        /// The last one's; less than the first's where there was none.
        last: u64,
    },
}

impl<'g, M: Machine> Content<'g, M> {
    /// The report of `GET /api/status`.
    pub(crate) const fn status(gateway: &'g Gateway<M>) -> Self {
        Self::Status(StatusReport::new(gateway))
    }
}

impl<M: Machine> Body for Content<'_, M> {
    fn write(&mut self, output: &mut Output) -> Result<Progress, fmt::Error> {
        match self {
            Self::Health(gateway) => health(gateway, output),
            Self::Page(page) => page.write(output),
            Self::Metrics(metrics) => metrics.write(output),
            Self::Status(report) => report.write(output),
            Self::List(list) => list.write(output),
            Self::Report(report) => report.write(output),
            Self::Stored { first, last } => stored(*first, *last, output),
        }
    }
}

fn health<M: Machine>(gateway: &Gateway<M>, output: &mut Output) -> Result<Progress, fmt::Error> {
    let status = if gateway.closing.has_begun() { "closing" } else { "ok" };
    output.write_str("{\"status\":\"")?;
    output.write_str(status)?;
    output.write_str("\",\"uptime\":")?;
    output.decimal(gateway.uptime() / 1000)?;
    output.write_str(",\"requests\":")?;
    output.decimal(gateway.responses.total())?;
    output.write_str("}\n")?;
    Ok(Progress::Done)
}

fn stored(first: u64, last: u64, output: &mut Output) -> Result<Progress, fmt::Error> {
    let count = (last + 1).saturating_sub(first);
    if count == 0 {
        output.write_str("{\"stored\":0}\n")?;
    } else {
        writeln!(output, "{{\"stored\":{count},\"first\":{first},\"last\":{last}}}")?;
    }
    Ok(Progress::Done)
}
