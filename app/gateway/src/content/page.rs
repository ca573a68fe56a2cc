//! `GET /`: the page. `page.html` with `{{name}}` where live values go.

use core::fmt::{self, Write};

use super::format::{Address, Mac, Seconds, Size, Span};
use crate::Gateway;
use crate::http::{Output, Progress};
use crate::machine::Machine;
use crate::readings;

/// The page, with gaps.
pub const TEMPLATE: &str = include_str!("page.html");

/// The page's header fields. What it may do is little, and named: the style and the script
/// that stand in it, by their SHA-256, and requests to where it came from.
pub const FIELDS: &str = "Content-Type: text/html; charset=utf-8\r\n\
    Cache-Control: no-store\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Content-Security-Policy: default-src 'none'; connect-src 'self'; img-src data:; \
    style-src 'sha256-Mi+D06ECfPS0p4AxZ7Syx2b9KBvs1SEihU5kb+w2h0E='; \
    script-src 'sha256-y+pon46jrymuK++OZSULo3oJxIUHrIYI1fLhqI0IHeE='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";

/// The page on its way out.
pub struct Page<'g, M> {
    gateway: &'g Gateway<M>,
    /// What of the template is still to be written.
    rest: &'static str,
}

impl<'g, M: Machine> Page<'g, M> {
    /// The page of a gateway.
    #[must_use]
    pub const fn new(gateway: &'g Gateway<M>) -> Self {
        Self { gateway, rest: TEMPLATE }
    }

    pub(super) fn write(&mut self, output: &mut Output) -> Result<Progress, fmt::Error> {
        let text = self.rest.find("{{").map_or(self.rest, |gap| &self.rest[..gap]);
        if !text.is_empty() {
            // As much as there is room for: the stretches between gaps may be long.
            let length = text.floor_char_boundary(output.room());
            if length == 0 {
                return Err(fmt::Error);
            }
            output.write_str(&text[..length])?;
            self.rest = &self.rest[length..];
            return Ok(Progress::More);
        }
        let Some((name, rest)) = self.rest.strip_prefix("{{").and_then(|r| r.split_once("}}"))
        else {
            return Ok(Progress::Done);
        };
        self.value(name, output)?;
        self.rest = rest;
        Ok(Progress::More)
    }

    /// Writes what goes into a gap. A name that nobody knows stays empty; a test looks for those.
    fn value(&self, name: &str, output: &mut Output) -> fmt::Result {
        let Gateway { machine, connections, readings: kept, responses, .. } = self.gateway;
        let (about, past, network) = (machine.about(), machine.past(), machine.network());
        match name {
            "version" => output.escaped(about.version),
            "board" => output.escaped(about.board),
            "core" => output.escaped(about.core),
            "interrupt_controller" => output.escaped(about.interrupt_controller),
            "hypervisor" => output.escaped(about.hypervisor),
            "entered_at" => output.escaped(about.entered_at),
            "running_at" => output.escaped(about.running_at),
            "mode" if about.running_at == "EL0" => output.write_str("contained"),
            "mode" => output.write_str("joined"),
            "el0" if about.running_at == "EL0" => output.write_str("contained"),
            "el0" => output.write_str("nobody"),
            "past" => output.write_str(if past.is_eventful() { "some" } else { "none" }),
            "restarts" => output.decimal(past.restarts),
            "faults" => output.decimal(past.faults),
            "last_fault" => output.escaped(past.class().unwrap_or("not known")),
            "protections" => {
                let mut names = about.protections.in_force();
                output.escaped(names.next().unwrap_or("none"))?;
                names.try_for_each(|name| write!(output, " {name}"))
            }
            "memory" => write!(output, "{}", Size(about.memory)),
            "heap" => match machine.heap() {
                Some(heap) => write!(output, "{} of {}", Size(heap.used), Size(heap.size)),
                None => output.write_str("not known"),
            },
            "stolen" => match machine.stolen() {
                Some(time) => write!(output, "{} s", Seconds(time)),
                None => output.write_str("not known"),
            },
            "uptime" => write!(output, "{}", Span(self.gateway.uptime() / 1000)),
            "address" => write!(output, "{}", Address(network.address)),
            "gateway" => write!(output, "{}", Address(network.gateway)),
            "mac" => write!(output, "{}", Mac(network.mac)),
            "configured" => output.write_str(network.configured.as_str()),
            "received" => output.decimal(network.received),
            "sent" => output.decimal(network.sent),
            "open" => output.decimal(connections.open()),
            "limit" => output.decimal(connections.limit),
            "accepted" => output.decimal(connections.accepted.get()),
            "refused" => output.decimal(connections.refused.get()),
            "requests" => output.decimal(responses.total()),
            "failed" => output.decimal(responses.class(4) + responses.class(5)),
            "held" => output.decimal(kept.held()),
            "dropped" => output.decimal(kept.dropped()),
            "capacity" => output.decimal(readings::CAPACITY as u64),
            _ => Ok(()),
        }
    }
}

impl<M> fmt::Debug for Page<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({} bytes to go)", self.rest.len())
    }
}
