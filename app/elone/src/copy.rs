//! Moving bytes from reader to writer.

use embedded_io_async::{Read, Write};

/// Writes back to `stream` what it reads from it, until its end; returns how many bytes it was.
///
/// # Errors
/// Those of the stream.
pub async fn back<S: Read + Write>(stream: &mut S, buffer: &mut [u8]) -> Result<u64, S::Error> {
    let mut count = 0;
    loop {
        let length = stream.read(buffer).await?;
        if length == 0 {
            stream.flush().await?;
            return Ok(count);
        }
        stream.write_all(&buffer[..length]).await?;
        count += length as u64;
    }
}

/// Writes to `writer` what it reads from `reader`, until its end; returns how many bytes it was.
///
/// # Errors
/// Those of the reader and of the writer, which must be of one type.
pub async fn all<R, W>(reader: &mut R, writer: &mut W, buffer: &mut [u8]) -> Result<u64, R::Error>
where
    R: Read,
    W: Write<Error = R::Error>,
{
    let mut count = 0;
    loop {
        let length = reader.read(buffer).await?;
        if length == 0 {
            writer.flush().await?;
            return Ok(count);
        }
        writer.write_all(&buffer[..length]).await?;
        count += length as u64;
    }
}
