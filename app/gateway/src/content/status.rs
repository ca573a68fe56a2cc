//! `GET /api/status`: what the page shows, as JSON.

use core::fmt::{self, Write};
use core::net::IpAddr;

use super::format::{Mac, OrNull, Seconds};
use crate::Gateway;
use crate::http::{Output, Progress};
use crate::machine::Machine;
use crate::readings;

/// The report on its way out, one object after the other.
pub struct StatusReport<'g, M> {
    gateway: &'g Gateway<M>,
    part: u8,
}

impl<'g, M> StatusReport<'g, M> {
    pub(super) const fn new(gateway: &'g Gateway<M>) -> Self {
        Self { gateway, part: 0 }
    }
}

impl<M: Machine> StatusReport<'_, M> {
    pub(super) fn write(&mut self, output: &mut Output) -> Result<Progress, fmt::Error> {
        match self.part {
            0 => self.machine(output)?,
            1 => self.past(output)?,
            2 => self.network(output)?,
            3 => self.service(output)?,
            _ => {
                self.memory(output)?;
                return Ok(Progress::Done);
            }
        }
        self.part += 1;
        Ok(Progress::More)
    }

    fn machine(&self, output: &mut Output) -> fmt::Result {
        let about = self.gateway.machine.about();
        for (name, value) in [
            ("{\"version\":", about.version),
            (",\"machine\":{\"board\":", about.board),
            (",\"core\":", about.core),
            (",\"interrupt_controller\":", about.interrupt_controller),
            (",\"hypervisor\":", about.hypervisor),
            (",\"entered_at\":", about.entered_at),
            (",\"running_at\":", about.running_at),
        ] {
            output.write_str(name)?;
            output.quoted(value)?;
        }
        output.write_str(",\"protections\":[")?;
        for (index, name) in about.protections.in_force().enumerate() {
            output.write_str(if index == 0 { "" } else { "," })?;
            output.quoted(name)?;
        }
        let milliseconds = self.gateway.uptime();
        write!(
            output,
            "],\"memory\":{}}},\"uptime\":{}.{:03},\"stolen\":{},\"time\":{}",
            about.memory,
            milliseconds / 1000,
            milliseconds % 1000,
            OrNull(self.gateway.machine.stolen().map(Seconds)),
            OrNull(self.gateway.machine.date()),
        )
    }

    fn past(&self, output: &mut Output) -> fmt::Result {
        let past = self.gateway.machine.past();
        write!(output, ",\"restarts\":{},\"faults\":{}", past.restarts, past.faults)?;
        output.write_str(",\"last_fault\":")?;
        match past.class() {
            Some(class) => output.quoted(class),
            None => output.write_str("null"),
        }
    }

    fn network(&self, output: &mut Output) -> fmt::Result {
        let network = self.gateway.machine.network();
        output.write_str(",\"network\":{\"address\":")?;
        address(output, network.address)?;
        output.write_str(",\"gateway\":")?;
        address(output, network.gateway)?;
        let (mac, configured) = (Mac(network.mac), network.configured.as_str());
        write!(output, ",\"mac\":\"{mac}\",\"configured\":\"{configured}\"")?;
        write!(output, ",\"received\":{},\"sent\":{}}}", network.received, network.sent)
    }

    fn service(&self, output: &mut Output) -> fmt::Result {
        let connections = &self.gateway.connections;
        write!(
            output,
            ",\"connections\":{{\"open\":{},\"limit\":{},\"accepted\":{},\"refused\":{}}}",
            connections.open(),
            connections.limit,
            connections.accepted.get(),
            connections.refused.get(),
        )?;
        let responses = &self.gateway.responses;
        write!(
            output,
            ",\"requests\":{{\"total\":{},\"2xx\":{},\"4xx\":{},\"5xx\":{}}}",
            responses.total(),
            responses.class(2),
            responses.class(4),
            responses.class(5),
        )
    }

    fn memory(&self, output: &mut Output) -> fmt::Result {
        let kept = &self.gateway.readings;
        write!(
            output,
            ",\"readings\":{{\"held\":{},\"capacity\":{},\"stored\":{},\"dropped\":{}}},\"heap\":",
            kept.held(),
            readings::CAPACITY,
            kept.newest(),
            kept.dropped(),
        )?;
        match self.gateway.machine.heap() {
            Some(heap) => {
                write!(output, "{{\"used\":{},\"size\":{}}}", heap.used, heap.size)?;
            }
            None => output.write_str("null")?,
        }
        output.write_str("}\n")
    }
}

fn address(output: &mut Output, address: Option<IpAddr>) -> fmt::Result {
    match address {
        Some(address) => write!(output, "\"{address}\""),
        None => output.write_str("null"),
    }
}

impl<M> fmt::Debug for StatusReport<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusReport(part {})", self.part)
    }
}
