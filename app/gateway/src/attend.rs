//! Connections, from the listener to their end.

use alloc::boxed::Box;

use edge_nal::TcpAccept;
use embassy_time::{Duration, Timer};

use crate::Gateway;
use crate::http::{self, Buffers};
use crate::machine::Machine;
use crate::turnstile::Turnstile;

/// How many connections are served at a time.
pub const LIMIT: usize = 32;

/// How many more can be told at a time to come back later.
pub const SPARE: usize = 4;

/// How long a listener that has failed is left alone, so that a dead one does not keep the machine
/// busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections, one after the other, and serves each to its end, until the service is to
/// end and the listener is closed.
///
/// There are [`LIMIT`] and [`SPARE`] tasks of this kind, numbered. Whichever finds as many
/// connections open as there may be tells its client so, while the others go on. Each has buffers
/// of its own, so a slow client keeps one of them waiting and nobody else.
pub async fn attend<A, M>(task: usize, turnstile: &Turnstile, listener: &A, gateway: &Gateway<M>)
where
    A: TcpAccept,
    M: Machine,
{
    gateway.closing.enlist().await;
    let mut buffers = Box::new(Buffers::new());
    loop {
        let place = turnstile.enter(task).await;
        let accepted = listener.accept().await;
        if gateway.closing.has_begun() {
            return; // and leaves the place to the next, who leaves as well
        }
        let Ok((_, mut stream)) = accepted else {
            Timer::after(PAUSE).await;
            continue;
        };
        drop(place);
        match gateway.connections.admit() {
            Some(_permit) => http::serve(&mut stream, &mut buffers, &gateway).await,
            None => http::refuse(&mut stream, &mut buffers, &gateway).await,
        }
    }
}
