//! The emulator's own protocol (QMP): a JSON object a line, over a socket.

use std::io::{self, BufRead, BufReader, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::place::Stream;

/// How long an answer may take. The emulator answers between two guest instructions,
/// but it may be emulated itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A conversation with the emulator.
#[derive(Debug)]
pub struct Qmp {
    lines: BufReader<Box<dyn Stream>>,
    events: Vec<Value>,
}

impl Qmp {
    /// Exchanges greetings on a fresh connection, which has a time limit of [`PATIENCE`].
    pub(crate) fn greet(stream: Box<dyn Stream>) -> Result<Self> {
        let mut qmp = Self { lines: BufReader::new(stream), events: Vec::new() };
        qmp.read()?.context("the emulator hung up without a greeting")?;
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Has a command executed and returns its result.
    ///
    /// # Errors
    /// The emulator refuses it, or has ended.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let mut request = json!({ "execute": command, "arguments": arguments }).to_string();
        request.push('\n');
        self.lines.get_mut().write_all(request.as_bytes())?;
        loop {
            let mut answer =
                self.read()?.with_context(|| format!("{command}: the emulator has ended"))?;
            if answer.get("return").is_some() {
                return Ok(answer["return"].take());
            }
            if let Some(error) = answer.get("error") {
                bail!("{command}: {}", error["desc"].as_str().unwrap_or("refused"));
            }
            self.events.push(answer);
        }
    }

    /// Has a command of the human monitor executed and returns what it prints.
    ///
    /// # Errors
    /// The emulator has ended.
    pub fn monitor(&mut self, line: &str) -> Result<String> {
        let text = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Reads on until the emulator hangs up, and returns the reason that it gave for shutting down.
    pub(crate) fn shutdown_reason(mut self) -> Option<String> {
        while let Ok(Some(event)) = self.read() {
            self.events.push(event);
        }
        let shutdown = self.events.iter().find(|event| event["event"] == "SHUTDOWN")?;
        shutdown["data"]["reason"].as_str().map(str::to_owned)
    }

    fn read(&mut self) -> Result<Option<Value>> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(serde_json::from_str(&line)?)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error).context("reading the emulator's answer"),
        }
    }
}
