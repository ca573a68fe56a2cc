//! Which readings a client asks for: `?sensor=NAME&limit=COUNT&since=NUMBER`.

use crate::http::{Field, Refusal, Status};
use crate::readings::{CAPACITY, Sensor};

/// How many readings are listed where nobody says how many.
const USUAL: u64 = 100;

/// Which readings are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Only this sensor's.
    pub sensor: Option<Sensor>,
    /// At most so many, the newest of them.
    pub limit: u64,
    /// Only those with a greater number: a client that remembers the last one it saw gets each
    /// reading once, whatever the clocks do.
    pub since: u64,
}

impl Query {
    /// Reads what stands behind the `?`, which may be nothing.
    ///
    /// # Errors
    /// 400, with the parameter's name, for one that is unknown, there twice, or no good.
    pub fn read(query: &str) -> Result<Self, Refusal> {
        let (mut sensor, mut limit, mut since) = (None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (twice, good) = match name {
                "sensor" => (sensor.replace(decoded(value)?).is_some(), true),
                "limit" => {
                    let number = value.parse().ok().filter(|n| (1..=CAPACITY as u64).contains(n));
                    (limit.is_some(), put(&mut limit, number))
                }
                "since" => (since.is_some(), put(&mut since, value.parse().ok())),
                _ => return Err(refusal("unknown parameter", name)),
            };
            if twice {
                return Err(refusal("the parameter is there twice", name));
            }
            if !good {
                return Err(refusal("must be a number in range", name));
            }
        }
        Ok(Self { sensor, limit: limit.unwrap_or(USUAL), since: since.unwrap_or(0) })
    }
}

/// Puts a value into its place, and says whether there was one.
fn put(place: &mut Option<u64>, value: Option<u64>) -> bool {
    *place = value;
    value.is_some()
}

/// A sensor's name with `%XX` undone (RFC 3986, section 2.1).
fn decoded(value: &str) -> Result<Sensor, Refusal> {
    let mut name = [0; 32];
    let mut length = 0;
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let byte = match byte {
            b'%' => match (digit(), digit()) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
                _ => None,
            },
            byte => Some(byte),
        };
        let (Some(place), Some(byte)) = (name.get_mut(length), byte) else {
            return Err(refusal("is no sensor's name", "sensor"));
        };
        *place = byte;
        length += 1;
    }
    str::from_utf8(&name[..length])
        .ok()
        .and_then(Sensor::checked)
        .ok_or_else(|| refusal("is no sensor's name", "sensor"))
}

fn refusal(error: &'static str, parameter: &str) -> Refusal {
    Refusal { field: Some(Field::new(parameter)), ..Refusal::because(Status::BadRequest, error) }
}
