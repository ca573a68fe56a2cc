//! `GET /metrics`: the Prometheus text exposition format, version 0.0.4.

use core::fmt::{self, Write};

use super::format::{Number, Seconds};
use crate::Gateway;
use crate::http::{Output, Progress};
use crate::machine::Machine;
use crate::readings::{self, Reading};

/// How many sensors' last readings are shown at most.
const SENSORS: u16 = 64;

/// The metrics on their way out, one after the other.
pub struct Metrics<'g, M> {
    gateway: &'g Gateway<M>,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Info,
    /// By index.
    Protection(usize),
    LastFault,
    Responses,
    Stolen,
    Plain(usize),
    /// The last reading of each sensor: from the newest reading backwards.
    Sensors {
        next: u64,
        shown: u16,
    },
}

/// A metric of one number.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: u64,
}

impl<'g, M: Machine> Metrics<'g, M> {
    /// All metrics of a gateway.
    #[must_use]
    pub const fn new(gateway: &'g Gateway<M>) -> Self {
        Self { gateway, part: Part::Info }
    }

    pub(super) fn write(&mut self, output: &mut Output) -> Result<Progress, fmt::Error> {
        self.part = match self.part {
            Part::Info => {
                self.info(output)?;
                let help = "Whether a protection is in force, 1 or 0.";
                heading(output, "elone_protection", "gauge", help)?;
                Part::Protection(0)
            }
            Part::Protection(index) => match self.gateway.machine.about().protections.get(index) {
                Some((name, is_in_force)) => {
                    output.write_str("elone_protection{name=")?;
                    label(output, name)?;
                    writeln!(output, "}} {}", u8::from(is_in_force))?;
                    Part::Protection(index + 1)
                }
                None => Part::LastFault,
            },
            Part::LastFault => {
                self.last_fault(output)?;
                Part::Responses
            }
            Part::Responses => {
                self.responses(output)?;
                Part::Stolen
            }
            Part::Stolen => {
                self.stolen(output)?;
                Part::Plain(0)
            }
            Part::Plain(index) => match self.plain(index) {
                Some(metric) => {
                    heading(output, metric.name, metric.kind, metric.help)?;
                    writeln!(output, "{} {}", metric.name, metric.value)?;
                    Part::Plain(index + 1)
                }
                None => {
                    heading(output, "elone_reading", "gauge", "The last reading of each sensor.")?;
                    Part::Sensors { next: self.gateway.readings.newest(), shown: 0 }
                }
            },
            Part::Sensors { next, shown } => match self.last_of_a_sensor(next) {
                Some((number, reading)) if shown < SENSORS => {
                    sensor(output, &reading)?;
                    Part::Sensors { next: number - 1, shown: shown + 1 }
                }
                _ => return Ok(Progress::Done),
            },
        };
        Ok(Progress::More)
    }

    fn info(&self, output: &mut Output) -> fmt::Result {
        let about = self.gateway.machine.about();
        heading(output, "elone_info", "gauge", "What the machine is.")?;
        output.write_str("elone_info{")?;
        let labels = [
            ("version=", about.version),
            (",board=", about.board),
            (",core=", about.core),
            (",interrupt_controller=", about.interrupt_controller),
            (",hypervisor=", about.hypervisor),
            (",entered_at=", about.entered_at),
            (",running_at=", about.running_at),
        ];
        for (name, value) in labels {
            output.write_str(name)?;
            label(output, value)?;
        }
        output.write_str("} 1\n")
    }

    /// Left out where there was none, as Prometheus wants it of what is not known.
    fn last_fault(&self, output: &mut Output) -> fmt::Result {
        let Some(class) = self.gateway.machine.past().class() else { return Ok(()) };
        heading(output, "elone_last_fault_info", "gauge", "The latest fault; see /report.")?;
        output.write_str("elone_last_fault_info{class=")?;
        label(output, class)?;
        output.write_str("} 1\n")
    }

