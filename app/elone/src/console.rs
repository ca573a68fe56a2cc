//! The machine's console, as a reader and a writer.

use core::convert::Infallible;
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;

use elone_gate::calls;
use embedded_io_async::{ErrorType, Read, Write};

use crate::signals;

/// The console. There may be several; what one reads the others do not.
///
/// Until the first read nothing is kept of what arrives, so that a machine whose application never
/// reads is not kept awake by its console.
#[derive(Clone, Copy, Debug)]
pub struct Console(pub(crate) ());

impl ErrorType for Console {
    type Error = Infallible;
}

impl Read for Console {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        if bytes.is_empty() {
            return Ok(0);
        }
        poll_fn(|context| match calls::console_read(bytes) {
            0 => {
                signals::wake_on_console(context);
                Poll::Pending
            }
            length => Poll::Ready(Ok(length)),
        })
        .await
    }
}

/// For `write!`: the console takes everything at once.
impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        calls::console_write(text.as_bytes());
        Ok(())
    }
}

impl Write for Console {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        calls::console_write(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
