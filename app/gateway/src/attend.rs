//! Connections, from the listener to their end.

use alloc::boxed::Box;

use edge_nal::TcpAccept;
use embassy_time::{Duration, Timer};

use crate::Gateway;
use crate::http::{self, Buffers};
use crate::machine::Machine;

/// How long a listener that has failed is left alone, so that a dead one does not keep the machine
/// busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections, one after the other, and serves each to its end.
///
/// As many of these run as connections are to be served at a time, and a few more: whichever of
/// them finds all places taken tells its client so ([`http::refuse`]), while the others go on.
/// Each has buffers of its own, so a slow client keeps one of them waiting and nobody else.
pub async fn attend<A, M>(listener: &A, gateway: &Gateway<M>) -> !
where
    A: TcpAccept,
    M: Machine,
{
    let mut buffers = Box::new(Buffers::new());
    loop {
        let Ok((_, mut stream)) = listener.accept().await else {
            Timer::after(PAUSE).await;
            continue;
        };
        match gateway.connections.admit() {
            Some(_permit) => http::serve(&mut stream, &mut buffers, &gateway).await,
            None => http::refuse(&mut stream, &mut buffers, &gateway).await,
        }
    }
}