    fn responses(&self, output: &mut Output) -> fmt::Result {
        heading(output, "elone_http_responses_total", "counter", "Responses, by status class.")?;
        for class in [2, 4, 5] {
            let count = self.gateway.responses.class(class);
            writeln!(output, "elone_http_responses_total{{class=\"{class}xx\"}} {count}")?;
        }
        Ok(())
    }

    /// For how long others ran instead; nothing where the hypervisor does not say.
    fn stolen(&self, output: &mut Output) -> fmt::Result {
        let Some(time) = self.gateway.machine.stolen() else { return Ok(()) };
        let help = "Time for which the hypervisor let others run instead.";
        heading(output, "elone_stolen_seconds_total", "counter", help)?;
        writeln!(output, "elone_stolen_seconds_total {}", Seconds(time))
    }

    /// The metrics of one number, by index, without those that this machine does not know.
    fn plain(&self, index: usize) -> Option<Metric> {
        let Gateway { machine, readings: kept, connections, .. } = self.gateway;
        let network = machine.network();
        let heap = machine.heap();
        let gauge = |name, help, value| Some(Metric { name, kind: "gauge", help, value });
        let counter = |name, help, value| Some(Metric { name, kind: "counter", help, value });
        let seconds = self.gateway.uptime() / 1000;
        let (received, sent) = (network.received, network.sent);
        let past = machine.past();
        [
            gauge("elone_uptime_seconds", "Time since the machine's start.", seconds),
            counter("elone_faults_total", "Faults that were reported.", past.faults),
            counter("elone_restarts_total", "Starts after a fault.", past.restarts),
            gauge("elone_memory_bytes", "All RAM of the machine.", machine.about().memory),
            heap.and_then(|h| gauge("elone_heap_used_bytes", "The heap that is in use.", h.used)),
            heap.and_then(|h| gauge("elone_heap_size_bytes", "The heap that there is.", h.size)),
            counter("elone_net_received_frames_total", "Frames that arrived.", received),
            counter("elone_net_sent_frames_total", "Frames that were sent.", sent),
            gauge("elone_connections_open", "Connections at this moment.", connections.open()),
            gauge("elone_connections_limit", "Connections served at a time.", connections.limit),
            counter(
                "elone_connections_accepted_total",
                "Connections that were served.",
                connections.accepted.get(),
            ),
            counter(
                "elone_connections_refused_total",
                "Connections beyond the limit.",
                connections.refused.get(),
            ),
            gauge("elone_readings_held", "Readings that are kept.", kept.held()),
            gauge("elone_readings_capacity", "Readings to keep.", readings::CAPACITY as u64),
            counter("elone_readings_stored_total", "Readings that were posted.", kept.newest()),
            counter("elone_readings_dropped_total", "Readings overwritten.", kept.dropped()),
        ]
        .into_iter()
        .flatten()
        .nth(index)
    }

    /// The next reading, from `next` backwards, that is its sensor's last.
    fn last_of_a_sensor(&self, next: u64) -> Option<(u64, Reading)> {
        let kept = &self.gateway.readings;
        (kept.oldest()..=next).rev().find_map(|number| {
            let reading = kept.get(number)?;
            let newer = (number + 1..=kept.newest())
                .any(|other| kept.get(other).is_some_and(|other| other.sensor == reading.sensor));
            (!newer).then_some((number, reading))
        })
    }
}

fn heading(output: &mut Output, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(output, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn sensor(output: &mut Output, reading: &Reading) -> fmt::Result {
    output.write_str("elone_reading{sensor=")?;
    label(output, reading.sensor.as_str())?;
    output.write_str(",unit=")?;
    label(output, reading.unit.as_str())?;
    writeln!(output, "}} {}", Number(reading.value))
}

/// A label's value: quotes, backslashes and line ends are escaped.
fn label(output: &mut Output, value: &str) -> fmt::Result {
    output.write_str("\"")?;
    for character in value.chars() {
        match character {
            '"' | '\\' => write!(output, "\\{character}")?,
            '\n' => output.write_str("\\n")?,
            _ => output.write_char(character)?,
        }
    }
    output.write_str("\"")
}

impl<M> fmt::Debug for Metrics<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metrics({:?})", self.part)
    }
}
