//! Echoes whatever TCP clients send to port 7, several at a time.
#![no_std]
#![no_main]

use elone::net::Listener;
use elone::{Platform, info, warn};

/// Echo (RFC 862).
const PORT: u16 = 7;

/// Clients at a time; others wait.
const CLIENTS: usize = 8;

#[elone::main]
async fn main(platform: Platform) -> Result<(), elone::Error> {
    let net = platform.net().configured().await?;
    let listener: &Listener = elone::forever(net.bind(PORT).await?);
    for _ in 1..CLIENTS {
        platform.spawn(serve(listener));
    }
    info!("echoing on {}:{PORT}", net.address());
    serve(listener).await;
    Ok(())
}

/// Serves one client after the other. One that leaves early does not end it.
async fn serve(listener: &Listener) {
    while let Ok((peer, mut socket)) = listener.accept().await {
        if let Err(error) = elone::copy::back(&mut socket, &mut [0; 1024]).await {
            warn!("{peer} left early: {error}");
        }
    }
}
